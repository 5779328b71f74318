// core_counters: what an engine did, in the order of the register map.
// Purpose: the one definition of cycles and stalls, shared by all engines: every counted cycle is busy, stall_input or
//          stall_output.  Counting starts with the first input beat and ends with the last sum.
// Licence: MIT.
// Timing: a counter is final four cycles after its last event: all events are registered first, so that no logic of the
//         engine stands before a counter's.
`default_nettype none

`include "zeroskip_defs.vh"

module core_counters #(
    parameter LANES   = 8,
    parameter FILTERS = 1,
    parameter WGS     = 2,
    parameter REFS    = 3,     // columns (gather: banks) that a step can refer to
    parameter SCAN    = 4
) (
    input  wire clk,
    input  wire rst,
    input  wire clear,
    input  wire beat_in,
    input  wire beat_out,
    input  wire beat_last,
    input  wire busy,
    input  wire blocked,
    input  wire finished,
    input  wire step,
    input  wire [$clog2(SCAN+1)-1:0]           dead_steps,
    input  wire [$clog2(REFS+1)-1:0]           columns,
    input  wire [$clog2(SCAN*REFS+1)-1:0]      columns_skipped,
    input  wire [$clog2(FILTERS*LANES+1)-1:0]  pairs,
    input  wire [$clog2(FILTERS*LANES+1)-1:0]  singles,
    input  wire [$clog2(FILTERS*LANES+1)-1:0]  outliers,
    input  wire [$clog2(FILTERS*WGS+1)-1:0]    multiplies,
    input  wire [$clog2(FILTERS*WGS+1)-1:0]    empty_chunks,
    input  wire [$clog2(FILTERS*WGS+1)-1:0]    barrier_wait,
    input  wire packet,
    output reg                                 active,
    output wire [`ZS_COUNTERS*32-1:0]          counts
);

    reg draining;     // the last busy cycle is over

    always @(posedge clk) begin
        if (beat_last)
            active <= 1'b0;
        else if (beat_in)
            active <= 1'b1;
        if (beat_last)
            draining <= 1'b0;
        else if (finished)
            draining <= 1'b1;
        if (rst) begin
            active   <= 1'b0;
            draining <= 1'b0;
        end
    end

    // ---- every event one cycle later -------------------------------------------------------------
    reg counting_q, busy_q, output_side_q, step_q, beat_in_q, beat_out_q, packet_q;
    reg [$clog2(SCAN+1)-1:0]           dead_steps_q;
    reg [$clog2(REFS+1)-1:0]           columns_q;
    reg [$clog2(SCAN*REFS+1)-1:0]      columns_skipped_q;
    reg [$clog2(FILTERS*LANES+1)-1:0]  pairs_q, singles_q, outliers_q;
    reg [$clog2(FILTERS*WGS+1)-1:0]    multiplies_q, empty_chunks_q, barrier_wait_q;

    always @(posedge clk) begin
        counting_q        <= active | beat_in;
        busy_q            <= busy;
        output_side_q     <= blocked | draining;
        step_q            <= step;
        beat_in_q         <= beat_in;
        beat_out_q        <= beat_out;
        packet_q          <= packet;
        dead_steps_q      <= dead_steps;
        columns_q         <= columns;
        columns_skipped_q <= columns_skipped;
        pairs_q           <= pairs;
        singles_q         <= singles;
        outliers_q        <= outliers;
        multiplies_q      <= multiplies;
        empty_chunks_q    <= empty_chunks;
        barrier_wait_q    <= barrier_wait;
    end

    event_counter #(.WIDTH(1)) cycles_counter (
        .clk(clk), .clear(clear), .events(counting_q), .count(counts[`ZS_COUNTER_CYCLES*32 +: 32]));
    event_counter #(.WIDTH(1)) busy_counter (
        .clk(clk), .clear(clear), .events(counting_q & busy_q), .count(counts[`ZS_COUNTER_BUSY*32 +: 32]));
    event_counter #(.WIDTH(1)) stall_input_counter (
        .clk(clk), .clear(clear), .events(counting_q & ~busy_q & ~output_side_q),
        .count(counts[`ZS_COUNTER_STALL_INPUT*32 +: 32]));
    event_counter #(.WIDTH(1)) stall_output_counter (
        .clk(clk), .clear(clear), .events(counting_q & ~busy_q & output_side_q),
        .count(counts[`ZS_COUNTER_STALL_OUTPUT*32 +: 32]));
    event_counter #(.WIDTH(1)) steps_counter (
        .clk(clk), .clear(clear), .events(step_q), .count(counts[`ZS_COUNTER_STEPS*32 +: 32]));
    event_counter #(.WIDTH($clog2(SCAN+1))) dead_steps_counter (
        .clk(clk), .clear(clear), .events(dead_steps_q), .count(counts[`ZS_COUNTER_DEAD_STEPS*32 +: 32]));
    event_counter #(.WIDTH($clog2(REFS+1))) columns_counter (
        .clk(clk), .clear(clear), .events(columns_q), .count(counts[`ZS_COUNTER_COLUMNS*32 +: 32]));
    event_counter #(.WIDTH($clog2(SCAN*REFS+1))) columns_skipped_counter (
        .clk(clk), .clear(clear), .events(columns_skipped_q), .count(counts[`ZS_COUNTER_COLUMNS_SKIPPED*32 +: 32]));
    event_counter #(.WIDTH($clog2(FILTERS*LANES+1))) pairs_counter (
        .clk(clk), .clear(clear), .events(pairs_q), .count(counts[`ZS_COUNTER_PAIRS*32 +: 32]));
    event_counter #(.WIDTH($clog2(FILTERS*LANES+1))) singles_counter (
        .clk(clk), .clear(clear), .events(singles_q), .count(counts[`ZS_COUNTER_SINGLES*32 +: 32]));
    event_counter #(.WIDTH($clog2(FILTERS*LANES+1))) outliers_counter (
        .clk(clk), .clear(clear), .events(outliers_q), .count(counts[`ZS_COUNTER_OUTLIERS*32 +: 32]));
    event_counter #(.WIDTH(1)) beats_in_counter (
        .clk(clk), .clear(clear), .events(beat_in_q), .count(counts[`ZS_COUNTER_BEATS_IN*32 +: 32]));
    event_counter #(.WIDTH(1)) beats_out_counter (
        .clk(clk), .clear(clear), .events(beat_out_q), .count(counts[`ZS_COUNTER_BEATS_OUT*32 +: 32]));
    event_counter #(.WIDTH($clog2(FILTERS*WGS+1))) multiplies_counter (
        .clk(clk), .clear(clear), .events(multiplies_q), .count(counts[`ZS_COUNTER_MULTIPLIES*32 +: 32]));
    event_counter #(.WIDTH($clog2(FILTERS*WGS+1))) empty_chunks_counter (
        .clk(clk), .clear(clear), .events(empty_chunks_q), .count(counts[`ZS_COUNTER_EMPTY_CHUNKS*32 +: 32]));
    event_counter #(.WIDTH($clog2(FILTERS*WGS+1))) barrier_wait_counter (
        .clk(clk), .clear(clear), .events(barrier_wait_q), .count(counts[`ZS_COUNTER_BARRIER_WAIT*32 +: 32]));
    event_counter #(.WIDTH(1)) packets_counter (
        .clk(clk), .clear(clear), .events(packet_q), .count(counts[`ZS_COUNTER_PACKETS*32 +: 32]));

    // ---- span: from the first busy cycle to the latest -------------------------------------------
    reg         started;
    reg  [31:0] since;
    reg  [31:0] span;
    wire [32:0] since_more = {1'b0, since} + 33'd1;
    wire [31:0] since_next = since_more[32] ? 32'hFFFFFFFF : since_more[31:0];

    assign counts[`ZS_COUNTER_SPAN*32 +: 32] = span;

    always @(posedge clk) begin
        if (busy_q)
            started <= 1'b1;
        if (busy_q || started)
            since <= since_next;
        if (busy_q)
            span <= since_next;
        if (clear) begin
            started <= 1'b0;
            since   <= 32'd0;
            span    <= 32'd0;
        end
    end

endmodule

`default_nettype wire
