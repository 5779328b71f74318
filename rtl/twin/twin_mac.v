// twin_mac: one multiplier for the activations of two work groups.
// Purpose: y_p = x_p * w and y_q = x_q * w, exact for activations in [-255, 255] and every 8-bit weight, in one 25x18
//          multiplier: (x_p + x_q*2^16) * w + 2^15.  The product of x_p stays within 2^15, so with that constant the low
//          half is never negative: the high half is x_q * w, the low half x_p * w with its sign inverted.
// Licence: MIT.
// Timing: y_p and y_q are valid four cycles after x_p, x_q and w.
`default_nettype none

module twin_mac (
    input  wire        clk,
    input  wire [8:0]  x_p,
    input  wire [8:0]  x_q,
    input  wire [7:0]  w,
    output reg  [15:0] y_p,
    output reg  [15:0] y_q
);

    wire [42:0] p;
    wire        unused_high = &{1'b0, p[42:32]};

    dsp_mac #(
        .ROUND(43'd32768)
    ) dsp (
        .clk   (clk),
        .a     ({x_q, 16'd0}),
        .d     ({{16{x_p[8]}}, x_p}),
        .d_zero(1'b0),
        .b     ({{10{w[7]}}, w}),
        .p     (p)
    );

    // Behind the multiplier a plain register: its outputs are slow to route.
    always @(posedge clk) begin
        y_p <= {~p[15], p[14:0]};
        y_q <= p[31:16];
    end

endmodule

`default_nettype wire
