// lane_operand: what a reconfigurable MAC multiplies with, from a lane's weight byte.
// Purpose: two non-outlier weights (two = 1) or one outlier become the `factor` of reconf_mac; and what the lane does
//          is told to the counters.  An idle lane has weight zero.
// Licence: MIT.
// Timing: all outputs are registers, one cycle after `weight` and `two`.
`default_nettype none

module lane_operand #(
    parameter ACT_W = 9
) (
    input  wire        clk,
    input  wire [7:0]  weight,
    input  wire        two,
    output reg  [17:0] factor,
    output reg         pair,
    output reg         is_pair,      // two weights that are not zero
    output reg         is_single,    // one non-outlier
    output reg         is_outlier
);

    wire [3:0] n0 = weight[3:0];
    wire [3:0] n1 = weight[7:4];

    // A signed low nibble borrows one from the high field.
    wire [4:0] n1_borrowed = {n1[3], n1} - {4'd0, n0[3]};

    always @(posedge clk) begin
        pair       <= two;
        is_pair    <= two & (n0 != 4'd0) & (n1 != 4'd0);
        is_single  <= two & ((n0 != 4'd0) ^ (n1 != 4'd0));
        is_outlier <= ~two & (weight != 8'd0);
    end

    generate
        if (ACT_W == 9) begin : g_one_multiplier
            always @(posedge clk)
                factor <= two ? {n1_borrowed, {9{n0[3]}}, n0} : {{10{weight[7]}}, weight};
        end else begin : g_two_multipliers
            wire unused_bits = &{1'b0, n1_borrowed};
            always @(posedge clk)
                factor <= two ? {6'd0, n1, {4{n0[3]}}, n0} : {10'd0, weight};
        end
    endgenerate

endmodule

`default_nettype wire
