// axi_read_memory: the read half of the simulated board's memory (devices/axi_memory.h) for benches of single modules.
// It answers as that does, cycle by cycle (latency, words per 1024 cycles, stalls of 256, sixteen bursts ahead), checks the
// rules of the bus, and tells what it still owes.  Words are 64 bits from BASE; the page after them answers SLVERR,
// everything else DECERR.
`timescale 1ns/1ns
`default_nettype none

module axi_read_memory #(
    parameter WORDS = 32768,
    parameter [31:0] BASE = 32'h1000_0000
) (
    input  wire        clk,
    input  wire [31:0] latency,       // cycles, 1 or more
    input  wire [31:0] rate,
    input  wire [31:0] stall,
    input  wire        restart,       // the random numbers begin anew
    input  wire [31:0] seed,
    input  wire [31:0] araddr,
    input  wire [7:0]  arlen,
    input  wire [2:0]  arsize,
    input  wire [1:0]  arburst,
    input  wire        arvalid,
    output wire        arready,
    output wire [63:0] rdata,
    output wire [1:0]  rresp,
    output wire        rvalid,
    input  wire        rready,
    output wire        owes           // an address is offered or data are outstanding
);

    reg [63:0] words [0:WORDS-1];

    integer    errors = 0, bursts = 0, beats = 0;
    reg [31:0] now = 0, credit = 0, random = 1;
    reg [31:0] q_addr [0:15], q_ready [0:15];
    reg [7:0]  q_left [0:15];
    reg [4:0]  size = 0;
    reg [3:0]  head = 0;
    reg        held = 0, waits = 0;
    reg [44:0] was = 0;

    function [31:0] xorshift(input [31:0] from);
        reg [31:0] x;
        begin
            x = from ^ (from << 13);
            x = x ^ (x >> 17);
            xorshift = x ^ (x << 5);
        end
    endfunction

    wire        slot = credit + rate >= 1024;
    wire [31:0] offset = q_addr[head] - BASE;
    wire        mapped = offset < WORDS * 8;
    wire [44:0] is = {araddr, arlen, arsize, arburst};

    assign rvalid = held || (size != 0 && q_ready[head] <= now && slot && random[7:0] >= stall);
    assign arready = size < 16 && random[15:8] >= stall;
    assign rdata = mapped ? words[offset[31:3]] : 64'd0;
    assign rresp = mapped ? 2'd0 : offset < WORDS * 8 + 4096 ? 2'd2 : 2'd3;
    assign owes = size != 0 || arvalid;

    task broken(input [8*40-1:0] rule);
        begin
            errors = errors + 1;
            $display("%0t: %0s: address %h, %0d beats", $time, rule, araddr, arlen + 1);
        end
    endtask

    wire pop = rvalid && rready, last = q_left[head] == 0;
    wire push = arvalid === 1'b1 && arready;   // undefined before reset
    wire [3:0] tail = head + size[3:0];

    always @(posedge clk) begin
        now <= now + 1;
        credit <= restart ? 0 : slot ? credit + rate - 1024 : credit + rate;
        random <= restart ? seed : xorshift(random);
        held <= rvalid && !rready;
        if (pop) begin
            beats = beats + 1;
            q_addr[head] <= q_addr[head] + 8;
            q_left[head] <= q_left[head] - 1;
            if (last)
                head <= head + 1;
        end
        size <= size + push - (pop && last);
        if (push) begin
            bursts = bursts + 1;
            q_addr[tail] <= araddr;
            q_left[tail] <= arlen;
            q_ready[tail] <= now + latency;
            if (arburst != 2'b01 || arsize != 3 || araddr[2:0] != 0) broken("not an INCR burst of whole words");
            if (arlen > 15) broken("longer than 16 beats");
            if ({1'b0, araddr[11:0]} + 8 * (arlen + 1) > 4096) broken("across 4 KiB");
        end
        if (waits && (arvalid !== 1'b1 || is != was)) broken("an address changed while it waited");
        if ((now > 3 && arvalid === 1'bx) || (arvalid && ^is === 1'bx)) broken("an undefined address");
        waits <= arvalid === 1'b1 && !arready;
        was <= is;
    end

endmodule

`default_nettype wire
