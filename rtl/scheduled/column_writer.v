// column_writer: turns the beats of ACT packets into columns, and notes which are zero.
// Purpose: beats become ACTS activations each, written to one work group after the other; FLAGS zero flags per address
//          say in which columns (1) or banks (ACTS) some work group in use holds an activation that is not zero.
// Licence: MIT.
// Timing: one beat per cycle; a column is written four cycles after its last beat, the flags with the last work group's.
// Formats: docs/streams.md, packet ACT.
`default_nettype none

module column_writer #(
    parameter ACTS    = 8,      // activations of a column
    parameter WGS     = 2,
    parameter ACT_W   = 9,
    parameter COLUMNS = 512,
    parameter FLAGS   = 1       // 1: a flag for the whole column; ACTS: one for every activation
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       valid,
    input  wire [63:0]                data,
    input  wire                       format,       // 0: bytes, less zero_point; 1: 16 bits
    input  wire [7:0]                 zero_point,
    input  wire [7:0]                 beat,         // of the column
    input  wire                       column_end,   // the column's last beat
    input  wire [7:0]                 wg,           // work group it is for
    input  wire                       wg_end,       // the last one in use
    input  wire [$clog2(COLUMNS)-1:0] address,
    // Column write port, shared by all work groups but for the enables.
    output reg  [WGS-1:0]             column_we,
    output reg  [$clog2(COLUMNS)-1:0] column_addr,
    output reg  [ACTS*ACT_W-1:0]      column_data,
    output reg                        flag_we,
    output reg  [FLAGS-1:0]           flag          // 1: not zero
);

    localparam COLUMN_W = $clog2(COLUMNS);

    // a: beat; c: column; z: column and its zero test.
    reg [63:0]           a_data;
    reg [7:0]            a_beat, a_wg, a_zero_point;
    reg                  a_valid, a_format, a_end, a_first_wg, a_last_wg;
    reg [COLUMN_W-1:0]   a_address;

    reg [ACTS*ACT_W-1:0] c_column;
    reg                  c_valid, c_first_wg, c_last_wg;
    reg [7:0]            c_wg;
    reg [COLUMN_W-1:0]   c_address;

    reg [ACTS*ACT_W-1:0] z_column;
    reg                  z_valid, z_first_wg, z_last_wg;
    reg [FLAGS-1:0]      z_some;
    reg [7:0]            z_wg;
    reg [COLUMN_W-1:0]   z_address;
    reg [FLAGS-1:0]      some_before;   // what the work groups before this one had

    wire [FLAGS-1:0] some = z_some | (some_before & {FLAGS{~z_first_wg}});

    genvar i;
    generate
        for (i = 0; i < ACTS; i = i + 1) begin : g_act
            localparam [7:0] BEAT_U8  = i / 8;
            localparam [7:0] BEAT_S16 = i / 4;
            wire [7:0]  byte_in = a_data[(i%8)*8 +: 8];
            wire [15:0] half_in = a_data[(i%4)*16 +: 16];
            wire [8:0]  shifted = {1'b0, byte_in} - {1'b0, a_zero_point};

            if (ACT_W < 16) begin : g_narrow
                wire unused_high = &{1'b0, half_in[15:ACT_W]};
            end

            always @(posedge clk)
                if (a_valid && a_format && a_beat == BEAT_S16)
                    c_column[i*ACT_W +: ACT_W] <= half_in[ACT_W-1:0];
                else if (a_valid && !a_format && a_beat == BEAT_U8)
                    c_column[i*ACT_W +: ACT_W] <= {{(ACT_W-8){shifted[8]}}, shifted[7:0]};
        end

        for (i = 0; i < FLAGS; i = i + 1) begin : g_flag
            localparam BITS = ACTS / FLAGS * ACT_W;
            always @(posedge clk)
                z_some[i] <= |c_column[i*BITS +: BITS];
        end

        for (i = 0; i < WGS; i = i + 1) begin : g_we
            localparam [7:0] INDEX = i;
            always @(posedge clk)
                column_we[i] <= z_valid && z_wg == INDEX && !rst;
        end
    endgenerate

    always @(posedge clk) begin
        a_data       <= data;
        a_valid      <= valid && !rst;
        a_end        <= column_end;
        a_beat       <= beat;
        a_format     <= format;
        a_zero_point <= zero_point;
        a_wg         <= wg;
        a_first_wg   <= wg == 8'd0;
        a_last_wg    <= wg_end;
        a_address    <= address;

        c_valid      <= a_valid && a_end && !rst;
        c_wg         <= a_wg;
        c_first_wg   <= a_first_wg;
        c_last_wg    <= a_last_wg;
        c_address    <= a_address;

        z_valid      <= c_valid && !rst;
        z_column     <= c_column;
        z_wg         <= c_wg;
        z_first_wg   <= c_first_wg;
        z_last_wg    <= c_last_wg;
        z_address    <= c_address;

        column_addr  <= z_address;
        column_data  <= z_column;
        flag_we      <= z_valid && z_last_wg && !rst;
        flag         <= some;
        if (z_valid)
            some_before <= some;
    end

endmodule

`default_nettype wire
