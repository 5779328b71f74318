// twin_engine: gather's banks, and multipliers that serve two work groups each.
// Purpose: WGS / 2 x LANES multipliers under one control.  Packets in (activations, schedules with their pixel loops),
//          sums out.  Weights, selects and bank addresses are broadcast over the work groups.
// Licence: MIT.
// Timing: one schedule step per cycle, without bubbles between pixels; nothing stalls behind the issue stage.
// Formats: docs/streams.md.  Structure and pipeline: docs/architecture.md.
`default_nettype none

`include "zeroskip_defs.vh"

module twin_engine #(
    parameter LANES   = 8,
    parameter WGS     = 4,       // work groups, an even number
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
    output wire [$clog2(LANES+1)-1:0]        weights       // lanes with a weight other than zero
);

    localparam BANKS    = 2 * LANES;
    localparam COLUMN_W = $clog2(COLUMNS);
    localparam STEP_W   = $clog2(STEPS);
    localparam LEVELS   = $clog2(LANES);
    localparam WEIGHT_W = LANES * (8 + `ZS_TWIN_ROUTE_W);
    localparam FAR_W    = WEIGHT_W + LANES * COLUMN_W;
    localparam NEAR_W   = WEIGHT_W + LANES * `ZS_TWIN_NEAR_W + `ZS_NEAR_BASE_W;
    localparam RAW_W    = (FAR_W > NEAR_W) ? FAR_W : NEAR_W;
    localparam BEATS    = (WGS + SUMS - 1) / SUMS;
    localparam BEATS_W  = $clog2(BEATS + 1);
    localparam DRAIN_DEPTH = (BEATS <= 16) ? 64 : 4 << $clog2(BEATS);
    localparam GROUP    = 8;                            // work groups that share block RAMs
    localparam GROUPS   = (WGS + GROUP - 1) / GROUP;

    initial
        if (WGS % 2 != 0) begin
            $display("%m: WGS = %0d; accepted: even numbers", WGS);
            $finish;
        end

    // ---- control ---------------------------------------------------------------------------------
    wire [WGS-1:0]                  column_we;
    wire [COLUMN_W-1:0]             column_addr;
    wire [BANKS*9-1:0]              column_data;
    wire [RAW_W-1:0]                raw_data;
    wire                            raw_near;
    wire [BANKS*(COLUMN_W+1)-1:0]   fetch;
    wire [WEIGHT_W-1:0]             step_weights;
    wire                            step_we;
    wire [STEP_W:0]                 step_addr;
    wire                            can_close, closes, unused_apart, odd;
    wire [BEATS_W-1:0]              beats, unused_pixel_beats;   // the same: one filter after the other
    wire                            i_first;
    wire [STEP_W:0]                 i_step;
    wire [BANKS-1:0]                unused_refs;        // an address is read whether it is referred to or not
    wire [BANKS*COLUMN_W-1:0]       i_addr;

    step_control #(
        .ACTS(BANKS), .FILTERS(1), .WGS(WGS), .ACT_W(9), .COLUMNS(COLUMNS), .STEPS(STEPS), .SCAN(SCAN),
        .REFS(BANKS), .FLAGS(BANKS), .RAW_W(RAW_W), .NEAR_BEATS((NEAR_W + 63) / 64), .UNPACK(2), .SUMS(SUMS)
    ) control (
        .clk(clk), .rst(rst),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
        .loaded(loaded), .packet(packet), .kind(kind), .loader_state(loader_state), .error(error),
        .column_we(column_we), .column_addr(column_addr), .column_data(column_data),
        .raw_data(raw_data), .raw_near(raw_near), .fetch(fetch), .step_we(step_we), .step_addr(step_addr),
        .can_close(can_close),
        .busy(busy), .blocked(blocked), .closes(closes), .finished(finished),
        .apart(unused_apart), .odd(odd), .beats(beats), .pixel_beats(unused_pixel_beats),
        .valid(step), .first(i_first), .step(i_step), .refs(unused_refs), .addr(i_addr),
        .dead_steps(dead_steps), .columns(columns), .columns_skipped(columns_skipped)
    );

    twin_unpack #(
        .LANES(LANES), .COLUMNS(COLUMNS), .RAW_W(RAW_W)
    ) unpack (
        .clk(clk), .near(raw_near), .raw(raw_data), .fetch(fetch), .weights(step_weights)
    );

    // ---- operands: selects in cycle 5, weights a cycle later -------------------------------------
    wire [LANES*8-1:0]        weight_5, weight_6;
    wire [LANES*2-1:0]        select;
    wire [BANKS*COLUMN_W-1:0] addr_2;
    wire                      first_10;

    twin_weights #(
        .LANES(LANES), .STEPS(STEPS)
    ) lane_weights (
        .clk(clk),
        .we(step_we), .waddr(step_addr), .wdata(step_weights),
        .valid(step), .step(i_step),
        .weight(weight_5), .select(select), .weights(weights)
    );

    delay #(.WIDTH(LANES * 8), .STAGES(1))        weight_delay (.clk(clk), .d(weight_5), .q(weight_6));
    delay #(.WIDTH(BANKS * COLUMN_W), .STAGES(2)) addr_delay   (.clk(clk), .d(i_addr),   .q(addr_2));
    delay #(.WIDTH(1), .STAGES(10 + LEVELS))      first_delay  (.clk(clk), .d(i_first),  .q(first_10));

    // ---- work groups -----------------------------------------------------------------------------
    wire [WGS*32-1:0] sums;

    genvar g;
    generate
        for (g = 0; g < GROUPS; g = g + 1) begin : g_group
            localparam AT   = g * GROUP;
            localparam SIZE = (WGS - AT < GROUP) ? WGS - AT : GROUP;

            twin_group #(
                .LANES(LANES), .WGS(SIZE), .COLUMNS(COLUMNS), .STEPS(STEPS)
            ) group (
                .clk(clk),
                .we(column_we[AT +: SIZE]), .waddr(column_addr), .wdata(column_data),
                .addr(addr_2), .select(select), .weight(weight_6), .first(first_10),
                .sums(sums[AT*32 +: SIZE*32])
            );
        end
    endgenerate

    // ---- drain: 13 + log2(LANES) cycles after the decision the accumulators hold the sums ----------
    wire               drain_load, drain_last, drain_odd;
    wire [BEATS_W-1:0] drain_beats;

    delay #(
        .WIDTH(3 + BEATS_W), .STAGES(12 + LEVELS)
    ) close_delay (
        .clk(clk), .d({closes && !rst, finished, odd, beats}), .q({drain_load, drain_last, drain_odd, drain_beats})
    );

    sum_drain #(
        .MOST(WGS), .SUMS(SUMS), .DEPTH(DRAIN_DEPTH)
    ) drain (
        .clk(clk), .rst(rst),
        .can_close(can_close), .reserve(closes), .reserve_beats(beats),
        .load(drain_load), .last(drain_last), .load_beats(drain_beats), .load_odd(drain_odd), .sums(sums),
        .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
        .m_axis_tlast(m_axis_tlast)
    );

endmodule

`default_nettype wire
