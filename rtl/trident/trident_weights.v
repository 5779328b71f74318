// trident_weights: the weight half of the schedule memory, and what it says of each lane.
// Purpose: turns the record of an issued step into multiplier operands, pair flags and activation selects,
//          and counts what the lanes do.  A cycle without a step reads as all-idle lanes.
// Licence: MIT.
// Timing: operands are valid STAGES = 5 cycles after `step`; the lane counts one cycle later.
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
    output reg  [FILTERS*LANES*18-1:0]            factor,
    output reg  [FILTERS*LANES-1:0]               pair,
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
    wire                         record_valid;

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

    delay #(.WIDTH(1), .STAGES(4)) valid_delay (.clk(clk), .d(valid), .q(record_valid));

    always @(posedge clk) begin
        raddr  <= step;
        record <= ram_q;
    end

    reg [COUNT-1:0] is_pair, is_single, is_outlier;

    genvar i;
    generate
        for (i = 0; i < COUNT; i = i + 1) begin : g_lane
            wire [LANE_W-1:0] entry  = record[i*LANE_W +: LANE_W];
            wire [7:0]        weight = record_valid ? entry[7:0] : 8'd0;
            wire [3:0]        n0     = weight[3:0];
            wire [3:0]        n1     = weight[7:4];
            wire              two    = entry[8];

            // A signed low nibble borrows one from the high field.
            wire [4:0]        n1_borrowed = {n1[3], n1} - {4'd0, n0[3]};

            always @(posedge clk) begin
                pair[i] <= two;
                select0[i*SELECT_W +: SELECT_W] <= entry[9 +: SELECT_W];
                select1[i*SELECT_W +: SELECT_W] <= entry[9 + SELECT_W +: SELECT_W];
                is_pair[i]    <= two & (n0 != 4'd0) & (n1 != 4'd0);
                is_single[i]  <= two & ((n0 != 4'd0) ^ (n1 != 4'd0));
                is_outlier[i] <= ~two & (weight != 8'd0);
            end

            if (ACT_W == 9) begin : g_factor
                always @(posedge clk)
                    factor[i*18 +: 18] <= two ? {n1_borrowed, {9{n0[3]}}, n0} : {{10{weight[7]}}, weight};
            end else begin : g_factor
                wire unused_bits = &{1'b0, n1_borrowed};
                always @(posedge clk)
                    factor[i*18 +: 18] <= two ? {6'd0, n1, {4{n0[3]}}, n0} : {10'd0, weight};
            end
        end
    endgenerate

    popcount #(.WIDTH(COUNT)) count_pairs    (.bits(is_pair),    .count(pairs));
    popcount #(.WIDTH(COUNT)) count_singles  (.bits(is_single),  .count(singles));
    popcount #(.WIDTH(COUNT)) count_outliers (.bits(is_outlier), .count(outliers));

endmodule

`default_nettype wire
