// step_issue: hands out one live step per cycle.
// Purpose: takes groups from the scanner's queue and issues their live steps, lowest first.  The step that ends a pixel
//          waits until the drain can take the pixel's sums; nothing after this stage ever stalls.  A pixel whose last
//          group has no live step is closed by one cycle without a step.
// Licence: MIT.
// Timing: outputs are registered one cycle after the decision (`busy`); one step per cycle, no bubble between groups.
`default_nettype none

module step_issue #(
    parameter REFS    = 3,     // references of a step
    parameter COLUMNS = 512,
    parameter STEPS   = 256,
    parameter SCAN    = 4
) (
    input  wire                           clk,
    input  wire                           rst,
    // Groups from the queue.
    input  wire                           s_valid,
    output wire                           s_ready,
    input  wire [SCAN-1:0]                s_live,
    input  wire [SCAN*REFS-1:0]           s_ref,
    input  wire [SCAN*REFS*$clog2(COLUMNS)-1:0] s_addr,
    input  wire [$clog2(STEPS/SCAN)-1:0]  s_group,
    input  wire                           s_slot,
    input  wire                           s_close,
    input  wire                           s_end,
    input  wire                           can_close,   // the drain has room for a pixel
    // Decision of this cycle.
    output wire                           busy,        // a step is issued or a pixel closed
    output wire                           closes,      // ... and it ends a pixel
    output wire                           ends,        // ... and it ends a run
    output wire                           slot,        // slot of the group at hand
    output wire                           blocked,     // waits for the drain
    // Issued step, one cycle later.
    output reg                            valid,
    output reg                            first,       // begins a pixel
    output reg  [$clog2(STEPS):0]         step,        // {slot, step}
    output reg  [REFS-1:0]                refs,
    output reg  [REFS*$clog2(COLUMNS)-1:0] addr
);

    localparam ADDR_W  = REFS * $clog2(COLUMNS);
    localparam STEP_W  = $clog2(STEPS);
    localparam SCAN_W  = $clog2(SCAN);
    localparam GROUP_W = STEP_W - SCAN_W;

    reg                     h_valid, h_slot, h_close, h_end;
    reg  [SCAN-1:0]         h_live;
    reg  [SCAN*REFS-1:0]    h_ref;
    reg  [SCAN*ADDR_W-1:0]  h_addr;
    reg  [GROUP_W-1:0]      h_group;
    reg                     only;        // at most one live step is left
    reg                     fresh;       // the next issued cycle begins a pixel

    wire [SCAN-1:0] others = h_live & (h_live - 1'b1);   // all but the lowest
    wire [SCAN-1:0] lowest = h_live & ~others;
    wire [SCAN-1:0] next   = s_ready ? s_live : others;

    // Each straight from registers: what follows is long enough.
    assign blocked = h_valid & h_close & only & ~can_close;
    assign busy    = h_valid & ~(h_close & only & ~can_close);
    assign closes  = h_valid & h_close & only & can_close;
    assign ends    = h_valid & h_close & only & can_close & h_end;
    assign slot    = h_slot;
    assign s_ready = ~h_valid | (only & (~h_close | can_close));

    always @(posedge clk) begin
        if (s_ready) begin
            h_valid <= s_valid;
            h_live  <= s_live;
            h_ref   <= s_ref;
            h_addr  <= s_addr;
            h_group <= s_group;
            h_slot  <= s_slot;
            h_close <= s_close;
            h_end   <= s_end;
        end else if (busy) begin
            h_live <= others;
        end
        if (s_ready || busy)
            only <= (next & (next - 1'b1)) == {SCAN{1'b0}};
        if (busy)
            fresh <= h_close & only;
        if (rst) begin
            h_valid <= 1'b0;
            fresh   <= 1'b1;
        end
    end

    // ---- pick the step out of its group ----------------------------------------------------------
    reg [REFS-1:0] picked_ref;
    reg [ADDR_W-1:0] picked_addr;

    integer i;

    always @* begin
        picked_ref  = {REFS{1'b0}};
        picked_addr = {ADDR_W{1'b0}};
        for (i = 0; i < SCAN; i = i + 1) begin
            picked_ref  = picked_ref  | (h_ref[i*REFS +: REFS] & {REFS{lowest[i]}});
            picked_addr = picked_addr | (h_addr[i*ADDR_W +: ADDR_W] & {ADDR_W{lowest[i]}});
        end
    end

    generate
        if (SCAN == 1) begin : g_single
            always @(posedge clk)
                step <= {h_slot, h_group};
        end else begin : g_several
            reg [SCAN_W-1:0] index;
            integer          k;
            always @* begin
                index = {SCAN_W{1'b0}};
                for (k = 0; k < SCAN; k = k + 1)
                    index = index | (k[SCAN_W-1:0] & {SCAN_W{lowest[k]}});
            end
            always @(posedge clk)
                step <= {h_slot, h_group, index};
        end
    endgenerate

    always @(posedge clk) begin
        valid <= busy && h_live != {SCAN{1'b0}} && !rst;
        first <= busy && fresh;
        refs  <= busy ? picked_ref : {REFS{1'b0}};
        addr  <= picked_addr;
    end

endmodule

`default_nettype wire
