// zena_offsets: the column offsets of a job, from the stream to the PEs of its sub-WG.
// Purpose: takes them four a beat and hands them out one per cycle, beside the kernel tile that follows in the stream.
// Licence: MIT.
// Timing: the first offset is on `data` two cycles after the beat with the last ones; then one per cycle.
`default_nettype none

module zena_offsets #(
    parameter COLUMNS = 64,
    parameter STEPS   = 16,
    parameter SUB_WGS = 1
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       collect,     // the stream is at offsets
    input  wire                       take,        // with collect: a beat of them is taken
    input  wire [63:0]                beat,
    input  wire [$clog2(STEPS)-1:0]   last_chunk,
    output wire                       first_beat,
    output wire                       last_beat,
    // To the PEs.
    input  wire [3:0]                 sub_wg,
    output reg  [SUB_WGS-1:0]         we,
    output reg  [$clog2(STEPS)-1:0]   chunk,
    output reg  [$clog2(COLUMNS)-1:0] data
);

    localparam COLUMN_W = $clog2(COLUMNS);
    localparam CHUNK_W  = $clog2(STEPS);

    reg [CHUNK_W-3:0]        beats;     // taken
    reg [STEPS*COLUMN_W-1:0] kept;      // the lowest is the next to be handed out
    reg                      busy;
    reg [CHUNK_W-1:0]        at;

    assign first_beat = beats == {(CHUNK_W-2){1'b0}};
    assign last_beat  = beats == last_chunk[CHUNK_W-1:2];

    genvar i;
    generate
        for (i = 0; i < STEPS; i = i + 1) begin : g_offset
            localparam BEAT = i / 4;
            wire [COLUMN_W-1:0] above;
            if (i == STEPS - 1) begin : g_top
                assign above = {COLUMN_W{1'b0}};
            end else begin : g_next
                assign above = kept[(i+1)*COLUMN_W +: COLUMN_W];
            end
            always @(posedge clk)
                if (collect) begin
                    if (beats == BEAT[CHUNK_W-3:0])
                        kept[i*COLUMN_W +: COLUMN_W] <= beat[(i%4)*16 +: COLUMN_W];
                end else
                    kept[i*COLUMN_W +: COLUMN_W] <= above;
        end
        for (i = 0; i < SUB_WGS; i = i + 1) begin : g_we
            localparam [3:0] SUB_WG = i;
            always @(posedge clk)
                we[i] <= busy && sub_wg == SUB_WG;
        end
    endgenerate

    always @(posedge clk) begin
        if (!collect)
            beats <= {(CHUNK_W-2){1'b0}};
        else if (take)
            beats <= beats + 1'b1;
        chunk <= at;
        data  <= kept[COLUMN_W-1:0];
        at    <= busy ? at + 1'b1 : {CHUNK_W{1'b0}};
        if (collect && take && last_beat)
            busy <= 1'b1;
        else if (at == last_chunk)
            busy <= 1'b0;
        if (rst)
            busy <= 1'b0;
    end

    wire unused_beat = &{1'b0, beat};   // offsets are shorter than lanes

endmodule

`default_nettype wire
