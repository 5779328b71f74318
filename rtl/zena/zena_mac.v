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
    generate
        if (WEIGHT_W == 5) begin : g_shift
            // Shift by 4 * (e / 4) first, then by e % 4 and down by one: weight 2^(e-1), none for e = 0.
            reg  [1:0]               fine;
            reg                      negative, negative_5;
            reg  signed [ACT_W+11:0] coarse;
            reg  signed [31:0]       shifted, total;
            wire [3:0]               exponent = weight[3:0] - 4'd1;
            wire signed [ACT_W+11:0] wide = {{12{act[ACT_W-1]}}, act};
            wire signed [ACT_W+14:0] finely = {{3{coarse[ACT_W+11]}}, coarse} <<< fine;
            wire [31:0]              base = end_6 ? 32'd0 : total;

            always @(posedge clk) begin
                if (weight[3:0] == 4'd0)
                    coarse <= {(ACT_W+12){1'b0}};
                else
                    coarse <= wide <<< {exponent[3:2], 2'b00};
                fine       <= exponent[1:0];
                negative   <= weight[4];
                shifted    <= {{(17-ACT_W){finely[ACT_W+14]}}, finely};
                negative_5 <= negative;
                total      <= base + (shifted ^ {32{negative_5}}) + {31'd0, negative_5};
                if (end_6)
                    sum <= total;
            end
        end else begin : g_multiply
            localparam PRODUCT_W = ACT_W + WEIGHT_W;
            reg  signed [ACT_W-1:0]     a;
            reg  signed [WEIGHT_W-1:0]  b;
            reg  signed [PRODUCT_W-1:0] m;
            reg  signed [31:0]          total;
            wire signed [31:0]          wide = {{(32-PRODUCT_W){m[PRODUCT_W-1]}}, m};

            always @(posedge clk) begin
                a     <= act;
                b     <= weight;
                m     <= a * b;
                total <= (end_6 ? 32'sd0 : total) + wide;
                if (end_6)
                    sum <= total;
            end
        end
    endgenerate

    assign sum_load = end_6;

endmodule

`default_nettype wire
