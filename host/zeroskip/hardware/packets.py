"""Fields of the packets on the engine's input stream: the one source for packer, models, RTL and docs.

The stream is a sequence of packets, each a whole number of 64-bit beats, little-endian:

* ``ACT``: one header beat, then the columns.  For every column in address order, for every work
  group in use, ``Config.column_beats`` beats of ``Config.acts`` activations, the first lowest.
* ``RUN``: two header beats, then ``steps`` schedule steps of ``Config.step_beats`` beats each; in the gather engine's
  near format, ``Config.near_beats``.

Two more kinds are for the HLS glue between DMA and engine, and end there (:data:`KIND_GLUE`):

* ``ACTZ``: an ACT without its zeros: one header beat, as ACT's, then groups of :data:`GROUP` activations of the
  beats that ACT would have: one beat of zero bits (bit i = 1: activation i is sent), then those activations,
  packed into as few beats as hold them.
* ``FINISH``: what becomes of the sums of the next RUN: one header beat, then two beats per filter.

The machine's ``LOAD`` brings columns from a map in memory, see :data:`LOAD_HEADER` and docs/machine.md; what it is
encoded from is :class:`.maps.Load`.  The machine's program list is made of words, :data:`LIST_WORD`.

The zena engine has packets of its own, ``ZACT`` and ``JOB``; see :data:`ZACT_HEADER` and :data:`JOB_HEADER_0`.

The first beat of every packet has its ``checksum`` (:mod:`.crc`) in the same place, :data:`CHECKSUM`; a packet whose
checksum is wrong is refused before anything is computed with it.

A field is ``(name, low bit, width)`` within its beat.  ``ACT.count`` of columns and ``RUN.steps``
are at least 1.  Bits no field names are sent as zero and ignored.
"""

from __future__ import annotations

from typing import NamedTuple

from .config import NEAR_BASE_BITS, NEAR_BITS, ROUTE_BITS, TWIN_ROUTE_BITS, Config


class Field(NamedTuple):
    name: str
    low: int
    width: int
    meaning: str


KIND_ACT = 1
KIND_RUN = 2
KIND_ZACT = 3
KIND_JOB = 4
KIND_LOAD = 5
KIND_GLUE = 8
"""The bit of a kind that says: for the glue.  An engine without glue refuses it as an unknown kind."""

KIND_ACTZ = KIND_GLUE | KIND_ACT
KIND_FINISH = KIND_GLUE | KIND_RUN

KIND_NAMES = {
    KIND_ACT: "ACT",
    KIND_RUN: "RUN",
    KIND_ZACT: "ZACT",
    KIND_JOB: "JOB",
    KIND_ACTZ: "ACTZ",
    KIND_FINISH: "FINISH",
}

KIND_DAMAGED = 15
"""No packet's kind: the beat that the glue sends to the engine in place of a FINISH with a wrong checksum."""

GROUP = 64
"""Activations that share one beat of zero bits."""

FORMAT_U8 = 0
FORMAT_S16 = 1

CHECKSUM = Field("checksum", 48, 16, "CRC-16 of the packet, with this field zero")
"""Of every packet; the highest bits of its first beat."""

ACT_HEADER = (
    Field("kind", 0, 4, "1: ACT"),
    Field("page", 4, 1, "waits until no queued or running RUN uses this page"),
    Field("format", 5, 1, "0: bytes, activation = byte - zero_point; 1: 16-bit signed"),
    Field("wgs", 8, 7, "work groups in use, 1 to WGS"),
    Field("address", 15, 12, "address of the first column"),
    Field("count", 27, 13, "number of columns, 1 to COLUMNS"),
    Field("zero_point", 40, 8, "subtracted from every byte in format 0"),
    CHECKSUM,
)

RUN_HEADER_0 = (
    Field("kind", 0, 4, "2: RUN"),
    Field("page", 4, 1, "page of activations this run reads"),
    Field("skip", 5, 1, "1: the online scheduler drops dead steps"),
    Field("last", 6, 1, "1: the last sum of this run carries TLAST"),
    Field("near", 7, 1, "gather, twin: 1: steps in the near format; trident: 0"),
    Field("wgs", 8, 7, "work groups whose sums are sent, 1 to WGS"),
    Field("apart", 15, 1, "gather: 1: every lane computes a filter of its own; trident, twin: 0"),
    Field("steps", 16, 16, "number of schedule steps, 1 to STEPS"),
    Field("base", 32, 16, "column address of the first pixel"),
    CHECKSUM,
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
    Field("filters", 8, 8, "filters of the run: FILTERS, or LANES where lanes are apart"),
    Field("zero_point", 16, 16, "added to every result, signed; a result equal to it is a zero"),
    Field("low", 32, 16, "smallest result, signed"),
    CHECKSUM,
)

