// act_expand: between DMA and engine; turns zero-compressed activations into the engine's columns.
//
// Licence: MIT.
// Formats: docs/streams.md.
//
//   packets ──► route ──┬─ words ──► scatter ──► engine      ACT, RUN
//                       ├─ orders ──►
//                       └──────────────────────► runs        FINISH, headers of RUN: for act_finish
//
// ACT and RUN pass as they are.  Of an ACTZ packet only zero bits and non-zero activations come in; ACT goes out.
// Latency: two cycles.  Throughput: one beat out per cycle, as long as that many come in: a group's zero bits are
// read ahead while the group before them is written.  A header that no rule knows passes as a single beat, so that
// the engine stops at it and says why.  The engine checks the checksums of what comes to it, an ACTZ's in the ACT that
// it becomes; in place of a FINISH with a wrong one it gets a beat of kind DAMAGED, and stops before the RUN.
#ifndef ZEROSKIP_ACT_EXPAND_H
#define ZEROSKIP_ACT_EXPAND_H

#include "glue.h"

namespace zs {

// What scatter does next: pass `beats` beats on, or make `beats` beats from a group's zero bits.
struct Order {
    Word zero_bits;
    bool expand;
    bool wide;                // activations of 16 bits
    ap_uint<8> zero;          // the byte that stands for a zero
    ap_uint<32> beats;
};
using Orders = hls::stream<Order>;

constexpr int EXPAND_DEPTH = 32; // of the FIFOs: two groups of 16 beats

// Finds the packets, and the groups in them.
template <class Build> struct Route {
    static_assert(Build::step_beats >= 1 && Build::step_beats < 256, "a step is at most 255 beats");
    static_assert(Build::near_beats >= 1 && Build::near_beats < 256, "a step is at most 255 beats");
    static_assert(Build::wgs >= 1 && Build::wgs < 128, "RUN.wgs and ACT.wgs have seven bits");
    static_assert(Build::column_beats_u8 < 16 && Build::column_beats_s16 < 16, "a column is at most 15 beats");

    enum State { HEADER, RUN_HEADER, PASS, FINISH, GROUP_BITS, GROUP_VALUES };
    ap_uint<3> state = HEADER;
    ap_uint<32> left = 0; // beats to come: of the packet as it is, or of the ACT to be made
    ap_uint<5> values = 0; // beats of values to come in this group
    bool wide = false;
    ap_uint<8> zero = 0;
    ap_uint<16> sum = 0, expected = 0; // of a FINISH: its checksum so far, and as its header says

    void step(Stream& packets, Stream& words, Orders& orders, Stream& runs) {
#pragma HLS INLINE
        Word beat;
        if (!packets.read_nb(beat)) return;
        switch (int(state)) {
        case HEADER: header(beat, words, orders, runs); break;
        case RUN_HEADER:
            runs.write(beat);
            words.write(beat);
            count_down(PASS);
            break;
        case PASS:
            words.write(beat);
            count_down(PASS);
            break;
        case FINISH:
            runs.write(beat);
            sum = checksum(sum, beat);
            count_down(FINISH);
            if (left == 0) finish_end(words, orders);
            break;
        case GROUP_BITS: group(beat, orders); break;
        case GROUP_VALUES:
            words.write(beat);
            if (--values == 0) state = left == 0 ? HEADER : GROUP_BITS;
            break;
        }
    }

private:
    void count_down(State again) {
#pragma HLS INLINE
        --left;
        state = left == 0 ? HEADER : again;
    }

    void finish_end(Stream& words, Orders& orders) {
#pragma HLS INLINE
        if (sum == expected) return;
        Word damaged = 0;
        damaged.range(act::kind::low + act::kind::width - 1, act::kind::low) = KIND_DAMAGED;
        words.write(damaged);
        orders.write({0, false, false, 0, 1});
    }

    void header(const Word& beat, Stream& words, Orders& orders, Stream& runs) {
#pragma HLS INLINE
        const int kind = get<act::kind>(beat);
        wide = get<act::format>(beat);
        zero = wide ? ap_uint<8>(0) : get<act::zero_point>(beat);
        const ap_uint<32> columns = get<act::count>(beat) * get<act::wgs>(beat);
        const ap_uint<32> body = columns * ap_uint<4>(wide ? Build::column_beats_s16 : Build::column_beats_u8);
        const ap_uint<32> far = get<run::steps>(beat) * ap_uint<8>(Build::step_beats);
        const ap_uint<32> near = get<run::steps>(beat) * ap_uint<8>(Build::near_beats);
        const ap_uint<32> schedule = get<run::near>(beat) == 1 ? near : far; // the same in builds with one format

        Word passed = beat;
        left = 0;
        state = HEADER;
        if (kind == KIND_FINISH) {
            runs.write(beat);
            Word counted = beat;
            counted.range(finish::checksum::low + finish::checksum::width - 1, finish::checksum::low) = 0;
            sum = checksum(0, counted);
            expected = get<finish::checksum>(beat);
            left = 2 * get<finish::filters>(beat);
            state = left == 0 ? HEADER : FINISH;
            if (left == 0) finish_end(words, orders);
            return;
        }
        if (kind == KIND_RUN) {
            runs.write(beat);
            left = schedule + 1;
            state = RUN_HEADER;
        } else if (kind == KIND_ACT && body != 0) {
            left = body;
            state = PASS;
        } else if (kind == KIND_ACTZ) {
            passed.range(act::kind::low + act::kind::width - 1, act::kind::low) = KIND_ACT;
            left = body;
            state = body == 0 ? HEADER : GROUP_BITS;
        }
        words.write(passed);
        orders.write({0, false, false, 0, kind == KIND_ACTZ ? ap_uint<32>(1) : ap_uint<32>(left + 1)});
    }

    void group(const Word& zero_bits, Orders& orders) {
#pragma HLS INLINE
        const ap_uint<5> most = wide ? 16 : 8; // beats of 64 activations
        const ap_uint<5> beats = left < most ? ap_uint<5>(left) : most;
        const ap_uint<7> count = popcount<64>(zero_bits);
        orders.write({zero_bits, true, wide, zero, beats});
        values = wide ? (count + 3) >> 2 : (count + 7) >> 3;
        left -= beats;
        if (values != 0) state = GROUP_VALUES;
        else state = left == 0 ? HEADER : GROUP_BITS;
    }
};

// Writes the engine's beats.
struct Scatter {
    ap_uint<32> left = 0; // beats still to write for the order
    Order order = {0, false, false, 0, 0};
    ap_uint<120> held = 0; // values read and not yet used, the next one lowest
    ap_uint<4> bytes = 0;  // of them

