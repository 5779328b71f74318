// Harness around the Verilated zeroskip_sim, called through ctypes: it plays the processor (two AXI4-Lite masters)
// and the memory (an AXI4 slave over a buffer that Python owns), and runs the clock for many cycles per call.
//
// Licence: MIT.
//
// One call of Simulation::cycle() is one clock cycle.  Memory's answers in a cycle depend only on its state before
// that cycle, and the design's bus outputs are functions of its registers, so the order is: memory outputs, handshakes,
// memory state, clock edge.  zeroskip/models/dma.py describes the same memory for the cycle model.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "Vzeroskip_sim.h"
#include "verilated.h"
#ifdef ZS_TRACE
#include "verilated_fst_c.h"
#endif
#ifdef ZS_GLUE // zs::Simulated is the build
#include "cosim.h"
#endif

namespace {

constexpr int kQueue = 16;            // bursts memory accepts ahead of the data
constexpr uint64_t kFaultPage = 4096; // the page after the memory answers SLVERR, everything else unmapped DECERR
constexpr int kPatience = 1000;       // cycles an AXI4-Lite access may take
enum { kEngine = 0, kDma = 1 };
enum { kSlvErr = 2, kDecErr = 3 };

struct Burst {
    uint64_t address;
    uint64_t ready; // first cycle in which its data (or response) may be shown
    uint32_t beats;
    uint32_t response;
};

struct Queue {
    Burst entry[kQueue];
    uint32_t head = 0, size = 0;
    Burst& front() { return entry[head]; }
    void push(const Burst& burst) { entry[(head + size++) % kQueue] = burst; }
    void pop() { head = (head + 1) % kQueue, --size; }
};

struct Log {
    uint64_t* cycles = nullptr;
    uint64_t capacity = 0, count = 0;
    void add(uint64_t cycle) {
        if (count < capacity) cycles[count] = cycle;
        ++count;
    }
};

#ifdef ZS_GLUE
// The glue between DMA and engine.  before() sets the design's inputs of a cycle, after() is the clock edge.
struct GlueBridge {
    zs::Glue<zs::Simulated> glue;
    bool engine_valid = false, result_valid = false;
    zs::Word engine;
    zs::Result result;
    bool packet_taken = false, engine_taken = false, sum_taken = false, result_taken = false;
    uint64_t packet = 0, sum = 0;

    void reset() {
        glue.reset();
        engine_valid = result_valid = false;
    }

