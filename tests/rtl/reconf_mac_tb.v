// Self-checking bench of reconf_mac: every pair of nibbles and every outlier, on corner and random activations.
`default_nettype none
`timescale 1ns / 1ps

module reconf_mac_tb;

    parameter ACT_W = 9;
    localparam LIMIT = (ACT_W == 9) ? 255 : 32767;
    localparam SUM_W = (ACT_W == 9) ? 16 : 24;

    reg                     clk = 0;
    reg  signed [ACT_W-1:0] x0 = 0, x1 = 0;
    reg  [7:0]              weight = 0;
    reg                     pair = 0;
    reg  [17:0]             factor;
    wire signed [SUM_W-1:0] y;
    integer                 expected [0:7];
    integer                 n0, n1, n8, x, i, w, cases = 0, failures = 0, seed = 1;

    reconf_mac #(.ACT_W(ACT_W)) dut (
        .clk(clk), .x0(x0), .x1(x1), .factor(factor), .pair(pair), .y(y)
    );

    always #4 clk = ~clk;

    // What lane_operand makes of a weight byte.
    always @* begin
        n0 = $signed(weight[3:0]);
        n1 = $signed(weight[7:4]);
        n8 = $signed(weight);
        if (ACT_W == 9)
            factor = pair ? n0 + n1 * 8192 : n8;
        else
            factor = pair ? {6'd0, weight[7:4], {4{weight[3]}}, weight[3:0]} : {10'd0, weight};
    end

    function signed [31:0] activation;
        input integer which;
        case (which)
            0: activation = LIMIT;
            1: activation = -LIMIT;
            2: activation = 0;
            3: activation = 1;
            4: activation = -1;
            default: activation = $signed($random(seed)) % (LIMIT + 1);
        endcase
    endfunction

    initial begin
        for (w = 0; w < 512; w = w + 1)
            for (i = 0; i < 100; i = i + 1) begin
                weight = w[7:0];
                pair   = w[8];
                x      = activation(i % 10);
                x0     = x;
                x      = activation(i / 10);
                x1     = x;
                #1;
                if (pair)
                    expected[cases % 8] = x0 * n0 + x1 * n1;
                else
                    expected[cases % 8] = x0 * n8;
                @(posedge clk);
                #1;
                cases = cases + 1;
                if (cases > 4 && y !== expected[(cases - 4) % 8]) begin
                    failures = failures + 1;
                    if (failures < 10)
                        $display("case %0d: got %0d, expected %0d", cases - 4, y, expected[(cases - 4) % 8]);
                end
            end
        $display("cases %0d failures %0d", cases, failures);
        $finish;
    end

endmodule

`default_nettype wire
