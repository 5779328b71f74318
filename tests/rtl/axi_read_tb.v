// axi_read_tb: random requests against random memory and a random reader; resets on the way, and faults.
`timescale 1ns/1ns
`default_nettype none

module axi_read_tb;

    localparam [31:0] BASE = 32'h1000_0000;
    localparam WORDS = 32768;

    reg clk = 0, rst = 1, stop = 0;
    always #5 clk = ~clk;

    integer     seed = `SEED, errors = 0, requests = 0, taken = 0, resets = 0, faults = 0, run, i;
    reg  [31:0] latency, rate, stall;
    integer     slow;             // of 256: the reader does not take a word
    wire        idle, error, s_ready, m_valid, owes;
    reg  [31:3] s_addr;
    reg  [23:0] s_beats;
    reg         s_valid = 0, m_ready = 0;
    wire [63:0] m_data, rdata;
    wire [31:0] araddr;
    wire [7:0]  arlen;
    wire [2:0]  arsize;
    wire [1:0]  arburst, rresp;
    wire        arvalid, arready, rvalid, rready;

    axi_read #(.DEPTH(`DEPTH)) dut (
        .clk(clk), .rst(rst), .stop(stop), .idle(idle), .error(error),
        .s_addr(s_addr), .s_beats(s_beats), .s_valid(s_valid), .s_ready(s_ready),
        .m_data(m_data), .m_valid(m_valid), .m_ready(m_ready),
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
            $display("%0t: %0s", $time, what);
        end
    endtask

    function integer draw(input integer below);
        draw = $unsigned($random(seed)) % below;
    endfunction

    // Word numbers that must come, in order.
    integer wanted [0:65535];
    integer first = 0, last = 0;

    reg        waits = 0;
    reg [63:0] was;

    always @(posedge clk) begin
        if (!rst && m_valid && m_ready) begin
            if (first == last) fail("a word too many");
            else if (m_data !== memory.words[wanted[first % 65536]]) fail("another word");
            first = first + 1;
            taken = taken + 1;
        end
        if (waits && !rst && !(m_valid && m_data === was)) fail("a word changed while it waited");
        if (!rst && idle && owes) fail("idle while memory owes");
        waits <= m_valid && !m_ready && !rst;
        was <= m_data;
        if (!rst && (m_valid === 1'bx || idle === 1'bx || s_ready === 1'bx)) fail("an undefined output");
    end

    always @(negedge clk)
        m_ready = draw(256) >= slow;

    // On a negative edge: a request, taken.
    task ask(input integer word, input integer beats);
        begin
            s_addr = (BASE >> 3) + word;
            s_beats = beats;
            s_valid = 1;
            while (!s_ready) @(negedge clk);
            for (i = 0; i < beats; i = i + 1)
                wanted[(last + i) % 65536] = word + i;
            last = last + beats;
            requests = requests + 1;
            @(negedge clk) s_valid = 0;
        end
    endtask

    task reset;
        integer patience;
        begin
            s_valid = 0;
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
        end
    endtask

    task settle;
        integer patience;
        begin
            patience = 0;
            while ((first != last || owes || s_valid) && patience < 200000) begin
                @(negedge clk);
                patience = patience + 1;
            end
            repeat (20) @(negedge clk);
            if (first != last) fail("words are missing");
            if (!idle || m_valid) fail("not idle at the end");
        end
    endtask

    integer begun;

    initial begin
        for (i = 0; i < WORDS; i = i + 1)
            memory.words[i] = {$random(seed), $random(seed)};
        latency = 1; rate = 1024; stall = 0; slow = 0;
        repeat (3) @(negedge clk);
        rst = 0;
        @(negedge clk);
        for (run = 0; run < `RUNS; run = run + 1) begin
            latency = 1 + draw(120);
            rate = draw(2) ? 1024 : 100 + draw(900);
            stall = draw(2) ? 0 : draw(240);
            slow = draw(2) ? 0 : draw(250);
            repeat (1 + draw(20)) begin
                ask(draw(WORDS - 400), draw(2) ? 1 + draw(20) : 1 + draw(300));
                if (draw(4) == 0) repeat (draw(60)) @(negedge clk);
            end
            case (draw(4))
                0: begin
                    repeat (draw(150)) @(negedge clk);
                    reset;
                end
                1: begin                      // the last word is before the fault, or the request crosses into it
                    ask(WORDS - 10, 10);
                    settle;
                    ask(WORDS - 10, 11 + draw(40));
                    last = last - (s_beats - 10);
                    s_addr = (BASE >> 3) + draw(WORDS - 400);     // words that are dropped
                    s_valid = 1;
                    while (!s_ready && !error) @(negedge clk);
                    @(negedge clk) s_valid = 0;
                    while (!error) @(negedge clk);
                    settle;
                    s_valid = 1;              // an error stays
                    repeat (300) @(negedge clk);
                    if (!error || first != last) fail("words after an error");
                    faults = faults + 1;
                    reset;
                    if (error) fail("an error after reset");
                end
                default: settle;
            endcase
        end
        // Long and short requests without a gap.
        latency = 60; rate = 1024; stall = 0; slow = 0;
        reset;
        begun = $time;
        ask(3, 4000);
        settle;
        $display("long: %0d", ($time - begun) / 10 - 4000 - 20);
        latency = 25;         // memory takes sixteen bursts ahead, which are 32 words
        begun = $time;
        for (run = 0; run < 500; run = run + 1)
            ask(64 * run % 32000, 2);
        settle;
        $display("short: %0d", ($time - begun) / 10 - 1000 - 20);
        $display("%0d requests, %0d words, %0d bursts, %0d resets, %0d faults, %0d errors", requests, taken, memory.bursts,
                 resets, faults, errors + memory.errors);
        $finish;
    end

endmodule

`default_nettype wire
