// step_control: everything of a scheduled engine but its data path: loader, online scheduler and issue stage.
// Purpose: packets in; column writes, schedule writes and one step per cycle out.  A step is REFS references (column
//          offset, and whether it is used), kept here, and weights, kept by the engine.
// Licence: MIT.
// Timing: `busy`, `blocked`, `closes`, `finished` are this cycle's decision; the step it issues is in `valid` to `addr`
//         in the next.  `fetch` is the fetch half of `raw_data`, UNPACK cycles later; `step_we` is then.
// Formats: docs/streams.md.  Structure and pipeline: docs/architecture.md.
`default_nettype none

module step_control #(
    parameter ACTS       = 8,      // activations of a column
    parameter FILTERS    = 1,
    parameter WGS        = 2,
    parameter ACT_W      = 9,
    parameter COLUMNS    = 512,
    parameter STEPS      = 256,
    parameter SCAN       = 4,
    parameter REFS       = 3,      // references of a step
    parameter FLAGS      = 1,      // 1: a zero flag per column; REFS = ACTS: one per activation, reference j has flag j
    parameter RAW_W      = 150,    // bits of a step on the stream
    parameter NEAR_BEATS = 0,      // beats of a step of a RUN with `near`; 0: there is one format only
    parameter UNPACK     = 0,      // cycles from raw_data to fetch
    parameter SUMS       = 2,      // sums of an output beat: 2, 4, 8
    parameter PASSES     = 1       // times the beats of a pixel whose lanes are apart; 1: none are
) (
    input  wire                               clk,
    input  wire                               rst,
    input  wire [63:0]                        s_axis_tdata,
    input  wire                               s_axis_tvalid,
    output wire                               s_axis_tready,
    // Status.
    output wire [1:0]                         loaded,
    output wire                               packet,
    output wire [3:0]                         kind,
    output wire [3:0]                         loader_state,
    output wire [3:0]                         error,
    // Column write port.
    output wire [WGS-1:0]                     column_we,
    output wire [$clog2(COLUMNS)-1:0]         column_addr,
    output wire [ACTS*ACT_W-1:0]              column_data,
    // A step as it came, and its fetch half; with that, write port of the weight half: address is {half, step}.
    output wire [RAW_W-1:0]                   raw_data,
    output wire                               raw_near,
    input  wire [REFS*($clog2(COLUMNS)+1)-1:0] fetch,
    output wire                               step_we,
    output wire [$clog2(STEPS):0]             step_addr,
    // Decision of this cycle, and the pixel that it ends.
    input  wire                               can_close,   // the drain has room for a pixel
    output wire                               busy,        // a step is issued or a pixel closed
    output wire                               blocked,     // waits for the drain
    output wire                               closes,      // a pixel ends
    output wire                               finished,    // ... and it is the last of the transfer
    output wire                               apart,       // every lane has sums of its own
    output wire                               odd,         // the last beat of two sums holds one
    output wire [$clog2((WGS*FILTERS+SUMS-1)/SUMS+1)-1:0] beats,   // beats of its sums, of one lane's where apart
    output wire [$clog2(PASSES*((WGS*FILTERS+SUMS-1)/SUMS)+1)-1:0] pixel_beats,   // of all
    // Issued step, one cycle later.
    output wire                               valid,
    output wire                               first,       // begins a pixel
    output wire [$clog2(STEPS):0]             step,        // {half, step}
    output wire [REFS-1:0]                    refs,
    output wire [REFS*$clog2(COLUMNS)-1:0]    addr,
    // Counter increments.
    output wire [$clog2(SCAN+1)-1:0]          dead_steps,
    output wire [$clog2(REFS+1)-1:0]          columns,
    output wire [$clog2(SCAN*REFS+1)-1:0]     columns_skipped
);

    localparam COLUMN_W = $clog2(COLUMNS);
    localparam STEP_W   = $clog2(STEPS);
    localparam GROUP_W  = $clog2(STEPS / SCAN);
    localparam BEATS    = (WGS * FILTERS + SUMS - 1) / SUMS;
    localparam BEATS_W  = $clog2(BEATS + 1);
    localparam PIXEL_W  = $clog2(PASSES * BEATS + 1);
    localparam SUMS_W   = $clog2(SUMS);
    localparam QUEUE    = 16;
    localparam GROUP_BITS = 3 + GROUP_W + SCAN * (1 + REFS + REFS * COLUMN_W);

    // ---- loader ----------------------------------------------------------------------------------
    wire              ends, slot;   // a run ends; the slot at hand
    wire              flag_we;
    wire [FLAGS-1:0]  flag;
    wire              raw_we, raw_slot, load;
    wire [STEP_W-1:0] raw_addr;
    wire              run_skip, run_last, run_apart;
    wire [7:0]        run_wgs;
    wire [15:0]       run_steps, run_base, run_nx, run_ny, run_dx, run_dy;

    step_loader #(
        .ACTS(ACTS), .WGS(WGS), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS), .FLAGS(FLAGS), .RAW_W(RAW_W),
        .NEAR_BEATS(NEAR_BEATS)
    ) loader (
        .clk(clk), .rst(rst),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
        .slot_valid(loaded), .release_slots({ends & slot, ends & ~slot}),
        .column_we(column_we), .column_addr(column_addr), .column_data(column_data),
        .flag_we(flag_we), .flag(flag),
        .step_we(raw_we), .step_slot(raw_slot), .step_addr(raw_addr), .step_data(raw_data),
        .load(load),
        .run_skip(run_skip), .run_last(run_last), .run_apart(run_apart), .run_near(raw_near), .run_wgs(run_wgs),
        .run_steps(run_steps), .run_base(run_base),
        .run_nx(run_nx), .run_ny(run_ny), .run_dx(run_dx), .run_dy(run_dy),
        .packet(packet), .kind(kind), .state_code(loader_state), .error(error)
    );

    // Address and enable wait for the unpacked step.
    wire written;

    delay #(
        .WIDTH(3 + STEP_W), .STAGES(UNPACK)
    ) unpack_delay (
        .clk(clk), .d({load, raw_we, raw_slot, raw_addr}), .q({written, step_we, step_addr})
    );

    // ---- what the drain has to know of the runs in the two slots ----------------------------------
    reg  [1:0]         slot_last, slot_apart, slot_odd;
    reg  [BEATS_W-1:0] slot_beats [0:1];
    reg  [PIXEL_W-1:0] slot_pixel [0:1];
    wire [15:0]        run_sums  = {8'd0, run_wgs} * FILTERS[15:0];
    wire [15:0]        run_fill  = run_sums + SUMS[15:0] - 16'd1;
    wire [15:0]        run_beats = run_fill >> SUMS_W;
    wire               run_lanes = run_apart && PASSES > 1;
    wire [15:0]        run_pixel = run_lanes ? run_beats * PASSES[15:0] : run_beats;
    wire               unused_beats = &{1'b0, run_beats[15:BEATS_W], run_pixel[15:PIXEL_W]};

    assign finished    = ends & slot_last[slot];
    assign apart       = slot_apart[slot];
    assign odd         = slot_odd[slot];
    assign beats       = slot_beats[slot];
    assign pixel_beats = slot_pixel[slot];

    always @(posedge clk)
        if (load) begin
            slot_last[raw_slot]  <= run_last;
            slot_apart[raw_slot] <= run_lanes;
            slot_odd[raw_slot]   <= run_sums[0];
            slot_beats[raw_slot] <= run_beats[BEATS_W-1:0];
            slot_pixel[raw_slot] <= run_pixel[PIXEL_W-1:0];
        end

    // ---- online scheduler and its queue ----------------------------------------------------------
    wire                          g_valid, g_slot, g_close, g_end;
    wire [SCAN-1:0]               g_live;
    wire [SCAN*REFS-1:0]          g_ref;
    wire [SCAN*REFS*COLUMN_W-1:0] g_addr;
    wire [GROUP_W-1:0]            g_group;
    wire                          q_valid, q_ready, q_slot, q_close, q_end;
    wire [SCAN-1:0]               q_live;
    wire [SCAN*REFS-1:0]          q_ref;
    wire [SCAN*REFS*COLUMN_W-1:0] q_addr;
    wire [GROUP_W-1:0]            q_group;
    wire                          unused_queue_ready;   // the scanner asks only for what fits

    step_scanner #(
        .REFS(REFS), .FLAGS(FLAGS), .COLUMNS(COLUMNS), .STEPS(STEPS), .SCAN(SCAN), .QUEUE(QUEUE)
    ) scanner (
        .clk(clk), .rst(rst),
        .load(load), .load_slot(raw_slot),
        .run_skip(run_skip), .run_steps(run_steps), .run_base(run_base),
        .run_nx(run_nx), .run_ny(run_ny), .run_dx(run_dx), .run_dy(run_dy),
        .step_we(step_we), .written(written), .step_slot(step_addr[STEP_W]), .step_addr(step_addr[STEP_W-1:0]),
        .step_data(fetch),
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
    step_issue #(
        .REFS(REFS), .COLUMNS(COLUMNS), .STEPS(STEPS), .SCAN(SCAN)
    ) issue (
        .clk(clk), .rst(rst),
        .s_valid(q_valid), .s_ready(q_ready), .s_live(q_live), .s_ref(q_ref), .s_addr(q_addr),
        .s_group(q_group), .s_slot(q_slot), .s_close(q_close), .s_end(q_end),
        .can_close(can_close),
        .busy(busy), .closes(closes), .ends(ends), .slot(slot), .blocked(blocked),
        .valid(valid), .first(first), .step(step), .refs(refs), .addr(addr)
    );

    popcount_reg #(.WIDTH(REFS)) count_columns (.clk(clk), .bits(refs), .count(columns));

endmodule

`default_nettype wire
