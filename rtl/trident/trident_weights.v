// trident_weights: weights and activation selects of every lane in an issued step.
// Purpose: an entry of the schedule memory is a weight byte, the pair flag and two selects (AS).
// Licence: MIT.
// Timing: operands are valid five cycles after `step`; the lane counts one cycle later.
// Formats: docs/streams.md, packet RUN.
`default_nettype none

module trident_weights #(
    parameter LANES   = 8,
    parameter FILTERS = 1,
    parameter MUX     = 8,
    parameter ACT_W   = 9,
    parameter STEPS   = 256
) (
    input  wire                                   clk,
    // Schedule write port: address is {half, step}.
    input  wire                                   we,
    input  wire [$clog2(STEPS):0]                 waddr,
    input  wire [FILTERS*LANES*(9+2*$clog2(MUX))-1:0] wdata,
    // Issued step.
    input  wire                                   valid,
    input  wire [$clog2(STEPS):0]                 step,
    // Operands for every lane of every filter, lane 0 of filter 0 lowest.
    output wire [FILTERS*LANES*18-1:0]            factor,
    output wire [FILTERS*LANES-1:0]               pair,
    output reg  [FILTERS*LANES*$clog2(MUX)-1:0]   select0,
    output reg  [FILTERS*LANES*$clog2(MUX)-1:0]   select1,
    // Counter increments.
    output wire [$clog2(FILTERS*LANES+1)-1:0]     pairs,
    output wire [$clog2(FILTERS*LANES+1)-1:0]     singles,
    output wire [$clog2(FILTERS*LANES+1)-1:0]     outliers
);

    localparam COUNT    = FILTERS * LANES;
    localparam SELECT_W = $clog2(MUX);
    localparam LANE_W   = 9 + 2 * SELECT_W;

    wire [COUNT*LANE_W-1:0] record;
    wire [COUNT-1:0]        two;

    step_weights #(
        .COUNT(COUNT), .COPIES(FILTERS), .ENTRY_W(LANE_W), .ACT_W(ACT_W), .STEPS(STEPS)
    ) weights (
        .clk(clk), .we(we), .waddr(waddr), .wdata(wdata), .valid(valid), .step(step),
        .record(record), .two(two), .factor(factor), .pair(pair),
        .pairs(pairs), .singles(singles), .outliers(outliers)
    );

    genvar i;
    generate
        for (i = 0; i < COUNT; i = i + 1) begin : g_lane
            wire [LANE_W-1:0] entry = record[i*LANE_W +: LANE_W];
            wire              unused_weight = &{1'b0, entry[7:0]};

            assign two[i] = entry[8];

            always @(posedge clk) begin
                select0[i*SELECT_W +: SELECT_W] <= entry[9 +: SELECT_W];
                select1[i*SELECT_W +: SELECT_W] <= entry[9 + SELECT_W +: SELECT_W];
            end
        end
    endgenerate

endmodule

`default_nettype wire
