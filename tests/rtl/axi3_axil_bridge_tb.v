// Random AXI3 bursts through axi3_axil_bridge to two register blocks of 64 words, checked word by word.
// Writes go to words 0 to 31 of each block while reads check words 32 to 63; then everything is read back.
`timescale 1ns / 1ns
`default_nettype none

`include "zeroskip_defs.vh"

module axi3_axil_bridge_tb;

    reg clk = 0, rst = 1;
    always #5 clk = ~clk;

    reg  [11:0] awid, arid;
    reg  [31:0] awaddr, wdata, araddr;
    reg  [3:0]  awlen, wstrb, arlen;
    reg  [1:0]  awsize = 2, awburst, arsize = 2, arburst;
    reg         awvalid = 0, wvalid = 0, bready = 0, arvalid = 0, rready = 0;
    wire        awready, wready, bvalid, arready, rvalid, rlast;
    wire [11:0] bid, rid;
    wire [1:0]  bresp, rresp;
    wire [31:0] rdata;

    wire [7:0]  m_awaddr, m_araddr;
    wire [31:0] m_wdata;
    wire [1:0]  m_awvalid, m_awready, m_wvalid, m_wready, m_bvalid, m_bready;
    wire [1:0]  m_arvalid, m_arready, m_rvalid, m_rready;
    wire [63:0] m_rdata;

    axi3_axil_bridge bridge (
        .clk(clk), .rst(rst),
        .s_axi_awid(awid), .s_axi_awaddr(awaddr), .s_axi_awlen(awlen), .s_axi_awsize(awsize), .s_axi_awburst(awburst),
        .s_axi_awvalid(awvalid), .s_axi_awready(awready), .s_axi_wdata(wdata), .s_axi_wstrb(wstrb),
        .s_axi_wvalid(wvalid), .s_axi_wready(wready), .s_axi_bid(bid), .s_axi_bresp(bresp), .s_axi_bvalid(bvalid),
        .s_axi_bready(bready), .s_axi_arid(arid), .s_axi_araddr(araddr), .s_axi_arlen(arlen), .s_axi_arsize(arsize),
        .s_axi_arburst(arburst), .s_axi_arvalid(arvalid), .s_axi_arready(arready), .s_axi_rid(rid), .s_axi_rdata(rdata),
        .s_axi_rresp(rresp), .s_axi_rlast(rlast), .s_axi_rvalid(rvalid), .s_axi_rready(rready),
        .m_axil_awaddr(m_awaddr), .m_axil_awvalid(m_awvalid), .m_axil_awready(m_awready), .m_axil_wdata(m_wdata),
        .m_axil_wvalid(m_wvalid), .m_axil_wready(m_wready), .m_axil_bresp(4'd0), .m_axil_bvalid(m_bvalid),
        .m_axil_bready(m_bready), .m_axil_araddr(m_araddr), .m_axil_arvalid(m_arvalid), .m_axil_arready(m_arready),
        .m_axil_rdata(m_rdata), .m_axil_rresp(4'd0), .m_axil_rvalid(m_rvalid), .m_axil_rready(m_rready)
    );

    // ---- the register blocks, and what must be in them -------------------------------------------
    reg [31:0] words  [0:127];   // 64 of the engine, then 64 of the DMA
    reg [31:0] mirror [0:127];

    genvar g;
    generate
        for (g = 0; g < 2; g = g + 1) begin : g_block
            wire        we;
            wire [7:0]  waddr, raddr;
            wire [31:0] data;
            axil_slave #(.ADDR_W(8)) slave (
                .clk(clk), .rst(rst), .write_en(we), .write_addr(waddr), .write_data(data),
                .read_addr(raddr), .read_data(words[g*64 + raddr[7:2]]),
                .s_axil_awaddr(m_awaddr), .s_axil_awvalid(m_awvalid[g]), .s_axil_awready(m_awready[g]),
                .s_axil_wdata(m_wdata), .s_axil_wstrb(4'hF), .s_axil_wvalid(m_wvalid[g]), .s_axil_wready(m_wready[g]), .s_axil_bresp(),
                .s_axil_bvalid(m_bvalid[g]), .s_axil_bready(m_bready[g]),
                .s_axil_araddr(m_araddr), .s_axil_arvalid(m_arvalid[g]), .s_axil_arready(m_arready[g]),
                .s_axil_rdata(m_rdata[g*32 +: 32]), .s_axil_rresp(), .s_axil_rvalid(m_rvalid[g]),
                .s_axil_rready(m_rready[g])
            );
            always @(posedge clk)
                if (we)
                    words[g*64 + waddr[7:2]] <= data;
        end
    endgenerate

    integer seed = `SEED, errors = 0, accesses = 0, i;

    task fail(input [8*40-1:0] what);
        begin
            errors = errors + 1;
            $display("%0t: %0s", $time, what);
        end
    endtask

    // Block 0 engine, 1 DMA, 2 nothing there.
    function [31:0] place(input integer block, input integer word);
        place = (block == 0 ? `ZS_ENGINE_BASE : block == 1 ? `ZS_DMA_BASE : 32'h4300_0000) + word * 4;
    endfunction

    task pause;
        repeat ($unsigned($random(seed)) % 3) @(negedge clk);
    endtask

    // A burst inside `count` words from `first` on.
    task write_burst(input integer first, input integer count);
        integer block, word, beats, beat, strobes;
        reg [1:0] expected;
        begin
            block = $unsigned($random(seed)) % 5;
            block = block > 2 ? block - 3 : block;
            beats = 1 + $unsigned($random(seed)) % 16;
            word = first + $unsigned($random(seed)) % (count - beats);
            awid = $random(seed);
            awburst = ($unsigned($random(seed)) % 8 == 0) ? 2'd2 : $unsigned($random(seed)) % 2;
            awaddr = place(block, word);
            awlen = beats - 1;
            expected = awburst == 2 ? 2 : 0;
            @(negedge clk) awvalid = 1;
            while (!awready) @(negedge clk);
            @(negedge clk) awvalid = 0;
            for (beat = 0; beat < beats; beat = beat + 1) begin
                pause;
                strobes = $unsigned($random(seed)) % 6;
                wstrb = strobes == 0 ? 4'h0 : strobes == 1 ? 4'h3 : 4'hF;
                wdata = $random(seed);
                if (block == 2)
                    expected = expected | 3;
                else if (wstrb == 4'h3)
                    expected = expected | 2;
                else if (wstrb == 4'hF && awburst != 2)
                    mirror[block*64 + word + (awburst == 1 ? beat : 0)] = wdata;
                wvalid = 1;
                while (!wready) @(negedge clk);
                @(negedge clk) wvalid = 0;
                accesses = accesses + 1;
            end
            pause;
            bready = 1;
            while (!bvalid) @(negedge clk);
            if (bid != awid) fail("write answered with another ID");
            if (bresp != expected) fail("wrong write response");
            @(negedge clk) bready = 0;
        end
    endtask

    task read_burst(input integer first, input integer count);
        integer block, word, beats, beat, gap;
        begin
            block = $random % 3;
            block = block < 0 ? -block : block;
            beats = 1 + $unsigned($random) % 16;
            word = first + $unsigned($random) % (count - beats);
            arid = $random;
            arburst = ($unsigned($random) % 8 == 0) ? 2'd2 : $unsigned($random) % 2;
            araddr = place(block, word);
            arlen = beats - 1;
            @(negedge clk) arvalid = 1;
            while (!arready) @(negedge clk);
            @(negedge clk) arvalid = 0;
            for (beat = 0; beat < beats; beat = beat + 1) begin
                gap = $unsigned($random) % 3;
                repeat (gap) @(negedge clk);
                rready = 1;
                while (!rvalid) @(negedge clk);
                if (rid != arid) fail("read answered with another ID");
                if (rlast != (beat == beats - 1)) fail("RLAST at the wrong word");
                if (rresp != (arburst == 2 ? 2 : block == 2 ? 3 : 0)) fail("wrong read response");
                if (arburst != 2 && block != 2 && rdata != mirror[block*64 + word + (arburst == 1 ? beat : 0)])
                    fail("wrong word read");
                @(negedge clk) rready = 0;
                accesses = accesses + 1;
            end
        end
    endtask

    initial begin
        for (i = 0; i < 128; i = i + 1) begin
            words[i] = $random(seed);
            mirror[i] = words[i];
        end
        repeat (4) @(negedge clk);
        rst = 0;
        fork
            repeat (300) write_burst(0, 32);
            repeat (300) read_burst(32, 32);
        join
        repeat (200) read_burst(0, 64);
        for (i = 0; i < 128; i = i + 1)
            if (words[i] != mirror[i]) fail("a register holds another word");
        $display("%0d accesses, %0d errors", accesses, errors);
        $finish;
    end

    initial begin
        #5_000_000 $display("no answer");
        $finish;
    end

endmodule

`default_nettype wire
