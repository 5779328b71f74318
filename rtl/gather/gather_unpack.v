// gather_unpack: a schedule step as it comes on the stream, into what the two halves of the schedule memory hold.
// Purpose: two formats, near and far, become one; and the banks a step refers to, which are not sent, are found from
//          its weights and routes: where a nibble or byte that is not zero meets a bank.
// Licence: MIT.
// Timing: `fetch` and `weights` are valid two cycles after `raw` and `near`; one step per cycle.
// Formats: docs/streams.md, the gather engine's steps.
`default_nettype none

`include "zeroskip_defs.vh"

module gather_unpack #(
    parameter LANES   = 8,
    parameter COLUMNS = 1024,
    parameter RAW_W   = 256    // bits of a step on the stream, at least those of either format
) (
    input  wire                   clk,
    input  wire                   near,
    input  wire [RAW_W-1:0]       raw,
    // Bank 0 lowest: column offset, and above it whether the bank is referred to.
    output wire [2*LANES*($clog2(COLUMNS)+1)-1:0]  fetch,
    // Lane 0 lowest: weight byte, and above it the route.
    output reg  [LANES*(8+`ZS_ROUTE_W)-1:0]        weights
);

    localparam COLUMN_W = $clog2(COLUMNS);
    localparam SLOT_W   = COLUMN_W + 1;
    localparam LANE_W   = 8 + `ZS_ROUTE_W;
    localparam FAR_W    = LANE_W + 2 * COLUMN_W;
    localparam NEAR_W   = LANE_W + 2 * `ZS_NEAR_W;
    localparam SHIFT    = (COLUMN_W > `ZS_NEAR_BASE_W) ? COLUMN_W - `ZS_NEAR_BASE_W : 0;

    // By route: banks of the operands, counted from the lane's first, and whether there are two.
    localparam [7:0]  FIRST  = `ZS_ROUTE_FIRST;
    localparam [15:0] SECOND = `ZS_ROUTE_SECOND;
    localparam [7:0]  PAIR   = `ZS_ROUTE_PAIR;

    // ---- cycle 1: one format; an offset is still a base and what is added to it ------------------
    wire [15:0]         base_in = {{(16-`ZS_NEAR_BASE_W){1'b0}}, raw[`ZS_NEAR_BASE_W-1:0]} << SHIFT;
    reg  [COLUMN_W-1:0] base;
    reg  [LANES*LANE_W-1:0] lanes;
    wire [LANES*4-1:0]  meets;    // per lane: a weight that is not zero meets bank 0 to 3, counted as above

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

            wire [7:0]              weight  = lanes[l*LANE_W +: 8];
            wire [`ZS_ROUTE_W-1:0]  route   = lanes[l*LANE_W+8 +: `ZS_ROUTE_W];
            wire                    two     = PAIR[route];
            wire [1:0]              first   = {1'b0, FIRST[route]};
            wire [1:0]              second  = SECOND[{route, 1'b0} +: 2];
            wire                    low     = |weight[3:0] | (~two & |weight[7:4]);
            wire                    high    = two & |weight[7:4];

            always @(posedge clk)
                lanes[l*LANE_W +: LANE_W] <= near ? raw[NEAR_AT +: LANE_W] : raw[FAR_AT +: LANE_W];

            for (k = 0; k < 4; k = k + 1) begin : g_meets
                localparam [1:0] BANK = k;
                assign meets[l*4+k] = (low && first == BANK) || (high && second == BANK);
            end

            // ---- cycle 2: offsets of the lane's two banks, and whether it or the lane before meets them
            for (k = 0; k < 2; k = k + 1) begin : g_bank
                wire [15:0] near_in = {{(16-`ZS_NEAR_W){1'b0}}, raw[NEAR_AT+LANE_W+k*`ZS_NEAR_W +: `ZS_NEAR_W]};
                reg  [COLUMN_W-1:0] addend, offset;
                reg                 used;

                wire unused_near = &{1'b0, near_in[15:COLUMN_W]};

                always @(posedge clk) begin
                    addend <= near ? near_in[COLUMN_W-1:0] : raw[FAR_AT+LANE_W+k*COLUMN_W +: COLUMN_W];
                    offset <= addend + base;
                    used   <= meets[l*4+k] | meets[BEFORE*4+2+k];
                end

                assign fetch[(2*l+k)*SLOT_W +: SLOT_W] = {used, offset};
            end
        end
    endgenerate

endmodule

`default_nettype wire
