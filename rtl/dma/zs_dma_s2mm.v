// zs_dma_s2mm: stream to memory, the write half of zs_dma.
// Purpose: collects stream words in a FIFO and writes them in AXI4 INCR bursts that end at 128-byte boundaries (at most 16 beats, never across 4 KiB).
// Licence: MIT.
// Timing: one word per cycle; a burst is announced only when all its data is in the FIFO; outputs are functions of registers (Moore).
// A transfer ends with tlast or when `length` words have come; no tlast by then is err_int.  `moved` counts the words taken.
`default_nettype none

module zs_dma_s2mm #(
    parameter DEPTH = 64
) (
    input  wire        clk,
    input  wire        rst,

    input  wire        start,
    input  wire        stop,
    input  wire [31:3] address,
    input  wire [25:3] length,
    output wire        active,
    output wire        done,
    output wire        err_int,
    output wire        err_slv,
    output wire        err_dec,
    output wire [25:3] moved,

    input  wire [63:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    input  wire        s_axis_tlast,

    output wire [31:0] m_axi_awaddr,
    output wire [7:0]  m_axi_awlen,
    output wire        m_axi_awvalid,
    input  wire        m_axi_awready,
    output wire [63:0] m_axi_wdata,
    output wire        m_axi_wlast,
    output wire        m_axi_wvalid,
    input  wire        m_axi_wready,
    input  wire [1:0]  m_axi_bresp,
    input  wire        m_axi_bvalid,
    output wire        m_axi_bready
);

localparam LEVEL_W = $clog2(DEPTH) + 1;

reg               active_reg;
reg               accept_reg;           // the packet has not ended yet
reg               flush_reg;
reg               done_reg;
reg               long_reg;             // the packet was longer than the transfer
reg               err_int_reg;
reg               err_slv_reg;
reg               err_dec_reg;
reg               clear_reg;
reg [22:0]        left_reg;             // words the transfer has room for
reg [22:0]        moved_reg;
reg [LEVEL_W-1:0] loose_reg;            // words in the FIFO that no burst has announced yet
reg [31:3]        next_reg;
reg               awvalid_reg;
reg [31:3]        awaddr_reg;
reg [3:0]         awlen_reg;
reg               job_reg;              // an announced burst whose data has not begun
reg [4:0]         beat_reg;             // words the present burst still has to send
reg [3:0]         answer_reg;           // write responses owed

wire fifo_ready;
wire fifo_valid;
wire [3:0] to_boundary = ~next_reg[6:3];    // words to the next boundary, less one
wire whole = loose_reg > {{(LEVEL_W - 4){1'b0}}, to_boundary};
wire tail = !accept_reg && loose_reg != {LEVEL_W{1'b0}};
wire issue = active_reg && !flush_reg && !awvalid_reg && !job_reg && answer_reg != 4'd15 && (whole || tail);
wire push = s_axis_tvalid && s_axis_tready;
wire ends = push && (s_axis_tlast || left_reg == 23'd1);
wire write = m_axi_wvalid && m_axi_wready;
wire next_job = job_reg && (beat_reg == 5'd0 || (beat_reg == 5'd1 && write));
wire quiet = !awvalid_reg && !job_reg && beat_reg == 5'd0 && answer_reg == 4'd0;
wire fail = m_axi_bvalid && active_reg && m_axi_bresp[1];
wire finished = active_reg && !flush_reg && !accept_reg && loose_reg == {LEVEL_W{1'b0}} && quiet;
wire flushed = flush_reg && quiet;

assign active = active_reg;
assign done = done_reg;
assign err_int = err_int_reg;
assign err_slv = err_slv_reg;
assign err_dec = err_dec_reg;
assign moved = moved_reg;
assign s_axis_tready = accept_reg && fifo_ready;
assign m_axi_awaddr = {awaddr_reg, 3'b000};
assign m_axi_awlen = {4'd0, awlen_reg};
assign m_axi_awvalid = awvalid_reg;
assign m_axi_wlast = beat_reg == 5'd1;
assign m_axi_wvalid = beat_reg != 5'd0;
assign m_axi_bready = 1'b1;

always @(posedge clk) begin
    done_reg <= 1'b0;
    clear_reg <= 1'b0;
    err_int_reg <= 1'b0;
    err_slv_reg <= fail && !m_axi_bresp[0];
    err_dec_reg <= fail && m_axi_bresp[0];

    if (start && !active_reg) begin
        active_reg <= 1'b1;
        accept_reg <= 1'b1;
        long_reg <= 1'b0;
        next_reg <= address;
        left_reg <= length;
        moved_reg <= 23'd0;
    end

    if (push) begin
        left_reg <= left_reg - 23'd1;
        moved_reg <= moved_reg + 23'd1;
    end
    if (ends) begin
        accept_reg <= 1'b0;
        long_reg <= !s_axis_tlast;
    end

    if (!issue) begin
        loose_reg <= loose_reg + {{(LEVEL_W - 1){1'b0}}, push};
    end else if (whole) begin
        loose_reg <= loose_reg + ~{{(LEVEL_W - 4){1'b0}}, to_boundary} + {{(LEVEL_W - 1){1'b0}}, push};
    end else begin
        loose_reg <= {LEVEL_W{1'b0}};    // a tail: nothing is pushed any more
    end
    answer_reg <= answer_reg + {3'd0, issue} - {3'd0, m_axi_bvalid};
    if (issue) begin
        awvalid_reg <= 1'b1;
        awaddr_reg <= next_reg;
        awlen_reg <= whole ? to_boundary : loose_reg[3:0] - 4'd1;
        next_reg <= {next_reg[31:7] + 25'd1, 4'd0};    // after a tail no burst follows
        job_reg <= 1'b1;
    end
    if (awvalid_reg && m_axi_awready) begin
        awvalid_reg <= 1'b0;
    end
    if (next_job) begin
        beat_reg <= {1'b0, awlen_reg} + 5'd1;    // the next burst waits for this one's data to begin
        job_reg <= 1'b0;
    end else if (write) begin
        beat_reg <= beat_reg - 5'd1;
    end

    if (finished) begin
        active_reg <= 1'b0;
        done_reg <= !long_reg;
        err_int_reg <= long_reg;
    end
    // A failed or stopped transfer completes the bursts it announced, then drops the rest.
    if (active_reg && !finished && (fail || stop)) begin
        flush_reg <= 1'b1;
        accept_reg <= 1'b0;
    end
    if (flushed) begin
        active_reg <= 1'b0;
        flush_reg <= 1'b0;
        clear_reg <= 1'b1;
        loose_reg <= {LEVEL_W{1'b0}};
    end

    if (rst) begin
        active_reg <= 1'b0;
        accept_reg <= 1'b0;
        flush_reg <= 1'b0;
        done_reg <= 1'b0;
        long_reg <= 1'b0;
        err_slv_reg <= 1'b0;
        err_dec_reg <= 1'b0;
        clear_reg <= 1'b1;
        moved_reg <= 23'd0;
        loose_reg <= {LEVEL_W{1'b0}};
        awvalid_reg <= 1'b0;
        job_reg <= 1'b0;
        beat_reg <= 5'd0;
        answer_reg <= 4'd0;
    end
end

wire unused_ok = &{1'b0, fifo_valid};

axis_fifo #(
    .WIDTH(64),
    .DEPTH(DEPTH)
) fifo (
    .clk(clk),
    .rst(clear_reg),
    .s_data(s_axis_tdata),
    .s_valid(push),
    .s_ready(fifo_ready),
    .m_data(m_axi_wdata),
    .m_valid(fifo_valid),
    .m_ready(write)
);

endmodule

`default_nettype wire
