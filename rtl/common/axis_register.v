// axis_register: two registers in a valid/ready stream, so that neither side's logic reaches the other's.
// Purpose: as an axis_fifo of depth 2, but with outputs straight from flip-flops.
// Licence: MIT.
// Timing: a word taken in cycle t is offered from cycle t+1; one word per cycle; s_ready, m_valid and m_data are
//         registers.
`default_nettype none

module axis_register #(
    parameter WIDTH = 64
) (
    input  wire             clk,
    input  wire             rst,
    input  wire [WIDTH-1:0] s_data,
    input  wire             s_valid,
    output reg              s_ready,
    output reg  [WIDTH-1:0] m_data,
    output reg              m_valid,
    input  wire             m_ready
);

    reg [WIDTH-1:0] spare;   // the word that came when m_data was not taken; there is one if not s_ready

    always @(posedge clk) begin
        if (s_ready)
            spare <= s_data;
        if (m_ready || !m_valid) begin
            m_data  <= s_ready ? s_data : spare;
            m_valid <= s_ready ? s_valid : 1'b1;
            s_ready <= 1'b1;
        end else if (s_valid)
            s_ready <= 1'b0;
        if (rst) begin
            m_valid <= 1'b0;
            s_ready <= 1'b1;
        end
    end

endmodule

`default_nettype wire
