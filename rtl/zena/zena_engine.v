// zena_engine: the zero-aware engine of ZeNA behind two streams.
// Purpose: WGS x FILTERS PEs, each multiplying only where weight and activation are both non-zero.  Kernels are
//          broadcast over the work groups, activations over the PEs; sub-WGs work independently of one another, each on
//          its own jobs or, with STEALING, on any.
// Licence: MIT.
// Timing: see zena_pe; nothing waits inside a job.
// Formats: docs/streams.md.
`default_nettype none

module zena_engine #(
    parameter FILTERS  = 8,
    parameter WGS      = 2,
    parameter ACT_W    = 16,
    parameter COLUMNS  = 64,
    parameter STEPS    = 16,
    parameter WEIGHT_W = 16,
    parameter SUB_WGS  = 1,
    parameter PSUMS    = 64,  // per PE
    parameter STEALING = 0,
    parameter JOBS     = 2    // kernel tiles each PE holds: they run up to one less ahead of the slowest
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        running,      // between the first input beat and the last sum
    input  wire [63:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    output wire [63:0] m_axis_tdata,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    output wire        m_axis_tlast,
    // Status.
    output wire [1:0]  loaded,       // sub-WG 0
    output wire        packet,
    output wire [3:0]  kind,
    output wire [3:0]  loader_state,
    output wire [3:0]  error,
    // Events, for the counters: PE events of four cycles ago.
    output reg         busy,
    output wire        blocked,
    output wire        finished,
    output reg  [$clog2(WGS*FILTERS+1)-1:0] multiplies,
    output reg  [$clog2(WGS*FILTERS+1)-1:0] empty_chunks,
    output reg  [$clog2(WGS*FILTERS+1)-1:0] barrier_wait
);

    localparam COLUMN_W = $clog2(COLUMNS);
    localparam CHUNK_W  = $clog2(STEPS);
    localparam JOB_PSUMS = (STEALING != 0) ? PSUMS * SUB_WGS : PSUMS;
    localparam SLOT_W   = $clog2(JOBS);
    localparam SLOTS    = JOBS * SUB_WGS;
    localparam PSUM_W   = $clog2(JOB_PSUMS);
    localparam JOB_W    = 1 + CHUNK_W + 3 * PSUM_W + 3 * COLUMN_W;
    localparam SUB_Q    = FILTERS / SUB_WGS;
    localparam COUNT_W  = $clog2(SUB_Q + 1);
    localparam SUM_W    = $clog2(WGS * SUB_Q + 1);
    localparam TOTAL_W  = $clog2(WGS * FILTERS + 1);
    localparam SUB_PES  = WGS * SUB_Q;

    genvar i, j;

    // ---- loader ----------------------------------------------------------------------------------
    wire [SLOTS-1:0]       slot_valid, slot_page, slot_go;
    wire                   drain_ready;
    wire [4*16-1:0]        bus_data;
    wire [4*4-1:0]         bus_position;
    wire [4*COLUMN_W-1:0]  bus_index;
    wire [SLOT_W-1:0]      bus_slot, job_slot;
    wire [WGS-1:0]         act_mask_we, act_value_we;
    wire [FILTERS-1:0]     kernel_mask_we, kernel_value_we;
    wire [SUB_WGS-1:0]     offset_we;
    wire [CHUNK_W-1:0]     offset_chunk;
    wire [COLUMN_W-1:0]    offset_data;
    wire                   load, job_page, job_first, job_last, job_final, job_relu;
    wire [3:0]             job_sub_wg, job_undrained;
    wire [7:0]             job_wgs;
    wire [CHUNK_W-1:0]     job_chunks;
    wire [PSUM_W-1:0]      job_psum, job_nx, job_ny;
    wire [COLUMN_W-1:0]    job_base, job_dx, job_dy;

    zena_loader #(
        .FILTERS(FILTERS), .WGS(WGS), .COLUMNS(COLUMNS), .STEPS(STEPS), .SUB_WGS(SUB_WGS), .PSUMS(JOB_PSUMS),
        .JOBS(JOBS), .STEALING(STEALING)
    ) loader (
        .clk(clk), .rst(rst),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
        .slot_valid(slot_valid), .slot_page(slot_page), .drain_ready(drain_ready),
        .bus_data(bus_data), .bus_position(bus_position), .bus_index(bus_index), .bus_slot(bus_slot),
        .act_mask_we(act_mask_we), .act_value_we(act_value_we),
        .kernel_mask_we(kernel_mask_we), .kernel_value_we(kernel_value_we),
        .offset_we(offset_we), .offset_chunk(offset_chunk), .offset_data(offset_data),
        .load(load), .job_sub_wg(job_sub_wg), .job_slot(job_slot), .job_page(job_page), .job_first(job_first),
        .job_last(job_last), .job_final(job_final), .job_relu(job_relu), .job_wgs(job_wgs),
        .job_undrained(job_undrained), .job_chunks(job_chunks), .job_psum(job_psum), .job_nx(job_nx),
        .job_ny(job_ny), .job_base(job_base), .job_dx(job_dx), .job_dy(job_dy),
        .packet(packet), .kind(kind), .state_code(loader_state), .error(error)
    );

    assign loaded = slot_valid[1:0];

    wire unused_index = &{1'b0, bus_index};   // a chunk's number is shorter than a column's

    // ---- slots of every sub-WG -------------------------------------------------------------------
    wire [SLOTS*8-1:0]         slot_wgs;
    wire [SLOTS*JOB_W-1:0]     slot_job;
    wire [WGS*SLOTS-1:0]       wg_done;
    reg  [SLOTS-1:0]           all_done;
    wire [SUB_WGS-1:0]         complete_final, drained;
    wire [SLOTS-1:0]           same;   // slots of other sub-WGs whose jobs add to the partial sums of the one loaded

    generate
        for (i = 0; i < SLOTS; i = i + 1) begin : g_same
            localparam SUB_WG = i / JOBS;
            assign same[i] = STEALING != 0 && slot_valid[i] && job_sub_wg != SUB_WG[3:0]
                          && slot_job[i*JOB_W + 3*COLUMN_W +: PSUM_W] == job_psum;
        end

        for (i = 0; i < SLOTS; i = i + 1) begin : g_all_done
            wire [WGS-1:0] bits;
            for (j = 0; j < WGS; j = j + 1) begin : g_wg_done
                assign bits[j] = wg_done[j*SLOTS + i];
            end
            always @(posedge clk)
                all_done[i] <= &bits;
        end

        for (i = 0; i < SUB_WGS; i = i + 1) begin : g_slots
            localparam [3:0] INDEX = i;
            wire unused_complete;
            zena_slots #(
                .JOB_W(JOB_W), .JOBS(JOBS), .SLOTS(SLOTS)
            ) slots (
                .clk(clk), .rst(rst),
                .load(load && job_sub_wg == INDEX), .load_slot(job_slot), .load_page(job_page),
                .load_final(job_final), .load_waits(same), .load_undrained(job_undrained), .load_wgs(job_wgs),
                .load_job({job_first, job_chunks, job_nx, job_ny, job_psum, job_base, job_dx, job_dy}),
                .valid(slot_valid[JOBS*i +: JOBS]), .page(slot_page[JOBS*i +: JOBS]), .go(slot_go[JOBS*i +: JOBS]),
                .wgs(slot_wgs[JOBS*i*8 +: JOBS*8]), .job(slot_job[JOBS*i*JOB_W +: JOBS*JOB_W]),
                .done(all_done[JOBS*i +: JOBS]), .complete(unused_complete), .complete_final(complete_final[i]),
                .noted(load && job_final && (STEALING != 0 || job_sub_wg == INDEX)),
                .drained(STEALING != 0 ? |drained : drained[i]), .all_valid(slot_valid)
            );
        end
    endgenerate

    // ---- turns of the partial sums' memories, from the transfer's first cycle on --------------------
    reg [2:0] turn;

    always @(posedge clk)
        if (!running || turn == 3'd4)
            turn <= 3'd0;
        else
            turn <= turn + 3'd1;

    // ---- work groups -----------------------------------------------------------------------------
    wire [$clog2(FILTERS)+$clog2(PSUMS)-1:0] drain_addr;
    wire [WGS*32-1:0]               drain_sums;
    wire [WGS*SUB_WGS*COUNT_W-1:0]  wg_products, wg_empties;
    wire [4*CHUNK_W-1:0]            kernel_chunk;

    generate
        for (i = 0; i < 4; i = i + 1) begin : g_chunk
            assign kernel_chunk[i*CHUNK_W +: CHUNK_W] = bus_index[i*COLUMN_W +: CHUNK_W];
        end
        for (i = 0; i < WGS; i = i + 1) begin : g_wg
            localparam L = i % 4;
            zena_wg #(
                .ACT_W(ACT_W), .WEIGHT_W(WEIGHT_W), .FILTERS(FILTERS), .SUB_WGS(SUB_WGS), .COLUMNS(COLUMNS),
                .STEPS(STEPS), .PSUMS(PSUMS), .JOB_PSUMS(JOB_PSUMS), .JOBS(JOBS), .INDEX(i)
            ) wg (
                .clk(clk), .rst(rst), .turn(turn), .go(slot_go), .wgs(slot_wgs), .job(slot_job),
                .done(wg_done[i*SLOTS +: SLOTS]),
                .act_mask_we(act_mask_we[i]), .act_value_we(act_value_we[i]),
                .act_column(bus_index[L*COLUMN_W +: COLUMN_W]), .act_position(bus_position[L*4 +: 4]),
                .act_data(bus_data[L*16 +: 16]),
                .kernel_slot(bus_slot), .kernel_mask_we(kernel_mask_we), .kernel_value_we(kernel_value_we),
                .kernel_chunk(kernel_chunk), .kernel_position(bus_position), .kernel_data(bus_data),
                .offset_slot(job_slot), .offset_we(offset_we), .offset_chunk(offset_chunk), .offset_data(offset_data),
                .drain_addr(drain_addr), .drain_sum(drain_sums[i*32 +: 32]),
                .products(wg_products[i*SUB_WGS*COUNT_W +: SUB_WGS*COUNT_W]),
                .empties(wg_empties[i*SUB_WGS*COUNT_W +: SUB_WGS*COUNT_W])
            );
        end
    endgenerate

    // ---- drain -----------------------------------------------------------------------------------
    zena_drain #(
        .FILTERS(FILTERS), .WGS(WGS), .SUB_WGS(SUB_WGS), .PSUMS(PSUMS), .JOB_PSUMS(JOB_PSUMS)
    ) drain (
        .clk(clk), .rst(rst), .turn(turn),
        .load(load && job_final), .ready(drain_ready), .load_sub_wg(job_sub_wg), .load_relu(job_relu),
        .load_last(job_last), .load_wgs(job_wgs), .load_psum(job_psum), .load_nx(job_nx), .load_ny(job_ny),
        .complete(complete_final), .drained(drained), .addr(drain_addr), .sums(drain_sums),
        .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
        .m_axis_tlast(m_axis_tlast)
    );

    // ---- events ----------------------------------------------------------------------------------
    reg last_loaded;

    assign blocked  = |(slot_valid & ~slot_go);
    assign finished = last_loaded && slot_valid == {SLOTS{1'b0}};

    always @(posedge clk) begin
        if (load && job_last)
            last_loaded <= 1'b1;
        else if (finished)
            last_loaded <= 1'b0;
        if (rst)
            last_loaded <= 1'b0;
    end

    // Per sub-WG over the work groups (registered), then over the sub-WGs.
    reg  [SUB_WGS*SUM_W-1:0] sum_products, sum_empties, sub_products, sub_empties;
    reg  [SUM_W-1:0]         computing;
    reg  [TOTAL_W-1:0]       total_products, total_empties, total_wait;
    reg                      any_busy;
    integer                  s, p;

    always @* begin
        sum_products = {(SUB_WGS*SUM_W){1'b0}};
        sum_empties  = {(SUB_WGS*SUM_W){1'b0}};
        for (s = 0; s < SUB_WGS; s = s + 1)
            for (p = 0; p < WGS; p = p + 1) begin
                sum_products[s*SUM_W +: SUM_W] = sum_products[s*SUM_W +: SUM_W]
                    + {{(SUM_W-COUNT_W){1'b0}}, wg_products[(p*SUB_WGS+s)*COUNT_W +: COUNT_W]};
                sum_empties[s*SUM_W +: SUM_W] = sum_empties[s*SUM_W +: SUM_W]
                    + {{(SUM_W-COUNT_W){1'b0}}, wg_empties[(p*SUB_WGS+s)*COUNT_W +: COUNT_W]};
            end
    end

    always @* begin
        total_products = {TOTAL_W{1'b0}};
        total_empties  = {TOTAL_W{1'b0}};
        total_wait     = {TOTAL_W{1'b0}};
        any_busy       = 1'b0;
        for (s = 0; s < SUB_WGS; s = s + 1) begin
            computing      = sub_products[s*SUM_W +: SUM_W] + sub_empties[s*SUM_W +: SUM_W];
            total_products = total_products + {{(TOTAL_W-SUM_W){1'b0}}, sub_products[s*SUM_W +: SUM_W]};
            total_empties  = total_empties + {{(TOTAL_W-SUM_W){1'b0}}, sub_empties[s*SUM_W +: SUM_W]};
            if (computing != {SUM_W{1'b0}}) begin
                any_busy   = 1'b1;
                total_wait = total_wait + {{(TOTAL_W-SUM_W){1'b0}}, SUB_PES[SUM_W-1:0] - computing};
            end
        end
    end

    always @(posedge clk) begin
        sub_products <= sum_products;
        sub_empties  <= sum_empties;
        busy         <= any_busy && !rst;
        multiplies   <= total_products;
        empty_chunks <= total_empties;
        barrier_wait <= total_wait;
    end

endmodule

`default_nettype wire
