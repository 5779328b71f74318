// zena_slots: the jobs of one sub-WG: those that run, and those that are loaded and wait.
// Purpose: holds their descriptions, lets each begin as soon as earlier sums are out of its way, and ends them in
//          order, once every PE of every work group has finished (the barrier).
// Licence: MIT.
// Timing: `valid` one cycle after `load`, `go` at the earliest two; `complete` is a pulse.
`default_nettype none

module zena_slots #(
    parameter JOB_W = 40,
    parameter JOBS  = 3,    // slots
    parameter SLOTS = 3     // of all sub-WGs
) (
    input  wire                    clk,
    input  wire                    rst,
    // A job is loaded into a slot.
    input  wire                    load,
    input  wire [$clog2(JOBS)-1:0] load_slot,
    input  wire                    load_page,
    input  wire                    load_final,
    input  wire [SLOTS-1:0]        load_waits,    // slots whose jobs must end first
    input  wire [3:0]              load_undrained,
    input  wire [7:0]              load_wgs,
    input  wire [JOB_W-1:0]        load_job,
    // State.
    output reg  [JOBS-1:0]         valid,
    output reg  [JOBS-1:0]         page,
    output reg  [JOBS-1:0]         go,
    output reg  [8*JOBS-1:0]       wgs,
    output reg  [JOBS*JOB_W-1:0]   job,
    input  wire [JOBS-1:0]         done,          // all PEs, registered
    output wire                    complete,
    output wire                    complete_final,
    // Final jobs of this sub-WG, with stealing of all: one is loaded, the sums of the oldest unsent one are read.
    input  wire                    noted,
    input  wire                    drained,
    input  wire [SLOTS-1:0]        all_valid
);

    localparam SLOT_W = $clog2(JOBS);
    localparam LAST   = JOBS - 1;

    reg  [SLOT_W-1:0] oldest;
    reg  [JOBS-1:0]   final_job;
    // Final jobs loaded and drained, modulo 128.  `undrained` of them may be unsent when a job begins; its largest
    // value means no wait: 63 are more than there can be.
    reg  [6:0]        loaded_count, drained_count;
    wire [6:0]        target = loaded_count - {1'b0, {2{&load_undrained}}, load_undrained};

    assign complete       = valid[oldest] && done[oldest];
    assign complete_final = complete && final_job[oldest];

    always @(posedge clk) begin
        if (complete)
            oldest <= (oldest == LAST[SLOT_W-1:0]) ? {SLOT_W{1'b0}} : oldest + 1'b1;
        if (drained)
            drained_count <= drained_count + 7'd1;
        if (noted)
            loaded_count <= loaded_count + 7'd1;
        if (rst) begin
            oldest        <= {SLOT_W{1'b0}};
            loaded_count  <= 7'd0;
            drained_count <= 7'd0;
        end
    end

    genvar i;
    generate
        for (i = 0; i < JOBS; i = i + 1) begin : g_slot
            localparam [SLOT_W-1:0] INDEX = i;
            reg  [6:0]       start_count;   // what drained_count must reach before the job may begin
            reg              sent;          // it has: other sub-WGs may count on while this job waits or runs
            reg  [SLOTS-1:0] waits;
            wire [6:0]       ahead       = drained_count - start_count;
            wire             sent_enough = sent || !ahead[6];
            wire             unused_bits = &{1'b0, ahead[5:0]};

            always @(posedge clk) begin
                go[i] <= valid[i] && sent_enough && waits == {SLOTS{1'b0}};
                sent  <= sent_enough;
                waits <= waits & all_valid;
                if (complete && oldest == INDEX)
                    valid[i] <= 1'b0;
                if (load && load_slot == INDEX) begin
                    valid[i]                <= 1'b1;
                    page[i]                 <= load_page;
                    final_job[i]            <= load_final;
                    wgs[i*8 +: 8]           <= load_wgs;
                    job[i*JOB_W +: JOB_W]   <= load_job;
                    start_count             <= target;
                    sent                    <= 1'b0;
                    waits                   <= load_waits;
                end
                if (rst) begin
                    valid[i]      <= 1'b0;
                    go[i]         <= 1'b0;
                    wgs[i*8 +: 8] <= 8'd1;   // an unused work group counts as done: the first must not be that
                    waits         <= {SLOTS{1'b0}};
                end
            end
        end
    endgenerate

endmodule

`default_nettype wire
