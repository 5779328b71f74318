// zena_lane: reads one lane of a compressed lane group: zero bit-vector, values, next bit-vector, ...
// Purpose: finds out where each 16-bit entry of the lane belongs and when the lane has ended.
// Licence: MIT.
// Timing: `ends` answers in the cycle of the entry (depends on `none` and registers); the write comes one cycle after.
// Formats: docs/streams.md.
`default_nettype none

module zena_lane #(
    parameter INDEX_W = 6   // bits of a chunk's or column's number
) (
    input  wire               clk,
    input  wire               start,     // a lane group begins with the next entry; wins over `take`
    input  wire               unused,    // with start: no entries, only padding
    input  wire [INDEX_W-1:0] last,      // with start: number of the last chunk
    input  wire               last_is_zero,
    input  wire               take,      // an entry is taken
    input  wire [15:0]        entry,
    input  wire [4:0]         ones,      // in entry
    input  wire               none,      // ones == 0
    input  wire               just_one,  // ones == 1
    output wire               ends,      // the lane is over with (or before) this entry
    output reg                mask_we,
    output reg                value_we,
    output reg  [INDEX_W-1:0] index,
    output reg  [3:0]         position,
    output reg  [15:0]        data
);

    reg               over;         // only padding is left
    reg               want_mask;    // the next entry is a zero bit-vector
    reg [15:0]        rest;         // positions whose values are still to come
    reg [4:0]         values;       // how many; only while it is more than one
    reg               single;       // one: known when it is set, as all that decides about `ends`
    reg [INDEX_W-1:0] at;
    reg [INDEX_W-1:0] left;         // chunks after this one
    reg               final_chunk;  // left is zero

    wire [15:0] rest_next = rest & (rest - 16'd1);
    wire        closes    = want_mask ? none : single;

    assign ends = over || (closes && final_chunk);

    wire [15:0] lowest = rest & ~rest_next;

    always @(posedge clk) begin
        mask_we  <= take && !over && want_mask;
        value_we <= take && !over && !want_mask;
        index    <= at;
        position <= {|lowest[15:8], |(lowest & 16'hF0F0), |(lowest & 16'hCCCC), |(lowest & 16'hAAAA)};
        data     <= entry;
        if (take) begin
            over      <= ends;
            want_mask <= closes;
            rest      <= want_mask ? entry : rest_next;
            values    <= want_mask ? ones : values - 5'd1;
            single    <= want_mask ? just_one : values == 5'd2;
            if (closes) begin
                at          <= at + 1'b1;
                left        <= left - 1'b1;
                final_chunk <= left == {{(INDEX_W-1){1'b0}}, 1'b1};
            end
        end
        if (start) begin
            over        <= unused;
            want_mask   <= 1'b1;
            at          <= {INDEX_W{1'b0}};
            left        <= last;
            final_chunk <= last_is_zero;
        end
    end

endmodule

`default_nettype wire
