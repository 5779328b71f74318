"""What a part's program is made of: DMA transfers, each some tile groups and some runs of them (trident, gather)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .parts import ScheduledPart
from .tiling import Tile, View


@dataclass(frozen=True)
class Transfer:
    """One DMA transfer: some tile groups, some runs of each.

    Attributes:
        words: uint64 (n,), the stream, with zeros for activations, their zero points and checksums.
        headers: int32 (ACT packets,), indices of their headers in ``words``.
        act_beats: int32 (ACT packets,), their lengths.
        position: int32 (a,), index in ``words`` of the first beat of each column of each work group.
        source: int32 (a,), the column of the input image that belongs there.
        groups: tile groups, first and end.
        runs: runs of the part, first and end.
        last_wgs: work groups in use in the transfer's last tile group.
        out_beats: beats of sums it returns.
        finish: int32 (tile groups, runs), where the FINISH packet of each run goes in ``words``; empty without glue.
    """

    words: np.ndarray
    headers: np.ndarray
    act_beats: np.ndarray
    position: np.ndarray
    source: np.ndarray
    groups: tuple[int, int]
    runs: tuple[int, int]
    last_wgs: int
    out_beats: int
    finish: np.ndarray


@dataclass(frozen=True)
class Program:
    """All transfers of a part for one batch of maps."""

    part: ScheduledPart
    view: View
    tile: Tile
    transfers: tuple[Transfer, ...]

    @property
    def pixel_groups(self) -> int:
        """How often every run's steps are replayed: tile groups times pixels of a tile."""
        return self.tile.groups * self.tile.height * self.tile.width
