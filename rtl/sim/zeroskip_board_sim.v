// zeroskip_board_sim: the vendor-free board design with processor and memory played by the simulator's harness.
// Purpose: the same ports and taps as zeroskip_sim, so that one harness drives both.  Here every register access is a
//          32-bit address on engine_*, and goes through the processing system's port GP0; memory is behind port HP0.
//          There are no stall gates in the streams: stream_stall and the seeds are not used.
// Licence: MIT.
// Timing: as zeroskip_sim, but for register accesses, which are some cycles longer.
`default_nettype none

module zeroskip_board_sim #(
    parameter        LANES       = 8,
    parameter        FILTERS     = 1,
    parameter        WGS         = 2,
    parameter        MUX         = 8,
    parameter        ACT_W       = 9,
    parameter        COLUMNS     = 512,
    parameter        STEPS       = 256,
    parameter        SCAN        = 4,
    parameter        ENGINE      = 1,
    parameter        WEIGHT_W    = 8,
    parameter        SUB_WGS     = 1,
    parameter        PSUMS       = 64,
    parameter        STEALING    = 0,
    parameter        JOBS        = 2,
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

    input  wire [31:0] engine_awaddr,
    input  wire        engine_awvalid,
    output wire        engine_awready,
    input  wire [31:0] engine_wdata,
    input  wire        engine_wvalid,
    output wire        engine_wready,
    output wire [1:0]  engine_bresp,
    output wire        engine_bvalid,
    input  wire        engine_bready,
    input  wire [31:0] engine_araddr,
    input  wire        engine_arvalid,
    output wire        engine_arready,
    output wire [31:0] engine_rdata,
    output wire [1:0]  engine_rresp,
    output wire        engine_rvalid,
    input  wire        engine_rready,

    // There is one port to all registers; this one never answers.
    input  wire [31:0] dma_awaddr,
    input  wire        dma_awvalid,
    output wire        dma_awready,
    input  wire [31:0] dma_wdata,
    input  wire        dma_wvalid,
    output wire        dma_wready,
    output wire [1:0]  dma_bresp,
    output wire        dma_bvalid,
    input  wire        dma_bready,
    input  wire [31:0] dma_araddr,
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

    zeroskip_board #(
        .LANES(LANES), .FILTERS(FILTERS), .WGS(WGS), .MUX(MUX), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS),
        .SCAN(SCAN), .ENGINE(ENGINE), .WEIGHT_W(WEIGHT_W), .SUB_WGS(SUB_WGS), .PSUMS(PSUMS), .STEALING(STEALING),
        .JOBS(JOBS), .CONFIG_HASH(CONFIG_HASH)
    ) board ();

    assign board.ps7.host_clk     = clk;
    assign board.ps7.host_rst     = rst;
    assign board.ps7.host_awaddr  = engine_awaddr;
    assign board.ps7.host_awvalid = engine_awvalid;
    assign board.ps7.host_wdata   = engine_wdata;
    assign board.ps7.host_wvalid  = engine_wvalid;
    assign board.ps7.host_bready  = engine_bready;
    assign board.ps7.host_araddr  = engine_araddr;
    assign board.ps7.host_arvalid = engine_arvalid;
    assign board.ps7.host_rready  = engine_rready;
    assign engine_awready = board.ps7.MAXIGP0AWREADY;
    assign engine_wready  = board.ps7.MAXIGP0WREADY;
    assign engine_bresp   = board.ps7.MAXIGP0BRESP;
    assign engine_bvalid  = board.ps7.host_bvalid;
    assign engine_arready = board.ps7.MAXIGP0ARREADY;
    assign engine_rdata   = board.ps7.MAXIGP0RDATA;
    assign engine_rresp   = board.ps7.MAXIGP0RRESP;
    assign engine_rvalid  = board.ps7.host_rvalid;

    assign board.ps7.memory_arready = m_axi_arready;
    assign board.ps7.memory_rdata   = m_axi_rdata;
    assign board.ps7.memory_rresp   = m_axi_rresp;
    assign board.ps7.memory_rlast   = m_axi_rlast;
    assign board.ps7.memory_rvalid  = m_axi_rvalid;
    assign board.ps7.memory_awready = m_axi_awready;
    assign board.ps7.memory_wready  = m_axi_wready;
    assign board.ps7.memory_bresp   = m_axi_bresp;
    assign board.ps7.memory_bvalid  = m_axi_bvalid;
    assign m_axi_araddr  = board.ps7.SAXIHP0ARADDR;
    assign m_axi_arlen   = {4'd0, board.ps7.SAXIHP0ARLEN};
    assign m_axi_arsize  = {1'b0, board.ps7.SAXIHP0ARSIZE};
    assign m_axi_arburst = board.ps7.SAXIHP0ARBURST;
    assign m_axi_arvalid = board.ps7.memory_arvalid;
    assign m_axi_rready  = board.ps7.SAXIHP0RREADY;
    assign m_axi_awaddr  = board.ps7.SAXIHP0AWADDR;
    assign m_axi_awlen   = {4'd0, board.ps7.SAXIHP0AWLEN};
    assign m_axi_awsize  = {1'b0, board.ps7.SAXIHP0AWSIZE};
    assign m_axi_awburst = board.ps7.SAXIHP0AWBURST;
    assign m_axi_awvalid = board.ps7.memory_awvalid;
    assign m_axi_wdata   = board.ps7.SAXIHP0WDATA;
    assign m_axi_wstrb   = board.ps7.SAXIHP0WSTRB;
    assign m_axi_wlast   = board.ps7.SAXIHP0WLAST;
    assign m_axi_wvalid  = board.ps7.memory_wvalid;
    assign m_axi_bready  = board.ps7.SAXIHP0BREADY;

    assign tap_start   = board.mm2s_start;
    assign tap_in      = board.in_tvalid && board.in_tready;
    assign tap_out     = board.out_tvalid && board.out_tready;
    assign mm2s_active = board.mm2s_active;
    assign s2mm_active = board.s2mm_active;
    assign introut     = board.ps7.IRQF2P[1:0];

    assign dma_awready = 1'b0;
    assign dma_wready  = 1'b0;
    assign dma_bresp   = 2'd0;
    assign dma_bvalid  = 1'b0;
    assign dma_arready = 1'b0;
    assign dma_rdata   = 32'd0;
    assign dma_rresp   = 2'd0;
    assign dma_rvalid  = 1'b0;

    wire unused_ok = &{1'b0, stream_stall, seed_in, seed_out, dma_awaddr, dma_awvalid, dma_wdata, dma_wvalid,
                       dma_bready, dma_araddr, dma_arvalid, dma_rready};

endmodule

`default_nettype wire
