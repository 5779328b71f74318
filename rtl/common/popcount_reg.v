// popcount_reg: how many bits of a vector are set, with a register half way.
// Purpose: increments of the performance counters that count many bits at once.
// Licence: MIT.
// Timing: `count` is valid one cycle after `bits`; it comes from an adder, register it outside.
`default_nettype none

module popcount_reg #(
    parameter WIDTH = 64
) (
    input  wire                         clk,
    input  wire [WIDTH-1:0]             bits,
    output wire [$clog2(WIDTH + 1)-1:0] count
);

    localparam SLICE   = 12;
    localparam SLICES  = (WIDTH + SLICE - 1) / SLICE;
    localparam PART_W  = $clog2(SLICE + 1);
    localparam COUNT_W = $clog2(WIDTH + 1);
    localparam TOTAL_W = $clog2(SLICES * SLICE + 1) + 1;

    wire [SLICES*SLICE:0]    padded = {{(SLICES*SLICE+1-WIDTH){1'b0}}, bits};
    wire [SLICES*PART_W-1:0] parts;
    reg  [SLICES*PART_W-1:0] parts_reg;
    reg  [TOTAL_W-1:0]       total;
    wire                     unused_high = &{1'b0, padded[SLICES*SLICE], total[TOTAL_W-1:COUNT_W]};

    assign count = total[COUNT_W-1:0];

    always @(posedge clk)
        parts_reg <= parts;

    genvar s;
    generate
        for (s = 0; s < SLICES; s = s + 1) begin : g_slice
            popcount #(.WIDTH(SLICE)) slice (.bits(padded[s*SLICE +: SLICE]), .count(parts[s*PART_W +: PART_W]));
        end
    endgenerate

    integer i;

    always @* begin
        total = {TOTAL_W{1'b0}};
        for (i = 0; i < SLICES; i = i + 1)
            total = total + {{(TOTAL_W-PART_W){1'b0}}, parts_reg[i*PART_W +: PART_W]};
    end

endmodule

`default_nettype wire
