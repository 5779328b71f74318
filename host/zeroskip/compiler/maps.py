"""Where the maps of a segment lie in memory: each from the pass that writes it to the last one that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .passes import Segment

BLOCK_BYTES = 16
"""Bytes of a pixel in one block of a map: 16 channels of a byte, or 8 of two."""

ALIGNMENT = 4096
"""Of a map's address: bursts may not cross such boundaries, so rows begin well within one."""


@dataclass(frozen=True)
class Place:
    """Memory of a map.

    Args:
        offset: from the beginning of the segment's buffer.
        nbytes: for all images of a batch.
        first, last: passes between which it holds the map; -1: the host writes it before; as many as there are
            passes: the host reads it afterwards.
    """

    offset: int
    nbytes: int
    first: int
    last: int


def map_bytes(shape: tuple[int, int, int], itemsize: int = 1, images: int = 1) -> int:
    """Bytes of a map (C, H, W): blocks of channels, then images, rows, pixels."""
    channels, height, width = shape
    return -(-channels * itemsize // BLOCK_BYTES) * images * height * width * BLOCK_BYTES


def place_maps(
    segment: Segment, shapes: Mapping[str, tuple[int, int, int]], sizes: Mapping[str, int], images: int = 1
) -> dict[str, Place]:
    """Give every map of a segment a place; maps that are needed at the same time do not overlap.

    The largest come first, each at the lowest offset that is free while it is needed.

    Args:
        shapes: (C, H, W) of every map.
        sizes: bytes of a map's element.
        images: of a batch.
    """
    first = dict.fromkeys(segment.inputs, -1)
    last: dict[str, int] = {}
    for index, each in enumerate(segment.passes):
        for name in (each.source.tensor, *([each.residual.tensor] if each.residual else [])):
            last[name] = index
        first.setdefault(each.tensor, index)
        last[each.tensor] = max(last.get(each.tensor, index), index)
    for name in segment.outputs.values():
        last[name] = len(segment.passes)
    found: dict[str, Place] = {}
    nbytes = {name: map_bytes(shapes[name], sizes[name], images) for name in first}
    for name in sorted(first, key=lambda name: (-nbytes[name], first[name])):
        begin, end = first[name], last.get(name, first[name])
        others = sorted(
            (place.offset, place.offset + place.nbytes)
            for place in found.values()
            if place.first <= end and begin <= place.last
        )
        offset = 0
        for low, high in others:
            if offset + nbytes[name] <= low:
                break
            offset = max(offset, -(-high // ALIGNMENT) * ALIGNMENT)
        found[name] = Place(offset, nbytes[name], begin, end)
    return found


def buffer_bytes(places: Mapping[str, Place]) -> int:
    """Bytes of the buffer that holds all places."""
    return max((place.offset + place.nbytes for place in places.values()), default=0)