    void before(Vzeroskip_sim& top) {
        top.glue = 1;
        top.packets_tready = glue.packets.size() < zs::PORT_DEPTH;
        top.sums_tready = glue.sums.size() < zs::PORT_DEPTH;
        top.expanded_tvalid = engine_valid;
        top.results_tvalid = result_valid;
        if (engine_valid) top.expanded_tdata = engine.to_uint64();
        if (result_valid) top.results_tdata = result.data.to_uint64(), top.results_tlast = result.last.to_bool();
        packet_taken = top.packets_tvalid && top.packets_tready, packet = top.packets_tdata;
        sum_taken = top.sums_tvalid && top.sums_tready, sum = top.sums_tdata;
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
#endif

uint32_t xorshift32(uint32_t x) {
    x ^= x << 13;
    x ^= x >> 17;
    return x ^ (x << 5);
}

struct Simulation {
    VerilatedContext context;
    std::unique_ptr<Vzeroskip_sim> top;
#ifdef ZS_TRACE
    std::unique_ptr<VerilatedFstC> trace;
#endif
    uint8_t* memory;
    uint64_t base, size;
    uint32_t read_latency = 1, write_latency = 1, rate = 1024, stall = 0;
    uint32_t seed_read = 1, seed_write = 1;

    uint64_t now = 0, started = 0;
    uint32_t credit = 0, random_read = 1, random_write = 1;
    Queue reads, writes, responses;
#ifdef ZS_GLUE
    GlueBridge bridge;
#endif
    bool read_held = false;
    Log log_in, log_out;
    std::string fault;

    // What the design offered in the last cycle without being taken; it must not change.
    bool ar_waits = false, aw_waits = false, w_waits = false;
    uint32_t ar_was = 0, aw_was = 0;
    uint64_t w_was = 0;

    Simulation(uint8_t* memory, uint64_t base, uint64_t size, const char* trace_path)
        : memory(memory), base(base), size(size) {
        const char* arguments[] = {"zeroskip"};
        context.commandArgs(1, arguments);
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
        top->clk = 0;
        top->seed_in = top->seed_out = 1;
        top->rst = 1;
        for (int i = 0; i < 8; ++i) cycle();
        top->rst = 0;
        cycle();
    }

    ~Simulation() {
        top->final();
#ifdef ZS_TRACE
        if (trace) trace->close();
#endif
    }

    uint32_t response_at(uint64_t address) const {
        if (address - base < size) return 0;
        return address - base - size < kFaultPage ? kSlvErr : kDecErr;
    }

    void broken(const char* rule, uint64_t address) {
        if (!fault.empty()) return;
        char text[160];
        snprintf(text, sizeof text, "cycle %llu: AXI4 rule broken: %s (address 0x%llx)",
                 (unsigned long long)now, rule, (unsigned long long)address);
        fault = text;
    }

    void check_burst(uint64_t address, uint32_t beats, uint32_t kind, uint32_t log2_bytes) {
        if (kind != 1 || log2_bytes != 3) broken("not an INCR burst of 64-bit words", address);
        if (beats > 16) broken("more than 16 beats", address);
        if ((address ^ (address + 8 * beats - 1)) >> 12) broken("burst across a 4 KiB boundary", address);
        if (address % 8) broken("unaligned burst", address);
    }

    void check_stable() {
        if (ar_waits && !(top->m_axi_arvalid && top->m_axi_araddr == ar_was)) broken("AR changed while waiting", ar_was);
        if (aw_waits && !(top->m_axi_awvalid && top->m_axi_awaddr == aw_was)) broken("AW changed while waiting", aw_was);
        if (w_waits && !(top->m_axi_wvalid && top->m_axi_wdata == w_was)) broken("W changed while waiting", 0);
        ar_waits = top->m_axi_arvalid && !top->m_axi_arready, ar_was = top->m_axi_araddr;
        aw_waits = top->m_axi_awvalid && !top->m_axi_awready, aw_was = top->m_axi_awaddr;
        w_waits = top->m_axi_wvalid && !top->m_axi_wready, w_was = top->m_axi_wdata;
    }

    void cycle() {
        // Memory's outputs in this cycle.
        credit += rate;
        const bool slot = credit >= 1024;
        if (slot) credit -= 1024;
        const bool go_read = (random_read & 255) >= stall, go_write = (random_write & 255) >= stall;

        const bool read = read_held || (reads.size && reads.front().ready <= now && slot && go_read);
        top->m_axi_arready = reads.size < kQueue && (random_read >> 8 & 255) >= stall;
        top->m_axi_rvalid = read;
        if (read) {
            Burst& burst = reads.front();
            uint64_t word = 0;
            if (!burst.response) memcpy(&word, memory + (burst.address - base), 8);
            top->m_axi_rdata = word;
            top->m_axi_rresp = burst.response;
            top->m_axi_rlast = burst.beats == 1;
        }
        top->m_axi_awready = writes.size < kQueue && (random_write >> 8 & 255) >= stall;
        top->m_axi_wready = writes.size && slot && go_write;
        top->m_axi_bvalid = responses.size && responses.front().ready <= now;
        if (responses.size) top->m_axi_bresp = responses.front().response;

        // Handshakes.
        check_stable();
        if (read && top->m_axi_rready) {
            Burst& burst = reads.front();
            burst.address += 8;
            if (--burst.beats == 0) reads.pop();
        }
        read_held = read && !top->m_axi_rready;
        if (top->m_axi_arvalid && top->m_axi_arready) {
            const uint64_t address = top->m_axi_araddr;
            check_burst(address, top->m_axi_arlen + 1, top->m_axi_arburst, top->m_axi_arsize);
            reads.push({address, now + read_latency, uint32_t(top->m_axi_arlen) + 1, response_at(address)});
        }
        if (top->m_axi_bvalid && top->m_axi_bready) responses.pop();
        if (top->m_axi_wvalid && top->m_axi_wready) {
            Burst& burst = writes.front();
            if (!burst.response) {
                const uint64_t word = top->m_axi_wdata;
                memcpy(memory + (burst.address - base), &word, 8);
            }
            burst.address += 8;
            --burst.beats;
            if (bool(top->m_axi_wlast) != (burst.beats == 0)) broken("wlast at the wrong word", burst.address);
            if (top->m_axi_wstrb != 0xFF) broken("partial word", burst.address);
            if (burst.beats == 0) {
                if (responses.size == kQueue) broken("more bursts than memory can answer", burst.address);
                else responses.push({0, now + write_latency, 0, burst.response});
                writes.pop();
            }
        }
        if (top->m_axi_awvalid && top->m_axi_awready) {
            const uint64_t address = top->m_axi_awaddr;
            check_burst(address, top->m_axi_awlen + 1, top->m_axi_awburst, top->m_axi_awsize);
            writes.push({address, 0, uint32_t(top->m_axi_awlen) + 1, response_at(address)});
        }

#ifdef ZS_GLUE
        bridge.before(*top);
        const bool in = bridge.packet_taken, out = bridge.result_taken;
#else
        const bool in = top->tap_in, out = top->tap_out;
#endif
        // A run begins: cycle 0 of the random numbers and of the logs.
        random_read = xorshift32(random_read);
        random_write = xorshift32(random_write);
        if (top->tap_start) {
            random_read = seed_read;
            random_write = seed_write;
            credit = 0;
            started = now;
            log_in.count = log_out.count = 0;
        }
        if (in) log_in.add(now - started);
        if (out) log_out.add(now - started);

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
#ifdef ZS_GLUE
        bridge.after();
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
ZS_API void* zs_open(uint8_t* memory, uint64_t base, uint64_t size, const char* trace) {
    return new Simulation(memory, base, size, trace);
}

ZS_API void zs_close(void* handle) { delete static_cast<Simulation*>(handle); }

// rate: beats per 1024 cycles; stall, stream_stall: of 256; seeds: read, write, stream in, stream out (none 0).
ZS_API void zs_configure(void* handle, uint32_t read_latency, uint32_t write_latency, uint32_t rate, uint32_t stall,
                         uint32_t stream_stall, const uint32_t* seeds) {
    auto& s = *static_cast<Simulation*>(handle);
    s.read_latency = read_latency, s.write_latency = write_latency, s.rate = rate, s.stall = stall;
    s.random_read = s.seed_read = seeds[0];
    s.random_write = s.seed_write = seeds[1];
    s.top->seed_in = seeds[2], s.top->seed_out = seeds[3];
    s.top->stream_stall = stream_stall;
}

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
ZS_API const char* zs_fault(void* handle) { return static_cast<Simulation*>(handle)->fault.c_str(); }
