// act_finish: between engine and DMA; turns 32-bit sums into the next layer's activations.
//
// Licence: MIT.
// Formats: docs/streams.md.  Arithmetic: docs/numerics.md, "Convolution and matrix product".
//
//   runs ──► queue ── jobs ──► requantise ── pairs ──► align ── pairs ──► pack ──┬─ words ──► emit ──► results
//   sums ─────────────────────►                                                  └─ marks ──►
//
// A FINISH packet says what becomes of the sums of the RUN after it; the sums of a RUN without one pass as they are.
// Throughput: one beat of sums per cycle, but for the cycles that read a run's parameters (3 + 2 FILTERS).
// TLAST is with the last beat of the RUN whose header says so, as without this kernel.
#ifndef ZEROSKIP_ACT_FINISH_H
#define ZEROSKIP_ACT_FINISH_H

#include "ap_axi_sdata.h"
#include "glue.h"

namespace zs {

using Result = ap_axiu<STREAM_BITS, 0, 0, 0>;
using Results = hls::stream<Result>;

// Up to two results, or a beat of sums.
struct Pair {
    Word sums;
    ap_int<16> value[2];
    ap_uint<2> count;      // results in it: 1 or 2
    ap_int<16> zero;       // the result that counts as zero
    bool raw, wide, compress;
    bool end, last;        // of the run; the run's last flag
};
using Pairs = hls::stream<Pair>;

// What emit does next: a single word, or a group's zero bits and `beats` words.
struct Mark {
    Word zero_bits;
    bool group;
    bool last; // TLAST with the final beat
    ap_uint<5> beats;
};
using Marks = hls::stream<Mark>;

constexpr int FINISH_DEPTH = 32; // of the FIFOs: a group of 16 beats is complete before its zero bits are known

template <class Build> constexpr int jobs_depth() { // parameters of the runs that the engine may be ahead
    return 4 * (3 + 2 * Build::filters);
}

// Keeps the parameters of later runs, so that they do not stand in the way of the engine's input.
struct Queue {
    void step(Stream& runs, Stream& jobs) {
#pragma HLS INLINE
        Word beat;
        if (runs.read_nb(beat)) jobs.write(beat);
    }
};

// Sums to results, two per cycle.
template <class Build> struct Requantise {
    static constexpr int M = Build::filters;
    static_assert(M == 1 || M % 2 == 0, "a beat holds one filter's sums of two work groups, or sums of filters m and m + 1");
    static_assert(M * Build::wgs < 1 << 15, "sums of a pixel are counted with 15 bits");

    enum State { JOB, FILTER_0, FILTER_1, LOOP, SUMS };
    ap_uint<3> state = JOB;
    ap_uint<8> filter = 0;
    ap_int<32> bias[M] = {}, multiplier[M] = {};
    ap_uint<6> shift[M] = {};
    ap_int<16> zero = 0, low = 0, high = 0;
    bool raw = true, wide = false, compress = false, last = false;
    ap_uint<15> sums_of_pixel = 0, left = 0; // left: sums of this pixel to come
    ap_uint<32> pixels = 0;

    void step(Stream& jobs, Stream& sums, Pairs& pairs) {
#pragma HLS INLINE
        Word beat;
        if (state == SUMS) {
            if (sums.read_nb(beat)) finish(beat, pairs);
        } else if (jobs.read_nb(beat)) {
            job(beat);
        }
    }

    // saturate(round half to even(total * multiplier / 2^shift) + zero, low, high)
    static ap_int<16> rescale(ap_int<32> total, ap_int<32> multiplier, ap_uint<6> shift, ap_int<16> zero,
                              ap_int<16> low, ap_int<16> high) {
#pragma HLS INLINE
        const ap_int<64> product = ap_int<64>(total) * multiplier;
        // Two times the quotient, rounded down: its lowest bit is the first one that is cut off.
        const ap_int<64> twice = product >> int(shift - 1);
        const ap_uint<64> below = (ap_uint<64>(1) << int(shift - 1)) - 1;
        const bool more = (ap_uint<64>(product) & below) != 0;
        const ap_int<64> quotient = twice >> 1;
        const bool up = twice[0] && (more || quotient[0]);
        const ap_int<65> y = ap_int<65>(quotient) + up + zero;
        return y < low ? low : y > high ? high : ap_int<16>(y);
    }

private:
    void job(const Word& beat) {
#pragma HLS INLINE
        switch (int(state)) {
        case JOB:
            if (get<run::kind>(beat) == KIND_FINISH) {
                raw = false;
                wide = get<finish::wide>(beat);
                compress = get<finish::compress>(beat);
                zero = get_signed<finish::zero_point>(beat);
                low = get_signed<finish::low>(beat);
                high = get_signed<finish::high>(beat);
                filter = 0;
                state = FILTER_0;
            } else {
                last = get<run::last>(beat);
                sums_of_pixel = get<run::wgs>(beat) * ap_uint<7>(M);
                state = LOOP;
            }
            break;
        case FILTER_0:
            bias[filter] = get_signed<finish::bias>(beat);
            multiplier[filter] = get<finish::multiplier>(beat);
            state = FILTER_1;
            break;
        case FILTER_1:
            shift[filter] = get<finish::shift>(beat);
            state = ++filter == M ? JOB : FILTER_0;
            break;
        case LOOP:
            pixels = get<run::nx>(beat) * get<run::ny>(beat);
            left = sums_of_pixel;
            filter = 0;
            state = SUMS;
            break;
        }
    }

    void finish(const Word& beat, Pairs& pairs) {
#pragma HLS INLINE
        Pair pair;
        pair.sums = beat;
        pair.count = left == 1 ? 1 : 2;
        pair.zero = zero;
        pair.raw = raw, pair.wide = wide, pair.compress = compress;
        for (int i = 0; i < 2; ++i) {
#pragma HLS UNROLL
            const int m = M == 1 ? 0 : int(filter) + i;
            // Bias and sum together stay below 2^31: the compiler refuses a layer that could exceed it.
            const ap_int<32> total = ap_int<32>(beat.range(32 * i + 31, 32 * i)) + bias[m];
            pair.value[i] = rescale(total, multiplier[m], shift[m], zero, low, high);
        }
        filter = filter + 2 >= M ? 0 : int(filter) + 2;
        left -= pair.count;
        if (left == 0) {
            left = sums_of_pixel;
            --pixels;
        }
        pair.end = pixels == 0;
        pair.last = last;
        pairs.write(pair);
        if (pair.end) {
            raw = true;
            state = JOB;
        }
    }
};

// A pixel may have an odd number of results; pairs go on across pixels, only a run's final one may be single.
struct Align {
    bool holds = false, flush = false;
    Pair held = {};

