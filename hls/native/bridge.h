// bridge.h: the kernels between DMA and engine of the Verilated simulator.
//
// Licence: MIT.
//
// The design has its DMA's and its engine's streams on separate ports; this joins them through cosim.h.
#ifndef ZEROSKIP_BRIDGE_H
#define ZEROSKIP_BRIDGE_H

#include "cosim.h"

namespace zs {

// A port of sums as a beat: Verilator has an integer up to 64 bits, beyond them an array of 32 bits each.
template <int N, class Port> SumBeat<N> beat_of(const Port& port) {
    SumBeat<N> beat;
    for (int i = 0; i < N; ++i) {
        if constexpr (N == 2) beat.sum[i] = port >> 32 * i;
        else beat.sum[i] = port[i];
    }
    return beat;
}

// before() sets the design's inputs of a cycle, after() is the clock edge.
template <class Build, class Design> struct Bridge {
    Glue<Build> glue;
    bool engine_valid = false, result_valid = false;
    Word engine;
    Result result;
    bool packet_taken = false, engine_taken = false, sum_taken = false, result_taken = false;
    uint64_t packet = 0;
    SumBeat<Build::sums> sum;

    void reset() {
        glue.reset();
        engine_valid = result_valid = false;
    }

    void before(Design& top) {
        top.glue = 1;
        top.packets_tready = glue.packets.size() < PORT_DEPTH;
        top.sums_tready = glue.sums.size() < PORT_DEPTH;
        top.expanded_tvalid = engine_valid;
        top.results_tvalid = result_valid;
        if (engine_valid) top.expanded_tdata = engine.to_uint64();
        if (result_valid) top.results_tdata = result.data.to_uint64(), top.results_tlast = result.last.to_bool();
        packet_taken = top.packets_tvalid && top.packets_tready, packet = top.packets_tdata;
        sum_taken = top.sums_tvalid && top.sums_tready;
        if (sum_taken) sum = beat_of<Build::sums>(top.sums_tdata);
        engine_taken = engine_valid && top.expanded_tready;
        result_taken = result_valid && top.results_tready;
    }

    void after() {
        if (packet_taken) glue.packets.write(packet);
        if (sum_taken) glue.sums.write(sum);
        if (engine_taken) engine_valid = false;
        if (result_taken) result_valid = false;
        glue.cycle();
        if (!engine_valid) engine_valid = glue.engine.read_nb(engine);
        if (!result_valid) result_valid = glue.results.read_nb(result);
    }
};

} // namespace zs

#endif
