// sum_drain: sends the sums of one pixel after the other, two per 64-bit beat, zero where a beat is not full.
// Purpose: lets an engine run without a stall behind its issue stage.  The engine asks `can_close` before it issues the
//          step that ends a pixel; room for that pixel's beats is then reserved, and pixels come no faster than their
//          beats leave the shift register, so `load` is always met.
// Licence: MIT.
// Timing: `load` may come any fixed number of cycles after `reserve`; one beat per cycle.
//         m_axis_tlast is with the last beat of a pixel loaded with `last`.
`default_nettype none

module sum_drain #(
    parameter SUMS  = 2,     // 32-bit sums per pixel, at most
    parameter DEPTH = 64     // beats the output queue holds, at least 4 * ceil(SUMS / 2)
) (
    input  wire                            clk,
    input  wire                            rst,
    // Flow control at the issue stage.
    output wire                            can_close,
    input  wire                            reserve,        // a pixel's last step is issued
    input  wire [$clog2((SUMS+1)/2+1)-1:0] reserve_beats,  // beats of that pixel
    // The pixel's sums, at the end of the pipeline.
    input  wire                            load,
    input  wire                            last,
    input  wire [$clog2((SUMS+1)/2+1)-1:0] load_beats,
    input  wire                            load_odd,       // the pixel's last beat holds one sum
    input  wire [SUMS*32-1:0]              sums,
    output wire [63:0]                     m_axis_tdata,
    output wire                            m_axis_tvalid,
    input  wire                            m_axis_tready,
    output wire                            m_axis_tlast
);

    localparam BEATS   = (SUMS + 1) / 2;
    localparam BEATS_W = $clog2(BEATS + 1);
    localparam SPACE_W = $clog2(DEPTH + 1);
    localparam [BEATS_W-1:0] ONE = 1;
    // `room` is two cycles old when it is used, so it must leave space for two pixels.
    localparam ENOUGH  = 2 * BEATS;

    initial
        if (DEPTH < 4 * BEATS) begin
            $display("%m: DEPTH = %0d is less than 4 * %0d", DEPTH, BEATS);
            $finish;
        end

    // ---- reservation -----------------------------------------------------------------------------
    reg  [SPACE_W-1:0] space;      // beats not reserved
    reg  [BEATS_W-1:0] gap;        // cycles until the next pixel may end
    reg                room;
    wire               sent = m_axis_tvalid && m_axis_tready;

    assign can_close = room && gap == {BEATS_W{1'b0}};

    always @(posedge clk) begin
        space <= space - (reserve ? {{(SPACE_W-BEATS_W){1'b0}}, reserve_beats} : {SPACE_W{1'b0}})
                       + {{(SPACE_W-1){1'b0}}, sent};
        room  <= space >= ENOUGH[SPACE_W-1:0];
        if (reserve)
            gap <= reserve_beats - ONE;
        else if (gap != {BEATS_W{1'b0}})
            gap <= gap - ONE;
        if (rst) begin
            space <= DEPTH[SPACE_W-1:0];
            room  <= 1'b0;
            gap   <= {BEATS_W{1'b0}};
        end
    end

    // ---- shift register --------------------------------------------------------------------------
    reg  [BEATS*64-1:0] shift;
    reg  [BEATS_W-1:0]  left;
    reg                 is_last, is_odd;
    wire                push = left != {BEATS_W{1'b0}};
    wire                final_beat = left == ONE;
    wire                unused_ready;   // space was reserved

    always @(posedge clk) begin
        if (load) begin
            shift[SUMS*32-1:0] <= sums;
            left    <= load_beats;
            is_last <= last;
            is_odd  <= load_odd;
        end else if (push) begin
            shift <= shift >> 64;
            left  <= left - ONE;
        end
        if (rst)
            left <= {BEATS_W{1'b0}};
    end

    axis_fifo #(
        .WIDTH(65),
        .DEPTH(DEPTH)
    ) queue (
        .clk    (clk),
        .rst    (rst),
        .s_data ({is_last && final_beat, (is_odd && final_beat) ? 32'd0 : shift[63:32], shift[31:0]}),
        .s_valid(push),
        .s_ready(unused_ready),
        .m_data ({m_axis_tlast, m_axis_tdata}),
        .m_valid(m_axis_tvalid),
        .m_ready(m_axis_tready)
    );

endmodule

`default_nettype wire
