// zena_detect: leading-one detection: one common non-zero position per cycle.
// Purpose: takes a chunk's ANDed bit-vectors and names its set positions, lowest first.  A chunk without any (a pixel's
//          last) takes one cycle, in which nothing is multiplied.
// Licence: MIT.
// Timing: outputs are registered one cycle after the decision; no cycle is lost between chunks, pixels or jobs, but
//         that a pixel's end comes at the earliest five cycles after the one before: a sum waits that long for its
//         turn.
`default_nettype none

module zena_detect #(
    parameter SLOT_W   = 2,
    parameter CHUNK_W  = 6,   // slot and chunk
    parameter COLUMN_W = 6,
    parameter PSUM_W   = 6
) (
    input  wire                clk,
    input  wire                rst,
    input  wire                s_valid,
    output wire                s_ready,
    input  wire [15:0]         s_mask,
    input  wire                s_more,     // s_mask has more than one position
    input  wire                s_none,     // s_mask has none
    input  wire [CHUNK_W-1:0]  s_chunk,
    input  wire [COLUMN_W-1:0] s_column,
    input  wire [PSUM_W-1:0]   s_psum,
    input  wire                s_first,
    input  wire                s_pixel_end,
    input  wire                s_job_end,
    output reg                 product,    // multiply weight and activation at these addresses
    output reg                 empty,      // a chunk without common positions
    output reg  [3:0]          position,
    output reg  [CHUNK_W-1:0]  chunk,
    output reg  [COLUMN_W-1:0] column,
    output reg                 pixel_end,  // the last cycle of a pixel, with or without a product
    output reg  [PSUM_W-1:0]   psum,
    output reg                 first,
    output reg                 job_end,    // the last cycle of a job of ...
    output reg  [SLOT_W-1:0]   job_slot    // ... this slot
);

    reg                now_valid, now_first, now_pixel_end, now_job_end;
    reg                now_none;   // now_mask is empty
    reg                now_more;   // now_mask has more than one position left: known when it is loaded
    reg [15:0]         now_mask;
    reg [CHUNK_W-1:0]  now_chunk;
    reg [COLUMN_W-1:0] now_column;
    reg [PSUM_W-1:0]   now_psum;

    // ---- groups of four: how many positions (3 for more), all but the lowest position ---------------
    reg [3:0]  four;
    reg [2:0]  one;           // the lower groups have one
    reg [7:0]  count;         // of each group, up to three
    reg [1:0]  low_half, high_half;
    reg [3:0]  below;         // a lower group has one
    reg [15:0] rest;
    reg [7:0]  low;           // position within each group
    reg        rest_more;     // three or more in all: more than one without the lowest
    reg [3:0]  lowest;
    integer    g;

    // Sum of two counts, up to three.
    function [1:0] saturating_sum;
        input [1:0] a;
        input [1:0] b;
        saturating_sum = {a[1] | b[1] | (a[0] & b[0]), (a[0] ^ b[0]) | (a[1] & b[1]) | (&a) | (&b)};
    endfunction

    always @* begin
        for (g = 0; g < 4; g = g + 1) begin
            four = now_mask[4*g +: 4];
            // As gates: additions would go through carry chains.
            count[2*g+1] = (four[0] && |four[3:1]) || (four[1] && |four[3:2]) || (four[2] && four[3]);
            count[2*g]   = ^four || (four[0] && four[1] && |four[3:2]) || (four[2] && four[3] && |four[1:0]);
            low[2*g +: 2] = four[0] ? 2'd0 : four[1] ? 2'd1 : four[2] ? 2'd2 : 2'd3;
        end
        one   = {|now_mask[11:8], |now_mask[7:4], |now_mask[3:0]};
        below = {|one[2:0], |one[1:0], one[0], 1'b0};
        for (g = 0; g < 4; g = g + 1)
            rest[4*g +: 4] = now_mask[4*g +: 4]
                           & ({4{below[g]}} | {|now_mask[4*g +: 3], |now_mask[4*g +: 2], now_mask[4*g], 1'b0});
        low_half  = saturating_sum(count[1:0], count[3:2]);
        high_half = saturating_sum(count[5:4], count[7:6]);
        rest_more = &saturating_sum(low_half, high_half);
        lowest[3:2] = one[0] ? 2'd0 : one[1] ? 2'd1 : one[2] ? 2'd2 : 2'd3;
        lowest[1:0] = low[2*lowest[3:2] +: 2];
    end

    // Cycles until a pixel's last chunk may follow the pixel that has ended: loaded then, it ends one cycle later.
    reg  [1:0] pace;
    reg        pacing;   // pace is not zero
    wire       pixel_ends = now_pixel_end && !now_more;

    assign s_ready = !now_more && !(s_pixel_end && (now_pixel_end || pacing));

    always @(posedge clk) begin
        now_mask <= rest;
        now_more <= rest_more;
        if (!now_more) begin
            now_valid     <= s_valid && s_ready;
            now_more      <= s_valid && s_ready && s_more;
            now_none      <= s_none;
            now_mask      <= s_mask;
            now_chunk     <= s_chunk;
            now_column    <= s_column;
            now_psum      <= s_psum;
            now_first     <= s_first;
            now_pixel_end <= s_valid && s_ready && s_pixel_end;
            now_job_end   <= s_job_end;
        end
        product   <= now_valid && !now_none;
        empty     <= now_valid && now_none;
        position  <= lowest;
        chunk     <= now_chunk;
        column    <= now_column;
        psum      <= now_psum;
        first     <= now_first;
        pace      <= pixel_ends ? 2'd3 : pacing ? pace - 2'd1 : 2'd0;
        pacing    <= pixel_ends || pace[1];
        pixel_end <= pixel_ends;
        job_end   <= now_valid && now_job_end && !now_more;
        job_slot  <= now_chunk[CHUNK_W-1 -: SLOT_W];
        if (rst) begin
            now_valid     <= 1'b0;
            now_pixel_end <= 1'b0;
            now_more      <= 1'b0;
            pacing        <= 1'b0;
            product   <= 1'b0;
            empty     <= 1'b0;
            // A reset ends the pixel it interrupts: the accumulator, which has no reset, begins anew, also after power-up.
            // What zena_psums then stores belongs to no job; a job's first pass does not read what was there.
            pixel_end <= 1'b1;
            job_end   <= 1'b0;
        end
    end

endmodule

`default_nettype wire
