// step_loader: reads the packets of the input stream of a scheduled engine.
// Purpose: ACT packets become column writes and zero flags; RUN packets become schedule writes and a queued run.
//          Rules: 1. activations wait until no queued or running RUN reads their page;
//                 2. schedule steps wait until their half of the schedule memory is free;
//                 3. an illegal header or a wrong checksum stops the stream and shows its reason in `error` until
//                    reset; a RUN whose checksum is wrong is not queued.
// Licence: MIT.
// Timing: one beat per cycle; a column is written five cycles after its last beat, a step two cycles after,
//         and `load` comes with the last step's write.  s_axis_tready is a register.
// Formats: docs/streams.md.
`default_nettype none

`include "zeroskip_defs.vh"

module step_loader #(
    parameter ACTS       = 8,      // activations of a column
    parameter WGS        = 2,
    parameter ACT_W      = 9,
    parameter COLUMNS    = 512,
    parameter STEPS      = 256,
    parameter FLAGS      = 1,      // zero flags of a column
    parameter RAW_W      = 150,    // bits of a step
    parameter NEAR_BEATS = 0       // beats of a step of a RUN with `near`; 0: there is one format only
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire [63:0]                s_axis_tdata,
    input  wire                       s_axis_tvalid,
    output wire                       s_axis_tready,
    // Which halves of the schedule memory hold a run, and which have just been read for the last time.
    output reg  [1:0]                 slot_valid,
    input  wire [1:0]                 release_slots,
    // Column write port, shared by all work groups but for the enables.
    output wire [WGS-1:0]             column_we,
    output wire [$clog2(COLUMNS)-1:0] column_addr,
    output wire [ACTS*ACT_W-1:0]      column_data,
    output wire                       flag_we,     // with the last work group's column
    output wire [FLAGS-1:0]           flag,        // 1: some activation at column_addr is not zero
    // Schedule write port and the run it belongs to.
    output reg                        step_we,
    output reg                        step_slot,
    output reg  [$clog2(STEPS)-1:0]   step_addr,
    output wire [RAW_W-1:0]           step_data,
    output wire                       load,        // the run of step_slot is complete, and its checksum right
    output reg                        run_skip,
    output reg                        run_last,
    output reg                        run_apart,
    output wire                       run_near,
    output reg  [7:0]                 run_wgs,
    output reg  [15:0]                run_steps,
    output reg  [15:0]                run_base,
    output reg  [15:0]                run_nx,
    output reg  [15:0]                run_ny,
    output reg  [15:0]                run_dx,
    output reg  [15:0]                run_dy,
    // Status.
    output wire                       packet,      // a packet was read and its checksum is right
    output reg  [3:0]                 kind,        // of the packet that is read, or at which the loader stopped
    output wire [3:0]                 state_code,
    output reg  [3:0]                 error
);

    localparam COLUMN_W  = $clog2(COLUMNS);
    localparam RAW_BEATS = (RAW_W + 63) / 64;
    localparam LAST_U8   = (ACTS*8 + 63) / 64 - 1;
    localparam LAST_S16  = (ACTS*16 + 63) / 64 - 1;
    localparam LAST_RAW  = RAW_BEATS - 1;
    localparam LAST_NEAR = NEAR_BEATS - 1;
    localparam BEAT_W    = $clog2(((RAW_BEATS > LAST_S16) ? RAW_BEATS : LAST_S16) + 1);

    localparam [2:0] IDLE = 3'd0, ACT = 3'd1, RUN = 3'd2, SCHEDULE = 3'd3, STOPPED = 3'd4;

    // ---- input register: a beat, and what it would be as a header -----------------------------------
    wire [12:0] s_count = s_axis_tdata[`ZS_ACT_COUNT_LSB +: 13];
    wire [15:0] s_steps = s_axis_tdata[`ZS_RUN_STEPS_LSB +: 16];
    wire [15:0] s_nx    = s_axis_tdata[`ZS_RUN_NX_LSB +: 16];
    wire [15:0] s_ny    = s_axis_tdata[`ZS_RUN_NY_LSB +: 16];
    wire [6:0]  s_wgs   = s_axis_tdata[`ZS_ACT_WGS_LSB +: 7];
    wire [3:0]  s_kind  = s_axis_tdata[`ZS_ACT_KIND_LSB +: 4];
    wire        s_bad_wgs    = s_wgs == 7'd0 || s_wgs > WGS[6:0];
    wire        s_bad_count  = s_count == 13'd0 || s_count > COLUMNS[12:0];
    wire        s_bad_steps  = s_steps == 16'd0 || s_steps > STEPS[15:0];
    wire        s_bad_pixels = s_nx == 16'd0 || s_ny == 16'd0;
    wire        valid, is_act, is_run, bad_wgs, bad_count, bad_steps, bad_pixels;
    wire [63:0] data;
    reg         open;                // this cycle's beat can be read

    axis_register #(
        .WIDTH(70)
    ) beats (
        .clk(clk), .rst(rst),
        .s_data({s_kind == `ZS_KIND_ACT, s_kind == `ZS_KIND_RUN, s_bad_wgs, s_bad_count, s_bad_steps, s_bad_pixels,
                 s_axis_tdata}),
        .s_valid(s_axis_tvalid), .s_ready(s_axis_tready),
        .m_data({is_act, is_run, bad_wgs, bad_count, bad_steps, bad_pixels, data}),
        .m_valid(valid), .m_ready(open)
    );

    wire taken = valid && open;
    wire bad;                        // the packet before this cycle's beat has a wrong checksum

    // ---- states ----------------------------------------------------------------------------------
    reg  [2:0]          state;
    reg                 page;
    reg                 format;
    reg  [7:0]          zero_point;
    reg  [7:0]          last_wg;     // work groups in use, minus one
    reg  [7:0]          wg;
    reg  [BEAT_W-1:0]   beat;        // beat within the column or step
    reg  [COLUMN_W-1:0] address;
    reg  [15:0]         left;        // columns or steps still to come, minus one
    reg                 slot;        // half the next run is loaded into
    reg  [1:0]          slot_page;

    wire column_end = beat == (format ? LAST_S16[BEAT_W-1:0] : LAST_U8[BEAT_W-1:0]);
    wire wg_end     = wg == last_wg;
    wire step_end   = beat == (run_near ? LAST_NEAR[BEAT_W-1:0] : LAST_RAW[BEAT_W-1:0]);
    wire item_end   = (state == ACT) ? column_end && wg_end : state == SCHEDULE && step_end;
    wire final_item = left == 16'd0;
    wire loaded     = taken && state == SCHEDULE && step_end && final_item;

    assign state_code = {1'b0, state};

    // `open` is said a cycle ahead.  While a packet is read, its page or half cannot become busy.
    wire [1:0] page_busy = {|(slot_valid & slot_page), |(slot_valid & ~slot_page)};
    wire       slot_busy = slot_valid[slot];
    wire       good_act  = is_act && !bad_wgs && !bad_count;
    wire       good_run  = is_run && !bad_wgs && !bad_steps;

    always @(posedge clk) begin
        case (state)
            IDLE: begin
                open <= !taken || good_run || (good_act && !page_busy[data[`ZS_ACT_PAGE_LSB]]);
                if (taken) begin
                    state <= good_act ? ACT : good_run ? RUN : STOPPED;
                    if (!good_act && !good_run)
                        error <= !(is_act || is_run) ? `ZS_ERR_KIND : bad_wgs ? `ZS_ERR_WGS
                               : is_act ? `ZS_ERR_COUNT : `ZS_ERR_STEPS;
                end
            end
            RUN: begin
                open <= !taken || !(bad_pixels || slot_busy);
                if (taken) begin
                    state <= bad_pixels ? STOPPED : SCHEDULE;
                    if (bad_pixels)
                        error <= `ZS_ERR_PIXELS;
                end
            end
            ACT, SCHEDULE: begin
                open <= (state == ACT) ? !page_busy[page] : !slot_busy;
                if (taken && item_end && final_item)
                    state <= IDLE;
            end
            default:
                open <= 1'b0;
        endcase

        if (taken && state == IDLE && !bad)
            kind <= data[`ZS_ACT_KIND_LSB +: 4];
        if (bad) begin
            state <= STOPPED;
            open  <= 1'b0;
            error <= `ZS_ERR_CHECKSUM;
        end

        if (release_slots[0])
            slot_valid[0] <= 1'b0;
        if (release_slots[1])
            slot_valid[1] <= 1'b0;
        if (loaded) begin
            slot_valid[slot] <= 1'b1;
            slot_page[slot]  <= page;
            slot             <= ~slot;
        end
        if (rst) begin
            state      <= IDLE;
            open       <= 1'b1;
            error      <= `ZS_ERR_NONE;
            slot       <= 1'b0;
            slot_valid <= 2'b00;
        end
    end

    // ---- header fields: while a header is awaited, every cycle; the last one counts -----------------
    always @(posedge clk) begin
        if (state == IDLE) begin
            page       <= data[`ZS_ACT_PAGE_LSB];
            format     <= data[`ZS_ACT_FORMAT_LSB];
            zero_point <= data[`ZS_ACT_ZERO_POINT_LSB +: 8];
            last_wg    <= {1'b0, data[`ZS_ACT_WGS_LSB +: 7]} - 8'd1;
            run_skip   <= data[`ZS_RUN_SKIP_LSB];
            run_last   <= data[`ZS_RUN_LAST_LSB];
            run_apart  <= data[`ZS_RUN_APART_LSB];
            run_wgs    <= {1'b0, data[`ZS_RUN_WGS_LSB +: 7]};
            run_steps  <= data[`ZS_RUN_STEPS_LSB +: 16];
            run_base   <= data[`ZS_RUN_BASE_LSB +: 16];
        end
        if (state == RUN) begin
            run_nx <= data[`ZS_RUN_NX_LSB +: 16];
            run_ny <= data[`ZS_RUN_NY_LSB +: 16];
            run_dx <= data[`ZS_RUN_DX_LSB +: 16];
            run_dy <= data[`ZS_RUN_DY_LSB +: 16];
        end
    end

    // ---- counts ------------------------------------------------------------------------------------
    always @(posedge clk)
        if (state == IDLE) begin
            beat    <= {BEAT_W{1'b0}};
            wg      <= 8'd0;
            address <= data[`ZS_ACT_ADDRESS_LSB +: COLUMN_W];
            left    <= (is_act ? {3'd0, data[`ZS_ACT_COUNT_LSB +: 13]} : data[`ZS_RUN_STEPS_LSB +: 16]) - 16'd1;
        end else if (taken && state != RUN) begin
            beat <= ((state == ACT) ? column_end : step_end) ? {BEAT_W{1'b0}} : beat + 1'b1;
            if (column_end)
                wg <= wg_end ? 8'd0 : wg + 8'd1;
            if (item_end) begin
                address <= address + 1'b1;
                left    <= left - 16'd1;
            end
        end

    // ---- steps: beats to records ------------------------------------------------------------------
    reg [RAW_BEATS*64-1:0] record;

    assign step_data = record[RAW_W-1:0];

    genvar i;
    generate
        if (NEAR_BEATS > 0) begin : g_near
            reg near;
            always @(posedge clk)
                if (state == IDLE)
                    near <= data[`ZS_RUN_NEAR_LSB];
            assign run_near = near;
        end else begin : g_one_format
            assign run_near = 1'b0;
        end

        if (RAW_BEATS * 64 > RAW_W) begin : g_pad
            wire unused_pad = &{1'b0, record[RAW_BEATS*64-1:RAW_W]};
        end

        for (i = 0; i < RAW_BEATS; i = i + 1) begin : g_record
            localparam [BEAT_W-1:0] BEAT = i;
            always @(posedge clk)
                if (state == SCHEDULE && beat == BEAT)
                    record[i*64 +: 64] <= data;
        end
    endgenerate

    reg [$clog2(STEPS)-1:0] step_next;
    reg                     complete;    // all beats of the run of step_slot have come

    always @(posedge clk) begin
        step_we   <= taken && state == SCHEDULE && step_end;
        complete  <= loaded;
        step_slot <= slot;
        step_addr <= step_next;
        if (state == RUN)
            step_next <= {$clog2(STEPS){1'b0}};
        else if (taken && state == SCHEDULE && step_end)
            step_next <= step_next + 1'b1;
        if (rst) begin
            step_we  <= 1'b0;
            complete <= 1'b0;
        end
    end

    // ---- checksum ---------------------------------------------------------------------------------
    stream_crc checksum (
        .clk(clk), .rst(rst), .valid(taken && state != STOPPED), .first(state == IDLE),
        .last(item_end && final_item), .data(data), .good(packet), .bad(bad)
    );

    assign load = complete && packet;

    // ---- columns ----------------------------------------------------------------------------------
    column_writer #(
        .ACTS(ACTS), .WGS(WGS), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .FLAGS(FLAGS)
    ) columns (
        .clk(clk), .rst(rst),
        .valid(taken && state == ACT), .data(data), .format(format), .zero_point(zero_point),
        .beat({{(8-BEAT_W){1'b0}}, beat}), .column_end(column_end), .wg(wg), .wg_end(wg_end), .address(address),
        .column_we(column_we), .column_addr(column_addr), .column_data(column_data),
        .flag_we(flag_we), .flag(flag)
    );

endmodule

`default_nettype wire
