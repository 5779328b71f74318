// program_fetch: walks a program list and streams the pieces it names, one after the other, as one packet stream.
// Purpose: a schedule stands once in memory and is named as often as it is needed.  List words and pieces come by the same
//          read port, both ahead of need: up to LIST words are held or on their way, so short pieces flow without gaps.
//          Rules: 1. list words are asked for only if there is room for them, so they never wait behind each other;
//                 2. a word with an unaligned address, no beats or flags ends the program (error[1]), as does an error
//                    response (error[0]); what stood before it in the list is still delivered in the first case;
//                 3. an error stays until rst; with `stop` nothing more is asked for, and rst comes when `idle`.
// Licence: MIT.
// Timing: `start` is taken when not busy; `done` is high for the one cycle after the last beat has left.  One beat per
//         cycle, less the list's own words; a piece can begin every other cycle.
// Formats: docs/machine.md.
`default_nettype none

`include "zeroskip_defs.vh"

module program_fetch #(
    parameter DEPTH = 128,     // words outstanding or waiting
    parameter LIST  = 64       // list words held or on their way, a power of two, 32 or more
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        stop,
    output wire        idle,
    input  wire        start,
    input  wire [31:3] list,          // address of the list
    input  wire [23:0] count,         // its words, 1 or more
    output reg         busy,
    output reg         done,
    output wire [1:0]  error,
    // Packets.
    output wire [63:0] m_axis_tdata,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    // Memory.
    output wire [31:0] m_axi_araddr,
    output wire [7:0]  m_axi_arlen,
    output wire [2:0]  m_axi_arsize,
    output wire [1:0]  m_axi_arburst,
    output wire        m_axi_arvalid,
    input  wire        m_axi_arready,
    input  wire [63:0] m_axi_rdata,
    input  wire [1:0]  m_axi_rresp,
    input  wire        m_axi_rvalid,
    output wire        m_axi_rready
);

    localparam LIST_W  = $clog2(LIST) + 1;
    localparam BEATS_W = `ZS_LIST_BEATS_WIDTH;
    localparam [LIST_W-1:0] ALL = 1 << (LIST_W - 1);

    // ---- what to ask for: list words, sixteen at a time, before pieces -------------------------------
    reg  [31:3]        list_next;
    reg  [23:0]        list_left;     // words not asked for yet
    reg  [23:0]        pieces_left;   // pieces not asked for yet
    reg  [LIST_W-1:0]  list_room;
    reg                piece_valid, piece_bad;
    reg  [31:3]        piece_addr;
    reg  [BEATS_W-1:0] piece_beats;
    reg                bad_word;

    wire               read_ready, order_ready, bus_error;
    wire               list_many = |list_left[23:4];
    reg  [4:0]         list_beats;
    reg                ask_list;      // decided a cycle ahead
    wire               ask_piece = piece_valid && !piece_bad && !ask_list;
    wire               asked = read_ready && order_ready && !stop;
    wire               list_asked = asked && ask_list;
    wire               piece_asked = asked && ask_piece;

    // ---- what comes back: list words or a piece ---------------------------------------------------
    reg                take, take_list;       // words of this kind come, take_left of them and one
    reg  [BEATS_W-1:0] take_left;
    wire               next_valid, next_list;
    wire [BEATS_W-1:0] next_beats;
    wire [63:0]        word, entry;
    wire               word_valid, out_ready, entry_valid, list_ready;
    wire               word_ready = take && (take_list || out_ready);
    wire               taken = word_valid && word_ready;
    wire               take_end = taken && take_left == {BEATS_W{1'b0}};
    wire               take_next = !take || take_end;
    wire               entry_taken = entry_valid && (!piece_valid || piece_asked);

    wire               unused = &{1'b0, list_ready};

    assign error = {bad_word, bus_error};

    always @(posedge clk) begin
        done <= 1'b0;
        if (start && !busy) begin
            busy        <= 1'b1;
            list_next   <= list;
            list_left   <= count;
            pieces_left <= count;
        end
        if (list_asked) begin
            list_next <= list_next + 29'd16;
            list_left <= list_many ? list_left - 24'd16 : 24'd0;
        end
        ask_list   <= |list_left && |list_room[LIST_W-1:4] && !list_asked;
        list_beats <= list_many ? 5'd16 : {1'b0, list_left[3:0]};
        if (piece_asked)
            pieces_left <= pieces_left - 24'd1;
        list_room <= list_room - (list_asked ? {{(LIST_W-5){1'b0}}, list_beats} : {LIST_W{1'b0}})
                   + {{(LIST_W-1){1'b0}}, entry_taken};

        if (!piece_valid || piece_asked) begin
            piece_valid <= entry_valid;
            piece_addr  <= entry[`ZS_LIST_ADDRESS_LSB + 3 +: 29];
            piece_beats <= entry[`ZS_LIST_BEATS_LSB +: BEATS_W];
            piece_bad   <= entry[`ZS_LIST_ADDRESS_LSB +: 3] != 3'd0 || entry[`ZS_LIST_BEATS_LSB +: BEATS_W] == 0
                        || entry[`ZS_LIST_FLAGS_LSB +: `ZS_LIST_FLAGS_WIDTH] != 0;
        end
        if (piece_valid && piece_bad)
            bad_word <= 1'b1;

        if (take_next) begin
            take      <= next_valid;
            take_list <= next_list;
            take_left <= next_beats - 1'b1;
        end else if (taken)
            take_left <= take_left - 1'b1;

        if (busy && pieces_left == 24'd0 && !next_valid && !take && !m_axis_tvalid) begin
            busy <= 1'b0;
            done <= 1'b1;
        end

        if (rst) begin
            busy        <= 1'b0;
            done        <= 1'b0;
            list_left   <= 24'd0;
            list_room   <= ALL;
            ask_list    <= 1'b0;
            piece_valid <= 1'b0;
            bad_word    <= 1'b0;
            take        <= 1'b0;
        end
    end

    axi_read #(
        .DEPTH(DEPTH), .BEATS_W(BEATS_W)
    ) read (
        .clk(clk), .rst(rst), .stop(stop), .idle(idle), .error(bus_error),
        .s_addr(ask_list ? list_next : piece_addr), .s_beats(ask_list ? {{(BEATS_W-5){1'b0}}, list_beats} : piece_beats),
        .s_valid((ask_list || ask_piece) && order_ready), .s_ready(read_ready),
        .m_data(word), .m_valid(word_valid), .m_ready(word_ready),
        .m_axi_araddr(m_axi_araddr), .m_axi_arlen(m_axi_arlen), .m_axi_arsize(m_axi_arsize),
        .m_axi_arburst(m_axi_arburst), .m_axi_arvalid(m_axi_arvalid), .m_axi_arready(m_axi_arready),
        .m_axi_rdata(m_axi_rdata), .m_axi_rresp(m_axi_rresp), .m_axi_rvalid(m_axi_rvalid), .m_axi_rready(m_axi_rready)
    );

    // Of every request: whether it is for list words, and how many.
    axis_fifo #(
        .WIDTH(BEATS_W + 1), .DEPTH(32)
    ) order (
        .clk(clk), .rst(rst),
        .s_data({ask_list, ask_list ? {{(BEATS_W-5){1'b0}}, list_beats} : piece_beats}),
        .s_valid(list_asked || piece_asked), .s_ready(order_ready),
        .m_data({next_list, next_beats}), .m_valid(next_valid), .m_ready(take_next)
    );

    axis_fifo #(
        .WIDTH(64), .DEPTH(LIST)
    ) entries (
        .clk(clk), .rst(rst),
        .s_data(word), .s_valid(taken && take_list), .s_ready(list_ready),
        .m_data(entry), .m_valid(entry_valid), .m_ready(!piece_valid || piece_asked)
    );

    axis_register #(
        .WIDTH(64)
    ) out (
        .clk(clk), .rst(rst),
        .s_data(word), .s_valid(word_valid && take && !take_list), .s_ready(out_ready),
        .m_data(m_axis_tdata), .m_valid(m_axis_tvalid), .m_ready(m_axis_tready)
    );

`ifdef ZS_ASSERT
    always @(posedge clk)
        if (!rst && taken && take_list && !list_ready)
            $display("ASSERT %m: a list word without room");
`endif

endmodule

`default_nettype wire