FINISH_FILTER_0 = (
    Field("bias", 0, 32, "added to the filter's sums, signed"),
    Field("multiplier", 32, 31, "of the filter"),
)

FINISH_FILTER_1 = (
    Field("shift", 0, 6, "of the filter, 1 to 62"),
    Field("high", 16, 16, "largest result, signed; the same for all filters"),
)

LOAD_HEADER = (
    (
        Field("kind", 0, 4, "5: LOAD"),
        Field("page", 4, 1, "waits until no queued or running RUN uses this page; half of the output buffer"),
        Field("buffer", 5, 1, "0: to the engine's columns; 1: to the output buffer"),
        Field("pair", 6, 1, "1: a column holds 8 channels of two neighbouring pixels"),
        Field("signed", 7, 1, "0: bytes of the map are 0 to 255; 1: -128 to 127"),
        Field("wgs", 8, 8, "work groups in use, 1 to WGS"),
        Field("after", 16, 16, "waits until so many STOREs are complete, modulo 2^16"),
        Field("address", 32, 16, "column of the first pixel of the first block"),
    ),
    (
        Field("map", 0, 32, "byte address of the source row that the first rectangle begins in, column 0, block 0"),
        Field("block_pitch", 32, 32, "bytes from a rectangle's last row in a block to its first in the next"),
    ),
    (
        Field("rect_pitch", 0, 32, "bytes from a row of rectangles of an image to the next"),
        Field("image_pitch", 32, 32, "bytes from the last row of rectangles of an image to the first of the next"),
    ),
    (
        Field("source_width", 0, 12, "pixels of a row in memory"),
        Field("source_height", 12, 12, "rows in memory"),
        Field("width", 24, 12, "pixels of a row of the loaded map; others are zero"),
        Field("height", 36, 12, "rows of the loaded map; others are zero"),
        Field("row_pitch", 48, 16, "from a row of the loaded map to the next, in units of 8 bytes"),
    ),
    (
        Field("x", 0, 13, "first rectangle: left column in the loaded map, signed"),
        Field("y", 13, 13, "first rectangle: upper row, signed"),
        Field("x0", 26, 13, "left column of the rectangles that begin a row of them, signed"),
        Field("y0", 39, 13, "upper row of the rectangles that begin an image, signed"),
        Field("zero_point", 52, 9, "subtracted from every byte, signed; where bytes are signed, 128 more"),
        Field("upsample", 61, 1, "1: every pixel in memory is 2 x 2 pixels of the loaded map"),
    ),
    (
        Field("step_x", 0, 12, "columns from a rectangle to the next"),
        Field("step_y", 12, 12, "rows from a row of rectangles to the next"),
        Field("rect_width", 24, 12, "pixels of a row of a rectangle, at least 1"),
        Field("rect_height", 36, 12, "rows of a rectangle, at least 1"),
        Field("blocks", 48, 12, "blocks of 16 channels, at least 1"),
    ),
    (
        Field("grid_width", 0, 12, "rectangles of a row of them, at least 1"),
        Field("grid_height", 12, 12, "rows of rectangles of an image, at least 1"),
        Field("left_x", 24, 12, "rectangles of the first one's row from it on, itself included"),
        Field("left_y", 36, 12, "rows of rectangles of the first one's image from its own on, itself included"),
        Field("pool", 48, 2, "a pixel is the largest of pool x pool in memory, 1 to 3"),
        Field("stride", 50, 2, "pixels in memory from window to window, less one: 1 to 4"),
        Field("pad_x", 52, 2, "columns of the first window that lie left of the map"),
        Field("pad_y", 54, 2, "rows of the first window that lie above the map"),
    ),
    (
        Field("block_step", 0, 16, "columns from a rectangle's last row in a block to its first in the next"),
        Field("row_step", 16, 16, "columns from row to row"),
        Field("column_step", 32, 16, "columns from pixel to pixel; with pair, from two pixels to the next two"),
        Field("half_step", 48, 16, "pair: columns from channels 0 to 7 of a block to channels 8 to 15"),
    ),
)
"""Pitches and steps of bytes count modulo 2^32, those of columns modulo 2^16 and then modulo COLUMNS."""

