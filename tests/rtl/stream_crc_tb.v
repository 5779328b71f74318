// stream_crc_tb: sends the beats of a file to stream_crc and says what it answers, and when.
// BEATS: hexadecimal words, one a line: valid, first, last (bits 66, 65, 64) and data; COUNT: how many.
`timescale 1ns/1ns
`default_nettype none

module stream_crc_tb;

    reg clk = 0, rst = 1;
    always #5 clk = ~clk;

    reg  [66:0] beats [0:`COUNT-1];
    reg  [66:0] beat = 67'd0;
    wire        good, bad;
    integer     at;

    stream_crc dut (
        .clk(clk), .rst(rst), .valid(beat[66]), .first(beat[65]), .last(beat[64]), .data(beat[63:0]),
        .good(good), .bad(bad)
    );

    initial begin
        $readmemh(`BEATS, beats);
        repeat (3) @(negedge clk);
        rst = 0;
        for (at = 0; at < `COUNT; at = at + 1) begin
            @(negedge clk) beat = beats[at];
            #1 if (good || bad)      // of the beat before
                $display("%0d %0d", at, good);
        end
        $finish;
    end

endmodule

`default_nettype wire
