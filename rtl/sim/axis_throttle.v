// axis_throttle: random stalls in a valid/ready stream, for simulation.
// Purpose: stands between two modules as a gate that opens and closes at random but, once it has shown a valid word, stays open until that word is taken.
// Licence: MIT.
// Timing: no latency; the gate opens with probability (256 - stall) / 256 per cycle; stall = 0 keeps it open but for the cycle after kick.
// kick restarts the random numbers (xorshift32 from seed, which must not be 0), so that a run repeats exactly and can be modelled.
`default_nettype none

module axis_throttle (
    input  wire        clk,
    input  wire        rst,
    input  wire        kick,
    input  wire [31:0] seed,
    input  wire [7:0]  stall,

    input  wire        s_valid,
    output wire        s_ready,
    output wire        m_valid,
    input  wire        m_ready
);

reg        open_reg;
reg [31:0] lfsr_reg;

wire [31:0] shift_1 = lfsr_reg ^ (lfsr_reg << 13);
wire [31:0] shift_2 = shift_1 ^ (shift_1 >> 17);
wire [31:0] shift_3 = shift_2 ^ (shift_2 << 5);

assign m_valid = s_valid && open_reg;
assign s_ready = m_ready && open_reg;

always @(posedge clk) begin
    lfsr_reg <= shift_3;
    if (!(open_reg && s_valid && !m_ready)) begin
        open_reg <= lfsr_reg[7:0] >= stall && !kick;
    end
    if (kick) begin
        lfsr_reg <= seed;
    end
    if (rst) begin
        open_reg <= 1'b0;
        lfsr_reg <= seed;
    end
end

endmodule

`default_nettype wire
