// reset_sync_tb: the reset begins within three clocks of reset_n and ends exactly three clocks after it, glitches included.
`timescale 1ns/1ns
`default_nettype none

module reset_sync_tb;

    reg  clk = 0, reset_n = 0;
    wire rst;
    always #5 clk = ~clk;

    reset_sync dut (.clk(clk), .reset_n(reset_n), .rst(rst));

    integer errors = 0, cycles;

    initial begin
        #1 if (rst !== 1'b1) begin errors = errors + 1; $display("no reset at power-up"); end
        repeat (5) @(negedge clk);
        if (rst !== 1'b1) begin errors = errors + 1; $display("no reset while reset_n is low"); end
        repeat (3) begin
            // Released anywhere within a cycle.
            #($unsigned($random) % 4) reset_n = 1;
            for (cycles = 0; rst !== 1'b0 && cycles < 10; cycles = cycles + 1) @(posedge clk) #1;
            if (cycles != 3) begin errors = errors + 1; $display("reset ends after %0d clocks", cycles); end
            repeat (5) @(negedge clk);
            if (rst !== 1'b0) begin errors = errors + 1; $display("reset without cause"); end
            reset_n = 0;
            for (cycles = 0; rst !== 1'b1 && cycles < 10; cycles = cycles + 1) @(posedge clk) #1;
            if (cycles > 3) begin errors = errors + 1; $display("reset begins after %0d clocks", cycles); end
            repeat (4) @(negedge clk);
        end
        $display("done, %0d errors", errors);
        $finish;
    end

endmodule

`default_nettype wire
