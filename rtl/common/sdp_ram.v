// sdp_ram: simple dual-port RAM with one write and one read port, for block RAM.
// Purpose: every on-chip buffer that needs no asynchronous read.
// Licence: MIT.
// Timing: rdata is valid two cycles after raddr (array read, then the RAM's own output register);
//         reading an address in the cycle it is written gives the old word.
`default_nettype none

module sdp_ram #(
    parameter WIDTH = 72,  // bits per word, a multiple of PARTS
    parameter DEPTH = 512, // words, a power of two
    parameter PARTS = 1    // parts of a word that can be written alone; of 9 bits each they are block RAM's own
) (
    input  wire                     clk,
    input  wire [PARTS-1:0]         we,
    input  wire [$clog2(DEPTH)-1:0] waddr,
    input  wire [WIDTH-1:0]         wdata,
    input  wire [$clog2(DEPTH)-1:0] raddr,
    output reg  [WIDTH-1:0]         rdata
);

    localparam PART_W = WIDTH / PARTS;

    (* ram_style = "block" *)
    reg [WIDTH-1:0] memory [0:DEPTH-1];
    reg [WIDTH-1:0] latch;

    integer i;

    always @(posedge clk) begin
        for (i = 0; i < PARTS; i = i + 1)
            if (we[i])
                memory[waddr][i*PART_W +: PART_W] <= wdata[i*PART_W +: PART_W];
        latch <= memory[raddr];
        rdata <= latch;
    end

endmodule

`default_nettype wire
