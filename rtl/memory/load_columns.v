// load_columns: puts pixels into columns, less the zero point, and keeps their zero flags.
// Purpose: a column holds a pixel's 16 channels, or with `pair` 8 channels of two neighbouring pixels: channel j of a half
//          in banks 2j (even pixel) and 2j + 1 (odd pixel).  Work groups come one after the other, so the flags of a
//          column wait in a RAM for the last one's.
// Licence: MIT.
// Timing: one beat per cycle; a column is written four cycles after its last beat.
//         The same column comes again two cycles later at the earliest, which is when its flags can be read.
`default_nettype none

module load_columns #(
    parameter WGS    = 2,
    parameter ADDR_W = 10           // bits of a column's address, or of a word's in the output buffer
) (
    input  wire              clk,
    input  wire              rst,
    input  wire [17+2*ADDR_W:0] load,     // what stays the same for a whole LOAD, as of load_walk
    input  wire              valid,
    input  wire [63:0]       data,
    input  wire              zero,
    input  wire              half,
    input  wire              odd,
    input  wire [ADDR_W-1:0] column,
    input  wire [7:0]        wg,
    input  wire              first_wg,
    input  wire              last_wg,
    // Columns of the engine, or words of the output buffer.
    output reg  [WGS-1:0]    column_we,
    output reg               buffer_we,
    output reg  [7:0]        write_wg,
    output reg  [ADDR_W-1:0] write_addr,
    output reg  [143:0]      write_data,    // 16 values of 9 bits
    output reg               flag_we,       // with the last work group's column
    output reg  [15:0]       flag           // 1: some work group's value is not zero
);

    wire        buffer     = load[1];
    wire        pair       = load[2];
    wire [8:0]  zero_point = load[17:9];
    wire [ADDR_W-1:0] half_step = load[18+ADDR_W +: ADDR_W];
    wire        unused     = &{1'b0, load};

    // ---- less the zero point; the two beats before stay (p) ---------------------------------------
    reg  [71:0] p0, p1, p2;
    reg         p_valid, p_half, p_first_wg, p_last_wg;
    reg  [ADDR_W-1:0] p_column;
    reg  [7:0]  p_wg;

    // ---- column (q), and its zero test (r) ----------------------------------------------------------
    reg  [143:0]      q_data, r_data;
    reg               q_valid, q_first_wg, q_last_wg, r_valid, r_first_wg, r_last_wg;
    reg  [ADDR_W-1:0] q_addr, r_addr;
    reg  [7:0]        q_wg, r_wg;
    reg  [15:0]       r_some, r_before;
    wire [15:0]       some = r_some | (r_before & {16{!r_first_wg}});

    (* ram_style = "block" *)
    reg  [15:0]       flags [0:(1<<ADDR_W)-1];

    genvar i;
    generate
        for (i = 0; i < 8; i = i + 1) begin : g_byte
            always @(posedge clk)
                if (valid)
                    p0[9*i +: 9] <= zero ? 9'd0 : {1'b0, data[8*i +: 8]} - zero_point;
        end

        for (i = 0; i < 16; i = i + 1) begin : g_bank
            localparam J = i % 8, PAIRED = i / 2;
            wire [8:0] plain = (i < 8) ? p1[9*J +: 9] : p0[9*J +: 9];
            wire [8:0] paired = (i % 2 == 0) ? p2[9*PAIRED +: 9] : p0[9*PAIRED +: 9];
            always @(posedge clk) begin
                q_data[9*i +: 9] <= pair ? paired : plain;
                r_some[i]        <= |q_data[9*i +: 9];
            end
        end

        for (i = 0; i < WGS; i = i + 1) begin : g_we
            localparam [7:0] INDEX = i;
            always @(posedge clk)
                column_we[i] <= r_valid && !buffer && r_wg == INDEX && !rst;
        end
    endgenerate

    always @(posedge clk) begin
        if (valid) begin
            p1 <= p0;
            p2 <= p1;
        end
        p_valid    <= valid && (pair ? odd : half) && !rst;
        p_half     <= half;
        p_column   <= column;
        p_wg       <= wg;
        p_first_wg <= first_wg;
        p_last_wg  <= last_wg;

        q_valid    <= p_valid && !rst;
        q_addr     <= p_column + ((pair && p_half) ? half_step : {ADDR_W{1'b0}});
        q_wg       <= p_wg;
        q_first_wg <= p_first_wg;
        q_last_wg  <= p_last_wg;

        r_valid    <= q_valid && !rst;
        r_addr     <= q_addr;
        r_data     <= q_data;
        r_wg       <= q_wg;
        r_first_wg <= q_first_wg;
        r_last_wg  <= q_last_wg;
        r_before   <= flags[q_addr];
        if (r_valid)
            flags[r_addr] <= some;

        buffer_we  <= r_valid && buffer && !rst;
        write_wg   <= r_wg;
        write_addr <= r_addr;
        write_data <= r_data;
        flag_we    <= r_valid && r_last_wg && !buffer && !rst;
        flag       <= some;
    end

endmodule

`default_nettype wire
