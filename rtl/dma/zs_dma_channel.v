// zs_dma_channel: registers of one DMA channel (DMACR, DMASR, address, LENGTH) as in AXI DMA direct register mode (PG021).
// Purpose: what software sees of a channel, and the rules when a transfer may start; the mover behind it moves the data.
// Licence: MIT.
// Timing: a write takes effect at the end of its cycle; `start` is a one-cycle registered pulse in the cycle after the write of LENGTH.
// LENGTH or an address that is zero or not a whole number of 64-bit words is DMAIntErr.  Any error clears run/stop; only a reset leads out.
`default_nettype none

module zs_dma_channel (
    input  wire        clk,
    input  wire        rst,

    input  wire        write_en,
    input  wire [5:2]  write_addr,
    input  wire [31:0] write_data,
    input  wire        write_whole,   // as a length: more than zero, and whole 64-bit words
    input  wire [5:2]  read_addr,
    output reg  [31:0] read_data,

    // Reset of the whole DMA: requested by either channel, lasts until both movers are quiet.
    output wire        reset_request,
    input  wire        resetting,

    output wire        start,
    output wire        stop,
    output wire [31:3] address,
    output wire [25:3] length,
    input  wire        active,
    input  wire        done,
    input  wire        err_int,
    input  wire        err_slv,
    input  wire        err_dec,
    input  wire [25:0] length_read,
    output wire        introut
);

localparam [3:0] DMACR = 4'h0, DMASR = 4'h1, ADDRESS = 4'h6, LENGTH = 4'hA;

reg        run_reg;
reg        ioc_irq_en_reg;
reg        err_irq_en_reg;
reg        idle_reg;
reg        err_int_reg;
reg        err_slv_reg;
reg        err_dec_reg;
reg        ioc_irq_reg;
reg        err_irq_reg;
reg        start_reg;
reg [31:0] address_reg;
reg [25:3] length_reg;

wire ready = run_reg && !active && !start_reg && !done && !resetting;
wire write_length = write_en && write_addr == LENGTH && ready;
wire legal = write_whole && address_reg[2:0] == 3'd0;
wire error = err_int || err_slv || err_dec || (write_length && !legal);
wire error_held = err_int_reg || err_slv_reg || err_dec_reg;

assign reset_request = write_en && write_addr == DMACR && write_data[2];
assign start = start_reg;
assign stop = !run_reg || resetting;
assign address = address_reg[31:3];
assign length = length_reg;
assign introut = (ioc_irq_reg && ioc_irq_en_reg) || (err_irq_reg && err_irq_en_reg);

always @* begin
    case (read_addr)
        // Bit 1 and the interrupt threshold of 1 read as in the original.
        DMACR: read_data = {8'd0, 8'd1, 1'b0, err_irq_en_reg, 1'b0, ioc_irq_en_reg, 9'd0, resetting, 1'b1, run_reg};
        DMASR: read_data = {17'd0, err_irq_reg, 1'b0, ioc_irq_reg, 5'd0, err_dec_reg, err_slv_reg, err_int_reg, 2'd0,
                            idle_reg, !run_reg && !active};
        ADDRESS: read_data = address_reg;
        LENGTH: read_data = {6'd0, length_read};
        default: read_data = 32'd0;
    endcase
end

always @(posedge clk) begin
    start_reg <= 1'b0;

    if (write_en && write_addr == DMACR) begin
        run_reg <= write_data[0] && !error_held;
        ioc_irq_en_reg <= write_data[12];
        err_irq_en_reg <= write_data[14];
        if (!write_data[0]) begin
            idle_reg <= 1'b0;
        end
    end
    if (write_en && write_addr == DMASR) begin
        ioc_irq_reg <= ioc_irq_reg && !write_data[12];
        err_irq_reg <= err_irq_reg && !write_data[14];
    end
    if (write_en && write_addr == ADDRESS && ready) begin
        address_reg <= write_data;
    end
    if (write_length) begin
        length_reg <= write_data[25:3];
        start_reg <= legal;
        idle_reg <= 1'b0;
    end

    if (done) begin
        idle_reg <= run_reg;
        ioc_irq_reg <= 1'b1;
    end
    if (error) begin
        run_reg <= 1'b0;
        idle_reg <= 1'b0;
        err_irq_reg <= 1'b1;
        err_int_reg <= err_int_reg || err_int || (write_length && !legal);
        err_slv_reg <= err_slv_reg || err_slv;
        err_dec_reg <= err_dec_reg || err_dec;
    end

    if (rst || resetting) begin
        run_reg <= 1'b0;
        ioc_irq_en_reg <= 1'b0;
        err_irq_en_reg <= 1'b0;
        idle_reg <= 1'b0;
        err_int_reg <= 1'b0;
        err_slv_reg <= 1'b0;
        err_dec_reg <= 1'b0;
        ioc_irq_reg <= 1'b0;
        err_irq_reg <= 1'b0;
        start_reg <= 1'b0;
        address_reg <= 32'd0;
        length_reg <= 23'd0;
    end
end

endmodule

`default_nettype wire
