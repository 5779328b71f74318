"""Maps in memory, and the LOAD packet that brings a rectangle of one to every work group (docs/machine.md).

What a user of the machine says is here in pixels; :meth:`Load.beats` turns it into the fields of the packet, in which
the hardware needs to add only.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from .packets import KIND_LOAD, LOAD_HEADER, Field, encode

BLOCK = 16
"""Channels of a block, and bytes of a pixel in it."""

POOL_WIDTH = 32
"""Pixels of a rectangle's row where the map is pooled on the way: what the row buffer holds (map_load's POOL_WIDTH)."""

MAX_SIDE = 4095
"""Pixels of a map's row, and its rows."""


@dataclass(frozen=True)
class Map:
    """A feature map of bytes: blocks of 16 channels, then images, rows, pixels.

    Attributes:
        address: bytes, a multiple of 16, of block 0, image 0, row 0, column 0.
        width, height: pixels.
        block_pitch, image_pitch: bytes, multiples of 16.
    """

    address: int
    width: int
    height: int
    block_pitch: int
    image_pitch: int


@dataclass(frozen=True)
class Grid:
    """Rectangles over the images of a batch, one for every work group.

    Rectangle number i, counted over (image, row of rectangles, rectangle of the row), has its upper left corner at
    (gx * step_x + x0, gy * step_y + y0), in pixels; it may reach beyond the map on all sides.

    Attributes:
        first: number of work group 0's; the others follow.
        columns, rows: rectangles of an image.
        step_x, step_y: pixels from one to the next.
        x0, y0: where an image's first begins, 0 or less.
        width, height: of a rectangle, pixels.
    """

    first: int
    columns: int
    rows: int
    step_x: int
    step_y: int
    x0: int
    y0: int
    width: int
    height: int

    def corners(self, wgs: int) -> list[tuple[int, int, int]]:
        """(image, upper row, left column) of the rectangles of ``wgs`` work groups."""
        found = []
        for number in range(self.first, self.first + wgs):
            image, place = divmod(number, self.columns * self.rows)
            gy, gx = divmod(place, self.columns)
            found.append((image, gy * self.step_y + self.y0, gx * self.step_x + self.x0))
        return found


@dataclass(frozen=True)
class Pool:
    """Maximum over size x size pixels: the window of pixel (X, Y) begins at (X * stride - pad_x, Y * stride - pad_y).

    What a window has outside the map does not count.  Size 1 takes every stride-th pixel.

    Attributes:
        size: 1 to 3.
        stride: 1 to 4.
        pad_x, pad_y: 0 to size - 1.
        width, height: of the pooled map; every window meets the map.
    """

    size: int
    stride: int
    pad_x: int
    pad_y: int
    width: int
    height: int


