// twin_unpack: a schedule step as it comes on the stream, into what the two halves of the schedule memory hold.
// Purpose: two formats, near and far, become one; and what the lanes say (bank, column offset) becomes what the banks
//          need: an address each, and whether they are referred to.
// Licence: MIT.
// Timing: `fetch` and `weights` are valid two cycles after `raw` and `near`; one step per cycle.
// Formats: docs/streams.md, the twin engine's steps.
`default_nettype none

`include "zeroskip_defs.vh"

module twin_unpack #(
    parameter LANES   = 8,
    parameter COLUMNS = 512,
    parameter RAW_W   = 152    // bits of a step on the stream, at least those of either format
) (
    input  wire                   clk,
    input  wire                   near,
    input  wire [RAW_W-1:0]       raw,
    // Bank 0 lowest: column offset, and above it whether the bank is referred to.
    output wire [2*LANES*($clog2(COLUMNS)+1)-1:0]      fetch,
    // Lane 0 lowest: weight byte, and above it the route.
    output reg  [LANES*(8+`ZS_TWIN_ROUTE_W)-1:0]       weights
);

    localparam COLUMN_W = $clog2(COLUMNS);
    localparam SLOT_W   = COLUMN_W + 1;
    localparam LANE_W   = 8 + `ZS_TWIN_ROUTE_W;
    localparam FAR_W    = LANE_W + COLUMN_W;
    localparam NEAR_W   = LANE_W + `ZS_TWIN_NEAR_W;
    localparam SHIFT    = (COLUMN_W > `ZS_NEAR_BASE_W) ? COLUMN_W - `ZS_NEAR_BASE_W : 0;

    // ---- cycle 1: one format; an offset is still a base and what is added to it ------------------
    wire [15:0]               base_in = {{(16-`ZS_NEAR_BASE_W){1'b0}}, raw[`ZS_NEAR_BASE_W-1:0]} << SHIFT;
    reg  [COLUMN_W-1:0]       base;
    reg  [LANES*LANE_W-1:0]   lanes;
    reg  [LANES*COLUMN_W-1:0] addends;
    wire [LANES*4-1:0]        meets;    // per lane: a weight that is not zero meets bank 0 to 3, counted from its first

    wire unused_base = &{1'b0, base_in[15:COLUMN_W]};

    always @(posedge clk) begin
        base    <= near ? base_in[COLUMN_W-1:0] : {COLUMN_W{1'b0}};
        weights <= lanes;
    end

    genvar l, k;
    generate
        if (RAW_W > LANES * FAR_W) begin : g_pad
            wire unused_pad = &{1'b0, raw[RAW_W-1:LANES*FAR_W]};
        end

        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            localparam FAR_AT  = l * FAR_W;
            localparam NEAR_AT = `ZS_NEAR_BASE_W + l * NEAR_W;
            localparam BEFORE  = (l + LANES - 1) % LANES;

            wire [15:0] near_in = {{(16-`ZS_TWIN_NEAR_W){1'b0}}, raw[NEAR_AT+LANE_W +: `ZS_TWIN_NEAR_W]};
            wire        some    = |lanes[l*LANE_W +: 8];
            wire [1:0]  route   = lanes[l*LANE_W+8 +: 2];
            wire        unused_near = &{1'b0, near_in[15:COLUMN_W]};

            always @(posedge clk) begin
                lanes[l*LANE_W +: LANE_W]       <= near ? raw[NEAR_AT +: LANE_W] : raw[FAR_AT +: LANE_W];
                addends[l*COLUMN_W +: COLUMN_W] <= near ? near_in[COLUMN_W-1:0] : raw[FAR_AT+LANE_W +: COLUMN_W];
            end

            for (k = 0; k < 4; k = k + 1) begin : g_meets
                localparam [1:0] BANK = k;
                assign meets[l*4+k] = some && route == BANK;
            end

            // ---- cycle 2: each of the lane's two banks is read for itself, or for the lane before -------
            for (k = 0; k < 2; k = k + 1) begin : g_bank
                reg [COLUMN_W-1:0] offset;
                reg                used;

                always @(posedge clk) begin
                    offset <= (meets[l*4+k] ? addends[l*COLUMN_W +: COLUMN_W] : addends[BEFORE*COLUMN_W +: COLUMN_W])
                            + base;
                    used   <= meets[l*4+k] | meets[BEFORE*4+2+k];
                end

                assign fetch[(2*l+k)*SLOT_W +: SLOT_W] = {used, offset};
            end
        end
    endgenerate

endmodule

`default_nettype wire
