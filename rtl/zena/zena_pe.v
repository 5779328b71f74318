// zena_pe: a zero-aware processing element (ZeNA): one kernel of a sub-WG on one work group's share of the map.
// Purpose: fetch (zero bit-vectors and their AND), leading-one detection, multiply and accumulate.
// Licence: MIT.
// Timing: a chunk takes as many cycles as it has common non-zero positions, a pixel's last at least one; seven cycles
//         after a pixel's last `product` or `empty` cycle its sum is out and stays for five.
`default_nettype none

module zena_pe #(
    parameter ACT_W    = 16,
    parameter WEIGHT_W = 16,
    parameter COLUMNS  = 64,
    parameter STEPS    = 16,
    parameter PSUMS    = 64,
    parameter JOBS     = 3    // slots of the sub-WG
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire [JOBS-1:0]            go,
    input  wire [JOBS-1:0]            used,
    input  wire [JOBS*(1+$clog2(STEPS)+3*$clog2(PSUMS)+3*$clog2(COLUMNS))-1:0] job,
    output reg  [JOBS-1:0]            done,             // jobs finished; until `go` falls
    // Writes.
    input  wire                       offset_we,
    input  wire [$clog2(JOBS)+$clog2(STEPS)-1:0] offset_waddr,   // slot, chunk
    input  wire [$clog2(COLUMNS)-1:0] offset_wdata,
    input  wire                       kernel_mask_we,
    input  wire                       kernel_value_we,
    input  wire [$clog2(JOBS)+$clog2(STEPS)-1:0] kernel_chunk,   // slot, chunk
    input  wire [3:0]                 kernel_position,
    input  wire [15:0]                kernel_data,
    input  wire                       act_mask_we,
    input  wire                       act_value_we,
    input  wire [$clog2(COLUMNS)-1:0] act_column,
    input  wire [3:0]                 act_position,
    input  wire [15:0]                act_data,
    // Events of a cycle ago.
    output wire                       product,
    output wire                       empty,
    // Sums.
    output reg                        sum_valid,
    output wire [31:0]                sum,
    output reg  [$clog2(PSUMS)-1:0]   sum_psum,
    output reg                        sum_first
);

    localparam SLOT_W   = $clog2(JOBS);
    localparam CHUNK_W  = SLOT_W + $clog2(STEPS);
    localparam COLUMN_W = $clog2(COLUMNS);
    localparam PSUM_W   = $clog2(PSUMS);

    wire                f_valid, f_ready, f_more, f_none, f_first, f_pixel_end, f_job_end;
    wire [15:0]         f_mask;
    wire [CHUNK_W-1:0]  f_chunk;
    wire [COLUMN_W-1:0] f_column;
    wire [PSUM_W-1:0]   f_psum;

    zena_fetch #(
        .COLUMNS(COLUMNS), .STEPS(STEPS), .PSUMS(PSUMS), .JOBS(JOBS)
    ) fetch (
        .clk(clk), .rst(rst), .go(go), .used(used), .job(job),
        .offset_we(offset_we), .offset_waddr(offset_waddr), .offset_wdata(offset_wdata),
        .kernel_mask_we(kernel_mask_we), .kernel_mask_waddr(kernel_chunk), .kernel_mask_wdata(kernel_data),
        .act_mask_we(act_mask_we), .act_mask_waddr(act_column), .act_mask_wdata(act_data),
        .m_valid(f_valid), .m_ready(f_ready), .m_mask(f_mask), .m_more(f_more), .m_none(f_none), .m_chunk(f_chunk),
        .m_column(f_column), .m_psum(f_psum), .m_first(f_first), .m_pixel_end(f_pixel_end), .m_job_end(f_job_end)
    );

    wire [3:0]          position;
    wire [CHUNK_W-1:0]  chunk;
    wire [COLUMN_W-1:0] column;
    wire [PSUM_W-1:0]   psum;
    wire                first, pixel_end, job_end;
    wire [SLOT_W-1:0]   job_slot;
    integer             k;

    zena_detect #(
        .SLOT_W(SLOT_W), .CHUNK_W(CHUNK_W), .COLUMN_W(COLUMN_W), .PSUM_W(PSUM_W)
    ) detect (
        .clk(clk), .rst(rst),
        .s_valid(f_valid), .s_ready(f_ready), .s_mask(f_mask), .s_more(f_more), .s_none(f_none), .s_chunk(f_chunk),
        .s_column(f_column), .s_psum(f_psum), .s_first(f_first), .s_pixel_end(f_pixel_end), .s_job_end(f_job_end),
        .product(product), .empty(empty), .position(position), .chunk(chunk), .column(column),
        .pixel_end(pixel_end), .psum(psum), .first(first), .job_end(job_end), .job_slot(job_slot)
    );

    always @(posedge clk) begin
        if (job_end)
            done[job_slot] <= 1'b1;
        for (k = 0; k < JOBS; k = k + 1)
            if (!go[k])
                done[k] <= 1'b0;
        if (rst)
            done <= {JOBS{1'b0}};
    end

    wire                sum_load, tag_first;
    wire [PSUM_W-1:0]   tag_psum;

    zena_mac #(
        .ACT_W(ACT_W), .WEIGHT_W(WEIGHT_W), .WEIGHTS((16 * STEPS) << SLOT_W), .ACTS(16 * COLUMNS)
    ) mac (
        .clk(clk),
        .weight_we(kernel_value_we), .weight_waddr({kernel_chunk, kernel_position}),
        .weight_wdata(kernel_data[WEIGHT_W-1:0]),
        .act_we(act_value_we), .act_waddr({act_column, act_position}), .act_wdata(act_data[ACT_W-1:0]),
        .product(product), .weight_raddr({chunk, position}), .act_raddr({column, position}),
        .pixel_end(pixel_end), .sum_load(sum_load), .sum(sum)
    );

    delay #(.WIDTH(PSUM_W + 1), .STAGES(6)) tag_delay (.clk(clk), .d({psum, first}), .q({tag_psum, tag_first}));

    always @(posedge clk) begin
        sum_valid <= sum_load && !rst;
        if (sum_load) begin
            sum_psum  <= tag_psum;
            sum_first <= tag_first;
        end
    end

endmodule

`default_nettype wire
