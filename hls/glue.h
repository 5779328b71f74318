// glue.h: what the two kernels share.
//
// Licence: MIT.
//
// A kernel is a row of processes with FIFOs between them.  A process is a struct whose step() does the work of one
// clock cycle: it takes at most one beat from each of its inputs and gives at most one to each of its outputs, and
// does nothing when the input it needs is empty.  In hardware a step is one turn of a loop with II = 1 that never
// ends; outside of it, whoever calls step() is the clock (cosim.h).
#ifndef ZEROSKIP_GLUE_H
#define ZEROSKIP_GLUE_H

#include "ap_int.h"
#include "hls_stream.h"
#include "zeroskip_defs.h"

namespace zs {

using Word = ap_uint<STREAM_BITS>;
using Stream = hls::stream<Word>;

static_assert(STREAM_BITS == 64, "the kernels take beats apart as eight bytes or two 32-bit sums");
static_assert(GROUP == STREAM_BITS, "the zero bits of a group fill exactly one beat");

template <class F> ap_uint<F::width> get(const Word& beat) {
#pragma HLS INLINE
    return beat.range(F::low + F::width - 1, F::low);
}

template <class F> ap_int<F::width> get_signed(const Word& beat) {
#pragma HLS INLINE
    return ap_int<F::width>(get<F>(beat));
}

// How many of the lowest `Bits` bits are set.
template <int Bits> ap_uint<7> popcount(const Word& word) {
#pragma HLS INLINE
    static_assert(Bits <= 64, "the count fits seven bits");
    ap_uint<7> count = 0;
    for (int i = 0; i < Bits; ++i) {
#pragma HLS UNROLL
        count += word[i];
    }
    return count;
}

// Bits of a beat whose parity is bit `index` of the beat's checksum, CRC-16/CCITT with the lowest byte first.
constexpr unsigned long long checksum_mask(int index) {
    unsigned long long mask = 0;
    for (int bit = 0; bit < STREAM_BITS; ++bit) { // the beat in which it is the only one
        unsigned crc = 0;
        for (int at = 0; at < STREAM_BITS; ++at) {
            const bool one = at / 8 * 8 + 7 - at % 8 == bit;
            const bool out = (crc >> 15 & 1) != one;
            crc = (crc << 1 & 0xFFFF) ^ (out ? CRC_POLYNOMIAL : 0);
        }
        if (crc >> index & 1) mask |= 1ull << bit;
    }
    return mask;
}

struct ChecksumMasks {
    unsigned long long of[16] = {};
    constexpr ChecksumMasks() {
        for (int index = 0; index < 16; ++index) of[index] = checksum_mask(index);
    }
};

// The checksum of a packet after one more beat.
inline ap_uint<16> checksum(ap_uint<16> before, const Word& beat) {
#pragma HLS INLINE
    constexpr ChecksumMasks masks;
    Word counted = beat; // as if what is before were in the first two bytes, the upper one first
    counted.range(7, 0) = beat.range(7, 0) ^ before.range(15, 8);
    counted.range(15, 8) = beat.range(15, 8) ^ before.range(7, 0);
    ap_uint<16> after;
    for (int index = 0; index < 16; ++index) {
#pragma HLS UNROLL
        after[index] = (counted & Word(masks.of[index])).xor_reduce();
    }
    return after;
}

} // namespace zs

#endif
