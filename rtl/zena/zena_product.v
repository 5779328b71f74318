// zena_product: multiplier and accumulator of one PE.
// Purpose: total = (restart ? 0 : total) + act * weight.  At 8 and 16 weight bits all of it, with its registers, is one
//          DSP48E1; a LogQuant weight (5 bits: sign, and 0 for zero or e for 2^(e - 1)) shifts the activation and needs
//          none.
// Licence: MIT.
// Timing: a product is in `total` three cycles after its operands; `restart` acts in the cycle before that, on the
//         total that is there.
`default_nettype none

module zena_product #(
    parameter ACT_W    = 16,
    parameter WEIGHT_W = 16
) (
    input  wire                clk,
    input  wire [ACT_W-1:0]    act,
    input  wire [WEIGHT_W-1:0] weight,
    input  wire                restart,
    output wire [31:0]         total
);

    generate
        if (WEIGHT_W == 5) begin : g_shift
            // Shift by a multiple of four first, then by the rest.
            reg  [1:0]               fine;
            reg                      negative, negative_2;
            reg  signed [ACT_W+11:0] coarse;
            reg  signed [31:0]       shifted, sum;
            wire [3:0]               exponent = weight[3:0] - 4'd1;
            wire signed [ACT_W+11:0] wide   = {{12{act[ACT_W-1]}}, act};
            wire signed [ACT_W+14:0] finely = {{3{coarse[ACT_W+11]}}, coarse} <<< fine;
            wire [31:0]              base   = restart ? 32'd0 : sum;

            assign total = sum;

            always @(posedge clk) begin
                if (weight[3:0] == 4'd0)
                    coarse <= {(ACT_W+12){1'b0}};
                else
                    coarse <= wide <<< {exponent[3:2], 2'b00};
                fine       <= exponent[1:0];
                negative   <= weight[4];
                shifted    <= {{(17-ACT_W){finely[ACT_W+14]}}, finely};
                negative_2 <= negative;
                sum        <= base + (shifted ^ {32{negative_2}}) + {31'd0, negative_2};
            end
        end else begin : g_multiply
            localparam PRODUCT_W = ACT_W + WEIGHT_W;
            reg  signed [ACT_W-1:0]     a;
            reg  signed [WEIGHT_W-1:0]  b;
            reg  signed [PRODUCT_W-1:0] m;
            reg  signed [31:0]          sum;
            wire signed [31:0]          wide = {{(32-PRODUCT_W){m[PRODUCT_W-1]}}, m};

            assign total = sum;

            always @(posedge clk) begin
                a   <= act;
                b   <= weight;
                m   <= a * b;
                sum <= (restart ? 32'sd0 : sum) + wide;
            end
        end
    endgenerate

endmodule

`default_nettype wire