    void step(Pairs& in, Pairs& out) {
#pragma HLS INLINE
        if (flush) {
            held.end = true;
            out.write(held);
            flush = holds = false;
            return;
        }
        Pair pair;
        if (!in.read_nb(pair)) return;
        if (pair.raw) {
            out.write(pair);
            return;
        }
        Pair now = pair; // the pair that leaves
        if (holds) {
            now.value[0] = held.value[0];
            now.value[1] = pair.value[0];
            now.count = 2;
        }
        const bool complete = holds || pair.count == 2;
        const bool rest = holds == (pair.count == 2); // one is left over
        held = pair;
        held.count = 1;
        if (holds) held.value[0] = pair.value[1];
        flush = rest && pair.end;
        now.end = pair.end && !rest;
        if (complete) out.write(now);
        holds = rest;
    }
};

// Results to beats, with or without their zeros.
struct Pack {
    ap_uint<96> held = 0; // results not yet written, the first one lowest
    ap_uint<4> bytes = 0; // of them
    Mark mark = {0, true, false, 0};
    ap_uint<7> seen = 0; // results of the group so far
    bool flush = false;

    void step(Pairs& pairs, Stream& words, Marks& marks) {
#pragma HLS INLINE
        if (flush) {
            words.write(held.range(63, 0));
            ++mark.beats;
            close(marks);
            return;
        }
        Pair pair;
        if (!pairs.read_nb(pair)) return;
        if (pair.raw) {
            words.write(pair.sums);
            marks.write({0, false, pair.end && pair.last, 1});
            return;
        }
        for (int i = 0; i < 2; ++i) {
#pragma HLS UNROLL
            const bool present = i < int(pair.count);
            const bool zero = pair.value[i] == pair.zero;
            if (present && !(pair.compress && zero)) append(pair.value[i], pair.wide);
            if (present && !zero) mark.zero_bits[int(seen) + i] = 1;
        }
        seen += pair.count;
        if (pair.compress) {
            if (bytes >= 8) {
                words.write(held.range(63, 0));
                ++mark.beats;
                held >>= 64;
                bytes -= 8;
            }
            if (seen == GROUP || pair.end) {
                mark.last = pair.end && pair.last;
                if (bytes != 0) flush = true;
                else close(marks);
            }
        } else {
            mark.zero_bits = 0, seen = 0;
            if (bytes == 8 || pair.end) {
                words.write(held.range(63, 0));
                marks.write({0, false, pair.end && pair.last, 1});
                held = 0, bytes = 0;
            }
        }
    }

private:
    void append(ap_int<16> value, bool wide) {
#pragma HLS INLINE
        const ap_uint<16> bits = wide ? ap_uint<16>(value) : ap_uint<16>(ap_uint<8>(value));
        held |= ap_uint<96>(bits) << (8 * int(bytes));
        bytes += wide ? 2 : 1;
    }

    void close(Marks& marks) {
#pragma HLS INLINE
        marks.write(mark);
        mark = {0, true, false, 0};
        held = 0, bytes = 0, seen = 0;
        flush = false;
    }
};

// Puts zero bits before their values, and TLAST.
struct Emit {
    ap_uint<5> left = 0;
    bool last = false;

    void step(Stream& words, Marks& marks, Results& results) {
#pragma HLS INLINE
        Word word;
        if (left == 0) {
            Mark mark;
            if (!marks.read_nb(mark)) return;
            left = mark.beats;
            last = mark.last;
            if (mark.group) {
                write(mark.zero_bits, last && left == 0, results);
                return;
            }
        }
        if (!words.read_nb(word)) return;
        --left;
        write(word, last && left == 0, results);
    }

private:
    static void write(const Word& word, bool last, Results& results) {
#pragma HLS INLINE
        Result result;
        result.data = word;
        result.keep = -1;
        result.strb = -1;
        result.last = last;
        results.write(result);
    }
};

} // namespace zs

#endif
