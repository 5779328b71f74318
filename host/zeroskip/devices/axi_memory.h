// axi_memory.h: the memory of the simulated board: an AXI4 slave over a buffer that Python owns.
//
// Licence: MIT.
//
// It answers as MemoryModel (memory.py) says: latency, a share of the cycles in which a word can pass, random stalls; and
// it checks the rules of the bus.  What it shows in a cycle depends only on its state before that cycle.
// zeroskip/models/dma.py describes the same memory for the cycle model.
#ifndef ZEROSKIP_AXI_MEMORY_H
#define ZEROSKIP_AXI_MEMORY_H

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

constexpr int kQueue = 16;            // bursts memory accepts ahead of the data
constexpr uint64_t kFaultPage = 4096; // the page after the memory answers SLVERR, everything else unmapped DECERR
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

inline uint32_t xorshift32(uint32_t x) {
    x ^= x << 13;
    x ^= x >> 17;
    return x ^ (x << 5);
}

struct Memory {
    uint8_t* buffer;
    uint64_t base, size;
    uint32_t read_latency = 1, write_latency = 1;
    uint32_t rate = 1024, stall = 0; // words per 1024 cycles; stalls of 256
    // AXI lets a slave take a burst's data before its address (true), or its address first (false), and either wait for the
    // other's valid.  With `early` it takes up to a burst of data before each address, and an address only after all its data.
    bool early = false;
    std::string fault;               // the first rule of the bus that was broken

    Memory(uint8_t* buffer, uint64_t base, uint64_t size) : buffer(buffer), base(base), size(size) {}

    // The random numbers of the next cycle; a run begins with the same ones.
    void advance(bool run_begins) {
        random_read = run_begins ? seed_read : xorshift32(random_read);
        random_write = run_begins ? seed_write : xorshift32(random_write);
        if (run_begins) credit = 0;
    }

    void seed(uint32_t read, uint32_t write) {
        random_read = seed_read = read;
        random_write = seed_write = write;
    }

    // Sets the design's inputs of a cycle, takes its outputs, and passes the clock edge.
    template <class Design> void cycle(Design& top, uint64_t number) {
        now = number;
        // Memory's outputs in this cycle.
        credit += rate;
        const bool slot = credit >= 1024;
        if (slot) credit -= 1024;
        const bool go_read = (random_read & 255) >= stall, go_write = (random_write & 255) >= stall;

        const bool read = read_held || (reads.size && reads.front().ready <= now && slot && go_read);
        top.m_axi_arready = reads.size < kQueue && (random_read >> 8 & 255) >= stall;
        top.m_axi_rvalid = read;
        if (read) {
            Burst& burst = reads.front();
            uint64_t word = 0;
            if (!burst.response) memcpy(&word, buffer + (burst.address - base), 8);
            top.m_axi_rdata = word;
            top.m_axi_rresp = burst.response;
            top.m_axi_rlast = burst.beats == 1;
        }
        const bool go_address = (random_write >> 8 & 255) >= stall;
        top.m_axi_awready = early ? early_last && go_address : writes.size < kQueue && go_address;
        top.m_axi_wready = (early ? !early_last : bool(writes.size)) && slot && go_write;
        top.m_axi_bvalid = responses.size && responses.front().ready <= now;
        if (responses.size) top.m_axi_bresp = responses.front().response;

        // Handshakes.
        check_stable(top);
        if (read && top.m_axi_rready) {
            Burst& burst = reads.front();
            burst.address += 8;
            if (--burst.beats == 0) reads.pop();
        }
        read_held = read && !top.m_axi_rready;
        if (top.m_axi_arvalid && top.m_axi_arready) {
            const uint64_t address = top.m_axi_araddr;
            check_burst(address, top.m_axi_arlen + 1, top.m_axi_arburst, top.m_axi_arsize);
            reads.push({address, now + read_latency, uint32_t(top.m_axi_arlen) + 1, response_at(address)});
        }
        if (top.m_axi_bvalid && top.m_axi_bready) responses.pop();
        if (early) {
            cycle_early(top);
            return;
        }
        if (top.m_axi_wvalid && top.m_axi_wready) {
            Burst& burst = writes.front();
            if (!burst.response) {
                const uint64_t word = top.m_axi_wdata;
                memcpy(buffer + (burst.address - base), &word, 8);
            }
            burst.address += 8;
            --burst.beats;
            if (bool(top.m_axi_wlast) != (burst.beats == 0)) broken("wlast at the wrong word", burst.address);
            if (top.m_axi_wstrb != 0xFF) broken("partial word", burst.address);
            if (burst.beats == 0) {
                if (responses.size == kQueue) broken("more bursts than memory can answer", burst.address);
                else responses.push({0, now + write_latency, 0, burst.response});
                writes.pop();
            }
        }
        if (top.m_axi_awvalid && top.m_axi_awready) {
            const uint64_t address = top.m_axi_awaddr;
            check_burst(address, top.m_axi_awlen + 1, top.m_axi_awburst, top.m_axi_awsize);
            writes.push({address, 0, uint32_t(top.m_axi_awlen) + 1, response_at(address)});
        }
    }

private:
    uint64_t now = 0;
    uint32_t credit = 0, random_read = 1, random_write = 1, seed_read = 1, seed_write = 1;
    Queue reads, writes, responses;
    uint64_t early_words[kQueue];
    uint32_t early_count = 0;
    bool early_last = false; // the data of a burst has come, its address not yet
    bool read_held = false;

    // What the design offered in the last cycle without being taken; it must not change.
    bool ar_waits = false, aw_waits = false, w_waits = false;
    uint32_t ar_was = 0, aw_was = 0;
    uint64_t w_was = 0;

    template <class Design> void cycle_early(Design& top) {
        if (top.m_axi_wvalid && top.m_axi_wready) {
            if (top.m_axi_wstrb != 0xFF) broken("partial word", 0);
            if (early_count == kQueue) broken("more than 16 words without wlast", 0);
            else early_words[early_count++] = top.m_axi_wdata;
            early_last = top.m_axi_wlast;
        } else if (top.m_axi_awvalid && top.m_axi_awready) {
            const uint64_t address = top.m_axi_awaddr;
            const uint32_t beats = uint32_t(top.m_axi_awlen) + 1;
            check_burst(address, beats, top.m_axi_awburst, top.m_axi_awsize);
            if (beats != early_count) broken("a burst of another length than its data", address);
            else if (!response_at(address)) memcpy(buffer + (address - base), early_words, 8 * beats);
            if (responses.size == kQueue) broken("more bursts than memory can answer", address);
            else responses.push({0, now + write_latency, 0, response_at(address)});
            early_count = 0, early_last = false;
        }
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

    template <class Design> void check_stable(const Design& top) {
        if (ar_waits && !(top.m_axi_arvalid && top.m_axi_araddr == ar_was)) broken("AR changed while waiting", ar_was);
        if (aw_waits && !(top.m_axi_awvalid && top.m_axi_awaddr == aw_was)) broken("AW changed while waiting", aw_was);
        if (w_waits && !(top.m_axi_wvalid && top.m_axi_wdata == w_was)) broken("W changed while waiting", 0);
        ar_waits = top.m_axi_arvalid && !top.m_axi_arready, ar_was = top.m_axi_araddr;
        aw_waits = top.m_axi_awvalid && !top.m_axi_awready, aw_was = top.m_axi_awaddr;
        w_waits = top.m_axi_wvalid && !top.m_axi_wready, w_was = top.m_axi_wdata;
    }
};

#endif