LIST_WORD = (
    Field("address", 0, 32, "byte address of a piece of the packet stream, a multiple of 8"),
    Field("beats", 32, 24, "its length in beats, at least 1"),
    Field("flags", 56, 8, "0"),
)
"""A word of the program list."""

ZACT_HEADER = (
    Field("kind", 0, 4, "3: ZACT"),
    Field("page", 4, 1, "waits until no queued or running JOB uses this page"),
    Field("wgs", 8, 8, "work groups in use, 1 to WGS"),
    Field("address", 16, 16, "address of the first column"),
    Field("count", 32, 16, "number of columns, 1 to COLUMNS"),
    CHECKSUM,
)
"""Then, for every four work groups in use, one lane group (:func:`lane_group`) of ``count`` columns: lane l of lane
group g is work group 4 * g + l.  An activation is a signed 16-bit value in ``Config.act_max``; a position whose mask
bit is 0 counts as zero, one whose bit is 1 is multiplied even if its value is zero."""

JOB_HEADER_0 = (
    Field("kind", 0, 4, "4: JOB"),
    Field("page", 4, 1, "page of activations this job reads"),
    Field("first", 5, 1, "1: sums begin at zero, 0: they are added to the partial sums"),
    Field("last", 6, 1, "1: the last sum of this job carries TLAST; it must be final"),
    Field("final", 7, 1, "1: the sums are sent when all PEs have finished"),
    Field("wgs", 8, 8, "work groups that compute, 1 to WGS"),
    Field("chunks", 16, 8, "chunks of the kernel tile, MIN_CHUNKS to STEPS"),
    Field("sub_wg", 24, 4, "sub-WG that does the job (with stealing: its home), 0 to SUB_WGS - 1"),
    Field("relu", 28, 1, "1: negative sums are sent as zero, with a word of bit-vector; read when final"),
    Field("undrained", 32, 4, "starts when at most this many earlier final jobs of its sub-WG are unsent; 15: at once"),
    Field("psum", 36, 12, "partial sum of the first pixel; the others follow"),
    CHECKSUM,
)
"""One kernel tile per PE of a sub-WG over the pixels of a tile.  Then one beat JOB_HEADER_1; ceil(chunks / 4) beats of
column offsets, four of 16 bits per beat, lowest first, zero where there is no chunk; and ``Config.sub_filters / 4``
lane groups (:func:`lane_group`) of ``chunks`` chunks: lane l of lane group g is PE 4 * g + l of the sub-WG, and every
work group gets the same.  A weight is signed (``weight_w`` 8 or 16, in the low bits) or a LogQuant code
(``weight_w`` 5, :func:`log_weight`).

A PE computes, with pixels in the order of JOB_HEADER_1's loop, addresses modulo COLUMNS::

    for index, pixel base in enumerate(base + y * dy + x * dx):
        total = 0 if first else psums[psum + index]
        for chunk in range(chunks):
            column = acts[(pixel base + offset[chunk]) % COLUMNS]
            total += sum(weight * activation where both mask bits are 1)       # a cycle per product
        psums[psum + index] = total                                             # modulo 2^32

and after a final job the sums of ``wgs`` work groups go out: for every pixel, for every PE of the sub-WG, for every
work group one 32-bit word, two per beat, each (pixel, PE) padded to a whole beat.  With ``relu`` the words are
max(sum, 0), and one word comes before them whose bit p is 1 where work group p's is not zero.  Final jobs send in the
order of the stream.

Rules: ``psum + nx * ny <= PSUMS``; a job that is not ``first`` adds to sums that an earlier job of the transfer began
for at least as many work groups; a job whose partial sums overlap those of a final job that may not have been sent
yet (see ``undrained``) is illegal.  The transfer ends with the one JOB flagged ``last``, and
the last job of every sub-WG is final.

With ``STEALING`` any sub-WG may do a job: one that has nothing to do, else its home ``sub_wg`` if that can still take
one, else any that can.  All sub-WGs share their partial sums, SUB_WGS * PSUMS per PE of a job; a job waits for earlier
ones that add to the same.  Then ``psum + nx * ny <= SUB_WGS * PSUMS``, "its sub-WG" above means all of them, the last
job of every partial sum is final, and jobs with partial sums in common begin at the same ``psum``."""

