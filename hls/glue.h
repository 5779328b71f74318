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

} // namespace zs

#endif
