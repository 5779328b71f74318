// zeroskip_core (loop-back): a stand-in with the ports of the engine that sends its input back, to test DMA, devices and driver apart from the engine.
// Purpose: words come back unchanged after a FIFO; tlast goes with the word numbered LAST, and the words after it are dropped.
// Licence: MIT.
// Timing: one cycle of latency, one word per cycle.  The counters CYCLES, BEATS_IN and BEATS_OUT work; the other counters read as SPARE.
// Extra registers: FREEZE 0xEC (1: CYCLES stands), LAST 0xF0 (0: never tlast), CONFIG_HASH as read 0xF4, SPARE 0xF8, STATUS.error 0xFC.
`default_nettype none

`include "zeroskip_defs.vh"

module zeroskip_core #(
    parameter LANES = 8,
    parameter FILTERS = 1,
    parameter WGS = 2,
    parameter MUX = 8,
    parameter ACT_W = 9,
    parameter COLUMNS = 512,
    parameter STEPS = 256,
    parameter SCAN = 4,
    parameter ENGINE = 1,
    parameter WEIGHT_W = 8,
    parameter SUB_WGS = 1,
    parameter PSUMS = 64,
    parameter STEALING = 0,
    parameter JOBS = 2,
    parameter SUMS = 2,
    parameter [31:0] CONFIG_HASH = 32'd0
) (
    input  wire        clk,
    input  wire        rst,

    input  wire [7:0]  s_axil_awaddr,
    input  wire        s_axil_awvalid,
    output wire        s_axil_awready,
    input  wire [31:0] s_axil_wdata,
    input  wire [3:0]  s_axil_wstrb,
    input  wire        s_axil_wvalid,
    output wire        s_axil_wready,
    output wire [1:0]  s_axil_bresp,
    output wire        s_axil_bvalid,
    input  wire        s_axil_bready,
    input  wire [7:0]  s_axil_araddr,
    input  wire        s_axil_arvalid,
    output wire        s_axil_arready,
    output wire [31:0] s_axil_rdata,
    output wire [1:0]  s_axil_rresp,
    output wire        s_axil_rvalid,
    input  wire        s_axil_rready,

    input  wire [63:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,

    output wire [SUMS*32-1:0] m_axis_tdata,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    output wire        m_axis_tlast
);

wire        write_en;
wire [7:0]  write_addr, read_addr;
wire [31:0] write_data;
reg  [31:0] read_data;

reg [31:0] last_reg, hash_reg, spare_reg, cycles_reg, beats_in_reg, beats_out_reg;
reg [3:0]  error_reg;
reg        active_reg, freeze_reg;

wire fifo_ready, fifo_valid;
wire [31:0] number = beats_out_reg + 32'd1;
wire over = last_reg != 32'd0 && number > last_reg;
wire reset_engine = write_en && write_addr == 8'h14 && write_data[0];
wire clear = write_en && write_addr == 8'h14 && write_data[1:0] != 2'd0;

assign s_axis_tready = fifo_ready && error_reg == 4'd0;
assign m_axis_tvalid = fifo_valid && !over;
assign m_axis_tlast = number == last_reg;

always @* begin
    case (read_addr)
        8'h00: read_data = 32'h5A534B31;
        8'h04: read_data = `ZS_VERSION_VALUE;
        8'h08: read_data = hash_reg;
        8'h0C: read_data = {MUX[7:0], WGS[7:0], FILTERS[7:0], LANES[7:0]};
        8'h10: read_data = {ENGINE[3:0], SCAN[3:0], 8'd0, 8'd0, ACT_W[7:0]} | ($clog2(STEPS) << 16) | ($clog2(COLUMNS) << 8);
        8'h1C: read_data = {JOBS[3:0], 3'd0, STEALING[0], 8'd0, SUB_WGS[7:0], WEIGHT_W[7:0]} | ($clog2(PSUMS) << 16);
        8'h14: read_data = 32'd0;
        8'h18: read_data = {16'd0, m_axis_tready, m_axis_tvalid, s_axis_tready, s_axis_tvalid, 4'd0, error_reg, 3'd0,
                            active_reg};
        8'h40: read_data = cycles_reg;
        8'h70: read_data = beats_in_reg;
        8'h74: read_data = beats_out_reg;
        8'hF0: read_data = last_reg;
        default: read_data = spare_reg;
    endcase
end

always @(posedge clk) begin
    if (s_axis_tvalid && s_axis_tready) begin
        beats_in_reg <= beats_in_reg + 32'd1;
        active_reg <= 1'b1;
    end
    if (m_axis_tvalid && m_axis_tready) begin
        beats_out_reg <= number;
        if (m_axis_tlast) begin
            active_reg <= 1'b0;
        end
    end
    if ((active_reg || (s_axis_tvalid && s_axis_tready)) && !freeze_reg) begin
        cycles_reg <= cycles_reg + 32'd1;
    end
    if (write_en) begin
        case (write_addr)
            8'hEC: freeze_reg <= write_data[0];
            8'hF0: last_reg <= write_data;
            8'hF4: hash_reg <= write_data;
            8'hF8: spare_reg <= write_data;
            8'hFC: error_reg <= write_data[3:0];
            default: ;
        endcase
    end
    if (clear || rst) begin
        cycles_reg <= 32'd0;
        beats_in_reg <= 32'd0;
        beats_out_reg <= 32'd0;
    end
    if (reset_engine || rst) begin
        active_reg <= 1'b0;
        error_reg <= 4'd0;
        spare_reg <= 32'd0;
    end
    if (rst) begin
        last_reg <= 32'd0;
        freeze_reg <= 1'b0;
        hash_reg <= CONFIG_HASH;
    end
end

axil_slave #(
    .ADDR_W(8)
) slave (
    .clk(clk),
    .rst(rst),
    .write_en(write_en),
    .write_addr(write_addr),
    .write_data(write_data),
    .read_addr(read_addr),
    .read_data(read_data),
    .s_axil_awaddr(s_axil_awaddr),
    .s_axil_awvalid(s_axil_awvalid),
    .s_axil_awready(s_axil_awready),
    .s_axil_wdata(s_axil_wdata),
    .s_axil_wstrb(s_axil_wstrb),
    .s_axil_wvalid(s_axil_wvalid),
    .s_axil_wready(s_axil_wready),
    .s_axil_bresp(s_axil_bresp),
    .s_axil_bvalid(s_axil_bvalid),
    .s_axil_bready(s_axil_bready),
    .s_axil_araddr(s_axil_araddr),
    .s_axil_arvalid(s_axil_arvalid),
    .s_axil_arready(s_axil_arready),
    .s_axil_rdata(s_axil_rdata),
    .s_axil_rresp(s_axil_rresp),
    .s_axil_rvalid(s_axil_rvalid),
    .s_axil_rready(s_axil_rready)
);

axis_fifo #(
    .WIDTH(64),
    .DEPTH(16)
) fifo (
    .clk(clk),
    .rst(rst || reset_engine),
    .s_data(s_axis_tdata),
    .s_valid(s_axis_tvalid && s_axis_tready),
    .s_ready(fifo_ready),
    .m_data(m_axis_tdata),
    .m_valid(fifo_valid),
    .m_ready(m_axis_tready || over)
);

endmodule

`default_nettype wire
