// lane_sums: the MACs of one work group, an accumulator for each, and the adder tree behind them.
// Purpose: a lane adds up its products of a pixel.  At the pixel's end they are captured, and the tree adds those that
//          are not muted: all lanes, where they compute one filter together, or one after the other, where every lane
//          computes a filter of its own.  Cycles without a step add zero: idle lanes have weight zero.
// Licence: MIT.
// Timing: x0, x1, factor and pair of a step in cycle 0, `first` in cycle 4; `capture` in cycle 5 of a pixel's last step,
//         `mute` from cycle 6 on; the sum of what was not muted in cycle t is in `sum` in cycle t + 1 + log2(LANES).
//         One step per cycle.
`default_nettype none

module lane_sums #(
    parameter LANES = 8,
    parameter ACT_W = 9,
    parameter STEPS = 256      // steps of a pixel, at most
) (
    input  wire                   clk,
    input  wire [LANES*ACT_W-1:0] x0,       // lane 0 lowest
    input  wire [LANES*ACT_W-1:0] x1,
    input  wire [LANES*18-1:0]    factor,
    input  wire [LANES-1:0]       pair,
    input  wire                   first,    // the step begins a pixel
    input  wire                   capture,
    input  wire [LANES-1:0]       mute,
    output wire [31:0]            sum
);

    localparam PRODUCT_W = (ACT_W == 9) ? 16 : 24;
    localparam FULL_W    = PRODUCT_W + $clog2(STEPS);
    localparam LANE_W    = (FULL_W < 32) ? FULL_W : 32;   // no sum of a layer exceeds 32 bits
    localparam TOTAL_W   = LANE_W + $clog2(LANES);

    wire [LANES*LANE_W-1:0] terms;
    wire [TOTAL_W-1:0]      total;

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            wire [PRODUCT_W-1:0] product;
            reg  [LANE_W-1:0]    acc, captured, term;

            reconf_mac #(
                .ACT_W(ACT_W)
            ) mac (
                .clk   (clk),
                .x0    (x0[l*ACT_W +: ACT_W]),
                .x1    (x1[l*ACT_W +: ACT_W]),
                .factor(factor[l*18 +: 18]),
                .pair  (pair[l]),
                .y     (product)
            );

            always @(posedge clk) begin
                acc <= (first ? {LANE_W{1'b0}} : acc) + {{(LANE_W-PRODUCT_W){product[PRODUCT_W-1]}}, product};
                if (capture)
                    captured <= acc;
                term <= mute[l] ? {LANE_W{1'b0}} : captured;
            end
            assign terms[l*LANE_W +: LANE_W] = term;
        end

        if (TOTAL_W < 32) begin : g_extend
            assign sum = {{(32-TOTAL_W){total[TOTAL_W-1]}}, total};
        end else begin : g_wrap
            assign sum = total[31:0];
            if (TOTAL_W > 32) begin : g_high
                wire unused_high = &{1'b0, total[TOTAL_W-1:32]};
            end
        end
    endgenerate

    adder_tree #(.TERMS(LANES), .WIDTH(LANE_W)) tree (.clk(clk), .terms(terms), .total(total));

endmodule

`default_nettype wire
