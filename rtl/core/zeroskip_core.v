// zeroskip_core: an engine with its registers: what a board design or a simulation instantiates.
// Purpose: one AXI4-Stream of packets in, one of sums out, one AXI4-Lite register block.  Knows no DMA and no vendor
//          primitive.
// Licence: MIT.
// Timing: s_axis_tready, m_axis_* and all AXI4-Lite outputs depend on registers only.
// Formats: docs/streams.md, docs/registers.md.
`default_nettype none

`include "zeroskip_defs.vh"

module zeroskip_core #(
    parameter        LANES       = 8,      // reconfigurable MACs that meet one column: 4, 8, 16
    parameter        FILTERS     = 1,      // filters in lockstep
    parameter        WGS         = 2,      // work groups
    parameter        MUX         = 8,      // inputs of an activation selector: 4, 8, 12, 16
    parameter        ACT_W       = 9,      // activation bits: 9, 16
    parameter        COLUMNS     = 512,    // activation columns per work group, a power of two
    parameter        STEPS       = 256,    // steps per half of the schedule memory, a power of two
    parameter        SCAN        = 4,      // steps the online scheduler examines per cycle
    parameter        ENGINE      = 1,      // 1: trident, 2: zena, 3: gather, 4: twin
    parameter        WEIGHT_W    = 8,      // zena: weight bits: 16, 8, 5 (LogQuant)
    parameter        SUB_WGS     = 1,      // zena: sub-WGs
    parameter        PSUMS       = 128,    // zena: partial sums per PE, a power of two
    parameter        STEALING    = 0,    // zena: idle sub-WGs take jobs of busy ones: 0, 1
    parameter        JOBS        = 2,    // zena: kernel tiles each PE holds: 2, 3
    parameter        SUMS        = 2,      // sums of an output beat: 2; trident, gather: also 4, 8
    parameter [31:0] CONFIG_HASH = 32'd0   // identifies the build
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

    localparam REFS = (ENGINE >= 3) ? 2 * LANES : MUX / 4 + 1;   // columns (or banks) that a step can refer to

    initial begin
        if (LANES != 4 && LANES != 8 && LANES != 16) begin
            $display("%m: LANES = %0d; accepted: 4, 8, 16", LANES);
            $finish;
        end
        if (MUX != 4 && MUX != 8 && MUX != 12 && MUX != 16) begin
            $display("%m: MUX = %0d; accepted: 4, 8, 12, 16", MUX);
            $finish;
        end
        if (ACT_W != 9 && ACT_W != 16) begin
            $display("%m: ACT_W = %0d; accepted: 9, 16", ACT_W);
            $finish;
        end
        if (SUMS != 2 && (ENGINE == 2 || (SUMS != 4 && SUMS != 8))) begin
            $display("%m: SUMS = %0d; accepted: 2; trident, gather: also 4, 8", SUMS);
            $finish;
        end
        if (ENGINE < 1 || ENGINE > 4) begin
            $display("%m: ENGINE = %0d; accepted: 1 to 4", ENGINE);
            $finish;
        end
    end

    wire        engine_rst, clear, active;
    wire [1:0]  loaded;
    wire        packet;
    wire [3:0]  kind, loader_state, error;
    wire [`ZS_COUNTERS*32-1:0] counts;

    wire [31:0] status = {12'd0, kind, m_axis_tready, m_axis_tvalid, s_axis_tready, s_axis_tvalid,
                          loader_state, error, 1'b0, loaded, active};

    core_registers #(
        .LANES(LANES), .FILTERS(FILTERS), .WGS(WGS), .MUX(MUX), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS),
        .SCAN(SCAN), .ENGINE(ENGINE), .WEIGHT_W(WEIGHT_W), .SUB_WGS(SUB_WGS), .PSUMS(PSUMS), .STEALING(STEALING),
        .JOBS(JOBS), .CONFIG_HASH(CONFIG_HASH)
    ) registers (
        .clk(clk), .rst(rst),
        .s_axil_awaddr(s_axil_awaddr), .s_axil_awvalid(s_axil_awvalid), .s_axil_awready(s_axil_awready),
        .s_axil_wdata(s_axil_wdata), .s_axil_wstrb(s_axil_wstrb), .s_axil_wvalid(s_axil_wvalid),
        .s_axil_wready(s_axil_wready),
        .s_axil_bresp(s_axil_bresp), .s_axil_bvalid(s_axil_bvalid), .s_axil_bready(s_axil_bready),
        .s_axil_araddr(s_axil_araddr), .s_axil_arvalid(s_axil_arvalid), .s_axil_arready(s_axil_arready),
        .s_axil_rdata(s_axil_rdata), .s_axil_rresp(s_axil_rresp), .s_axil_rvalid(s_axil_rvalid),
        .s_axil_rready(s_axil_rready),
        .engine_rst(engine_rst), .clear(clear), .status(status), .counts(counts)
    );

    wire busy, blocked, finished, step;
    wire [$clog2(SCAN+1)-1:0]           dead_steps;
    wire [$clog2(REFS+1)-1:0]           columns;
    wire [$clog2(SCAN*REFS+1)-1:0]      columns_skipped;
    wire [$clog2(FILTERS*LANES+1)-1:0]  pairs, singles, outliers;
    wire engine_ready;

    assign s_axis_tready = engine_ready & ~engine_rst;

    wire [$clog2(FILTERS*WGS+1)-1:0]    multiplies, empty_chunks, barrier_wait;

    generate
        if (ENGINE == 1) begin : g_trident
            trident_engine #(
                .LANES(LANES), .FILTERS(FILTERS), .WGS(WGS), .MUX(MUX), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS),
                .SCAN(SCAN), .SUMS(SUMS)
            ) engine (
                .clk(clk), .rst(engine_rst),
                .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid & ~engine_rst), .s_axis_tready(engine_ready),
                .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
                .m_axis_tlast(m_axis_tlast),
                .loaded(loaded), .packet(packet), .kind(kind), .loader_state(loader_state), .error(error),
                .busy(busy), .blocked(blocked), .finished(finished), .step(step),
                .dead_steps(dead_steps), .columns(columns), .columns_skipped(columns_skipped),
                .pairs(pairs), .singles(singles), .outliers(outliers)
            );
        end

        if (ENGINE == 3) begin : g_gather
            gather_engine #(
                .LANES(LANES), .WGS(WGS), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS), .SCAN(SCAN),
                .SUMS(SUMS)
            ) engine (
                .clk(clk), .rst(engine_rst),
                .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid & ~engine_rst), .s_axis_tready(engine_ready),
                .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
                .m_axis_tlast(m_axis_tlast),
                .loaded(loaded), .packet(packet), .kind(kind), .loader_state(loader_state), .error(error),
                .busy(busy), .blocked(blocked), .finished(finished), .step(step),
                .dead_steps(dead_steps), .columns(columns), .columns_skipped(columns_skipped),
                .pairs(pairs), .singles(singles), .outliers(outliers)
            );
        end

        if (ENGINE == 4) begin : g_twin
            twin_engine #(
                .LANES(LANES), .WGS(WGS), .COLUMNS(COLUMNS), .STEPS(STEPS), .SCAN(SCAN), .SUMS(SUMS)
            ) engine (
                .clk(clk), .rst(engine_rst),
                .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid & ~engine_rst), .s_axis_tready(engine_ready),
                .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
                .m_axis_tlast(m_axis_tlast),
                .loaded(loaded), .packet(packet), .kind(kind), .loader_state(loader_state), .error(error),
                .busy(busy), .blocked(blocked), .finished(finished), .step(step),
                .dead_steps(dead_steps), .columns(columns), .columns_skipped(columns_skipped),
                .weights(outliers)
            );

            assign pairs   = {$clog2(FILTERS*LANES+1){1'b0}};
            assign singles = {$clog2(FILTERS*LANES+1){1'b0}};
        end

        if (ENGINE != 2) begin : g_scheduled
            assign multiplies   = {$clog2(FILTERS*WGS+1){1'b0}};
            assign empty_chunks = {$clog2(FILTERS*WGS+1){1'b0}};
            assign barrier_wait = {$clog2(FILTERS*WGS+1){1'b0}};
        end

        if (ENGINE == 2) begin : g_zena
            zena_engine #(
                .FILTERS(FILTERS), .WGS(WGS), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS), .WEIGHT_W(WEIGHT_W),
                .SUB_WGS(SUB_WGS), .PSUMS(PSUMS), .STEALING(STEALING), .JOBS(JOBS)
            ) engine (
                .clk(clk), .rst(engine_rst), .running(active),
                .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid & ~engine_rst), .s_axis_tready(engine_ready),
                .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
                .m_axis_tlast(m_axis_tlast),
                .loaded(loaded), .packet(packet), .kind(kind), .loader_state(loader_state), .error(error),
                .busy(busy), .blocked(blocked), .finished(finished),
                .multiplies(multiplies), .empty_chunks(empty_chunks), .barrier_wait(barrier_wait)
            );

            assign step            = 1'b0;
            assign dead_steps      = {$clog2(SCAN+1){1'b0}};
            assign columns         = {$clog2(REFS+1){1'b0}};
            assign columns_skipped = {$clog2(SCAN*REFS+1){1'b0}};
            assign pairs           = {$clog2(FILTERS*LANES+1){1'b0}};
            assign singles         = {$clog2(FILTERS*LANES+1){1'b0}};
            assign outliers        = {$clog2(FILTERS*LANES+1){1'b0}};
        end
    endgenerate

    core_counters #(
        .LANES(LANES), .FILTERS(FILTERS), .WGS(WGS), .REFS(REFS), .SCAN(SCAN)
    ) counters (
        .clk(clk), .rst(engine_rst), .clear(clear),
        .beat_in(s_axis_tvalid & s_axis_tready), .beat_out(m_axis_tvalid & m_axis_tready),
        .beat_last(m_axis_tvalid & m_axis_tready & m_axis_tlast),
        .busy(busy), .blocked(blocked), .finished(finished), .step(step),
        .dead_steps(dead_steps), .columns(columns), .columns_skipped(columns_skipped),
        .pairs(pairs), .singles(singles), .outliers(outliers),
        .multiplies(multiplies), .empty_chunks(empty_chunks), .barrier_wait(barrier_wait),
        .packet(packet), .active(active), .counts(counts)
    );

endmodule

`default_nettype wire
