// The AXI4-Stream word of Vitis HLS, for compilers that do not bring it: data and the side channels the glue uses.
//
// Licence: MIT.
// hls_stream.h and ap_int.h are those of the hls4ml package; only this header is missing there.
#ifndef ZEROSKIP_AP_AXI_SDATA_H
#define ZEROSKIP_AP_AXI_SDATA_H

#include "ap_int.h"

template <int DataBits, int UserBits, int IdBits, int DestBits> struct ap_axiu {
    static_assert(UserBits == 0 && IdBits == 0 && DestBits == 0, "the glue uses none of TUSER, TID and TDEST");
    ap_uint<DataBits> data;
    ap_uint<(DataBits + 7) / 8> keep, strb;
    ap_uint<1> last;
};

#endif
