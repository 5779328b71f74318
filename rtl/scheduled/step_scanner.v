// step_scanner: the online scheduler (Kang et al., section IV-B).
// Purpose: walks the pixels of each run and, SCAN steps at a time, looks up the zero flags of what the steps refer to.
//          A step whose references are all zero is dead.  Groups with a live step, and the last group of every pixel,
//          are handed on; the others vanish here.  With skip = 0 every step is live.
// Licence: MIT.
// Timing: one group of SCAN steps per cycle, one idle cycle between runs; a group is handed to the queue five cycles
//         after it was asked for.  Runs are taken in the order they were loaded.
`default_nettype none

module step_scanner #(
    parameter REFS    = 3,     // references of a step
    parameter FLAGS   = 1,     // 1: all references share one flag per address; REFS: reference j has flag j
    parameter COLUMNS = 512,
    parameter STEPS   = 256,
    parameter SCAN    = 4,
    parameter QUEUE   = 16     // groups the queue holds
) (
    input  wire                           clk,
    input  wire                           rst,
    // A run was loaded into slot `load_slot`, and waits for its last step (`written`, with step_we).
    input  wire                           load,
    input  wire                           load_slot,
    input  wire                           run_skip,
    input  wire [15:0]                    run_steps,
    input  wire [15:0]                    run_base,
    input  wire [15:0]                    run_nx,
    input  wire [15:0]                    run_ny,
    input  wire [15:0]                    run_dx,
    input  wire [15:0]                    run_dy,
    // Fetch half of the schedule, and the zero flags.
    input  wire                           step_we,
    input  wire                           written,
    input  wire                           step_slot,
    input  wire [$clog2(STEPS)-1:0]       step_addr,
    input  wire [REFS*($clog2(COLUMNS)+1)-1:0] step_data,
    input  wire                           flag_we,
    input  wire [$clog2(COLUMNS)-1:0]     flag_addr,
    input  wire [FLAGS-1:0]               flag,
    // Groups for the issue stage.
    output reg                            m_valid,
    output reg  [SCAN-1:0]                m_live,
    output reg  [SCAN*REFS-1:0]           m_ref,
    output reg  [SCAN*REFS*$clog2(COLUMNS)-1:0] m_addr,   // column of every reference of every step
    output reg  [$clog2(STEPS/SCAN)-1:0]  m_group,
    output reg                            m_slot,
    output reg                            m_close,   // last group of a pixel
    output reg                            m_end,     // last group of the run
    input  wire                           taken,     // the queue gave one group to the issue stage
    // Counter increments.
    output wire [$clog2(SCAN+1)-1:0]      dead_steps,
    output wire [$clog2(SCAN*REFS+1)-1:0] columns_skipped
);

    localparam COLUMN_W = $clog2(COLUMNS);
    localparam SLOT_W   = COLUMN_W + 1;
    localparam FETCH_W  = REFS * SLOT_W;
    localparam STEP_W   = $clog2(STEPS);
    localparam SCAN_W   = $clog2(SCAN);
    localparam GROUP_W  = STEP_W - SCAN_W;
    localparam CREDIT_W = $clog2(QUEUE + 1);
    localparam [CREDIT_W-1:0] CREDITS = QUEUE;

    genvar g, j;

    // ---- the runs of the two slots: what counts down minus one, addresses modulo COLUMNS ----------
    reg  [3*16+3*COLUMN_W:0] runs [0:1];
    reg  [1:0]               waiting;            // complete, not yet started
    reg                      slot;               // of the run that is walked, or the next
    wire                     r_skip;
    wire [15:0]              r_steps, r_nx, r_ny;
    wire [COLUMN_W-1:0]      r_base, r_dx, r_dy;

    assign {r_skip, r_steps, r_nx, r_ny, r_base, r_dx, r_dy} = runs[slot];

    wire unused_high = &{1'b0, run_base[15:COLUMN_W], run_dx[15:COLUMN_W], run_dy[15:COLUMN_W]};

    always @(posedge clk)
        if (load)
            runs[load_slot] <= {run_skip, run_steps - 16'd1, run_nx - 16'd1, run_ny - 16'd1,
                                run_base[COLUMN_W-1:0], run_dx[COLUMN_W-1:0], run_dy[COLUMN_W-1:0]};

    // ---- walk: runs, rows, pixels, groups --------------------------------------------------------
    reg                 running;
    reg  [GROUP_W-1:0]  group, before_last;
    reg                 close, only_one;         // the pixel's last group; its only one
    reg  [SCAN-1:0]     tail;                    // steps that exist in the last group
    reg                 skip;
    reg  [15:0]         x_left, y_left, nx;
    reg                 x_last, y_last;          // nothing left
    reg  [COLUMN_W-1:0] pixel, row, dx, dy;
    reg  [CREDIT_W-1:0] credits;

    wire        ask        = running && credits != {CREDIT_W{1'b0}};
    wire        run_end    = close && x_last && y_last;
    wire        drop;

    generate
        if (STEP_W < 16) begin : g_steps_high
            wire unused_steps = &{1'b0, r_steps[15:STEP_W]};
        end

        for (g = 0; g < SCAN; g = g + 1) begin : g_tail
            if (g == 0) begin : g_first
                always @(posedge clk)
                    tail[g] <= 1'b1;
            end else begin : g_other
                localparam [SCAN_W-1:0] INDEX = g;
                always @(posedge clk)
                    if (!running)
                        tail[g] <= INDEX <= r_steps[SCAN_W-1:0];
            end
        end
    endgenerate

    always @(posedge clk) begin
        if (!running) begin
            running    <= waiting[slot];
            group      <= {GROUP_W{1'b0}};
            before_last <= r_steps[STEP_W-1:SCAN_W] - 1'b1;
            close       <= r_steps[STEP_W-1:SCAN_W] == {GROUP_W{1'b0}};
            only_one    <= r_steps[STEP_W-1:SCAN_W] == {GROUP_W{1'b0}};
            skip       <= r_skip;
            nx         <= r_nx;
            x_left     <= r_nx;
            y_left     <= r_ny;
            x_last     <= r_nx == 16'd0;
            y_last     <= r_ny == 16'd0;
            pixel      <= r_base;
            row        <= r_base;
            dx         <= r_dx;
            dy         <= r_dy;
        end else if (ask) begin
            group <= close ? {GROUP_W{1'b0}} : group + 1'b1;
            close <= close ? only_one : group == before_last;
            if (close) begin
                x_left <= x_last ? nx : x_left - 16'd1;
                x_last <= x_last ? nx == 16'd0 : x_left == 16'd1;
                pixel  <= x_last ? row + dy : pixel + dx;
                if (x_last) begin
                    y_left <= y_left - 16'd1;
                    y_last <= y_left == 16'd1;
                    row    <= row + dy;
                end
            end
            if (run_end) begin
                running <= 1'b0;
                slot    <= ~slot;
            end
        end

        if (!running && waiting[slot])
            waiting[slot] <= 1'b0;
        if (written)
            waiting[step_slot] <= 1'b1;

        credits <= credits - {{(CREDIT_W-1){1'b0}}, ask}
                           + {{(CREDIT_W-1){1'b0}}, taken}
                           + {{(CREDIT_W-1){1'b0}}, drop};

        if (rst) begin
            running <= 1'b0;
            slot    <= 1'b0;
            waiting <= 2'b00;
            credits <= CREDITS;
        end
    end

    // ---- cycles 1 and 2: fetch records of the group ----------------------------------------------
    wire [SCAN*FETCH_W-1:0] fetch;

    generate
        for (g = 0; g < SCAN; g = g + 1) begin : g_fetch
            wire mine;
            if (SCAN == 1) begin : g_single
                assign mine = 1'b1;
            end else begin : g_several
                localparam [SCAN_W-1:0] INDEX = g;
                assign mine = step_addr[SCAN_W-1:0] == INDEX;
            end

            sdp_ram #(
                .WIDTH(FETCH_W),
                .DEPTH(2 * STEPS / SCAN)
            ) ram (
                .clk  (clk),
                .we   (step_we && mine),
                .waddr({step_slot, step_addr[STEP_W-1:SCAN_W]}),
                .wdata(step_data),
                .raddr({slot, group}),
                .rdata(fetch[g*FETCH_W +: FETCH_W])
            );
        end
    endgenerate

    // What the group is, beside the data: valid bits through the whole pipeline, the rest two cycles at a time.
    wire                 valid_2, valid_3, valid_4;
    wire [COLUMN_W-1:0]  pixel_2;
    wire                 skip_4, slot_4, end_4, close_4;
    wire [SCAN-1:0]      exists_4;
    wire [GROUP_W-1:0]   group_4;

    delay #(.WIDTH(1), .STAGES(2)) valid_delay_2 (.clk(clk), .d(ask && !rst), .q(valid_2));
    delay #(.WIDTH(1), .STAGES(1)) valid_delay_3 (.clk(clk), .d(valid_2 && !rst), .q(valid_3));
    delay #(.WIDTH(1), .STAGES(1)) valid_delay_4 (.clk(clk), .d(valid_3 && !rst), .q(valid_4));
    delay #(.WIDTH(COLUMN_W), .STAGES(2)) pixel_delay (.clk(clk), .d(pixel), .q(pixel_2));
    delay #(
        .WIDTH (GROUP_W + SCAN + 4),
        .STAGES(4)
    ) about_delay (
        .clk(clk),
        .d  ({skip, slot, run_end, close, close ? tail : {SCAN{1'b1}}, group}),
        .q  ({skip_4, slot_4, end_4, close_4, exists_4, group_4})
    );

    // ---- cycle 3: column addresses; cycle 4: their flags -----------------------------------------
    reg  [SCAN*REFS*COLUMN_W-1:0] addr_3, addr_4;
    reg  [SCAN*REFS-1:0]          ref_3, ref_4, some_4;

    generate
        for (g = 0; g < SCAN; g = g + 1) begin : g_step
            // Its own copy of the write port: a net to all flags would be too wide.
            wire                f_we;
            wire [COLUMN_W-1:0] f_addr;
            wire [FLAGS-1:0]    f_flag;

            broadcast_reg #(
                .WIDTH(1 + COLUMN_W + FLAGS)
            ) flag_copy (
                .clk(clk), .d({flag_we, flag_addr, flag}), .q({f_we, f_addr, f_flag})
            );

            for (j = 0; j < REFS; j = j + 1) begin : g_slot
                localparam AT = g * REFS + j;
                wire [SLOT_W-1:0] entry = fetch[g*FETCH_W + j*SLOT_W +: SLOT_W];
                wire              some;

                flag_ram #(
                    .DEPTH(COLUMNS)
                ) flags (
                    .clk  (clk),
                    .we   (f_we),
                    .waddr(f_addr),
                    .wdata(f_flag[(FLAGS == 1) ? 0 : j]),
                    .raddr(addr_3[AT*COLUMN_W +: COLUMN_W]),
                    .q    (some)
                );

                always @(posedge clk) begin
                    addr_3[AT*COLUMN_W +: COLUMN_W] <= entry[COLUMN_W-1:0] + pixel_2;
                    ref_3[AT]  <= entry[COLUMN_W];
                    addr_4[AT*COLUMN_W +: COLUMN_W] <= addr_3[AT*COLUMN_W +: COLUMN_W];
                    ref_4[AT]  <= ref_3[AT];
                    some_4[AT] <= some & ref_3[AT];
                end
            end
        end
    endgenerate

    // ---- cycle 5: live steps ---------------------------------------------------------------------
    wire [SCAN-1:0]      live;
    wire [SCAN*REFS-1:0] skipped;
    reg  [SCAN-1:0]      dead_5;
    reg  [SCAN*REFS-1:0] skipped_5;

    generate
        for (g = 0; g < SCAN; g = g + 1) begin : g_live
            assign live[g] = exists_4[g] & (~skip_4 | (|some_4[g*REFS +: REFS]));
            assign skipped[g*REFS +: REFS] = ref_4[g*REFS +: REFS] & {REFS{exists_4[g] & ~live[g]}};
        end
    endgenerate

    wire worth = |live | close_4;
    reg  drop_5;
    assign drop = drop_5;

    always @(posedge clk) begin
        m_valid   <= valid_4 && worth && !rst;
        drop_5    <= valid_4 && !worth && !rst;
        m_live    <= live;
        m_ref     <= ref_4;
        m_addr    <= addr_4;
        m_group   <= group_4;
        m_close   <= close_4;
        m_end     <= end_4;
        m_slot    <= slot_4;
        dead_5    <= valid_4 ? exists_4 & ~live : {SCAN{1'b0}};
        skipped_5 <= valid_4 ? skipped : {SCAN*REFS{1'b0}};
    end

    popcount #(.WIDTH(SCAN)) count_dead (.bits(dead_5), .count(dead_steps));
    popcount_reg #(.WIDTH(SCAN*REFS)) count_skipped (.clk(clk), .bits(skipped_5), .count(columns_skipped));

endmodule

`default_nettype wire
