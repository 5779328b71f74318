// load_pixels: turns segments of rows and the words memory sent for them into the pixels of the loaded map.
// Purpose: two beats a pixel, channels 0 to 7 of a block and 8 to 15.  Pooling is a maximum along the row while pixels
//          pass, and one with the row buffer, which holds a row's pixels until the window's last row has come.
//          Rules: 1. a beat that is read waits for memory; nothing behind it ever waits;
//                 2. between two LOADs the pipeline runs empty, so that what is constant in a LOAD may change.
// Licence: MIT.
// Timing: one beat per cycle without gaps between segments; it leaves four cycles after it was taken; `done` comes when
//         the last column has been written, and the next LOAD's first beat is taken the cycle after.
`default_nettype none

module load_pixels #(
    parameter ADDR_W     = 10,
    parameter POOL_WIDTH = 32       // pixels of a pooled row, a power of two
) (
    input  wire        clk,
    input  wire        rst,
    // From load_walk.
    input  wire [17+2*ADDR_W:0] s_load,
    input  wire        s_load_valid,
    output wire        s_load_ready,
    input  wire [29+ADDR_W:0] s_segment,
    input  wire        s_segment_valid,
    output wire        s_segment_ready,
    // Words of the pixels to read.
    input  wire [63:0] s_data,
    input  wire        s_valid,
    output wire        s_ready,
    // What columns are made of.
    output reg  [17+2*ADDR_W:0] load,
    output reg         m_valid,
    output reg  [63:0] m_data,
    output reg         m_zero,      // outside the loaded map
    output reg         m_half,
    output reg         m_odd,       // pixel of its row
    output reg  [ADDR_W-1:0] m_column,
    output reg  [7:0]  m_wg,
    output reg         m_first_wg,
    output reg         m_last_wg,
    output reg         done         // of a LOAD; `load` still says which
);

    localparam INDEX_W = $clog2(POOL_WIDTH) + 1;
    localparam SETTLE  = 4'd8;      // cycles from the last beat to the last write

    wire        is_signed   = load[3];
    wire        pair        = load[2];
    wire        upsample    = load[4];
    wire [1:0]  pool        = load[6:5];
    wire [1:0]  stride      = load[8:7];      // less one
    wire [ADDR_W-1:0] column_step = load[18 +: ADDR_W];

    // ---- the LOAD, and its segments ---------------------------------------------------------------
    reg         ends;                         // the segment is the LOAD's last
    reg  [3:0]  settle;                       // until the next LOAD may begin
    reg         live, read, zero, first_window, last_window, half, odd, first_wg, last_wg;
    reg         wants;                        // a word of memory, for this beat
    reg         replay, starts_odd;           // enlarged: an even pixel comes again as the odd one behind it
    reg         loaded, ready;                // `load` is of this LOAD; and that has begun no sooner
    reg  [12:0] left;
    reg         last;                         // pixel of the segment
    reg  [1:0]  until_end;                    // pixels until a window is complete
    reg  [ADDR_W-1:0] column;
    reg  [7:0]  wg;
    reg  [INDEX_W-2:0] index;                 // of the pixel in the row buffer

    wire        again = upsample && !replay && !starts_odd;    // the next pixel is a replay
    wire        step = live && (!wants || s_valid);
    wire        pixel_end = step && half;
    wire        segment_end = pixel_end && last;
    // Spelled out, so that it is two levels from s_valid.
    wire        goes_on = live && !ends && half && last && (!wants || s_valid);
    wire        take = s_segment_valid && ((ready && !live) || goes_on);
    wire        ends_now = segment_end && ends;
    wire        complete = zero || until_end == 2'd0;

    wire        in_end, in_last_wg, in_first_wg, in_begins, in_first_window, in_last_window, in_odd, in_read, in_zero;
    wire [7:0]  in_wg;
    wire [ADDR_W-1:0] in_column;
    wire [12:0] in_count;

    assign {in_end, in_last_wg, in_first_wg, in_wg, in_begins, in_first_window, in_last_window, in_odd, in_column,
            in_read, in_zero, in_count} = s_segment;
    assign s_segment_ready = take;
    assign s_ready         = live && wants;
    assign s_load_ready    = !loaded;

    always @(posedge clk) begin
        if (pixel_end) begin
            left       <= left - 13'd1;
            last       <= left == 13'd2;
            replay     <= again;
            wants      <= read && !again;
            starts_odd <= 1'b0;
            if (!zero)
                until_end <= (until_end == 2'd0) ? stride : until_end - 2'd1;
            if (complete) begin
                odd <= !odd;
                if (!zero)
                    index <= index + 1'b1;
                if (!pair || odd)
                    column <= column + column_step;
            end
        end
        if (step)
            half <= !half;
        if (segment_end)
            live <= 1'b0;
        if (take) begin
            live         <= 1'b1;
            ends         <= in_end;
            read         <= in_read;
            zero         <= in_zero;
            left         <= in_count;
            last         <= in_count == 13'd1;
            half         <= 1'b0;
            wants        <= in_read;
            replay       <= 1'b0;
            starts_odd   <= in_odd;
            first_window <= in_first_window;
            last_window  <= in_last_window;
            wg           <= in_wg;
            first_wg     <= in_first_wg;
            last_wg      <= in_last_wg;
            if (in_begins) begin
                column    <= in_column;
                odd       <= 1'b0;
                index     <= {(INDEX_W-1){1'b0}};
                until_end <= pool - 2'd1;
            end
        end
        if (!loaded)
            load <= s_load;
        loaded <= loaded ? settle != 4'd1 : s_load_valid;
        ready  <= loaded && !ends_now && settle == 4'd0;
        done   <= settle == 4'd1;
        if (ends_now)
            settle <= SETTLE;
        else if (settle != 4'd0)
            settle <= settle - 4'd1;
        if (rst) begin
            live   <= 1'b0;
            loaded <= 1'b0;
            ready  <= 1'b0;
            settle <= 4'd0;
            done   <= 1'b0;
        end
    end

    // ---- beats; those before stay for the windows (b) ------------------------------------------------
    // Unsigned order, so that 0 is the smallest whatever the bytes are.
    wire [63:0] ordered = s_data ^ {8{is_signed, 7'd0}};
    reg  [63:0] b0, b1, b2, b3, b4;
    reg         b_valid, b_half, b_odd, b_zero, b_first_window, b_last_window, b_first_wg, b_last_wg;
    reg  [ADDR_W-1:0] b_column;
    reg  [7:0]  b_wg;
    reg  [INDEX_W-1:0] b_index;

    always @(posedge clk) begin
        b_valid        <= step && complete && !rst;
        b_half         <= half;
        b_odd          <= odd;
        b_zero         <= zero;
        b_first_window <= first_window;
        b_last_window  <= last_window;
        b_first_wg     <= first_wg;
        b_last_wg      <= last_wg;
        b_column       <= column;
        b_wg           <= wg;
        b_index        <= {index, half};
        if (step) begin
            b0 <= !read ? 64'd0 : replay ? b1 : ordered;
            b1 <= b0;
            b2 <= b1;
            b3 <= b2;
            b4 <= b3;
        end
    end

    // ---- maximum along the row (c, d), and with the rows before (m) -----------------------------------
    reg  [63:0] c_new, c_two, c_old, d_row, d_before;
    (* ram_style = "distributed" *)
    reg  [63:0] rows [0:2*POOL_WIDTH-1];
    reg  [13+ADDR_W:0] c_tags, d_tags;      // odd, half, zero, first_wg, last_wg, first window, column, wg
    reg         c_valid, d_valid, c_last_window, d_last_window, r_we;
    reg  [INDEX_W-1:0] c_index, d_index, r_index;

    wire        d_first_window = d_tags[8+ADDR_W];

    genvar i;
    generate
        for (i = 0; i < 8; i = i + 1) begin : g_byte
            wire [7:0] b_new = b0[8*i +: 8];
            wire [7:0] b_old = b2[8*i +: 8];
            wire [7:0] c_one = c_two[8*i +: 8];
            wire [7:0] c_other = c_old[8*i +: 8];
            wire [7:0] d_new = d_row[8*i +: 8];
            wire [7:0] d_old = d_before[8*i +: 8];

            always @(posedge clk) begin
                c_two[8*i +: 8]  <= (b_new > b_old) ? b_new : b_old;
                d_row[8*i +: 8]  <= (pool == 2'd1) ? c_new[8*i +: 8]
                                  : (pool == 2'd3 && c_other > c_one) ? c_other : c_one;
                m_data[8*i +: 8] <= (!d_first_window && d_old > d_new) ? d_old : d_new;
            end
        end
    endgenerate

    always @(posedge clk) begin
        c_valid       <= b_valid && !rst;
        c_last_window <= b_last_window;
        c_index       <= b_index;
        c_tags        <= {b_odd, b_half, b_zero, b_first_wg, b_last_wg, b_first_window, b_column, b_wg};
        c_new         <= b0;
        c_old         <= b4;

        d_valid       <= c_valid && !rst;
        d_last_window <= c_last_window;
        d_index       <= c_index;
        d_tags        <= c_tags;
        d_before      <= rows[c_index];

        m_valid       <= d_valid && d_last_window && !rst;
        {m_odd, m_half, m_zero, m_first_wg, m_last_wg} <= d_tags[13+ADDR_W:9+ADDR_W];
        {m_column, m_wg} <= d_tags[7+ADDR_W:0];

        r_we          <= d_valid && !d_last_window && !rst;
        r_index       <= d_index;
        if (r_we)
            rows[r_index] <= m_data;
    end

endmodule

`default_nettype wire
