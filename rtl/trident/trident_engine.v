// trident_engine: the bit-level scheduled engine of Kang et al. behind two streams.
// Purpose: FILTERS x WGS x LANES reconfigurable MACs under one control.  Packets in (activations, schedules with their
//          pixel loops), sums out.  Weights and selects are broadcast over the work groups, activations over the filters.
// Licence: MIT.
// Timing: one schedule step per cycle, without bubbles between pixels; nothing stalls behind the issue stage.
// Formats: docs/streams.md.  Structure and pipeline: docs/architecture.md.
`default_nettype none

module trident_engine #(
    parameter LANES   = 8,
    parameter FILTERS = 1,
    parameter WGS     = 2,
    parameter MUX     = 8,
    parameter ACT_W   = 9,
    parameter COLUMNS = 512,
    parameter STEPS   = 256,
    parameter SCAN    = 4
) (
    input  wire        clk,
    input  wire        rst,
    input  wire [63:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    output wire [63:0] m_axis_tdata,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    output wire        m_axis_tlast,
    // Status.
    output wire [1:0]  loaded,
    output wire [3:0]  loader_state,
    output wire [3:0]  error,
    // Events of this cycle, for the counters.
    output wire        busy,
    output wire        blocked,
    output wire        finished,     // the last pixel of the transfer is closed
    output wire        step,
    output wire [$clog2(SCAN+1)-1:0]             dead_steps,
    output wire [$clog2(MUX/4+2)-1:0]            columns,
    output wire [$clog2(SCAN*(MUX/4+1)+1)-1:0]   columns_skipped,
    output wire [$clog2(FILTERS*LANES+1)-1:0]    pairs,
    output wire [$clog2(FILTERS*LANES+1)-1:0]    singles,
    output wire [$clog2(FILTERS*LANES+1)-1:0]    outliers
);

    localparam WINDOW   = MUX / 4 + 1;
    localparam BANK_W   = $clog2(WINDOW);
    localparam BANKS    = 1 << BANK_W;
    localparam COLUMN_W = $clog2(COLUMNS);
    localparam ROW_W    = COLUMN_W - BANK_W;
    localparam STEP_W   = $clog2(STEPS);
    localparam GROUP_W  = $clog2(STEPS / SCAN);
    localparam SELECT_W = $clog2(MUX);
    localparam FETCH_W  = WINDOW * (COLUMN_W + 1);
    localparam WEIGHT_W = FILTERS * LANES * (9 + 2 * SELECT_W);
    localparam LEVELS   = $clog2(LANES);
    localparam SUMS     = WGS * FILTERS;
    localparam BEATS    = (SUMS + 1) / 2;
    localparam BEATS_W  = $clog2(BEATS + 1);
    localparam QUEUE    = 16;
    localparam DRAIN_DEPTH = (BEATS <= 16) ? 64 : 4 << $clog2(BEATS);
    localparam GROUP_BITS = 3 + GROUP_W + SCAN * (1 + WINDOW + WINDOW * COLUMN_W);

    genvar p, b, i;

    // ---- loader ----------------------------------------------------------------------------------
    reg  [1:0]                slot_valid, slot_page, slot_last, slot_odd;
    reg  [BEATS_W-1:0]        slot_beats_0, slot_beats_1;
    wire [WGS-1:0]            column_we;
    wire [COLUMN_W-1:0]       column_addr;
    wire [LANES*ACT_W-1:0]    column_data;
    wire                      flag_we, flag;
    wire                      step_we, step_slot, load;
    wire [STEP_W-1:0]         step_addr;
    wire [FETCH_W+WEIGHT_W-1:0] step_data;
    wire                      run_page, run_skip, run_last;
    wire [7:0]                run_wgs;
    wire [15:0]               run_steps, run_base, run_nx, run_ny, run_dx, run_dy;

    trident_loader #(
        .LANES(LANES), .FILTERS(FILTERS), .WGS(WGS), .MUX(MUX), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS)
    ) loader (
        .clk(clk), .rst(rst),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
        .slot_valid(slot_valid), .slot_page(slot_page),
        .column_we(column_we), .column_addr(column_addr), .column_data(column_data),
        .flag_we(flag_we), .flag(flag),
        .step_we(step_we), .step_slot(step_slot), .step_addr(step_addr), .step_data(step_data),
        .load(load),
        .run_page(run_page), .run_skip(run_skip), .run_last(run_last), .run_wgs(run_wgs), .run_steps(run_steps),
        .run_base(run_base), .run_nx(run_nx), .run_ny(run_ny), .run_dx(run_dx), .run_dy(run_dy),
        .state_code(loader_state), .error(error)
    );

    // ---- slots: the two halves of the schedule memory --------------------------------------------
    wire        ends, slot;
    reg         release_valid, release_slot;
    wire [15:0] run_sums = {8'd0, run_wgs} * FILTERS[15:0] + 16'd1;
    wire        unused_sums = &{1'b0, run_sums[15:BEATS_W+1]};

    assign loaded = slot_valid;

    always @(posedge clk) begin
        release_valid <= ends && !rst;
        release_slot  <= slot;
        if (release_valid)
            slot_valid[release_slot] <= 1'b0;
        if (load) begin
            slot_valid[step_slot] <= 1'b1;
            slot_page[step_slot]  <= run_page;
            slot_last[step_slot]  <= run_last;
            slot_odd[step_slot]   <= ~run_sums[0];
            if (step_slot)
                slot_beats_1 <= run_sums[BEATS_W:1];
            else
                slot_beats_0 <= run_sums[BEATS_W:1];
        end
        if (rst)
            slot_valid <= 2'b00;
    end

    // ---- online scheduler and its queue ----------------------------------------------------------
    wire                              g_valid, g_slot, g_close, g_end;
    wire [SCAN-1:0]                   g_live;
    wire [SCAN*WINDOW-1:0]            g_ref;
    wire [SCAN*WINDOW*COLUMN_W-1:0]   g_addr;
    wire [GROUP_W-1:0]                g_group;
    wire                              q_valid, q_ready, q_slot, q_close, q_end;
    wire [SCAN-1:0]                   q_live;
    wire [SCAN*WINDOW-1:0]            q_ref;
    wire [SCAN*WINDOW*COLUMN_W-1:0]   q_addr;
    wire [GROUP_W-1:0]                q_group;
    wire                              unused_queue_ready;   // the scanner asks only for what fits

    trident_scanner #(
        .MUX(MUX), .COLUMNS(COLUMNS), .STEPS(STEPS), .SCAN(SCAN), .QUEUE(QUEUE)
    ) scanner (
        .clk(clk), .rst(rst),
        .load(load), .load_slot(step_slot),
        .run_skip(run_skip), .run_steps(run_steps), .run_base(run_base),
        .run_nx(run_nx), .run_ny(run_ny), .run_dx(run_dx), .run_dy(run_dy),
        .step_we(step_we), .step_slot(step_slot), .step_addr(step_addr), .step_data(step_data[FETCH_W-1:0]),
        .flag_we(flag_we), .flag_addr(column_addr), .flag(flag),
        .m_valid(g_valid), .m_live(g_live), .m_ref(g_ref), .m_addr(g_addr), .m_group(g_group),
        .m_slot(g_slot), .m_close(g_close), .m_end(g_end),
        .taken(q_valid && q_ready),
        .dead_steps(dead_steps), .columns_skipped(columns_skipped)
    );

    axis_fifo #(
        .WIDTH(GROUP_BITS), .DEPTH(QUEUE)
    ) queue (
        .clk(clk), .rst(rst),
        .s_data({g_slot, g_close, g_end, g_group, g_live, g_ref, g_addr}),
        .s_valid(g_valid), .s_ready(unused_queue_ready),
        .m_data({q_slot, q_close, q_end, q_group, q_live, q_ref, q_addr}),
        .m_valid(q_valid), .m_ready(q_ready)
    );

    // ---- issue -----------------------------------------------------------------------------------
    wire                       can_close, closes;
    wire                       i_valid, i_first;
    wire [STEP_W:0]            i_step;
    wire [WINDOW-1:0]          i_refs;
    wire [WINDOW*COLUMN_W-1:0] i_addr;
    wire [BEATS_W-1:0]         beats = slot ? slot_beats_1 : slot_beats_0;
    wire                       last  = ends & slot_last[slot];

    assign finished = last;
    assign step     = i_valid;

    trident_issue #(
        .MUX(MUX), .COLUMNS(COLUMNS), .STEPS(STEPS), .SCAN(SCAN)
    ) issue (
        .clk(clk), .rst(rst),
        .s_valid(q_valid), .s_ready(q_ready), .s_live(q_live), .s_ref(q_ref), .s_addr(q_addr),
        .s_group(q_group), .s_slot(q_slot), .s_close(q_close), .s_end(q_end),
        .can_close(can_close),
        .busy(busy), .closes(closes), .ends(ends), .slot(slot), .blocked(blocked),
        .valid(i_valid), .first(i_first), .step(i_step), .refs(i_refs), .addr(i_addr)
    );

    popcount #(.WIDTH(WINDOW)) count_columns (.bits(i_refs), .count(columns));

    // ---- cycle 1: row of every bank, bank of every window slot -----------------------------------
    reg  [BANKS*ROW_W-1:0]   rows;
    reg  [WINDOW*BANK_W-1:0] bank_of;
    wire [WINDOW*BANK_W-1:0] bank_of_4;

    generate
        for (b = 0; b < BANKS; b = b + 1) begin : g_route
            localparam [BANK_W-1:0] BANK = b;
            reg [ROW_W-1:0] row;
            integer         j;
            always @* begin
                row = {ROW_W{1'b0}};
                for (j = 0; j < WINDOW; j = j + 1)
                    row = row | (i_addr[j*COLUMN_W+BANK_W +: ROW_W]
                              & {ROW_W{i_refs[j] && i_addr[j*COLUMN_W +: BANK_W] == BANK}});
            end
            always @(posedge clk)
                rows[b*ROW_W +: ROW_W] <= row;
        end
        for (i = 0; i < WINDOW; i = i + 1) begin : g_bank_of
            always @(posedge clk)
                bank_of[i*BANK_W +: BANK_W] <= i_addr[i*COLUMN_W +: BANK_W];
        end
    endgenerate

    delay #(.WIDTH(WINDOW * BANK_W), .STAGES(3)) bank_of_delay (.clk(clk), .d(bank_of), .q(bank_of_4));

    // ---- weights ---------------------------------------------------------------------------------
    wire [FILTERS*LANES*18-1:0]       factor;
    wire [FILTERS*LANES-1:0]          pair;
    wire [FILTERS*LANES*SELECT_W-1:0] select0, select1;

    trident_weights #(
        .LANES(LANES), .FILTERS(FILTERS), .MUX(MUX), .ACT_W(ACT_W), .STEPS(STEPS)
    ) weights (
        .clk(clk),
        .we(step_we), .waddr({step_slot, step_addr}), .wdata(step_data[FETCH_W +: WEIGHT_W]),
        .valid(i_valid), .step(i_step),
        .factor(factor), .pair(pair), .select0(select0), .select1(select1),
        .pairs(pairs), .singles(singles), .outliers(outliers)
    );

    // ---- work groups -----------------------------------------------------------------------------
    wire                first_10;
    wire [SUMS*32-1:0]  sums;

    delay #(.WIDTH(1), .STAGES(10 + LEVELS)) first_delay (.clk(clk), .d(i_first), .q(first_10));

    generate
        for (p = 0; p < WGS; p = p + 1) begin : g_wg
            trident_wg #(
                .LANES(LANES), .FILTERS(FILTERS), .MUX(MUX), .ACT_W(ACT_W), .COLUMNS(COLUMNS)
            ) wg (
                .clk(clk),
                .we(column_we[p]), .waddr(column_addr), .wdata(column_data),
                .rows(rows), .bank_of(bank_of_4),
                .factor(factor), .pair(pair), .select0(select0), .select1(select1),
                .first(first_10),
                .sums(sums[p*FILTERS*32 +: FILTERS*32])
            );
        end
    endgenerate

    // ---- drain: the decision reaches the accumulators 13 + log2(LANES) cycles later ---------------
    wire               drain_load, drain_last, drain_odd;
    wire [BEATS_W-1:0] drain_beats;

    delay #(
        .WIDTH(3 + BEATS_W), .STAGES(13 + LEVELS)
    ) close_delay (
        .clk(clk), .d({closes && !rst, last, slot_odd[slot], beats}), .q({drain_load, drain_last, drain_odd, drain_beats})
    );

    sum_drain #(
        .SUMS(SUMS), .DEPTH(DRAIN_DEPTH)
    ) drain (
        .clk(clk), .rst(rst),
        .can_close(can_close), .reserve(closes), .reserve_beats(beats),
        .load(drain_load), .last(drain_last), .load_beats(drain_beats), .load_odd(drain_odd), .sums(sums),
        .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
        .m_axis_tlast(m_axis_tlast)
    );

endmodule

`default_nettype wire
