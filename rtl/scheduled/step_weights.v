// step_weights: the weight half of the schedule memory, and what it says of each lane.
// Purpose: turns the record of an issued step into multiplier operands, and counts what the lanes do.  An entry is a
//          weight byte and, above it, what the engine needs to route operands; it says for each entry whether the byte
//          is two nibbles.  A cycle without a step reads as all-idle lanes.
// Licence: MIT.
// Timing: `record` is valid four cycles after `step`; `two` is expected in the same cycle, operands are valid in the next.
//         The lane counts come one cycle after the operands.
`default_nettype none

module step_weights #(
    parameter COUNT   = 8,     // entries of a step
    parameter COPIES  = 1,     // groups of them that have a valid bit of their own
    parameter ENTRY_W = 11,
    parameter ACT_W   = 9,
    parameter STEPS   = 256
) (
    input  wire                         clk,
    // Schedule write port: address is {half, step}.
    input  wire                         we,
    input  wire [$clog2(STEPS):0]       waddr,
    input  wire [COUNT*ENTRY_W-1:0]     wdata,
    // Issued step.
    input  wire                         valid,
    input  wire [$clog2(STEPS):0]       step,
    output reg  [COUNT*ENTRY_W-1:0]     record,
    input  wire [COUNT-1:0]             two,
    // Operands of every entry, entry 0 lowest.
    output wire [COUNT*18-1:0]          factor,
    output wire [COUNT-1:0]             pair,
    // Counter increments.
    output wire [$clog2(COUNT+1)-1:0]   pairs,
    output wire [$clog2(COUNT+1)-1:0]   singles,
    output wire [$clog2(COUNT+1)-1:0]   outliers
);

    localparam EACH = COUNT / COPIES;

    // Address register, RAM, output register, one plain register: block RAM outputs are slow to route.
    reg  [$clog2(STEPS):0]   raddr;
    wire [COUNT*ENTRY_W-1:0] ram_q;
    wire                     valid_3;

    sdp_ram #(
        .WIDTH(COUNT * ENTRY_W),
        .DEPTH(2 * STEPS)
    ) ram (
        .clk  (clk),
        .we   (we),
        .waddr(waddr),
        .wdata(wdata),
        .raddr(raddr),
        .rdata(ram_q)
    );

    delay #(.WIDTH(1), .STAGES(3)) valid_delay (.clk(clk), .d(valid), .q(valid_3));

    always @(posedge clk) begin
        raddr  <= step;
        record <= ram_q;
    end

    wire [COUNT-1:0] is_pair, is_single, is_outlier;

    genvar c, i;
    generate
        for (c = 0; c < COPIES; c = c + 1) begin : g_copy
            wire valid_4;

            broadcast_reg #(.WIDTH(1)) valid_copy (.clk(clk), .d(valid_3), .q(valid_4));

            for (i = c * EACH; i < (c + 1) * EACH; i = i + 1) begin : g_entry
                lane_operand #(
                    .ACT_W(ACT_W)
                ) operand (
                    .clk(clk), .weight(valid_4 ? record[i*ENTRY_W +: 8] : 8'd0), .two(two[i]),
                    .factor(factor[i*18 +: 18]), .pair(pair[i]),
                    .is_pair(is_pair[i]), .is_single(is_single[i]), .is_outlier(is_outlier[i])
                );
            end
        end
    endgenerate

    popcount_reg #(.WIDTH(COUNT)) count_pairs    (.clk(clk), .bits(is_pair),    .count(pairs));
    popcount_reg #(.WIDTH(COUNT)) count_singles  (.clk(clk), .bits(is_single),  .count(singles));
    popcount_reg #(.WIDTH(COUNT)) count_outliers (.clk(clk), .bits(is_outlier), .count(outliers));

endmodule

`default_nettype wire
