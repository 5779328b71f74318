// flag_ram: one bit per address, written on one port, read without a clock on another.
// Purpose: the zero flags of activation columns, looked up by the online scheduler.  In blocks of 128, the largest LUT
//          RAM that synthesis makes of one bit with two ports.
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

    localparam BLOCK   = (DEPTH < 128) ? DEPTH : 128;
    localparam BLOCKS  = DEPTH / BLOCK;
    localparam BLOCK_W = $clog2(BLOCK);

    wire [BLOCKS-1:0] found;

    genvar b;
    generate
        for (b = 0; b < BLOCKS; b = b + 1) begin : g_block
            wire mine;

            (* ram_style = "distributed" *)
            reg memory [0:BLOCK-1];

            always @(posedge clk)
                if (we && mine)
                    memory[waddr[BLOCK_W-1:0]] <= wdata;

            assign found[b] = memory[raddr[BLOCK_W-1:0]];

            if (BLOCKS == 1) begin : g_one
                assign mine = 1'b1;
            end else begin : g_several
                assign mine = waddr[$clog2(DEPTH)-1:BLOCK_W] == b;
            end
        end

        if (BLOCKS == 1) begin : g_one
            assign q = found;
        end else begin : g_several
            assign q = found[raddr[$clog2(DEPTH)-1:BLOCK_W]];
        end
    endgenerate

endmodule

`default_nettype wire
