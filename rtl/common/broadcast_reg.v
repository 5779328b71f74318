// broadcast_reg: this consumer's own copy of a broadcast word.
// Purpose: a tree of registers keeps nets short, but synthesis merges registers that always hold the same; it does not
//          look through the border of this module.
// Licence: MIT.
// Timing: q is d, one cycle later.  No reset.
`default_nettype none

(* keep_hierarchy *)
module broadcast_reg #(
    parameter WIDTH = 1
) (
    input  wire             clk,
    input  wire [WIDTH-1:0] d,
    output reg  [WIDTH-1:0] q
);

    always @(posedge clk)
        q <= d;

endmodule

`default_nettype wire
