// dsp_mac: p = (a + d) * b + ROUND, shaped so that synthesis puts all of it into one DSP48E1.
// Purpose: the arithmetic of one MAC at 9-bit activations that holds two numbers: pre-adder, multiplier, rounding add.
// Licence: MIT.
// Timing: p is valid three cycles after a, d and b.  d_zero makes d count as zero.
`default_nettype none

// The hierarchy is kept so that the low zeros of `a` are not optimised into an adder outside the DSP.
(* keep_hierarchy *)
module dsp_mac #(
    parameter signed [42:0] ROUND = 43'sd4096
) (
    input  wire               clk,
    input  wire signed [24:0] a,
    input  wire signed [24:0] d,
    input  wire               d_zero,
    input  wire signed [17:0] b,
    output wire        [42:0] p
);

    reg signed [24:0] a_reg, d_reg;
    reg signed [17:0] b_reg;
    reg signed [42:0] m_reg, p_reg;

    wire signed [24:0] sum = a_reg + d_reg;

    assign p = p_reg;

    always @(posedge clk) begin
        a_reg <= a;
        b_reg <= b;
        m_reg <= sum * b_reg;
        p_reg <= m_reg + ROUND;
    end

    // A reset of this register alone: it becomes the DSP's own.
    always @(posedge clk)
        if (d_zero)
            d_reg <= 25'sd0;
        else
            d_reg <= d;

endmodule

`default_nettype wire
