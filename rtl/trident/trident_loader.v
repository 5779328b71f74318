// trident_loader: reads the packets of the input stream into the on-chip memories.
// Purpose: ACT packets become column writes and zero flags; RUN packets become schedule writes and a queued run.
//          Rules: 1. activations wait until no queued or running RUN reads their page;
//                 2. schedule steps wait until their half of the schedule memory is free;
//                 3. an illegal header stops the stream and shows its reason in `error` until reset.
// Licence: MIT.
// Timing: one beat per cycle; a column is written four cycles after its last beat, a step one cycle after,
//         and `load` comes with the last step's write.  s_axis_tready depends on registers only.
// Formats: docs/streams.md.
`default_nettype none

`include "zeroskip_defs.vh"

module trident_loader #(
    parameter LANES   = 8,
    parameter FILTERS = 1,
    parameter WGS     = 2,
    parameter MUX     = 8,
    parameter ACT_W   = 9,
    parameter COLUMNS = 512,
    parameter STEPS   = 256
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire [63:0]                s_axis_tdata,
    input  wire                       s_axis_tvalid,
    output wire                       s_axis_tready,
    // Which halves of the schedule memory hold a run, and which page of activations each reads.
    input  wire [1:0]                 slot_valid,
    input  wire [1:0]                 slot_page,
    // Column write port, shared by all work groups but for the enables.
    output reg  [WGS-1:0]             column_we,
    output reg  [$clog2(COLUMNS)-1:0] column_addr,
    output reg  [LANES*ACT_W-1:0]     column_data,
    output reg                        flag_we,     // with the last work group's column
    output reg                        flag,        // 1: some activation at column_addr is not zero
    // Schedule write port and the run it belongs to.
    output reg                        step_we,
    output reg                        step_slot,
    output reg  [$clog2(STEPS)-1:0]   step_addr,
    output wire [(MUX/4+1)*($clog2(COLUMNS)+1)+FILTERS*LANES*(9+2*$clog2(MUX))-1:0] step_data,
    output reg                        load,        // the run of step_slot is complete
    output reg                        run_page,
    output reg                        run_skip,
    output reg                        run_last,
    output reg  [7:0]                 run_wgs,
    output reg  [15:0]                run_steps,
    output reg  [15:0]                run_base,
    output reg  [15:0]                run_nx,
    output reg  [15:0]                run_ny,
    output reg  [15:0]                run_dx,
    output reg  [15:0]                run_dy,
    // Status.
    output wire [3:0]                 state_code,
    output reg  [3:0]                 error
);

    localparam COLUMN_W   = $clog2(COLUMNS);
    localparam STEP_W     = (MUX/4+1)*(COLUMN_W+1) + FILTERS*LANES*(9+2*$clog2(MUX));
    localparam STEP_BEATS = (STEP_W + 63) / 64;
    localparam BEATS_U8   = (LANES*8 + 63) / 64;
    localparam BEATS_S16  = (LANES*16 + 63) / 64;
    localparam LAST_U8   = BEATS_U8 - 1;
    localparam LAST_S16  = BEATS_S16 - 1;
    localparam LAST_STEP = STEP_BEATS - 1;

    localparam [2:0] IDLE = 3'd0, ACT = 3'd1, RUN = 3'd2, SCHEDULE = 3'd3, STOPPED = 3'd4;

    reg  [2:0]          state;
    reg                 page;
    reg                 format;
    reg  [7:0]          zero_point;
    reg  [7:0]          last_wg;     // work groups in use, minus one
    reg  [7:0]          wg;
    reg  [7:0]          beat;        // beat within the column or step
    reg  [COLUMN_W-1:0] address;
    reg  [15:0]         left;        // columns or steps still to come, minus one
    reg                 slot;        // half the next run is loaded into

    // ---- handshake -------------------------------------------------------------------------------
    wire page_busy = |(slot_valid & (page ? slot_page : ~slot_page));

    assign s_axis_tready = (state == IDLE) || (state == RUN)
                        || (state == ACT && !page_busy)
                        || (state == SCHEDULE && !slot_valid[slot]);
    assign state_code = {1'b0, state};

    wire taken = s_axis_tvalid && s_axis_tready;

    // ---- header fields ---------------------------------------------------------------------------
    wire [3:0]  h_kind  = s_axis_tdata[`ZS_ACT_KIND_LSB +: 4];
    wire [7:0]  h_wgs   = s_axis_tdata[`ZS_ACT_WGS_LSB +: 8];
    wire [15:0] h_count = s_axis_tdata[`ZS_ACT_COUNT_LSB +: 16];
    wire [15:0] h_steps = s_axis_tdata[`ZS_RUN_STEPS_LSB +: 16];
    wire [15:0] h_nx    = s_axis_tdata[`ZS_RUN_NX_LSB +: 16];
    wire [15:0] h_ny    = s_axis_tdata[`ZS_RUN_NY_LSB +: 16];

    wire bad_wgs   = (h_wgs == 8'd0) || (h_wgs > WGS[7:0]);
    wire bad_count = (h_count == 16'd0) || (h_count > COLUMNS[15:0]);
    wire bad_steps = (h_steps == 16'd0) || (h_steps > STEPS[15:0]);

    wire column_end = beat == (format ? LAST_S16[7:0] : LAST_U8[7:0]);
    wire step_end   = beat == LAST_STEP[7:0];

    always @(posedge clk) begin
        if (taken)
            case (state)
                IDLE: begin
                    page       <= s_axis_tdata[`ZS_ACT_PAGE_LSB];
                    last_wg    <= h_wgs - 8'd1;
                    wg         <= 8'd0;
                    beat       <= 8'd0;
                    if (h_kind == `ZS_KIND_ACT) begin
                        format     <= s_axis_tdata[`ZS_ACT_FORMAT_LSB];
                        zero_point <= s_axis_tdata[`ZS_ACT_ZERO_POINT_LSB +: 8];
                        address    <= s_axis_tdata[`ZS_ACT_ADDRESS_LSB +: COLUMN_W];
                        left       <= h_count - 16'd1;
                        state      <= ACT;
                    end else begin
                        left       <= h_steps - 16'd1;
                        run_page   <= s_axis_tdata[`ZS_RUN_PAGE_LSB];
                        run_skip   <= s_axis_tdata[`ZS_RUN_SKIP_LSB];
                        run_last   <= s_axis_tdata[`ZS_RUN_LAST_LSB];
                        run_wgs    <= h_wgs;
                        run_steps  <= h_steps;
                        run_base   <= s_axis_tdata[`ZS_RUN_BASE_LSB +: 16];
                        state      <= RUN;
                    end
                    if (h_kind != `ZS_KIND_ACT && h_kind != `ZS_KIND_RUN) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_KIND;
                    end else if (bad_wgs) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_WGS;
                    end else if (h_kind == `ZS_KIND_ACT && bad_count) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_COUNT;
                    end else if (h_kind == `ZS_KIND_RUN && bad_steps) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_STEPS;
                    end
                end
                ACT: begin
                    beat <= column_end ? 8'd0 : beat + 8'd1;
                    if (column_end) begin
                        wg <= (wg == last_wg) ? 8'd0 : wg + 8'd1;
                        if (wg == last_wg) begin
                            address <= address + 1'b1;
                            left    <= left - 16'd1;
                            if (left == 16'd0)
                                state <= IDLE;
                        end
                    end
                end
                RUN: begin
                    run_nx <= h_nx;
                    run_ny <= h_ny;
                    run_dx <= s_axis_tdata[`ZS_RUN_DX_LSB +: 16];
                    run_dy <= s_axis_tdata[`ZS_RUN_DY_LSB +: 16];
                    state  <= SCHEDULE;
                    if (h_nx == 16'd0 || h_ny == 16'd0) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_PIXELS;
                    end
                end
                SCHEDULE: begin
                    beat <= step_end ? 8'd0 : beat + 8'd1;
                    if (step_end) begin
                        left <= left - 16'd1;
                        if (left == 16'd0) begin
                            state <= IDLE;
                            slot  <= ~slot;
                        end
                    end
                end
                default: ;
            endcase
        if (rst) begin
            state <= IDLE;
            slot  <= 1'b0;
            error <= `ZS_ERR_NONE;
        end
    end

    // ---- steps: beats to records ------------------------------------------------------------------
    reg [STEP_BEATS*64-1:0] record;

    assign step_data = record[STEP_W-1:0];

    generate
        if (STEP_BEATS * 64 > STEP_W) begin : g_pad
            wire unused_pad = &{1'b0, record[STEP_BEATS*64-1:STEP_W]};
        end
    endgenerate

    genvar i;
    generate
        for (i = 0; i < STEP_BEATS; i = i + 1) begin : g_record
            localparam [7:0] BEAT = i;
            always @(posedge clk)
                if (taken && state == SCHEDULE && beat == BEAT)
                    record[i*64 +: 64] <= s_axis_tdata;
        end
    endgenerate

    reg [$clog2(STEPS)-1:0] step_next;

    always @(posedge clk) begin
        step_we   <= taken && state == SCHEDULE && step_end;
        load      <= taken && state == SCHEDULE && step_end && left == 16'd0;
        step_slot <= slot;
        step_addr <= step_next;
        if (taken && state == RUN)
            step_next <= {$clog2(STEPS){1'b0}};
        else if (taken && state == SCHEDULE && step_end)
            step_next <= step_next + 1'b1;
        if (rst) begin
            step_we <= 1'b0;
            load    <= 1'b0;
        end
    end

    // ---- columns: beat register, activations, zero test, write -----------------------------------
    reg [63:0]            a_data;
    reg [7:0]             a_beat, a_wg, a_zero_point;
    reg                   a_valid, a_format, a_end, a_first_wg, a_last_wg;
    reg [COLUMN_W-1:0]    a_address;

    reg [LANES*ACT_W-1:0] c_column;
    reg                   c_valid, c_first_wg, c_last_wg;
    reg [7:0]             c_wg;
    reg [COLUMN_W-1:0]    c_address;

    reg [LANES*ACT_W-1:0] z_column;
    reg                   z_valid, z_some, z_first_wg, z_last_wg;
    reg [7:0]             z_wg;
    reg [COLUMN_W-1:0]    z_address;
    reg                   some_before;   // a work group before this one had a non-zero column

    generate
        for (i = 0; i < LANES; i = i + 1) begin : g_lane
            localparam [7:0] BEAT_U8  = i / 8;
            localparam [7:0] BEAT_S16 = i / 4;
            wire [7:0]  byte_in = a_data[(i%8)*8 +: 8];
            wire [15:0] half_in = a_data[(i%4)*16 +: 16];
            wire [8:0]  shifted = {1'b0, byte_in} - {1'b0, a_zero_point};

            if (ACT_W < 16) begin : g_narrow
                wire unused_high = &{1'b0, half_in[15:ACT_W]};
            end

            always @(posedge clk)
                if (a_valid && a_format && a_beat == BEAT_S16)
                    c_column[i*ACT_W +: ACT_W] <= half_in[ACT_W-1:0];
                else if (a_valid && !a_format && a_beat == BEAT_U8)
                    c_column[i*ACT_W +: ACT_W] <= {{(ACT_W-8){shifted[8]}}, shifted[7:0]};
        end

        for (i = 0; i < WGS; i = i + 1) begin : g_we
            localparam [7:0] INDEX = i;
            always @(posedge clk)
                column_we[i] <= z_valid && z_wg == INDEX && !rst;
        end
    endgenerate

    always @(posedge clk) begin
        a_data       <= s_axis_tdata;
        a_valid      <= taken && state == ACT && !rst;
        a_end        <= column_end;
        a_beat       <= beat;
        a_format     <= format;
        a_zero_point <= zero_point;
        a_wg         <= wg;
        a_first_wg   <= wg == 8'd0;
        a_last_wg    <= wg == last_wg;
        a_address    <= address;

        c_valid      <= a_valid && a_end && !rst;
        c_wg         <= a_wg;
        c_first_wg   <= a_first_wg;
        c_last_wg    <= a_last_wg;
        c_address    <= a_address;

        z_valid      <= c_valid && !rst;
        z_column     <= c_column;
        z_some       <= |c_column;
        z_wg         <= c_wg;
        z_first_wg   <= c_first_wg;
        z_last_wg    <= c_last_wg;
        z_address    <= c_address;

        column_addr  <= z_address;
        column_data  <= z_column;
        flag_we      <= z_valid && z_last_wg && !rst;
        flag         <= z_some | (some_before & ~z_first_wg);
        if (z_valid)
            some_before <= z_some | (some_before & ~z_first_wg);
    end

endmodule

`default_nettype wire
