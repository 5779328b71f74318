// zs_dma: memory to stream and stream to memory, with the register map of AXI DMA direct mode (PG021): MM2S at 0x00, S2MM at 0x30.
// Purpose: stands in for xilinx.com:ip:axi_dma:7.1 (64 bit, no scatter-gather, no realignment, 26-bit LENGTH), so that its drivers work unmodified.
// Licence: MIT.
// Timing: one 64-bit word per cycle each way at the same time; mm2s_start is high for the one cycle in which a read transfer starts.
// AXI4 master: INCR bursts of at most 16 beats (AXI3-compatible), several outstanding, never across 4 KiB; whole 64-bit words only.
`default_nettype none

module zs_dma #(
    parameter MM2S_DEPTH = 128,
    parameter S2MM_DEPTH = 64
) (
    input  wire        clk,
    input  wire        rst,
    output wire        mm2s_start,
    output wire        mm2s_active,
    output wire        s2mm_active,
    output wire        mm2s_introut,
    output wire        s2mm_introut,

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

    output wire [31:0] m_axi_araddr,
    output wire [7:0]  m_axi_arlen,
    output wire [2:0]  m_axi_arsize,
    output wire [1:0]  m_axi_arburst,
    output wire        m_axi_arvalid,
    input  wire        m_axi_arready,
    input  wire [63:0] m_axi_rdata,
    input  wire [1:0]  m_axi_rresp,
    input  wire        m_axi_rlast,
    input  wire        m_axi_rvalid,
    output wire        m_axi_rready,
    output wire [31:0] m_axi_awaddr,
    output wire [7:0]  m_axi_awlen,
    output wire [2:0]  m_axi_awsize,
    output wire [1:0]  m_axi_awburst,
    output wire        m_axi_awvalid,
    input  wire        m_axi_awready,
    output wire [63:0] m_axi_wdata,
    output wire [7:0]  m_axi_wstrb,
    output wire        m_axi_wlast,
    output wire        m_axi_wvalid,
    input  wire        m_axi_wready,
    input  wire [1:0]  m_axi_bresp,
    input  wire        m_axi_bvalid,
    output wire        m_axi_bready,

    input  wire [63:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    input  wire        s_axis_tlast,

    output wire [63:0] m_axis_tdata,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    output wire        m_axis_tlast
);

wire        write_en;
wire [7:0]  write_addr;
wire [31:0] write_data;
wire [7:0]  read_addr;
wire [31:0] read_data;

// Either channel's reset bit resets both, once neither owes memory a handshake.
reg  resetting_reg;
wire mm2s_reset_request;
wire s2mm_reset_request;
wire movers_quiet = !mm2s_active && !s2mm_active;
wire rst_movers = rst || (resetting_reg && movers_quiet);

always @(posedge clk) begin
    if (mm2s_reset_request || s2mm_reset_request) begin
        resetting_reg <= 1'b1;
    end else if (movers_quiet) begin
        resetting_reg <= 1'b0;
    end
    if (rst) begin
        resetting_reg <= 1'b0;
    end
end

// Within a channel registers repeat the same offsets; S2MM begins at 0x30.
// A write is decoded a cycle before the channels see it, which keeps their logic shallow.
wire        write_s2mm = write_addr >= 8'h30;
wire        read_s2mm = read_addr >= 8'h30;
wire [7:0]  write_offset = write_s2mm ? write_addr - 8'h30 : write_addr;
wire [7:0]  read_offset = read_s2mm ? read_addr - 8'h30 : read_addr;
wire        write_mapped = write_offset < 8'h30;
wire        read_mapped = read_offset < 8'h30;
reg         mm2s_write_reg;
reg         s2mm_write_reg;
reg  [5:2]  write_offset_reg;
reg  [31:0] write_data_reg;
reg         write_whole_reg;
wire [31:0] mm2s_read_data;
wire [31:0] s2mm_read_data;

always @(posedge clk) begin
    mm2s_write_reg <= write_en && write_mapped && !write_s2mm && !rst;
    s2mm_write_reg <= write_en && write_mapped && write_s2mm && !rst;
    write_offset_reg <= write_offset[5:2];
    write_data_reg <= write_data;
    write_whole_reg <= write_data[25:0] != 26'd0 && write_data[2:0] == 3'd0;
end

assign read_data = !read_mapped ? 32'd0 : read_s2mm ? s2mm_read_data : mm2s_read_data;

wire        mm2s_stop, mm2s_done, mm2s_err_slv, mm2s_err_dec;
wire        s2mm_start, s2mm_stop, s2mm_done, s2mm_err_int, s2mm_err_slv, s2mm_err_dec;
wire [31:3] mm2s_address, s2mm_address;
wire [25:3] mm2s_length, s2mm_length, s2mm_moved;

assign m_axi_arsize = 3'd3;
assign m_axi_arburst = 2'b01;
assign m_axi_awsize = 3'd3;
assign m_axi_awburst = 2'b01;
assign m_axi_wstrb = 8'hFF;

wire unused_ok = &{1'b0, m_axi_rlast, write_offset[7:6], write_offset[1:0], read_offset[7:6], read_offset[1:0]};

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

zs_dma_channel mm2s_registers (
    .clk(clk),
    .rst(rst),
    .write_en(mm2s_write_reg),
    .write_addr(write_offset_reg),
    .write_data(write_data_reg),
    .write_whole(write_whole_reg),
    .read_addr(read_offset[5:2]),
    .read_data(mm2s_read_data),
    .reset_request(mm2s_reset_request),
    .resetting(resetting_reg),
    .start(mm2s_start),
    .stop(mm2s_stop),
    .address(mm2s_address),
    .length(mm2s_length),
    .active(mm2s_active),
    .done(mm2s_done),
    .err_int(1'b0),
    .err_slv(mm2s_err_slv),
    .err_dec(mm2s_err_dec),
    .length_read({mm2s_length, 3'd0}),
    .introut(mm2s_introut)
);

zs_dma_channel s2mm_registers (
    .clk(clk),
    .rst(rst),
    .write_en(s2mm_write_reg),
    .write_addr(write_offset_reg),
    .write_data(write_data_reg),
    .write_whole(write_whole_reg),
    .read_addr(read_offset[5:2]),
    .read_data(s2mm_read_data),
    .reset_request(s2mm_reset_request),
    .resetting(resetting_reg),
    .start(s2mm_start),
    .stop(s2mm_stop),
    .address(s2mm_address),
    .length(s2mm_length),
    .active(s2mm_active),
    .done(s2mm_done),
    .err_int(s2mm_err_int),
    .err_slv(s2mm_err_slv),
    .err_dec(s2mm_err_dec),
    .length_read({s2mm_moved, 3'd0}),
    .introut(s2mm_introut)
);

zs_dma_mm2s #(
    .DEPTH(MM2S_DEPTH)
) mm2s (
    .clk(clk),
    .rst(rst_movers),
    .start(mm2s_start),
    .stop(mm2s_stop),
    .address(mm2s_address),
    .length(mm2s_length),
    .active(mm2s_active),
    .done(mm2s_done),
    .err_slv(mm2s_err_slv),
    .err_dec(mm2s_err_dec),
    .m_axi_araddr(m_axi_araddr),
    .m_axi_arlen(m_axi_arlen),
    .m_axi_arvalid(m_axi_arvalid),
    .m_axi_arready(m_axi_arready),
    .m_axi_rdata(m_axi_rdata),
    .m_axi_rresp(m_axi_rresp),
    .m_axi_rvalid(m_axi_rvalid),
    .m_axi_rready(m_axi_rready),
    .m_axis_tdata(m_axis_tdata),
    .m_axis_tvalid(m_axis_tvalid),
    .m_axis_tready(m_axis_tready),
    .m_axis_tlast(m_axis_tlast)
);

zs_dma_s2mm #(
    .DEPTH(S2MM_DEPTH)
) s2mm (
    .clk(clk),
    .rst(rst_movers),
    .start(s2mm_start),
    .stop(s2mm_stop),
    .address(s2mm_address),
    .length(s2mm_length),
    .active(s2mm_active),
    .done(s2mm_done),
    .err_int(s2mm_err_int),
    .err_slv(s2mm_err_slv),
    .err_dec(s2mm_err_dec),
    .moved(s2mm_moved),
    .s_axis_tdata(s_axis_tdata),
    .s_axis_tvalid(s_axis_tvalid),
    .s_axis_tready(s_axis_tready),
    .s_axis_tlast(s_axis_tlast),
    .m_axi_awaddr(m_axi_awaddr),
    .m_axi_awlen(m_axi_awlen),
    .m_axi_awvalid(m_axi_awvalid),
    .m_axi_awready(m_axi_awready),
    .m_axi_wdata(m_axi_wdata),
    .m_axi_wlast(m_axi_wlast),
    .m_axi_wvalid(m_axi_wvalid),
    .m_axi_wready(m_axi_wready),
    .m_axi_bresp(m_axi_bresp),
    .m_axi_bvalid(m_axi_bvalid),
    .m_axi_bready(m_axi_bready)
);

endmodule

`default_nettype wire