JOB_HEADER_1 = (
    Field("nx", 0, 12, "pixels per row, at least 1"),
    Field("ny", 12, 12, "rows, at least 1"),
    Field("dx", 24, 12, "column address step from pixel to pixel"),
    Field("dy", 36, 12, "column address step from row to row"),
    Field("base", 48, 16, "column address of the first pixel"),
)

NO_WAIT = 15
"""The ``undrained`` of a JOB that need not wait for earlier sums to be sent."""

MAX_UNSENT = 33
"""Final jobs that may be unsent when a JOB is loaded: the drain notes 32 and sends one."""

MIN_CHUNKS = 5
"""Fewest chunks of a JOB, filled up with empty ones: the memory of partial sums serves four PEs and the drain in turn,
so that a PE's pixels end at least five cycles apart."""

HEADERS = {
    "ACT": (ACT_HEADER,),
    "RUN": (RUN_HEADER_0, RUN_HEADER_1),
    "ZACT": (ZACT_HEADER,),
    "JOB": (JOB_HEADER_0, JOB_HEADER_1),
}
"""What an engine reads."""

MACHINE_HEADERS = {"LOAD": LOAD_HEADER, "LIST": (LIST_WORD,)}
"""What the machine around an engine reads."""


def lane_group(chunks: list[list[tuple[int, list[int]]]]) -> list[int]:
    """Beats of one lane group: up to four lanes of compressed chunks (or columns), side by side.

    A lane is the sequence, over its chunks, of one 16-bit zero bit-vector (bit i is 1 where position i has a value)
    and then the values of the bits that are 1, lowest position first, 16 bits each.  Beat k holds entry k of lane l in
    bits 16 * l to 16 * l + 15.  The group ends with its longest lane; shorter and missing lanes are filled with zero.
    This is the format's definition, for tests and documents; packers do the same with arrays.

    Args:
        chunks: per lane, per chunk: mask, and its values in order.
    """
    lanes = [[entry & 0xFFFF for mask, values in lane for entry in (mask, *values)] for lane in chunks]
    beats = [0] * max(map(len, lanes))
    for index, lane in enumerate(lanes):
        for at, entry in enumerate(lane):
            beats[at] |= entry << 16 * index
    return beats


def log_weight(code: int) -> int:
    """The weight of a 5-bit LogQuant code: bit 4 the sign, bits 3:0 e: 0 for zero, else 2^(e - 1)."""
    magnitude = (1 << (code & 15)) >> 1
    return -magnitude if code & 16 else magnitude


GLUE_HEADERS = {"FINISH": (FINISH_HEADER, FINISH_FILTER_0, FINISH_FILTER_1)}
"""What only the glue reads."""


class _Record(list[Field]):
    """Fields that follow each other without a gap, the first in the lowest bits."""

    def add(self, name: str, width: int, meaning: str) -> None:
        low = self[-1].low + self[-1].width if self else 0
        self.append(Field(name, low, width, meaning))


def step_fields(config: Config) -> list[Field]:
    """Fields of one schedule step, over ``config.step_beats`` beats, lowest bit first.

    Window slot j (0 is the head column): ``offset`` (added to the pixel's base address, modulo
    COLUMNS) and ``ref`` (1: some weight of this step uses it).  Filter m, lane l: ``weight``,
    ``pair`` and the selects.  With ``pair`` the byte is two signed nibbles: the low one meets the
    activation that ``select0`` chooses, the high one that of ``select1``; otherwise the byte is one
    outlier and meets ``select0``'s.  A single non-outlier is a pair with high nibble 0; an idle lane
    is all zeros with ``pair`` 1 or 0.
    """
    fields = _Record()
    for slot in range(config.window):
        fields.add(f"offset[{slot}]", config.column_w, f"column offset of window slot {slot}")
        fields.add(f"ref[{slot}]", 1, f"slot {slot} is used")
    for m in range(config.filters):
        for lane in range(config.lanes):
            at = f"[{m}][{lane}]"
            fields.add(f"weight{at}", 8, "outlier, or two nibbles")
            fields.add(f"pair{at}", 1, "the byte is two nibbles")
            fields.add(f"select0{at}", config.select_w, "AS of the low nibble or the outlier")
            fields.add(f"select1{at}", config.select_w, "AS of the high nibble")
    return fields


