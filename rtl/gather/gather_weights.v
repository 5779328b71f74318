// gather_weights: the weight half of the schedule memory, and what it says of each lane.
// Purpose: turns the record of an issued step into multiplier operands, pair flags and bank selects, and counts what
//          the lanes do.  A cycle without a step reads as all-idle lanes.
// Licence: MIT.
// Timing: operands are valid five cycles after `step`; the lane counts with them.
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

    // Address register, RAM, output register, one plain register: block RAM outputs are slow to route.
    reg  [$clog2(STEPS):0]       raddr;
    wire [LANES*LANE_W-1:0]      ram_q;
    reg  [LANES*LANE_W-1:0]      record;
    wire                         record_valid;

    sdp_ram #(
        .WIDTH(LANES * LANE_W),
        .DEPTH(2 * STEPS)
    ) ram (
        .clk  (clk),
        .we   (we),
        .waddr(waddr),
        .wdata(wdata),
        .raddr(raddr),
        .rdata(ram_q)
    );

    delay #(.WIDTH(1), .STAGES(4)) valid_delay (.clk(clk), .d(valid), .q(record_valid));

    always @(posedge clk) begin
        raddr  <= step;
        record <= ram_q;
    end

    wire [LANES-1:0] is_pair, is_single, is_outlier;

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            wire [LANE_W-1:0]      entry  = record[l*LANE_W +: LANE_W];
            wire [`ZS_ROUTE_W-1:0] route  = entry[8 +: `ZS_ROUTE_W];

            always @(posedge clk) begin
                select0[l]        <= FIRST[route];
                select1[2*l +: 2] <= SECOND[{route, 1'b0} +: 2];
            end

            lane_operand #(
                .ACT_W(ACT_W)
            ) operand (
                .clk(clk),
                .weight(record_valid ? entry[7:0] : 8'd0), .two(PAIR[route]),
                .factor(factor[l*18 +: 18]), .pair(pair[l]),
                .is_pair(is_pair[l]), .is_single(is_single[l]), .is_outlier(is_outlier[l])
            );
        end
    endgenerate

    popcount #(.WIDTH(LANES)) count_pairs    (.bits(is_pair),    .count(pairs));
    popcount #(.WIDTH(LANES)) count_singles  (.bits(is_single),  .count(singles));
    popcount #(.WIDTH(LANES)) count_outliers (.bits(is_outlier), .count(outliers));

endmodule

`default_nettype wire
