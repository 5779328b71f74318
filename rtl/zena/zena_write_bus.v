// zena_write_bus: what the lanes have read, on its way to the memories of the PEs.
// Purpose: a ZACT's lanes are four work groups each, a JOB's four PEs of its sub-WG in every work group; makes their
//          write enables from kind and lane group.  Columns count from the ZACT's address, chunks from zero.
// Licence: MIT.
// Timing: act, kernel, group and slot are those of the beat, the lanes' outputs come one cycle after it; the bus is one
//         cycle after the lanes.
// Formats: docs/streams.md.
`default_nettype none

module zena_write_bus #(
    parameter FILTERS = 8,
    parameter WGS     = 2,
    parameter COLUMNS = 64,
    parameter SUB_WGS = 1,
    parameter JOBS    = 3
) (
    input  wire                         clk,
    // The packet at the lanes.
    input  wire                         act,        // a ZACT's columns
    input  wire                         kernel,     // a JOB's kernel tiles
    input  wire [7:0]                   group,      // lane group within the packet
    input  wire [$clog2(COLUMNS)-1:0]   address,    // of the first column
    input  wire [3:0]                   sub_wg,
    input  wire [$clog2(JOBS)-1:0]      slot,
    // The lanes.
    input  wire [3:0]                   lane_mask_we,
    input  wire [3:0]                   lane_value_we,
    input  wire [4*$clog2(COLUMNS)-1:0] lane_index,
    input  wire [4*4-1:0]               lane_position,
    input  wire [4*16-1:0]              lane_entry,
    // The bus: four lanes, and whom they are for.
    output reg  [4*16-1:0]              bus_data,
    output reg  [4*4-1:0]               bus_position,
    output reg  [4*$clog2(COLUMNS)-1:0] bus_index,   // column, or chunk in the low bits
    output reg  [$clog2(JOBS)-1:0]      bus_slot,
    output reg  [WGS-1:0]               act_mask_we,
    output reg  [WGS-1:0]               act_value_we,
    output reg  [FILTERS-1:0]           kernel_mask_we,
    output reg  [FILTERS-1:0]           kernel_value_we
);

    localparam COLUMN_W = $clog2(COLUMNS);
    localparam SUB_Q    = FILTERS / SUB_WGS;

    reg       to_act, to_kernel;
    reg [7:0] to_group;

    always @(posedge clk) begin
        to_act       <= act;
        to_kernel    <= kernel;
        to_group     <= group;
        bus_slot     <= slot;
        bus_data     <= lane_entry;
        bus_position <= lane_position;
    end

    genvar i;
    generate
        for (i = 0; i < 4; i = i + 1) begin : g_index
            always @(posedge clk)
                bus_index[i*COLUMN_W +: COLUMN_W] <= lane_index[i*COLUMN_W +: COLUMN_W]
                                                  + (to_act ? address : {COLUMN_W{1'b0}});
        end
        for (i = 0; i < WGS; i = i + 1) begin : g_act
            localparam GROUP = i / 4;
            wire here = to_act && to_group == GROUP[7:0];
            always @(posedge clk) begin
                act_mask_we[i]  <= lane_mask_we[i%4] && here;
                act_value_we[i] <= lane_value_we[i%4] && here;
            end
        end
        for (i = 0; i < FILTERS; i = i + 1) begin : g_kernel
            localparam GROUP  = (i % SUB_Q) / 4;
            localparam SUB_WG = i / SUB_Q;
            wire here = to_kernel && to_group == GROUP[7:0] && sub_wg == SUB_WG[3:0];
            always @(posedge clk) begin
                kernel_mask_we[i]  <= lane_mask_we[i%4] && here;
                kernel_value_we[i] <= lane_value_we[i%4] && here;
            end
        end
    endgenerate

endmodule

`default_nettype wire
