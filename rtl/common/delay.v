// delay: a fixed number of registers in a row.
// Purpose: keeps control beside data that goes through a pipeline.
// Licence: MIT.
// Timing: q is d, STAGES cycles later; STAGES may be 0.  No reset: reset what feeds it.
`default_nettype none

module delay #(
    parameter WIDTH  = 1,
    parameter STAGES = 1
) (
    input  wire             clk,
    input  wire [WIDTH-1:0] d,
    output wire [WIDTH-1:0] q
);

    generate
        if (STAGES == 0) begin : g_wire
            wire unused_clk = clk;
            assign q = d;
        end else if (STAGES == 1) begin : g_one
            reg [WIDTH-1:0] stage;
            always @(posedge clk)
                stage <= d;
            assign q = stage;
        end else begin : g_many
            reg [WIDTH*STAGES-1:0] stages;
            always @(posedge clk)
                stages <= {stages[WIDTH*(STAGES-1)-1:0], d};
            assign q = stages[WIDTH*STAGES-1:WIDTH*(STAGES-1)];
        end
    endgenerate

endmodule

`default_nettype wire
