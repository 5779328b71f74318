// axil_slave: AXI4-Lite slave front end for a block of 32-bit registers.
// Purpose: turns bus handshakes into a one-cycle write strobe and a read address; the registers themselves live in the module around it.
// Licence: MIT.
// Timing: write_en is high for one cycle per write; read_data is sampled in the cycle after the read address was taken; one access per 2 to 3 cycles.
// Every bus output is a register or its inverse.  Registers are written whole: a word with all four byte strobes is written; one with none is
// answered OKAY, one with some SLVERR, and neither changes a register.  Protection bits are not supported.
`default_nettype none

module axil_slave #(
    parameter ADDR_W = 8
) (
    input  wire              clk,
    input  wire              rst,

    output wire              write_en,
    output wire [ADDR_W-1:0] write_addr,
    output wire [31:0]       write_data,
    output wire [ADDR_W-1:0] read_addr,
    input  wire [31:0]       read_data,

    input  wire [ADDR_W-1:0] s_axil_awaddr,
    input  wire              s_axil_awvalid,
    output wire              s_axil_awready,
    input  wire [31:0]       s_axil_wdata,
    input  wire [3:0]        s_axil_wstrb,
    input  wire              s_axil_wvalid,
    output wire              s_axil_wready,
    output wire [1:0]        s_axil_bresp,
    output wire              s_axil_bvalid,
    input  wire              s_axil_bready,
    input  wire [ADDR_W-1:0] s_axil_araddr,
    input  wire              s_axil_arvalid,
    output wire              s_axil_arready,
    output wire [31:0]       s_axil_rdata,
    output wire [1:0]        s_axil_rresp,
    output wire              s_axil_rvalid,
    input  wire              s_axil_rready
);

reg [ADDR_W-1:0] aw_addr_reg;
reg [31:0]       w_data_reg;
reg [ADDR_W-1:0] ar_addr_reg;
reg [31:0]       r_data_reg;
reg              aw_full_reg;
reg              w_full_reg;
reg              w_whole_reg;
reg              w_partial_reg;
reg              b_partial_reg;
reg              b_valid_reg;
reg              ar_full_reg;
reg              r_valid_reg;

wire answer = aw_full_reg && w_full_reg && !b_valid_reg;

assign write_en = answer && w_whole_reg;
assign write_addr = aw_addr_reg;
assign write_data = w_data_reg;
assign read_addr = ar_addr_reg;

assign s_axil_awready = !aw_full_reg;
assign s_axil_wready = !w_full_reg;
assign s_axil_bresp = {b_partial_reg, 1'b0};
assign s_axil_bvalid = b_valid_reg;
assign s_axil_arready = !ar_full_reg;
assign s_axil_rdata = r_data_reg;
assign s_axil_rresp = 2'b00;
assign s_axil_rvalid = r_valid_reg;

always @(posedge clk) begin
    if (s_axil_awvalid && s_axil_awready) begin
        aw_addr_reg <= s_axil_awaddr;
        aw_full_reg <= 1'b1;
    end
    if (s_axil_wvalid && s_axil_wready) begin
        w_data_reg <= s_axil_wdata;
        w_whole_reg <= s_axil_wstrb == 4'hF;
        w_partial_reg <= s_axil_wstrb != 4'hF && s_axil_wstrb != 4'h0;
        w_full_reg <= 1'b1;
    end
    if (answer) begin
        b_partial_reg <= w_partial_reg;
        aw_full_reg <= 1'b0;
        w_full_reg <= 1'b0;
        b_valid_reg <= 1'b1;
    end
    if (b_valid_reg && s_axil_bready) begin
        b_valid_reg <= 1'b0;
    end

    if (s_axil_arvalid && s_axil_arready) begin
        ar_addr_reg <= s_axil_araddr;
        ar_full_reg <= 1'b1;
    end
    // The address stays taken until its data has left, so there is one read at a time.
    if (ar_full_reg && !r_valid_reg) begin
        r_data_reg <= read_data;
        r_valid_reg <= 1'b1;
    end
    if (r_valid_reg && s_axil_rready) begin
        r_valid_reg <= 1'b0;
        ar_full_reg <= 1'b0;
    end

    if (rst) begin
        aw_full_reg <= 1'b0;
        w_full_reg <= 1'b0;
        b_valid_reg <= 1'b0;
        ar_full_reg <= 1'b0;
        r_valid_reg <= 1'b0;
    end
end

endmodule

`default_nettype wire
