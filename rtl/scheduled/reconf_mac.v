// reconf_mac: the reconfigurable multiplier of one lane (Kang et al., section III-A and figure 2b).
// Purpose: y = x0*n0 + x1*n1 for two non-outlier weights (pair = 1), or x0*w for one outlier.
//          At ACT_W = 9 this is one 25x18 multiplier: A = x1 + x0*2^13, B = n0 + n1*2^13, and the field
//          (A*B + 4096) >> 13 holds the sum; an outlier uses the same field with x1 left out.
//          Valid for activations in [-255, 255]; -256 must not occur.  At ACT_W = 16 it is two multipliers.
// Licence: MIT.
// Timing: y is valid four cycles after x0 and x1; the weight comes as `factor` (see lane_operand).
`default_nettype none

module reconf_mac #(
    parameter ACT_W = 9  // 9 or 16
) (
    input  wire                           clk,
    input  wire [ACT_W-1:0]               x0,      // activation of select 0
    input  wire [ACT_W-1:0]               x1,      // activation of select 1
    input  wire [17:0]                    factor,  // ACT_W 9: B; ACT_W 16: {6'b0, n1, w or n0 in 8 bits}
    input  wire                           pair,
    output reg signed [(ACT_W==9?16:24)-1:0] y
);

    generate
        if (ACT_W == 9) begin : g_one_multiplier
            wire [42:0] p;
            reg  [2:0]  pair_d;

            wire unused_bits = &{1'b0, p[42:29], p[12:0]};

            dsp_mac dsp (
                .clk   (clk),
                .a     ({{3{x0[8]}}, x0, 13'd0}),
                .d     ({{16{x1[8]}}, x1}),
                .d_zero(~pair),
                .b     (factor),
                .p     (p)
            );

            // Above the field of a pair stands x1*n0 (garbage here); an outlier needs those bits.
            always @(posedge clk) begin
                pair_d <= {pair_d[1:0], pair};
                y      <= {pair_d[2] ? {3{p[25]}} : p[28:26], p[25:13]};
            end
        end else begin : g_two_multipliers
            reg signed [ACT_W-1:0] a0, a1;
            reg signed [7:0]       b0, b1;
            reg signed [ACT_W+7:0] m0, m1, p;

            wire unused_bits = &{1'b0, pair, factor[17:12]};

            always @(posedge clk) begin
                a0 <= x0;
                a1 <= x1;
                b0 <= factor[7:0];
                b1 <= {{4{factor[11]}}, factor[11:8]};
                m0 <= a0 * b0;
                m1 <= a1 * b1;
                p  <= m1 + m0;
                y  <= p;
            end
        end
    endgenerate

endmodule

`default_nettype wire
