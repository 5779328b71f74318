// zeroskip_sim: the simulated programmable logic: engine, DMA and a random-stall gate in each stream between them.
// Purpose: top of the Verilated model; the harness plays processor (two AXI4-Lite masters) and memory (AXI4 slave).
// Licence: MIT.
// Timing: one clock; every output that the harness reads is a function of registers only, but for tap_in and tap_out.
// Glue: with `glue` high the harness, not a wire, joins DMA and engine: packets_* -> expanded_* and sums_* -> results_*
//       (hls/native/cosim.h works between them), and the engine's beats may have more than two sums.  Taps are on the
//       DMA's side.
// Taps: tap_start (a read transfer starts: cycle 0 of a run), tap_in and tap_out (a word crosses into or out of the engine), *_active (channel busy).
`default_nettype none

module zeroskip_sim #(
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

    input  wire [7:0]  stream_stall,
    input  wire [31:0] seed_in,
    input  wire [31:0] seed_out,
    output wire        tap_start,
    output wire        tap_in,
    output wire        tap_out,
    output wire        mm2s_active,
    output wire        s2mm_active,
    output wire [1:0]  introut,        // of MM2S, of S2MM

    input  wire        glue,
    output wire [63:0] packets_tdata,
    output wire        packets_tvalid,
    input  wire        packets_tready,
    input  wire [63:0] expanded_tdata,
    input  wire        expanded_tvalid,
    output wire        expanded_tready,
    output wire [SUMS*32-1:0] sums_tdata,
    output wire        sums_tvalid,
    input  wire        sums_tready,
    input  wire [63:0] results_tdata,
    input  wire        results_tvalid,
    output wire        results_tready,
    input  wire        results_tlast,

    input  wire [7:0]  engine_awaddr,
    input  wire        engine_awvalid,
    output wire        engine_awready,
    input  wire [31:0] engine_wdata,
    input  wire        engine_wvalid,
    output wire        engine_wready,
    output wire [1:0]  engine_bresp,
    output wire        engine_bvalid,
    input  wire        engine_bready,
    input  wire [7:0]  engine_araddr,
    input  wire        engine_arvalid,
    output wire        engine_arready,
    output wire [31:0] engine_rdata,
    output wire [1:0]  engine_rresp,
    output wire        engine_rvalid,
    input  wire        engine_rready,

    input  wire [7:0]  dma_awaddr,
    input  wire        dma_awvalid,
    output wire        dma_awready,
    input  wire [31:0] dma_wdata,
    input  wire        dma_wvalid,
    output wire        dma_wready,
    output wire [1:0]  dma_bresp,
    output wire        dma_bvalid,
    input  wire        dma_bready,
    input  wire [7:0]  dma_araddr,
    input  wire        dma_arvalid,
    output wire        dma_arready,
    output wire [31:0] dma_rdata,
    output wire [1:0]  dma_rresp,
    output wire        dma_rvalid,
    input  wire        dma_rready,

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
    output wire        m_axi_bready
);

wire [63:0] mm2s_tdata, s2mm_tdata;
wire        mm2s_tvalid, mm2s_tready, mm2s_tlast;
wire        s2mm_tvalid, s2mm_tready, s2mm_tlast;
wire        in_valid, in_ready, out_valid, out_ready;
wire        core_in_ready, core_out_valid, core_out_last;
wire [SUMS*32-1:0] core_out_data;
wire        mm2s_introut, s2mm_introut;

assign introut = {s2mm_introut, mm2s_introut};
assign tap_in = in_valid && in_ready;
assign tap_out = out_valid && out_ready;

assign packets_tdata = mm2s_tdata;
assign packets_tvalid = in_valid;
assign in_ready = glue ? packets_tready : core_in_ready;
assign expanded_tready = core_in_ready;
assign sums_tdata = core_out_data;
assign sums_tvalid = core_out_valid;
assign out_valid = glue ? results_tvalid : core_out_valid;
assign s2mm_tdata = glue ? results_tdata : core_out_data[63:0];
assign s2mm_tlast = glue ? results_tlast : core_out_last;
assign results_tready = out_ready;

// The engine finds packet boundaries by their headers.
wire unused_ok = &{1'b0, mm2s_tlast};

zs_dma dma (
    .clk(clk),
    .rst(rst),
    .mm2s_start(tap_start),
    .mm2s_active(mm2s_active),
    .s2mm_active(s2mm_active),
    .mm2s_introut(mm2s_introut),
    .s2mm_introut(s2mm_introut),
    .s_axil_awaddr(dma_awaddr),
    .s_axil_awvalid(dma_awvalid),
    .s_axil_awready(dma_awready),
    .s_axil_wdata(dma_wdata),
    .s_axil_wstrb(4'hF),
    .s_axil_wvalid(dma_wvalid),
    .s_axil_wready(dma_wready),
    .s_axil_bresp(dma_bresp),
    .s_axil_bvalid(dma_bvalid),
    .s_axil_bready(dma_bready),
    .s_axil_araddr(dma_araddr),
    .s_axil_arvalid(dma_arvalid),
    .s_axil_arready(dma_arready),
    .s_axil_rdata(dma_rdata),
    .s_axil_rresp(dma_rresp),
    .s_axil_rvalid(dma_rvalid),
    .s_axil_rready(dma_rready),
    .m_axi_araddr(m_axi_araddr),
    .m_axi_arlen(m_axi_arlen),
    .m_axi_arsize(m_axi_arsize),
    .m_axi_arburst(m_axi_arburst),
    .m_axi_arvalid(m_axi_arvalid),
    .m_axi_arready(m_axi_arready),
    .m_axi_rdata(m_axi_rdata),
    .m_axi_rresp(m_axi_rresp),
    .m_axi_rlast(m_axi_rlast),
    .m_axi_rvalid(m_axi_rvalid),
    .m_axi_rready(m_axi_rready),
    .m_axi_awaddr(m_axi_awaddr),
    .m_axi_awlen(m_axi_awlen),
    .m_axi_awsize(m_axi_awsize),
    .m_axi_awburst(m_axi_awburst),
    .m_axi_awvalid(m_axi_awvalid),
    .m_axi_awready(m_axi_awready),
    .m_axi_wdata(m_axi_wdata),
    .m_axi_wstrb(m_axi_wstrb),
    .m_axi_wlast(m_axi_wlast),
    .m_axi_wvalid(m_axi_wvalid),
    .m_axi_wready(m_axi_wready),
    .m_axi_bresp(m_axi_bresp),
    .m_axi_bvalid(m_axi_bvalid),
    .m_axi_bready(m_axi_bready),
    .s_axis_tdata(s2mm_tdata),
    .s_axis_tvalid(s2mm_tvalid),
    .s_axis_tready(s2mm_tready),
    .s_axis_tlast(s2mm_tlast),
    .m_axis_tdata(mm2s_tdata),
    .m_axis_tvalid(mm2s_tvalid),
    .m_axis_tready(mm2s_tready),
    .m_axis_tlast(mm2s_tlast)
);

axis_throttle throttle_in (
    .clk(clk),
    .rst(rst),
    .kick(tap_start),
    .seed(seed_in),
    .stall(stream_stall),
    .s_valid(mm2s_tvalid),
    .s_ready(mm2s_tready),
    .m_valid(in_valid),
    .m_ready(in_ready)
);

axis_throttle throttle_out (
    .clk(clk),
    .rst(rst),
    .kick(tap_start),
    .seed(seed_out),
    .stall(stream_stall),
    .s_valid(out_valid),
    .s_ready(out_ready),
    .m_valid(s2mm_tvalid),
    .m_ready(s2mm_tready)
);

zeroskip_core #(
    .LANES(LANES),
    .FILTERS(FILTERS),
    .WGS(WGS),
    .MUX(MUX),
    .ACT_W(ACT_W),
    .COLUMNS(COLUMNS),
    .STEPS(STEPS),
    .SCAN(SCAN),
    .ENGINE(ENGINE),
    .WEIGHT_W(WEIGHT_W),
    .SUB_WGS(SUB_WGS),
    .PSUMS(PSUMS),
    .STEALING(STEALING),
    .JOBS(JOBS),
    .SUMS(SUMS),
    .CONFIG_HASH(CONFIG_HASH)
) core (
    .clk(clk),
    .rst(rst),
    .s_axil_awaddr(engine_awaddr),
    .s_axil_awvalid(engine_awvalid),
    .s_axil_awready(engine_awready),
    .s_axil_wdata(engine_wdata),
    .s_axil_wstrb(4'hF),
    .s_axil_wvalid(engine_wvalid),
    .s_axil_wready(engine_wready),
    .s_axil_bresp(engine_bresp),
    .s_axil_bvalid(engine_bvalid),
    .s_axil_bready(engine_bready),
    .s_axil_araddr(engine_araddr),
    .s_axil_arvalid(engine_arvalid),
    .s_axil_arready(engine_arready),
    .s_axil_rdata(engine_rdata),
    .s_axil_rresp(engine_rresp),
    .s_axil_rvalid(engine_rvalid),
    .s_axil_rready(engine_rready),
    .s_axis_tdata(glue ? expanded_tdata : mm2s_tdata),
    .s_axis_tvalid(glue ? expanded_tvalid : in_valid),
    .s_axis_tready(core_in_ready),
    .m_axis_tdata(core_out_data),
    .m_axis_tvalid(core_out_valid),
    .m_axis_tready(glue ? sums_tready : out_ready),
    .m_axis_tlast(core_out_last)
);

endmodule

`default_nettype wire
