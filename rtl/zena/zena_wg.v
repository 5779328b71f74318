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
    parameter PSUMS    = 64,  // per PE
    parameter JOB_PSUMS = 64, // that jobs can name: PSUMS, or SUB_WGS times as many if the sub-WGs share them
    parameter JOBS     = 3,   // slots of a sub-WG
    parameter INDEX    = 0    // number of this work group
) (
    input  wire                         clk,
    input  wire                         rst,
    input  wire [2:0]                   turn,
    // Slots of every sub-WG, one sub-WG after the other.
    input  wire [JOBS*SUB_WGS-1:0]      go,
    input  wire [JOBS*SUB_WGS*8-1:0]    wgs,      // work groups each job uses
    input  wire [JOBS*SUB_WGS*(1+$clog2(STEPS)+3*$clog2(JOB_PSUMS)+3*$clog2(COLUMNS))-1:0] job,
    output reg  [JOBS*SUB_WGS-1:0]      done,
    // Write bus: the lane with this work group's activations, and all lanes for kernels.
    input  wire                         act_mask_we,
    input  wire                         act_value_we,
    input  wire [$clog2(COLUMNS)-1:0]   act_column,
    input  wire [3:0]                   act_position,
    input  wire [15:0]                  act_data,
    input  wire [$clog2(JOBS)-1:0]      kernel_slot,
    input  wire [FILTERS-1:0]           kernel_mask_we,
    input  wire [FILTERS-1:0]           kernel_value_we,
    input  wire [4*$clog2(STEPS)-1:0]   kernel_chunk,
    input  wire [4*4-1:0]               kernel_position,
    input  wire [4*16-1:0]              kernel_data,
    input  wire [$clog2(JOBS)-1:0]      offset_slot,
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
    localparam PSUM_W   = $clog2(JOB_PSUMS);
    localparam PE_W     = $clog2(FILTERS) + $clog2(PSUMS) - PSUM_W;
    localparam JOB_W    = 1 + CHUNK_W + 3 * PSUM_W + 3 * COLUMN_W;
    localparam SLOT_W   = $clog2(JOBS);
    localparam SLOTS    = JOBS * SUB_WGS;
    localparam SUB_Q    = FILTERS / SUB_WGS;
    localparam COUNT_W  = $clog2(SUB_Q + 1);
    localparam GROUPS   = FILTERS / 4;
    localparam OWNERS   = 4 * PSUMS / JOB_PSUMS;      // PEs of a sub-WG that share a memory of partial sums
    localparam OWNERS_W  = $clog2(OWNERS);
    localparam [7:0] NUMBER = INDEX;

    // ---- this work group's copies of what is broadcast ---------------------------------------------
    reg  [SLOTS-1:0]              used_q;
    wire                          rst_q;
    wire [2:0]                    turn_q;
    wire [SLOTS-1:0]              go_q;
    wire [SLOTS*JOB_W-1:0]        job_q;
    wire                          act_mask_we_q;
    wire                          act_value_we_q;
    wire [COLUMN_W-1:0]           act_column_q;
    wire [3:0]                    act_position_q;
    wire [15:0]                   act_data_q;
    wire [SLOT_W-1:0]             kernel_slot_q;
    wire [FILTERS-1:0]            kernel_mask_we_q;
    wire [FILTERS-1:0]            kernel_value_we_q;
    wire [4*CHUNK_W-1:0]          kernel_chunk_q;
    wire [4*4-1:0]                kernel_position_q;
    wire [4*16-1:0]               kernel_data_q;
    wire [SLOT_W-1:0]             offset_slot_q;
    wire [SUB_WGS-1:0]            offset_we_q;
    wire [CHUNK_W-1:0]            offset_chunk_q;
    wire [COLUMN_W-1:0]           offset_data_q;
    wire [PE_W+PSUM_W-1:0]        drain_addr_q;

    broadcast_reg #(
        .WIDTH(106 + 2 * SLOT_W + SUB_WGS + SLOTS * (1 + JOB_W) + 2 * COLUMN_W + 2 * FILTERS + 5 * CHUNK_W + PE_W
               + PSUM_W)
    ) copies (
        .clk(clk),
        .d({rst, turn, go, job, act_mask_we, act_value_we, act_column, act_position, act_data, kernel_slot,
            kernel_mask_we, kernel_value_we, kernel_chunk, kernel_position, kernel_data, offset_slot, offset_we,
            offset_chunk, offset_data, drain_addr}),
        .q({rst_q, turn_q, go_q, job_q, act_mask_we_q, act_value_we_q, act_column_q, act_position_q, act_data_q,
            kernel_slot_q, kernel_mask_we_q, kernel_value_we_q, kernel_chunk_q, kernel_position_q,
            kernel_data_q, offset_slot_q, offset_we_q, offset_chunk_q, offset_data_q, drain_addr_q})
    );

    genvar i;
    generate
        for (i = 0; i < SLOTS; i = i + 1) begin : g_used
            always @(posedge clk)
                used_q[i] <= wgs[i*8 +: 8] > NUMBER;
        end
    endgenerate

    // ---- PEs -------------------------------------------------------------------------------------
    wire [JOBS*FILTERS-1:0]   pe_done;
    wire [FILTERS-1:0]        pe_product, pe_empty, sum_valid, sum_first;
    wire [FILTERS*32-1:0]     sum;
    wire [FILTERS*PSUM_W-1:0] sum_psum;

    generate
        for (i = 0; i < FILTERS; i = i + 1) begin : g_pe
            localparam S = i / SUB_Q;
            localparam L = i % 4;
            zena_pe #(
                .ACT_W(ACT_W), .WEIGHT_W(WEIGHT_W), .COLUMNS(COLUMNS), .STEPS(STEPS), .PSUMS(JOB_PSUMS), .JOBS(JOBS)
            ) pe (
                .clk(clk), .rst(rst_q),
                .go(go_q[JOBS*S +: JOBS]), .used(used_q[JOBS*S +: JOBS]), .job(job_q[JOBS*S*JOB_W +: JOBS*JOB_W]),
                .done(pe_done[JOBS*i +: JOBS]),
                .offset_we(offset_we_q[S]), .offset_waddr({offset_slot_q, offset_chunk_q}),
                .offset_wdata(offset_data_q),
                .kernel_mask_we(kernel_mask_we_q[i]), .kernel_value_we(kernel_value_we_q[i]),
                .kernel_chunk({kernel_slot_q, kernel_chunk_q[L*CHUNK_W +: CHUNK_W]}),
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
    genvar j, k;
    generate
        for (i = 0; i < SUB_WGS; i = i + 1) begin : g_sub_wg
            wire [COUNT_W-1:0] count_products, count_empties;

            for (j = 0; j < JOBS; j = j + 1) begin : g_done
                wire [SUB_Q-1:0] bits;
                for (k = 0; k < SUB_Q; k = k + 1) begin : g_pe_done
                    assign bits[k] = pe_done[(i*SUB_Q+k)*JOBS + j];
                end
                always @(posedge clk)
                    done[i*JOBS+j] <= &bits || !used_q[i*JOBS+j];
            end

            popcount #(.WIDTH(SUB_Q)) products_count (.bits(pe_product[i*SUB_Q +: SUB_Q]), .count(count_products));
            popcount #(.WIDTH(SUB_Q)) empties_count (.bits(pe_empty[i*SUB_Q +: SUB_Q]), .count(count_empties));

            always @(posedge clk) begin
                products[i*COUNT_W +: COUNT_W] <= count_products;
                empties[i*COUNT_W +: COUNT_W]  <= count_empties;
            end
        end
    endgenerate

    // ---- partial sums: four PEs share a memory, those that may do the same jobs share their place in it ----
    wire [32*GROUPS-1:0] drained;

    generate
        for (i = 0; i < GROUPS; i = i + 1) begin : g_psums
            wire [3:0]          four_valid, four_first;
            wire [4*32-1:0]     four_sum;
            wire [4*PSUM_W-1:0] four_psum;

            for (j = 0; j < 4; j = j + 1) begin : g_four
                localparam PE = (j / OWNERS) * SUB_Q + i * OWNERS + j % OWNERS;
                assign four_valid[j]                  = sum_valid[PE];
                assign four_first[j]                  = sum_first[PE];
                assign four_sum[j*32 +: 32]           = sum[PE*32 +: 32];
                assign four_psum[j*PSUM_W +: PSUM_W]  = sum_psum[PE*PSUM_W +: PSUM_W];
            end

            zena_psums #(
                .OWNERS(OWNERS), .PSUMS(JOB_PSUMS)
            ) psums (
                .clk(clk), .rst(rst_q), .turn(turn_q),
                .sum_valid(four_valid), .sum(four_sum), .sum_psum(four_psum), .sum_first(four_first),
                .drain_addr(drain_addr_q[PSUM_W+OWNERS_W-1:0]), .drain_data(drained[i*32 +: 32])
            );
        end

        if (GROUPS == 1) begin : g_one
            always @(posedge clk)
                drain_sum <= drained;
        end else begin : g_choose
            localparam GROUP_W = PE_W - OWNERS_W;
            wire [GROUP_W-1:0] group;
            delay #(
                .WIDTH(GROUP_W), .STAGES(3)
            ) group_delay (
                .clk(clk), .d(drain_addr_q[PSUM_W+OWNERS_W +: GROUP_W]), .q(group)
            );
            wire [31:0] choices [0:(1<<GROUP_W)-1];
            for (i = 0; i < (1 << GROUP_W); i = i + 1) begin : g_choice
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
