// reset_sync: a reset that comes from another clock, made synchronous.
// Purpose: FCLKRESETN of the processing system follows the processor's clock; the design wants a synchronous reset.
// Licence: MIT.
// Timing: rst is high from configuration on and falls three clocks after reset_n has risen.
`default_nettype none

module reset_sync (
    input  wire clk,
    input  wire reset_n,
    output wire rst
);

    (* ASYNC_REG = "TRUE" *)
    reg [2:0] stages;

    initial
        stages = 3'b000;

    assign rst = ~stages[2];

    always @(posedge clk)
        stages <= {stages[1:0], reset_n};

endmodule

`default_nettype wire
