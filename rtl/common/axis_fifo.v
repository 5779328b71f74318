// axis_fifo: synchronous first-word-fall-through FIFO between two valid/ready streams.
// Purpose: the one FIFO of the design.  Ports: clk, rst (synchronous; also empties it), s_data/s_valid/s_ready, m_data/m_valid/m_ready.
// Licence: MIT.
// Timing: a word written in cycle t is offered from cycle t+1; one word per cycle in and out; s_ready, m_valid and m_data are functions of registers only.
// DEPTH: a power of two, at least 2; all DEPTH words are usable; the memory is read asynchronously, so that it maps to LUT RAM.
`default_nettype none

module axis_fifo #(
    parameter WIDTH = 64,
    parameter DEPTH = 16
) (
    input  wire             clk,
    input  wire             rst,

    input  wire [WIDTH-1:0] s_data,
    input  wire             s_valid,
    output wire             s_ready,

    output wire [WIDTH-1:0] m_data,
    output wire             m_valid,
    input  wire             m_ready
);

localparam ADDR_W = $clog2(DEPTH);

initial begin
    if (DEPTH < 2 || DEPTH != (1 << ADDR_W)) begin
        $display("ERROR: %m: DEPTH = %0d; accepted: a power of two, at least 2", DEPTH);
        $finish;
    end
end

(* ram_style = "distributed" *)
reg [WIDTH-1:0]  memory [0:DEPTH-1];
reg [ADDR_W-1:0] write_reg;
reg [ADDR_W-1:0] write_next_reg;
reg [ADDR_W-1:0] read_reg;
reg [ADDR_W-1:0] read_next_reg;
reg              full_reg;
reg              valid_reg;

wire push = s_valid && !full_reg;
wire pop = valid_reg && m_ready;
// Both next addresses are registers: no adder in front of the comparators.
wire one_free = write_next_reg == read_reg;
wire one_held = read_next_reg == write_reg;

assign s_ready = !full_reg;
assign m_valid = valid_reg;
assign m_data = memory[read_reg];

always @(posedge clk) begin
    if (push) begin
        memory[write_reg] <= s_data;
        write_reg <= write_next_reg;
        write_next_reg <= write_next_reg + 1'b1;
    end
    if (pop) begin
        read_reg <= read_next_reg;
        read_next_reg <= read_next_reg + 1'b1;
    end
    full_reg <= !pop && (full_reg || (push && one_free));
    valid_reg <= push || (valid_reg && !(pop && one_held));
    if (rst) begin
        write_reg <= {ADDR_W{1'b0}};
        write_next_reg <= {{(ADDR_W-1){1'b0}}, 1'b1};
        read_reg <= {ADDR_W{1'b0}};
        read_next_reg <= {{(ADDR_W-1){1'b0}}, 1'b1};
        full_reg <= 1'b0;
        valid_reg <= 1'b0;
    end
end

endmodule

`default_nettype wire
