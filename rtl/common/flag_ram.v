// flag_ram: one bit per address, written on one port, read without a clock on another.
// Purpose: the zero flags of activation columns, looked up by the online scheduler.
// Licence: MIT.
// Timing: q follows raddr in the same cycle (distributed RAM); register it outside.
`default_nettype none

module flag_ram #(
    parameter DEPTH = 512  // flags, a power of two
) (
    input  wire                     clk,
    input  wire                     we,
    input  wire [$clog2(DEPTH)-1:0] waddr,
    input  wire                     wdata,
    input  wire [$clog2(DEPTH)-1:0] raddr,
    output wire                     q
);

    (* ram_style = "distributed" *)
    reg memory [0:DEPTH-1];

    always @(posedge clk)
        if (we)
            memory[waddr] <= wdata;

    assign q = memory[raddr];

endmodule

`default_nettype wire
