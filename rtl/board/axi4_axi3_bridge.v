// axi4_axi3_bridge: from the DMA's AXI4 master to a high-performance AXI3 port of the processing system.
// Purpose: what AXI3 has besides AXI4's signals: four-bit lengths (the DMA's bursts have at most 16 words), a write ID
//          with every word.  One ID, so the port answers in order.  Cacheable as a Xilinx AXI DMA asks for: modifiable
//          and bufferable, not allocated; the port is not coherent, the driver flushes and invalidates.
// Licence: MIT.
// Timing: wires only.
`default_nettype none

module axi4_axi3_bridge (
    input  wire [31:0] s_axi_araddr,
    input  wire [7:0]  s_axi_arlen,
    input  wire [2:0]  s_axi_arsize,
    input  wire [1:0]  s_axi_arburst,
    input  wire [31:0] s_axi_awaddr,
    input  wire [7:0]  s_axi_awlen,
    input  wire [2:0]  s_axi_awsize,
    input  wire [1:0]  s_axi_awburst,

    output wire [5:0]  m_axi_arid,
    output wire [31:0] m_axi_araddr,
    output wire [3:0]  m_axi_arlen,
    output wire [1:0]  m_axi_arsize,
    output wire [1:0]  m_axi_arburst,
    output wire [1:0]  m_axi_arlock,
    output wire [3:0]  m_axi_arcache,
    output wire [2:0]  m_axi_arprot,
    output wire [3:0]  m_axi_arqos,
    output wire [5:0]  m_axi_awid,
    output wire [31:0] m_axi_awaddr,
    output wire [3:0]  m_axi_awlen,
    output wire [1:0]  m_axi_awsize,
    output wire [1:0]  m_axi_awburst,
    output wire [1:0]  m_axi_awlock,
    output wire [3:0]  m_axi_awcache,
    output wire [2:0]  m_axi_awprot,
    output wire [3:0]  m_axi_awqos,
    output wire [5:0]  m_axi_wid
);

    wire unused_bits = &{1'b0, s_axi_arlen[7:4], s_axi_awlen[7:4], s_axi_arsize[2], s_axi_awsize[2]};

    assign m_axi_arid    = 6'd0;
    assign m_axi_araddr  = s_axi_araddr;
    assign m_axi_arlen   = s_axi_arlen[3:0];
    assign m_axi_arsize  = s_axi_arsize[1:0];
    assign m_axi_arburst = s_axi_arburst;
    assign m_axi_arlock  = 2'd0;
    assign m_axi_arcache = 4'b0011;
    assign m_axi_arprot  = 3'd0;
    assign m_axi_arqos   = 4'd0;
    assign m_axi_awid    = 6'd0;
    assign m_axi_awaddr  = s_axi_awaddr;
    assign m_axi_awlen   = s_axi_awlen[3:0];
    assign m_axi_awsize  = s_axi_awsize[1:0];
    assign m_axi_awburst = s_axi_awburst;
    assign m_axi_awlock  = 2'd0;
    assign m_axi_awcache = 4'b0011;
    assign m_axi_awprot  = 3'd0;
    assign m_axi_awqos   = 4'd0;
    assign m_axi_wid     = 6'd0;

endmodule

`default_nettype wire
