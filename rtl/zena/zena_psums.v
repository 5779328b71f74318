// zena_psums: the partial sums of four PEs in one memory.
// Purpose: in turn, each PE's finished pixel is added to (or replaces) its partial sum; the fifth turn reads for the
//          drain.  A PE's pixels end at least five cycles apart, so none ever waits.  OWNERS of them have partial sums;
//          the others work for these.
// Licence: MIT.
// Timing: turn 0 to 3: a PE, 4: the drain.  A sum is in the memory five cycles after its turn; drain_data comes three
//         cycles after turn 4.
`default_nettype none

module zena_psums #(
    parameter OWNERS = 4,  // 1, 2, 4
    parameter PSUMS  = 64  // of each
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire [2:0]                 turn,
    input  wire [3:0]                 sum_valid,
    input  wire [4*32-1:0]            sum,
    input  wire [4*$clog2(PSUMS)-1:0] sum_psum,
    input  wire [3:0]                 sum_first,
    input  wire [$clog2(OWNERS)+$clog2(PSUMS)-1:0] drain_addr,   // owner, partial sum
    output wire [31:0]                drain_data
);

    localparam PSUM_W = $clog2(PSUMS);
    localparam ADDR_W = $clog2(OWNERS) + PSUM_W;

    // ---- the turn's PE ---------------------------------------------------------------------------
    reg  [3:0]        waiting;
    wire [3:0]        ready = waiting | sum_valid;
    wire [1:0]        pe    = turn[1:0];
    wire              pick  = !turn[2] && ready[pe];

    always @(posedge clk) begin
        waiting <= ready & ~(pick ? 4'b0001 << pe : 4'b0000);
        if (rst)
            waiting <= 4'b0000;
    end

    // ---- read (cycles 1 to 3), add (4), write (5) --------------------------------------------------
    reg               valid_1, first_1;
    reg  [ADDR_W-1:0] address_1;
    reg  [31:0]       value_1;
    wire              valid_3, first_3;
    wire [ADDR_W-1:0] address_3;
    wire [31:0]       value_3;
    reg               valid_4;
    reg  [ADDR_W-1:0] address_4;
    reg  [31:0]       value_4;

    wire [PSUM_W+1:0] pe_psum = {pe, sum_psum[pe*PSUM_W +: PSUM_W]};   // an owner's number is the low bits of its PEs'
    wire [ADDR_W-1:0] address = pe_psum[ADDR_W-1:0];
    wire unused_pe = &{1'b0, pe_psum};

    always @(posedge clk) begin
        valid_1   <= pick && !rst;
        first_1   <= sum_first[pe];
        address_1 <= turn[2] ? drain_addr : address;
        value_1   <= sum[pe*32 +: 32];
        valid_4   <= valid_3 && !rst;
        address_4 <= address_3;
        value_4   <= (first_3 ? 32'd0 : drain_data) + value_3;
    end

    delay #(
        .WIDTH(2 + ADDR_W + 32), .STAGES(2)
    ) reading (
        .clk(clk), .d({valid_1, first_1, address_1, value_1}), .q({valid_3, first_3, address_3, value_3})
    );

    sdp_ram #(
        .WIDTH(32), .DEPTH(OWNERS * PSUMS)
    ) ram (
        .clk(clk), .we(valid_4), .waddr(address_4), .wdata(value_4), .raddr(address_1), .rdata(drain_data)
    );

endmodule

`default_nettype wire
