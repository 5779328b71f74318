// axi3_axil_bridge: from the processor's general-purpose AXI3 port to the registers of engine and DMA.
// Purpose: the slave side takes bursts of 1 to 16 words (FIXED or INCR) with any ID, one read and one write at a time;
//          each word becomes one AXI4-Lite access to the port whose address range it lies in.
//          Rules: 1. every burst is answered with its own ID; a read in as many words as were asked for, RLAST with the
//          last; a write once, after its last word.  2. Nothing at an address: DECERR.  3. A word with some but not all
//          byte strobes, or a WRAP burst: SLVERR, and the registers stay as they are; no strobes at all: no access.
//          4. A write's response is the worst of its words'.
// Licence: MIT.
// Timing: all outputs are functions of registers; a word takes 3 cycles and what the register block needs.
// Addresses: docs/registers.md.
`default_nettype none

`include "zeroskip_defs.vh"

module axi3_axil_bridge (
    input  wire        clk,
    input  wire        rst,

    input  wire [11:0] s_axi_awid,
    input  wire [31:0] s_axi_awaddr,
    input  wire [3:0]  s_axi_awlen,
    input  wire [1:0]  s_axi_awsize,
    input  wire [1:0]  s_axi_awburst,
    input  wire        s_axi_awvalid,
    output wire        s_axi_awready,
    input  wire [31:0] s_axi_wdata,
    input  wire [3:0]  s_axi_wstrb,
    input  wire        s_axi_wvalid,
    output wire        s_axi_wready,
    output wire [11:0] s_axi_bid,
    output wire [1:0]  s_axi_bresp,
    output wire        s_axi_bvalid,
    input  wire        s_axi_bready,
    input  wire [11:0] s_axi_arid,
    input  wire [31:0] s_axi_araddr,
    input  wire [3:0]  s_axi_arlen,
    input  wire [1:0]  s_axi_arsize,
    input  wire [1:0]  s_axi_arburst,
    input  wire        s_axi_arvalid,
    output wire        s_axi_arready,
    output wire [11:0] s_axi_rid,
    output wire [31:0] s_axi_rdata,
    output wire [1:0]  s_axi_rresp,
    output wire        s_axi_rlast,
    output wire        s_axi_rvalid,
    input  wire        s_axi_rready,

    // Two register blocks: address and data are common, [0] is the engine, [1] the DMA.
    output wire [7:0]  m_axil_awaddr,
    output wire [1:0]  m_axil_awvalid,
    input  wire [1:0]  m_axil_awready,
    output wire [31:0] m_axil_wdata,
    output wire [1:0]  m_axil_wvalid,
    input  wire [1:0]  m_axil_wready,
    input  wire [3:0]  m_axil_bresp,
    input  wire [1:0]  m_axil_bvalid,
    output wire [1:0]  m_axil_bready,
    output wire [7:0]  m_axil_araddr,
    output wire [1:0]  m_axil_arvalid,
    input  wire [1:0]  m_axil_arready,
    input  wire [63:0] m_axil_rdata,
    input  wire [3:0]  m_axil_rresp,
    input  wire [1:0]  m_axil_rvalid,
    output wire [1:0]  m_axil_rready
);

    localparam [1:0] OKAY = 2'd0, SLVERR = 2'd2, DECERR = 2'd3, FIXED = 2'd0, WRAP = 2'd2;
    localparam [1:0] ADDRESS = 2'd0, WORD = 2'd1, ACCESS = 2'd2, ANSWER = 2'd3;

    // ---- write: ADDRESS, then WORD and ACCESS for every word, then ANSWER ------------------------
    reg  [1:0]  w_state;
    reg  [11:0] w_id;
    reg  [31:0] w_addr, w_data;
    reg  [3:0]  w_left;
    reg  [1:0]  w_size, w_resp, w_port;   // w_port: one bit per register block, none if nothing is there
    reg         w_fixed, w_refuse, w_aw, w_w;

    wire        w_answered = |(w_port & m_axil_bvalid);
    wire [1:0]  w_answer = (w_port[0] ? m_axil_bresp[1:0] : OKAY) | (w_port[1] ? m_axil_bresp[3:2] : OKAY);
    wire [1:0]  w_found = {(w_addr & ~(`ZS_DMA_RANGE - 32'd1)) == `ZS_DMA_BASE,
                           (w_addr & ~(`ZS_ENGINE_RANGE - 32'd1)) == `ZS_ENGINE_BASE};
    wire        w_partial = s_axi_wstrb != 4'h0 && s_axi_wstrb != 4'hF;

    assign s_axi_awready  = w_state == ADDRESS && !rst;
    assign s_axi_wready   = w_state == WORD;
    assign s_axi_bvalid   = w_state == ANSWER;
    assign s_axi_bid      = w_id;
    assign s_axi_bresp    = w_resp;
    assign m_axil_awaddr  = w_addr[7:0];
    assign m_axil_wdata   = w_data;
    assign m_axil_awvalid = w_port & {2{w_aw}};
    assign m_axil_wvalid  = w_port & {2{w_w}};
    assign m_axil_bready  = (w_state == ACCESS) ? w_port : 2'b00;

    always @(posedge clk) begin
        case (w_state)
            ADDRESS: begin
                w_id     <= s_axi_awid;
                w_addr   <= s_axi_awaddr;
                w_left   <= s_axi_awlen;
                w_size   <= s_axi_awsize;
                w_fixed  <= s_axi_awburst == FIXED;
                w_refuse <= s_axi_awburst == WRAP;
                w_resp   <= (s_axi_awburst == WRAP) ? SLVERR : OKAY;
                if (s_axi_awvalid)
                    w_state <= WORD;
            end
            WORD: begin
                w_data <= s_axi_wdata;
                if (s_axi_wvalid) begin
                    w_state <= ACCESS;
                    w_aw    <= 1'b1;
                    w_w     <= 1'b1;
                    w_port  <= (w_refuse || s_axi_wstrb != 4'hF) ? 2'b00 : w_found;
                    if (w_partial)
                        w_resp <= w_resp | SLVERR;
                    if (w_found == 2'b00)
                        w_resp <= w_resp | DECERR;
                end
            end
            ACCESS: begin
                if (|(w_port & m_axil_awready))
                    w_aw <= 1'b0;
                if (|(w_port & m_axil_wready))
                    w_w <= 1'b0;
                if (w_answered)
                    w_resp <= w_resp | w_answer;
                if (w_answered || w_port == 2'b00) begin
                    w_state <= (w_left == 4'd0) ? ANSWER : WORD;
                    w_left  <= w_left - 4'd1;
                    if (!w_fixed)
                        w_addr <= w_addr + (32'd1 << w_size);
                end
            end
            default:
                if (s_axi_bready)
                    w_state <= ADDRESS;
        endcase
        if (rst) begin
            w_state <= ADDRESS;
            w_port  <= 2'b00;
        end
    end

    // ---- read: ADDRESS, then WORD (find the port), ACCESS and ANSWER for every word --------------
    reg  [1:0]  r_state;
    reg  [11:0] r_id;
    reg  [31:0] r_addr, r_data;
    reg  [3:0]  r_left;
    reg  [1:0]  r_size, r_resp, r_port;
    reg         r_fixed, r_refuse, r_ar;

    wire        r_answered = |(r_port & m_axil_rvalid);
    wire [1:0]  r_found = {(r_addr & ~(`ZS_DMA_RANGE - 32'd1)) == `ZS_DMA_BASE,
                           (r_addr & ~(`ZS_ENGINE_RANGE - 32'd1)) == `ZS_ENGINE_BASE};

    assign s_axi_arready  = r_state == ADDRESS && !rst;
    assign s_axi_rvalid   = r_state == ANSWER;
    assign s_axi_rid      = r_id;
    assign s_axi_rdata    = r_data;
    assign s_axi_rresp    = r_resp;
    assign s_axi_rlast    = r_left == 4'd0;
    assign m_axil_araddr  = r_addr[7:0];
    assign m_axil_arvalid = r_port & {2{r_ar}};
    assign m_axil_rready  = (r_state == ACCESS) ? r_port : 2'b00;

    always @(posedge clk) begin
        case (r_state)
            ADDRESS: begin
                r_id     <= s_axi_arid;
                r_addr   <= s_axi_araddr;
                r_left   <= s_axi_arlen;
                r_size   <= s_axi_arsize;
                r_fixed  <= s_axi_arburst == FIXED;
                r_refuse <= s_axi_arburst == WRAP;
                if (s_axi_arvalid)
                    r_state <= WORD;
            end
            WORD: begin
                r_state <= ACCESS;
                r_ar    <= 1'b1;
                r_port  <= r_refuse ? 2'b00 : r_found;
                r_resp  <= r_refuse ? SLVERR : (r_found == 2'b00) ? DECERR : OKAY;
                r_data  <= 32'd0;
            end
            ACCESS: begin
                if (|(r_port & m_axil_arready))
                    r_ar <= 1'b0;
                if (r_answered) begin
                    r_data <= r_port[0] ? m_axil_rdata[31:0] : m_axil_rdata[63:32];
                    r_resp <= r_port[0] ? m_axil_rresp[1:0] : m_axil_rresp[3:2];
                end
                if (r_answered || r_port == 2'b00)
                    r_state <= ANSWER;
            end
            default:
                if (s_axi_rready) begin
                    r_state <= (r_left == 4'd0) ? ADDRESS : WORD;
                    r_left  <= r_left - 4'd1;
                    if (!r_fixed)
                        r_addr <= r_addr + (32'd1 << r_size);
                end
        endcase
        if (rst) begin
            r_state <= ADDRESS;
            r_port  <= 2'b00;
        end
    end

endmodule

`default_nettype wire
