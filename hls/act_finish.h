// act_finish: between engine and DMA; turns 32-bit sums into the next layer's activations.
//
// Licence: MIT.
// Formats: docs/streams.md.
//
//   runs ──► queue ──► requantise ──► join ──► squeeze ──┬──────────► join ──► emit ──► results
//   sums ────────────►                                   └─ marks ───────────►
//
// A FINISH packet says what becomes of the sums of the RUN after it; the sums of a RUN without one pass as they are.
// Throughput: a beat of `sums` sums comes per cycle, and a word leaves: 8 bytes, 4 results of 16 bits, or 2 raw sums;
// a compressed group takes one cycle more, for its zero bits, and so does a run (requantise.h).
// TLAST is with the last beat of the RUN whose header says so, as without this kernel.
#ifndef ZEROSKIP_ACT_FINISH_H
#define ZEROSKIP_ACT_FINISH_H

#include "ap_axi_sdata.h"
#include "requantise.h"

namespace zs {

using Result = ap_axiu<STREAM_BITS, 0, 0, 0>;
using Results = hls::stream<Result>;

// What emit does next: a single word, or a group's zero bits and `beats` words.
struct Mark {
    Word zero_bits;
    bool group;
    bool last; // TLAST with the final beat
    ap_uint<5> beats;
};
using Marks = hls::stream<Mark>;

constexpr int FINISH_DEPTH = 32; // of the last FIFOs: a group of 16 beats is complete before its zero bits are known

// Pieces of any length to whole words; only the one before an end may be shorter.
// From `bytes` to `held`: an 8:1 multiplexer of bytes, OR, and the choice of low or high.
// Out: Pieces, or a Stream of their words.
struct Join {
    ap_uint<56> held = 0; // bytes of the next word, the first one lowest
    ap_uint<3> bytes = 0; // of them
    bool flush = false;   // they are the last ones
    Piece ended = {};     // of which piece

    template <class Out> void step(Pieces& in, Out& out) {
#pragma HLS INLINE
        if (flush) {
            ended.data = held;
            ended.bytes = bytes;
            put(out, ended);
            held = 0, bytes = 0;
            flush = false;
            return;
        }
        Piece piece;
        if (!in.read_nb(piece)) return;
        const Word low = Word(held) | piece.data << (8 * int(bytes)); // the next word, and what is beyond it
        const ap_uint<56> high = piece.data >> (64 - 8 * int(bytes));
        const ap_uint<4> total = bytes + piece.bytes;
        const bool full = total >= 8;
        flush = piece.end && total > 8;
        ended = piece;
        if (full || (piece.end && total != 0)) {
            piece.data = low;
            piece.bytes = full ? ap_uint<4>(8) : total;
            piece.end = piece.end && !flush;
            put(out, piece);
        }
        const bool clear = ended.end && !flush;
        held = clear ? ap_uint<56>(0) : full ? high : ap_uint<56>(low);
        bytes = clear ? ap_uint<3>(0) : ap_uint<3>(total);
    }

private:
    static void put(Pieces& out, const Piece& piece) {
#pragma HLS INLINE
        out.write(piece);
    }
    static void put(Stream& out, const Piece& piece) {
#pragma HLS INLINE
        out.write(piece.data);
    }
};

// Takes the zeros out of compressed results, a word per cycle.  The last piece of a group has `end`.
struct Squeeze {
    Word zero_bits = 0;
    ap_uint<6> seen = 0; // results of the group so far
    ap_uint<8> size = 0; // bytes of the group so far

    void step(Pieces& in, Pieces& out, Marks& marks) {
#pragma HLS INLINE
        Piece piece;
        if (!in.read_nb(piece)) return;
        if (!piece.compress) {
            marks.write({0, false, piece.end && piece.last, 1});
            out.write(piece);
            return;
        }
        const ap_uint<8> low = piece.zero.range(7, 0), high = piece.wide ? ap_uint<8>(piece.zero.range(15, 8)) : low;
        ap_uint<8> same = 0, sent = 0, bits = 0; // byte i is that of a zero; is sent; result i is not zero
        for (int i = 0; i < 8; ++i) {
#pragma HLS UNROLL
            same[i] = ap_uint<8>(piece.data.range(8 * i + 7, 8 * i)) == (i % 2 ? high : low);
        }
        for (int i = 0; i < 8; ++i) {
#pragma HLS UNROLL
            sent[i] = i < int(piece.bytes) && !(same[i] && (same[i ^ 1] || !piece.wide));
        }
        for (int i = 0; i < 8; ++i) {
#pragma HLS UNROLL
            bits[i] = piece.wide ? i < 4 && sent[2 * i % 8] : bool(sent[i]);
        }
        const bool group_end = piece.end || seen == GROUP - (piece.wide ? 4 : 8);
        const Word group_bits = zero_bits | Word(bits) << int(seen);
        const ap_uint<8> group_size = size + popcount<8>(Word(sent));
        if (group_end) marks.write({group_bits, true, piece.end && piece.last, ap_uint<5>((group_size + 7) >> 3)});
        zero_bits = group_end ? Word(0) : group_bits;
        seen = group_end ? 0 : int(seen) + (piece.wide ? 4 : 8);
        size = group_end ? ap_uint<8>(0) : group_size;

        piece.data = compacted(piece.data, sent);
        piece.bytes = popcount<8>(Word(sent));
        piece.end = group_end;
        out.write(piece);
    }

private:
    // The bytes that are sent, lowest first: each moves down past those before it that are not, by 1, by 2, by 4.
    // In that order none meets another; three multiplexers behind one another, where a byte for byte choice has eight.
    static Word compacted(const Word& data, ap_uint<8> sent) {
#pragma HLS INLINE
        ap_uint<8> byte[8];
        ap_uint<3> gap[8]; // bytes below that are not sent, as far as the byte has not yet moved
        for (int i = 0; i < 8; ++i) {
#pragma HLS UNROLL
            byte[i] = sent[i] ? ap_uint<8>(data.range(8 * i + 7, 8 * i)) : ap_uint<8>(0);
            gap[i] = sent[i] ? ap_uint<3>(i - popcount<8>(Word(sent & ((1 << i) - 1)))) : ap_uint<3>(0);
        }
        for (int stage = 0; stage < 3; ++stage) {
#pragma HLS UNROLL
            const int far = 1 << stage;
            for (int i = 0; i < 8; ++i) { // upwards, so that byte i + far is still where it was
#pragma HLS UNROLL
                if (gap[i][stage]) byte[i] = 0, gap[i] = 0; // it has moved
                if (i + far < 8 && gap[(i + far) % 8][stage])
                    byte[i] = byte[(i + far) % 8], gap[i] = gap[(i + far) % 8], gap[i][stage] = 0;
            }
        }
        Word out;
        for (int i = 0; i < 8; ++i) {
#pragma HLS UNROLL
            out.range(8 * i + 7, 8 * i) = byte[i];
        }
        return out;
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
