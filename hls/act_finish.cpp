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

static void requantise(zs::Stream& jobs, zs::Sums<Build::sums>& sums, zs::Pieces& pieces) {
#pragma HLS PIPELINE II = 1
    static zs::Requantise<Build> process;
#pragma HLS RESET variable = process
#pragma HLS ARRAY_PARTITION variable = process.held.sum complete
#pragma HLS ARRAY_PARTITION variable = process.now.bias complete
#pragma HLS ARRAY_PARTITION variable = process.now.multiplier complete
#pragma HLS ARRAY_PARTITION variable = process.now.shift complete
#pragma HLS ARRAY_PARTITION variable = process.next.bias complete
#pragma HLS ARRAY_PARTITION variable = process.next.multiplier complete
#pragma HLS ARRAY_PARTITION variable = process.next.shift complete
    process.step(jobs, sums, pieces);
}

static void join_results(zs::Pieces& pieces, zs::Pieces& packed) {
#pragma HLS PIPELINE II = 1
    static zs::Join process;
#pragma HLS RESET variable = process
    process.step(pieces, packed);
}

static void squeeze(zs::Pieces& packed, zs::Pieces& squeezed, zs::Marks& marks) {
#pragma HLS PIPELINE II = 1
    static zs::Squeeze process;
#pragma HLS RESET variable = process
    process.step(packed, squeezed, marks);
}

static void join_values(zs::Pieces& squeezed, zs::Stream& words) {
#pragma HLS PIPELINE II = 1
    static zs::Join process;
#pragma HLS RESET variable = process
    process.step(squeezed, words);
}

static void emit(zs::Stream& words, zs::Marks& marks, zs::Results& results) {
#pragma HLS PIPELINE II = 1
    static zs::Emit process;
#pragma HLS RESET variable = process
    process.step(words, marks, results);
}

void act_finish(zs::Stream& runs, zs::Sums<Build::sums>& sums, zs::Results& results) {
#pragma HLS INTERFACE axis register port = runs
#pragma HLS INTERFACE axis register port = sums
#pragma HLS INTERFACE axis register port = results
#pragma HLS AGGREGATE variable = sums compact = bit
#pragma HLS INTERFACE ap_ctrl_none port = return
#pragma HLS DATAFLOW disable_start_propagation
    static zs::Stream jobs("jobs"), words("words");
    static zs::Pieces pieces("pieces"), packed("packed"), squeezed("squeezed");
    static zs::Marks marks("marks");
#pragma HLS STREAM variable = jobs depth = JOBS_DEPTH
#pragma HLS STREAM variable = pieces depth = 4
#pragma HLS STREAM variable = packed depth = 4
#pragma HLS STREAM variable = squeezed depth = 4
#pragma HLS STREAM variable = words depth = zs::FINISH_DEPTH
#pragma HLS STREAM variable = marks depth = zs::FINISH_DEPTH
    queue(runs, jobs);
    requantise(jobs, sums, pieces);
    join_results(pieces, packed);
    squeeze(packed, squeezed, marks);
    join_values(squeezed, words);
    emit(words, marks, results);
}
