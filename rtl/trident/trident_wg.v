// trident_wg: one work group: activation banks, window, activation selectors, MACs, adder trees, accumulators.
// Purpose: computes FILTERS sums for one spatial share of the input map; all work groups get the same control.
// Licence: MIT.
// Timing: counted from the cycle an issued step is registered (cycle 0): rows arrive in cycle 1, bank_of in 4,
//         operands in 5, `first` in 10 + log2(LANES); the sum of the step is in `sums` in cycle 12 + log2(LANES).
//         One step per cycle.
`default_nettype none

`include "zeroskip_defs.vh"

module trident_wg #(
    parameter LANES   = 8,
    parameter FILTERS = 1,
    parameter MUX     = 8,
    parameter ACT_W   = 9,
    parameter COLUMNS = 512
) (
    input  wire                                       clk,
    // Column write port.
    input  wire                                       we,
    input  wire [$clog2(COLUMNS)-1:0]                 waddr,
    input  wire [LANES*ACT_W-1:0]                     wdata,
    // Row to read in every bank, and the bank that holds each window slot.
    input  wire [(1<<$clog2(MUX/4+1))*($clog2(COLUMNS)-$clog2(MUX/4+1))-1:0] rows,
    input  wire [(MUX/4+1)*$clog2(MUX/4+1)-1:0]       bank_of,
    // Operands of every lane of every filter.
    input  wire [FILTERS*LANES*18-1:0]                factor,
    input  wire [FILTERS*LANES-1:0]                   pair,
    input  wire [FILTERS*LANES*$clog2(MUX)-1:0]       select0,
    input  wire [FILTERS*LANES*$clog2(MUX)-1:0]       select1,
    input  wire                                       first,
    output wire [FILTERS*32-1:0]                      sums
);

    localparam WINDOW   = MUX / 4 + 1;
    localparam BANK_W   = $clog2(WINDOW);
    localparam BANKS    = 1 << BANK_W;
    localparam ROW_W    = $clog2(COLUMNS) - BANK_W;
    localparam SELECT_W = $clog2(MUX);
    localparam COLUMN_B = LANES * ACT_W;

    // ---- this work group's copies of the broadcast control (cycle 2, 5, 6) -----------------------
    wire [BANKS*ROW_W-1:0]            rows_q;
    wire [WINDOW*BANK_W-1:0]          bank_of_q;
    wire [FILTERS*LANES*18-1:0]       factor_q;
    wire [FILTERS*LANES-1:0]          pair_q;
    wire [FILTERS*LANES*SELECT_W-1:0] select0_q, select1_q;
    wire                              first_q;
    reg  [FILTERS*LANES*18-1:0]       factor_qq;
    reg  [FILTERS*LANES-1:0]          pair_qq;

    broadcast_reg #(.WIDTH(BANKS*ROW_W))            rows_copy    (.clk(clk), .d(rows),    .q(rows_q));
    broadcast_reg #(.WIDTH(WINDOW*BANK_W))          bank_of_copy (.clk(clk), .d(bank_of), .q(bank_of_q));
    broadcast_reg #(.WIDTH(FILTERS*LANES*18))       factor_copy  (.clk(clk), .d(factor),  .q(factor_q));
    broadcast_reg #(.WIDTH(FILTERS*LANES))          pair_copy    (.clk(clk), .d(pair),    .q(pair_q));
    broadcast_reg #(.WIDTH(FILTERS*LANES*SELECT_W)) select0_copy (.clk(clk), .d(select0), .q(select0_q));
    broadcast_reg #(.WIDTH(FILTERS*LANES*SELECT_W)) select1_copy (.clk(clk), .d(select1), .q(select1_q));
    broadcast_reg #(.WIDTH(1))                      first_copy   (.clk(clk), .d(first),   .q(first_q));

    always @(posedge clk) begin
        factor_qq <= factor_q;
        pair_qq   <= pair_q;
    end

    // ---- banks: a column's bank is its address modulo BANKS (cycles 3 to 5) ----------------------
    reg [COLUMN_B-1:0] bank_q [0:BANKS-1];

    genvar b, j, l, m, k;
    generate
        for (b = 0; b < BANKS; b = b + 1) begin : g_bank
            wire [COLUMN_B-1:0] rdata;
            wire [BANK_W-1:0]   wbank = waddr[BANK_W-1:0];

            sdp_ram #(
                .WIDTH(COLUMN_B),
                .DEPTH(COLUMNS / BANKS)
            ) ram (
                .clk  (clk),
                .we   (we && {{(32-BANK_W){1'b0}}, wbank} == b),
                .waddr(waddr[BANK_W +: ROW_W]),
                .wdata(wdata),
                .raddr(rows_q[b*ROW_W +: ROW_W]),
                .rdata(rdata)
            );

            always @(posedge clk)
                bank_q[b] <= rdata;
        end
    endgenerate

    // ---- window: rotate the banks into column order (cycle 6) ------------------------------------
    reg [COLUMN_B-1:0] window [0:WINDOW-1];

    generate
        for (j = 0; j < WINDOW; j = j + 1) begin : g_window
            always @(posedge clk)
                window[j] <= bank_q[bank_of_q[j*BANK_W +: BANK_W]];
        end
    endgenerate

    // ---- per filter: selectors (cycle 7), then MACs, adder tree, accumulator ---------------------
    generate
        for (m = 0; m < FILTERS; m = m + 1) begin : g_filter
            reg [COLUMN_B-1:0] x0, x1;

            for (l = 0; l < LANES; l = l + 1) begin : g_lane
                localparam AT = m * LANES + l;
                wire [ACT_W-1:0] choices [0:(1<<SELECT_W)-1];

                for (k = 0; k < (1 << SELECT_W); k = k + 1) begin : g_choice
                    if (k < MUX) begin : g_candidate
                        // Candidate k: `ahead` columns on, `aside` lanes away, as in the generated table.
                        localparam [63:0]  AHEADS = `ZS_AHEAD(MUX);
                        localparam [63:0]  ASIDES = `ZS_ASIDE(MUX);
                        localparam [BANK_W-1:0] AHEAD = AHEADS[k*4 +: BANK_W];
                        localparam [3:0] ASIDE = ASIDES[k*4 +: 4];
                        assign choices[k] = window[AHEAD][((l + {28'd0, ASIDE}) % LANES)*ACT_W +: ACT_W];
                    end else begin : g_unused
                        assign choices[k] = {ACT_W{1'b0}};
                    end
                end

                always @(posedge clk) begin
                    x0[l*ACT_W +: ACT_W] <= choices[select0_q[AT*SELECT_W +: SELECT_W]];
                    x1[l*ACT_W +: ACT_W] <= choices[select1_q[AT*SELECT_W +: SELECT_W]];
                end
            end

            mac_sum #(
                .LANES(LANES), .ACT_W(ACT_W)
            ) macs (
                .clk(clk), .x0(x0), .x1(x1),
                .factor(factor_qq[m*LANES*18 +: LANES*18]), .pair(pair_qq[m*LANES +: LANES]),
                .first(first_q), .sum(sums[m*32 +: 32])
            );
        end
    endgenerate

endmodule

`default_nettype wire