@dataclass(frozen=True)
class Load:
    """A LOAD packet: for every work group, for every block, row and pixel of its rectangle, a column.

    Pixel (c, r) of a rectangle, block k, goes to column address + k * block_step + r * row_step + c * column_step:
    channel j to bank j.  With ``pair``, its half h (channels 8 h to 8 h + 7) goes to column address + k * block_step +
    r * row_step + (c // 2) * column_step + h * half_step: channel 8 h + j to bank 2 j + c % 2.  A value is the byte
    less the zero point; outside the loaded map it is 0.

    Attributes:
        source: the map in memory.
        grid: rectangles of the loaded map: ``source`` itself, pooled or enlarged.
        wgs: work groups, 1 or more.
        blocks: of 16 channels.
        pool: how the map is pooled on the way, or None.
        upsample: every pixel becomes 2 x 2 (nearest); not with ``pool``.
        signed: bytes are int8, not uint8.
        zero_point: of the bytes.
        page, after, buffer: as the packet's fields.
        pair: depthwise columns; the rectangles' width is even.
        address, block_step, row_step, column_step, half_step: columns, modulo 2^16.
    """

    source: Map
    grid: Grid
    wgs: int
    blocks: int
    address: int
    block_step: int
    row_step: int
    column_step: int
    half_step: int = 0
    page: int = 0
    buffer: bool = False
    after: int = 0
    pool: Pool | None = None
    upsample: bool = False
    signed: bool = False
    zero_point: int = 0
    pair: bool = False

    @property
    def window(self) -> Pool:
        """``pool``, or what stands for none."""
        if self.pool is not None:
            return self.pool
        scale = 2 if self.upsample else 1
        return Pool(1, 1, 0, 0, scale * self.source.width, scale * self.source.height)

    def check(self) -> None:
        """Refuse what the hardware cannot do.

        Raises:
            InputError: the message names the value, what is accepted, and what to do.
        """
        grid, source, window = self.grid, self.source, self.window
        for name in ("address", "block_pitch", "image_pitch"):
            value = getattr(source, name)
            if value % BLOCK or not 0 <= value < 1 << 32:
                raise InputError(f"{name} = {value} of a map; accepted: multiples of {BLOCK} below 2^32")
        for name, value in (
            ("width", source.width), ("height", source.height),
            ("loaded width", window.width), ("loaded height", window.height),
            ("rectangle's width", grid.width), ("rectangle's height", grid.height),
            ("rectangles of a row", grid.columns), ("rows of rectangles", grid.rows), ("blocks", self.blocks),
        ):  # fmt: skip
            if not 1 <= value <= MAX_SIDE:
                raise InputError(f"LOAD of a map with {name} = {value}; accepted: 1 to {MAX_SIDE}")
        if not 1 <= self.wgs <= 255:
            raise InputError(f"LOAD for {self.wgs} work groups; accepted: 1 to 255")
        if self.upsample and self.pool is not None:
            raise InputError("LOAD that pools and upsamples; accepted: one of both: store the map between them")
        if not (1 <= window.size <= 3 and 1 <= window.stride <= 4):
            raise InputError(
                f"LOAD pools {window.size} x {window.size}, stride {window.stride}; accepted: 1 to 3, 1 to 4"
            )
        if not (0 <= window.pad_x < window.size and 0 <= window.pad_y < window.size):
            raise InputError(f"LOAD pools with padding {window.pad_x}, {window.pad_y}; accepted: less than its size")
        if not self.upsample:
            for name, count, pad, size in (
                ("columns", window.width, window.pad_x, source.width),
                ("rows", window.height, window.pad_y, source.height),
            ):
                if (count - 1) * window.stride - pad >= size:
                    raise InputError(f"LOAD of {count} {name}: the last lies outside the {size} in memory")
        if window.size > 1 and grid.width > POOL_WIDTH:
            raise InputError(
                f"LOAD pools rectangles of {grid.width} pixels a row; accepted: to {POOL_WIDTH}: choose narrower tiles"
            )
        if self.pair and grid.width % 2:
            raise InputError(
                f"LOAD of pairs with rectangles of {grid.width} pixels a row; accepted: even: load one more"
            )

    def beats(self) -> list[int]:
        """The packet.

        Raises:
            InputError: as :meth:`check`.
        """
        self.check()
        grid, source, window = self.grid, self.source, self.window
        ((image, y, x),) = grid.corners(1)
        place = grid.first % (grid.columns * grid.rows)
        gy, gx = divmod(place, grid.columns)
        source_row = source.width * BLOCK
        # From one row of the loaded map to the next; half a row of memory where every row is loaded twice.
        row = source_row // 2 if self.upsample else source_row * window.stride
        values = {
            "kind": KIND_LOAD, "page": self.page, "buffer": self.buffer, "pair": self.pair, "signed": self.signed,
            "wgs": self.wgs, "after": self.after, "address": self.address,
            "map": source.address + image * source.image_pitch + y * row - window.pad_y * source_row,
            "block_pitch": source.block_pitch - (grid.height - 1) * row,
            "rect_pitch": grid.step_y * row, "image_pitch": source.image_pitch - (grid.rows - 1) * grid.step_y * row,
            "source_width": source.width, "source_height": source.height,
            "width": window.width, "height": window.height, "row_pitch": row // 8,
            "x": x, "y": y, "x0": grid.x0, "y0": grid.y0,
            "zero_point": self.zero_point + (128 if self.signed else 0), "upsample": self.upsample,
            "step_x": grid.step_x, "step_y": grid.step_y, "rect_width": grid.width, "rect_height": grid.height,
            "blocks": self.blocks,
            "grid_width": grid.columns, "grid_height": grid.rows,
            "left_x": grid.columns - gx, "left_y": grid.rows - gy,
            "pool": window.size, "stride": window.stride - 1, "pad_x": window.pad_x, "pad_y": window.pad_y,
            "block_step": self.block_step - (grid.height - 1) * self.row_step, "row_step": self.row_step,
            "column_step": self.column_step,
            "half_step": self.half_step,
        }  # fmt: skip
        return [encode(fields, **{f.name: _bits(f, values[f.name]) for f in fields}) for fields in LOAD_HEADER]


_MODULO = {
    "map",
    "block_pitch",
    "rect_pitch",
    "image_pitch",
    "block_step",
    "row_step",
    "column_step",
    "half_step",
    "after",
}
_SIGNED = {"x", "y", "x0", "y0", "zero_point"}


def _bits(field: Field, value: int) -> int:
    """A value as the bits of its field: modulo its width, signed, or as it is, which must fit."""
    value, size = int(value), 1 << field.width
    low, high = (-size // 2, size // 2) if field.name in _SIGNED else (0, size)
    if field.name not in _MODULO and not low <= value < high:
        raise InputError(f"LOAD with {field.name} = {value}; accepted: {low} to {high - 1}")
    return value % size
