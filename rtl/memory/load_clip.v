// load_clip: what every row of a rectangle consists of: pixels outside the map, outside of memory, and to read.
// Purpose: a row of a rectangle is zeros left of the loaded map, then its pixels inside, then zeros right of it.  The
//          windows of those inside cover columns of the map in memory, of which the first and last may lie outside it.
// Licence: MIT.
// Timing: the results stand seven cycles after `start`, `ready` is high in that cycle; they stay until the next start.
// Formats: docs/machine.md.
`default_nettype none

module load_clip (
    input  wire               clk,
    input  wire               rst,
    input  wire               start,
    output wire               ready,
    input  wire signed [12:0] x,             // corner of the rectangle, in the loaded map
    input  wire signed [12:0] y,
    input  wire [11:0]        rect_width,
    input  wire [11:0]        width,         // of the loaded map
    input  wire [11:0]        source_width,  // of that in memory
    input  wire               upsample,
    input  wire [1:0]         pool,
    input  wire [1:0]         stride,        // less one
    input  wire [1:0]         pad_x,
    input  wire [1:0]         pad_y,
    output reg                outside,       // no pixel is inside the loaded map
    output wire               nothing,       // none of those inside has a pixel in memory: not legal
    output reg                odd,           // the first pixel inside is in an odd column
    output reg  [11:0]        zeros_left,    // pixels of the loaded map
    output reg  [11:0]        zeros_right,
    output reg  [12:0]        blank_left,    // columns of the map in memory
    output reg  [12:0]        blank_right,
    output reg  [12:0]        span,          // all of these, blank and read
    output reg  [11:0]        reads,
    output reg  [11:0]        passes,        // pixels that come of those read, before windows
    output reg  [11:0]        from,          // the first column to read
    output reg  [3:0]         some,          // zeros_left, blank_left, blank_right, zeros_right are not 0, lowest first
    output reg  signed [14:0] source_y       // row of the map in memory that the first window begins in
);

    reg  [6:0]         phase;
    reg  signed [13:0] x_end;
    reg  [11:0]        first, last;          // columns inside the loaded map
    reg  [11:0]        pixels, to;
    reg  signed [14:0] low, high;            // columns of all windows: low to high - 1

    // One multiplier by 1 to 4 for three coordinates.
    reg  signed [14:0] scaled;
    wire signed [14:0] unscaled = phase[1] ? {3'b000, first} : phase[2] ? {3'b000, last} : {{2{y[12]}}, y};
    wire signed [14:0] pad = {13'd0, phase[4] ? pad_y : pad_x};
    wire signed [14:0] moved = scaled - pad;
    wire               over = x_end > $signed({2'b00, width});
    wire               beyond = high > $signed({3'b000, source_width});

    assign ready   = phase[6];
    assign nothing = !outside && reads == 12'd0;

    always @(posedge clk) begin
        phase  <= {phase[5:0], start};
        scaled <= unscaled + (stride[0] ? unscaled : 15'sd0) + (stride[1] ? unscaled <<< 1 : 15'sd0);
        if (start) begin
            x_end      <= x + $signed({2'b00, rect_width});
            first      <= x[12] ? 12'd0 : x[11:0];
            zeros_left <= x[12] ? -x[11:0] : 12'd0;
        end
        if (phase[0]) begin
            last        <= over ? width - 12'd1 : x_end[11:0] - 12'd1;
            zeros_right <= over ? x_end[11:0] - width : 12'd0;
            outside     <= x_end[13] || x_end == 14'sd0 || (!x[12] && x[11:0] >= width);
            odd         <= first[0];
        end
        if (phase[2]) begin
            low    <= upsample ? {4'd0, first[11:1]} : moved;
            pixels <= last - first + 12'd1;
        end
        if (phase[3])
            high <= (upsample ? {4'd0, last[11:1]} : moved) + $signed({13'd0, pool});
        if (phase[4]) begin
            source_y <= moved;
            from     <= low[14] ? 12'd0 : low[11:0];
            to       <= beyond ? source_width : high[11:0];
            span     <= high[12:0] - low[12:0];
            some     <= {zeros_right != 12'd0, beyond, low[14], zeros_left != 12'd0};
        end
        if (phase[5]) begin
            reads       <= (to > from) ? to - from : 12'd0;
            passes      <= upsample ? pixels : to - from;
            blank_left  <= {1'b0, from} - low[12:0];
            blank_right <= high[12:0] - {1'b0, to};
        end
        if (rst)
            phase <= 7'd0;
    end

    wire unused = &{1'b0, low[13]};

endmodule

`default_nettype wire
