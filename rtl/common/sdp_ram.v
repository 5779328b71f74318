// sdp_ram: simple dual-port RAM with one write and one read port, for block RAM.
// Purpose: every on-chip buffer that needs no asynchronous read.
// Licence: MIT.
// Timing: rdata is valid two cycles after raddr (array read, then the RAM's own output register);
//         reading an address in the cycle it is written gives the old word.
`default_nettype none

module sdp_ram #(
    parameter WIDTH = 72,  // bits per word
    parameter DEPTH = 512  // words, a power of two
) (
    input  wire                     clk,
    input  wire                     we,
    input  wire [$clog2(DEPTH)-1:0] waddr,
    input  wire [WIDTH-1:0]         wdata,
    input  wire [$clog2(DEPTH)-1:0] raddr,
    output reg  [WIDTH-1:0]         rdata
);

    (* ram_style = "block" *)
    reg [WIDTH-1:0] memory [0:DEPTH-1];
    reg [WIDTH-1:0] latch;

    always @(posedge clk) begin
        if (we)
            memory[waddr] <= wdata;
        latch <= memory[raddr];
        rdata <= latch;
    end

endmodule

`default_nettype wire
