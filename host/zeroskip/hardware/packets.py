"""Fields of the packets on the engine's input stream: the one source for packer, models, RTL and docs.

The stream is a sequence of packets, each a whole number of 64-bit beats, little-endian:

* ``ACT``: one header beat, then the columns.  For every column in address order, for every work
  group in use, ``Config.column_beats`` beats of LANES activations, lane 0 lowest.
* ``RUN``: two header beats, then ``steps`` schedule steps of ``Config.step_beats`` beats each.

Two more kinds are for the HLS glue between DMA and engine, and end there (:data:`KIND_GLUE`):

* ``ACTZ``: an ACT without its zeros: one header beat, as ACT's, then groups of :data:`GROUP` activations of the
  beats that ACT would have: one beat of zero bits (bit i = 1: activation i is sent), then those activations,
  packed into as few beats as hold them.
* ``FINISH``: what becomes of the sums of the next RUN: one header beat, then two beats per filter.

A field is ``(name, low bit, width)`` within its beat.  ``ACT.count`` of columns and ``RUN.steps``
are at least 1.  Bits no field names are sent as zero and ignored.
"""

from __future__ import annotations

from typing import NamedTuple

from .config import Config


class Field(NamedTuple):
    name: str
    low: int
    width: int
    meaning: str


KIND_ACT = 1
KIND_RUN = 2
KIND_GLUE = 8
"""The bit of a kind that says: for the glue.  An engine without glue refuses it as an unknown kind."""

KIND_ACTZ = KIND_GLUE | KIND_ACT
KIND_FINISH = KIND_GLUE | KIND_RUN

GROUP = 64
"""Activations that share one beat of zero bits."""

FORMAT_U8 = 0
FORMAT_S16 = 1

ACT_HEADER = (
    Field("kind", 0, 4, "1: ACT"),
    Field("page", 4, 1, "waits until no queued or running RUN uses this page"),
    Field("format", 5, 1, "0: bytes, activation = byte - zero_point; 1: 16-bit signed"),
    Field("wgs", 8, 8, "work groups in use, 1 to WGS"),
    Field("address", 16, 16, "address of the first column"),
    Field("count", 32, 16, "number of columns, 1 to COLUMNS"),
    Field("zero_point", 48, 8, "subtracted from every byte in format 0"),
)

RUN_HEADER_0 = (
    Field("kind", 0, 4, "2: RUN"),
    Field("page", 4, 1, "page of activations this run reads"),
    Field("skip", 5, 1, "1: the online scheduler drops dead steps"),
    Field("last", 6, 1, "1: the last sum of this run carries TLAST"),
    Field("wgs", 8, 8, "work groups whose sums are sent, 1 to WGS"),
    Field("steps", 16, 16, "number of schedule steps, 1 to STEPS"),
    Field("base", 32, 16, "column address of the first pixel"),
)

RUN_HEADER_1 = (
    Field("nx", 0, 16, "pixels per row, at least 1"),
    Field("ny", 16, 16, "rows, at least 1"),
    Field("dx", 32, 16, "column address step from pixel to pixel"),
    Field("dy", 48, 16, "column address step from row to row"),
)

FINISH_HEADER = (
    Field("kind", 0, 4, "10: FINISH"),
    Field("wide", 4, 1, "0: results are bytes; 1: 16 bits"),
    Field("compress", 5, 1, "1: results leave as groups with zero bits"),
    Field("zero_point", 16, 16, "added to every result, signed; a result equal to it is a zero"),
    Field("low", 32, 16, "smallest result, signed"),
    Field("high", 48, 16, "largest result, signed"),
)

FINISH_FILTER_0 = (
    Field("bias", 0, 32, "added to the filter's sums, signed"),
    Field("multiplier", 32, 31, "of the filter"),
)

FINISH_FILTER_1 = (Field("shift", 0, 6, "of the filter, 1 to 62"),)

HEADERS = {"ACT": (ACT_HEADER,), "RUN": (RUN_HEADER_0, RUN_HEADER_1)}
"""What an engine reads."""

GLUE_HEADERS = {"FINISH": (FINISH_HEADER, FINISH_FILTER_0, FINISH_FILTER_1)}
"""What only the glue reads."""


def step_fields(config: Config) -> list[Field]:
    """Fields of one schedule step, over ``config.step_beats`` beats, lowest bit first.

    Window slot j (0 is the head column): ``offset`` (added to the pixel's base address, modulo
    COLUMNS) and ``ref`` (1: some weight of this step uses it).  Filter m, lane l: ``weight``,
    ``pair`` and the selects.  With ``pair`` the byte is two signed nibbles: the low one meets the
    activation that ``select0`` chooses, the high one that of ``select1``; otherwise the byte is one
    outlier and meets ``select0``'s.  A single non-outlier is a pair with high nibble 0; an idle lane
    is all zeros with ``pair`` 1 or 0.
    """
    fields, low = [], 0

    def add(name: str, width: int, meaning: str) -> None:
        nonlocal low
        fields.append(Field(name, low, width, meaning))
        low += width

    for slot in range(config.window):
        add(f"offset[{slot}]", config.column_w, f"column offset of window slot {slot}")
        add(f"ref[{slot}]", 1, f"slot {slot} is used")
    for m in range(config.filters):
        for lane in range(config.lanes):
            at = f"[{m}][{lane}]"
            add(f"weight{at}", 8, "outlier, or two nibbles")
            add(f"pair{at}", 1, "the byte is two nibbles")
            add(f"select0{at}", config.select_w, "AS of the low nibble or the outlier")
            add(f"select1{at}", config.select_w, "AS of the high nibble")
    return fields


def encode(fields: tuple[Field, ...], **values: int) -> int:
    """One header beat as an integer.

    Raises:
        ValueError: a field is missing, unknown, or its value does not fit.
    """
    word = 0
    for field in fields:
        value = int(values.pop(field.name))
        if not 0 <= value < 1 << field.width:
            raise ValueError(f"{field.name} = {value} does not fit {field.width} bits")
        word |= value << field.low
    if values:
        raise ValueError(f"no field {sorted(values)[0]!r}")
    return word


def decode(fields: tuple[Field, ...], word: int) -> dict[str, int]:
    """The fields of one header beat."""
    return {field.name: int(word) >> field.low & (1 << field.width) - 1 for field in fields}
