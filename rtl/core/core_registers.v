// core_registers: the register block of an engine.
// Purpose: identification and geometry (so that software refuses a stale build), reset and clear, status, counters.
// Licence: MIT.
// Timing: engine_rst is held for 32 cycles after a reset command, long enough to empty every pipeline.
// Register map: docs/registers.md.
`default_nettype none

`include "zeroskip_defs.vh"

module core_registers #(
    parameter        LANES       = 8,
    parameter        FILTERS     = 1,
    parameter        WGS         = 2,
    parameter        MUX         = 8,
    parameter        ACT_W       = 9,
    parameter        COLUMNS     = 512,
    parameter        STEPS       = 256,
    parameter        SCAN        = 4,
    parameter        ENGINE      = 1,
    parameter        WEIGHT_W    = 8,
    parameter        SUB_WGS     = 1,
    parameter        PSUMS       = 64,
    parameter        STEALING    = 0,
    parameter        JOBS        = 2,
    parameter [31:0] CONFIG_HASH = 32'd0
) (
    input  wire        clk,
    input  wire        rst,
    input  wire [7:0]  s_axil_awaddr,
    input  wire        s_axil_awvalid,
    output wire        s_axil_awready,
    input  wire [31:0] s_axil_wdata,
    input  wire [3:0]  s_axil_wstrb,
    input  wire        s_axil_wvalid,
    output wire        s_axil_wready,
    output wire [1:0]  s_axil_bresp,
    output wire        s_axil_bvalid,
    input  wire        s_axil_bready,
    input  wire [7:0]  s_axil_araddr,
    input  wire        s_axil_arvalid,
    output wire        s_axil_arready,
    output wire [31:0] s_axil_rdata,
    output wire [1:0]  s_axil_rresp,
    output wire        s_axil_rvalid,
    input  wire        s_axil_rready,
    output reg         engine_rst,
    output reg         clear,
    input  wire [31:0] status,
    input  wire [`ZS_COUNTERS*32-1:0] counts
);

    localparam COLUMN_W = $clog2(COLUMNS);
    localparam STEP_W   = $clog2(STEPS);
    localparam PSUM_W   = $clog2(PSUMS);

    wire        write_en;
    wire [7:0]  write_addr, read_addr;
    wire [31:0] write_data;
    wire [31:0] read_data;
    reg  [4:0]  hold;          // cycles the reset still lasts

    wire unused_bits = &{1'b0, write_data[31:2], read_addr[1:0]};

    axil_slave #(
        .ADDR_W(8)
    ) slave (
        .clk(clk), .rst(rst),
        .write_en(write_en), .write_addr(write_addr), .write_data(write_data),
        .read_addr(read_addr), .read_data(read_data),
        .s_axil_awaddr(s_axil_awaddr), .s_axil_awvalid(s_axil_awvalid), .s_axil_awready(s_axil_awready),
        .s_axil_wdata(s_axil_wdata), .s_axil_wstrb(s_axil_wstrb), .s_axil_wvalid(s_axil_wvalid),
        .s_axil_wready(s_axil_wready),
        .s_axil_bresp(s_axil_bresp), .s_axil_bvalid(s_axil_bvalid), .s_axil_bready(s_axil_bready),
        .s_axil_araddr(s_axil_araddr), .s_axil_arvalid(s_axil_arvalid), .s_axil_arready(s_axil_arready),
        .s_axil_rdata(s_axil_rdata), .s_axil_rresp(s_axil_rresp), .s_axil_rvalid(s_axil_rvalid),
        .s_axil_rready(s_axil_rready)
    );

    wire control = write_en && write_addr == `ZS_REG_CONTROL;

    always @(posedge clk) begin
        clear      <= (control && (write_data[`ZS_CONTROL_CLEAR_LSB] || write_data[`ZS_CONTROL_RESET_LSB])) || rst;
        engine_rst <= rst || hold != 5'd0;
        if (rst || (control && write_data[`ZS_CONTROL_RESET_LSB]))
            hold <= 5'd31;
        else if (hold != 5'd0)
            hold <= hold - 5'd1;
    end

    // ---- read: one wide multiplexer of words -----------------------------------------------------
    localparam FIRST = `ZS_REG_CYCLES / 4;

    wire [31:0] word [0:63];
    assign read_data = word[read_addr[7:2]];

    assign word[`ZS_REG_ID / 4]          = `ZS_ID_VALUE;
    assign word[`ZS_REG_VERSION / 4]     = `ZS_VERSION_VALUE;
    assign word[`ZS_REG_CONFIG_HASH / 4] = CONFIG_HASH;
    assign word[`ZS_REG_CONFIG0 / 4]     = {MUX[7:0], WGS[7:0], FILTERS[7:0], LANES[7:0]};
    assign word[`ZS_REG_CONFIG1 / 4]     = {ENGINE[3:0], SCAN[3:0], STEP_W[7:0], COLUMN_W[7:0], ACT_W[7:0]};
    assign word[`ZS_REG_CONFIG2 / 4]     = {JOBS[3:0], 3'd0, STEALING[0], PSUM_W[7:0], SUB_WGS[7:0], WEIGHT_W[7:0]};
    assign word[`ZS_REG_CONTROL / 4]     = 32'd0;
    assign word[`ZS_REG_STATUS / 4]      = status;

    genvar i;
    generate
        for (i = 8; i < 64; i = i + 1) begin : g_word
            if (i >= FIRST && i < FIRST + `ZS_COUNTERS) begin : g_counter
                assign word[i] = counts[(i - FIRST)*32 +: 32];
            end else begin : g_nothing
                assign word[i] = 32'd0;
            end
        end
    endgenerate

endmodule

`default_nettype wire
