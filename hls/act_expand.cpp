// act_expand as an IP: the processes of act_expand.h, each a pipeline that never ends.
//
// Licence: MIT.
// ZS_BUILD: the build it is for, one of the structs of zeroskip_defs.h.
#include "act_expand.h"

using Build = zs::ZS_BUILD;

static void route(zs::Stream& packets, zs::Stream& words, zs::Orders& orders, zs::Stream& runs) {
#pragma HLS PIPELINE II = 1
    static zs::Route<Build> process;
#pragma HLS RESET variable = process
    process.step(packets, words, orders, runs);
}

static void scatter(zs::Stream& words, zs::Orders& orders, zs::Stream& engine) {
#pragma HLS PIPELINE II = 1
    static zs::Scatter process;
#pragma HLS RESET variable = process
    process.step(words, orders, engine);
}

void act_expand(zs::Stream& packets, zs::Stream& engine, zs::Stream& runs) {
#pragma HLS INTERFACE axis register port = packets
#pragma HLS INTERFACE axis register port = engine
#pragma HLS INTERFACE axis register port = runs
#pragma HLS INTERFACE ap_ctrl_none port = return
#pragma HLS DATAFLOW disable_start_propagation
    static zs::Stream words("words");
    static zs::Orders orders("orders");
#pragma HLS STREAM variable = words depth = zs::EXPAND_DEPTH
#pragma HLS STREAM variable = orders depth = 4
    route(packets, words, orders, runs);
    scatter(words, orders, engine);
}
