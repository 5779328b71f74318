// Harness around the Verilated zeroskip_sim, called through ctypes: it plays the processor (two AXI4-Lite masters), puts
// memory (axi_memory.h) and, where wanted, the HLS kernels (bridge.h) around it, and runs the clock for many cycles per
// call.
//
// Licence: MIT.
//
// One call of Simulation::cycle() is one clock cycle.  Memory's answers in a cycle depend only on its state before
// that cycle, and the design's bus outputs are functions of its registers, so the order is: memory outputs, handshakes,
// memory state, clock edge.

#include <cstdint>
#include <memory>
#include <string>

#include "Vzeroskip_sim.h"
#include "axi_memory.h"
#include "verilated.h"
#ifdef ZS_TRACE
#include "verilated_fst_c.h"
#endif
#ifdef ZS_GLUE // zs::Simulated is the build
#include "bridge.h"
#endif

namespace {

constexpr int kPatience = 1000; // cycles an AXI4-Lite access may take
enum { kEngine = 0, kDma = 1 };

struct Log {
    uint64_t* cycles = nullptr;
    uint64_t capacity = 0, count = 0;
    void add(uint64_t cycle) {
        if (count < capacity) cycles[count] = cycle;
        ++count;
    }
};

// Ports of the glue at rest, where the design has them: the board design has none.
template <class Design> auto unglued(Design& t, int) -> decltype(void(t.glue)) {
    t.glue = t.packets_tready = t.expanded_tvalid = t.sums_tready = t.results_tvalid = t.results_tlast = 0;
}
template <class Design> void unglued(Design&, long) {}

struct Simulation {
    VerilatedContext context;
    std::unique_ptr<Vzeroskip_sim> top;
#ifdef ZS_TRACE
    std::unique_ptr<VerilatedFstC> trace;
#endif
    Memory memory;
    uint64_t now = 0, started = 0;
#ifdef ZS_GLUE
    zs::Bridge<zs::Simulated, Vzeroskip_sim> bridge;
#endif
    Log log_in, log_out;

    Simulation(uint8_t* buffer, uint64_t base, uint64_t size, const char* trace_path, uint32_t power_up)
        : memory(buffer, base, size) {
        const char* arguments[] = {"zeroskip"};
        context.commandArgs(1, arguments);
        // Registers and memories hold anything after power-up.
        context.randReset(2);
        context.randSeed(power_up);
        top = std::make_unique<Vzeroskip_sim>(&context, "zeroskip_sim");
#ifdef ZS_TRACE
        if (trace_path && *trace_path) {
            context.traceEverOn(true);
            trace = std::make_unique<VerilatedFstC>();
            top->trace(trace.get(), 99);
            trace->open(trace_path);
        }
#else
        (void)trace_path;
#endif
        auto& t = *top;
        t.clk = t.engine_awvalid = t.engine_wvalid = t.engine_bready = t.engine_arvalid = t.engine_rready = 0;
        t.dma_awvalid = t.dma_wvalid = t.dma_bready = t.dma_arvalid = t.dma_rready = 0;
        unglued(t, 0);
        t.stream_stall = 0;
        t.seed_in = t.seed_out = 1;
        t.m_axi_arready = t.m_axi_rvalid = t.m_axi_awready = t.m_axi_wready = t.m_axi_bvalid = 0;
        t.rst = 1;
        for (int i = 0; i < 8; ++i) edge(); // memory comes later: what a bus says in reset means nothing
        t.rst = 0;
        cycle();
    }

    ~Simulation() {
        top->final();
#ifdef ZS_TRACE
        if (trace) trace->close();
#endif
    }

    void cycle() {
        memory.cycle(*top, now);

#ifdef ZS_GLUE
        bridge.before(*top);
        const bool in = bridge.packet_taken, out = bridge.result_taken;
#else
        const bool in = top->tap_in, out = top->tap_out;
#endif
        // A run begins: cycle 0 of the random numbers and of the logs.
        memory.advance(top->tap_start);
        if (top->tap_start) {
            started = now;
            log_in.count = log_out.count = 0;
        }
        if (in) log_in.add(now - started);
        if (out) log_out.add(now - started);

        edge();
#ifdef ZS_GLUE
        bridge.after();
#endif
    }

    void edge() {
        top->clk = 1;
        top->eval();
#ifdef ZS_TRACE
        if (trace) trace->dump(now * 10000 + 5000);
#endif
        top->clk = 0;
        top->eval();
#ifdef ZS_TRACE
        if (trace) trace->dump(now * 10000 + 10000);
#endif
        ++now;
    }

    // One AXI4-Lite port, by reference to its signals.
    template <typename Address, typename Bit, typename Word>
    bool write(Address& awaddr, Bit& awvalid, const Bit& awready, Word& wdata, Bit& wvalid, const Bit& wready,
               const Bit& bvalid, Bit& bready, uint32_t address, uint32_t data) {
        awaddr = address, wdata = data;
        awvalid = wvalid = bready = 1;
        for (int i = 0; i < kPatience; ++i) {
            const bool aw = awready, w = wready, b = bvalid;
            cycle();
            if (aw) awvalid = 0;
            if (w) wvalid = 0;
            if (b) {
                bready = 0;
                return true;
            }
        }
        awvalid = wvalid = bready = 0;
        return false;
    }

