// requantise: 32-bit sums to the next layer's activations, a word of them per cycle.
//
// Licence: MIT.
// Formats: docs/streams.md.  Arithmetic: docs/numerics.md, "Convolution and matrix product".
#ifndef ZEROSKIP_REQUANTISE_H
#define ZEROSKIP_REQUANTISE_H

#include "glue.h"

namespace zs {

// A beat of the engine's output; the first sum is lowest.
template <int N> struct SumBeat {
    ap_int<32> sum[N] = {};
};
template <int N> using Sums = hls::stream<SumBeat<N>>;

// Up to a word of results, or two sums as they came.
struct Piece {
    Word data;         // the first lowest; zero beyond `bytes`
    ap_uint<4> bytes;  // 1 to 8; 0 where all results are left out
    bool wide;         // results of 16 bits
    bool compress;     // to leave as zero groups
    ap_int<16> zero;   // the result that counts as zero
    bool end, last;    // of the run; the run's last flag
};
using Pieces = hls::stream<Piece>;

// What becomes of a run's sums, and how many there are.
template <int Filters> struct Job {
    bool raw = true, wide = false, compress = false, last = false, apart = false;
    ap_int<16> zero = 0, low = 0, high = 0;
    ap_uint<15> sums = 0; // of a pixel; of one lane of it where lanes are apart
    ap_uint<16> nx = 0, ny = 0;
    ap_int<32> bias[Filters] = {}, multiplier[Filters] = {};
    ap_uint<6> shift[Filters] = {};
};

// Filters of which a run may bring parameters.
template <class Build> constexpr int room() { return Build::filters > Build::lanes ? Build::filters : Build::lanes; }

// Parameters of later runs that wait, so that they do not stand in the way of the engine's input: one run computes, one
// is loaded, one is loading, and of one before them sums are still coming.  Two of these four are in Requantise.
template <class Build> constexpr int jobs_depth() { return 2 * (3 + 2 * room<Build>()); }

struct Queue {
    void step(Stream& runs, Stream& jobs) {
#pragma HLS INLINE
        Word beat;
        if (runs.read_nb(beat)) jobs.write(beat);
    }
};

// A word of results per cycle: at most `sums` bytes, 4 of 16 bits, 2 raw sums.  The next run's parameters are read
// meanwhile, so that a run costs one cycle more than its words.
// What decides the next cycle is compared with constants, before anything is counted down: short paths.
template <class Build> struct Requantise {
    static constexpr int N = Build::sums, M = Build::filters, ROOM = room<Build>();
    static constexpr int WIDE = N < 4 ? N : 4; // 16-bit results of a word
    static_assert(N == 2 || N == 4 || N == 8, "a beat holds 2, 4 or 8 sums");
    static_assert((M & (M - 1)) == 0 && (ROOM & (ROOM - 1)) == 0, "filters in lockstep, and lanes, are a power of two");
    static_assert(M == 1 || Build::lanes == 1, "lanes are apart where no filters are in lockstep");
    static_assert(M * Build::wgs < 1 << 15, "sums of a pixel are counted with 15 bits");

    enum State { RUN, FILTER_0, FILTER_1, LOOP };
    ap_uint<2> state = RUN;
    ap_uint<8> filters = 0, index = 0; // of the FINISH packet
    Job<ROOM> next, now;
    bool ready = false, busy = false; // next is complete; now has sums to come

    SumBeat<N> held;         // the first `have` of them are not yet finished
    ap_uint<4> have = 0;
    bool held_ends = false;  // the beat that is held is the last one of its pixel, or lane
    ap_uint<15> left = 0;    // sums of this pixel, or lane, not yet read
    ap_uint<8> filter = 0;   // of the next sum
    ap_uint<16> x = 0, y = 0; // pixels and rows of pixels still to end

    void step(Stream& jobs, Sums<N>& sums, Pieces& pieces) {
#pragma HLS INLINE
        if (busy) {
            finish(sums, pieces);
        } else if (ready) {
            now = next;
            next.raw = true;
            left = next.sums, filter = 0;
            x = next.nx, y = next.ny;
            busy = true, ready = false;
        }
        Word beat;
        if (!ready && jobs.read_nb(beat)) load(beat);
    }

    // saturate(round half to even(total * multiplier / 2^shift) + zero, low, high)
    static ap_int<16> rescale(ap_int<32> total, ap_int<32> multiplier, ap_uint<6> shift, ap_int<16> zero,
                              ap_int<16> low, ap_int<16> high) {
#pragma HLS INLINE
        const ap_int<64> product = total * multiplier;
        // Two times the quotient, rounded down: its lowest bit is the first one that is cut off.
        const ap_int<64> twice = product >> int(shift - 1);
        const ap_uint<64> below = ~(ap_uint<64>(-1) << int(shift - 1));
        const bool more = (ap_uint<64>(product) & below) != 0;
        const ap_int<64> quotient = twice >> 1;
        const bool up = twice[0] && (more || quotient[0]);
        ap_int<64> y = quotient; // |product| < 2^62
        if (up) ++y;
        y += zero;
        return y < low ? low : y > high ? high : ap_int<16>(y);
    }

private:
    void load(const Word& beat) {
#pragma HLS INLINE
        switch (int(state)) {
        case RUN:
            if (get<run::kind>(beat) == KIND_FINISH) {
                next.raw = false;
                next.wide = get<finish::wide>(beat);
                next.compress = get<finish::compress>(beat);
                next.zero = get_signed<finish::zero_point>(beat);
                next.low = get_signed<finish::low>(beat);
                filters = get<finish::filters>(beat);
                index = 0;
                state = get<finish::filters>(beat) == 0 ? RUN : FILTER_0;
            } else {
                next.last = get<run::last>(beat);
                next.apart = Build::lanes > 1 && get<run::apart>(beat) == 1;
                next.sums = get<run::wgs>(beat) * ap_uint<7>(M);
                state = LOOP;
            }
            break;
        case FILTER_0:
            next.bias[int(index) % ROOM] = get_signed<finish::bias>(beat);
            next.multiplier[int(index) % ROOM] = get<finish::multiplier>(beat);
            state = FILTER_1;
            break;
        case FILTER_1:
            next.shift[int(index) % ROOM] = get<finish::shift>(beat);
            next.high = get_signed<finish::high>(beat);
            state = ++index == filters ? RUN : FILTER_0;
            break;
        case LOOP:
            next.nx = get<run::nx>(beat);
            next.ny = get<run::ny>(beat);
            ready = true;
            state = RUN;
            break;
        }
    }

    void finish(Sums<N>& sums, Pieces& pieces) {
#pragma HLS INLINE
        SumBeat<N> beat = held;
        ap_uint<4> there = have;
        bool ends = held_ends;
        if (have == 0) {
            if (!sums.read_nb(beat)) return;
            ends = left <= N;
            there = ends ? ap_uint<4>(left) : ap_uint<4>(N);
            left = ends ? now.sums : ap_uint<15>(left - N);
        }
        const ap_uint<4> most = now.raw ? 2 : now.wide ? WIDE : N;
        const bool more = N > 2 && there > most;
        const ap_uint<4> count = more ? most : there;

        Piece piece;
        piece.data = now.raw ? raw(beat, count) : results(beat, count);
        piece.bytes = now.raw ? ap_uint<4>(8) : now.wide ? ap_uint<4>(2 * count) : count;
        piece.wide = now.wide, piece.compress = !now.raw && now.compress;
        piece.zero = now.zero;
        const bool lane_end = ends && !more;
        const bool pixel_end = lane_end && (!now.apart || filter == Build::lanes - 1);
        const bool row_end = pixel_end && x == 1;
        piece.end = row_end && y == 1;
        piece.last = now.last;
        pieces.write(piece);

        have = more ? ap_uint<4>(there - most) : ap_uint<4>(0);
        held_ends = ends;
        for (int i = 0; i < N; ++i) { // those that are left move down
#pragma HLS UNROLL
            held.sum[i] = now.raw ? beat.sum[(i + 2) % N] : beat.sum[(i + WIDE) % N];
        }
        if (M > 1) filter = lane_end ? 0 : (int(filter) + int(most)) % M;
        else if (lane_end) filter = pixel_end ? 0 : int(filter) + 1;
        if (pixel_end) x = row_end ? now.nx : ap_uint<16>(x - 1);
        if (row_end) --y;
        busy = !piece.end;
    }

    static Word raw(const SumBeat<N>& beat, ap_uint<4> count) {
#pragma HLS INLINE
        Word word = ap_uint<32>(beat.sum[0]);
        if (count != 1) word.range(63, 32) = beat.sum[1];
        return word;
    }

    Word results(const SumBeat<N>& beat, ap_uint<4> count) const {
#pragma HLS INLINE
        Word bytes = 0, halves = 0;
        for (int i = 0; i < N; ++i) {
#pragma HLS UNROLL
            // In lockstep `filter` is a multiple of WIDE or zero, which spares multiplexers.
            const int m = M == 1 ? int(filter) % ROOM : ((int(filter) & -WIDE) + i) % M;
            // Bias and sum together stay below 2^31: the compiler refuses a layer that could exceed it.
            const ap_int<32> total = beat.sum[i] + now.bias[m];
            const ap_int<16> value = rescale(total, now.multiplier[m], now.shift[m], now.zero, now.low, now.high);
            if (i < int(count)) {
                bytes.range(8 * i + 7, 8 * i) = value.range(7, 0);
                if (i < WIDE) halves.range(16 * (i % 4) + 15, 16 * (i % 4)) = value;
            }
        }
        return now.wide ? halves : bytes;
    }
};

} // namespace zs

#endif
