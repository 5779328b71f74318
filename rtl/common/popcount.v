// popcount: how many bits of a vector are set.
// Purpose: increments of the performance counters.
// Licence: MIT.
// Timing: combinational; register inputs or outputs outside.
`default_nettype none

module popcount #(
    parameter WIDTH = 8
) (
    input  wire [WIDTH-1:0]               bits,
    output reg  [$clog2(WIDTH + 1)-1:0]   count
);

    localparam COUNT_W = $clog2(WIDTH + 1);

    integer i;

    always @* begin
        count = {COUNT_W{1'b0}};
        for (i = 0; i < WIDTH; i = i + 1)
            count = count + {{(COUNT_W - 1){1'b0}}, bits[i]};
    end

endmodule

`default_nettype wire
