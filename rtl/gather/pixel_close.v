// pixel_close: sends a closed pixel's sums through the adder tree and into the drain.
// Purpose: a plain pixel has one sum per work group, to which all lanes add.  Where lanes are apart every lane has one;
//          they follow each other, as many cycles apart as the drain takes for one.
// Licence: MIT.
// Timing: `mute` is valid from the cycle after `close`; `load` comes 2 + log2(LANES) cycles after `close`, again for
//         every further lane.  The next `close` may not come before the last lane has had its cycles.
`default_nettype none

module pixel_close #(
    parameter LANES   = 8,
    parameter BEATS_W = 4
) (
    input  wire               clk,
    input  wire               rst,
    input  wire               close,
    input  wire               apart,      // with close: what the pixel is
    input  wire               last,
    input  wire               odd,
    input  wire [BEATS_W-1:0] beats,
    output reg  [LANES-1:0]   mute,       // lanes that do not add to the sum
    // To the drain.
    output wire               load,
    output wire               load_last,
    output wire               load_odd,
    output wire [BEATS_W-1:0] load_beats
);

    localparam [BEATS_W-1:0] ONE = 1;

    reg  [LANES-2:0]   lane;              // the one whose turn it was, but for the last
    reg  [BEATS_W-1:0] left;              // cycles until the next one's, minus one
    reg                passing, taken;    // lanes follow; some lane adds to the sum
    reg                is_last, is_odd;
    reg  [BEATS_W-1:0] has_beats;

    wire               next  = passing && left == {BEATS_W{1'b0}};
    wire [LANES-1:0]   after = {lane, 1'b0};

    always @(posedge clk) begin
        mute  <= close ? {{(LANES-1){apart}}, 1'b0} : next ? ~after : {LANES{1'b1}};
        taken <= (close || next) && !rst;
        if (close) begin
            lane      <= {{(LANES-2){1'b0}}, 1'b1};
            left      <= beats - ONE;
            passing   <= apart;
            is_last   <= last;
            is_odd    <= odd;
            has_beats <= beats;
        end else if (next) begin
            lane    <= after[LANES-2:0];
            left    <= has_beats - ONE;
            passing <= !after[LANES-1];
        end else begin
            left    <= left - ONE;
        end
        if (rst)
            passing <= 1'b0;
    end

    delay #(
        .WIDTH(3 + BEATS_W), .STAGES(1 + $clog2(LANES))
    ) tree_delay (
        .clk(clk),
        .d({taken && !rst, is_last && !passing, is_odd, has_beats}),
        .q({load, load_last, load_odd, load_beats})
    );

endmodule

`default_nettype wire
