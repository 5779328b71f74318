// zena_loader: reads the packets of the input stream into the PEs' memories.
// Purpose: ZACT packets become activation writes, JOB packets kernel writes and a queued job of one sub-WG.
//          Rules: 1. activations wait until no queued or running job reads their page;
//                 2. a kernel tile waits until its slot of its sub-WG's memory (zena_dispatch) is free, and a final job
//                    also until the drain can note it;
//                 3. an illegal header or a wrong checksum stops the stream and shows its reason in `error` until
//                    reset; a job whose checksum is wrong is not queued.
//          Here is the state of the packet; beats come through zena_beat and leave through zena_lane_group and
//          zena_write_bus, those with column offsets through zena_offsets.
// Licence: MIT.
// Timing: one beat per cycle; a value's write leaves three cycles after its beat, `load` comes two cycles after the
//         last beat.  s_axis_tready depends on registers only.
// Formats: docs/streams.md.
`default_nettype none

`include "zeroskip_defs.vh"

module zena_loader #(
    parameter FILTERS = 8,
    parameter WGS     = 2,
    parameter COLUMNS = 64,
    parameter STEPS   = 16,
    parameter SUB_WGS = 1,
    parameter PSUMS   = 64,   // that jobs can name
    parameter JOBS    = 3,
    parameter STEALING = 0
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire [63:0]                s_axis_tdata,
    input  wire                       s_axis_tvalid,
    output wire                       s_axis_tready,
    // Slots of every sub-WG's kernel memory, and the page each one's job reads.
    input  wire [JOBS*SUB_WGS-1:0]    slot_valid,
    input  wire [JOBS*SUB_WGS-1:0]    slot_page,
    input  wire                       drain_ready,
    // Write bus: four lanes, and whom they are for.
    output wire [4*16-1:0]            bus_data,
    output wire [4*4-1:0]             bus_position,
    output wire [4*$clog2(COLUMNS)-1:0] bus_index,      // column, or chunk in the low bits
    output wire [$clog2(JOBS)-1:0]    bus_slot,
    output wire [WGS-1:0]             act_mask_we,
    output wire [WGS-1:0]             act_value_we,
    output wire [FILTERS-1:0]         kernel_mask_we,
    output wire [FILTERS-1:0]         kernel_value_we,
    output wire [SUB_WGS-1:0]         offset_we,
    output wire [$clog2(STEPS)-1:0]   offset_chunk,
    output wire [$clog2(COLUMNS)-1:0] offset_data,
    // The job that is complete, and its checksum right.
    output wire                       load,
    output wire [3:0]                 job_sub_wg,
    output wire [$clog2(JOBS)-1:0]    job_slot,
    output reg                        job_page,
    output reg                        job_first,
    output reg                        job_last,
    output reg                        job_final,
    output reg                        job_relu,
    output reg  [7:0]                 job_wgs,
    output reg  [3:0]                 job_undrained,
    output reg  [$clog2(STEPS)-1:0]   job_chunks,       // minus one
    output reg  [$clog2(PSUMS)-1:0]   job_psum,
    output reg  [$clog2(PSUMS)-1:0]   job_nx,           // minus one
    output reg  [$clog2(PSUMS)-1:0]   job_ny,           // minus one
    output reg  [$clog2(COLUMNS)-1:0] job_base,
    output reg  [$clog2(COLUMNS)-1:0] job_dx,
    output reg  [$clog2(COLUMNS)-1:0] job_dy,
    // Status.
    output wire                       packet,      // a packet was read and its checksum is right
    output reg  [3:0]                 kind,        // of the packet that is read, or at which the loader stopped
    output wire [3:0]                 state_code,
    output reg  [3:0]                 error
);

    localparam COLUMN_W     = $clog2(COLUMNS);
    localparam CHUNK_W      = $clog2(STEPS);
    localparam PSUM_W       = $clog2(PSUMS);
    localparam MOST_WGS     = WGS;
    localparam MOST_COLUMNS = COLUMNS;
    localparam MOST_CHUNKS  = STEPS;
    localparam MOST_SUB_WGS = SUB_WGS;

    localparam [2:0] IDLE = 3'd0, ACT = 3'd1, LOOP = 3'd2, OFFSETS = 3'd3, KERNEL = 3'd4, STOPPED = 3'd5;

    // ---- state -----------------------------------------------------------------------------------
    reg  [2:0]          state;
    reg                 page;
    reg  [COLUMN_W-1:0] address;   // of a ZACT's first column
    reg  [3:0]          home;      // sub-WG that a JOB names

    wire        valid, no_column, one_column, slot_ready, first_offsets, last_offsets, packet_end;
    wire [63:0] data;
    wire [COLUMN_W-1:0] last_column;
    wire page_busy = |(slot_valid & (page ? slot_page : ~slot_page));

    wire ready = (state == IDLE) || (state == LOOP) || (state == KERNEL)
              || (state == ACT && !page_busy) || (state == OFFSETS && slot_ready);
    wire taken = valid && ready;

    assign state_code = {1'b0, state};

    // ---- header fields ---------------------------------------------------------------------------
    wire [3:0]  h_kind   = data[`ZS_ZACT_KIND_LSB +: 4];
    wire [7:0]  h_wgs    = data[`ZS_ZACT_WGS_LSB +: 8];
    wire [15:0] h_count  = data[`ZS_ZACT_COUNT_LSB +: 16];
    wire [7:0]  h_chunks = data[`ZS_JOB_CHUNKS_LSB +: 8];
    wire [3:0]  h_sub_wg = data[`ZS_JOB_SUB_WG_LSB +: 4];
    wire [11:0] h_nx     = data[`ZS_JOB_NX_LSB +: 12];
    wire [11:0] h_ny     = data[`ZS_JOB_NY_LSB +: 12];
    wire        zact     = h_kind == `ZS_KIND_ZACT;

    wire [7:0]  last_chunk  = h_chunks - 8'd1;
    wire [11:0] last_x      = h_nx - 12'd1;
    wire [11:0] last_y      = h_ny - 12'd1;

    wire bad_wgs    = h_wgs == 8'd0 || h_wgs > MOST_WGS[7:0];
    wire bad_count  = no_column || h_count > MOST_COLUMNS[15:0];
    wire bad_chunks = h_chunks < `ZS_MIN_CHUNKS || h_chunks > MOST_CHUNKS[7:0];
    wire bad_sub_wg = h_sub_wg >= MOST_SUB_WGS[3:0];
    wire bad_pixels = |last_x[11:PSUM_W] || |last_y[11:PSUM_W];

    wire [3:0] header_error =
        !zact && h_kind != `ZS_KIND_JOB ? `ZS_ERR_KIND
        : bad_wgs                       ? `ZS_ERR_WGS
        : zact && bad_count             ? `ZS_ERR_COUNT
        : !zact && bad_chunks           ? `ZS_ERR_CHUNKS
        : !zact && bad_sub_wg           ? `ZS_ERR_SUB_WG
        : `ZS_ERR_NONE;

    wire unused_counts = &{1'b0, last_chunk};

    // ---- packets ---------------------------------------------------------------------------------
    reg  complete;           // all beats of a job have come
    wire bad;                // the packet before this cycle's beat has a wrong checksum

    assign load = complete && packet;

    always @(posedge clk) begin
        complete <= 1'b0;
        if (taken)
            case (state)
                IDLE: begin
                    page <= data[`ZS_ZACT_PAGE_LSB];
                    if (zact) begin
                        address <= data[`ZS_ZACT_ADDRESS_LSB +: COLUMN_W];
                        state   <= ACT;
                    end else begin
                        home          <= h_sub_wg;
                        job_page      <= data[`ZS_JOB_PAGE_LSB];
                        job_first     <= data[`ZS_JOB_FIRST_LSB];
                        job_last      <= data[`ZS_JOB_LAST_LSB];
                        job_final     <= data[`ZS_JOB_FINAL_LSB];
                        job_relu      <= data[`ZS_JOB_RELU_LSB];
                        job_wgs       <= h_wgs;
                        job_undrained <= data[`ZS_JOB_UNDRAINED_LSB +: 4];
                        job_chunks    <= last_chunk[CHUNK_W-1:0];
                        job_psum      <= data[`ZS_JOB_PSUM_LSB +: PSUM_W];
                        state         <= LOOP;
                    end
                    if (header_error != `ZS_ERR_NONE) begin
                        state <= STOPPED;
                        error <= header_error;
                    end
                end
                LOOP: begin
                    job_nx   <= last_x[PSUM_W-1:0];
                    job_ny   <= last_y[PSUM_W-1:0];
                    job_dx   <= data[`ZS_JOB_DX_LSB +: COLUMN_W];
                    job_dy   <= data[`ZS_JOB_DY_LSB +: COLUMN_W];
                    job_base <= data[`ZS_JOB_BASE_LSB +: COLUMN_W];
                    state    <= OFFSETS;
                    if (bad_pixels) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_PIXELS;
                    end
                end
                OFFSETS:
                    if (last_offsets)
                        state <= KERNEL;
                ACT, KERNEL:
                    if (packet_end) begin
                        state    <= IDLE;
                        complete <= state == KERNEL;
                    end
                default: ;
            endcase
        if (taken && state == IDLE && !bad)
            kind <= h_kind;
        if (bad) begin
            state <= STOPPED;
            error <= `ZS_ERR_CHECKSUM;
        end
        if (rst) begin
            state    <= IDLE;
            complete <= 1'b0;
            error    <= `ZS_ERR_NONE;
        end
    end

    stream_crc checksum (
        .clk(clk), .rst(rst), .valid(taken), .first(state == IDLE),
        .last((state == ACT || state == KERNEL) && packet_end), .data(data), .good(packet), .bad(bad)
    );

    // ---- input registers ---------------------------------------------------------------------------
    wire [4*5-1:0] ones;
    wire [3:0]     none, just_one;

    zena_beat #(
        .COLUMNS(COLUMNS)
    ) beat (
        .clk(clk), .rst(rst),
        .s_axis_tdata(s_axis_tdata), .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
        .valid(valid), .ready(ready), .data(data), .ones(ones), .none(none), .just_one(just_one),
        .last_column(last_column), .no_column(no_column), .one_column(one_column)
    );

    // ---- the job's sub-WG and its column offsets ---------------------------------------------------
    zena_dispatch #(
        .SUB_WGS(SUB_WGS), .JOBS(JOBS), .STEALING(STEALING)
    ) dispatch (
        .clk(clk), .rst(rst), .slot_valid(slot_valid), .drain_ready(drain_ready),
        .home(home), .final_job(job_final), .ready(slot_ready),
        .take(taken && state == OFFSETS && first_offsets), .complete(taken && state == KERNEL && packet_end),
        .sub_wg(job_sub_wg), .slot(job_slot)
    );

    zena_offsets #(
        .COLUMNS(COLUMNS), .STEPS(STEPS), .SUB_WGS(SUB_WGS)
    ) offsets (
        .clk(clk), .rst(rst),
        .collect(state == OFFSETS), .take(taken), .beat(data), .last_chunk(job_chunks),
        .first_beat(first_offsets), .last_beat(last_offsets),
        .sub_wg(job_sub_wg), .we(offset_we), .chunk(offset_chunk), .data(offset_data)
    );

    // ---- lanes and write bus -----------------------------------------------------------------------
    wire [7:0]            group;
    wire [3:0]            lane_mask_we, lane_value_we;
    wire [4*COLUMN_W-1:0] lane_index;
    wire [4*4-1:0]        lane_position;
    wire [4*16-1:0]       lane_entry;

    zena_lane_group #(
        .COLUMNS(COLUMNS), .STEPS(STEPS), .SUB_Q(FILTERS / SUB_WGS)
    ) lane_group (
        .clk(clk), .take(taken),
        .header(state == IDLE), .act(zact), .wgs(h_wgs), .last_column(last_column),
        .one_column(one_column), .last_chunk(last_chunk[CHUNK_W-1:0]),
        .lanes(state == ACT || state == KERNEL), .data(data), .ones(ones), .none(none), .just_one(just_one),
        .group(group), .packet_end(packet_end),
        .mask_we(lane_mask_we), .value_we(lane_value_we), .index(lane_index), .position(lane_position),
        .entry(lane_entry)
    );

    zena_write_bus #(
        .FILTERS(FILTERS), .WGS(WGS), .COLUMNS(COLUMNS), .SUB_WGS(SUB_WGS), .JOBS(JOBS)
    ) write_bus (
        .clk(clk),
        .act(state == ACT), .kernel(state == KERNEL), .group(group), .address(address),
        .sub_wg(job_sub_wg), .slot(job_slot), .lane_mask_we(lane_mask_we), .lane_value_we(lane_value_we),
        .lane_index(lane_index), .lane_position(lane_position), .lane_entry(lane_entry),
        .bus_data(bus_data), .bus_position(bus_position), .bus_index(bus_index), .bus_slot(bus_slot),
        .act_mask_we(act_mask_we), .act_value_we(act_value_we), .kernel_mask_we(kernel_mask_we),
        .kernel_value_we(kernel_value_we)
    );

endmodule

`default_nettype wire
