"""The worked example of ``docs/streams.md``: two columns, one step, one sum, on configuration ``tiny``.

Activations 3 in lane 0 of column 0, and 10 and 20 in lanes 0 and 1 of column 1.  Lane 0 holds a pair,
2 for its own place and -1 for the column ahead; lane 1 holds the outlier 100 for the column ahead:
2 * 3 - 1 * 10 + 100 * 20 = 1996.
"""

from __future__ import annotations

from . import packets
from .config import BUILTIN, STREAM_BITS

CONFIG = BUILTIN["tiny"]
ZERO_POINT = 2
ACTIVATIONS = ((3, 0, 0, 0, 0, 0, 0, 0), (10, 20, 0, 0, 0, 0, 0, 0))
STEP = {
    **{"offset[0]": 0, "ref[0]": 1, "offset[1]": 1, "ref[1]": 1},
    # Two nibbles: 2 (low) and -1 (high); inputs 0 and 1 are column 0 and column 1 of the same lane.
    **{"weight[0][0]": 0xF2, "pair[0][0]": 1, "select0[0][0]": 0, "select1[0][0]": 1},
    **{"weight[0][1]": 100, "pair[0][1]": 0, "select0[0][1]": 1},
}
SUMS = (1996,)
FINISH = {"bias": 4, "multiplier": 1 << 30, "shift": 34, "zero_point": 3}
RESULTS = (128,)
"""With glue: round((1996 + 4) / 16) + 3."""


def beats() -> list[tuple[int, str]]:
    """The input stream: 64-bit words, each with what it is."""
    act = packets.encode(
        packets.ACT_HEADER,
        **{"kind": packets.KIND_ACT, "page": 0, "format": packets.FORMAT_U8, "wgs": 1},
        **{"address": 0, "count": len(ACTIVATIONS), "zero_point": ZERO_POINT},
    )
    run0 = packets.encode(
        packets.RUN_HEADER_0,
        **{"kind": packets.KIND_RUN, "page": 0, "skip": 1, "last": 1, "wgs": 1, "steps": 1, "base": 0},
    )
    run1 = packets.encode(packets.RUN_HEADER_1, nx=1, ny=1, dx=0, dy=0)
    step = sum(STEP.get(field.name, 0) << field.low for field in packets.step_fields(CONFIG))
    words = [(act, "ACT: page 0, bytes, 1 work group, 2 columns from address 0, zero point 2")]
    for address, column in enumerate(ACTIVATIONS):
        word = int.from_bytes(bytes(value + ZERO_POINT for value in column), "little")
        words.append((word, f"column {address}: {', '.join(map(str, column))}"))
    words.append((run0, "RUN: page 0, skip dead steps, last, 1 work group, 1 step, base 0"))
    words.append((run1, "one row of one pixel"))
    for beat in range(CONFIG.step_beats):
        word = step >> beat * STREAM_BITS & (1 << STREAM_BITS) - 1
        words.append((word, f"step 0, bits {beat * STREAM_BITS + STREAM_BITS - 1} to {beat * STREAM_BITS}"))
    return words


def results() -> list[tuple[int, str]]:
    """The output stream, in the same form."""
    padded = [*SUMS, 0] if len(SUMS) % 2 else list(SUMS)
    pairs = zip(padded[::2], padded[1::2], strict=True)
    return [((high & 0xFFFF_FFFF) << 32 | low & 0xFFFF_FFFF, f"sum {low}, and padding; TLAST") for low, high in pairs]


# -- the same with glue ------------------------------------------------------------------------------
def glue_beats() -> list[tuple[int, str]]:
    """The input stream with its columns as a zero group, and with a FINISH packet."""
    act = beats()[0][0]
    values = [value for column in ACTIVATIONS for value in column]
    zero_bits = sum(1 << index for index, value in enumerate(values) if value)
    sent = int.from_bytes(bytes(value + ZERO_POINT for value in values if value), "little")
    places = ", ".join(str(index) for index, value in enumerate(values) if value)
    words = [
        (act | packets.KIND_GLUE, "ACTZ: fields as ACT's"),
        (zero_bits, f"zero group of {len(values)}: activations {places}"),
        (sent, f"which are {', '.join(str(v) for v in values if v)}"),
        (
            packets.encode(
                packets.FINISH_HEADER,
                **{"kind": packets.KIND_FINISH, "wide": 0, "compress": 0, "zero_point": FINISH["zero_point"]},
                **{"low": 0, "high": 255},
            ),
            "FINISH: bytes, not compressed, zero point 3, from 0 to 255",
        ),
        (
            packets.encode(packets.FINISH_FILTER_0, bias=FINISH["bias"], multiplier=FINISH["multiplier"]),
            "filter 0: bias 4, multiplier 2^30",
        ),
        (packets.encode(packets.FINISH_FILTER_1, shift=FINISH["shift"]), "filter 0: shift 34"),
    ]
    return words + beats()[1 + len(ACTIVATIONS) :]


def glue_results() -> list[tuple[int, str]]:
    """The output stream with glue."""
    return [(RESULTS[0], f"result {RESULTS[0]}, and padding; TLAST")]
