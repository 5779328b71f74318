// sum_drain: sends the sums of one pixel after the other, SUMS per beat.
// Purpose: lets an engine run without a stall behind its issue stage.  The engine asks `can_close` before it issues the
//          step that ends a pixel; room for that pixel's beats is then reserved, and pixels come no faster than their
//          beats leave the shift register, so `load` is always met.  A pixel may come in up to PASSES loads.
//          Where a beat is not full, its second half is zero if SUMS is 2, and means nothing if there are more.
// Licence: MIT.
// Timing: a pixel's first `load` may come any fixed number of cycles after `reserve`, the others as many cycles apart as
//         a load has beats; `sums` come in the cycle after it.  One beat per cycle.  m_axis_tlast is with the last beat
//         of what was loaded with `last`.  can_close is a register.
`default_nettype none

module sum_drain #(
    parameter MOST   = 2,    // 32-bit sums of a load, at most
    parameter SUMS   = 2,    // sums of a beat: 2, 4, 8
    parameter PASSES = 1,    // loads of a pixel, at most
    parameter DEPTH  = 64    // beats the output queue holds, at least (PASSES + 1) * ceil(MOST / SUMS)
) (
    input  wire                            clk,
    input  wire                            rst,
    // Flow control at the issue stage.
    output reg                             can_close,
    input  wire                            reserve,        // a pixel's last step is issued
    input  wire [$clog2(PASSES*((MOST+SUMS-1)/SUMS)+1)-1:0] reserve_beats,   // beats of that pixel
    // The pixel, at the end of the pipeline.
    input  wire                            load,           // its sums come in the next cycle
    input  wire                            last,
    input  wire [$clog2((MOST+SUMS-1)/SUMS+1)-1:0] load_beats,
    input  wire                            load_odd,       // the last beat of two sums holds one
    input  wire [MOST*32-1:0]              sums,
    output wire [SUMS*32-1:0]              m_axis_tdata,
    output wire                            m_axis_tvalid,
    input  wire                            m_axis_tready,
    output wire                            m_axis_tlast
);

    localparam BEAT_W  = SUMS * 32;
    localparam BEATS   = (MOST + SUMS - 1) / SUMS;
    localparam BEATS_W = $clog2(BEATS + 1);
    localparam PIXEL_W = $clog2(PASSES * BEATS + 1);
    localparam SPACE_W = $clog2(DEPTH + 1);
    localparam [BEATS_W-1:0] ONE   = 1;
    localparam [PIXEL_W-1:0] PIXEL = 1;
    // `space` does not yet know the pixel that ended in the cycle before, which then had one beat.
    localparam ENOUGH  = (PASSES + 1) * BEATS;

    initial
        if (DEPTH < ENOUGH) begin
            $display("%m: DEPTH = %0d is less than %0d", DEPTH, ENOUGH);
            $finish;
        end

    // ---- reservation -----------------------------------------------------------------------------
    reg  [SPACE_W-1:0] space;      // beats not reserved
    reg  [PIXEL_W-1:0] gap;        // cycles until the next pixel may end
    wire               sent = m_axis_tvalid && m_axis_tready;

    always @(posedge clk) begin
        space <= space - (reserve ? {{(SPACE_W-PIXEL_W){1'b0}}, reserve_beats} : {SPACE_W{1'b0}})
                       + {{(SPACE_W-1){1'b0}}, sent};
        if (reserve)
            gap <= reserve_beats - PIXEL;
        else if (gap != {PIXEL_W{1'b0}})
            gap <= gap - PIXEL;
        can_close <= space >= ENOUGH[SPACE_W-1:0] && ((reserve ? reserve_beats : gap) >> 1) == {PIXEL_W{1'b0}};
        if (rst) begin
            space     <= DEPTH[SPACE_W-1:0];
            gap       <= {PIXEL_W{1'b0}};
            can_close <= 1'b0;
        end
    end

    // ---- shift register --------------------------------------------------------------------------
    wire [(BEATS+1)*BEAT_W-1:0] shift, pixel;
    reg                     load_q, last_q, odd_q, is_last, is_odd;
    reg  [BEATS_W-1:0]      beats_q, left;
    wire                    push = left != {BEATS_W{1'b0}};
    wire                    final_beat = left == ONE;
    wire                    unused_ready;   // space was reserved
    wire                    unused_pixel = &{1'b0, pixel[BEATS*BEAT_W +: BEAT_W]};

    assign pixel = {{((BEATS+1)*BEAT_W-MOST*32){1'b0}}, sums};
    assign shift[BEATS*BEAT_W +: BEAT_W] = {BEAT_W{1'b0}};

    genvar i;
    generate
        for (i = 0; i < BEATS; i = i + 1) begin : g_beat
            reg  [BEAT_W-1:0] data;
            wire              load_copy;   // its own: one net to all bits would be too wide

            broadcast_reg #(.WIDTH(1)) copy (.clk(clk), .d(load), .q(load_copy));

            always @(posedge clk)
                data <= load_copy ? pixel[i*BEAT_W +: BEAT_W] : shift[(i+1)*BEAT_W +: BEAT_W];
            assign shift[i*BEAT_W +: BEAT_W] = data;
        end
    endgenerate

    always @(posedge clk) begin
        load_q  <= load && !rst;
        last_q  <= last;
        odd_q   <= load_odd;
        beats_q <= load_beats;
        if (load_q) begin
            left    <= beats_q;
            is_last <= last_q;
            is_odd  <= odd_q;
        end else if (push) begin
            left <= left - ONE;
        end
        if (rst)
            left <= {BEATS_W{1'b0}};
    end

    wire [BEAT_W-1:0] beat;

    generate
        if (SUMS == 2) begin : g_two
            assign beat = {(is_odd && final_beat) ? 32'd0 : shift[63:32], shift[31:0]};
        end else begin : g_more
            wire unused_odd = &{1'b0, is_odd};
            assign beat = shift[BEAT_W-1:0];
        end
    endgenerate

    axis_fifo #(
        .WIDTH(BEAT_W + 1),
        .DEPTH(DEPTH)
    ) queue (
        .clk    (clk),
        .rst    (rst),
        .s_data ({is_last && final_beat, beat}),
        .s_valid(push),
        .s_ready(unused_ready),
        .m_data ({m_axis_tlast, m_axis_tdata}),
        .m_valid(m_axis_tvalid),
        .m_ready(m_axis_tready)
    );

endmodule

`default_nettype wire
