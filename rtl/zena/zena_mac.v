// zena_mac: weight and activation memories, multiplier and accumulator of one PE.
// Purpose: adds up the products of a pixel.  At 8 and 16 weight bits the multiplier and the accumulator are one
//          DSP48E1; a LogQuant weight (5 bits: sign, 0 or 1 + exponent) shifts the activation and needs none.
// Licence: MIT.
// Timing: `sum` comes seven cycles after pixel_end and stays until the next one; one product per cycle.
`default_nettype none

module zena_mac #(
    parameter ACT_W    = 16,
    parameter WEIGHT_W = 16,
    parameter WEIGHTS  = 512,
    parameter ACTS     = 1024
) (
    input  wire                       clk,
    input  wire                       weight_we,
    input  wire [$clog2(WEIGHTS)-1:0] weight_waddr,
    input  wire [WEIGHT_W-1:0]        weight_wdata,
    input  wire                       act_we,
    input  wire [$clog2(ACTS)-1:0]    act_waddr,
    input  wire [ACT_W-1:0]           act_wdata,
    input  wire                       product,
    input  wire [$clog2(WEIGHTS)-1:0] weight_raddr,
    input  wire [$clog2(ACTS)-1:0]    act_raddr,
    input  wire                       pixel_end,
    output wire                       sum_load,    // `sum` is there from the next cycle on
    output reg  [31:0]                sum
);

    // ---- memories, and one register more for the way from them (cycles 1 to 3) -----------------------
    wire [WEIGHT_W-1:0] weight_read;
    wire [ACT_W-1:0]    act_read;
    wire                product_2, end_6;
    reg  [WEIGHT_W-1:0] weight;
    reg  [ACT_W-1:0]    act;

    sdp_ram #(
        .WIDTH(WEIGHT_W), .DEPTH(WEIGHTS)
    ) weights (
        .clk(clk), .we(weight_we), .waddr(weight_waddr), .wdata(weight_wdata),
        .raddr(weight_raddr), .rdata(weight_read)
    );

    sdp_ram #(
        .WIDTH(ACT_W), .DEPTH(ACTS)
    ) acts (
        .clk(clk), .we(act_we), .waddr(act_waddr), .wdata(act_wdata),
        .raddr(act_raddr), .rdata(act_read)
    );

    delay #(.WIDTH(1), .STAGES(2)) product_delay (.clk(clk), .d(product), .q(product_2));
    delay #(.WIDTH(1), .STAGES(6)) end_delay (.clk(clk), .d(pixel_end), .q(end_6));

    always @(posedge clk) begin
        act <= act_read;
        if (!product_2)
            weight <= {WEIGHT_W{1'b0}};
        else
            weight <= weight_read;
    end

    // ---- multiply and accumulate (cycles 4 to 6); a pixel's first cycle forgets the pixel before ----
    wire [31:0] total;

    zena_product #(
        .ACT_W(ACT_W), .WEIGHT_W(WEIGHT_W)
    ) product_sum (
        .clk(clk), .act(act), .weight(weight), .restart(end_6), .total(total)
    );

    always @(posedge clk)
        if (end_6)
            sum <= total;

    assign sum_load = end_6;

endmodule

`default_nettype wire
