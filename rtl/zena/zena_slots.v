// zena_slots: the jobs of one sub-WG: one that runs and one that is loaded or loading.
// Purpose: holds their descriptions, lets each begin as soon as earlier sums are out of its way, and ends them in
//          order, once every PE of every work group has finished (the barrier).
// Licence: MIT.
// Timing: `valid` one cycle after `load`, `go` at the earliest two; `complete` is a pulse.
`default_nettype none

module zena_slots #(
    parameter JOB_W = 40
) (
    input  wire               clk,
    input  wire               rst,
    // A job is loaded into a half.
    input  wire               load,
    input  wire               load_half,
    input  wire               load_page,
    input  wire               load_final,
    input  wire [3:0]         load_undrained,
    input  wire [7:0]         load_wgs,
    input  wire [JOB_W-1:0]   load_job,
    // State.
    output reg  [1:0]         valid,
    output reg  [1:0]         page,
    output reg  [1:0]         go,
    output wire [15:0]        wgs,
    output wire [2*JOB_W-1:0] job,
    input  wire [1:0]         done,          // all PEs, registered
    output wire               complete,
    output wire               complete_final,
    input  wire               drained        // the sums of the oldest final job not yet sent are read
);

    reg             oldest;
    reg [1:0]       final_job;
    reg [7:0]       wgs_0, wgs_1;
    reg [JOB_W-1:0] job_0, job_1;
    // Final jobs loaded and drained, modulo 64; what `drained_count` must reach before a job may begin.
    reg [5:0]       loaded_count, drained_count, target_0, target_1;

    wire [5:0] target  = loaded_count - {2'd0, load_undrained};
    wire [5:0] ahead_0 = drained_count - target_0;
    wire [5:0] ahead_1 = drained_count - target_1;
    wire unused_ahead  = &{1'b0, ahead_0[4:0], ahead_1[4:0]};

    assign wgs = {wgs_1, wgs_0};
    assign job = {job_1, job_0};
    assign complete       = valid[oldest] && done[oldest];
    assign complete_final = complete && final_job[oldest];

    always @(posedge clk) begin
        go[0] <= valid[0] && !ahead_0[5];
        go[1] <= valid[1] && !ahead_1[5];
        if (complete) begin
            valid[oldest] <= 1'b0;
            oldest        <= ~oldest;
        end
        if (drained)
            drained_count <= drained_count + 6'd1;
        if (load) begin
            valid[load_half]     <= 1'b1;
            page[load_half]      <= load_page;
            final_job[load_half] <= load_final;
            loaded_count         <= loaded_count + {5'd0, load_final};
            if (load_half) begin
                wgs_1    <= load_wgs;
                job_1    <= load_job;
                target_1 <= target;
            end else begin
                wgs_0    <= load_wgs;
                job_0    <= load_job;
                target_0 <= target;
            end
        end
        if (rst) begin
            valid         <= 2'b00;
            wgs_0         <= 8'd1;   // an unused work group counts as done: the first must not be that
            wgs_1         <= 8'd1;
            go            <= 2'b00;
            oldest        <= 1'b0;
            loaded_count  <= 6'd0;
            drained_count <= 6'd0;
        end
    end

endmodule

`default_nettype wire
