# From an empty folder to zeroskip_<name>.bit, .hwh, reports and record.json, for the PYNQ-Z2.
#
#   vivado -mode batch -source vivado/build.tcl -tclargs FOLDER
#
# FOLDER/parameters.tcl comes from `python -m zeroskip.hardware.vivado`: configuration, source files, addresses, clock.
# Exit status 0: all files are there and timing is met.  Tcl 8.5, which older Vivados have.

set script_folder [file dirname [file normalize [info script]]]
set folder [file normalize [lindex $argv 0]]
source [file join $folder parameters.tcl]
source [file join $script_folder pynq_z2.tcl]

proc config_options {values} {
    set options {}
    dict for {name value} $values { lappend options CONFIG.$name $value }
    return $options
}

# ---- project ---------------------------------------------------------------------------------------
create_project -force zeroskip [file join $folder project] -part $zs_part
set_property target_language Verilog [current_project]
add_files -norecurse $zs_sources
set_property include_dirs $zs_include_folder [get_filesets sources_1]
if {[llength $zs_glue]} {
    set_property ip_repo_paths $zs_ip_repo [current_project]
    update_ip_catalog
}
update_compile_order -fileset sources_1

# ---- block design ----------------------------------------------------------------------------------
create_bd_design system

set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7:5.5 $zs_ps_name]
set_property -dict [config_options [dict merge \
    $pynq_z2_clocks $pynq_z2_memory $pynq_z2_pins [pynq_z2_fabric $zs_clock_mhz]]] $ps
make_bd_intf_pins_external -name DDR [get_bd_intf_pins $zs_ps_name/DDR]
make_bd_intf_pins_external -name FIXED_IO [get_bd_intf_pins $zs_ps_name/FIXED_IO]

set reset [create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset:5.0 reset_0]

# Direct register mode, 64 bits, whole words only: what rtl/dma/zs_dma.v stands in for.
set dma [create_bd_cell -type ip -vlnv xilinx.com:ip:axi_dma:7.1 $zs_dma_name]
set_property -dict [list \
    CONFIG.c_include_sg {0} \
    CONFIG.c_sg_include_stscntrl_strm {0} \
    CONFIG.c_sg_length_width $zs_length_width \
    CONFIG.c_addr_width {32} \
    CONFIG.c_include_mm2s {1} \
    CONFIG.c_include_mm2s_dre {0} \
    CONFIG.c_m_axi_mm2s_data_width {64} \
    CONFIG.c_m_axis_mm2s_tdata_width {64} \
    CONFIG.c_mm2s_burst_size {16} \
    CONFIG.c_include_s2mm {1} \
    CONFIG.c_include_s2mm_dre {0} \
    CONFIG.c_m_axi_s2mm_data_width {64} \
    CONFIG.c_s2mm_burst_size {16}] $dma

set engine [create_bd_cell -type module -reference zeroskip_bd $zs_engine_name]
set_property -dict [config_options $zs_parameters] $engine
set_property CONFIG.ASSOCIATED_BUSIF {s_axi:s_axis:m_axis} [get_bd_pins $zs_engine_name/aclk]

set registers [create_bd_cell -type ip -vlnv xilinx.com:ip:axi_interconnect:2.1 registers]
set_property -dict [list CONFIG.NUM_SI {1} CONFIG.NUM_MI {2}] $registers
set memory [create_bd_cell -type ip -vlnv xilinx.com:ip:axi_interconnect:2.1 memory]
set_property -dict [list CONFIG.NUM_SI {2} CONFIG.NUM_MI {1}] $memory

# The glue, where there is one: kernels between DMA and engine.  Their reset is the DMA's, so that the driver reaches it.
# The engine's SUMS then makes m_axis as wide as act_finish's port; what goes to the DMA has 64 bits.
set streams [list $zs_dma_name/M_AXIS_MM2S $zs_engine_name/s_axis $zs_engine_name/m_axis $zs_dma_name/S_AXIS_S2MM]
set kernel_clocks {}
if {[llength $zs_glue]} {
    foreach {kernel vlnv} $zs_glue {
        create_bd_cell -type ip -vlnv $vlnv ${kernel}_0
        lappend kernel_clocks ${kernel}_0/ap_clk
    }
    connect_bd_net [get_bd_pins $zs_dma_name/mm2s_prmry_reset_out_n] [get_bd_pins act_expand_0/ap_rst_n]
    connect_bd_net [get_bd_pins $zs_dma_name/s2mm_prmry_reset_out_n] [get_bd_pins act_finish_0/ap_rst_n]
    set streams [list \
        $zs_dma_name/M_AXIS_MM2S  act_expand_0/packets \
        act_expand_0/engine       $zs_engine_name/s_axis \
        act_expand_0/runs         act_finish_0/runs \
        $zs_engine_name/m_axis    act_finish_0/sums \
        act_finish_0/results      $zs_dma_name/S_AXIS_S2MM]
}

foreach {from to} [list {*}$streams \
    $zs_ps_name/M_AXI_GP0        registers/S00_AXI \
    registers/M00_AXI            $zs_dma_name/S_AXI_LITE \
    registers/M01_AXI            $zs_engine_name/s_axi \
    $zs_dma_name/M_AXI_MM2S      memory/S00_AXI \
    $zs_dma_name/M_AXI_S2MM      memory/S01_AXI \
    memory/M00_AXI               $zs_ps_name/S_AXI_HP0] {
    connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}

