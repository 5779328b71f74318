"""The worked examples of ``docs/streams.md``: two columns and one step, on ``tiny`` and on ``gather_tiny``.

A pair of weights, 2 for an activation 3 and -1 for an activation 10, and the outlier 100 for an activation 20:
2 * 3 - 1 * 10 + 100 * 20 = 1996.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from . import crc, packets
from .config import BUILTIN, STREAM_BITS, Config

ZERO_POINT = 2
SUM = 1996


@dataclass(frozen=True)
class Example:
    """One ACT and one RUN of one step over one pixel, for one work group.

    Args:
        config: the build.
        columns: non-zero activations of each column, by their place in it.
        step: fields of the step that are not zero.
        near: gather: the step has the near format.
        apart: gather: every lane computes a filter of its own.
        sums: what comes out.
    """

    config: Config
    columns: tuple[dict[int, int], ...]
    step: dict[str, int]
    near: bool = False
    apart: bool = False
    sums: tuple[int, ...] = (SUM,)

    def column(self, address: int) -> list[int]:
        """All activations of a column."""
        return [self.columns[address].get(place, 0) for place in range(self.config.acts)]

    def step_record(self) -> list[int]:
        """The beats of the step."""
        fields = packets.step_layout(self.config, self.near)
        record = sum(self.step.get(field.name, 0) << field.low for field in fields)
        return _split(record, self.config.near_beats if self.near else self.config.step_beats)

    def beats(self) -> list[tuple[int, str]]:
        """The input stream: 64-bit words, each with what it is."""
        act = packets.encode(
            packets.ACT_HEADER,
            **{"kind": packets.KIND_ACT, "page": 0, "format": packets.FORMAT_U8, "wgs": 1},
            **{"address": 0, "count": len(self.columns), "zero_point": ZERO_POINT},
        )
        run0 = packets.encode(
            packets.RUN_HEADER_0,
            **{"kind": packets.KIND_RUN, "page": 0, "skip": 1, "last": 1, "near": int(self.near)},
            **{"wgs": 1, "steps": 1, "base": 0, "apart": int(self.apart)},
        )
        run1 = packets.encode(packets.RUN_HEADER_1, nx=1, ny=1, dx=0, dy=0)
        columns = [(act, "ACT: page 0, bytes, 1 work group, 2 columns from address 0, zero point 2")]
        for address in range(len(self.columns)):
            values = self.column(address)
            record = int.from_bytes(bytes(value + ZERO_POINT for value in values), "little")
            for beat, word in enumerate(_split(record, self.config.column_beats(packets.FORMAT_U8))):
                columns.append((word, f"column {address}: {', '.join(map(str, values[8 * beat : 8 * beat + 8]))}"))
        kind = (", near steps" if self.near else "") + (", lanes apart" if self.apart else "")
        run = [(run0, f"RUN: page 0, skip dead steps, last{kind}, 1 work group, 1 step, base 0")]
        run.append((run1, "one row of one pixel"))
        for beat, word in enumerate(self.step_record()):
            run.append((word, f"step 0, bits {beat * STREAM_BITS + STREAM_BITS - 1} to {beat * STREAM_BITS}"))
        return _sealed(columns) + _sealed(run)

    def results(self) -> list[tuple[int, str]]:
        """The output stream, in the same form."""
        words = [(total & 0xFFFF_FFFF, f"sum {total}, and padding") for total in self.sums]
        return [*words[:-1], (words[-1][0], f"{words[-1][1]}; TLAST")]


def _sealed(packet: list[tuple[int, str]]) -> list[tuple[int, str]]:
    words = crc.sealed([word for word, _ in packet])
    return [(word, what) for word, (_, what) in zip(words, packet, strict=True)]


def _split(record: int, beats: int) -> list[int]:
    return [record >> beat * STREAM_BITS & (1 << STREAM_BITS) - 1 for beat in range(beats)]


TRIDENT = Example(
    BUILTIN["tiny"],
    columns=({0: 3}, {0: 10, 1: 20}),
    step={
        **{"offset[0]": 0, "ref[0]": 1, "offset[1]": 1, "ref[1]": 1},
        # Two nibbles: 2 (low) and -1 (high); inputs 0 and 1 are column 0 and column 1 of the same lane.
        **{"weight[0][0]": 0xF2, "pair[0][0]": 1, "select0[0][0]": 0, "select1[0][0]": 1},
        **{"weight[0][1]": 100, "pair[0][1]": 0, "select0[0][1]": 1},
    },
)
"""Lane 0 has the pair, for its own place in column 0 and the column ahead; lane 1 the outlier, for the column ahead."""

GATHER = Example(
    BUILTIN["gather_tiny"],
    columns=({0: 3}, {2: 20, 3: 10}),
    step={
        # Route 2: the lane's own bank 0, and bank 3, which is the next lane's second; route 5: the lane's own bank 2.
        **{"weight[0]": 0xF2, "route[0]": 2, "weight[1]": 100, "route[1]": 5},
        **{"base": 0, "near[0]": 0, "near[2]": 1, "near[3]": 1},
    },
    near=True,
)
"""Lane 0 has the pair, for its bank 0 at address 0 and its neighbour's bank 3 at address 1; lane 1 the outlier, for its
bank 2 at address 1."""

APART = dataclasses.replace(GATHER, apart=True, sums=(2 * 3 - 1 * 10, 100 * 20) + (0,) * (GATHER.config.lanes - 2))
"""The same words but for `apart`: the sums of lanes 0 and 1, and of six without weights."""


# -- the first with glue -----------------------------------------------------------------------------
FINISH = {"bias": 4, "multiplier": 1 << 30, "shift": 34, "zero_point": 3}
RESULT = 128
"""round((1996 + 4) / 16) + 3."""


def glue_beats() -> list[tuple[int, str]]:
    """The input stream of :data:`TRIDENT` with its columns as a zero group, and with a FINISH packet."""
    words = TRIDENT.beats()
    values = [value for address in range(len(TRIDENT.columns)) for value in TRIDENT.column(address)]
    zero_bits = sum(1 << index for index, value in enumerate(values) if value)
    sent = int.from_bytes(bytes(value + ZERO_POINT for value in values if value), "little")
    places = ", ".join(str(index) for index, value in enumerate(values) if value)
    finish = packets.encode(
        packets.FINISH_HEADER,
        **{"kind": packets.KIND_FINISH, "wide": 0, "compress": 0, "filters": 1},
        **{"zero_point": FINISH["zero_point"], "low": 0},
    )
    filter_0 = packets.encode(packets.FINISH_FILTER_0, bias=FINISH["bias"], multiplier=FINISH["multiplier"])
    filter_1 = packets.encode(packets.FINISH_FILTER_1, shift=FINISH["shift"], high=255)
    return [
        (words[0][0] | packets.KIND_GLUE, "ACTZ: fields and checksum as ACT's"),
        (zero_bits, f"zero group of {len(values)}: activations {places}"),
        (sent, f"which are {', '.join(str(v) for v in values if v)}"),
        *_sealed(
            [
                (finish, "FINISH: bytes, not compressed, zero point 3, from 0"),
                (filter_0, "filter 0: bias 4, multiplier 2^30"),
                (filter_1, "filter 0: shift 34, up to 255"),
            ]
        ),
        *words[1 + len(TRIDENT.columns) :],
    ]


def glue_results() -> list[tuple[int, str]]:
    """The output stream with glue."""
    return [(RESULT, f"result {RESULT}, and padding; TLAST")]
