// zena_loader: reads the packets of the input stream into the PEs' memories.
// Purpose: ZACT packets become activation writes, JOB packets kernel writes and a queued job of one sub-WG.
//          Rules: 1. activations wait until no queued or running job reads their page;
//                 2. a kernel tile waits until its half of its sub-WG's memory is free, and a final job also until the
//                    drain can note it;
//                 3. an illegal header stops the stream and shows its reason in `error` until reset.
// Licence: MIT.
// Timing: one beat per cycle; a value's write leaves two cycles after its beat, `load` comes one cycle after the last
//         beat.  s_axis_tready depends on registers only.
// Formats: docs/streams.md.
`default_nettype none

`include "zeroskip_defs.vh"

module zena_loader #(
    parameter FILTERS = 8,
    parameter WGS     = 2,
    parameter COLUMNS = 64,
    parameter STEPS   = 16,
    parameter SUB_WGS = 1,
    parameter PSUMS   = 64
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire [63:0]                s_axis_tdata,
    input  wire                       s_axis_tvalid,
    output wire                       s_axis_tready,
    // Slots: both halves of every sub-WG's kernel memory, and the page each one's job reads.
    input  wire [2*SUB_WGS-1:0]       slot_valid,
    input  wire [2*SUB_WGS-1:0]       slot_page,
    input  wire                       drain_ready,
    // Write bus: four lanes, and whom they are for.
    output wire [4*16-1:0]            bus_data,
    output wire [4*4-1:0]             bus_position,
    output wire [4*$clog2(COLUMNS)-1:0] bus_index,      // column, or chunk in the low bits
    output reg                        bus_half,
    output reg  [WGS-1:0]             act_mask_we,
    output reg  [WGS-1:0]             act_value_we,
    output reg  [FILTERS-1:0]         kernel_mask_we,
    output reg  [FILTERS-1:0]         kernel_value_we,
    output reg  [SUB_WGS-1:0]         offset_we,
    output reg  [$clog2(STEPS)-1:0]   offset_chunk,
    output reg  [$clog2(COLUMNS)-1:0] offset_data,
    // The job that is complete.
    output reg                        load,
    output reg  [3:0]                 job_sub_wg,
    output reg                        job_half,
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
    output wire [3:0]                 state_code,
    output reg  [3:0]                 error
);

    localparam COLUMN_W  = $clog2(COLUMNS);
    localparam CHUNK_W   = $clog2(STEPS);
    localparam PSUM_W    = $clog2(PSUMS);
    localparam SUB_Q     = FILTERS / SUB_WGS;
    localparam [SUB_WGS-1:0] ONE = 1;
    localparam MOST_WGS  = WGS;
    localparam MOST_COLUMNS = COLUMNS;
    localparam MOST_CHUNKS = STEPS;
    localparam MOST_SUB_WGS = SUB_WGS;

    localparam [2:0] IDLE = 3'd0, ACT = 3'd1, LOOP = 3'd2, OFFSETS = 3'd3, KERNEL = 3'd4, STOPPED = 3'd5;

    // ---- input register --------------------------------------------------------------------------
    wire [63:0] data;
    wire        valid, ready;

    axis_register #(
        .WIDTH(64)
    ) input_register (
        .clk(clk), .rst(rst),
        .s_data(s_axis_tdata), .s_valid(s_axis_tvalid), .s_ready(s_axis_tready),
        .m_data(data), .m_valid(valid), .m_ready(ready)
    );

    // ---- state -----------------------------------------------------------------------------------
    reg  [2:0]          state;
    reg                 page;
    reg  [7:0]          group;        // lane group within the packet
    reg  [7:0]          lanes_left;   // lanes from this group on
    reg  [COLUMN_W-1:0] address;
    reg  [COLUMN_W-1:0] last_index;   // columns or chunks, minus one
    reg  [CHUNK_W-3:0]  offset_beat;  // of the beats of offsets
    reg  [SUB_WGS-1:0]  half;         // half of each sub-WG the next job is loaded into

    wire page_busy = |(slot_valid & (page ? slot_page : ~slot_page));
    wire [7:0] slot = {3'd0, job_sub_wg, job_half};
    wire [255:0] slot_valid_all = {{(256-2*SUB_WGS){1'b0}}, slot_valid};
    reg  slot_ready;   // a cycle old, which is safe: only this job can take the slot or the drain's last place

    always @(posedge clk)
        slot_ready <= !slot_valid_all[slot] && (drain_ready || !job_final);

    assign ready = (state == IDLE) || (state == LOOP) || (state == KERNEL)
                || (state == ACT && !page_busy) || (state == OFFSETS && slot_ready);
    assign state_code = {1'b0, state};

    wire taken = valid && ready;

    // ---- header fields ---------------------------------------------------------------------------
    wire [3:0]  h_kind   = data[`ZS_ZACT_KIND_LSB +: 4];
    wire [7:0]  h_wgs    = data[`ZS_ZACT_WGS_LSB +: 8];
    wire [15:0] h_count  = data[`ZS_ZACT_COUNT_LSB +: 16];
    wire [7:0]  h_chunks = data[`ZS_JOB_CHUNKS_LSB +: 8];
    wire [3:0]  h_sub_wg = data[`ZS_JOB_SUB_WG_LSB +: 4];
    wire [15:0] h_nx     = data[`ZS_JOB_NX_LSB +: 16];
    wire [15:0] h_ny     = data[`ZS_JOB_NY_LSB +: 16];

    wire [15:0] last_column = h_count - 16'd1;
    wire [7:0]  last_chunk  = h_chunks - 8'd1;
    wire [15:0] last_x      = h_nx - 16'd1;
    wire [15:0] last_y      = h_ny - 16'd1;

    wire bad_wgs    = h_wgs == 8'd0 || h_wgs > MOST_WGS[7:0];
    wire bad_count  = h_count == 16'd0 || h_count > MOST_COLUMNS[15:0];
    wire bad_chunks = h_chunks < `ZS_MIN_CHUNKS || h_chunks > MOST_CHUNKS[7:0];
    wire bad_sub_wg = h_sub_wg >= MOST_SUB_WGS[3:0];
    wire bad_pixels = |last_x[15:PSUM_W] || |last_y[15:PSUM_W];

    wire unused_counts = &{1'b0, last_column, last_chunk};

    wire [15:0] halves = {{(16-SUB_WGS){1'b0}}, half};

    // ---- lanes -----------------------------------------------------------------------------------
    wire       lanes_state = state == ACT || state == KERNEL;
    wire [3:0] lane_ends;
    wire       group_end  = &lane_ends;
    wire       packet_end = group_end && lanes_left <= 8'd4;
    wire       last_offsets = offset_beat == job_chunks[CHUNK_W-1:2];
    // Lane groups start with the packet and wherever one ends.
    wire       lanes_start = !lanes_state || (taken && group_end);
    wire [7:0] lanes_here  = (state == IDLE) ? h_wgs : lanes_state ? lanes_left - 8'd4 : lanes_left;
    wire [COLUMN_W-1:0] last_here = (state == IDLE) ? last_column[COLUMN_W-1:0] : last_index;

    wire [4*COLUMN_W-1:0] lane_index;
    wire [3:0]            lane_mask_we, lane_value_we;
    wire [4*4-1:0]        lane_position;
    wire [4*16-1:0]       lane_data;

    genvar i;
    generate
        for (i = 0; i < 4; i = i + 1) begin : g_lane
            localparam [7:0] LANE = i;
            zena_lane #(
                .INDEX_W(COLUMN_W)
            ) lane (
                .clk(clk),
                .start(lanes_start), .unused(LANE >= lanes_here), .last(last_here),
                .take(taken && lanes_state), .entry(data[i*16 +: 16]), .ends(lane_ends[i]),
                .mask_we(lane_mask_we[i]), .value_we(lane_value_we[i]), .index(lane_index[i*COLUMN_W +: COLUMN_W]),
                .position(lane_position[i*4 +: 4]), .data(lane_data[i*16 +: 16])
            );
        end
    endgenerate

    // ---- packets ---------------------------------------------------------------------------------
    always @(posedge clk) begin
        load <= 1'b0;
        if (taken)
            case (state)
                IDLE: begin
                    group   <= 8'd0;
                    page    <= data[`ZS_ZACT_PAGE_LSB];
                    if (h_kind == `ZS_KIND_ZACT) begin
                        address    <= data[`ZS_ZACT_ADDRESS_LSB +: COLUMN_W];
                        last_index <= last_column[COLUMN_W-1:0];
                        lanes_left <= h_wgs;
                        state      <= ACT;
                    end else begin
                        last_index    <= {{(COLUMN_W-CHUNK_W){1'b0}}, last_chunk[CHUNK_W-1:0]};
                        lanes_left    <= SUB_Q[7:0];
                        offset_beat   <= {(CHUNK_W-2){1'b0}};
                        job_sub_wg    <= h_sub_wg;
                        job_half      <= halves[h_sub_wg];
                        job_page      <= data[`ZS_JOB_PAGE_LSB];
                        job_first     <= data[`ZS_JOB_FIRST_LSB];
                        job_last      <= data[`ZS_JOB_LAST_LSB];
                        job_final     <= data[`ZS_JOB_FINAL_LSB];
                        job_relu      <= data[`ZS_JOB_RELU_LSB];
                        job_wgs       <= h_wgs;
                        job_undrained <= data[`ZS_JOB_UNDRAINED_LSB +: 4];
                        job_chunks    <= last_chunk[CHUNK_W-1:0];
                        job_psum      <= data[`ZS_JOB_PSUM_LSB +: PSUM_W];
                        job_base      <= data[`ZS_JOB_BASE_LSB +: COLUMN_W];
                        state         <= LOOP;
                    end
                    if (h_kind != `ZS_KIND_ZACT && h_kind != `ZS_KIND_JOB) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_KIND;
                    end else if (bad_wgs) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_WGS;
                    end else if (h_kind == `ZS_KIND_ZACT && bad_count) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_COUNT;
                    end else if (h_kind == `ZS_KIND_JOB && bad_chunks) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_CHUNKS;
                    end else if (h_kind == `ZS_KIND_JOB && bad_sub_wg) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_SUB_WG;
                    end
                end
                LOOP: begin
                    job_nx <= last_x[PSUM_W-1:0];
                    job_ny <= last_y[PSUM_W-1:0];
                    job_dx <= data[`ZS_JOB_DX_LSB +: COLUMN_W];
                    job_dy <= data[`ZS_JOB_DY_LSB +: COLUMN_W];
                    state  <= OFFSETS;
                    if (bad_pixels) begin
                        state <= STOPPED;
                        error <= `ZS_ERR_PIXELS;
                    end
                end
                OFFSETS: begin
                    offset_beat <= offset_beat + 1'b1;
                    if (last_offsets)
                        state <= KERNEL;
                end
                ACT, KERNEL: begin
                    if (group_end) begin
                        group      <= group + 8'd1;
                        lanes_left <= lanes_left - 8'd4;
                    end
                    if (packet_end) begin
                        state <= IDLE;
                        if (state == KERNEL) begin
                            load <= 1'b1;
                            half <= half ^ (ONE << job_sub_wg);
                        end
                    end
                end
                default: ;
            endcase
        if (rst) begin
            state <= IDLE;
            half  <= {SUB_WGS{1'b0}};
            load  <= 1'b0;
            error <= `ZS_ERR_NONE;
        end
    end

    // ---- column offsets: kept, then handed out one per cycle beside the kernel tile -----------------
    reg [STEPS*COLUMN_W-1:0] offsets;
    reg                      offset_busy;
    reg [CHUNK_W-1:0]        offset_at;

    generate
        for (i = 0; i < STEPS; i = i + 1) begin : g_offset
            localparam BEAT = i / 4;
            wire [COLUMN_W-1:0] above;
            if (i == STEPS - 1) begin : g_top
                assign above = {COLUMN_W{1'b0}};
            end else begin : g_next
                assign above = offsets[(i+1)*COLUMN_W +: COLUMN_W];
            end
            always @(posedge clk)
                if (state == OFFSETS) begin
                    if (offset_beat == BEAT[CHUNK_W-3:0])
                        offsets[i*COLUMN_W +: COLUMN_W] <= data[(i%4)*16 +: COLUMN_W];
                end else
                    offsets[i*COLUMN_W +: COLUMN_W] <= above;
        end
        for (i = 0; i < SUB_WGS; i = i + 1) begin : g_offset_we
            localparam [3:0] SUB_WG = i;
            always @(posedge clk)
                offset_we[i] <= offset_busy && job_sub_wg == SUB_WG;
        end
    endgenerate

    always @(posedge clk) begin
        offset_chunk <= offset_at;
        offset_data  <= offsets[COLUMN_W-1:0];
        offset_at    <= offset_busy ? offset_at + 1'b1 : {CHUNK_W{1'b0}};
        if (taken && state == OFFSETS && last_offsets)
            offset_busy <= 1'b1;
        else if (offset_at == job_chunks)
            offset_busy <= 1'b0;
        if (rst)
            offset_busy <= 1'b0;
    end

    // ---- write bus: who the lanes' entries are for --------------------------------------------------
    reg                  to_act, to_kernel;
    reg [7:0]            to_group;
    reg [4*16-1:0]       bus_data_reg;
    reg [4*4-1:0]        bus_position_reg;
    reg [4*COLUMN_W-1:0] bus_index_reg;

    assign bus_data     = bus_data_reg;
    assign bus_position = bus_position_reg;
    assign bus_index    = bus_index_reg;

    always @(posedge clk) begin
        to_act           <= state == ACT;
        to_kernel        <= state == KERNEL;
        to_group         <= group;
        bus_half         <= job_half;
        bus_data_reg     <= lane_data;
        bus_position_reg <= lane_position;
    end

    generate
        for (i = 0; i < 4; i = i + 1) begin : g_index
            always @(posedge clk)
                bus_index_reg[i*COLUMN_W +: COLUMN_W] <= lane_index[i*COLUMN_W +: COLUMN_W]
                                                      + (to_act ? address : {COLUMN_W{1'b0}});
        end
        for (i = 0; i < WGS; i = i + 1) begin : g_act
            localparam GROUP = i / 4;
            always @(posedge clk) begin
                act_mask_we[i]  <= lane_mask_we[i%4] && to_act && to_group == GROUP[7:0];
                act_value_we[i] <= lane_value_we[i%4] && to_act && to_group == GROUP[7:0];
            end
        end
        for (i = 0; i < FILTERS; i = i + 1) begin : g_kernel
            localparam GROUP  = (i % SUB_Q) / 4;
            localparam SUB_WG = i / SUB_Q;
            always @(posedge clk) begin
                kernel_mask_we[i]  <= lane_mask_we[i%4] && to_kernel && to_group == GROUP[7:0]
                                    && job_sub_wg == SUB_WG[3:0];
                kernel_value_we[i] <= lane_value_we[i%4] && to_kernel && to_group == GROUP[7:0]
                                    && job_sub_wg == SUB_WG[3:0];
            end
        end
    endgenerate

endmodule

`default_nettype wire
