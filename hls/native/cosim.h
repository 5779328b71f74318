// cosim.h: the two kernels outside of Vitis, cycle by cycle, for the simulator's harness.
//
// Licence: MIT.
//
// One call of cycle() is one clock cycle of both kernels.  FIFOs have the depths of the hardware: a process rests in a
// cycle in which one of its outputs is full.  Processes are called from the last to the first, so that a beat takes
// one cycle through each.  What the outside may do in a cycle: put one beat into an input that has room, and take one
// beat from an output.
#ifndef ZEROSKIP_COSIM_H
#define ZEROSKIP_COSIM_H

#include "act_expand.h"
#include "act_finish.h"

namespace zs {

constexpr unsigned PORT_DEPTH = 2; // a register slice
constexpr unsigned SHORT_DEPTH = 4;

template <class T> bool room(hls::stream<T>& stream, unsigned depth) { return stream.size() < depth; }

template <class T> void drop(hls::stream<T>& stream) {
    T word;
    while (stream.read_nb(word)) {}
}

template <class Build> struct Glue {
    Stream packets{"packets"}, engine{"engine"}, runs{"runs"};
    Sums<Build::sums> sums{"sums"};
    Results results{"results"};

    Glue() = default;
    Glue(const Glue&) = delete;
    ~Glue() { reset(); } // hls::stream complains about words left in it

    // As a reset of the DMA, whose reset outputs also reset the kernels.
    void reset() {
        for (Stream* stream : {&packets, &engine, &runs, &words_in, &jobs, &words_out}) drop(*stream);
        for (Pieces* stream : {&pieces, &packed, &squeezed}) drop(*stream);
        drop(sums), drop(results), drop(orders), drop(marks);
        route = Route<Build>(), scatter = Scatter();
        requantise = Requantise<Build>(), squeeze = Squeeze(), emit = Emit();
        join_results = join_values = Join();
    }

    void cycle() {
        if (room(results, PORT_DEPTH)) emit.step(words_out, marks, results);
        if (room(words_out, FINISH_DEPTH)) join_values.step(squeezed, words_out);
        if (room(squeezed, SHORT_DEPTH) && room(marks, FINISH_DEPTH)) squeeze.step(packed, squeezed, marks);
        if (room(packed, SHORT_DEPTH)) join_results.step(pieces, packed);
        if (room(pieces, SHORT_DEPTH)) requantise.step(jobs, sums, pieces);
        if (room(jobs, jobs_depth<Build>())) queue.step(runs, jobs);
        if (room(engine, PORT_DEPTH)) scatter.step(words_in, orders, engine);
        if (room(words_in, EXPAND_DEPTH) && room(orders, SHORT_DEPTH) && room(runs, PORT_DEPTH))
            route.step(packets, words_in, orders, runs);
    }

private:
    Stream words_in{"words_in"}, jobs{"jobs"}, words_out{"words_out"};
    Orders orders{"orders"};
    Pieces pieces{"pieces"}, packed{"packed"}, squeezed{"squeezed"};
    Marks marks{"marks"};
    Route<Build> route;
    Scatter scatter;
    Queue queue;
    Requantise<Build> requantise;
    Join join_results, join_values;
    Squeeze squeeze;
    Emit emit;
};

} // namespace zs

#endif
