// Sends the words of +words=FILE through zeroskip_core and prints every word that comes back, and the cycles counted.
`timescale 1ns / 1ps
`default_nettype none

module netlist_bench;

    reg         clk = 0, rst = 1;
    reg  [63:0] words [0:`WORDS-1];
    integer     sent = 0, seen = 0, cycle = 0;
    reg         s_valid = 0, m_ready = 0;
    wire        s_ready, m_valid, m_last;
    wire [63:0] m_data;

    // Everything but the clock changes well before its edge.
    zeroskip_core `PARAMETERS core (
        .clk(clk), .rst(rst),
        .s_axil_awaddr(8'd0), .s_axil_awvalid(1'b0), .s_axil_awready(), .s_axil_wdata(32'd0), .s_axil_wstrb(4'hF),
        .s_axil_wvalid(1'b0),
        .s_axil_wready(), .s_axil_bresp(), .s_axil_bvalid(), .s_axil_bready(1'b0), .s_axil_araddr(8'd0),
        .s_axil_arvalid(1'b0), .s_axil_arready(), .s_axil_rdata(), .s_axil_rresp(), .s_axil_rvalid(), .s_axil_rready(1'b0),
        .s_axis_tdata(words[sent]), .s_axis_tvalid(s_valid), .s_axis_tready(s_ready),
        .m_axis_tdata(m_data), .m_axis_tvalid(m_valid), .m_axis_tready(m_ready), .m_axis_tlast(m_last)
    );

    initial begin
        $readmemh(`FILE, words);
        while (cycle < 200000) begin
            #2 rst = cycle < 40;
            s_valid = cycle > 100 && sent < `WORDS && cycle % 7 != 3;
            m_ready = cycle > 100 && cycle % 5 != 1;
            #3;
            if (m_valid === 1'b1 && m_ready) begin
                $display("%h", m_data);
                if (m_last === 1'b1) begin
                    $display("cycles %0d", cycle);
                    $finish;
                end
            end
            clk = 1;
            #5 if (s_valid && taken) sent = sent + 1;
            clk = 0;
            cycle = cycle + 1;
        end
    end

    reg taken;
    always @(posedge clk)
        taken = s_ready;

endmodule

`default_nettype wire
