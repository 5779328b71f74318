// axil_slave_tb: AXI4-Lite master with random pauses against a model of 64 registers.
// Address and data of a write come in either order, responses wait, the next write comes while B waits, and byte
// strobes are all, none or some.
`timescale 1ns/1ns
`default_nettype none

module axil_slave_tb;

    reg clk = 0, rst = 1;
    always #5 clk = ~clk;

    reg  [7:0]  awaddr, araddr;
    reg  [31:0] wdata;
    reg  [3:0]  wstrb;
    reg         awvalid = 0, wvalid = 0, bready = 0, arvalid = 0, rready = 0;
    wire        awready, wready, bvalid, arready, rvalid, we;
    wire [1:0]  bresp, rresp;
    wire [31:0] rdata, data;
    wire [7:0]  waddr, raddr;
    reg  [31:0] words [0:63], mirror [0:63];

    axil_slave #(.ADDR_W(8)) dut (
        .clk(clk), .rst(rst), .write_en(we), .write_addr(waddr), .write_data(data), .read_addr(raddr),
        .read_data(words[raddr[7:2]]),
        .s_axil_awaddr(awaddr), .s_axil_awvalid(awvalid), .s_axil_awready(awready), .s_axil_wdata(wdata),
        .s_axil_wstrb(wstrb), .s_axil_wvalid(wvalid), .s_axil_wready(wready), .s_axil_bresp(bresp),
        .s_axil_bvalid(bvalid), .s_axil_bready(bready), .s_axil_araddr(araddr), .s_axil_arvalid(arvalid),
        .s_axil_arready(arready), .s_axil_rdata(rdata), .s_axil_rresp(rresp), .s_axil_rvalid(rvalid),
        .s_axil_rready(rready)
    );

    integer errors = 0, accesses = 0, early = 0, writes = 0, seed = `SEED, i, kind;

    task fail(input [8*48-1:0] what);
        begin
            errors = errors + 1;
            $display("%0t: %0s", $time, what);
        end
    endtask

    always @(posedge clk)
        if (we) begin
            words[waddr[7:2]] <= data;
            writes = writes + 1;
        end

    // A response stays as it is until it is taken.
    reg       b_waits = 0, r_waits = 0;
    reg [1:0] b_was;
    reg [31:0] r_was;
    always @(posedge clk) begin
        if (b_waits && !(bvalid && bresp == b_was)) fail("B changed while waiting");
        if (r_waits && !(rvalid && rdata == r_was)) fail("R changed while waiting");
        b_waits <= bvalid && !bready && !rst;
        r_waits <= rvalid && !rready && !rst;
        b_was <= bresp;
        r_was <= rdata;
    end

    function integer draw(input integer below);
        draw = $unsigned($random(seed)) % below;
    endfunction

    // What the writes in flight must be answered with, and what they must write: at most two.
    reg [1:0] expected [0:1];
    integer   sent = 0, answered = 0;

    task send;
        reg address_first;
        integer strobes;
        begin
            address_first = draw(2);
            strobes = draw(4);
            @(negedge clk);
            awaddr = {draw(64), 2'b00};
            wdata = $random(seed);
            wstrb = strobes == 0 ? 4'h0 : strobes == 1 ? 1 + draw(14) : 4'hF;
            expected[sent % 2] = (wstrb != 4'hF && wstrb != 4'h0) ? 2 : 0;
            if (wstrb == 4'hF)
                mirror[awaddr[7:2]] = wdata;
            if (address_first) awvalid = 1; else wvalid = 1;
            repeat (draw(3)) begin
                @(posedge clk);
                if (awvalid && awready) begin @(negedge clk) awvalid = 0; end
                else if (wvalid && wready) begin @(negedge clk) wvalid = 0; end
                else @(negedge clk);
            end
            fork
                begin
                    if (!address_first) awvalid = 1;
                    while (awvalid) begin
                        @(posedge clk);
                        if (awready) begin @(negedge clk) awvalid = 0; end
                    end
                end
                begin
                    if (address_first) wvalid = 1;
                    while (wvalid) begin
                        @(posedge clk);
                        if (wready) begin @(negedge clk) wvalid = 0; end
                    end
                end
            join
            if (bvalid) early = early + 1;     // it came while the response before still waits
            sent = sent + 1;
        end
    endtask

    task answer;
        begin
            repeat (draw(6)) @(negedge clk);
            bready = 1;
            @(posedge clk);
            while (!bvalid) @(posedge clk);
            if (bresp != expected[answered % 2]) fail("wrong response to a write");
            answered = answered + 1;
            @(negedge clk) bready = 0;
        end
    endtask

    task read;
        begin
            @(negedge clk);
            araddr = {draw(64), 2'b00};
            arvalid = 1;
            @(posedge clk);
            while (!arready) @(posedge clk);
            @(negedge clk) arvalid = 0;
            repeat (draw(4)) @(negedge clk);
            rready = 1;
            @(posedge clk);
            while (!rvalid) @(posedge clk);
            if (rdata != mirror[araddr[7:2]] || rresp != 0) fail("wrong word read");
            @(negedge clk) rready = 0;
        end
    endtask

    initial begin
        for (i = 0; i < 64; i = i + 1) begin
            words[i] = i;
            mirror[i] = i;
        end
        repeat (4) @(negedge clk);
        rst = 0;
        for (i = 0; i < 2000; i = i + 1) begin
            kind = draw(3);
            if (kind == 0)
                read;
            else if (kind == 1) begin
                send;
                answer;
            end else begin
                // Two writes, the second while the first one's response waits.
                send;
                repeat (4) @(negedge clk);
                if (!bvalid) fail("no response");
                send;
                answer;
                answer;
            end
            accesses = accesses + 1;
        end
        for (i = 0; i < 64; i = i + 1)
            if (words[i] !== mirror[i]) fail("a register differs in the end");
        $display("%0d accesses, %0d early, %0d writes, %0d errors", accesses, early, writes, errors);
        $finish;
    end

    initial begin
        #2000000 fail("time-out");
        $finish;
    end

endmodule

`default_nettype wire
