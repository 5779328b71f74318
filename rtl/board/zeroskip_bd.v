// zeroskip_bd: the engine with the port names from which Vivado's block design infers interfaces.
// Purpose: module reference in vivado/build.tcl: AXI4-Lite s_axi, streams s_axis and m_axis, clock aclk, reset aresetn.
//          Register addresses have 16 bits here, since the block design gives the engine 64 KiB; the upper 8 are ignored.
// Licence: MIT.
// Timing: as zeroskip_core; the reset is registered once.
`default_nettype none

module zeroskip_bd #(
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
    parameter        SUMS        = 2,       // sums of a beat on m_axis; more than 2 only towards act_finish
    parameter [31:0] CONFIG_HASH = 32'd0
) (
    input  wire        aclk,
    input  wire        aresetn,
    input  wire [15:0] s_axi_awaddr,
    input  wire [2:0]  s_axi_awprot,
    input  wire        s_axi_awvalid,
    output wire        s_axi_awready,
    input  wire [31:0] s_axi_wdata,
    input  wire [3:0]  s_axi_wstrb,
    input  wire        s_axi_wvalid,
    output wire        s_axi_wready,
    output wire [1:0]  s_axi_bresp,
    output wire        s_axi_bvalid,
    input  wire        s_axi_bready,
    input  wire [15:0] s_axi_araddr,
    input  wire [2:0]  s_axi_arprot,
    input  wire        s_axi_arvalid,
    output wire        s_axi_arready,
    output wire [31:0] s_axi_rdata,
    output wire [1:0]  s_axi_rresp,
    output wire        s_axi_rvalid,
    input  wire        s_axi_rready,
    input  wire [63:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    output wire [SUMS*32-1:0] m_axis_tdata,
    output wire [SUMS*4-1:0]  m_axis_tkeep,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    output wire        m_axis_tlast
);

    reg  rst;
    wire unused_bits = &{1'b0, s_axi_awaddr[15:8], s_axi_araddr[15:8], s_axi_awprot, s_axi_arprot};

    assign m_axis_tkeep = {SUMS*4{1'b1}};

    always @(posedge aclk)
        rst <= ~aresetn;

    zeroskip_core #(
        .LANES(LANES), .FILTERS(FILTERS), .WGS(WGS), .MUX(MUX), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS),
        .SCAN(SCAN), .ENGINE(ENGINE), .WEIGHT_W(WEIGHT_W), .SUB_WGS(SUB_WGS), .PSUMS(PSUMS), .STEALING(STEALING),
        .JOBS(JOBS), .SUMS(SUMS), .CONFIG_HASH(CONFIG_HASH)
    ) core (
        .clk(aclk), .rst(rst),
        .s_axil_awaddr(s_axi_awaddr[7:0]), .s_axil_awvalid(s_axi_awvalid), .s_axil_awready(s_axi_awready),
        .s_axil_wdata(s_axi_wdata), .s_axil_wstrb(s_axi_wstrb), .s_axil_wvalid(s_axi_wvalid),
        .s_axil_wready(s_axi_wready),
        .s_axil_bresp(s_axi_bresp), .s_axil_bvalid(s_axi_bvalid), .s_axil_bready(s_axi_bready),
        .s_axil_araddr(s_axi_araddr[7:0]), .s_axil_arvalid(s_axi_arvalid), .s_axil_arready(s_axi_arready),
        .s_axil_rdata(s_axi_rdata), .s_axil_rresp(s_axi_rresp), .s_axil_rvalid(s_axi_rvalid),
        .s_axil_rready(s_axi_rready),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
        .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
        .m_axis_tlast(m_axis_tlast)
    );

endmodule

`default_nettype wire