    void step(Stream& words, Orders& orders, Stream& engine) {
#pragma HLS INLINE
        if (left == 0) {
            if (!orders.read_nb(order)) return;
            left = order.beats;
            held = 0, bytes = 0; // values of a group begin on a beat of their own
        }
        if (order.expand ? expand(words, engine) : pass(words, engine)) --left;
    }

private:
    bool pass(Stream& words, Stream& engine) {
#pragma HLS INLINE
        Word word;
        if (!words.read_nb(word)) return false;
        engine.write(word);
        return true;
    }

    bool expand(Stream& words, Stream& engine) {
#pragma HLS INLINE
        ap_uint<8> sent = order.zero_bits.range(7, 0); // bit i: byte i of the beat is sent
        if (order.wide) {
            for (int i = 0; i < 8; ++i) {
#pragma HLS UNROLL
                sent[i] = order.zero_bits[i / 2];
            }
        }
        const ap_uint<4> need = popcount<8>(Word(sent));
        if (bytes < need) {
            Word word;
            if (!words.read_nb(word)) return false;
            held |= ap_uint<120>(word) << (8 * int(bytes));
            bytes += 8;
        }
        Word out;
        int next = 0;
        for (int i = 0; i < 8; ++i) {
#pragma HLS UNROLL
            const ap_uint<8> value = held.range(8 * next + 7, 8 * next);
            out.range(8 * i + 7, 8 * i) = sent[i] ? value : order.zero;
            next += sent[i];
        }
        engine.write(out);
        held >>= 8 * int(need);
        bytes -= need;
        order.zero_bits >>= order.wide ? 4 : 8;
        return true;
    }
};

} // namespace zs

#endif