connect_bd_net [get_bd_pins $zs_ps_name/FCLK_RESET0_N] [get_bd_pins reset_0/ext_reset_in]
foreach pin [list {*}$kernel_clocks \
    $zs_ps_name/M_AXI_GP0_ACLK $zs_ps_name/S_AXI_HP0_ACLK reset_0/slowest_sync_clk \
    registers/ACLK registers/S00_ACLK registers/M00_ACLK registers/M01_ACLK \
    memory/ACLK memory/S00_ACLK memory/S01_ACLK memory/M00_ACLK \
    $zs_dma_name/s_axi_lite_aclk $zs_dma_name/m_axi_mm2s_aclk $zs_dma_name/m_axi_s2mm_aclk $zs_engine_name/aclk] {
    connect_bd_net [get_bd_pins $zs_ps_name/FCLK_CLK0] [get_bd_pins $pin]
}
foreach pin {registers/ARESETN memory/ARESETN} {
    connect_bd_net [get_bd_pins reset_0/interconnect_aresetn] [get_bd_pins $pin]
}
foreach pin [list \
    registers/S00_ARESETN registers/M00_ARESETN registers/M01_ARESETN \
    memory/S00_ARESETN memory/S01_ARESETN memory/M00_ARESETN \
    $zs_dma_name/axi_resetn $zs_engine_name/aresetn] {
    connect_bd_net [get_bd_pins reset_0/peripheral_aresetn] [get_bd_pins $pin]
}

foreach {base range segment} [list \
    $zs_dma_base    $zs_dma_range    $zs_dma_name/S_AXI_LITE/Reg \
    $zs_engine_base $zs_engine_range $zs_engine_name/s_axi/reg0] {
    assign_bd_address -offset $base -range $range \
        -target_address_space [get_bd_addr_spaces $zs_ps_name/Data] [get_bd_addr_segs $segment]
}
foreach space [list $zs_dma_name/Data_MM2S $zs_dma_name/Data_S2MM] {
    assign_bd_address -offset 0x00000000 -range 0x20000000 \
        -target_address_space [get_bd_addr_spaces $space] [get_bd_addr_segs $zs_ps_name/S_AXI_HP0/HP0_DDR_LOWOCM]
}

validate_bd_design
save_bd_design
add_files -norecurse [make_wrapper -files [get_files system.bd] -top]
set_property top system_wrapper [current_fileset]
update_compile_order -fileset sources_1

# ---- implementation --------------------------------------------------------------------------------
set_property strategy Performance_ExplorePostRoutePhysOpt [get_runs impl_1]
launch_runs impl_1 -to_step write_bitstream -jobs 2
wait_on_run impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
    puts "zeroskip: implementation failed: [get_property STATUS [get_runs impl_1]]"
    exit 1
}
open_run impl_1

report_timing_summary -file [file join $folder timing.rpt]
report_utilization -hierarchical -file [file join $folder utilization.rpt]

set slack [get_property SLACK [get_timing_paths -max_paths 1 -nworst 1 -setup]]
set hold [get_property SLACK [get_timing_paths -max_paths 1 -nworst 1 -hold]]
if {$slack < 0 || $hold < 0} {
    puts "zeroskip: timing is not met at $zs_clock_mhz MHz: setup slack $slack ns, hold slack $hold ns; see timing.rpt"
    exit 1
}

# ---- files and record ------------------------------------------------------------------------------
set run_folder [get_property DIRECTORY [get_runs impl_1]]
file copy -force [file join $run_folder system_wrapper.bit] [file join $folder $zs_name.bit]
# Up to 2020.1 beside the sources, later beside what was generated.
set handoffs [glob -nocomplain -directory [file join $folder project] zeroskip.{gen,srcs}/sources_1/bd/system/hw_handoff/system.hwh]
if {![llength $handoffs]} {
    puts "zeroskip: Vivado wrote no system.hwh"
    exit 1
}
file copy -force [lindex $handoffs 0] [file join $folder $zs_name.hwh]

proc count_cells {pattern} {
    return [llength [get_cells -hierarchical -filter "IS_PRIMITIVE && REF_NAME =~ $pattern"]]
}
set record [open [file join $folder record.json] w]
puts $record "{
  \"toolchain\": \"Vivado [version -short]\",
  \"commit\": \"$zs_commit\",
  \"configuration_hash\": \"$zs_hash\",
  \"glue\": [expr {[llength $zs_glue] ? "true" : "false"}],
  \"timing\": {\"clock_mhz\": $zs_clock_mhz, \"wns_ns\": $slack, \"whs_ns\": $hold},
  \"resources\": {\"lut\": [count_cells LUT*], \"ff\": [count_cells FD*], \"dsp\": [count_cells DSP48E1],
                \"ramb36\": [count_cells RAMB36E1], \"ramb18\": [count_cells RAMB18E1], \"source\": \"Vivado, routed\"}
}"
close $record
puts "$zs_name built, setup slack $slack ns at $zs_clock_mhz MHz"
exit 0
