// map_load: brings rectangles of maps in memory to the engine's columns or to the output buffer.
// Purpose: executes LOAD packets: addresses (load_walk), reads (axi_read), zeros around the map, pooling and enlarging on
//          the way (load_pixels), columns and their zero flags (load_columns).  The address generator runs ahead of the
//          data by a FIFO of row segments, so there is no gap between rows, blocks and rectangles.
//          Rules: 1. who hands a LOAD over has made sure that its page is free; writes are never stalled;
//                 2. LOADs are executed in order; one waits until `stores` has reached its `after`, modulo 2^16;
//                 3. an illegal LOAD (error[1]) or an error response (error[0]) stops it until rst;
//                 4. with `stop` nothing more is asked for, and rst comes when `idle`.
// Licence: MIT.
// Timing: one 64-bit beat, half a pixel, per cycle, zeros included; a column is written eight cycles after its last beat
//         was taken from the FIFO; `done` comes the cycle after the last write, and ten cycles lie between two LOADs.
// Formats: docs/machine.md.
`default_nettype none

`include "zeroskip_defs.vh"

module map_load #(
    parameter WGS        = 2,
    parameter ADDR_W     = 10,     // bits of a column's address, or of a word's in the output buffer
    parameter DEPTH      = 128,    // words outstanding or waiting
    parameter POOL_WIDTH = 32      // pixels of a row of a rectangle that is pooled
) (
    input  wire              clk,
    input  wire              rst,
    input  wire              stop,
    output wire              idle,
    output wire [1:0]        error,
    input  wire [15:0]       stores,        // complete ones, modulo 2^16
    // LOAD packets, whole ones, one after the other: four fit.
    input  wire [63:0]       s_data,
    input  wire              s_valid,
    output wire              s_ready,
    // Columns of the engine, or words of the output buffer.
    output wire [WGS-1:0]    column_we,
    output wire              buffer_we,
    output wire [7:0]        write_wg,
    output wire [ADDR_W-1:0] write_addr,
    output wire [143:0]      write_data,    // 16 values of 9 bits
    output wire              flag_we,       // with the last work group's column
    output wire [15:0]       flag,          // 1: some work group's value is not zero
    // A LOAD is complete; the output buffer's half is its page.
    output wire              done,
    output wire              done_page,
    output wire              done_buffer,
    output wire              write_page,    // of the writes
    // Memory.
    output wire [31:0]       m_axi_araddr,
    output wire [7:0]        m_axi_arlen,
    output wire [2:0]        m_axi_arsize,
    output wire [1:0]        m_axi_arburst,
    output wire              m_axi_arvalid,
    input  wire              m_axi_arready,
    input  wire [63:0]       m_axi_rdata,
    input  wire [1:0]        m_axi_rresp,
    input  wire              m_axi_rvalid,
    output wire              m_axi_rready
);

    localparam LOAD_W = 18 + 2*ADDR_W, SEGMENT_W = 30 + ADDR_W;

    wire [63:0] packet, word;
    wire        packet_valid, packet_ready, word_valid, word_ready;
    wire [LOAD_W-1:0] walk_load, next_load, load;
    wire        walk_load_valid, walk_load_ready, next_load_valid, next_load_ready;
    wire [SEGMENT_W-1:0] walk_segment, segment;
    wire        walk_segment_valid, walk_segment_ready, segment_valid, segment_ready;
    wire [31:3] read_addr;
    wire [12:0] read_beats;
    wire        read_valid, read_ready, illegal, bus_error;

    assign error       = {illegal, bus_error};
    assign done_page   = load[0];
    assign done_buffer = load[1];
    assign write_page  = load[0];

    axis_fifo #(
        .WIDTH(64), .DEPTH(32)
    ) packets (
        .clk(clk), .rst(rst),
        .s_data(s_data), .s_valid(s_valid), .s_ready(s_ready),
        .m_data(packet), .m_valid(packet_valid), .m_ready(packet_ready)
    );

    load_walk #(
        .WGS(WGS), .ADDR_W(ADDR_W), .POOL_WIDTH(POOL_WIDTH)
    ) walk (
        .clk(clk), .rst(rst), .stores(stores), .error(illegal),
        .s_data(packet), .s_valid(packet_valid), .s_ready(packet_ready),
        .m_load(walk_load), .m_load_valid(walk_load_valid), .m_load_ready(walk_load_ready),
        .m_segment(walk_segment), .m_segment_valid(walk_segment_valid), .m_segment_ready(walk_segment_ready),
        .m_addr(read_addr), .m_beats(read_beats), .m_read_valid(read_valid), .m_read_ready(read_ready)
    );

    axi_read #(
        .DEPTH(DEPTH), .BEATS_W(13)
    ) read (
        .clk(clk), .rst(rst), .stop(stop), .idle(idle), .error(bus_error),
        .s_addr(read_addr), .s_beats(read_beats), .s_valid(read_valid), .s_ready(read_ready),
        .m_data(word), .m_valid(word_valid), .m_ready(word_ready),
        .m_axi_araddr(m_axi_araddr), .m_axi_arlen(m_axi_arlen), .m_axi_arsize(m_axi_arsize),
        .m_axi_arburst(m_axi_arburst), .m_axi_arvalid(m_axi_arvalid), .m_axi_arready(m_axi_arready),
        .m_axi_rdata(m_axi_rdata), .m_axi_rresp(m_axi_rresp), .m_axi_rvalid(m_axi_rvalid), .m_axi_rready(m_axi_rready)
    );

    axis_fifo #(
        .WIDTH(LOAD_W), .DEPTH(4)
    ) loads (
        .clk(clk), .rst(rst),
        .s_data(walk_load), .s_valid(walk_load_valid), .s_ready(walk_load_ready),
        .m_data(next_load), .m_valid(next_load_valid), .m_ready(next_load_ready)
    );

    axis_fifo #(
        .WIDTH(SEGMENT_W), .DEPTH(32)
    ) segments (
        .clk(clk), .rst(rst),
        .s_data(walk_segment), .s_valid(walk_segment_valid), .s_ready(walk_segment_ready),
        .m_data(segment), .m_valid(segment_valid), .m_ready(segment_ready)
    );

    wire        pixel_valid, pixel_zero, pixel_half, pixel_odd, pixel_first_wg, pixel_last_wg;
    wire [63:0] pixel_data;
    wire [ADDR_W-1:0] pixel_column;
    wire [7:0]  pixel_wg;

    load_pixels #(
        .ADDR_W(ADDR_W), .POOL_WIDTH(POOL_WIDTH)
    ) pixels (
        .clk(clk), .rst(rst),
        .s_load(next_load), .s_load_valid(next_load_valid), .s_load_ready(next_load_ready),
        .s_segment(segment), .s_segment_valid(segment_valid), .s_segment_ready(segment_ready),
        .s_data(word), .s_valid(word_valid), .s_ready(word_ready),
        .load(load), .m_valid(pixel_valid), .m_data(pixel_data), .m_zero(pixel_zero), .m_half(pixel_half),
        .m_odd(pixel_odd), .m_column(pixel_column), .m_wg(pixel_wg), .m_first_wg(pixel_first_wg),
        .m_last_wg(pixel_last_wg), .done(done)
    );

    load_columns #(
        .WGS(WGS), .ADDR_W(ADDR_W)
    ) columns (
        .clk(clk), .rst(rst), .load(load),
        .valid(pixel_valid), .data(pixel_data), .zero(pixel_zero), .half(pixel_half), .odd(pixel_odd),
        .column(pixel_column), .wg(pixel_wg), .first_wg(pixel_first_wg), .last_wg(pixel_last_wg),
        .column_we(column_we), .buffer_we(buffer_we), .write_wg(write_wg), .write_addr(write_addr),
        .write_data(write_data), .flag_we(flag_we), .flag(flag)
    );

endmodule

`default_nettype wire
