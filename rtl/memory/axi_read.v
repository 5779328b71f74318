// axi_read: an AXI read master: requests of any length in, their words out as one stream.
// Purpose: asks for each request in INCR bursts that end at 128-byte boundaries (so at most 16 beats, legal in AXI3, never
//          across 4 KiB) and keeps the words in a FIFO.  A burst is asked for only if the FIFO has room for all of it, so
//          that rready is constant and no reader can block the bus; several bursts are outstanding.
//          Rules: 1. words come in the order of the requests;
//                 2. an error response ends the stream: it and what follows are dropped, and `error` stays until rst;
//                 3. with `stop` nothing more is asked for and what comes is dropped; rst only when `idle`.
// Licence: MIT.
// Timing: a request's first address two cycles after it was taken, then one every other cycle; a word is offered two
//         cycles after memory gave it, one per cycle.  All AXI outputs are registers, all inputs but arready meet one.
`default_nettype none

module axi_read #(
    parameter DEPTH   = 128,    // words of the FIFO, a power of two, 32 or more: this many may be outstanding
    parameter BEATS_W = 24      // bits of a request's length
) (
    input  wire               clk,
    input  wire               rst,
    input  wire               stop,
    output reg                idle,     // memory owes nothing
    output reg                error,
    // Requests.
    input  wire [31:3]        s_addr,
    input  wire [BEATS_W-1:0] s_beats,  // 1 or more
    input  wire               s_valid,
    output wire               s_ready,
    // Words.
    output wire [63:0]        m_data,
    output wire               m_valid,
    input  wire               m_ready,
    // Memory.
    output wire [31:0]        m_axi_araddr,
    output wire [7:0]         m_axi_arlen,
    output wire [2:0]         m_axi_arsize,
    output wire [1:0]         m_axi_arburst,
    output wire               m_axi_arvalid,
    input  wire               m_axi_arready,
    input  wire [63:0]        m_axi_rdata,
    input  wire [1:0]         m_axi_rresp,
    input  wire               m_axi_rvalid,
    output wire               m_axi_rready
);

    localparam LEVEL_W = $clog2(DEPTH) + 1;
    localparam [LEVEL_W-1:0] FULL = 1 << (LEVEL_W - 1);

    initial
        if (DEPTH < 32 || DEPTH != (1 << $clog2(DEPTH)) || BEATS_W < 5) begin
            $display("ERROR: %m: DEPTH = %0d, BEATS_W = %0d; accepted: a power of two, at least 32; at least 5", DEPTH,
                     BEATS_W);
            $finish;
        end

    // ---- requests to bursts ------------------------------------------------------------------------
    reg                ask;          // there is something to ask for
    reg  [31:3]        next;
    reg  [BEATS_W-1:0] left;
    reg                arvalid;
    reg                issued;       // in the last cycle; the next burst is two cycles later at the earliest
    reg  [31:3]        araddr;
    reg  [3:0]         arlen;
    reg  [LEVEL_W-1:0] room;         // words of the FIFO neither filled nor promised to a burst
    reg  [LEVEL_W-1:0] owed;         // words asked for and not received

    wire [3:0]         to_boundary = ~next[6:3];    // words to the next boundary, less one
    wire               many = |left[BEATS_W-1:5];
    wire               whole = many || left[4:0] > {1'b0, to_boundary};
    wire               final_burst = !many && left[4:0] <= {1'b0, to_boundary} + 5'd1;
    wire [3:0]         burst = whole ? to_boundary : left[3:0] - 4'd1;
    wire [LEVEL_W-1:0] asked = {{(LEVEL_W-4){1'b0}}, arlen};
    wire               issue = ask && !arvalid && |room[LEVEL_W-1:4] && !stop && !error;

    // ---- what memory answers, one register behind the port ----------------------------------------
    reg         r_valid, r_fail;
    reg  [63:0] r_data;
    wire        push = r_valid && !r_fail && !error && !stop;
    wire        pop  = m_valid && m_ready;

    assign s_ready       = !ask;
    assign m_axi_araddr  = {araddr, 3'b000};
    assign m_axi_arlen   = {4'd0, arlen};
    assign m_axi_arsize  = 3'd3;
    assign m_axi_arburst = 2'b01;
    assign m_axi_arvalid = arvalid;
    assign m_axi_rready  = 1'b1;

    always @(posedge clk) begin
        r_valid <= m_axi_rvalid;
        r_fail  <= m_axi_rresp[1];
        r_data  <= m_axi_rdata;

        if (!ask) begin
            ask  <= s_valid && !stop;
            next <= s_addr;
            left <= s_beats;
        end else if (stop)
            ask <= 1'b0;
        else if (issue) begin
            ask  <= !final_burst;
            next <= {next[31:7] + 25'd1, 4'd0};         // after a burst that ends elsewhere none follows
            left <= left + ~{{(BEATS_W-4){1'b0}}, to_boundary};
        end
        if (issue) begin
            arvalid <= 1'b1;
            araddr  <= next;
            arlen   <= burst;
        end else if (m_axi_arready)
            arvalid <= 1'b0;

        issued <= issue;
        room   <= room + (issued ? ~asked : {LEVEL_W{1'b0}}) + {{(LEVEL_W-1){1'b0}}, pop};
        owed   <= owed + (issued ? asked + 1'b1 : {LEVEL_W{1'b0}}) - {{(LEVEL_W-1){1'b0}}, r_valid};
        idle   <= !issue && !arvalid && owed == {LEVEL_W{1'b0}} && !r_valid;
        if (r_valid && r_fail)
            error <= 1'b1;

        if (rst) begin
            ask     <= 1'b0;
            arvalid <= 1'b0;
            issued  <= 1'b0;
            room    <= FULL;
            owed    <= {LEVEL_W{1'b0}};
            idle    <= 1'b1;
            error   <= 1'b0;
            r_valid <= 1'b0;
        end
    end

    wire fifo_ready;
    wire unused = &{1'b0, m_axi_rresp[0], fifo_ready};    // either error ends the stream

    axis_fifo #(
        .WIDTH(64), .DEPTH(DEPTH)
    ) words (
        .clk(clk), .rst(rst),
        .s_data(r_data), .s_valid(push), .s_ready(fifo_ready),
        .m_data(m_data), .m_valid(m_valid), .m_ready(m_ready)
    );

`ifdef ZS_ASSERT
    always @(posedge clk)
        if (!rst) begin
            if (push && !fifo_ready)
                $display("ASSERT %m: a word without room");
            if (r_valid && owed == {LEVEL_W{1'b0}})
                $display("ASSERT %m: a word nobody asked for");
            if (s_valid && s_ready && s_beats == {BEATS_W{1'b0}})
                $display("ASSERT %m: a request for nothing");
        end
`endif

endmodule

`default_nettype wire
