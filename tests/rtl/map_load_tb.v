// map_load_tb: LOADs from files into map_load, every write against the golden model's, in order; resets on the way.
`timescale 1ns/1ns
`default_nettype none

module map_load_tb;

    localparam ROW = 208;      // bits of an expected write

    reg clk = 0, rst = 1, stop = 0;
    always #5 clk = ~clk;

    reg  [63:0]    packets [0:8*`LOADS-1];
    reg  [31:0]    begins [0:`LOADS];            // first write of each LOAD
    reg  [ROW-1:0] wanted [0:`WRITES];

    integer     seed = `SEED, errors = 0, loaded = 0, sent = 0, at = 0, resets = 0, cycle = 0, patience = 0;
    reg  [31:0] latency, rate, stall;
    integer     gap;                             // of 256: no packet beat is offered, no store completes
    reg  [15:0] stores = 0;
    reg         s_valid = 0;
    wire        idle, s_ready, buffer_we, flag_we, done, done_page, done_buffer, write_page, owes;
    wire [1:0]  error;
    wire [`WGS-1:0] column_we;
    wire [7:0]  write_wg;
    wire [`ADDR_W-1:0] write_addr;
    wire [143:0] write_data;
    wire [15:0] flag;
    wire [63:0] rdata;
    wire [31:0] araddr;
    wire [7:0]  arlen;
    wire [2:0]  arsize;
    wire [1:0]  arburst, rresp;
    wire        arvalid, arready, rvalid, rready;

    map_load #(.WGS(`WGS), .ADDR_W(`ADDR_W), .DEPTH(`DEPTH)) dut (
        .clk(clk), .rst(rst), .stop(stop), .idle(idle), .error(error), .stores(stores),
        .s_data(packets[sent]), .s_valid(s_valid), .s_ready(s_ready),
        .column_we(column_we), .buffer_we(buffer_we), .write_wg(write_wg), .write_addr(write_addr),
        .write_data(write_data), .flag_we(flag_we), .flag(flag),
        .done(done), .done_page(done_page), .done_buffer(done_buffer), .write_page(write_page),
        .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arsize(arsize), .m_axi_arburst(arburst),
        .m_axi_arvalid(arvalid), .m_axi_arready(arready), .m_axi_rdata(rdata), .m_axi_rresp(rresp),
        .m_axi_rvalid(rvalid), .m_axi_rready(rready)
    );

    axi_read_memory #(.WORDS(`WORDS)) memory (
        .clk(clk), .latency(latency), .rate(rate), .stall(stall), .restart(rst), .seed(`SEED), .araddr(araddr), .arlen(arlen),
        .arsize(arsize), .arburst(arburst), .arvalid(arvalid), .arready(arready), .rdata(rdata), .rresp(rresp),
        .rvalid(rvalid), .rready(rready), .owes(owes)
    );

    task fail(input [8*48-1:0] what);
        begin
            errors = errors + 1;
            if (errors < 20)
                $display("%0t: LOAD %0d, write %0d: %0s", $time, loaded, at, what);
        end
    endtask

    function integer draw(input integer below);
        draw = $unsigned($random(seed)) % below;
    endfunction

    // after 16, page, buffer, last, flag_we, flag 16, wg 8, address 16, data 144
    wire [ROW-1:0] want = wanted[at];
    wire [`WGS-1:0] want_we = want[186] ? 0 : 1 << want[167:160];

    always @(posedge clk) if (!rst && !stop) begin
        cycle <= cycle + 1;
        patience = patience + 1;
        if (idle && owes) fail("idle while memory owes");
        if (^{column_we, buffer_we, flag_we, done} === 1'bx) fail("an undefined strobe");
        if (column_we != 0 || buffer_we) begin
            patience = 0;
            if (at == begins[loaded + 1]) fail("a write too many");
            if (column_we !== want_we || buffer_we !== want[186]) fail("another work group or destination");
            if (write_wg !== want[167:160]) fail("another work group");
            if (write_addr !== want[144 +: `ADDR_W]) fail("another address");
            if (write_data !== want[143:0]) fail("other values");
            if (flag_we !== want[184]) fail("flags at the wrong time");
            if (want[184] && flag !== want[183:168]) fail("other flags");
            if (write_page !== want[187]) fail("another page");
            if (stores - want[203:188] > 16'h7FFF) fail("before the stores it waits for");
            at = at + 1;
        end else if (flag_we) fail("flags without a column");
        if (done) begin
            if (at != begins[loaded + 1]) fail("done before all writes");
            if (done_page !== wanted[at - 1][187] || done_buffer !== wanted[at - 1][186]) fail("done with another page");
            loaded = loaded + 1;
            if (`TIMES)
                $display("done %0d", cycle);
        end
    end

    always @(posedge clk)
        if (s_valid && s_ready && !rst)
            sent <= sent + 1;

    always @(negedge clk) begin
        if (!(s_valid && !s_ready))                // a beat that was offered stays
            s_valid = sent < 8 * `LOADS && draw(256) >= gap && !stop;
        if (draw(256) >= gap && draw(400) == 0)       // slower than LOADs, so that these wait
            stores = stores + (stores != (wanted[begins[`LOADS] - 1][203:188]));
    end

    initial begin
        $readmemh("packets.hex", packets);
        $readmemh("begins.hex", begins);
        $readmemh("wanted.hex", wanted);
        $readmemh("memory.hex", memory.words);
        latency = `LATENCY; rate = `RATE; stall = `STALL; gap = `GAP;
        stores = wanted[0][203:188];
        repeat (3) @(negedge clk);
        rst = 0;
        while (loaded < `LOADS && patience < 60000 && errors < 20) begin
            @(negedge clk);
            if (`RESETS && draw(3000) == 0) begin
                stop = 1;
                s_valid = 0;
                @(negedge clk);
                while (!idle) @(negedge clk);
                if (owes) fail("idle while memory owes");
                rst = 1;
                @(negedge clk);
                // Again from the LOAD that was not finished.
                sent = 8 * loaded;
                at = begins[loaded];
                rst = 0;
                stop = 0;
                resets = resets + 1;
                latency = 1 + draw(100);
                rate = draw(2) ? 1024 : 200 + draw(800);
                stall = draw(2) ? 0 : draw(200);
            end
        end
        repeat (50) @(negedge clk);
        if (loaded != `LOADS) fail("LOADs are missing");
        if (error != 0) fail("an error");
        if (!idle) fail("not idle at the end");
        $display("%0d LOADs, %0d writes, %0d bursts, %0d beats, %0d cycles, %0d resets, %0d errors", loaded, at,
                 memory.bursts, memory.beats, cycle, resets, errors + memory.errors);
        $finish;
    end

endmodule

`default_nettype wire
