// trident_weights: the weight half of the schedule memory, and what it says of each lane.
// Purpose: turns the record of an issued step into multiplier operands, pair flags and activation selects,
//          and counts what the lanes do.  A cycle without a step reads as all-idle lanes.
// Licence: MIT.
// Timing: operands are valid STAGES = 5 cycles after `step`; the lane counts two cycles later.
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

    // Address register, RAM, output register, one plain register: block RAM outputs are slow to route.
    reg  [$clog2(STEPS):0]       raddr;
    wire [COUNT*LANE_W-1:0]      ram_q;
    reg  [COUNT*LANE_W-1:0]      record;
    wire                         valid_3;

    sdp_ram #(
        .WIDTH(COUNT * LANE_W),
        .DEPTH(2 * STEPS)
    ) ram (
        .clk  (clk),
        .we   (we),
        .waddr(waddr),
        .wdata(wdata),
        .raddr(raddr),
        .rdata(ram_q)
    );

    delay #(.WIDTH(1), .STAGES(3)) valid_delay (.clk(clk), .d(valid), .q(valid_3));

    always @(posedge clk) begin
        raddr  <= step;
        record <= ram_q;
    end

    wire [COUNT-1:0] is_pair, is_single, is_outlier;

    genvar m, l;
    generate
        for (m = 0; m < FILTERS; m = m + 1) begin : g_filter
            wire record_valid;

            broadcast_reg #(.WIDTH(1)) valid_copy (.clk(clk), .d(valid_3), .q(record_valid));

            for (l = 0; l < LANES; l = l + 1) begin : g_lane
                localparam AT = m * LANES + l;
                wire [LANE_W-1:0] entry = record[AT*LANE_W +: LANE_W];

                lane_operand #(
                    .ACT_W(ACT_W)
                ) operand (
                    .clk(clk), .weight(record_valid ? entry[7:0] : 8'd0), .two(entry[8]),
                    .factor(factor[AT*18 +: 18]), .pair(pair[AT]),
                    .is_pair(is_pair[AT]), .is_single(is_single[AT]), .is_outlier(is_outlier[AT])
                );

                always @(posedge clk) begin
                    select0[AT*SELECT_W +: SELECT_W] <= entry[9 +: SELECT_W];
                    select1[AT*SELECT_W +: SELECT_W] <= entry[9 + SELECT_W +: SELECT_W];
                end
            end
        end
    endgenerate

    popcount_reg #(.WIDTH(COUNT)) count_pairs    (.clk(clk), .bits(is_pair),    .count(pairs));
    popcount_reg #(.WIDTH(COUNT)) count_singles  (.clk(clk), .bits(is_single),  .count(singles));
    popcount_reg #(.WIDTH(COUNT)) count_outliers (.clk(clk), .bits(is_outlier), .count(outliers));

endmodule

`default_nettype wire
