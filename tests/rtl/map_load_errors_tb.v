// map_load_errors_tb: pairs of LOADs from a file, a legal one and one that is not: that it is done, and the other refused.
`timescale 1ns/1ns
`default_nettype none

module map_load_errors_tb;

    reg clk = 0, rst = 1, stop = 0;
    always #5 clk = ~clk;

    reg  [63:0]  packets [0:16*`CASES-1];
    integer      sent = 0, limit = 0, dones = 0, writes = 0, which;
    wire         s_valid = sent < limit;
    wire         idle, s_ready, buffer_we, flag_we, done, done_page, done_buffer, write_page, owes;
    wire [1:0]   error;
    wire [4:0]   column_we;
    wire [7:0]   write_wg;
    wire [9:0]   write_addr;
    wire [143:0] write_data;
    wire [15:0]  flag;
    wire [63:0]  rdata;
    wire [31:0]  araddr;
    wire [7:0]   arlen;
    wire [2:0]   arsize;
    wire [1:0]   arburst, rresp;
    wire         arvalid, arready, rvalid, rready;
    reg  [63:0]  first;

    map_load #(.WGS(5), .ADDR_W(10)) dut (
        .clk(clk), .rst(rst), .stop(stop), .idle(idle), .error(error), .stores(16'd0),
        .s_data(packets[sent]), .s_valid(s_valid), .s_ready(s_ready),
        .column_we(column_we), .buffer_we(buffer_we), .write_wg(write_wg), .write_addr(write_addr),
        .write_data(write_data), .flag_we(flag_we), .flag(flag),
        .done(done), .done_page(done_page), .done_buffer(done_buffer), .write_page(write_page),
        .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arsize(arsize), .m_axi_arburst(arburst),
        .m_axi_arvalid(arvalid), .m_axi_arready(arready), .m_axi_rdata(rdata), .m_axi_rresp(rresp),
        .m_axi_rvalid(rvalid), .m_axi_rready(rready)
    );

    axi_read_memory #(.WORDS(1024)) memory (
        .clk(clk), .latency(20), .rate(1024), .stall(0), .restart(1'b0), .seed(0), .araddr(araddr), .arlen(arlen),
        .arsize(arsize), .arburst(arburst), .arvalid(arvalid), .arready(arready), .rdata(rdata), .rresp(rresp),
        .rvalid(rvalid), .rready(rready), .owes(owes)
    );

    always @(posedge clk) begin
        if (s_valid && s_ready && !rst) sent <= sent + 1;
        if (done) dones = dones + 1;
        if (column_we != 0 || buffer_we) writes = writes + 1;
    end

    task reset;
        begin
            stop = 1;
            limit = sent;
            @(negedge clk);
            while (!idle) @(negedge clk);
            if (owes) $display("idle while memory owes");
            rst = 1;
            @(negedge clk) rst = 0;
            stop = 0;
            dones = 0;
            writes = 0;
            if (error != 0) $display("an error after reset");
        end
    endtask

    initial begin
        $readmemh("packets.hex", packets);
        for (which = 0; which < 1024; which = which + 1)
            memory.words[which] = which;
        repeat (3) @(negedge clk);
        rst = 0;
        for (which = 0; which < `CASES; which = which + 1) begin
            sent = 16 * which;
            limit = sent + 16;
            repeat (300) @(negedge clk);
            if (error == 2'b10 && dones == 1 && writes == 32) $display("%0d", which);
            reset;
        end
        // A LOAD that begins where memory ends: an error response, and nothing written after it.
        first = packets[1];
        packets[1] = {first[63:32], 32'h1000_2000 - 32'd128};
        sent = 0;
        limit = 8;
        repeat (300) @(negedge clk);
        if (error == 2'b01 && dones == 0 && writes < 32) $display("faults");
        reset;
        packets[1] = first;
        sent = 0;
        limit = 8;
        repeat (300) @(negedge clk);
        if (error == 0 && dones == 1 && writes == 32) $display("done");
        $finish;
    end

endmodule

`default_nettype wire
