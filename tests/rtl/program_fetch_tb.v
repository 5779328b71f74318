// program_fetch_tb: random program lists over random memory, a random reader; resets on the way, bad words, faults.
`timescale 1ns/1ns
`default_nettype none

module program_fetch_tb;

    localparam [31:0] BASE = 32'h1000_0000;
    localparam WORDS = 32768, LISTS = 24576;      // lists stand behind LISTS

    reg clk = 0, rst = 1, stop = 0, start = 0;
    always #5 clk = ~clk;

    integer     seed = `SEED, errors = 0, programs = 0, taken = 0, resets = 0, bad = 0, faults = 0, run, i, k;
    reg  [31:0] latency, rate, stall;
    integer     slow, patience, begun;            // of 256: the reader does not take a beat
    reg  [31:3] list;
    reg  [23:0] count;
    wire        idle, busy, done, tvalid, owes;
    wire [1:0]  error;
    reg         tready = 0;
    wire [63:0] tdata, rdata;
    wire [31:0] araddr;
    wire [7:0]  arlen;
    wire [2:0]  arsize;
    wire [1:0]  arburst, rresp;
    wire        arvalid, arready, rvalid, rready;

    program_fetch #(.DEPTH(`DEPTH), .LIST(`LIST)) dut (
        .clk(clk), .rst(rst), .stop(stop), .idle(idle), .start(start), .list(list), .count(count), .busy(busy), .done(done),
        .error(error), .m_axis_tdata(tdata), .m_axis_tvalid(tvalid), .m_axis_tready(tready),
        .m_axi_araddr(araddr), .m_axi_arlen(arlen), .m_axi_arsize(arsize), .m_axi_arburst(arburst),
        .m_axi_arvalid(arvalid), .m_axi_arready(arready), .m_axi_rdata(rdata), .m_axi_rresp(rresp),
        .m_axi_rvalid(rvalid), .m_axi_rready(rready)
    );

    axi_read_memory #(.WORDS(WORDS), .BASE(BASE)) memory (
        .clk(clk), .latency(latency), .rate(rate), .stall(stall), .restart(1'b0), .seed(0), .araddr(araddr), .arlen(arlen),
        .arsize(arsize), .arburst(arburst), .arvalid(arvalid), .arready(arready), .rdata(rdata), .rresp(rresp),
        .rvalid(rvalid), .rready(rready), .owes(owes)
    );

    task fail(input [8*48-1:0] what);
        begin
            errors = errors + 1;
            if (errors < 20)
                $display("%0t: %0s", $time, what);
        end
    endtask

    function integer draw(input integer below);
        draw = $unsigned($random(seed)) % below;
    endfunction

    function [63:0] entry(input integer word, input integer beats);
        reg [31:0] address;
        begin
            address = BASE + 8 * word;
            entry = {8'd0, beats[23:0], address};
        end
    endfunction

    integer wanted [0:65535];           // word numbers that must come, in order
    integer first = 0, last = 0, dones = 0;
    reg        waits = 0;
    reg [63:0] was;

    always @(posedge clk) begin
        if (!rst && tvalid && tready) begin
            if (first == last) fail("a beat too many");
            else if (tdata !== memory.words[wanted[first % 65536]]) fail("another beat");
            first = first + 1;
            taken = taken + 1;
        end
        if (waits && !rst && !(tvalid && tdata === was)) fail("a beat changed while it waited");
        if (!rst && idle && owes) fail("idle while memory owes");
        waits <= tvalid && !tready && !rst;
        was <= tdata;
        if (done) begin
            dones = dones + 1;
            if (first != last) fail("done before the last beat");
        end
        if (!rst && ^{tvalid, busy, done, idle, error} === 1'bx) fail("an undefined output");
    end

    always @(negedge clk)
        tready = draw(256) >= slow;

    // A list of `n` pieces at word `at`, each of `least` to `most` beats; its word `broken` is no legal one.
    task launch(input integer at, input integer n, input integer least, input integer most, input integer broken);
        integer word, beats;
        begin
            for (k = 0; k < n; k = k + 1) begin
                beats = least + draw(most - least + 1);
                word = draw(LISTS - most);
                memory.words[at + k] = entry(word, beats);
                if (k < broken)
                    for (i = 0; i < beats; i = i + 1) begin
                        wanted[last % 65536] = word + i;
                        last = last + 1;
                    end
                if (k == broken)
                    case (run / 8 % 3)
                        0: memory.words[at + k][55:32] = 0;
                        1: memory.words[at + k][2:0] = 1 + draw(7);
                        2: memory.words[at + k][63:56] = 1 + draw(255);
                    endcase
            end
            list = (BASE >> 3) + at;
            count = n;
            dones = 0;
            programs = programs + 1;
            start = 1;
            @(negedge clk) start = 0;
        end
    endtask

    task settle;
        begin
            patience = 0;
            while ((busy || start) && patience < 100000) begin
                @(negedge clk);
                patience = patience + 1;
            end
            repeat (3) @(negedge clk);
            if (first != last || dones != 1 || busy) fail("the program does not end");
            if (!idle || owes || tvalid) fail("not idle at the end");
        end
    endtask

    task reset;
        begin
            stop = 1;
            patience = 0;
            @(negedge clk);
            while (!idle && patience < 10000) begin
                @(negedge clk);
                patience = patience + 1;
            end
            if (owes || !idle) fail("idle while memory owes");
            rst = 1;
            resets = resets + 1;
            @(negedge clk);
            rst = 0;
            stop = 0;
            first = last;
            @(negedge clk);
            if (busy || error != 0) fail("busy after reset");
        end
    endtask

    task await_error(input [1:0] which);
        begin
            patience = 0;
            while ((error == 0 || first != last) && patience < 30000) begin
                @(negedge clk);
                patience = patience + 1;
            end
            repeat (100) @(negedge clk);
            if (error !== which || !busy || first != last) fail("another error, or other beats before it");
            reset;
        end
    endtask

    initial begin
        for (i = 0; i < WORDS; i = i + 1)
            memory.words[i] = {$random(seed), $random(seed)};
        latency = 1; rate = 1024; stall = 0; slow = 0;
        repeat (3) @(negedge clk);
        rst = 0;
        @(negedge clk);
        for (run = 0; run < `RUNS; run = run + 1) begin
            latency = 1 + draw(100);
            rate = draw(2) ? 1024 : 100 + draw(900);
            stall = draw(2) ? 0 : draw(200);
            slow = draw(2) ? 0 : draw(220);
            k = draw(3);
            launch(LISTS + draw(4000), 1 + draw(150), 1, k == 0 ? 3 : k == 1 ? 20 : 100,
                    run % 8 == 7 ? draw(10) : 1000);
            if (run % 8 == 7 && illegal(0)) begin
                await_error(2'b10);
                bad = bad + 1;
            end else if (run % 8 == 3) begin
                repeat (draw(300)) @(negedge clk);
                reset;
            end else
                settle;
            if (run % 8 == 5) begin      // the second piece reaches beyond memory
                memory.words[LISTS] = entry(0, 5);
                memory.words[LISTS + 1] = entry(WORDS - 4, 9);
                for (i = 0; i < 9; i = i + 1) begin
                    wanted[last % 65536] = i < 5 ? i : WORDS - 4 + i - 5;
                    last = last + 1;
                end
                list = (BASE >> 3) + LISTS;
                count = 2;
                start = 1;
                @(negedge clk) start = 0;
                await_error(2'b01);
                faults = faults + 1;
            end
        end
        // Short pieces without a gap, as long as memory takes them.
        latency = 25; rate = 1024; stall = 0; slow = 0;
        for (run = 2; run <= 8; run = run * 2) begin
            begun = $time;
            launch(LISTS, 1000, run, run, 100000);
            settle;
            $display("pieces of %0d: %0d", run, ($time - begun) / 10 - 1000 * (run + 1) - 3);
        end
        $display("%0d programs, %0d beats, %0d resets, %0d bad, %0d faults, %0d errors", programs, taken, resets, bad, faults,
                 errors + memory.errors);
        $finish;
    end

    function illegal(input integer unused);
        integer j;
        begin
            illegal = 0;
            for (j = 0; j < count; j = j + 1)
                if (memory.words[list - (BASE >> 3) + j][63:56] != 0 || memory.words[list - (BASE >> 3) + j][2:0] != 0
                    || memory.words[list - (BASE >> 3) + j][55:32] == 0)
                    illegal = 1;
        end
    endfunction

endmodule

`default_nettype wire
