// stream_crc: the checksum of the packets on a stream, a beat per cycle.
// Purpose: CRC-16/CCITT over a packet's bytes, the lowest of a beat first, each from its highest bit on, with the
//          checksum's own field zero; compared with that field, the highest 16 bits of the packet's first beat.
// Licence: MIT.
// Timing: `good` or `bad` comes one cycle after the packet's last beat, for one cycle, from registers through three
//         levels of LUTs.  A beat's own part, some 35 bits of it per bit, stands in registers between; the sum of all
//         parts goes in a circle of two levels.  Packets may follow each other without a gap.
// Formats: docs/streams.md.
`default_nettype none

`include "zeroskip_defs.vh"

module stream_crc (
    input  wire        clk,
    input  wire        rst,
    input  wire        valid,    // a beat of a packet
    input  wire        first,    // with valid: its first
    input  wire        last,     // with valid: its last
    input  wire [63:0] data,
    output wire        good,
    output wire        bad
);

    localparam FIELD = `ZS_ACT_CHECKSUM_LSB;    // of every kind

    // The checksum of a beat is linear: each of its bits is the parity of some bits of the beat.
    function [15:0] of_beat;
        input [63:0] bits;
        integer i;
        begin
            of_beat = 16'd0;
            for (i = 0; i < 64; i = i + 1)
                of_beat = {of_beat[14:0], 1'b0}
                        ^ ((of_beat[15] ^ bits[8*(i/8) + 7 - i%8]) ? `ZS_CRC_POLYNOMIAL : 16'h0000);
        end
    endfunction

    // Bits of a beat that bit `index` of its checksum depends on.
    function [63:0] mask_of;
        input [3:0]  index;
        integer i;
        reg [15:0] alone;
        begin
            for (i = 0; i < 64; i = i + 1) begin
                alone      = of_beat(64'd1 << i);
                mask_of[i] = alone[index];
            end
        end
    endfunction

    wire [63:0] counted = {first ? 16'd0 : data[63:48], data[47:0]};

    reg         part_valid, part_last;
    reg  [15:0] part;        // of the beat before
    reg  [15:0] sum;         // of the packet until then, as if it were the first two bytes of what follows
    reg  [15:0] expected;
    wire [15:0] total;

    genvar i;
    generate
        for (i = 0; i < 16; i = i + 1) begin : g_bit
            localparam [3:0]  BIT  = i;
            localparam [63:0] MASK = mask_of(BIT);
            // Of the beat's first two bytes, the first is the sum's upper one.
            wire [15:0] kept = {sum[7:0], sum[15:8]} & MASK[15:0];
            assign total[i] = part[i] ^ ^kept;
            always @(posedge clk)
                part[i] <= ^(counted & MASK);
        end
    endgenerate

    assign good = part_last && total == expected;
    assign bad  = part_last && total != expected;

    always @(posedge clk) begin
        part_valid <= valid;
        part_last  <= valid && last;
        if (valid && first)
            expected <= data[FIELD +: 16];
        if (part_last)
            sum <= 16'd0;
        else if (part_valid)
            sum <= total;
        if (rst) begin
            part_valid <= 1'b0;
            part_last  <= 1'b0;
            sum        <= 16'd0;
        end
    end

`ifndef SYNTHESIS
    reg open;     // a packet has begun and not ended
    always @(posedge clk) begin
        if (valid && !rst && first == open) begin
            $display("%m: %0s", open ? "a packet begins within another" : "a beat before the first of a packet");
            $finish;
        end
        if (valid)
            open <= !last;
        if (rst)
            open <= 1'b0;
    end
`endif

endmodule

`default_nettype wire
