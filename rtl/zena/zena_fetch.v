// zena_fetch: walks over the chunks of a PE's jobs and hands out those chunks' common non-zero positions.
// Purpose: holds zero bit-vectors and column offsets; for every pixel and chunk reads both bit-vectors and ANDs them.
//          Chunks without a common position are dropped, but for a pixel's last.  Runs ahead of the multiplier by up to
//          DEPTH chunks, also into the next job.
// Licence: MIT.
// Timing: `go` to the first chunk on m_*: six cycles; then one chunk per cycle, and two cycles from job to job.
`default_nettype none

module zena_fetch #(
    parameter COLUMNS = 64,
    parameter STEPS   = 16,
    parameter PSUMS   = 64,
    parameter JOBS    = 3,   // slots of the sub-WG
    parameter DEPTH   = 16   // chunks between fetch and multiplier; more than twice the pipeline's length
) (
    input  wire                         clk,
    input  wire                         rst,
    // The slots of the sub-WG: job may start; this work group takes part; its description.
    input  wire [JOBS-1:0]              go,
    input  wire [JOBS-1:0]              used,
    input  wire [JOBS*(1+$clog2(STEPS)+3*$clog2(PSUMS)+3*$clog2(COLUMNS))-1:0] job,
    // Memories.
    input  wire                         offset_we,
    input  wire [$clog2(JOBS)+$clog2(STEPS)-1:0] offset_waddr,   // slot, chunk
    input  wire [$clog2(COLUMNS)-1:0]   offset_wdata,
    input  wire                         kernel_mask_we,
    input  wire [$clog2(JOBS)+$clog2(STEPS)-1:0] kernel_mask_waddr,
    input  wire [15:0]                  kernel_mask_wdata,
    input  wire                         act_mask_we,
    input  wire [$clog2(COLUMNS)-1:0]   act_mask_waddr,
    input  wire [15:0]                  act_mask_wdata,
    // Chunks.
    output wire                         m_valid,
    input  wire                         m_ready,
    output wire [15:0]                  m_mask,
    output wire                         m_more,         // more than one position
    output wire                         m_none,         // no position
    output wire [$clog2(JOBS)+$clog2(STEPS)-1:0] m_chunk,        // slot, chunk
    output wire [$clog2(COLUMNS)-1:0]   m_column,
    output wire [$clog2(PSUMS)-1:0]     m_psum,
    output wire                         m_first,
    output wire                         m_pixel_end,
    output wire                         m_job_end
);

    localparam CHUNK_W  = $clog2(STEPS);
    localparam SLOT_W   = $clog2(JOBS);
    localparam LAST     = JOBS - 1;
    localparam COLUMN_W = $clog2(COLUMNS);
    localparam PSUM_W   = $clog2(PSUMS);
    localparam JOB_W    = 1 + CHUNK_W + 3 * PSUM_W + 3 * COLUMN_W;
    localparam CREDIT_W = $clog2(DEPTH + 1);

    // ---- jobs ------------------------------------------------------------------------------------
    reg                running;
    reg [SLOT_W-1:0]   slot;
    reg [JOBS-1:0]     started;
    reg [CHUNK_W-1:0]  chunk;
    reg [PSUM_W-1:0]   x, y, psum;
    reg [COLUMN_W-1:0] row, pixel;
    reg [CREDIT_W-1:0] credits;
    integer            k;

    wire                first;
    wire [CHUNK_W-1:0]  last_chunk;
    wire [PSUM_W-1:0]   last_x, last_y, first_psum;
    wire [COLUMN_W-1:0] base, dx, dy;
    assign {first, last_chunk, last_x, last_y, first_psum, base, dx, dy} = job[slot*JOB_W +: JOB_W];

    wire [SLOT_W-1:0] next_slot = (slot == LAST[SLOT_W-1:0]) ? {SLOT_W{1'b0}} : slot + 1'b1;

    wire start     = !running && go[slot] && !started[slot];
    wire issue     = running && credits != {CREDIT_W{1'b0}};
    wire pixel_end = chunk == last_chunk;
    wire row_end   = x == last_x;
    wire job_end   = pixel_end && row_end && y == last_y;
    wire taken     = m_valid && m_ready;
    wire drop;

    wire [COLUMN_W-1:0] next = (row_end ? row : pixel) + (row_end ? dy : dx);

    always @(posedge clk) begin
        if (issue) begin
            chunk <= chunk + 1'b1;
            if (pixel_end) begin
                chunk <= {CHUNK_W{1'b0}};
                x     <= row_end ? {PSUM_W{1'b0}} : x + 1'b1;
                psum  <= psum + 1'b1;
                pixel <= next;
                if (row_end) begin
                    row <= next;
                    y   <= y + 1'b1;
                end
            end
            if (job_end) begin
                running <= 1'b0;
                slot    <= next_slot;
            end
        end
        if (start) begin
            running       <= used[slot];
            started[slot] <= 1'b1;
            if (!used[slot])
                slot <= next_slot;
            chunk <= {CHUNK_W{1'b0}};
            x     <= {PSUM_W{1'b0}};
            y     <= {PSUM_W{1'b0}};
            psum  <= first_psum;
            row   <= base;
            pixel <= base;
        end
        for (k = 0; k < JOBS; k = k + 1)
            if (!go[k])
                started[k] <= 1'b0;
        credits <= credits + {{(CREDIT_W-1){1'b0}}, taken} + {{(CREDIT_W-1){1'b0}}, drop}
                 - {{(CREDIT_W-1){1'b0}}, issue};
        if (rst) begin
            running <= 1'b0;
            slot    <= {SLOT_W{1'b0}};
            started <= {JOBS{1'b0}};
            credits <= DEPTH[CREDIT_W-1:0];
        end
    end

    // ---- memories --------------------------------------------------------------------------------
    (* ram_style = "distributed" *)
    reg [COLUMN_W-1:0] offsets [0:(STEPS<<SLOT_W)-1];
    (* ram_style = "distributed" *)
    reg [15:0] kernel_masks [0:(STEPS<<SLOT_W)-1];
    (* ram_style = "distributed" *)
    reg [15:0] act_masks [0:COLUMNS-1];

    always @(posedge clk) begin
        if (offset_we)
            offsets[offset_waddr] <= offset_wdata;
        if (kernel_mask_we)
            kernel_masks[kernel_mask_waddr] <= kernel_mask_wdata;
        if (act_mask_we)
            act_masks[act_mask_waddr] <= act_mask_wdata;
    end

    // ---- pipeline: offset and kernel bit-vector, activation bit-vector, AND ------------------------
    localparam TAG_W = PSUM_W + 3;   // psum, first, pixel_end, job_end

    reg                 valid_1, valid_2, valid_3;
    reg [SLOT_W+CHUNK_W-1:0] chunk_1, chunk_2, chunk_3;
    reg [COLUMN_W-1:0]  pixel_1, column_2, column_3;
    reg [TAG_W-1:0]     tag_1, tag_2, tag_3;
    reg [15:0]          kernel_mask_2, mask_3;

    always @(posedge clk) begin
        valid_1       <= issue && !rst;
        chunk_1       <= {slot, chunk};
        pixel_1       <= pixel;
        tag_1         <= {psum, first, pixel_end, job_end};
        valid_2       <= valid_1 && !rst;
        chunk_2       <= chunk_1;
        column_2      <= pixel_1 + offsets[chunk_1];
        kernel_mask_2 <= kernel_masks[chunk_1];
        tag_2         <= tag_1;
        valid_3       <= valid_2 && !rst;
        chunk_3       <= chunk_2;
        column_3      <= column_2;
        mask_3        <= kernel_mask_2 & act_masks[column_2];
        tag_3         <= tag_2;
    end

    wire unused_ready;   // credits keep room

    // None, or more than one position, as gates: per group of four, then over the groups.
    reg [3:0] one, two, four;
    reg       more;
    integer   g;

    always @* begin
        for (g = 0; g < 4; g = g + 1) begin
            four   = mask_3[4*g +: 4];
            one[g] = |four;
            two[g] = (four[0] && |four[3:1]) || (four[1] && |four[3:2]) || (four[2] && four[3]);
        end
        more = |two || (one[0] && |one[3:1]) || (one[1] && |one[3:2]) || (one[2] && one[3]);
    end

    // A stage of its own, as whether a chunk is kept decides about the queue's pointers.
    wire                     keep = |one || tag_3[1];   // tag_3[1]: pixel_end
    reg                      valid_4, drop_4, more_4, none_4;
    reg [15:0]               mask_4;
    reg [SLOT_W+CHUNK_W-1:0] chunk_4;
    reg [COLUMN_W-1:0]       column_4;
    reg [TAG_W-1:0]          tag_4;

    assign drop = drop_4;

    always @(posedge clk) begin
        valid_4  <= valid_3 && keep && !rst;
        drop_4   <= valid_3 && !keep && !rst;
        more_4   <= more;
        none_4   <= ~(|one);
        mask_4   <= mask_3;
        chunk_4  <= chunk_3;
        column_4 <= column_3;
        tag_4    <= tag_3;
    end

    axis_fifo #(
        .WIDTH(18 + SLOT_W + CHUNK_W + COLUMN_W + TAG_W), .DEPTH(DEPTH)
    ) queue (
        .clk(clk), .rst(rst),
        .s_data({more_4, none_4, mask_4, chunk_4, column_4, tag_4}), .s_valid(valid_4), .s_ready(unused_ready),
        .m_data({m_more, m_none, m_mask, m_chunk, m_column, m_psum, m_first, m_pixel_end, m_job_end}),
        .m_valid(m_valid), .m_ready(m_ready)
    );

endmodule

`default_nettype wire
