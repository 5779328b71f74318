// twin_pair: two work groups that share their multipliers: operand multiplexers, products, adder trees, accumulators.
// Purpose: computes the sums of one filter for two spatial shares of the input map.  A lane's operand comes from one of
//          its own banks, 2l and 2l + 1, or of the next lane's.  Cycles without a step add zero: idle lanes have weight
//          zero.
// Licence: MIT.
// Timing: counted from the cycle an issued step is registered (cycle 0): activations and selects arrive in cycle 6,
//         weights in 7, `first` in 10 + log2(LANES); `sums` with the step are valid in cycle 12 + log2(LANES).
//         One step per cycle.
`default_nettype none

module twin_pair #(
    parameter LANES = 8,
    parameter STEPS = 256      // steps of a pixel, at most
) (
    input  wire                 clk,
    input  wire [2*LANES*9-1:0] acts_p,    // bank 0 lowest
    input  wire [2*LANES*9-1:0] acts_q,
    input  wire [LANES*2-1:0]   select,    // bank of the operand, from 2l on
    input  wire [LANES*8-1:0]   weight,
    input  wire                 first,     // the step begins a pixel
    output wire [31:0]          sum_p,
    output wire [31:0]          sum_q
);

    localparam LEVELS = $clog2(LANES);
    localparam TREE_W = 16 + LEVELS;
    localparam FULL_W = TREE_W + $clog2(STEPS);
    localparam SUM_W  = (FULL_W < 32) ? FULL_W : 32;   // no sum of a layer exceeds 32 bits

    reg  [LANES*9-1:0]  x_p, x_q;
    wire [LANES*16-1:0] products_p, products_q;
    wire [TREE_W-1:0]   total_p, total_q;
    wire                first_q;           // this pair's copy: it reaches every bit of both accumulators
    reg  [SUM_W-1:0]    acc_p, acc_q;

    broadcast_reg #(.WIDTH(1)) first_copy (.clk(clk), .d(first), .q(first_q));

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            localparam OWN  = 2 * l;
            localparam NEXT = 2 * ((l + 1) % LANES);

            wire [1:0] bank = select[2*l +: 2];

            always @(posedge clk) begin
                x_p[l*9 +: 9] <= bank[1] ? (bank[0] ? acts_p[(NEXT+1)*9 +: 9] : acts_p[NEXT*9 +: 9])
                                         : (bank[0] ? acts_p[(OWN+1)*9 +: 9]  : acts_p[OWN*9 +: 9]);
                x_q[l*9 +: 9] <= bank[1] ? (bank[0] ? acts_q[(NEXT+1)*9 +: 9] : acts_q[NEXT*9 +: 9])
                                         : (bank[0] ? acts_q[(OWN+1)*9 +: 9]  : acts_q[OWN*9 +: 9]);
            end

            twin_mac mac (
                .clk(clk), .x_p(x_p[l*9 +: 9]), .x_q(x_q[l*9 +: 9]), .w(weight[l*8 +: 8]),
                .y_p(products_p[l*16 +: 16]), .y_q(products_q[l*16 +: 16])
            );
        end
    endgenerate

    adder_tree #(.TERMS(LANES), .WIDTH(16)) tree_p (.clk(clk), .terms(products_p), .total(total_p));
    adder_tree #(.TERMS(LANES), .WIDTH(16)) tree_q (.clk(clk), .terms(products_q), .total(total_q));

    always @(posedge clk) begin
        acc_p <= (first_q ? {SUM_W{1'b0}} : acc_p) + {{(SUM_W-TREE_W){total_p[TREE_W-1]}}, total_p};
        acc_q <= (first_q ? {SUM_W{1'b0}} : acc_q) + {{(SUM_W-TREE_W){total_q[TREE_W-1]}}, total_q};
    end

    generate
        if (SUM_W < 32) begin : g_extend
            assign sum_p = {{(32-SUM_W){acc_p[SUM_W-1]}}, acc_p};
            assign sum_q = {{(32-SUM_W){acc_q[SUM_W-1]}}, acc_q};
        end else begin : g_whole
            assign sum_p = acc_p;
            assign sum_q = acc_q;
        end
    endgenerate

endmodule

`default_nettype wire
