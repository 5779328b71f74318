// zena_drain: sends the sums of final jobs, in the order in which they came.
// Purpose: waits until the oldest final job is complete, reads its partial sums from all work groups at once and hands
//          them to sum_drain; with relu negative ones become zero, and a word of zero bit-vector goes first.
// Licence: MIT.
// Timing: one PE's pixel every five cycles (turn 3), or as fast as its beats leave; the sums arrive six cycles after.
`default_nettype none

module zena_drain #(
    parameter FILTERS = 8,
    parameter WGS     = 2,
    parameter SUB_WGS = 1,
    parameter PSUMS   = 64,   // per PE
    parameter JOB_PSUMS = 64  // that jobs can name: PSUMS, or SUB_WGS times as many if the sub-WGs share them
) (
    input  wire                     clk,
    input  wire                     rst,
    input  wire [2:0]               turn,
    // Final jobs, noted when loaded.
    input  wire                     load,
    output wire                     ready,
    input  wire [3:0]               load_sub_wg,
    input  wire                     load_relu,
    input  wire                     load_last,
    input  wire [7:0]               load_wgs,
    input  wire [$clog2(JOB_PSUMS)-1:0] load_psum,
    input  wire [$clog2(JOB_PSUMS)-1:0] load_nx,   // minus one
    input  wire [$clog2(JOB_PSUMS)-1:0] load_ny,   // minus one
    // Their ends.
    input  wire [SUB_WGS-1:0]       complete,
    output reg  [SUB_WGS-1:0]       drained,       // a job's last read, a cycle ago
    // Partial sums.
    output reg  [$clog2(FILTERS)+$clog2(PSUMS)-1:0] addr,
    input  wire [WGS*32-1:0]        sums,
    output wire [63:0]              m_axis_tdata,
    output wire                     m_axis_tvalid,
    input  wire                     m_axis_tready,
    output wire                     m_axis_tlast
);

    localparam PSUM_W  = $clog2(JOB_PSUMS);
    localparam PE_W    = $clog2(FILTERS) + $clog2(PSUMS) - PSUM_W;
    localparam SUB_Q   = FILTERS / SUB_WGS;
    localparam LAST_PE = SUB_Q - 1;
    localparam WORDS   = WGS + 1;
    localparam BEATS   = (WORDS + 1) / 2;
    localparam BEATS_W = $clog2(BEATS + 1);
    localparam DEPTH   = (BEATS <= 16) ? 64 : 4 << $clog2(BEATS);
    localparam ENTRY_W = 4 + 1 + 1 + 8 + 3 * PSUM_W;

    // ---- queue of final jobs -----------------------------------------------------------------------
    wire              q_valid, q_ready, q_relu, q_last;
    wire [3:0]        q_sub_wg;
    wire [7:0]        q_wgs;
    wire [PSUM_W-1:0] q_psum, q_nx, q_ny;

    axis_fifo #(
        .WIDTH(ENTRY_W), .DEPTH(32)
    ) queue (
        .clk(clk), .rst(rst),
        .s_data({load_sub_wg, load_relu, load_last, load_wgs, load_psum, load_nx, load_ny}),
        .s_valid(load), .s_ready(ready),
        .m_data({q_sub_wg, q_relu, q_last, q_wgs, q_psum, q_nx, q_ny}),
        .m_valid(q_valid), .m_ready(q_ready)
    );

    // ---- complete jobs per sub-WG, counted once their last sums are in memory -----------------------
    wire [SUB_WGS-1:0] settled;
    wire [15:0]        any_complete;
    reg                active, relu, last;
    reg  [3:0]         sub_wg;
    reg  [BEATS_W-1:0] beats;
    reg                odd;
    reg  [PSUM_W-1:0]  psum, x, y, nx, ny;
    reg  [PE_W-1:0]    pe, pe_first;
    reg  [7:0]         pe_left;

    assign q_ready = !active && any_complete[q_sub_wg];

    wire start = q_valid && q_ready;

    wire can_close;
    wire read      = active && turn == 3'd3 && can_close;
    wire pe_end    = pe_left == 8'd0;
    wire row_end   = x == nx;
    wire read_last = read && pe_end && row_end && y == ny;

    delay #(.WIDTH(SUB_WGS), .STAGES(9)) settle (.clk(clk), .d(complete), .q(settled));

    genvar i;
    generate
        for (i = 0; i < SUB_WGS; i = i + 1) begin : g_complete
            localparam [3:0] INDEX = i;
            reg [5:0] count;
            assign any_complete[i] = count != 6'd0;
            always @(posedge clk) begin
                drained[i] <= read_last && sub_wg == INDEX && !rst;
                count <= count + {5'd0, settled[i]} - {5'd0, start && q_sub_wg == INDEX};
                if (rst)
                    count <= 6'd0;
            end
        end
        if (SUB_WGS < 16) begin : g_none
            assign any_complete[15:SUB_WGS] = {(16-SUB_WGS){1'b0}};
        end
    endgenerate

    // ---- reads: pixel by pixel, PE by PE -----------------------------------------------------------
    wire [7:0] words      = q_wgs + {7'd0, q_relu};
    wire [8:0] words_up   = {1'b0, words} + 9'd1;
    wire [15:0] first_pe  = (JOB_PSUMS == PSUMS) ? {12'd0, q_sub_wg} * SUB_Q[15:0] : 16'd0;
    wire unused_bits      = &{1'b0, words_up, first_pe[15:PE_W]};

    always @(posedge clk) begin
        addr <= {pe, psum};
        if (start) begin
            active   <= 1'b1;
            relu     <= q_relu;
            last     <= q_last;
            sub_wg   <= q_sub_wg;
            beats    <= words_up[BEATS_W:1];
            odd      <= words[0];
            psum     <= q_psum;
            nx       <= q_nx;
            ny       <= q_ny;
            x        <= {PSUM_W{1'b0}};
            y        <= {PSUM_W{1'b0}};
            pe       <= first_pe[PE_W-1:0];
            pe_first <= first_pe[PE_W-1:0];
            pe_left  <= LAST_PE[7:0];
        end else if (read) begin
            pe      <= pe_end ? pe_first : pe + 1'b1;
            pe_left <= pe_end ? LAST_PE[7:0] : pe_left - 8'd1;
            if (pe_end) begin
                psum <= psum + 1'b1;
                x    <= row_end ? {PSUM_W{1'b0}} : x + 1'b1;
                if (row_end)
                    y <= y + 1'b1;
            end
            if (read_last)
                active <= 1'b0;
        end
        if (rst)
            active <= 1'b0;
    end

    // ---- ReLU: sums arrive in cycle 6 after the read, leave in cycle 7 ------------------------------
    wire               relu_6, relu_7, load_6, last_6, odd_6;
    wire [BEATS_W-1:0] beats_6;
    reg  [WGS*32-1:0]  sums_7;
    reg  [WGS-1:0]     some_7;
    wire [31:0]        vector = {{(32-WGS){1'b0}}, some_7};
    wire [WORDS*32-1:0] words_7 = relu_7 ? {sums_7, vector} : {32'd0, sums_7};

    delay #(.WIDTH(1), .STAGES(6)) relu_delay (.clk(clk), .d(relu), .q(relu_6));
    delay #(.WIDTH(1), .STAGES(1)) relu_last (.clk(clk), .d(relu_6), .q(relu_7));
    delay #(
        .WIDTH(3 + BEATS_W), .STAGES(6)
    ) read_delay (
        .clk(clk), .d({read && !rst, read_last && last, odd, beats}), .q({load_6, last_6, odd_6, beats_6})
    );

    // A work group the job does not use counts as zero: its partial sums are not this job's.
    wire [7:0]     wgs_6;
    reg  [7:0]     wgs;
    always @(posedge clk)
        if (start)
            wgs <= q_wgs;
    delay #(.WIDTH(8), .STAGES(6)) wgs_delay (.clk(clk), .d(wgs), .q(wgs_6));

    generate
        for (i = 0; i < WGS; i = i + 1) begin : g_relu
            localparam [7:0] INDEX = i;
            wire [31:0] sum = sums[i*32 +: 32];
            always @(posedge clk) begin
                some_7[i] <= !sum[31] && sum != 32'd0 && wgs_6 > INDEX;
                sums_7[i*32 +: 32] <= (relu_6 && sum[31]) ? 32'd0 : sum;
            end
        end
    endgenerate

    sum_drain #(
        .MOST(WORDS), .DEPTH(DEPTH)
    ) sender (
        .clk(clk), .rst(rst),
        .can_close(can_close), .reserve(read), .reserve_beats(beats),
        .load(load_6), .last(last_6), .load_beats(beats_6), .load_odd(odd_6), .sums(words_7),
        .m_axis_tdata(m_axis_tdata), .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
        .m_axis_tlast(m_axis_tlast)
    );

endmodule

`default_nettype wire
