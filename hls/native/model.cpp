// The kernels for the cycle model: called through ctypes, once per clock cycle of the modelled design.
//
// Licence: MIT.
//
// zs::Simulated is the build; bridge.h joins the kernels to ports that the model drives, as it joins them to those of the
// Verilated design.

#include <cstdint>
#include <type_traits>
#include <vector>

#include "bridge.h"

namespace {

using Build = zs::Simulated;

// An int64 array to the model: first what it drives, then what the kernels drive.
struct Handshakes {
    int64_t packets_tvalid, expanded_tready, sums_tvalid, results_tready;
    int64_t packets_tready, expanded_tvalid, sums_tready, results_tvalid, results_tlast;
};

struct Ports : Handshakes {
    bool glue;
    uint64_t packets_tdata, expanded_tdata, results_tdata;
    std::conditional_t<Build::sums == 2, uint64_t, const uint32_t*> sums_tdata;
};

// A beat of sums on its port, which is as Verilator has it.
void show(uint64_t& port, const uint64_t* beat) { port = *beat; }
void show(const uint32_t*& port, const uint64_t* beat) { port = reinterpret_cast<const uint32_t*>(beat); }

struct Model {
    zs::Bridge<Build, Ports> bridge;
    Ports ports = {};
    const uint64_t* packets; // the next one to be read
    const uint64_t* sums = nullptr;
    std::vector<uint64_t> expanded, results;

    Model(const uint64_t* words, uint64_t count) : packets(words) {
        expand(words, count);
        bridge.before(ports);
    }

    // All that act_expand makes of the packets, without the time it takes.
    void expand(const uint64_t* words, uint64_t count) {
        zs::Stream in, between, runs, engine;
        zs::Orders orders;
        zs::Route<Build> route;
        zs::Scatter scatter;
        for (uint64_t i = 0; i < count; ++i) {
            in.write(words[i]);
            route.step(in, between, orders, runs);
            zs::drop(runs);
            for (zs::Word beat; scatter.step(between, orders, engine), engine.read_nb(beat);)
                expanded.push_back(beat.to_uint64());
        }
        zs::drop(between), zs::drop(orders);
    }

    void clock() {
        if (ports.packets_tvalid) ports.packets_tdata = *packets;
        if (ports.sums_tvalid) show(ports.sums_tdata, sums);
        bridge.before(ports);
        if (bridge.packet_taken) ++packets;
        if (bridge.sum_taken) sums += Build::sums / 2;
        if (bridge.result_taken) results.push_back(ports.results_tdata);
        bridge.after();
        ports.packets_tvalid = ports.sums_tvalid = 0;
        bridge.before(ports); // what the kernels show in the next cycle
    }
};

} // namespace

#define ZS_API extern "C" __attribute__((visibility("default")))

// packets: the transfer, which stays the caller's as long as the model is open.
ZS_API void* zs_open(const uint64_t* packets, uint64_t count) { return new Model(packets, count); }

ZS_API void zs_close(void* model) { delete static_cast<Model*>(model); }

ZS_API int64_t* zs_handshakes(void* model) { return &static_cast<Model*>(model)->ports.packets_tvalid; }

// What the engine reads, and what has left so far.
ZS_API const uint64_t* zs_expanded(void* model, uint64_t* count) {
    const auto& words = static_cast<Model*>(model)->expanded;
    return *count = words.size(), words.data();
}

ZS_API const uint64_t* zs_results(void* model, uint64_t* count) {
    const auto& words = static_cast<Model*>(model)->results;
    return *count = words.size(), words.data();
}

// The engine's sums, before the first cycle.
ZS_API void zs_sums(void* model, const uint64_t* sums) { static_cast<Model*>(model)->sums = sums; }

// One clock edge.
ZS_API void zs_clock(void* model) { static_cast<Model*>(model)->clock(); }
