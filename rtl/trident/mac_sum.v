// mac_sum: the MACs of one filter in one work group, their adder tree and accumulator.
// Purpose: adds up the products of every step of a pixel.  Cycles without a step add zero: idle lanes have weight zero.
// Licence: MIT.
// Timing: x0, x1, factor and pair of a step in cycle 0, `first` in cycle 4 + log2(LANES); `sum` with the step is valid
//         in cycle 5 + log2(LANES).  One step per cycle.
`default_nettype none

module mac_sum #(
    parameter LANES = 8,
    parameter ACT_W = 9
) (
    input  wire                   clk,
    input  wire [LANES*ACT_W-1:0] x0,       // lane 0 lowest
    input  wire [LANES*ACT_W-1:0] x1,
    input  wire [LANES*18-1:0]    factor,
    input  wire [LANES-1:0]       pair,
    input  wire                   first,    // the step begins a pixel
    output reg  [31:0]            sum
);

    localparam LEVELS    = $clog2(LANES);
    localparam PRODUCT_W = (ACT_W == 9) ? 16 : 24;
    localparam TREE_W    = PRODUCT_W + LEVELS;

    wire [LANES*PRODUCT_W-1:0] products;
    wire [TREE_W-1:0]          total;

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            reconf_mac #(
                .ACT_W(ACT_W)
            ) mac (
                .clk   (clk),
                .x0    (x0[l*ACT_W +: ACT_W]),
                .x1    (x1[l*ACT_W +: ACT_W]),
                .factor(factor[l*18 +: 18]),
                .pair  (pair[l]),
                .y     (products[l*PRODUCT_W +: PRODUCT_W])
            );
        end
    endgenerate

    adder_tree #(.TERMS(LANES), .WIDTH(PRODUCT_W)) tree (.clk(clk), .terms(products), .total(total));

    always @(posedge clk)
        sum <= (first ? 32'd0 : sum) + {{(32-TREE_W){total[TREE_W-1]}}, total};

endmodule

`default_nettype wire
