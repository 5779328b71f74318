// gather_wg: one work group: operand multiplexers, MACs and what adds up their products.
// Purpose: computes the sums of one filter, or of one per lane, for one spatial share of the input map; all work groups get the same control.
//          A lane's own banks are 2l and 2l + 1; its second operand may come from the next lane's.
// Licence: MIT.
// Timing: counted from the cycle an issued step is registered (cycle 0): activations and selects arrive in cycle 6,
//         factors in 7, `first` in 10; with a pixel's last step `capture` in 11 and `mute` from 12 on; the sum of what
//         was not muted in cycle t is in `sum` in cycle t + 2 + log2(LANES).
`default_nettype none

module gather_wg #(
    parameter LANES = 8,
    parameter ACT_W = 9,
    parameter STEPS = 256
) (
    input  wire                     clk,
    input  wire [2*LANES*ACT_W-1:0] acts,      // bank 0 lowest
    input  wire [LANES-1:0]         select0,   // bank of the first operand, from 2l on
    input  wire [LANES*2-1:0]       select1,   // bank of the second operand, from 2l on: 1 to 3
    input  wire [LANES*18-1:0]      factor,
    input  wire [LANES-1:0]         pair,
    input  wire                     first,
    input  wire                     capture,
    input  wire [LANES-1:0]         mute,
    output wire [31:0]              sum
);

    reg [LANES*ACT_W-1:0] x0, x1;

    genvar l;
    generate
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            localparam OWN  = 2 * l;
            localparam NEXT = 2 * ((l + 1) % LANES);

            wire [ACT_W-1:0] bank_0 = acts[OWN*ACT_W +: ACT_W];
            wire [ACT_W-1:0] bank_1 = acts[(OWN+1)*ACT_W +: ACT_W];
            wire [ACT_W-1:0] bank_2 = acts[NEXT*ACT_W +: ACT_W];
            wire [ACT_W-1:0] bank_3 = acts[(NEXT+1)*ACT_W +: ACT_W];

            always @(posedge clk) begin
                x0[l*ACT_W +: ACT_W] <= select0[l] ? bank_1 : bank_0;
                x1[l*ACT_W +: ACT_W] <= !select1[2*l+1] ? bank_1 : select1[2*l] ? bank_3 : bank_2;
            end
        end
    endgenerate

    // This work group's copies: each reaches every bit of the accumulators.
    wire             first_q, capture_q;
    wire [LANES-1:0] mute_q;

    broadcast_reg #(.WIDTH(1))     first_copy   (.clk(clk), .d(first),   .q(first_q));
    broadcast_reg #(.WIDTH(1))     capture_copy (.clk(clk), .d(capture), .q(capture_q));
    broadcast_reg #(.WIDTH(LANES)) mute_copy    (.clk(clk), .d(mute),    .q(mute_q));

    lane_sums #(
        .LANES(LANES), .ACT_W(ACT_W), .STEPS(STEPS)
    ) lanes (
        .clk(clk), .x0(x0), .x1(x1), .factor(factor), .pair(pair),
        .first(first_q), .capture(capture_q), .mute(mute_q), .sum(sum)
    );

endmodule

`default_nettype wire
