// event_counter: a 32-bit counter of events that saturates instead of wrapping.
// Purpose: the performance counters; a saturated one reads all ones and the driver refuses it.
// Licence: MIT.
// Timing: counts two cycles after the events (increment and sum have a register each); clears two cycles after `clear`.
`default_nettype none

module event_counter #(
    parameter WIDTH = 1  // bits of the increment
) (
    input  wire             clk,
    input  wire             clear,
    input  wire [WIDTH-1:0] events,
    output reg  [31:0]      count
);

    reg  [WIDTH-1:0] increment;
    wire             clear_q;
    wire [32:0]      sum = {1'b0, count} + {{(33 - WIDTH){1'b0}}, increment};

    broadcast_reg #(.WIDTH(1)) clear_copy (.clk(clk), .d(clear), .q(clear_q));

    always @(posedge clk) begin
        increment <= clear_q ? {WIDTH{1'b0}} : events;
        if (clear_q)
            count <= 32'd0;
        else if (sum[32])
            count <= 32'hFFFFFFFF;
        else
            count <= sum[31:0];
    end

endmodule

`default_nettype wire
