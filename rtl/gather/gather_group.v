// gather_group: up to four work groups with their banks of activations.
// Purpose: a bank's word has one part for every work group, written alone and read together: at 9 bits that is a block
//          RAM of 36 bits with its byte enables.  Broadcast control and the write bus are registered once more here.
// Licence: MIT.
// Timing: counted from the cycle an issued step is registered (cycle 0): bank addresses arrive in cycle 2, selects in
//         5, factors in 6; `first`, `capture`, `mute` and `sums` as in gather_wg.  One step per cycle.  A column is in the banks two cycles after it was on the
//         write port.
`default_nettype none

module gather_group #(
    parameter LANES   = 8,
    parameter WGS     = 4,     // work groups of this group
    parameter ACT_W   = 9,
    parameter COLUMNS = 1024,
    parameter STEPS   = 256
) (
    input  wire                             clk,
    // Column write port: activation b goes to bank b.
    input  wire [WGS-1:0]                   we,
    input  wire [$clog2(COLUMNS)-1:0]       waddr,
    input  wire [2*LANES*ACT_W-1:0]         wdata,
    // Column to read in every bank.
    input  wire [2*LANES*$clog2(COLUMNS)-1:0] addr,
    // Operands of every lane.
    input  wire [LANES-1:0]                 select0,
    input  wire [LANES*2-1:0]               select1,
    input  wire [LANES*18-1:0]              factor,
    input  wire [LANES-1:0]                 pair,
    input  wire                             first,
    input  wire                             capture,
    input  wire [LANES-1:0]                 mute,
    output wire [WGS*32-1:0]                sums
);

    localparam BANKS    = 2 * LANES;
    localparam COLUMN_W = $clog2(COLUMNS);

    // ---- this group's copies of what is broadcast (cycle 3, 6, 7) --------------------------------
    wire [WGS-1:0]            we_q;
    wire [COLUMN_W-1:0]       waddr_q;
    wire [BANKS*ACT_W-1:0]    wdata_q;
    wire [BANKS*COLUMN_W-1:0] addr_q;
    wire [LANES-1:0]          select0_q, pair_q;
    wire [LANES*2-1:0]        select1_q;
    wire [LANES*18-1:0]       factor_q;

    broadcast_reg #(.WIDTH(WGS))            we_copy      (.clk(clk), .d(we),      .q(we_q));
    broadcast_reg #(.WIDTH(COLUMN_W))       waddr_copy   (.clk(clk), .d(waddr),   .q(waddr_q));
    broadcast_reg #(.WIDTH(BANKS*ACT_W))    wdata_copy   (.clk(clk), .d(wdata),   .q(wdata_q));
    broadcast_reg #(.WIDTH(BANKS*COLUMN_W)) addr_copy    (.clk(clk), .d(addr),    .q(addr_q));
    broadcast_reg #(.WIDTH(LANES))          select0_copy (.clk(clk), .d(select0), .q(select0_q));
    broadcast_reg #(.WIDTH(LANES*2))        select1_copy (.clk(clk), .d(select1), .q(select1_q));
    broadcast_reg #(.WIDTH(LANES*18))       factor_copy  (.clk(clk), .d(factor),  .q(factor_q));
    broadcast_reg #(.WIDTH(LANES))          pair_copy    (.clk(clk), .d(pair),    .q(pair_q));

    // ---- banks (cycles 4 and 5), and a plain register behind them (6) ----------------------------
    reg [WGS*BANKS*ACT_W-1:0] acts;

    genvar b, p;
    generate
        for (b = 0; b < BANKS; b = b + 1) begin : g_bank
            wire [WGS*ACT_W-1:0] rdata;

            sdp_ram #(
                .WIDTH(WGS * ACT_W),
                .DEPTH(COLUMNS),
                .PARTS(WGS)
            ) ram (
                .clk  (clk),
                .we   (we_q),
                .waddr(waddr_q),
                .wdata({WGS{wdata_q[b*ACT_W +: ACT_W]}}),
                .raddr(addr_q[b*COLUMN_W +: COLUMN_W]),
                .rdata(rdata)
            );

            for (p = 0; p < WGS; p = p + 1) begin : g_plain
                always @(posedge clk)
                    acts[(p*BANKS+b)*ACT_W +: ACT_W] <= rdata[p*ACT_W +: ACT_W];
            end
        end

        for (p = 0; p < WGS; p = p + 1) begin : g_wg
            gather_wg #(
                .LANES(LANES), .ACT_W(ACT_W), .STEPS(STEPS)
            ) wg (
                .clk(clk),
                .acts(acts[p*BANKS*ACT_W +: BANKS*ACT_W]),
                .select0(select0_q), .select1(select1_q), .factor(factor_q), .pair(pair_q),
                .first(first), .capture(capture), .mute(mute),
                .sum(sums[p*32 +: 32])
            );
        end
    endgenerate

endmodule

`default_nettype wire
