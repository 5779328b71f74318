// gather_engine: a scheduled engine without a window: every operand is read from a bank at an address of its own.
// Purpose: WGS x LANES reconfigurable MACs under one control.  Packets in (activations, schedules with their pixel
//          loops), sums out.  Weights, routes and bank addresses are broadcast over the work groups.
// Licence: MIT.
// Timing: one schedule step per cycle, without bubbles between pixels; nothing stalls behind the issue stage.
// Formats: docs/streams.md.  Structure and pipeline: docs/architecture.md.
`default_nettype none

`include "zeroskip_defs.vh"

module gather_engine #(
    parameter LANES   = 8,
    parameter WGS     = 2,
    parameter ACT_W   = 9,
    parameter COLUMNS = 256,
    parameter STEPS   = 256,
    parameter SCAN    = 2,
    parameter SUMS    = 2        // sums of an output beat
) (
    input  wire        clk,
    input  wire        rst,
    input  wire [63:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    output wire [SUMS*32-1:0] m_axis_tdata,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    output wire        m_axis_tlast,
    // Status.
    output wire [1:0]  loaded,
    output wire        packet,
    output wire [3:0]  kind,
    output wire [3:0]  loader_state,
    output wire [3:0]  error,
    // Events of this cycle, for the counters.
    output wire        busy,
    output wire        blocked,
    output wire        finished,     // the last pixel of the transfer is closed
    output wire        step,
    output wire [$clog2(SCAN+1)-1:0]         dead_steps,
    output wire [$clog2(2*LANES+1)-1:0]      columns,
    output wire [$clog2(SCAN*2*LANES+1)-1:0] columns_skipped,
    output wire [$clog2(LANES+1)-1:0]        pairs,
    output wire [$clog2(LANES+1)-1:0]        singles,
    output wire [$clog2(LANES+1)-1:0]        outliers
);

    localparam BANKS    = 2 * LANES;
    localparam COLUMN_W = $clog2(COLUMNS);
    localparam STEP_W   = $clog2(STEPS);
    localparam WEIGHT_W = LANES * (8 + `ZS_ROUTE_W);
    localparam FAR_W    = WEIGHT_W + BANKS * COLUMN_W;
    localparam NEAR_W   = WEIGHT_W + BANKS * `ZS_NEAR_W + `ZS_NEAR_BASE_W;
    localparam RAW_W    = (FAR_W > NEAR_W) ? FAR_W : NEAR_W;
    localparam BEATS    = (WGS + SUMS - 1) / SUMS;
    localparam BEATS_W  = $clog2(BEATS + 1);
    localparam PIXEL_W  = $clog2(LANES * BEATS + 1);
    localparam DRAIN_DEPTH = (LANES * BEATS <= 32) ? 64 : 2 << $clog2(LANES * BEATS);
    localparam GROUP    = 4;                            // work groups that share block RAMs
    localparam GROUPS   = (WGS + GROUP - 1) / GROUP;

    // ---- control ---------------------------------------------------------------------------------
    wire [WGS-1:0]                  column_we;
    wire [COLUMN_W-1:0]             column_addr;
    wire [BANKS*ACT_W-1:0]          column_data;
    wire [RAW_W-1:0]                raw_data;
    wire                            raw_near;
    wire [BANKS*(COLUMN_W+1)-1:0]   fetch;
    wire [WEIGHT_W-1:0]             step_weights;
    wire                            step_we;
    wire [STEP_W:0]                 step_addr;
    wire                            can_close, closes, apart, odd;
    wire [BEATS_W-1:0]              beats;
    wire [PIXEL_W-1:0]              pixel_beats;
    wire                            i_valid, i_first;
    wire [STEP_W:0]                 i_step;
    wire [BANKS-1:0]                unused_refs;        // an address is read whether it is referred to or not
    wire [BANKS*COLUMN_W-1:0]       i_addr;

    assign step = i_valid;

    step_control #(
        .ACTS(BANKS), .FILTERS(1), .WGS(WGS), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS), .SCAN(SCAN),
        .REFS(BANKS), .FLAGS(BANKS), .RAW_W(RAW_W), .NEAR_BEATS((NEAR_W + 63) / 64), .UNPACK(2),
        .SUMS(SUMS), .PASSES(LANES)
    ) control (
        .clk(clk), .rst(rst),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
        .loaded(loaded), .packet(packet), .kind(kind), .loader_state(loader_state), .error(error),
        .column_we(column_we), .column_addr(column_addr), .column_data(column_data),
        .raw_data(raw_data), .raw_near(raw_near), .fetch(fetch), .step_we(step_we), .step_addr(step_addr),
        .can_close(can_close),
        .busy(busy), .blocked(blocked), .closes(closes), .finished(finished),
        .apart(apart), .odd(odd), .beats(beats), .pixel_beats(pixel_beats),
        .valid(i_valid), .first(i_first), .step(i_step), .refs(unused_refs), .addr(i_addr),
        .dead_steps(dead_steps), .columns(columns), .columns_skipped(columns_skipped)
    );

    gather_unpack #(
        .LANES(LANES), .COLUMNS(COLUMNS), .RAW_W(RAW_W)
    ) unpack (
        .clk(clk), .near(raw_near), .raw(raw_data), .fetch(fetch), .weights(step_weights)
    );

    // ---- operands (cycle 5), factors a cycle later -----------------------------------------------
    wire [LANES*18-1:0]       factor_5, factor_6;
    wire [LANES-1:0]          pair_5, pair_6, select0;
    wire [LANES*2-1:0]        select1;
    wire [BANKS*COLUMN_W-1:0] addr_2;
    wire                      first_10, capture;
    wire [LANES-1:0]          mute;

    gather_weights #(
        .LANES(LANES), .ACT_W(ACT_W), .STEPS(STEPS)
    ) weights (
        .clk(clk),
        .we(step_we), .waddr(step_addr), .wdata(step_weights),
        .valid(i_valid), .step(i_step),
        .factor(factor_5), .pair(pair_5), .select0(select0), .select1(select1),
        .pairs(pairs), .singles(singles), .outliers(outliers)
    );

    delay #(.WIDTH(LANES), .STAGES(1))            pair_delay   (.clk(clk), .d(pair_5),   .q(pair_6));
    delay #(.WIDTH(LANES * 18), .STAGES(1))       factor_delay (.clk(clk), .d(factor_5), .q(factor_6));
    delay #(.WIDTH(BANKS * COLUMN_W), .STAGES(2)) addr_delay   (.clk(clk), .d(i_addr),   .q(addr_2));
    delay #(.WIDTH(1), .STAGES(10))               first_delay  (.clk(clk), .d(i_first),  .q(first_10));

    // ---- work groups -----------------------------------------------------------------------------
    wire [WGS*32-1:0] sums;

    genvar g;
    generate
        for (g = 0; g < GROUPS; g = g + 1) begin : g_group
            localparam AT   = g * GROUP;
            localparam SIZE = (WGS - AT < GROUP) ? WGS - AT : GROUP;

            gather_group #(
                .LANES(LANES), .WGS(SIZE), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS)
            ) group (
                .clk(clk),
                .we(column_we[AT +: SIZE]), .waddr(column_addr), .wdata(column_data),
                .addr(addr_2),
                .select0(select0), .select1(select1), .factor(factor_6), .pair(pair_6),
                .first(first_10), .capture(capture), .mute(mute),
                .sums(sums[AT*32 +: SIZE*32])
            );
        end
    endgenerate

    // ---- drain: the accumulators hold a pixel's sums 13 cycles after the decision ------------------
    wire               close_last, close_apart, close_odd, drain_load, drain_last, drain_odd;
    wire [BEATS_W-1:0] close_beats, drain_beats;

    delay #(
        .WIDTH(4 + BEATS_W), .STAGES(12)
    ) close_delay (
        .clk(clk),
        .d({closes && !rst, finished, apart, odd, beats}),
        .q({capture, close_last, close_apart, close_odd, close_beats})
    );

    pixel_close #(
        .LANES(LANES), .BEATS_W(BEATS_W)
    ) closing (
        .clk(clk), .rst(rst),
        .close(capture), .apart(close_apart), .last(close_last), .odd(close_odd), .beats(close_beats),
        .mute(mute),
        .load(drain_load), .load_last(drain_last), .load_odd(drain_odd), .load_beats(drain_beats)
    );

    sum_drain #(
        .MOST(WGS), .SUMS(SUMS), .PASSES(LANES), .DEPTH(DRAIN_DEPTH)
    ) drain (
        .clk(clk), .rst(rst),
        .can_close(can_close), .reserve(closes), .reserve_beats(pixel_beats),
        .load(drain_load), .last(drain_last), .load_beats(drain_beats), .load_odd(drain_odd), .sums(sums),
        .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
        .m_axis_tlast(m_axis_tlast)
    );

endmodule

`default_nettype wire
