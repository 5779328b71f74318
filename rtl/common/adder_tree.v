// adder_tree: the sum of signed numbers, one register behind every level.
// Purpose: adds up what the lanes of a work group computed.
// Licence: MIT.
// Timing: `total` is valid log2(TERMS) cycles after `terms`; one sum per cycle.
`default_nettype none

module adder_tree #(
    parameter TERMS = 8,    // a power of two
    parameter WIDTH = 16
) (
    input  wire                           clk,
    input  wire [TERMS*WIDTH-1:0]         terms,
    output wire [WIDTH+$clog2(TERMS)-1:0] total
);

    localparam LEVELS = $clog2(TERMS);

    // Level n has TERMS >> n sums, each one bit wider than those before.
    genvar n, k;
    generate
        for (n = 0; n <= LEVELS; n = n + 1) begin : g_level
            localparam W = WIDTH + n;
            wire [(TERMS >> n)*W-1:0] level;
            if (n == 0) begin : g_in
                assign level = terms;
            end else begin : g_add
                for (k = 0; k < (TERMS >> n); k = k + 1) begin : g_sum
                    wire signed [W-2:0] a = g_level[n-1].level[2*k*(W-1) +: W-1];
                    wire signed [W-2:0] b = g_level[n-1].level[(2*k+1)*(W-1) +: W-1];
                    reg  signed [W-1:0] sum;
                    always @(posedge clk)
                        sum <= a + b;
                    assign level[k*W +: W] = sum;
                end
            end
        end
    endgenerate

    assign total = g_level[LEVELS].level;

endmodule

`default_nettype wire
