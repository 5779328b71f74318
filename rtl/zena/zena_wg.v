// zena_wg: one work group: FILTERS PEs on one spatial share of the input map, and their partial sums.
// Purpose: gives all PEs the same activations and each its kernel; tells when every PE of a sub-WG has finished.
// Licence: MIT.
// Timing: everything that is broadcast is registered here once; drain_sum comes six cycles after drain_addr's cycle in
//         the engine (turn 3 there).
`default_nettype none

module zena_wg #(
    parameter ACT_W    = 16,
    parameter WEIGHT_W = 16,
    parameter FILTERS  = 8,
    parameter SUB_WGS  = 1,
    parameter COLUMNS  = 64,
    parameter STEPS    = 16,
    parameter PSUMS    = 64,
    parameter INDEX    = 0    // number of this work group
) (
    input  wire                         clk,
    input  wire                         rst,
    input  wire [2:0]                   turn,
    // Slots of every sub-WG: half 0, half 1, next sub-WG.
    input  wire [2*SUB_WGS-1:0]         go,
    input  wire [2*SUB_WGS*8-1:0]       wgs,      // work groups each job uses
    input  wire [2*SUB_WGS*(1+$clog2(STEPS)+3*$clog2(PSUMS)+3*$clog2(COLUMNS))-1:0] job,
    output reg  [2*SUB_WGS-1:0]         done,
    // Write bus: the lane with this work group's activations, and all lanes for kernels.
    input  wire                         act_mask_we,
    input  wire                         act_value_we,
    input  wire [$clog2(COLUMNS)-1:0]   act_column,
    input  wire [3:0]                   act_position,
    input  wire [15:0]                  act_data,
    input  wire                         kernel_half,
    input  wire [FILTERS-1:0]           kernel_mask_we,
    input  wire [FILTERS-1:0]           kernel_value_we,
    input  wire [4*$clog2(STEPS)-1:0]   kernel_chunk,
    input  wire [4*4-1:0]               kernel_position,
    input  wire [4*16-1:0]              kernel_data,
    input  wire                         offset_half,
    input  wire [SUB_WGS-1:0]           offset_we,
    input  wire [$clog2(STEPS)-1:0]     offset_chunk,
    input  wire [$clog2(COLUMNS)-1:0]   offset_data,
    // Drain.
    input  wire [$clog2(FILTERS)+$clog2(PSUMS)-1:0] drain_addr,   // PE, partial sum
    output reg  [31:0]                  drain_sum,
    // Events, per sub-WG.
    output reg  [SUB_WGS*$clog2(FILTERS/SUB_WGS+1)-1:0] products,
    output reg  [SUB_WGS*$clog2(FILTERS/SUB_WGS+1)-1:0] empties
);

    localparam CHUNK_W  = $clog2(STEPS);
    localparam COLUMN_W = $clog2(COLUMNS);
    localparam PSUM_W   = $clog2(PSUMS);
    localparam PE_W     = $clog2(FILTERS);
    localparam JOB_W    = 1 + CHUNK_W + 3 * PSUM_W + 3 * COLUMN_W;
    localparam SUB_Q    = FILTERS / SUB_WGS;
    localparam COUNT_W  = $clog2(SUB_Q + 1);
    localparam GROUPS   = FILTERS / 4;
    localparam [7:0] NUMBER = INDEX;

    // ---- this work group's copies of what is broadcast ---------------------------------------------
    reg  [2*SUB_WGS-1:0]          used_q;
    wire                          rst_q;
    wire [2:0]                    turn_q;
    wire [2*SUB_WGS-1:0]          go_q;
    wire [2*SUB_WGS*JOB_W-1:0]    job_q;
    wire                          act_mask_we_q;
    wire                          act_value_we_q;
    wire [COLUMN_W-1:0]           act_column_q;
    wire [3:0]                    act_position_q;
    wire [15:0]                   act_data_q;
    wire                          kernel_half_q;
    wire [FILTERS-1:0]            kernel_mask_we_q;
    wire [FILTERS-1:0]            kernel_value_we_q;
    wire [4*CHUNK_W-1:0]          kernel_chunk_q;
    wire [4*4-1:0]                kernel_position_q;
    wire [4*16-1:0]               kernel_data_q;
    wire                          offset_half_q;
    wire [SUB_WGS-1:0]            offset_we_q;
    wire [CHUNK_W-1:0]            offset_chunk_q;
    wire [COLUMN_W-1:0]           offset_data_q;
    wire [PE_W+PSUM_W-1:0]        drain_addr_q;

    broadcast_reg #(
        .WIDTH(108 + 3 * SUB_WGS + 2 * SUB_WGS * JOB_W + 2 * COLUMN_W + 2 * FILTERS + 5 * CHUNK_W + PE_W + PSUM_W)
    ) copies (
        .clk(clk),
        .d({rst, turn, go, job, act_mask_we, act_value_we, act_column, act_position, act_data, kernel_half,
            kernel_mask_we, kernel_value_we, kernel_chunk, kernel_position, kernel_data, offset_half, offset_we,
            offset_chunk, offset_data, drain_addr}),
        .q({rst_q, turn_q, go_q, job_q, act_mask_we_q, act_value_we_q, act_column_q, act_position_q, act_data_q,
            kernel_half_q, kernel_mask_we_q, kernel_value_we_q, kernel_chunk_q, kernel_position_q,
            kernel_data_q, offset_half_q, offset_we_q, offset_chunk_q, offset_data_q, drain_addr_q})
    );

    genvar i;
    generate
        for (i = 0; i < 2 * SUB_WGS; i = i + 1) begin : g_used
            always @(posedge clk)
                used_q[i] <= wgs[i*8 +: 8] > NUMBER;
        end
    endgenerate

    // ---- PEs -------------------------------------------------------------------------------------
    wire [2*FILTERS-1:0]      pe_done;
    wire [FILTERS-1:0]        pe_product, pe_empty, sum_valid, sum_first;
    wire [FILTERS*32-1:0]     sum;
    wire [FILTERS*PSUM_W-1:0] sum_psum;

    generate
        for (i = 0; i < FILTERS; i = i + 1) begin : g_pe
            localparam S = i / SUB_Q;
            localparam L = i % 4;
            zena_pe #(
                .ACT_W(ACT_W), .WEIGHT_W(WEIGHT_W), .COLUMNS(COLUMNS), .STEPS(STEPS), .PSUMS(PSUMS)
            ) pe (
                .clk(clk), .rst(rst_q),
                .go(go_q[2*S +: 2]), .used(used_q[2*S +: 2]), .job(job_q[2*S*JOB_W +: 2*JOB_W]),
                .done(pe_done[2*i +: 2]),
                .offset_we(offset_we_q[S]), .offset_waddr({offset_half_q, offset_chunk_q}),
                .offset_wdata(offset_data_q),
                .kernel_mask_we(kernel_mask_we_q[i]), .kernel_value_we(kernel_value_we_q[i]),
                .kernel_chunk({kernel_half_q, kernel_chunk_q[L*CHUNK_W +: CHUNK_W]}),
                .kernel_position(kernel_position_q[L*4 +: 4]), .kernel_data(kernel_data_q[L*16 +: 16]),
                .act_mask_we(act_mask_we_q), .act_value_we(act_value_we_q), .act_column(act_column_q),
                .act_position(act_position_q), .act_data(act_data_q),
                .product(pe_product[i]), .empty(pe_empty[i]),
                .sum_valid(sum_valid[i]), .sum(sum[i*32 +: 32]), .sum_psum(sum_psum[i*PSUM_W +: PSUM_W]),
                .sum_first(sum_first[i])
            );
        end
    endgenerate

    // ---- per sub-WG: barrier and events ------------------------------------------------------------
    genvar j;
    generate
        for (i = 0; i < SUB_WGS; i = i + 1) begin : g_sub_wg
            wire [SUB_Q-1:0]   done_0, done_1;
            wire [COUNT_W-1:0] count_products, count_empties;

            for (j = 0; j < SUB_Q; j = j + 1) begin : g_done
                assign done_0[j] = pe_done[2*(i*SUB_Q+j)];
                assign done_1[j] = pe_done[2*(i*SUB_Q+j)+1];
            end

            popcount #(.WIDTH(SUB_Q)) products_count (.bits(pe_product[i*SUB_Q +: SUB_Q]), .count(count_products));
            popcount #(.WIDTH(SUB_Q)) empties_count (.bits(pe_empty[i*SUB_Q +: SUB_Q]), .count(count_empties));

            always @(posedge clk) begin
                done[2*i]   <= &done_0 || !used_q[2*i];
                done[2*i+1] <= &done_1 || !used_q[2*i+1];
                products[i*COUNT_W +: COUNT_W] <= count_products;
                empties[i*COUNT_W +: COUNT_W]  <= count_empties;
            end
        end
    endgenerate

    // ---- partial sums: four PEs share a memory -----------------------------------------------------
    wire [32*GROUPS-1:0] drained;

    generate
        for (i = 0; i < GROUPS; i = i + 1) begin : g_psums
            zena_psums #(
                .PSUMS(PSUMS)
            ) psums (
                .clk(clk), .rst(rst_q), .turn(turn_q),
                .sum_valid(sum_valid[4*i +: 4]), .sum(sum[4*i*32 +: 4*32]),
                .sum_psum(sum_psum[4*i*PSUM_W +: 4*PSUM_W]), .sum_first(sum_first[4*i +: 4]),
                .drain_addr(drain_addr_q[PSUM_W+1:0]), .drain_data(drained[i*32 +: 32])
            );
        end

        if (GROUPS == 1) begin : g_one
            always @(posedge clk)
                drain_sum <= drained;
        end else begin : g_choose
            wire [PE_W-3:0] group;
            delay #(
                .WIDTH(PE_W - 2), .STAGES(3)
            ) group_delay (
                .clk(clk), .d(drain_addr_q[PSUM_W+2 +: PE_W-2]), .q(group)
            );
            wire [31:0] choices [0:(1<<(PE_W-2))-1];
            for (i = 0; i < (1 << (PE_W - 2)); i = i + 1) begin : g_choice
                if (i < GROUPS) begin : g_group
                    assign choices[i] = drained[i*32 +: 32];
                end else begin : g_none
                    assign choices[i] = 32'd0;
                end
            end
            always @(posedge clk)
                drain_sum <= choices[group];
        end
    endgenerate

endmodule

`default_nettype wire
