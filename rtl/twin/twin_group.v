// twin_group: up to eight work groups with their banks of activations.
// Purpose: a bank's word has one part for every work group, written alone and read together: eight of 9 bits are a block
//          RAM of 72 bits with its byte enables.  Broadcast control and the write bus are registered once more here.
// Licence: MIT.
// Timing: counted from the cycle an issued step is registered (cycle 0): bank addresses arrive in cycle 2, selects in 5,
//         weights in 6; `first` and `sums` as in twin_pair.  One step per cycle.  A column is in the banks two cycles
//         after it was on the write port.
`default_nettype none

module twin_group #(
    parameter LANES   = 8,
    parameter WGS     = 8,     // work groups of this group, an even number
    parameter COLUMNS = 512,
    parameter STEPS   = 256
) (
    input  wire                             clk,
    // Column write port: activation b goes to bank b.
    input  wire [WGS-1:0]                   we,
    input  wire [$clog2(COLUMNS)-1:0]       waddr,
    input  wire [2*LANES*9-1:0]             wdata,
    // Column to read in every bank.
    input  wire [2*LANES*$clog2(COLUMNS)-1:0] addr,
    // Operands of every lane.
    input  wire [LANES*2-1:0]               select,
    input  wire [LANES*8-1:0]               weight,
    input  wire                             first,
    output wire [WGS*32-1:0]                sums
);

    localparam BANKS    = 2 * LANES;
    localparam COLUMN_W = $clog2(COLUMNS);

    // ---- this group's copies of what is broadcast (cycles 3, 6, 7) -------------------------------
    wire [WGS-1:0]            we_q;
    wire [COLUMN_W-1:0]       waddr_q;
    wire [BANKS*9-1:0]        wdata_q;
    wire [BANKS*COLUMN_W-1:0] addr_q;

    broadcast_reg #(.WIDTH(WGS))            we_copy    (.clk(clk), .d(we),    .q(we_q));
    broadcast_reg #(.WIDTH(COLUMN_W))       waddr_copy (.clk(clk), .d(waddr), .q(waddr_q));
    broadcast_reg #(.WIDTH(BANKS*9))        wdata_copy (.clk(clk), .d(wdata), .q(wdata_q));
    broadcast_reg #(.WIDTH(BANKS*COLUMN_W)) addr_copy  (.clk(clk), .d(addr),  .q(addr_q));

    // ---- banks (cycles 4 and 5), and a plain register behind them (6) ----------------------------
    reg [WGS*BANKS*9-1:0] acts;

    genvar b, p;
    generate
        for (b = 0; b < BANKS; b = b + 1) begin : g_bank
            wire [WGS*9-1:0] rdata;

            sdp_ram #(
                .WIDTH(WGS * 9),
                .DEPTH(COLUMNS),
                .PARTS(WGS)
            ) ram (
                .clk  (clk),
                .we   (we_q),
                .waddr(waddr_q),
                .wdata({WGS{wdata_q[b*9 +: 9]}}),
                .raddr(addr_q[b*COLUMN_W +: COLUMN_W]),
                .rdata(rdata)
            );

            for (p = 0; p < WGS; p = p + 1) begin : g_plain
                always @(posedge clk)
                    acts[(p*BANKS+b)*9 +: 9] <= rdata[p*9 +: 9];
            end
        end

        // Every pair has its copies: a select reaches 18 multiplexers, and all pairs together are far apart.
        for (p = 0; p < WGS; p = p + 2) begin : g_pair
            wire [LANES*2-1:0] select_q;
            wire [LANES*8-1:0] weight_q;

            broadcast_reg #(.WIDTH(LANES*2)) select_copy (.clk(clk), .d(select), .q(select_q));
            broadcast_reg #(.WIDTH(LANES*8)) weight_copy (.clk(clk), .d(weight), .q(weight_q));

            twin_pair #(
                .LANES(LANES), .STEPS(STEPS)
            ) pair (
                .clk(clk),
                .acts_p(acts[p*BANKS*9 +: BANKS*9]), .acts_q(acts[(p+1)*BANKS*9 +: BANKS*9]),
                .select(select_q), .weight(weight_q), .first(first),
                .sum_p(sums[p*32 +: 32]), .sum_q(sums[(p+1)*32 +: 32])
            );
        end
    endgenerate

endmodule

`default_nettype wire
