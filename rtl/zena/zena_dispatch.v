// zena_dispatch: which sub-WG does a job, and in which slot.
// Purpose: the home that the JOB names; with STEALING an idle sub-WG, else the home if it has room, else whichever has
//          room.  The slots of a sub-WG are used in turn.
// Licence: MIT.
// Timing: `ready` and the choice are one cycle old when they count, which is safe: only this job takes a slot.  sub_wg
//         and slot change in the cycle after `take`.
`default_nettype none

module zena_dispatch #(
    parameter SUB_WGS  = 1,
    parameter JOBS     = 3,   // slots of a sub-WG
    parameter STEALING = 0
) (
    input  wire                     clk,
    input  wire                     rst,
    input  wire [JOBS*SUB_WGS-1:0]  slot_valid,
    input  wire                     drain_ready,
    // The job to come: its home and, if it is a final one, that the drain must note it.
    input  wire [3:0]               home,
    input  wire                     final_job,
    output reg                      ready,       // its slot is free
    input  wire                     take,        // it is given to the sub-WG chosen
    input  wire                     complete,    // it is loaded: its sub-WG's next slot is the next one
    output reg  [3:0]               sub_wg,
    output reg  [$clog2(JOBS)-1:0]  slot
);

    localparam SLOT_W = $clog2(JOBS);
    localparam LAST   = JOBS - 1;

    reg  [16*SLOT_W-1:0] next_slots;   // of each sub-WG
    reg  [3:0]           choice_next, choice;
    reg  [15:0]          free, idle;
    reg  [JOBS-1:0]      held;
    integer              s;

    always @* begin
        free = 16'd0;
        idle = 16'd0;
        held = {JOBS{1'b0}};
        for (s = 0; s < SUB_WGS; s = s + 1) begin
            held    = slot_valid[JOBS*s +: JOBS];
            free[s] = !held[next_slots[s*SLOT_W +: SLOT_W]];
            idle[s] = held == {JOBS{1'b0}};
        end
        choice_next = home;
        if (STEALING != 0) begin
            if (!free[home])
                for (s = SUB_WGS - 1; s >= 0; s = s - 1)
                    if (free[s])
                        choice_next = s[3:0];
            if (!idle[home])
                for (s = SUB_WGS - 1; s >= 0; s = s - 1)
                    if (idle[s])
                        choice_next = s[3:0];
        end
    end

    always @(posedge clk) begin
        choice <= choice_next;
        ready  <= free[choice_next] && (drain_ready || !final_job);
        if (take) begin
            sub_wg <= choice;
            slot   <= next_slots[choice*SLOT_W +: SLOT_W];
        end
        if (complete)
            next_slots[sub_wg*SLOT_W +: SLOT_W] <= (slot == LAST[SLOT_W-1:0]) ? {SLOT_W{1'b0}} : slot + 1'b1;
        if (rst)
            next_slots <= {(16*SLOT_W){1'b0}};
    end

endmodule

`default_nettype wire
