// act_finish as an IP: the processes of act_finish.h, each a pipeline that never ends.
//
// Licence: MIT.
// ZS_BUILD: the build it is for, one of the structs of zeroskip_defs.h.
#include "act_finish.h"

using Build = zs::ZS_BUILD;
constexpr int JOBS_DEPTH = zs::jobs_depth<Build>();

static void queue(zs::Stream& runs, zs::Stream& jobs) {
#pragma HLS PIPELINE II = 1
    zs::Queue().step(runs, jobs);
}

static void requantise(zs::Stream& jobs, zs::Stream& sums, zs::Pairs& pairs) {
#pragma HLS PIPELINE II = 1
    static zs::Requantise<Build> process;
#pragma HLS RESET variable = process
#pragma HLS ARRAY_PARTITION variable = process.bias complete
#pragma HLS ARRAY_PARTITION variable = process.multiplier complete
#pragma HLS ARRAY_PARTITION variable = process.shift complete
    process.step(jobs, sums, pairs);
}

static void align(zs::Pairs& pairs, zs::Pairs& aligned) {
#pragma HLS PIPELINE II = 1
    static zs::Align process;
#pragma HLS RESET variable = process
    process.step(pairs, aligned);
}

static void pack(zs::Pairs& aligned, zs::Stream& words, zs::Marks& marks) {
#pragma HLS PIPELINE II = 1
    static zs::Pack process;
#pragma HLS RESET variable = process
    process.step(aligned, words, marks);
}

static void emit(zs::Stream& words, zs::Marks& marks, zs::Results& results) {
#pragma HLS PIPELINE II = 1
    static zs::Emit process;
#pragma HLS RESET variable = process
    process.step(words, marks, results);
}

void act_finish(zs::Stream& runs, zs::Stream& sums, zs::Results& results) {
#pragma HLS INTERFACE axis register port = runs
#pragma HLS INTERFACE axis register port = sums
#pragma HLS INTERFACE axis register port = results
#pragma HLS INTERFACE ap_ctrl_none port = return
#pragma HLS DATAFLOW disable_start_propagation
    static zs::Stream jobs("jobs"), words("words");
    static zs::Pairs pairs("pairs"), aligned("aligned");
    static zs::Marks marks("marks");
#pragma HLS STREAM variable = jobs depth = JOBS_DEPTH
#pragma HLS STREAM variable = pairs depth = 4
#pragma HLS STREAM variable = aligned depth = 4
#pragma HLS STREAM variable = words depth = zs::FINISH_DEPTH
#pragma HLS STREAM variable = marks depth = zs::FINISH_DEPTH
    queue(runs, jobs);
    requantise(jobs, sums, pairs);
    align(pairs, aligned);
    pack(aligned, words, marks);
    emit(words, marks, results);
}
