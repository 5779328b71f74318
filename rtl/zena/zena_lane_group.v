// zena_lane_group: reads the lane groups of a packet, four lanes side by side.
// Purpose: counts the groups and knows which of their lanes are only padding: those beyond a ZACT's last work group.
// Licence: MIT.
// Timing: packet_end answers in the cycle of the beat; the lanes' outputs come one cycle after it.
// Formats: docs/streams.md.
`default_nettype none

module zena_lane_group #(
    parameter COLUMNS = 64,
    parameter STEPS   = 16,
    parameter SUB_Q   = 8     // PEs of a sub-WG
) (
    input  wire                         clk,
    input  wire                         take,        // a beat is taken
    // It is a header: what the lanes of the packet will be.
    input  wire                         header,
    input  wire                         act,         // one per work group, of columns; else one per PE, of chunks
    input  wire [7:0]                   wgs,
    input  wire [$clog2(COLUMNS)-1:0]   last_column, // columns, minus one
    input  wire                         one_column,
    input  wire [$clog2(STEPS)-1:0]     last_chunk,
    // It is one of a lane group.
    input  wire                         lanes,
    input  wire [63:0]                  data,
    input  wire [4*5-1:0]               ones,
    input  wire [3:0]                   none,
    input  wire [3:0]                   just_one,
    output reg  [7:0]                   group,       // number of the lane group
    output wire                         packet_end,  // with lanes: it is the packet's last beat
    // What the lanes have read.
    output wire [3:0]                   mask_we,
    output wire [3:0]                   value_we,
    output wire [4*$clog2(COLUMNS)-1:0] index,
    output wire [4*4-1:0]               position,
    output wire [4*16-1:0]              entry
);

    localparam COLUMN_W = $clog2(COLUMNS);
    localparam CHUNK_W  = $clog2(STEPS);

    reg  [7:0]          lanes_left;   // lanes from this group on
    reg  [3:0]          more_lanes;   // those that the next group will have
    reg  [COLUMN_W-1:0] last_index;   // columns or chunks, minus one
    reg                 one_index;    // last_index is zero

    wire [3:0] ends;
    wire       group_end = &ends;
    assign     packet_end = group_end && !more_lanes[0];

    // Lane groups start with the packet and wherever one ends.
    wire       start = !lanes || (take && group_end);
    // A JOB's groups are complete.
    wire [3:0] unused = header ? {wgs <= 8'd3, wgs <= 8'd2, wgs <= 8'd1, wgs == 8'd0} : lanes ? ~more_lanes : 4'd0;
    wire       last_is_zero = header ? one_column : one_index;
    wire [COLUMN_W-1:0] last = header ? last_column : last_index;

    genvar i;
    generate
        for (i = 0; i < 4; i = i + 1) begin : g_lane
            zena_lane #(
                .INDEX_W(COLUMN_W)
            ) lane (
                .clk(clk),
                .start(start), .unused(unused[i]), .last(last), .last_is_zero(last_is_zero),
                .take(take && lanes), .entry(data[i*16 +: 16]), .ones(ones[i*5 +: 5]), .none(none[i]),
                .just_one(just_one[i]), .ends(ends[i]),
                .mask_we(mask_we[i]), .value_we(value_we[i]), .index(index[i*COLUMN_W +: COLUMN_W]),
                .position(position[i*4 +: 4]), .data(entry[i*16 +: 16])
            );
        end
    endgenerate

    always @(posedge clk)
        if (take && header) begin
            group <= 8'd0;
            if (act) begin
                last_index <= last_column;
                one_index  <= one_column;
                lanes_left <= wgs;
                more_lanes <= {wgs > 8'd7, wgs > 8'd6, wgs > 8'd5, wgs > 8'd4};
            end else begin
                last_index <= {{(COLUMN_W-CHUNK_W){1'b0}}, last_chunk};
                one_index  <= 1'b0;
                lanes_left <= SUB_Q[7:0];
                more_lanes <= {4{SUB_Q > 4}};
            end
        end else if (take && lanes && group_end) begin
            group      <= group + 8'd1;
            lanes_left <= lanes_left - 8'd4;
            more_lanes <= {lanes_left > 8'd11, lanes_left > 8'd10, lanes_left > 8'd9, lanes_left > 8'd8};
        end

endmodule

`default_nettype wire