    template <typename Address, typename Bit, typename Word>
    bool read(Address& araddr, Bit& arvalid, const Bit& arready, const Word& rdata, const Bit& rvalid, Bit& rready,
              uint32_t address, uint32_t* data) {
        araddr = address;
        arvalid = rready = 1;
        for (int i = 0; i < kPatience; ++i) {
            const bool ar = arready, r = rvalid;
            if (r) *data = rdata;
            cycle();
            if (ar) arvalid = 0;
            if (r) {
                rready = 0;
                return true;
            }
        }
        arvalid = rready = 0;
        return false;
    }
};

} // namespace

#define ZS_API extern "C" __attribute__((visibility("default")))

// trace: path of an FST file, or null; ignored by a library built without tracing.
// power_up: seed of what registers and memories hold before the reset, 1 to 2^31 - 1.
ZS_API void* zs_open(uint8_t* memory, uint64_t base, uint64_t size, const char* trace, uint32_t power_up) {
    return new Simulation(memory, base, size, trace, power_up);
}

ZS_API void zs_close(void* handle) { delete static_cast<Simulation*>(handle); }

// rate: beats per 1024 cycles; stall, stream_stall: of 256; seeds: read, write, stream in, stream out (none 0).
ZS_API void zs_configure(void* handle, uint32_t read_latency, uint32_t write_latency, uint32_t rate, uint32_t stall,
                         uint32_t stream_stall, const uint32_t* seeds) {
    auto& s = *static_cast<Simulation*>(handle);
    s.memory.read_latency = read_latency, s.memory.write_latency = write_latency;
    s.memory.rate = rate, s.memory.stall = stall;
    s.memory.seed(seeds[0], seeds[1]);
    s.top->seed_in = seeds[2], s.top->seed_out = seeds[3];
    s.top->stream_stall = stream_stall;
}

// early: memory takes the data of a write before its address.  Only while no write is under way.
ZS_API void zs_write_order(void* handle, int early) { static_cast<Simulation*>(handle)->memory.early = early; }

// port: 0 engine, 1 DMA.  Returns 1 when the access was answered.
ZS_API int zs_write(void* handle, int port, uint32_t address, uint32_t data) {
    auto& s = *static_cast<Simulation*>(handle);
    auto& t = *s.top;
    if (port == kEngine)
        return s.write(t.engine_awaddr, t.engine_awvalid, t.engine_awready, t.engine_wdata, t.engine_wvalid,
                       t.engine_wready, t.engine_bvalid, t.engine_bready, address, data);
    const bool answered =
        s.write(t.dma_awaddr, t.dma_awvalid, t.dma_awready, t.dma_wdata, t.dma_wvalid, t.dma_wready, t.dma_bvalid,
                t.dma_bready, address, data);
#ifdef ZS_GLUE
    // The DMA's reset outputs are the glue's reset; DMACR.Reset of either channel raises them for some cycles.
    if ((address == 0x00 || address == 0x30) && (data & 4)) s.bridge.reset();
#endif
    return answered;
}

ZS_API int zs_read(void* handle, int port, uint32_t address, uint32_t* data) {
    auto& s = *static_cast<Simulation*>(handle);
    auto& t = *s.top;
    if (port == kEngine)
        return s.read(t.engine_araddr, t.engine_arvalid, t.engine_arready, t.engine_rdata, t.engine_rvalid,
                      t.engine_rready, address, data);
    return s.read(t.dma_araddr, t.dma_arvalid, t.dma_arready, t.dma_rdata, t.dma_rvalid, t.dma_rready, address, data);
}

// If `channel` (0 MM2S, 1 S2MM) is busy, runs until either channel changes state, at most `cycles`; returns the cycles run.
ZS_API uint64_t zs_run(void* handle, int channel, uint64_t cycles) {
    auto& s = *static_cast<Simulation*>(handle);
    const bool mm2s = s.top->mm2s_active, s2mm = s.top->s2mm_active;
    if (!(channel ? s2mm : mm2s)) return 0;
    uint64_t run = 0;
    while (run < cycles && bool(s.top->mm2s_active) == mm2s && bool(s.top->s2mm_active) == s2mm) s.cycle(), ++run;
    return run;
}

// Runs exactly `cycles` cycles.
ZS_API void zs_step(void* handle, uint64_t cycles) {
    auto& s = *static_cast<Simulation*>(handle);
    while (cycles--) s.cycle();
}

ZS_API uint64_t zs_now(void* handle) { return static_cast<Simulation*>(handle)->now; }

ZS_API int zs_introut(void* handle) { return static_cast<Simulation*>(handle)->top->introut; }

// Where to note the cycle, counted from the start of the read transfer, of every word into and out of the engine.
ZS_API void zs_log(void* handle, uint64_t* in, uint64_t in_capacity, uint64_t* out, uint64_t out_capacity) {
    auto& s = *static_cast<Simulation*>(handle);
    s.log_in = {in, in_capacity, 0};
    s.log_out = {out, out_capacity, 0};
}

// Words seen since the start of the read transfer: into (0) or out of (1) the engine.
ZS_API uint64_t zs_logged(void* handle, int out) {
    auto& s = *static_cast<Simulation*>(handle);
    return out ? s.log_out.count : s.log_in.count;
}

// The first AXI4 rule the design broke, or an empty string.
ZS_API const char* zs_fault(void* handle) { return static_cast<Simulation*>(handle)->memory.fault.c_str(); }
