// core_counters_tb: the counters at the end of their 32 bits, which no simulation reaches by counting.
// event_counter adds up events near the limit; the span of core_counters is set to it from outside.
`timescale 1ns/1ns
`default_nettype none

`include "zeroskip_defs.vh"

module core_counters_tb;

    reg clk = 0, rst = 1, clear = 0, busy = 0;
    always #5 clk = ~clk;

    reg  [31:0] events = 0;
    wire [31:0] count;
    integer     errors = 0;

    event_counter #(.WIDTH(32)) dut (.clk(clk), .clear(clear), .events(events), .count(count));

    wire [`ZS_COUNTERS*32-1:0] counts;
    wire [31:0] span = counts[`ZS_COUNTER_SPAN*32 +: 32];
    wire        active;
    core_counters #(.LANES(8), .FILTERS(1), .WGS(2), .REFS(3), .SCAN(4)) counters (
        .clk(clk), .rst(rst), .clear(clear), .beat_in(1'b0), .beat_out(1'b0), .beat_last(1'b0), .busy(busy),
        .blocked(1'b0), .finished(1'b0), .step(1'b0), .dead_steps(3'd0), .columns(2'd0), .columns_skipped(4'd0),
        .pairs(4'd0), .singles(4'd0), .outliers(4'd0), .multiplies(2'd0), .empty_chunks(2'd0), .barrier_wait(2'd0),
        .packet(1'b0), .active(active), .counts(counts)
    );

    task expect32(input [31:0] found, input [31:0] wanted, input [8*32-1:0] what);
        if (found !== wanted) begin
            errors = errors + 1;
            $display("%0s: %h, expected %h", what, found, wanted);
        end
    endtask

    task add(input [31:0] amount);
        begin
            @(negedge clk) events = amount;
            @(negedge clk) events = 0;
            repeat (3) @(negedge clk);
        end
    endtask

    initial begin
        clear = 1;
        repeat (4) @(negedge clk);
        clear = 0;
        rst = 0;
        repeat (3) @(negedge clk);
        expect32(count, 0, "cleared");
        add(32'hFFFF_FFFE);
        expect32(count, 32'hFFFF_FFFE, "below the limit");
        add(1);
        expect32(count, 32'hFFFF_FFFF, "at the limit");
        add(1);
        expect32(count, 32'hFFFF_FFFF, "one beyond");
        add(32'h8000_0000);
        expect32(count, 32'hFFFF_FFFF, "far beyond");
        clear = 1;
        @(negedge clk) clear = 0;
        repeat (4) @(negedge clk);
        expect32(count, 0, "cleared again");
        add(5);
        expect32(count, 5, "counts again");

        busy = 1;
        repeat (10) @(negedge clk);
        counters.since = 32'hFFFF_FFFD;
        repeat (2) @(negedge clk);
        expect32(span, 32'hFFFF_FFFF, "span at the limit");
        repeat (5) @(negedge clk);
        expect32(span, 32'hFFFF_FFFF, "span beyond");
        $display("done, %0d errors", errors);
        $finish;
    end

endmodule

`default_nettype wire
