// Behaviour of the 7-series block RAMs as far as Yosys uses them (UG473): simple dual port at full width, or one port
// that writes and one that reads; byte write enables; read-first; optional output registers.  Contents begin as zero.
`default_nettype none

// Contents as words of 9 bits (8 and parity), so that every width is a whole number of bits of it.
module ramb #(
    parameter BITS = 15,                 // log2 of the data bits
    parameter RAM_MODE = "TDP",
    parameter READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0,
    parameter DOA_REG = 0, DOB_REG = 0
) (
    input  wire        clka, clkb, ena, enb, regcea, regceb,
    input  wire [7:0]  wea, web,         // of each byte of the port, with its parity
    input  wire [BITS-1:0] addra, addrb,
    input  wire [71:0] dia, dib,         // data low, parity from bit 64 on
    output wire [71:0] doa, dob
);
    reg [7:0] data [0:(1 << (BITS - 3)) - 1];
    reg       parity [0:(1 << (BITS - 3)) - 1];
    integer i;
    initial begin
        for (i = 0; i < (1 << (BITS - 3)); i = i + 1) begin
            data[i] = 0;
            parity[i] = 0;
        end
        if (RAM_MODE != "SDP" && (READ_WIDTH_A > 36 || WRITE_WIDTH_B > 36)) $display("ramb: width not known");
    end

    function integer bits_of(input integer width);   // data bits of a port
        bits_of = width >= 9 ? width / 9 * 8 : width;
    endfunction

    function [71:0] fetch(input integer width, input [BITS-1:0] addr);
        integer n, base;
        begin
            fetch = 0;
            base = addr / bits_of(width) * bits_of(width);
            if (width >= 9)
                for (n = 0; n < width / 9; n = n + 1) begin
                    fetch[8*n +: 8] = data[base / 8 + n];
                    fetch[64 + n] = parity[base / 8 + n];
                end
            else
                for (n = 0; n < width; n = n + 1)
                    fetch[n] = data[(base + n) / 8][(base + n) % 8];
        end
    endfunction

    task store(input integer width, input [BITS-1:0] addr, input [71:0] value, input [7:0] enables);
        integer n, base;
        begin
            base = addr / bits_of(width) * bits_of(width);
            if (width >= 9) begin
                for (n = 0; n < width / 9; n = n + 1)
                    if (enables[n]) begin
                        data[base / 8 + n] = value[8*n +: 8];
                        parity[base / 8 + n] = value[64 + n];
                    end
            end else if (enables[0])
                for (n = 0; n < width; n = n + 1)
                    data[(base + n) / 8][(base + n) % 8] = value[n];
        end
    endtask

    reg  [71:0] latcha = 0, latchb = 0, outa = 0, outb = 0, newa, newb;
    reg  [BITS-1:0] ata, atb;
    reg  [7:0]  bytesa, bytesb;

    // Reads see what was there before the clock; the writes come after them.
    always @(posedge clka) begin
        if (ena && READ_WIDTH_A > 0) latcha <= fetch(READ_WIDTH_A, addra);
        if (regcea) outa <= latcha;
        if (ena && wea != 0 && WRITE_WIDTH_A > 0) begin
            ata = addra;
            newa = dia;
            bytesa = wea;
            #1 store(WRITE_WIDTH_A, ata, newa, bytesa);
        end
    end
    always @(posedge clkb) begin
        if (enb && READ_WIDTH_B > 0) latchb <= fetch(READ_WIDTH_B, addrb);
        if (regceb) outb <= latchb;
        if (enb && web != 0 && WRITE_WIDTH_B > 0) begin
            atb = addrb;
            newb = dib;
            bytesb = web;
            #1 store(WRITE_WIDTH_B, atb, newb, bytesb);
        end
    end
    assign doa = DOA_REG ? outa : latcha;
    assign dob = DOB_REG ? outb : latchb;
endmodule

module RAMB18E1 #(
    parameter DOA_REG = 0, DOB_REG = 0, RAM_MODE = "TDP", WRITE_MODE_A = "", WRITE_MODE_B = "",
    parameter READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0,
    parameter SRVAL_A = 0, SRVAL_B = 0, INIT_A = 0, INIT_B = 0, RAM_EXTENSION_A = "NONE", RAM_EXTENSION_B = "NONE"
) (
    input  wire CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB,
    input  wire RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input  wire [13:0] ADDRARDADDR, ADDRBWRADDR,
    input  wire [15:0] DIADI, DIBDI,
    input  wire [1:0] DIPADIP, DIPBDIP,
    input  wire [1:0] WEA,
    input  wire [3:0] WEBWE,
    output wire [15:0] DOADO, DOBDO,
    output wire [1:0] DOPADOP, DOPBDOP
);
    // SDP: A reads, B writes, both halves together.
    localparam SDP = RAM_MODE == "SDP";
    wire [71:0] doa, dob;
    wire [71:0] dia = SDP ? 72'd0 : {6'd0, DIPADIP, 48'd0, DIADI};
    wire [71:0] dib = SDP ? {4'd0, DIPBDIP, DIPADIP, 32'd0, DIBDI, DIADI} : {6'd0, DIPBDIP, 48'd0, DIBDI};
    ramb #(
        .BITS(14), .RAM_MODE(RAM_MODE), .READ_WIDTH_A(READ_WIDTH_A), .READ_WIDTH_B(READ_WIDTH_B),
        .WRITE_WIDTH_A(WRITE_WIDTH_A), .WRITE_WIDTH_B(WRITE_WIDTH_B), .DOA_REG(DOA_REG), .DOB_REG(DOB_REG)
    ) core (
        .clka(CLKARDCLK), .clkb(CLKBWRCLK), .ena(ENARDEN), .enb(ENBWREN), .regcea(REGCEAREGCE), .regceb(REGCEB),
        .wea(SDP ? 8'd0 : {6'd0, WEA}), .web({4'd0, WEBWE}), .addra(ADDRARDADDR[13:0]), .addrb(ADDRBWRADDR[13:0]),
        .dia(dia), .dib(dib), .doa(doa), .dob(dob)
    );
    assign DOADO = doa[15:0];
    assign DOPADOP = doa[65:64];
    assign DOBDO = SDP ? doa[31:16] : dob[15:0];
    assign DOPBDOP = SDP ? doa[67:66] : dob[65:64];
endmodule

module RAMB36E1 #(
    parameter DOA_REG = 0, DOB_REG = 0, RAM_MODE = "TDP", WRITE_MODE_A = "", WRITE_MODE_B = "",
    parameter READ_WIDTH_A = 0, READ_WIDTH_B = 0, WRITE_WIDTH_A = 0, WRITE_WIDTH_B = 0,
    parameter SRVAL_A = 0, SRVAL_B = 0, INIT_A = 0, INIT_B = 0, RAM_EXTENSION_A = "NONE", RAM_EXTENSION_B = "NONE"
) (
    input  wire CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB,
    input  wire RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB,
    input  wire [15:0] ADDRARDADDR, ADDRBWRADDR,
    input  wire [31:0] DIADI, DIBDI,
    input  wire [3:0] DIPADIP, DIPBDIP,
    input  wire [3:0] WEA,
    input  wire [7:0] WEBWE,
    output wire [31:0] DOADO, DOBDO,
    output wire [3:0] DOPADOP, DOPBDOP
);
    // SDP: A reads, B writes, both halves together.
    localparam SDP = RAM_MODE == "SDP";
    wire [71:0] doa, dob;
    wire [71:0] dia = SDP ? 72'd0 : {4'd0, DIPADIP, 32'd0, DIADI};
    wire [71:0] dib = SDP ? {DIPBDIP, DIPADIP, DIBDI, DIADI} : {4'd0, DIPBDIP, 32'd0, DIBDI};
    ramb #(
        .BITS(15), .RAM_MODE(RAM_MODE), .READ_WIDTH_A(READ_WIDTH_A), .READ_WIDTH_B(READ_WIDTH_B),
        .WRITE_WIDTH_A(WRITE_WIDTH_A), .WRITE_WIDTH_B(WRITE_WIDTH_B), .DOA_REG(DOA_REG), .DOB_REG(DOB_REG)
    ) core (
        .clka(CLKARDCLK), .clkb(CLKBWRCLK), .ena(ENARDEN), .enb(ENBWREN), .regcea(REGCEAREGCE), .regceb(REGCEB),
        .wea(SDP ? 8'd0 : {4'd0, WEA}), .web(WEBWE), .addra(ADDRARDADDR[14:0]), .addrb(ADDRBWRADDR[14:0]),
        .dia(dia), .dib(dib), .doa(doa), .dob(dob)
    );
    assign DOADO = doa[31:0];
    assign DOPADOP = doa[67:64];
    assign DOBDO = SDP ? doa[63:32] : dob[31:0];
    assign DOPBDOP = SDP ? doa[71:68] : dob[67:64];
endmodule

`default_nettype wire
