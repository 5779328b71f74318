// load_walk: executes LOAD packets as an address generator: rectangles to read requests and to segments of rows.
// Purpose: walks work group by work group, block by block, row by row and, where the map is pooled, window row by window
//          row.  A row becomes up to five segments: zeros left of the map, columns of the first window that lie outside
//          of memory, pixels to read, the same at the right.  It runs ahead of the data by the FIFO of segments.
//          Rules: 1. a segment of pixels to read is handed on together with its request;
//                 2. a LOAD begins when `stores` has reached its `after`, modulo 2^16;
//                 3. an illegal packet stops it, and `error` stays until rst.
// Licence: MIT.
// Timing: a packet takes eleven cycles, a rectangle eight, a row or window row one more than it has segments.
//         No multiplier: the packet has differences.
// Formats: docs/machine.md.
`default_nettype none

`include "zeroskip_defs.vh"

module load_walk #(
    parameter WGS        = 2,
    parameter ADDR_W     = 10,
    parameter POOL_WIDTH = 32      // pixels of a pooled row that the row buffer holds
) (
    input  wire        clk,
    input  wire        rst,
    input  wire [15:0] stores,     // complete ones
    output reg         error,
    // LOAD packets.
    input  wire [63:0] s_data,
    input  wire        s_valid,
    output wire        s_ready,
    // What stays the same for a whole LOAD.
    output wire [17+2*ADDR_W:0] m_load,    // half_step, column_step, zero_point, stride, pool, upsample, signed, pair, buffer, page
    output wire        m_load_valid,
    input  wire        m_load_ready,
    // Segments of a row: what the LOAD's last one, the work group and the row have in common, read, zero, pixels.
    output wire [29+ADDR_W:0] m_segment,
    output wire        m_segment_valid,
    input  wire        m_segment_ready,
    // Read requests.
    output wire [31:3] m_addr,
    output wire [12:0] m_beats,
    output wire        m_read_valid,
    input  wire        m_read_ready
);

    localparam [2:0] HEADER = 3'd0, CHECK = 3'd1, WAIT = 3'd2, CORNER = 3'd3, CLIP = 3'd4, ROW = 3'd5, EMIT = 3'd6,
                     STOPPED = 3'd7;

    // ---- the packet ------------------------------------------------------------------------------
    reg [511:0] packet;
    reg [2:0]   at;
    integer     i;

    wire [7:0]  wgs           = packet[`ZS_LOAD_WGS_LSB +: 8];
    wire [15:0] after         = packet[`ZS_LOAD_AFTER_LSB +: 16];
    wire [31:0] map           = packet[64 + `ZS_LOAD_MAP_LSB +: 32];
    wire [31:0] block_pitch   = packet[64 + `ZS_LOAD_BLOCK_PITCH_LSB +: 32];
    wire [31:0] rect_pitch    = packet[128 + `ZS_LOAD_RECT_PITCH_LSB +: 32];
    wire [31:0] image_pitch   = packet[128 + `ZS_LOAD_IMAGE_PITCH_LSB +: 32];
    wire [11:0] source_width  = packet[192 + `ZS_LOAD_SOURCE_WIDTH_LSB +: 12];
    wire [11:0] source_height = packet[192 + `ZS_LOAD_SOURCE_HEIGHT_LSB +: 12];
    wire [11:0] width         = packet[192 + `ZS_LOAD_WIDTH_LSB +: 12];
    wire [11:0] height        = packet[192 + `ZS_LOAD_HEIGHT_LSB +: 12];
    wire [15:0] row_pitch     = packet[192 + `ZS_LOAD_ROW_PITCH_LSB +: 16];
    wire        upsample      = packet[256 + `ZS_LOAD_UPSAMPLE_LSB];
    wire [11:0] step_x        = packet[320 + `ZS_LOAD_STEP_X_LSB +: 12];
    wire [11:0] step_y        = packet[320 + `ZS_LOAD_STEP_Y_LSB +: 12];
    wire [11:0] rect_width    = packet[320 + `ZS_LOAD_RECT_WIDTH_LSB +: 12];
    wire [11:0] rect_height   = packet[320 + `ZS_LOAD_RECT_HEIGHT_LSB +: 12];
    wire [11:0] blocks        = packet[320 + `ZS_LOAD_BLOCKS_LSB +: 12];
    wire [11:0] grid_width    = packet[384 + `ZS_LOAD_GRID_WIDTH_LSB +: 12];
    wire [11:0] grid_height   = packet[384 + `ZS_LOAD_GRID_HEIGHT_LSB +: 12];
    wire [1:0]  pool          = packet[384 + `ZS_LOAD_POOL_LSB +: 2];
    wire [1:0]  stride        = packet[384 + `ZS_LOAD_STRIDE_LSB +: 2];       // less one
    wire [1:0]  pad_x         = packet[384 + `ZS_LOAD_PAD_X_LSB +: 2];
    wire [1:0]  pad_y         = packet[384 + `ZS_LOAD_PAD_Y_LSB +: 2];

    wire [ADDR_W-1:0] address     = packet[`ZS_LOAD_ADDRESS_LSB +: ADDR_W];
    wire [ADDR_W-1:0] block_step  = packet[448 + `ZS_LOAD_BLOCK_STEP_LSB +: ADDR_W];
    wire [ADDR_W-1:0] row_step    = packet[448 + `ZS_LOAD_ROW_STEP_LSB +: ADDR_W];
    wire [ADDR_W-1:0] column_step = packet[448 + `ZS_LOAD_COLUMN_STEP_LSB +: ADDR_W];
    wire [ADDR_W-1:0] half_step   = packet[448 + `ZS_LOAD_HALF_STEP_LSB +: ADDR_W];

    wire signed [12:0] x_first = packet[256 + `ZS_LOAD_X_LSB +: 13];
    wire signed [12:0] y_first = packet[256 + `ZS_LOAD_Y_LSB +: 13];
    wire signed [12:0] x0      = packet[256 + `ZS_LOAD_X0_LSB +: 13];
    wire signed [12:0] y0      = packet[256 + `ZS_LOAD_Y0_LSB +: 13];

    // Of beats 0 to 6, while beat 7 comes.
    reg  [3:0] illegal;
    always @(posedge clk) begin
        illegal[0] <= packet[`ZS_LOAD_KIND_LSB +: 4] != `ZS_KIND_LOAD || wgs == 8'd0 || {24'd0, wgs} > WGS || pool == 2'd0
                   || (pool != 2'd1 && {20'd0, rect_width} > POOL_WIDTH) || (packet[`ZS_LOAD_PAIR_LSB] && rect_width[0]);
        illegal[1] <= |{map[2:0], block_pitch[2:0], rect_pitch[2:0], image_pitch[2:0]} || rect_width == 12'd0;
        illegal[2] <= source_width == 12'd0 || source_height == 12'd0 || width == 12'd0 || height == 12'd0
                   || rect_height == 12'd0;
        illegal[3] <= blocks == 12'd0 || grid_width == 12'd0 || grid_height == 12'd0
                   || packet[384 + `ZS_LOAD_LEFT_X_LSB +: 12] == 12'd0 || packet[384 + `ZS_LOAD_LEFT_Y_LSB +: 12] == 12'd0;
    end

    wire [15:0] stores_since = stores - after;
    wire        unused = &{1'b0, stores_since[14:0], packet};

    assign m_load = {half_step, column_step, packet[256 + `ZS_LOAD_ZERO_POINT_LSB +: 9], stride, pool, upsample,
                     packet[`ZS_LOAD_SIGNED_LSB], packet[`ZS_LOAD_PAIR_LSB], packet[`ZS_LOAD_BUFFER_LSB],
                     packet[`ZS_LOAD_PAGE_LSB]};

    // ---- where the walk is: the row that comes next ----------------------------------------------------
    reg  [2:0]         state;
    reg                reached;             // of `after`
    reg  [7:0]         wg;
    reg                wg_first, wg_last, x_last, y_last, block_last, row_last;
    reg  [11:0]        left_x, left_y, block_left, row_left;
    reg  signed [12:0] x, y;                // corner of the rectangle, in the loaded map
    reg  [1:0]         window;              // row of the window
    reg  [31:3]        rect_addr, row_addr; // column 0 of the first window's row in memory
    reg  [17:0]        offset;              // from there to the first pixel to read
    reg  [ADDR_W-1:0]  column;
    reg  signed [13:0] row_y;               // in the loaded map
    reg  signed [14:0] source_y;            // in memory: the window's first row

    wire               window_last = window == pool - 2'd1;
    wire               row_ends = state == ROW && window_last;
    wire               block_ends = row_ends && row_last;
    wire               rect_ends = block_ends && block_last;

    // ---- the row whose segments are handed on -------------------------------------------------------
    wire        clipped, outside, nothing, odd;
    wire [11:0] zeros_left, zeros_right, reads, passes, from;
    wire [12:0] blank_left, blank_right, span;
    wire [3:0]  some;
    wire signed [14:0] source_first;

    reg  [4:0]  pending;                    // segments still to come
    reg         begins;                     // of them none has gone
    reg         all_zero, all_blank, rect_done, load_done, first_window, last_window;
    reg  [31:3] read_addr;
    reg  [7:0]  row_wg;
    reg         row_first_wg, row_last_wg;
    reg  [ADDR_W-1:0] row_column;

    wire [4:0]  pick = pending & (~pending + 5'd1);
    wire [4:0]  rest = pending & ~pick;
    wire        emit = state == EMIT;
    wire        handed = pending == 5'd0 || (m_segment_ready && (!pick[2] || m_read_ready));
    wire        row_done = handed && rest == 5'd0;
    wire        in_map = !outside && !row_y[13] && row_y[12:0] < {1'b0, height};
    wire signed [14:0] source = source_y + $signed({13'd0, window});
    wire        in_source = upsample || (!source[14] && source[13:0] < {2'b00, source_height});
    wire [12:0] count = ({13{pick[0]}} & {1'b0, all_zero ? rect_width : zeros_left})
                      | ({13{pick[1]}} & (all_blank ? span : blank_left))
                      | ({13{pick[2]}} & {1'b0, passes})
                      | ({13{pick[3]}} & blank_right) | ({13{pick[4]}} & {1'b0, zeros_right});

    assign s_ready         = state == HEADER;
    assign m_load_valid    = state == WAIT && reached;
    assign m_segment       = {load_done && rest == 5'd0, row_last_wg, row_first_wg, row_wg, begins, first_window, last_window,
                              odd, row_column, pick[2], pick[0] || pick[4], count};
    assign m_segment_valid = emit && pending != 5'd0 && (!pick[2] || m_read_ready);
    assign m_read_valid    = emit && pick[2] && m_segment_ready;
    assign m_addr          = read_addr;
    assign m_beats         = {reads, 1'b0};

    always @(posedge clk) begin
        reached <= !stores_since[15];
        case (state)
            HEADER:
                if (s_valid) begin
                    for (i = 0; i < 8; i = i + 1)
                        if (at == i[2:0])
                            packet[64*i +: 64] <= s_data;
                    at <= at + 3'd1;
                    if (at == 3'd7)
                        state <= CHECK;
                end
            CHECK: begin
                state <= (illegal != 4'd0) ? STOPPED : WAIT;
                error <= illegal != 4'd0;
            end
            WAIT:
                if (reached && m_load_ready)
                    state <= CORNER;
            CORNER:
                state <= CLIP;
            CLIP:
                if (clipped) begin
                    state <= nothing ? STOPPED : ROW;
                    error <= nothing;
                end
            ROW:
                state <= EMIT;
            EMIT:
                if (row_done)
                    state <= !rect_done ? ROW : load_done ? HEADER : CORNER;
            default: ;
        endcase
        if (rst) begin
            state <= HEADER;
            at    <= 3'd0;
            error <= 1'b0;
        end
    end

    // ---- from rectangle to rectangle -----------------------------------------------------------------
    always @(posedge clk) begin
        if (state == HEADER) begin
            left_x <= packet[384 + `ZS_LOAD_LEFT_X_LSB +: 12];
            left_y <= packet[384 + `ZS_LOAD_LEFT_Y_LSB +: 12];
        end
        if (state == CHECK) begin
            wg        <= 8'd0;
            x         <= x_first;
            y         <= y_first;
            rect_addr <= map[31:3];
        end
        if (state == CORNER) begin
            wg_first <= wg == 8'd0;
            wg_last  <= wg == wgs - 8'd1;
            x_last   <= left_x == 12'd1;
            y_last   <= left_y == 12'd1;
        end
        if (rect_ends) begin
            wg     <= wg + 8'd1;
            x      <= x_last ? x0 : x + $signed({1'b0, step_x});
            left_x <= x_last ? grid_width : left_x - 12'd1;
        end
        if (rect_ends && x_last) begin
            y         <= y_last ? y0 : y + $signed({1'b0, step_y});
            left_y    <= y_last ? grid_height : left_y - 12'd1;
            rect_addr <= rect_addr + (y_last ? image_pitch[31:3] : rect_pitch[31:3]);
        end
    end

    load_clip clip (
        .clk(clk), .rst(rst), .start(state == CORNER), .ready(clipped), .x(x), .y(y),
        .rect_width(rect_width), .width(width), .source_width(source_width), .upsample(upsample), .pool(pool),
        .stride(stride), .pad_x(pad_x), .pad_y(pad_y), .outside(outside), .nothing(nothing), .odd(odd),
        .zeros_left(zeros_left), .zeros_right(zeros_right), .blank_left(blank_left), .blank_right(blank_right),
        .span(span), .reads(reads), .passes(passes), .from(from), .some(some), .source_y(source_first)
    );

    // ---- from row to row ------------------------------------------------------------------------------
    wire        next_odd = (state == CLIP || row_last) ? y[0] : !row_y[0];
    wire [17:0] first_pixel = {5'd0, from, 1'b0};

    always @(posedge clk) begin
        if (state == CLIP) begin
            block_left <= blocks;
            block_last <= blocks == 12'd1;
            row_addr   <= rect_addr;
            column     <= address;
            window     <= 2'd0;
        end
        if (row_ends) begin
            row_addr <= row_addr + (row_last ? block_pitch[31:3] : {13'd0, row_pitch});
            column   <= column + (row_last ? block_step : row_step);
        end
        if (state == CLIP || block_ends) begin
            row_left <= rect_height;
            row_last <= rect_height == 12'd1;
            row_y    <= {y[12], y};
            source_y <= source_first;
        end else if (row_ends) begin
            row_left <= row_left - 12'd1;
            row_last <= row_left == 12'd2;
            row_y    <= row_y + 14'sd1;
            source_y <= source_y + $signed({13'd0, stride}) + 15'sd1;
        end
        if (block_ends) begin
            block_left <= block_left - 12'd1;
            block_last <= block_left == 12'd2;
        end
        if (state == CLIP || row_ends)
            // An odd row of an enlarged map is the even one above it.
            offset <= first_pixel - ((upsample && next_odd) ? {6'd0, source_width} : 18'd0);
        else if (state == ROW)
            offset <= offset + {5'd0, source_width, 1'b0};
        if (state == ROW)
            window <= window_last ? 2'd0 : window + 2'd1;

        if (state == ROW) begin
            read_addr    <= row_addr + {{11{offset[17]}}, offset};
            all_zero     <= !in_map;
            all_blank    <= !in_source;
            first_window <= window == 2'd0;
            last_window  <= window_last;
            rect_done    <= window_last && row_last && block_last;
            load_done    <= window_last && row_last && block_last && wg_last;
            row_wg       <= wg;
            row_first_wg <= wg_first;
            row_last_wg  <= wg_last;
            row_column   <= column;
            begins       <= 1'b1;
            pending      <= !in_map ? {4'd0, window_last}
                          : {window_last && some[3], in_source && some[2], in_source, !in_source || some[1],
                             window_last && some[0]};
        end
        if (emit && handed) begin
            pending <= rest;
            begins  <= 1'b0;
        end
    end

endmodule

`default_nettype wire
