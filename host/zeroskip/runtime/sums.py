"""What comes back from the trident and gather engines: a transfer's beats as sums (or results) of rectangles."""

from __future__ import annotations

import numpy as np

from ..hardware.config import Config
from . import glue
from .hostops import Finish
from .transfer import Program, Transfer


def collect(
    config: Config, program: Program, outs: list[np.ndarray], finish: Finish | None = None, compress: bool = False
) -> np.ndarray:
    """All transfers' sums (int32) or results (``finish``'s type) by rectangle: (rectangles, E * M, height, width)."""
    rectangles = []
    for transfer, out in zip(program.transfers, outs, strict=True):
        runs = runs_of(config, program, transfer)
        found = _sums(config, program, out, runs) if finish is None else glue.results(out, runs, finish, compress)
        rectangles.append(_rectangles(config, program, transfer, found))
    if program.transfers[0].runs == (0, len(program.part.steps)):
        joined = np.concatenate(rectangles)
    else:  # a tile group's runs are spread over several transfers
        pieces = len(rectangles) // program.tile.groups
        joined = np.concatenate(
            [np.concatenate(rectangles[at : at + pieces], axis=1) for at in range(0, len(rectangles), pieces)]
        )
    return joined.reshape(len(joined), -1, *joined.shape[3:])


def _shares(config: Config, transfer: Transfer) -> tuple[tuple[int, int], tuple[int, int]]:
    """(tile groups, work groups in use) of the full tile groups, and of the last one where it is not full."""
    groups = transfer.groups[1] - transfer.groups[0]
    full = groups if transfer.last_wgs == config.wgs else groups - 1
    return (full, config.wgs), (groups - full, transfer.last_wgs)


def runs_of(config: Config, program: Program, transfer: Transfer) -> list[tuple[int, int]]:
    """(runs, sums of each) in the order of the stream."""
    runs, pixels = transfer.runs[1] - transfer.runs[0], program.tile.height * program.tile.width
    return [(count * runs, pixels * wgs * program.part.filters.shape[1]) for count, wgs in _shares(config, transfer)]


def _sums(config: Config, program: Program, out: np.ndarray, runs: list[tuple[int, int]]) -> list[np.ndarray]:
    """The sums of a transfer, for every entry of ``runs`` int32 (runs, sums of each)."""
    # What begins on a beat of its own: a pixel, or where lanes are apart each lane of one.
    parts = program.tile.height * program.tile.width * (program.part.filters.shape[1] if program.part.apart else 1)
    found, at = [], 0
    for count, values in runs:
        each = values // parts
        size = count * parts * -(-each // 2)
        sums = out[at : at + size].view(np.int32).reshape(count * parts, 2 * -(-each // 2))[:, :each]
        found.append(sums.reshape(count, values))
        at += size
    return found


def _rectangles(config: Config, program: Program, transfer: Transfer, found: list[np.ndarray]) -> np.ndarray:
    """A transfer's sums or results by rectangle: (rectangles, runs, M, height, width)."""
    tile, runs = program.tile, transfer.runs[1] - transfer.runs[0]
    filters, apart = program.part.filters.shape[1], program.part.apart
    shaped = []
    for (count, wgs), values in zip(_shares(config, transfer), found, strict=True):
        # A pixel's sums: lane after lane of all work groups, or work group after work group of all filters.
        order = (filters, wgs) if apart else (wgs, filters)
        values = values.reshape(count, runs, tile.height, tile.width, *order)
        values = values.transpose((0, 5, 1, 4, 2, 3) if apart else (0, 4, 1, 5, 2, 3))
        shaped.append(values.reshape(count * wgs, runs, filters, tile.height, tile.width))
    return np.concatenate(shaped)
