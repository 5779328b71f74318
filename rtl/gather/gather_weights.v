// gather_weights: weights and bank selects of every lane in an issued step.
// Purpose: an entry of the schedule memory is a weight byte and a route, which says where its operands come from.
// Licence: MIT.
// Timing: operands are valid five cycles after `step`; the lane counts one cycle later.
// Formats: docs/streams.md, the gather engine's steps.
`default_nettype none

`include "zeroskip_defs.vh"

module gather_weights #(
    parameter LANES = 8,
    parameter ACT_W = 9,
    parameter STEPS = 256
) (
    input  wire                               clk,
    // Schedule write port: address is {half, step}.
    input  wire                               we,
    input  wire [$clog2(STEPS):0]             waddr,
    input  wire [LANES*(8+`ZS_ROUTE_W)-1:0]   wdata,
    // Issued step.
    input  wire                               valid,
    input  wire [$clog2(STEPS):0]             step,
    // Operands of every lane, lane 0 lowest; selects count banks from the lane's first.
    output wire [LANES*18-1:0]                factor,
    output wire [LANES-1:0]                   pair,
    output reg  [LANES-1:0]                   select0,
    output reg  [LANES*2-1:0]                 select1,
    // Counter increments.
    output wire [$clog2(LANES+1)-1:0]         pairs,
    output wire [$clog2(LANES+1)-1:0]         singles,
    output wire [$clog2(LANES+1)-1:0]         outliers
);

    localparam LANE_W = 8 + `ZS_ROUTE_W;
    localparam [7:0]  FIRST  = `ZS_ROUTE_FIRST;
    localparam [15:0] SECOND = `ZS_ROUTE_SECOND;
    localparam [7:0]  PAIR   = `ZS_ROUTE_PAIR;

    wire [LANES*LANE_W-1:0] record;
    wire [LANES-1:0]        two;

    step_weights #(
        .COUNT(LANES), .ENTRY_W(LANE_W), .ACT_W(ACT_W), .STEPS(STEPS)
    ) weights (
        .clk(clk), .we(we), .waddr(waddr), .wdata(wdata), .valid(valid), .step(step),
        .record(record), .two(two), .factor(factor), .pair(pair),
        .pairs(pairs), .singles(singles), .outliers(outliers)
    );

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            wire [LANE_W-1:0]      entry = record[l*LANE_W +: LANE_W];
            wire [`ZS_ROUTE_W-1:0] route = entry[8 +: `ZS_ROUTE_W];
            wire                   unused_weight = &{1'b0, entry[7:0]};

            assign two[l] = PAIR[route];

            always @(posedge clk) begin
                select0[l]        <= FIRST[route];
                select1[2*l +: 2] <= SECOND[{route, 1'b0} +: 2];
            end
        end
    endgenerate

endmodule

`default_nettype wire
