// twin_weights: weights and bank selects of every lane in an issued step.
// Purpose: an entry of the schedule memory is a weight byte and a route: the bank of the lane's operand.
// Licence: MIT.
// Timing: weights and selects are valid five cycles after `step`; the lane count comes one cycle later.
// Formats: docs/streams.md, the twin engine's steps.
`default_nettype none

`include "zeroskip_defs.vh"

module twin_weights #(
    parameter LANES = 8,
    parameter STEPS = 256
) (
    input  wire                             clk,
    // Schedule write port: address is {half, step}.
    input  wire                             we,
    input  wire [$clog2(STEPS):0]           waddr,
    input  wire [LANES*(8+`ZS_TWIN_ROUTE_W)-1:0] wdata,
    // Issued step.
    input  wire                             valid,
    input  wire [$clog2(STEPS):0]           step,
    // Operands of every lane, lane 0 lowest.
    output wire [LANES*8-1:0]               weight,
    output reg  [LANES*`ZS_TWIN_ROUTE_W-1:0] select,
    // Counter increment: lanes with a weight other than zero.
    output wire [$clog2(LANES+1)-1:0]       weights
);

    localparam LANE_W = 8 + `ZS_TWIN_ROUTE_W;

    wire [LANES*LANE_W-1:0]      record;
    wire [LANES*18-1:0]          factor;
    wire [LANES-1:0]             unused_pair;
    wire [$clog2(LANES+1)-1:0]   unused_pairs, unused_singles;

    step_weights #(
        .COUNT(LANES), .ENTRY_W(LANE_W), .ACT_W(9), .STEPS(STEPS)
    ) entries (
        .clk(clk), .we(we), .waddr(waddr), .wdata(wdata), .valid(valid), .step(step),
        .record(record), .two({LANES{1'b0}}), .factor(factor), .pair(unused_pair),
        .pairs(unused_pairs), .singles(unused_singles), .outliers(weights)
    );

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            wire [LANE_W-1:0] entry         = record[l*LANE_W +: LANE_W];
            wire              unused_weight = &{1'b0, entry[7:0]};
            wire              unused_sign   = &{1'b0, factor[l*18+8 +: 10]};

            assign weight[l*8 +: 8] = factor[l*18 +: 8];

            always @(posedge clk)
                select[l*`ZS_TWIN_ROUTE_W +: `ZS_TWIN_ROUTE_W] <= entry[8 +: `ZS_TWIN_ROUTE_W];
        end
    endgenerate

endmodule

`default_nettype wire
