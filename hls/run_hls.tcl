# run_hls.tcl: C++ to IP with Vitis HLS, for one configuration.
#
#   vitis_hls -f hls/run_hls.tcl -tclargs z2        (or: vitis-run --mode hls --tcl hls/run_hls.tcl z2)
#
# Writes build/hls/<configuration>/<kernel>/, and in it solution/impl/ip, the IP for Vivado's catalogue:
# zeroskip:hls:act_expand:1.0 and zeroskip:hls:act_finish:1.0.  The kernels have no registers and need no driver.

set part xc7z020clg400-1
set period 8
set kernels {act_expand act_finish}

set here [file dirname [file normalize [info script]]]
set config [lindex $argv end]
if {$config eq "" || [string match "*.tcl" $config]} {
    error "usage: vitis_hls -f run_hls.tcl -tclargs CONFIG; CONFIG is one of the structs in zeroskip_defs.h, such as z2"
}
set channel [open [file join $here zeroskip_defs.h]]
set definitions [read $channel]
close $channel
# A brace in a pattern would count as one of this script's.
set builds {}
foreach {all name} [regexp -all -inline {struct (\w+) .\n +static constexpr int filters} $definitions] { lappend builds $name }
if {$config ni $builds} {
    error "zeroskip_defs.h has no configuration $config; built in: $builds"
}

set folder [file join [file dirname $here] build hls $config]
file mkdir $folder
cd $folder
foreach kernel $kernels {
    open_project -reset $kernel
    set_top $kernel
    add_files [file join $here $kernel.cpp] -cflags "-std=c++17 -I$here -DZS_BUILD=$config"
    open_solution -reset solution -flow_target vivado
    set_part $part
    create_clock -period $period
    # The DMA's reset outputs are active low.
    config_rtl -reset all -reset_level low
    csynth_design
    export_design -format ip_catalog -vendor zeroskip -library hls -ipname $kernel -version 1.0
    close_project
}
exit
