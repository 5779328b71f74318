// zena_loader: reads the packets of the input stream into the PEs' memories.
// Purpose: ZACT packets become activation writes, JOB packets kernel writes and a queued job of one sub-WG.
//          Rules: 1. activations wait until no queued or running job reads their page;
//                 2. a kernel tile waits until its slot of its sub-WG's memory is free, and a final job also until the
//                    drain can note it;
//                 3. with STEALING a job goes to an idle sub-WG, else to its home if there is room, else where there is;
//                 4. an illegal header stops the stream and shows its reason in `error` until reset.
// Licence: MIT.
// Timing: one beat per cycle; a value's write leaves three cycles after its beat, `load` comes two cycles after the last
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
    output reg  [$clog2(JOBS)-1:0]    bus_slot,
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
    output reg  [$clog2(JOBS)-1:0]    job_slot,
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
    localparam SLOT_W    = $clog2(JOBS);
    localparam LAST      = JOBS - 1;
    localparam MOST_WGS  = WGS;
    localparam MOST_COLUMNS = COLUMNS;
    localparam MOST_CHUNKS = STEPS;
    localparam MOST_SUB_WGS = SUB_WGS;

    localparam [2:0] IDLE = 3'd0, ACT = 3'd1, LOOP = 3'd2, OFFSETS = 3'd3, KERNEL = 3'd4, STOPPED = 3'd5;

    // ---- input registers: the beat, then the beat with what its entries are as bit-vectors or header ---------------
    wire [63:0]          early;
    wire                 early_valid, ready;
    wire [4*5-1:0]       early_ones;
    wire [15:0]          early_last_column = early[`ZS_ZACT_COUNT_LSB +: 16] - 16'd1;
    reg                  valid;
    reg  [63:0]          data;
    reg  [4*5-1:0]       ones;
    reg  [3:0]           none, just_one;
    reg  [COLUMN_W-1:0]  last_column;
    reg                  no_column, one_column;

    wire early_ready = !valid || ready;
    wire unused_last = &{1'b0, early_last_column};

    axis_register #(
        .WIDTH(64)
    ) input_register (
        .clk(clk), .rst(rst),
        .s_data(s_axis_tdata), .s_valid(s_axis_tvalid), .s_ready(s_axis_tready),
        .m_data(early), .m_valid(early_valid), .m_ready(early_ready)
    );

    // Fours first, so that synthesis makes a tree.
    function [3:0] ones_of_8;
        input [7:0] bits;
        ones_of_8 = {1'b0, ones_of_4(bits[3:0])} + {1'b0, ones_of_4(bits[7:4])};
    endfunction

    function [2:0] ones_of_4;
        input [3:0] bits;
        ones_of_4 = {&bits, (^bits ? (&bits[1:0] || &bits[3:2]) : |bits && !(&bits)), ^bits};
    endfunction

    genvar i;
    generate
        for (i = 0; i < 4; i = i + 1) begin : g_ones
            assign early_ones[i*5 +: 5] = {1'b0, ones_of_8(early[i*16 +: 8])} + {1'b0, ones_of_8(early[i*16+8 +: 8])};
            always @(posedge clk)
                if (early_ready) begin
                    none[i]     <= early[i*16 +: 16] == 16'd0;
                    just_one[i] <= early_ones[i*5 +: 5] == 5'd1;
                end
        end
    endgenerate

    always @(posedge clk) begin
        if (early_ready) begin
            valid       <= early_valid;
            data        <= early;
            ones        <= early_ones;
            last_column <= early_last_column[COLUMN_W-1:0];
            no_column   <= early[`ZS_ZACT_COUNT_LSB +: 16] == 16'd0;
            one_column  <= early[`ZS_ZACT_COUNT_LSB +: 16] == 16'd1;
        end
        if (rst)
            valid <= 1'b0;
    end

    // ---- state -----------------------------------------------------------------------------------
    reg  [2:0]          state;
    reg                 page;
    reg  [7:0]          group;        // lane group within the packet
    reg  [7:0]          lanes_left;   // lanes from this group on
    reg  [3:0]          more_lanes;   // those that the next group will have
    reg  [COLUMN_W-1:0] address;
    reg  [COLUMN_W-1:0] last_index;   // columns or chunks, minus one
    reg                 one_index;    // last_index is zero
    reg  [CHUNK_W-3:0]  offset_beat;  // of the beats of offsets
    reg  [16*SLOT_W-1:0] next_slots;  // slot of each sub-WG the next job is loaded into

    wire page_busy = |(slot_valid & (page ? slot_page : ~slot_page));

    // ---- sub-WG and slot of a job: a cycle old when they count, which is safe: only this job takes a slot ---------
    reg  [3:0]  home, choice_next, choice;
    reg  [15:0] free, idle;
    reg  [JOBS-1:0] held;
    reg         slot_ready;
    integer     s;

    always @* begin
        free = 16'd0;
        idle = 16'd0;
        held = {JOBS{1'b0}};
        for (s = 0; s < SUB_WGS; s = s + 1) begin
            held    = slot_valid[JOBS*s +: JOBS];
            free[s] = !held[next_slots[s*SLOT_W +: SLOT_W]];
            idle[s] = held == {JOBS{1'b0}};
        end
        choice_next = home;
        if (STEALING != 0) begin
            if (!free[home])
                for (s = SUB_WGS - 1; s >= 0; s = s - 1)
                    if (free[s])
                        choice_next = s[3:0];
            if (!idle[home])
                for (s = SUB_WGS - 1; s >= 0; s = s - 1)
                    if (idle[s])
                        choice_next = s[3:0];
        end
    end

    always @(posedge clk) begin
        choice     <= choice_next;
        slot_ready <= free[choice_next] && (drain_ready || !job_final);
    end

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

    wire [7:0]  last_chunk  = h_chunks - 8'd1;
    wire [15:0] last_x      = h_nx - 16'd1;
    wire [15:0] last_y      = h_ny - 16'd1;

    wire bad_wgs    = h_wgs == 8'd0 || h_wgs > MOST_WGS[7:0];
    wire bad_count  = no_column || h_count > MOST_COLUMNS[15:0];
    wire bad_chunks = h_chunks < `ZS_MIN_CHUNKS || h_chunks > MOST_CHUNKS[7:0];
    wire bad_sub_wg = h_sub_wg >= MOST_SUB_WGS[3:0];
    wire bad_pixels = |last_x[15:PSUM_W] || |last_y[15:PSUM_W];

    wire unused_counts = &{1'b0, last_chunk};

    // ---- lanes -----------------------------------------------------------------------------------
    wire       lanes_state = state == ACT || state == KERNEL;
    wire [3:0] lane_ends;
    wire       group_end  = &lane_ends;
    wire       packet_end = group_end && !more_lanes[0];
    wire       last_offsets = offset_beat == job_chunks[CHUNK_W-1:2];
    // Lane groups start with the packet and wherever one ends.
    wire       lanes_start = !lanes_state || (taken && group_end);
    // A JOB's groups are complete.
    wire [3:0] unused_lanes = (state == IDLE) ? {h_wgs <= 8'd3, h_wgs <= 8'd2, h_wgs <= 8'd1, h_wgs == 8'd0}
                            : lanes_state ? ~more_lanes : 4'd0;
    wire [COLUMN_W-1:0] last_here = (state == IDLE) ? last_column : last_index;
    wire       last_is_zero = (state == IDLE) ? one_column : one_index;

    wire [4*COLUMN_W-1:0] lane_index;
    wire [3:0]            lane_mask_we, lane_value_we;
    wire [4*4-1:0]        lane_position;
    wire [4*16-1:0]       lane_data;

    generate
        for (i = 0; i < 4; i = i + 1) begin : g_lane
            zena_lane #(
                .INDEX_W(COLUMN_W)
            ) lane (
                .clk(clk),
                .start(lanes_start), .unused(unused_lanes[i]), .last(last_here), .last_is_zero(last_is_zero),
                .take(taken && lanes_state), .entry(data[i*16 +: 16]), .ones(ones[i*5 +: 5]), .none(none[i]),
                .just_one(just_one[i]), .ends(lane_ends[i]),
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
                        last_index <= last_column;
                        one_index  <= one_column;
                        lanes_left <= h_wgs;
                        more_lanes <= {h_wgs > 8'd7, h_wgs > 8'd6, h_wgs > 8'd5, h_wgs > 8'd4};
                        state      <= ACT;
                    end else begin
                        last_index    <= {{(COLUMN_W-CHUNK_W){1'b0}}, last_chunk[CHUNK_W-1:0]};
                        one_index     <= 1'b0;
                        lanes_left    <= SUB_Q[7:0];
                        more_lanes    <= {4{SUB_Q > 4}};
                        offset_beat   <= {(CHUNK_W-2){1'b0}};
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
                    if (offset_beat == {(CHUNK_W-2){1'b0}}) begin
                        job_sub_wg <= choice;
                        job_slot   <= next_slots[choice*SLOT_W +: SLOT_W];
                    end
                    if (last_offsets)
                        state <= KERNEL;
                end
                ACT, KERNEL: begin
                    if (group_end) begin
                        group      <= group + 8'd1;
                        lanes_left <= lanes_left - 8'd4;
                        more_lanes <= {lanes_left > 8'd11, lanes_left > 8'd10, lanes_left > 8'd9, lanes_left > 8'd8};
                    end
                    if (packet_end) begin
                        state <= IDLE;
                        if (state == KERNEL) begin
                            load <= 1'b1;
                            next_slots[job_sub_wg*SLOT_W +: SLOT_W] <=
                                (job_slot == LAST[SLOT_W-1:0]) ? {SLOT_W{1'b0}} : job_slot + 1'b1;
                        end
                    end
                end
                default: ;
            endcase
        if (rst) begin
            state <= IDLE;
            next_slots <= {(16*SLOT_W){1'b0}};
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
        bus_slot         <= job_slot;
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
