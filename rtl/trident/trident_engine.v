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
    parameter SCAN    = 4,
    parameter SUMS    = 2      // sums of an output beat
) (
    input  wire        clk,
    input  wire        rst,
    input  wire [63:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    output wire [SUMS*32-1:0] m_axis_tdata,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    output wire        m_axis_tlast,
    // Status.
    output wire [1:0]  loaded,
    output wire        packet,
    output wire [3:0]  kind,
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
    localparam SELECT_W = $clog2(MUX);
    localparam FETCH_W  = WINDOW * (COLUMN_W + 1);
    localparam WEIGHT_W = FILTERS * LANES * (9 + 2 * SELECT_W);
    localparam LEVELS   = $clog2(LANES);
    localparam MOST     = WGS * FILTERS;          // sums of a pixel
    localparam BEATS    = (MOST + SUMS - 1) / SUMS;
    localparam BEATS_W  = $clog2(BEATS + 1);
    localparam DRAIN_DEPTH = (BEATS <= 16) ? 64 : 4 << $clog2(BEATS);

    genvar p, b, i;

    // ---- loader, online scheduler, issue ---------------------------------------------------------
    wire [WGS-1:0]              column_we;
    wire [COLUMN_W-1:0]         column_addr;
    wire [LANES*ACT_W-1:0]      column_data;
    wire [FETCH_W+WEIGHT_W-1:0] step_data;
    wire                        step_we;
    wire [STEP_W:0]             step_addr;
    wire                        can_close, closes, odd;
    wire [BEATS_W-1:0]          beats, unused_pixel_beats;   // the same: one filter after the other
    wire                        unused_apart;
    wire                        i_first;
    wire [STEP_W:0]             i_step;
    wire [WINDOW-1:0]           i_refs;
    wire [WINDOW*COLUMN_W-1:0]  i_addr;
    wire                        unused_near;   // there is one step format

    step_control #(
        .ACTS(LANES), .FILTERS(FILTERS), .WGS(WGS), .ACT_W(ACT_W), .COLUMNS(COLUMNS), .STEPS(STEPS), .SCAN(SCAN),
        .REFS(WINDOW), .RAW_W(FETCH_W + WEIGHT_W), .SUMS(SUMS)
    ) control (
        .clk(clk), .rst(rst),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
        .loaded(loaded), .packet(packet), .kind(kind), .loader_state(loader_state), .error(error),
        .column_we(column_we), .column_addr(column_addr), .column_data(column_data),
        .raw_data(step_data), .raw_near(unused_near), .fetch(step_data[FETCH_W-1:0]),
        .step_we(step_we), .step_addr(step_addr),
        .can_close(can_close), .busy(busy), .blocked(blocked), .closes(closes), .finished(finished),
        .apart(unused_apart), .odd(odd), .beats(beats), .pixel_beats(unused_pixel_beats),
        .valid(step), .first(i_first), .step(i_step), .refs(i_refs), .addr(i_addr),
        .dead_steps(dead_steps), .columns(columns), .columns_skipped(columns_skipped)
    );

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
        .we(step_we), .waddr(step_addr), .wdata(step_data[FETCH_W +: WEIGHT_W]),
        .valid(step), .step(i_step),
        .factor(factor), .pair(pair), .select0(select0), .select1(select1),
        .pairs(pairs), .singles(singles), .outliers(outliers)
    );

    // ---- work groups -----------------------------------------------------------------------------
    wire                first_10;
    wire [MOST*32-1:0]  sums;

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

    // ---- drain: 13 + log2(LANES) cycles after the decision the accumulators hold the sums ---------------
    wire               drain_load, drain_last, drain_odd;
    wire [BEATS_W-1:0] drain_beats;

    delay #(
        .WIDTH(3 + BEATS_W), .STAGES(12 + LEVELS)
    ) close_delay (
        .clk(clk), .d({closes && !rst, finished, odd, beats}), .q({drain_load, drain_last, drain_odd, drain_beats})
    );

    sum_drain #(
        .MOST(MOST), .SUMS(SUMS), .DEPTH(DRAIN_DEPTH)
    ) drain (
        .clk(clk), .rst(rst),
        .can_close(can_close), .reserve(closes), .reserve_beats(beats),
        .load(drain_load), .last(drain_last), .load_beats(drain_beats), .load_odd(drain_odd), .sums(sums),
        .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
        .m_axis_tlast(m_axis_tlast)
    );

endmodule

`default_nettype wire
