# Vivado's commands as far as vivado/build.tcl uses them, for plain tclsh: they keep a model of the block design and
# stop at a cell, pin, interface, property, segment or file that does not exist, at a wrong direction, at a second
# driver, and at whatever is left unconnected.  They do not synthesise.
#
#   tclsh stubs.tcl build.tcl FOLDER
#
# FOLDER/module.tcl says what the RTL has: rtl_pins (name -> in|out), rtl_interfaces (name -> {mode kind bits}) and
# rtl_parameters (name -> default), which `bits` may name; and what the HLS kernels have: hls_interfaces (kernel -> name ->
# {mode kind bits}).  Only streams have bits here.
# FOLDER/slack.tcl may set slack.  FOLDER/trace.txt gets one line per property, connection and address.

set script [file normalize [lindex $argv 0]]
set folder [file normalize [lindex $argv 1]]
set slack 0.25
set progress 100%
source [file join $folder module.tcl]
if {[file exists [file join $folder slack.tcl]]} { source [file join $folder slack.tcl] }

set trace [open [file join $folder trace.txt] w]
proc note {args} { puts $::trace [join $args] }
proc refuse {text} { error "dry run: $text" }

# ---- what the IP cores have (product guides PG021, PG059, PG164; UG585) ------------------------------
# interfaces: name -> {mode kind}; pins: name -> direction; segments and spaces of addresses.
proc known_ip {vlnv cell} {
    set spec [dict create interfaces {} pins {} segments {} spaces {} options {}]
    switch -- $vlnv {
        xilinx.com:ip:processing_system7:5.5 {
            dict set spec interfaces {DDR {master ddr} FIXED_IO {master fixed} M_AXI_GP0 {master axi} S_AXI_HP0 {slave axi}}
            dict set spec pins {FCLK_CLK0 out FCLK_RESET0_N out M_AXI_GP0_ACLK in S_AXI_HP0_ACLK in}
            dict set spec segments {S_AXI_HP0/HP0_DDR_LOWOCM}
            dict set spec spaces {Data}
            dict set spec options {PCW_[A-Z0-9_]+}
        }
        xilinx.com:ip:proc_sys_reset:5.0 {
            dict set spec pins {slowest_sync_clk in ext_reset_in in interconnect_aresetn out peripheral_aresetn out}
        }
        xilinx.com:ip:axi_dma:7.1 {
            dict set spec interfaces {S_AXI_LITE {slave axi} M_AXI_MM2S {master axi} M_AXI_S2MM {master axi}
                M_AXIS_MM2S {master axis 64} S_AXIS_S2MM {slave axis 64}}
            dict set spec pins {s_axi_lite_aclk in m_axi_mm2s_aclk in m_axi_s2mm_aclk in axi_resetn in
                mm2s_prmry_reset_out_n out s2mm_prmry_reset_out_n out mm2s_introut out s2mm_introut out}
            dict set spec segments {S_AXI_LITE/Reg}
            dict set spec spaces {Data_MM2S Data_S2MM}
            dict set spec options {c_(include_(sg|mm2s|s2mm|mm2s_dre|s2mm_dre)|sg_include_stscntrl_strm|sg_length_width|addr_width|m_axi_(mm2s|s2mm)_data_width|m_axis_mm2s_tdata_width|(mm2s|s2mm)_burst_size)}
        }
        xilinx.com:ip:axi_interconnect:2.1 {
            dict set spec pins {ACLK in ARESETN in}
            dict set spec options {NUM_[SM]I}
        }
        default {
            if {$vlnv ni $::catalogue} { refuse "$cell: no IP $vlnv" }
            # Of a kernel without control ports: its streams, ap_clk, and with a low reset level ap_rst_n (UG1399).
            dict set spec interfaces [dict get $::hls_interfaces [lindex [split $vlnv :] 2]]
            dict set spec pins {ap_clk in ap_rst_n in}
        }
    }
    return $spec
}

# Own IPs: what lies below ip_repo_paths when the catalogue is read.
set catalogue {}
set ip_repo {}
proc update_ip_catalog {} {
    foreach component [glob -nocomplain [file join $::ip_repo * solution impl ip component.xml]] {
        set file [open $component]
        lappend ::catalogue [string trim [read $file]]
        close $file
    }
}

