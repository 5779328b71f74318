// core_counters: what an engine did, in the order of the register map.
// Purpose: the one definition of cycles and stalls, shared by all engines: every counted cycle is busy, stall_input or
//          stall_output.  Counting starts with the first input beat and ends with the last sum.
// Licence: MIT.
// Timing: a counter is final three cycles after its last event.
`default_nettype none

`include "zeroskip_defs.vh"

module core_counters #(
    parameter LANES   = 8,
    parameter FILTERS = 1,
    parameter WGS     = 2,
    parameter MUX     = 8,
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
    input  wire [$clog2(MUX/4+2)-1:0]          columns,
    input  wire [$clog2(SCAN*(MUX/4+1)+1)-1:0] columns_skipped,
    input  wire [$clog2(FILTERS*LANES+1)-1:0]  pairs,
    input  wire [$clog2(FILTERS*LANES+1)-1:0]  singles,
    input  wire [$clog2(FILTERS*LANES+1)-1:0]  outliers,
    input  wire [$clog2(FILTERS*WGS+1)-1:0]    multiplies,
    input  wire [$clog2(FILTERS*WGS+1)-1:0]    empty_chunks,
    input  wire [$clog2(FILTERS*WGS+1)-1:0]    barrier_wait,
    output reg                                 active,
    output wire [`ZS_COUNTERS*32-1:0]          counts
);

    reg draining;     // the last busy cycle is over
    wire counting = active | beat_in;
    wire output_side = blocked | draining;

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

    event_counter #(.WIDTH(1)) cycles_counter (
        .clk(clk), .clear(clear), .events(counting), .count(counts[`ZS_COUNTER_CYCLES*32 +: 32]));
    event_counter #(.WIDTH(1)) busy_counter (
        .clk(clk), .clear(clear), .events(counting & busy), .count(counts[`ZS_COUNTER_BUSY*32 +: 32]));
    event_counter #(.WIDTH(1)) stall_input_counter (
        .clk(clk), .clear(clear), .events(counting & ~busy & ~output_side),
        .count(counts[`ZS_COUNTER_STALL_INPUT*32 +: 32]));
    event_counter #(.WIDTH(1)) stall_output_counter (
        .clk(clk), .clear(clear), .events(counting & ~busy & output_side),
        .count(counts[`ZS_COUNTER_STALL_OUTPUT*32 +: 32]));
    event_counter #(.WIDTH(1)) steps_counter (
        .clk(clk), .clear(clear), .events(step), .count(counts[`ZS_COUNTER_STEPS*32 +: 32]));
    event_counter #(.WIDTH($clog2(SCAN+1))) dead_steps_counter (
        .clk(clk), .clear(clear), .events(dead_steps), .count(counts[`ZS_COUNTER_DEAD_STEPS*32 +: 32]));
    event_counter #(.WIDTH($clog2(MUX/4+2))) columns_counter (
        .clk(clk), .clear(clear), .events(columns), .count(counts[`ZS_COUNTER_COLUMNS*32 +: 32]));
    event_counter #(.WIDTH($clog2(SCAN*(MUX/4+1)+1))) columns_skipped_counter (
        .clk(clk), .clear(clear), .events(columns_skipped), .count(counts[`ZS_COUNTER_COLUMNS_SKIPPED*32 +: 32]));
    event_counter #(.WIDTH($clog2(FILTERS*LANES+1))) pairs_counter (
        .clk(clk), .clear(clear), .events(pairs), .count(counts[`ZS_COUNTER_PAIRS*32 +: 32]));
    event_counter #(.WIDTH($clog2(FILTERS*LANES+1))) singles_counter (
        .clk(clk), .clear(clear), .events(singles), .count(counts[`ZS_COUNTER_SINGLES*32 +: 32]));
    event_counter #(.WIDTH($clog2(FILTERS*LANES+1))) outliers_counter (
        .clk(clk), .clear(clear), .events(outliers), .count(counts[`ZS_COUNTER_OUTLIERS*32 +: 32]));
    event_counter #(.WIDTH(1)) beats_in_counter (
        .clk(clk), .clear(clear), .events(beat_in), .count(counts[`ZS_COUNTER_BEATS_IN*32 +: 32]));
    event_counter #(.WIDTH(1)) beats_out_counter (
        .clk(clk), .clear(clear), .events(beat_out), .count(counts[`ZS_COUNTER_BEATS_OUT*32 +: 32]));


    event_counter #(.WIDTH($clog2(FILTERS*WGS+1))) multiplies_counter (
        .clk(clk), .clear(clear), .events(multiplies), .count(counts[`ZS_COUNTER_MULTIPLIES*32 +: 32]));
    event_counter #(.WIDTH($clog2(FILTERS*WGS+1))) empty_chunks_counter (
        .clk(clk), .clear(clear), .events(empty_chunks), .count(counts[`ZS_COUNTER_EMPTY_CHUNKS*32 +: 32]));
    event_counter #(.WIDTH($clog2(FILTERS*WGS+1))) barrier_wait_counter (
        .clk(clk), .clear(clear), .events(barrier_wait), .count(counts[`ZS_COUNTER_BARRIER_WAIT*32 +: 32]));

    // ---- span: from the first busy cycle to the latest -------------------------------------------
    reg         started;
    reg  [31:0] since;
    reg  [31:0] span;
    wire [31:0] since_next = (since == 32'hFFFFFFFF) ? since : since + 32'd1;

    assign counts[`ZS_COUNTER_SPAN*32 +: 32] = span;

    always @(posedge clk) begin
        if (busy)
            started <= 1'b1;
        if (busy || started)
            since <= since_next;
        if (busy)
            span <= since_next;
        if (clear) begin
            started <= 1'b0;
            since   <= 32'd0;
            span    <= 32'd0;
        end
    end

endmodule

`default_nettype wire
