// zeroskip_board: everything in the programmable logic of a PYNQ-Z2, without vendor IP.
// Purpose: top of the vendor-free build: processing system, engine, DMA and the small bridges between them.  The
//          processor reaches the registers through its port M_AXI_GP0, the DMA reaches memory through S_AXI_HP0.
//          The only file with a vendor primitive (PS7); DDR and MIO pins need no fabric and are left alone.
// Licence: MIT.
// Timing: one clock, FCLK_CLK0.
// Registers and addresses: docs/registers.md.
`default_nettype none

module zeroskip_board #(
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
) ();

    wire [3:0]  fclk, fclk_reset_n;
    wire        clk = fclk[0];
    wire        rst;
    wire        unused_clocks = &{1'b0, fclk[3:1], fclk_reset_n[3:1]};

    reset_sync reset (.clk(clk), .reset_n(fclk_reset_n[0]), .rst(rst));

    // ---- processing system -----------------------------------------------------------------------
    wire [11:0] gp0_awid, gp0_bid, gp0_arid, gp0_rid;
    wire [31:0] gp0_awaddr, gp0_wdata, gp0_araddr, gp0_rdata;
    wire [3:0]  gp0_awlen, gp0_wstrb, gp0_arlen;
    wire [1:0]  gp0_awsize, gp0_awburst, gp0_bresp, gp0_arsize, gp0_arburst, gp0_rresp;
    wire        gp0_awvalid, gp0_awready, gp0_wvalid, gp0_wready, gp0_bvalid, gp0_bready;
    wire        gp0_arvalid, gp0_arready, gp0_rlast, gp0_rvalid, gp0_rready;

    wire [5:0]  hp0_arid, hp0_awid, hp0_wid;
    wire [31:0] hp0_araddr, hp0_awaddr;
    wire [3:0]  hp0_arlen, hp0_arcache, hp0_arqos, hp0_awlen, hp0_awcache, hp0_awqos;
    wire [1:0]  hp0_arsize, hp0_arburst, hp0_arlock, hp0_awsize, hp0_awburst, hp0_awlock;
    wire [2:0]  hp0_arprot, hp0_awprot;

    wire [31:0] mem_araddr, mem_awaddr;
    wire [7:0]  mem_arlen, mem_awlen, mem_wstrb;
    wire [2:0]  mem_arsize, mem_awsize;
    wire [1:0]  mem_arburst, mem_awburst, mem_rresp, mem_bresp;
    wire [63:0] mem_rdata, mem_wdata;
    wire        mem_arvalid, mem_arready, mem_rlast, mem_rvalid, mem_rready;
    wire        mem_awvalid, mem_awready, mem_wlast, mem_wvalid, mem_wready, mem_bvalid, mem_bready;
    wire        mm2s_introut, s2mm_introut;

    PS7 ps7 (
        .FCLKCLK(fclk), .FCLKRESETN(fclk_reset_n), .IRQF2P({18'd0, s2mm_introut, mm2s_introut}),
        .MAXIGP0ACLK(clk),
        .MAXIGP0AWID(gp0_awid), .MAXIGP0AWADDR(gp0_awaddr), .MAXIGP0AWLEN(gp0_awlen), .MAXIGP0AWSIZE(gp0_awsize),
        .MAXIGP0AWBURST(gp0_awburst), .MAXIGP0AWVALID(gp0_awvalid), .MAXIGP0AWREADY(gp0_awready),
        .MAXIGP0WDATA(gp0_wdata), .MAXIGP0WSTRB(gp0_wstrb), .MAXIGP0WVALID(gp0_wvalid), .MAXIGP0WREADY(gp0_wready),
        .MAXIGP0BID(gp0_bid), .MAXIGP0BRESP(gp0_bresp), .MAXIGP0BVALID(gp0_bvalid), .MAXIGP0BREADY(gp0_bready),
        .MAXIGP0ARID(gp0_arid), .MAXIGP0ARADDR(gp0_araddr), .MAXIGP0ARLEN(gp0_arlen), .MAXIGP0ARSIZE(gp0_arsize),
        .MAXIGP0ARBURST(gp0_arburst), .MAXIGP0ARVALID(gp0_arvalid), .MAXIGP0ARREADY(gp0_arready),
        .MAXIGP0RID(gp0_rid), .MAXIGP0RDATA(gp0_rdata), .MAXIGP0RRESP(gp0_rresp), .MAXIGP0RLAST(gp0_rlast),
        .MAXIGP0RVALID(gp0_rvalid), .MAXIGP0RREADY(gp0_rready),
        .SAXIHP0ACLK(clk), .SAXIHP0RDISSUECAP1EN(1'b0), .SAXIHP0WRISSUECAP1EN(1'b0),
        .SAXIHP0ARID(hp0_arid), .SAXIHP0ARADDR(hp0_araddr), .SAXIHP0ARLEN(hp0_arlen), .SAXIHP0ARSIZE(hp0_arsize),
        .SAXIHP0ARBURST(hp0_arburst), .SAXIHP0ARLOCK(hp0_arlock), .SAXIHP0ARCACHE(hp0_arcache),
        .SAXIHP0ARPROT(hp0_arprot), .SAXIHP0ARQOS(hp0_arqos), .SAXIHP0ARVALID(mem_arvalid),
        .SAXIHP0ARREADY(mem_arready), .SAXIHP0RDATA(mem_rdata), .SAXIHP0RRESP(mem_rresp), .SAXIHP0RLAST(mem_rlast),
        .SAXIHP0RVALID(mem_rvalid), .SAXIHP0RREADY(mem_rready),
        .SAXIHP0AWID(hp0_awid), .SAXIHP0AWADDR(hp0_awaddr), .SAXIHP0AWLEN(hp0_awlen), .SAXIHP0AWSIZE(hp0_awsize),
        .SAXIHP0AWBURST(hp0_awburst), .SAXIHP0AWLOCK(hp0_awlock), .SAXIHP0AWCACHE(hp0_awcache),
        .SAXIHP0AWPROT(hp0_awprot), .SAXIHP0AWQOS(hp0_awqos), .SAXIHP0AWVALID(mem_awvalid),
        .SAXIHP0AWREADY(mem_awready), .SAXIHP0WID(hp0_wid), .SAXIHP0WDATA(mem_wdata), .SAXIHP0WSTRB(mem_wstrb),
        .SAXIHP0WLAST(mem_wlast), .SAXIHP0WVALID(mem_wvalid), .SAXIHP0WREADY(mem_wready),
        .SAXIHP0BRESP(mem_bresp), .SAXIHP0BVALID(mem_bvalid), .SAXIHP0BREADY(mem_bready)
    );

    // ---- registers: [0] engine, [1] DMA ----------------------------------------------------------
    wire [7:0]  reg_awaddr, reg_araddr;
    wire [31:0] reg_wdata, engine_rdata, dma_rdata;
    wire [1:0]  reg_awvalid, reg_awready, reg_wvalid, reg_wready, reg_bvalid, reg_bready;
    wire [1:0]  reg_arvalid, reg_arready, reg_rvalid, reg_rready;
    wire [1:0]  engine_bresp, engine_rresp, dma_bresp, dma_rresp;

    axi3_axil_bridge to_registers (
        .clk(clk), .rst(rst),
        .s_axi_awid(gp0_awid), .s_axi_awaddr(gp0_awaddr), .s_axi_awlen(gp0_awlen), .s_axi_awsize(gp0_awsize),
        .s_axi_awburst(gp0_awburst), .s_axi_awvalid(gp0_awvalid), .s_axi_awready(gp0_awready),
        .s_axi_wdata(gp0_wdata), .s_axi_wstrb(gp0_wstrb), .s_axi_wvalid(gp0_wvalid), .s_axi_wready(gp0_wready),
        .s_axi_bid(gp0_bid), .s_axi_bresp(gp0_bresp), .s_axi_bvalid(gp0_bvalid), .s_axi_bready(gp0_bready),
        .s_axi_arid(gp0_arid), .s_axi_araddr(gp0_araddr), .s_axi_arlen(gp0_arlen), .s_axi_arsize(gp0_arsize),
        .s_axi_arburst(gp0_arburst), .s_axi_arvalid(gp0_arvalid), .s_axi_arready(gp0_arready),
        .s_axi_rid(gp0_rid), .s_axi_rdata(gp0_rdata), .s_axi_rresp(gp0_rresp), .s_axi_rlast(gp0_rlast),
        .s_axi_rvalid(gp0_rvalid), .s_axi_rready(gp0_rready),
        .m_axil_awaddr(reg_awaddr), .m_axil_awvalid(reg_awvalid), .m_axil_awready(reg_awready),
        .m_axil_wdata(reg_wdata), .m_axil_wvalid(reg_wvalid), .m_axil_wready(reg_wready),
        .m_axil_bresp({dma_bresp, engine_bresp}), .m_axil_bvalid(reg_bvalid), .m_axil_bready(reg_bready),
        .m_axil_araddr(reg_araddr), .m_axil_arvalid(reg_arvalid), .m_axil_arready(reg_arready),
        .m_axil_rdata({dma_rdata, engine_rdata}), .m_axil_rresp({dma_rresp, engine_rresp}),
        .m_axil_rvalid(reg_rvalid), .m_axil_rready(reg_rready)
    );

    // ---- memory ----------------------------------------------------------------------------------
    axi4_axi3_bridge to_memory (
        .s_axi_araddr(mem_araddr), .s_axi_arlen(mem_arlen), .s_axi_arsize(mem_arsize), .s_axi_arburst(mem_arburst),
        .s_axi_awaddr(mem_awaddr), .s_axi_awlen(mem_awlen), .s_axi_awsize(mem_awsize), .s_axi_awburst(mem_awburst),
        .m_axi_arid(hp0_arid), .m_axi_araddr(hp0_araddr), .m_axi_arlen(hp0_arlen), .m_axi_arsize(hp0_arsize),
        .m_axi_arburst(hp0_arburst), .m_axi_arlock(hp0_arlock), .m_axi_arcache(hp0_arcache),
        .m_axi_arprot(hp0_arprot), .m_axi_arqos(hp0_arqos),
        .m_axi_awid(hp0_awid), .m_axi_awaddr(hp0_awaddr), .m_axi_awlen(hp0_awlen), .m_axi_awsize(hp0_awsize),
        .m_axi_awburst(hp0_awburst), .m_axi_awlock(hp0_awlock), .m_axi_awcache(hp0_awcache),
        .m_axi_awprot(hp0_awprot), .m_axi_awqos(hp0_awqos), .m_axi_wid(hp0_wid)
    );

    wire [63:0] in_tdata, out_tdata;
    wire        in_tvalid, in_tready, in_tlast, out_tvalid, out_tready, out_tlast;
    wire        mm2s_start, mm2s_active, s2mm_active;

    // The engine finds packet boundaries by their headers; who runs is for simulation.
    wire        unused_ok = &{1'b0, in_tlast, mm2s_start, mm2s_active, s2mm_active};

    zs_dma dma (
        .clk(clk), .rst(rst),
        .mm2s_start(mm2s_start), .mm2s_active(mm2s_active), .s2mm_active(s2mm_active),
        .mm2s_introut(mm2s_introut), .s2mm_introut(s2mm_introut),
        .s_axil_awaddr(reg_awaddr), .s_axil_awvalid(reg_awvalid[1]), .s_axil_awready(reg_awready[1]),
        .s_axil_wdata(reg_wdata), .s_axil_wstrb(4'hF), .s_axil_wvalid(reg_wvalid[1]),
        .s_axil_wready(reg_wready[1]),
        .s_axil_bresp(dma_bresp), .s_axil_bvalid(reg_bvalid[1]), .s_axil_bready(reg_bready[1]),
        .s_axil_araddr(reg_araddr), .s_axil_arvalid(reg_arvalid[1]), .s_axil_arready(reg_arready[1]),
        .s_axil_rdata(dma_rdata), .s_axil_rresp(dma_rresp), .s_axil_rvalid(reg_rvalid[1]),
        .s_axil_rready(reg_rready[1]),
        .m_axi_araddr(mem_araddr), .m_axi_arlen(mem_arlen), .m_axi_arsize(mem_arsize), .m_axi_arburst(mem_arburst),
        .m_axi_arvalid(mem_arvalid), .m_axi_arready(mem_arready), .m_axi_rdata(mem_rdata), .m_axi_rresp(mem_rresp),
        .m_axi_rlast(mem_rlast), .m_axi_rvalid(mem_rvalid), .m_axi_rready(mem_rready),
        .m_axi_awaddr(mem_awaddr), .m_axi_awlen(mem_awlen), .m_axi_awsize(mem_awsize), .m_axi_awburst(mem_awburst),
        .m_axi_awvalid(mem_awvalid), .m_axi_awready(mem_awready), .m_axi_wdata(mem_wdata), .m_axi_wstrb(mem_wstrb),
        .m_axi_wlast(mem_wlast), .m_axi_wvalid(mem_wvalid), .m_axi_wready(mem_wready), .m_axi_bresp(mem_bresp),
        .m_axi_bvalid(mem_bvalid), .m_axi_bready(mem_bready),
        .s_axis_tdata(out_tdata), .s_axis_tvalid(out_tvalid), .s_axis_tready(out_tready), .s_axis_tlast(out_tlast),
        .m_axis_tdata(in_tdata), .m_axis_tvalid(in_tvalid), .m_axis_tready(in_tready), .m_axis_tlast(in_tlast)
    );

    // ---- engine ----------------------------------------------------------------------------------
    zeroskip_core #(
        .LANES(LANES), .FILTERS(FILTERS), .WGS(WGS), .MUX(MUX), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS),
        .SCAN(SCAN), .ENGINE(ENGINE), .WEIGHT_W(WEIGHT_W), .SUB_WGS(SUB_WGS), .PSUMS(PSUMS), .STEALING(STEALING),
        .JOBS(JOBS), .CONFIG_HASH(CONFIG_HASH)
    ) core (
        .clk(clk), .rst(rst),
        .s_axil_awaddr(reg_awaddr), .s_axil_awvalid(reg_awvalid[0]), .s_axil_awready(reg_awready[0]),
        .s_axil_wdata(reg_wdata), .s_axil_wstrb(4'hF), .s_axil_wvalid(reg_wvalid[0]),
        .s_axil_wready(reg_wready[0]),
        .s_axil_bresp(engine_bresp), .s_axil_bvalid(reg_bvalid[0]), .s_axil_bready(reg_bready[0]),
        .s_axil_araddr(reg_araddr), .s_axil_arvalid(reg_arvalid[0]), .s_axil_arready(reg_arready[0]),
        .s_axil_rdata(engine_rdata), .s_axil_rresp(engine_rresp), .s_axil_rvalid(reg_rvalid[0]),
        .s_axil_rready(reg_rready[0]),
        .s_axis_tdata(in_tdata), .s_axis_tvalid(in_tvalid), .s_axis_tready(in_tready),
        .m_axis_tdata(out_tdata), .m_axis_tvalid(out_tvalid), .m_axis_tready(out_tready), .m_axis_tlast(out_tlast)
    );

endmodule

`default_nettype wire
