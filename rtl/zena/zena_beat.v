// zena_beat: the input stream's beat in registers, with all that the loader must know about it early.
// Purpose: counts the ones of every lane's entry, should it be a zero bit-vector, and compares the number of columns,
//          should the beat be a header, so that the loader's decisions begin at registers.
// Licence: MIT.
// Timing: s_axis_tvalid to `valid`: two cycles; one beat per cycle.  s_axis_tready depends on registers only.
// Formats: docs/streams.md.
`default_nettype none

`include "zeroskip_defs.vh"

module zena_beat #(
    parameter COLUMNS = 64
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire [63:0]                s_axis_tdata,
    input  wire                       s_axis_tvalid,
    output wire                       s_axis_tready,
    output reg                        valid,
    input  wire                       ready,
    output reg  [63:0]                data,
    // Of each lane's entry.
    output reg  [4*5-1:0]             ones,
    output reg  [3:0]                 none,          // ones == 0
    output reg  [3:0]                 just_one,      // ones == 1
    // Of a ZACT header.
    output reg  [$clog2(COLUMNS)-1:0] last_column,   // columns, minus one
    output reg                        no_column,
    output reg                        one_column
);

    localparam COLUMN_W = $clog2(COLUMNS);

    wire [63:0]    early;
    wire           early_valid;
    wire [4*5-1:0] early_ones;
    wire [15:0]    early_count       = early[`ZS_ZACT_COUNT_LSB +: 16];
    wire [15:0]    early_last_column = early_count - 16'd1;

    wire early_ready = !valid || ready;
    wire unused_last = &{1'b0, early_last_column};

    axis_register #(
        .WIDTH(64)
    ) input_register (
        .clk(clk), .rst(rst),
        .s_data(s_axis_tdata), .s_valid(s_axis_tvalid), .s_ready(s_axis_tready),
        .m_data(early), .m_valid(early_valid), .m_ready(early_ready)
    );

    // Fours first, so that synthesis makes a tree.
    function [3:0] ones_of_8;
        input [7:0] bits;
        ones_of_8 = {1'b0, ones_of_4(bits[3:0])} + {1'b0, ones_of_4(bits[7:4])};
    endfunction

    function [2:0] ones_of_4;
        input [3:0] bits;
        ones_of_4 = {&bits, (^bits ? (&bits[1:0] || &bits[3:2]) : |bits && !(&bits)), ^bits};
    endfunction

    genvar i;
    generate
        for (i = 0; i < 4; i = i + 1) begin : g_ones
            assign early_ones[i*5 +: 5] = {1'b0, ones_of_8(early[i*16 +: 8])} + {1'b0, ones_of_8(early[i*16+8 +: 8])};
            always @(posedge clk)
                if (early_ready) begin
                    none[i]     <= early[i*16 +: 16] == 16'd0;
                    just_one[i] <= early_ones[i*5 +: 5] == 5'd1;
                end
        end
    endgenerate

    always @(posedge clk) begin
        if (early_ready) begin
            valid       <= early_valid;
            data        <= early;
            ones        <= early_ones;
            last_column <= early_last_column[COLUMN_W-1:0];
            no_column   <= early_count == 16'd0;
            one_column  <= early_count == 16'd1;
        end
        if (rst)
            valid <= 1'b0;
    end

endmodule

`default_nettype wire
