// PS7: behavioural stand-in for the Zynq-7000 processing system primitive, with the ports that zeroskip_board connects.
// Purpose: clock, reset, the master port GP0 (AXI3, single words, a new ID for every access) and the slave port HP0.
//          What the processor and the memory do comes from the test bench, which connects the signals named host_* and
//          memory_* by hierarchical reference (zeroskip_board_sim.v).
// Licence: MIT.
// Timing: wires, and the IDs' counter; an answer with another ID than asked for is never seen by the processor.
`default_nettype none

module PS7 (
    output wire [3:0]  FCLKCLK,
    output wire [3:0]  FCLKRESETN,
    input  wire [19:0] IRQF2P,

    input  wire        MAXIGP0ACLK,
    output wire [11:0] MAXIGP0AWID,
    output wire [31:0] MAXIGP0AWADDR,
    output wire [3:0]  MAXIGP0AWLEN,
    output wire [1:0]  MAXIGP0AWSIZE,
    output wire [1:0]  MAXIGP0AWBURST,
    output wire        MAXIGP0AWVALID,
    input  wire        MAXIGP0AWREADY,
    output wire [31:0] MAXIGP0WDATA,
    output wire [3:0]  MAXIGP0WSTRB,
    output wire        MAXIGP0WVALID,
    input  wire        MAXIGP0WREADY,
    input  wire [11:0] MAXIGP0BID,
    input  wire [1:0]  MAXIGP0BRESP,
    input  wire        MAXIGP0BVALID,
    output wire        MAXIGP0BREADY,
    output wire [11:0] MAXIGP0ARID,
    output wire [31:0] MAXIGP0ARADDR,
    output wire [3:0]  MAXIGP0ARLEN,
    output wire [1:0]  MAXIGP0ARSIZE,
    output wire [1:0]  MAXIGP0ARBURST,
    output wire        MAXIGP0ARVALID,
    input  wire        MAXIGP0ARREADY,
    input  wire [11:0] MAXIGP0RID,
    input  wire [31:0] MAXIGP0RDATA,
    input  wire [1:0]  MAXIGP0RRESP,
    input  wire        MAXIGP0RLAST,
    input  wire        MAXIGP0RVALID,
    output wire        MAXIGP0RREADY,

    input  wire        SAXIHP0ACLK,
    input  wire        SAXIHP0RDISSUECAP1EN,
    input  wire        SAXIHP0WRISSUECAP1EN,
    input  wire [5:0]  SAXIHP0ARID,
    input  wire [31:0] SAXIHP0ARADDR,
    input  wire [3:0]  SAXIHP0ARLEN,
    input  wire [1:0]  SAXIHP0ARSIZE,
    input  wire [1:0]  SAXIHP0ARBURST,
    input  wire [1:0]  SAXIHP0ARLOCK,
    input  wire [3:0]  SAXIHP0ARCACHE,
    input  wire [2:0]  SAXIHP0ARPROT,
    input  wire [3:0]  SAXIHP0ARQOS,
    input  wire        SAXIHP0ARVALID,
    output wire        SAXIHP0ARREADY,
    output wire [63:0] SAXIHP0RDATA,
    output wire [1:0]  SAXIHP0RRESP,
    output wire        SAXIHP0RLAST,
    output wire        SAXIHP0RVALID,
    input  wire        SAXIHP0RREADY,
    input  wire [5:0]  SAXIHP0AWID,
    input  wire [31:0] SAXIHP0AWADDR,
    input  wire [3:0]  SAXIHP0AWLEN,
    input  wire [1:0]  SAXIHP0AWSIZE,
    input  wire [1:0]  SAXIHP0AWBURST,
    input  wire [1:0]  SAXIHP0AWLOCK,
    input  wire [3:0]  SAXIHP0AWCACHE,
    input  wire [2:0]  SAXIHP0AWPROT,
    input  wire [3:0]  SAXIHP0AWQOS,
    input  wire        SAXIHP0AWVALID,
    output wire        SAXIHP0AWREADY,
    input  wire [5:0]  SAXIHP0WID,
    input  wire [63:0] SAXIHP0WDATA,
    input  wire [7:0]  SAXIHP0WSTRB,
    input  wire        SAXIHP0WLAST,
    input  wire        SAXIHP0WVALID,
    output wire        SAXIHP0WREADY,
    output wire [1:0]  SAXIHP0BRESP,
    output wire        SAXIHP0BVALID,
    input  wire        SAXIHP0BREADY
);

    // ---- the processor: an AXI4-Lite master with 32-bit addresses --------------------------------
    wire        host_clk, host_rst;
    wire [31:0] host_awaddr, host_wdata, host_araddr;
    wire        host_awvalid, host_wvalid, host_bready, host_arvalid, host_rready;
    // IDs of the accesses: any, and different from one to the next.
    reg  [11:0] write_id, read_id;
    wire        host_bvalid = MAXIGP0BVALID && MAXIGP0BID == write_id;
    wire        host_rvalid = MAXIGP0RVALID && MAXIGP0RID == read_id && MAXIGP0RLAST;

    always @(posedge MAXIGP0ACLK) begin
        if (MAXIGP0BVALID && MAXIGP0BREADY)
            write_id <= write_id + 12'h9D7;
        if (MAXIGP0RVALID && MAXIGP0RREADY)
            read_id <= read_id + 12'h6B5;
        if (host_rst) begin
            write_id <= 12'h5A1;
            read_id  <= 12'h0C3;
        end
    end

    assign FCLKCLK = {3'd0, host_clk};
    assign FCLKRESETN = {3'd0, ~host_rst};
    assign MAXIGP0AWID = write_id;
    assign MAXIGP0AWADDR = host_awaddr;
    assign MAXIGP0AWLEN = 4'd0;
    assign MAXIGP0AWSIZE = 2'd2;
    assign MAXIGP0AWBURST = 2'd1;
    assign MAXIGP0AWVALID = host_awvalid;
    assign MAXIGP0WDATA = host_wdata;
    assign MAXIGP0WSTRB = 4'hF;
    assign MAXIGP0WVALID = host_wvalid;
    assign MAXIGP0BREADY = host_bready;
    assign MAXIGP0ARID = read_id;
    assign MAXIGP0ARADDR = host_araddr;
    assign MAXIGP0ARLEN = 4'd0;
    assign MAXIGP0ARSIZE = 2'd2;
    assign MAXIGP0ARBURST = 2'd1;
    assign MAXIGP0ARVALID = host_arvalid;
    assign MAXIGP0RREADY = host_rready;

    // ---- the memory behind HP0 -------------------------------------------------------------------
    wire        memory_arready, memory_rlast, memory_rvalid, memory_awready, memory_wready, memory_bvalid;
    wire [63:0] memory_rdata;
    wire [1:0]  memory_rresp, memory_bresp;
    // A word of another write than the one announced, or an exclusive access, is no access at all.
    wire        memory_wvalid = SAXIHP0WVALID && SAXIHP0WID == SAXIHP0AWID;
    wire        memory_awvalid = SAXIHP0AWVALID && SAXIHP0AWLOCK == 2'd0;
    wire        memory_arvalid = SAXIHP0ARVALID && SAXIHP0ARLOCK == 2'd0;

    assign SAXIHP0ARREADY = memory_arready;
    assign SAXIHP0RDATA = memory_rdata;
    assign SAXIHP0RRESP = memory_rresp;
    assign SAXIHP0RLAST = memory_rlast;
    assign SAXIHP0RVALID = memory_rvalid;
    assign SAXIHP0AWREADY = memory_awready;
    assign SAXIHP0WREADY = memory_wready;
    assign SAXIHP0BRESP = memory_bresp;
    assign SAXIHP0BVALID = memory_bvalid;

    wire unused_ok = &{1'b0, SAXIHP0ACLK, SAXIHP0RDISSUECAP1EN, SAXIHP0WRISSUECAP1EN, SAXIHP0ARID,
                       SAXIHP0ARCACHE, SAXIHP0ARPROT, SAXIHP0ARQOS, SAXIHP0AWCACHE, SAXIHP0AWPROT, SAXIHP0AWQOS,
                       SAXIHP0RREADY, SAXIHP0BREADY, IRQF2P[19:2]};

endmodule

`default_nettype wire