set cells {}
set net_of {}

proc cell_of {path} { lindex [split $path /] 0 }
proc name_of {path} { join [lrange [split $path /] 1 end] / }
proc spec_of {path} {
    if {![dict exists $::cells [cell_of $path]]} { refuse "no cell [cell_of $path]" }
    return [dict get $::cells [cell_of $path]]
}
proc look_up {what path} {
    set spec [spec_of $path]
    if {![dict exists $spec $what [name_of $path]]} { refuse "[cell_of $path] has no [string trimright $what s] [name_of $path]" }
    return [dict get $spec $what [name_of $path]]
}

proc create_bd_cell {args} {
    array set option [lrange $args 0 end-1]
    set cell [lindex $args end]
    if {[dict exists $::cells $cell]} { refuse "two cells $cell" }
    if {$option(-type) eq "module"} {
        if {$option(-reference) ne $::rtl_module} { refuse "no module $option(-reference)" }
        if {![info exists ::sources] || ![llength $::sources]} { refuse "the module's files are not in the project yet" }
        set segments {}
        dict for {name shape} $::rtl_interfaces { if {$shape eq {slave axi}} { lappend segments $name/reg0 } }
        dict set ::cells $cell [dict create interfaces $::rtl_interfaces pins $::rtl_pins segments $segments \
            spaces {} options [join [dict keys $::rtl_parameters] |] values $::rtl_parameters]
    } else {
        dict set ::cells $cell [known_ip $option(-vlnv) $cell]
    }
    note cell $cell
    return $cell
}

proc set_property {args} {
    if {[lindex $args 0] eq "-dict"} {
        lassign [lrange $args 1 2] pairs object
    } else {
        lassign $args name value object
        set pairs [list $name $value]
    }
    foreach {name value} $pairs {
        if {[dict exists $::cells $object]} {
            if {![regsub {^CONFIG\.} $name {} name]} { refuse "$object: property $name is not CONFIG.*" }
            if {![regexp "^([dict get $::cells $object options])\$" $name]} { refuse "$object has no property $name" }
            if {[dict exists $::cells $object values]} { dict set ::cells $object values $name $value }
            if {[regexp {^NUM_([SM])I$} $name all side]} {
                for {set i 0} {$i < $value} {incr i} {
                    set port [format "%s%02d" $side $i]
                    set mode [expr {$side eq "S" ? "slave" : "master"}]
                    dict set ::cells $object interfaces ${port}_AXI [list $mode axi]
                    dict set ::cells $object pins ${port}_ACLK in
                    dict set ::cells $object pins ${port}_ARESETN in
                }
            }
        } elseif {![regexp {^(target_language|include_dirs|ip_repo_paths|top|strategy|CONFIG\.ASSOCIATED_BUSIF)$} $name]} {
            refuse "$object has no property $name"
        } elseif {$name in {include_dirs ip_repo_paths} && ![file isdirectory $value]} {
            refuse "no folder $value"
        } elseif {$name eq "ip_repo_paths"} {
            set ::ip_repo $value
        } elseif {$name eq "CONFIG.ASSOCIATED_BUSIF"} {
            foreach interface [split $value :] { look_up interfaces [cell_of $object]/$interface }
        }
        note property $object $name $value
    }
}

proc get_bd_pins {path} { look_up pins $path; return $path }
proc get_bd_intf_pins {path} { look_up interfaces $path; return $path }
proc get_bd_addr_spaces {path} {
    if {[name_of $path] ni [dict get [spec_of $path] spaces]} { refuse "no address space $path" }
    return $path
}
proc get_bd_addr_segs {path} {
    if {[name_of $path] ni [dict get [spec_of $path] segments]} { refuse "no address segment $path" }
    return $path
}

