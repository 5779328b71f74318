# The commands of Vitis HLS as far as hls/run_hls.tcl uses them, for plain tclsh: each prints what it is called with, and
# an exported IP is a component.xml with its name, where Vivado would look for it.
#
#   tclsh stubs.tcl run_hls.tcl CONFIG

foreach command {set_top add_files set_part create_clock config_rtl csynth_design close_project} {
    proc $command {args} "puts \"$command \$args\""
}
proc open_project {args} {
    set ::project [lindex $args end]
    puts "open_project $args"
}
proc open_solution {args} {
    foreach word $args { if {![string match -* $word]} { set ::solution $word; break } }
    puts "open_solution $args"
}
proc export_design {args} {
    puts "export_design $args"
    array set option $args
    set folder [file join $::project $::solution impl ip]
    file mkdir $folder
    set component [open [file join $folder component.xml] w]
    puts $component "$option(-vendor):$option(-library):$option(-ipname):$option(-version)"
    close $component
}

set script [lindex $argv 0]
set argv [lrange $argv 1 end]
source $script
