# The PYNQ-Z2's processing system: memory, clocks and pins of the board, for processing_system7 5.5.
#
# The values are those of the board's public preset, as the PYNQ project spells them out in
# boards/Pynq-Z2/logictools/logictools.tcl (github.com/Xilinx/PYNQ).  On a running PYNQ image the boot loader has
# already set all of this but the fabric clock; it matters for the .hwh and for a boot image of one's own.

# 50 MHz crystal, processor at 650 MHz, IO PLL at 1000 MHz.
set pynq_z2_clocks {
    PCW_CRYSTAL_PERIPHERAL_FREQMHZ {50}
    PCW_APU_PERIPHERAL_FREQMHZ     {650}
    PCW_QSPI_PERIPHERAL_FREQMHZ    {200}
    PCW_SDIO_PERIPHERAL_FREQMHZ    {50}
    PCW_UART_PERIPHERAL_FREQMHZ    {100}
    PCW_ENET0_PERIPHERAL_FREQMHZ   {1000 Mbps}
}

# 512 MB of DDR3 behind 16 bits at 525 MHz.
set pynq_z2_memory {
    PCW_UIPARAM_DDR_ENABLE           {1}
    PCW_UIPARAM_DDR_MEMORY_TYPE      {DDR 3}
    PCW_UIPARAM_DDR_PARTNO           {Custom}
    PCW_UIPARAM_DDR_SPEED_BIN        {DDR3_1066F}
    PCW_UIPARAM_DDR_BUS_WIDTH        {16 Bit}
    PCW_UIPARAM_DDR_DRAM_WIDTH       {16 Bits}
    PCW_UIPARAM_DDR_DEVICE_CAPACITY  {4096 MBits}
    PCW_UIPARAM_DDR_FREQ_MHZ         {525}
    PCW_UIPARAM_DDR_BANK_ADDR_COUNT  {3}
    PCW_UIPARAM_DDR_ROW_ADDR_COUNT   {15}
    PCW_UIPARAM_DDR_COL_ADDR_COUNT   {10}
    PCW_UIPARAM_DDR_CL               {7}
    PCW_UIPARAM_DDR_CWL              {6}
    PCW_UIPARAM_DDR_BL               {8}
    PCW_UIPARAM_DDR_AL               {0}
    PCW_UIPARAM_DDR_ECC              {Disabled}
    PCW_UIPARAM_DDR_T_RCD            {13.125}
    PCW_UIPARAM_DDR_T_RP             {13.125}
    PCW_UIPARAM_DDR_T_RC             {50.625}
    PCW_UIPARAM_DDR_T_RAS_MIN        {35.0}
    PCW_UIPARAM_DDR_T_FAW            {40.0}
    PCW_UIPARAM_DDR_BOARD_DELAY0     {0.223}
    PCW_UIPARAM_DDR_BOARD_DELAY1     {0.212}
    PCW_UIPARAM_DDR_BOARD_DELAY2     {0.085}
    PCW_UIPARAM_DDR_BOARD_DELAY3     {0.092}
    PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_0 {0.040}
    PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_1 {0.058}
    PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_2 {-0.009}
    PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_3 {-0.033}
    PCW_UIPARAM_DDR_TRAIN_WRITE_LEVEL {1}
    PCW_UIPARAM_DDR_TRAIN_READ_GATE  {1}
    PCW_UIPARAM_DDR_TRAIN_DATA_EYE   {1}
    PCW_UIPARAM_DDR_USE_INTERNAL_VREF {0}
}

# Bank 0 at 3.3 V: flash and serial port; bank 1 at 1.8 V: Ethernet, USB, SD card.
set pynq_z2_pins {
    PCW_PRESET_BANK0_VOLTAGE         {LVCMOS 3.3V}
    PCW_PRESET_BANK1_VOLTAGE         {LVCMOS 1.8V}
    PCW_QSPI_PERIPHERAL_ENABLE       {1}
    PCW_QSPI_GRP_SINGLE_SS_ENABLE    {1}
    PCW_QSPI_GRP_FBCLK_ENABLE        {1}
    PCW_UART0_PERIPHERAL_ENABLE      {1}
    PCW_UART0_UART0_IO               {MIO 14 .. 15}
    PCW_ENET0_PERIPHERAL_ENABLE      {1}
    PCW_ENET0_ENET0_IO               {MIO 16 .. 27}
    PCW_ENET0_GRP_MDIO_ENABLE        {1}
    PCW_ENET0_GRP_MDIO_IO            {MIO 52 .. 53}
    PCW_USB0_PERIPHERAL_ENABLE       {1}
    PCW_USB0_USB0_IO                 {MIO 28 .. 39}
    PCW_SD0_PERIPHERAL_ENABLE        {1}
    PCW_SD0_SD0_IO                   {MIO 40 .. 45}
    PCW_SD0_GRP_CD_ENABLE            {1}
    PCW_SD0_GRP_CD_IO                {MIO 47}
}

# What this design uses: one clock, the register port GP0 and the memory port HP0 at 64 bits.
proc pynq_z2_fabric {clock_mhz} {
    return [dict create \
        PCW_FPGA0_PERIPHERAL_FREQMHZ $clock_mhz \
        PCW_FPGA_FCLK0_ENABLE 1 \
        PCW_EN_CLK0_PORT 1 \
        PCW_EN_RST0_PORT 1 \
        PCW_USE_M_AXI_GP0 1 \
        PCW_USE_S_AXI_HP0 1 \
        PCW_S_AXI_HP0_DATA_WIDTH 64]
}