ROUTES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (0, None), (1, None))
"""Route of a gather lane l -> where its operands come from, as banks counted from 2l on (modulo 2 * LANES): 0 and 1 are
the lane's own, 2 and 3 those of the next lane.  The low nibble meets the first, the high nibble the second; with None
the whole byte meets the first.  Route 7 is not used."""


def gather_step_fields(config: Config, near: bool) -> list[Field]:
    """Fields of one step of the gather engine, over ``near_beats`` or ``step_beats`` beats, lowest bit first.

    Lane l: ``weight`` and ``route`` (:data:`ROUTES`), then the column offsets of its own two banks, 2l and 2l + 1.  In
    the far format an offset is a column offset; in the near format the step has a ``base``, and bank b's offset is
    (base << Config.near_shift) + near[b], modulo COLUMNS.  A bank is referred to where a weight (nibble, or byte) that
    is not zero meets it, and then by one lane only; the offset of any other bank means nothing.  A lane with one
    non-outlier leaves the other nibble 0; an idle lane is all zeros.
    """
    fields = _Record()
    if near:
        fields.add("base", NEAR_BASE_BITS, "upper bits of the column offset that the near ones count from")
    for lane in range(config.lanes):
        fields.add(f"weight[{lane}]", 8, "two nibbles, or one byte, as the route says")
        fields.add(f"route[{lane}]", ROUTE_BITS, "banks of the operands")
        for bank in (2 * lane, 2 * lane + 1):
            if near:
                fields.add(f"near[{bank}]", NEAR_BITS, f"column offset of bank {bank}, from the base")
            else:
                fields.add(f"offset[{bank}]", config.column_w, f"column offset of bank {bank}")
    return fields


def twin_step_fields(config: Config, near: bool) -> list[Field]:
    """Fields of one step of the twin engine, over ``near_beats`` or ``step_beats`` beats, lowest bit first.

    Lane l: ``weight``, -128 to 127; ``route``, the bank of its operand counted from bank 2l on (modulo 2 * LANES): 0
    and 1 are the lane's own banks, 2 and 3 the next lane's; and where in that bank it is: in the far format a column
    offset, in the near format counted from the step's ``base`` as in :func:`gather_step_fields`.  A bank is referred to
    where a weight that is not zero meets it, and then by one lane only.  An idle lane has weight 0; its route and
    offset mean nothing.
    """
    fields = _Record()
    if near:
        fields.add("base", NEAR_BASE_BITS, "upper bits of the column offset that the near ones count from")
    for lane in range(config.lanes):
        fields.add(f"weight[{lane}]", 8, "signed")
        fields.add(f"route[{lane}]", TWIN_ROUTE_BITS, "bank of the operand, from bank 2l on")
        if near:
            fields.add(f"near[{lane}]", config.near_bits, "column offset of the operand, from the base")
        else:
            fields.add(f"offset[{lane}]", config.column_w, "column offset of the operand")
    return fields


def step_layout(config: Config, near: bool = False) -> list[Field]:
    """Fields of one step of a build, of the engine it has; ``near`` is for those with two formats."""
    if config.engine == "trident":
        return step_fields(config)
    return (twin_step_fields if config.engine == "twin" else gather_step_fields)(config, near)


def encode(fields: tuple[Field, ...], **values: int) -> int:
    """One header beat as an integer; the checksum is 0 unless given, see :func:`.crc.seal`.

    Raises:
        ValueError: a field is missing, unknown, or its value does not fit.
    """
    word = 0
    for field in fields:
        value = int(values.pop(field.name, 0) if field is CHECKSUM else values.pop(field.name))
        if not 0 <= value < 1 << field.width:
            raise ValueError(f"{field.name} = {value} does not fit {field.width} bits")
        word |= value << field.low
    if values:
        raise ValueError(f"no field {sorted(values)[0]!r}")
    return word


def decode(fields: tuple[Field, ...], word: int) -> dict[str, int]:
    """The fields of one header beat."""
    return {field.name: int(word) >> field.low & (1 << field.width) - 1 for field in fields}
