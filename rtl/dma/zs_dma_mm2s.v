// zs_dma_mm2s: memory to stream, the read half of zs_dma.
// Purpose: asks for the transfer in AXI4 INCR bursts that end at 128-byte boundaries (so at most 16 beats, never across 4 KiB), into a FIFO.
// Licence: MIT.
// Timing: first address 2 cycles after start, a word is offered the cycle after memory gave it, one word per cycle; outputs are registers (Moore).
// A burst is asked for only when the FIFO has room for all of it, so rready is constant; tlast goes with the last word of the transfer.
`default_nettype none

module zs_dma_mm2s #(
    parameter DEPTH = 128
) (
    input  wire        clk,
    input  wire        rst,

    input  wire        start,
    input  wire        stop,
    input  wire [31:3] address,
    input  wire [25:3] length,
    output wire        active,
    output wire        done,
    output wire        err_slv,
    output wire        err_dec,

    output wire [31:0] m_axi_araddr,
    output wire [7:0]  m_axi_arlen,
    output wire        m_axi_arvalid,
    input  wire        m_axi_arready,
    input  wire [63:0] m_axi_rdata,
    input  wire [1:0]  m_axi_rresp,
    input  wire        m_axi_rvalid,
    output wire        m_axi_rready,

    output wire [63:0] m_axis_tdata,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    output wire        m_axis_tlast
);

localparam LEVEL_W = $clog2(DEPTH) + 1;
localparam [LEVEL_W-1:0] FULL = 1 << (LEVEL_W - 1);

reg               active_reg;
reg               flush_reg;
reg               done_reg;
reg               err_slv_reg;
reg               err_dec_reg;
reg               clear_reg;
reg               arvalid_reg;
reg [31:3]        araddr_reg;
reg [3:0]         arlen_reg;
reg [31:3]        next_reg;
reg [22:0]        ask_reg;              // words not asked for yet
reg [22:0]        left_reg;             // words not received yet
reg [LEVEL_W-1:0] free_reg;             // FIFO words neither filled nor promised to a burst
reg [LEVEL_W-1:0] flying_reg;           // words asked for and not received

wire [3:0] to_boundary = ~next_reg[6:3];    // words to the next boundary, less one
wire whole = ask_reg > {19'd0, to_boundary};
wire [3:0] burst_less_one = whole ? to_boundary : ask_reg[3:0] - 4'd1;
wire room = |free_reg[LEVEL_W-1:4];    // at least 16 words: enough for any burst
wire issue = active_reg && !flush_reg && !arvalid_reg && ask_reg != 23'd0 && room;
wire receive = m_axi_rvalid;
wire fail = receive && active_reg && !flush_reg && m_axi_rresp[1];
wire push = receive && active_reg && !flush_reg && !m_axi_rresp[1];
wire pop = m_axis_tvalid && m_axis_tready;
wire flushed = flush_reg && flying_reg == {LEVEL_W{1'b0}};

wire [LEVEL_W-1:0] asked_less_one = {{(LEVEL_W - 4){1'b0}}, burst_less_one};

assign active = active_reg;
assign done = done_reg;
assign err_slv = err_slv_reg;
assign err_dec = err_dec_reg;
assign m_axi_araddr = {araddr_reg, 3'b000};
assign m_axi_arlen = {4'd0, arlen_reg};
assign m_axi_arvalid = arvalid_reg;
assign m_axi_rready = 1'b1;

always @(posedge clk) begin
    done_reg <= 1'b0;
    clear_reg <= 1'b0;
    err_slv_reg <= fail && !m_axi_rresp[0];
    err_dec_reg <= fail && m_axi_rresp[0];

    if (start && !active_reg) begin
        active_reg <= 1'b1;
        next_reg <= address;
        ask_reg <= length;
        left_reg <= length;
    end
    if (issue) begin
        arvalid_reg <= 1'b1;
        araddr_reg <= next_reg;
        arlen_reg <= burst_less_one;
        next_reg <= {next_reg[31:7] + 25'd1, 4'd0};    // after a burst that ends elsewhere none follows
        ask_reg <= whole ? ask_reg + ~{19'd0, to_boundary} : 23'd0;
        flying_reg <= flying_reg + asked_less_one + {{(LEVEL_W - 1){1'b0}}, !receive};
        free_reg <= free_reg + ~asked_less_one + {{(LEVEL_W - 1){1'b0}}, pop};
    end else begin
        flying_reg <= flying_reg - {{(LEVEL_W - 1){1'b0}}, receive};
        free_reg <= free_reg + {{(LEVEL_W - 1){1'b0}}, pop};
    end
    if (arvalid_reg && m_axi_arready) begin
        arvalid_reg <= 1'b0;
    end
    if (push) begin
        left_reg <= left_reg - 23'd1;
    end

    if (pop && m_axis_tlast) begin
        active_reg <= 1'b0;
        done_reg <= !flush_reg;
    end
    // A failed or stopped transfer first takes what memory still owes, then drops everything.
    if (active_reg && (fail || stop)) begin
        flush_reg <= 1'b1;
    end
    if (flushed) begin
        active_reg <= 1'b0;
        flush_reg <= 1'b0;
        clear_reg <= 1'b1;
        free_reg <= FULL;
    end

    if (rst) begin
        active_reg <= 1'b0;
        flush_reg <= 1'b0;
        done_reg <= 1'b0;
        err_slv_reg <= 1'b0;
        err_dec_reg <= 1'b0;
        clear_reg <= 1'b1;
        arvalid_reg <= 1'b0;
        free_reg <= FULL;
        flying_reg <= {LEVEL_W{1'b0}};
    end
end

// Once the transfer is over or dropped nothing is offered, even before the FIFO is emptied.
wire fifo_ready;
wire fifo_valid;
assign m_axis_tvalid = fifo_valid && active_reg;
wire unused_ok = &{1'b0, fifo_ready};

axis_fifo #(
    .WIDTH(65),
    .DEPTH(DEPTH)
) fifo (
    .clk(clk),
    .rst(clear_reg),
    .s_data({left_reg == 23'd1, m_axi_rdata}),
    .s_valid(push),
    .s_ready(fifo_ready),
    .m_data({m_axis_tlast, m_axis_tdata}),
    .m_valid(fifo_valid),
    .m_ready(m_axis_tready && active_reg)
);

endmodule

`default_nettype wire