proc connect_bd_net {from to} {
    if {[look_up pins $from] ne "out"} { refuse "$from drives nothing" }
    if {[look_up pins $to] ne "in"} { refuse "$to is no input" }
    if {[dict exists $::net_of $to]} { refuse "$to is driven twice" }
    dict set ::net_of $to $from
    dict set ::net_of $from $to
    note net $from $to
}
proc bits_of {path bits} {
    set spec [spec_of $path]
    return [expr [string map [expr {[dict exists $spec values] ? [dict get $spec values] : {}}] $bits]]
}
proc connect_bd_intf_net {from to} {
    lassign [look_up interfaces $from] from_mode from_kind from_bits
    lassign [look_up interfaces $to] to_mode to_kind to_bits
    if {$from_mode ne "master" || $to_mode ne "slave" || $from_kind ne $to_kind} {
        refuse "$from ($from_mode $from_kind) does not fit $to ($to_mode $to_kind)"
    }
    if {$from_kind eq "axis" && [bits_of $from $from_bits] != [bits_of $to $to_bits]} {
        refuse "$from ([bits_of $from $from_bits] bits) does not fit $to ([bits_of $to $to_bits] bits)"
    }
    foreach end [list $from $to] {
        if {[dict exists $::net_of $end]} { refuse "$end is connected twice" }
        dict set ::net_of $end connected
    }
    note interface $from $to $from_kind
}
proc make_bd_intf_pins_external {args} { dict set ::net_of [lindex $args end] external }
proc assign_bd_address {args} {
    array set option [lrange $args 0 end-1]
    note address $option(-target_address_space) [lindex $args end] $option(-offset) $option(-range)
    if {$option(-offset) % $option(-range)} { refuse "[lindex $args end]: $option(-offset) is no multiple of $option(-range)" }
    lappend ::assigned [lindex $args end]
}

proc validate_bd_design {} {
    dict for {cell spec} $::cells {
        dict for {name shape} [dict get $spec interfaces] {
            if {![dict exists $::net_of $cell/$name]} { refuse "interface $cell/$name is not connected" }
        }
        dict for {name direction} [dict get $spec pins] {
            if {$direction eq "in" && ![dict exists $::net_of $cell/$name]} { refuse "pin $cell/$name is not connected" }
        }
        foreach segment [dict get $spec segments] {
            if {"$cell/$segment" ni $::assigned} { refuse "segment $cell/$segment has no address" }
        }
    }
    set ::valid 1
}

# ---- project and runs --------------------------------------------------------------------------------
proc create_project {args} {
    note part [lindex $args [expr {[lsearch $args -part] + 1}]]
    set ::project [lindex $args 1]
    file mkdir [lindex $args 2]
}
proc add_files {args} {
    foreach file [lindex $args end] {
        if {![file exists $file]} { refuse "no file $file" }
        lappend ::sources $file
        note file $file
    }
}
proc create_bd_design {name} { set ::design $name }
proc save_bd_design {} {}
proc update_compile_order {args} {}
proc current_project {} { return project }
proc current_fileset {} { return sources_1 }
proc get_filesets {name} { return $name }
proc get_runs {name} { if {$name ne "impl_1"} { refuse "no run $name" }; return $name }
proc get_files {args} {
    set name [lindex $args end]
    if {[file rootname $name] ne $::design} { refuse "no file $name" }
    return [file join $::folder project $name]
}
proc make_wrapper {args} {
    if {![info exists ::valid]} { refuse "the block design is not validated" }
    set file [file join $::folder project ${::design}_wrapper.v]
    close [open $file w]
    return $file
}
proc launch_runs {run args} {
    set handoff [file join $::folder project $::project.gen/sources_1/bd/$::design/hw_handoff]
    file mkdir $handoff
    close [open [file join $handoff $::design.hwh] w]
    close [open [file join $::folder project ${::design}_wrapper.bit] w]
}
proc wait_on_run {run} {}
proc open_run {run} {}
proc get_property {name object} {
    switch -- $name {
        SLACK { return $::slack }
        PROGRESS { return $::progress }
        STATUS { return "route_design ERROR" }
        DIRECTORY { return [file join $::folder project] }
    }
    refuse "$object has no property $name"
}
proc get_timing_paths {args} { return path }
proc get_cells {args} { return {a b c} }
proc report_timing_summary {args} { close [open [lindex $args end] w] }
proc report_utilization {args} { close [open [lindex $args end] w] }
proc version {args} { return 2024.1 }

set argv [list $folder]
source $script
