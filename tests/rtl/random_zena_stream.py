"""Random legal packet streams of the zena engine."""

from __future__ import annotations

import numpy as np

from zeroskip.hardware import crc, packets
from zeroskip.hardware.config import Config


def random_chunk(rng, zeros: float, value) -> tuple[int, list[int]]:
    """A compressed chunk: mask, and ``value()`` where it is 1; sometimes an explicit zero."""
    mask = 0 if rng.random() < zeros / 3 else int(sum(1 << i for i in range(16) if rng.random() >= zeros))
    return mask, [0 if rng.random() < 0.05 else value() for _ in range(mask.bit_count())]


def random_zact(config: Config, rng, page: int, address: int, count: int, wgs: int, zeros: float) -> list[int]:
    """A ZACT packet."""
    header = packets.encode(
        packets.ZACT_HEADER, kind=packets.KIND_ZACT, page=page, wgs=wgs, address=address, count=count
    )
    limit = config.act_max
    beats = [header]
    for group in range(0, wgs, 4):
        beats += packets.lane_group(
            [
                [random_chunk(rng, zeros, lambda: int(rng.integers(-limit, limit + 1))) for _ in range(count)]
                for _ in range(min(4, wgs - group))
            ]
        )
    return crc.sealed(beats)


def random_weight(config: Config, rng) -> int:
    if config.weight_w == 5:
        return int(rng.integers(32))
    return int(rng.integers(-(1 << config.weight_w - 1), 1 << config.weight_w - 1))


_PLACE = 16
"""Partial sums of the largest job."""


def random_stream(config: Config, seed: int, jobs: int = 12) -> tuple[np.ndarray, int]:
    """A whole transfer: uint64 words, and the number of result beats.

    Each page is half of the columns at a random rotation, so that addresses wrap around.  Partial sums are
    reused as soon as the rules allow, with the largest ``undrained`` that is legal.  With stealing, jobs share few
    places of partial sums, so that they often have to wait for each other.
    """
    rng = np.random.default_rng(seed)
    zeros, sparsity = (float(p) for p in rng.choice([0.0, 0.3, 0.6, 0.9, 1.0], 2))
    half = config.columns // 2
    start = [int(rng.integers(config.columns)), 0]
    start[1] = start[0] + half
    words: list[int] = []
    beats = 0
    for page in (0, 1):
        words += random_zact(config, rng, page, start[page] % config.columns, half, config.wgs, zeros)
    started = np.zeros((config.sub_wgs, config.job_psums), int)
    unsent: list[list[tuple[int, int]]] = [[] for _ in range(config.sub_wgs)]
    places = min(int(rng.integers(1, 5)), config.job_psums // _PLACE)
    ends = places if config.stealing else config.sub_wgs
    for index in range(jobs):
        while rng.random() < 0.3:
            page = int(rng.integers(2))
            count = int(rng.integers(1, max(2, half // 4)))
            address = (start[page] + int(rng.integers(half - count + 1))) % config.columns
            words += random_zact(config, rng, page, address, count, int(rng.integers(1, config.wgs + 1)), zeros)
        page, wgs = int(rng.integers(2)), int(rng.integers(1, config.wgs + 1))
        sub_wg = int(rng.integers(config.sub_wgs)) if rng.random() < 0.3 else index % config.sub_wgs
        chunks = int(rng.choice([5, 6, config.steps // 2 + 1, config.steps]))
        nx, ny = (int(n) for n in rng.integers(1, int(rng.choice([2, 3, 5])), 2))
        psum = int(rng.integers(config.psums - nx * ny + 1)) if rng.random() < 0.7 else 0
        last, ending = index == jobs - 1, index >= jobs - ends
        if config.stealing:
            psum = _PLACE * (jobs - 1 - index if ending else int(rng.integers(places)))
        elif ending:
            sub_wg = jobs - 1 - index
        owner = 0 if config.stealing else sub_wg
        final, relu = ending or rng.random() < 0.5, int(rng.integers(2))
        begun = started[owner, psum : psum + nx * ny]
        first = int((begun < wgs).any() or rng.random() < 0.3)
        if first:
            np.maximum(begun, wgs, out=begun)
        waiting = unsent[owner]
        overlap = [at for at, (low, high) in enumerate(waiting) if low < psum + nx * ny and psum < high]
        undrained = min(14, len(waiting) - 1 - overlap[-1]) if overlap else packets.NO_WAIT
        if rng.random() < 0.2:
            undrained = int(rng.integers(undrained + 1))
        sure = 0 if undrained == packets.NO_WAIT else max(0, len(waiting) - undrained)
        for at, (low, high) in enumerate(waiting[:sure]):
            if not config.stealing or (low < psum + nx * ny and psum < high):
                waiting[at] = (0, 0)  # sent when this job starts, and so for all that start later
        if final:
            waiting.append((psum, psum + nx * ny))
            beats += nx * ny * config.sub_filters * -(-(wgs + relu) // 2)
        reach = config.columns // 4  # what pixel bases may add, and what offsets may, to stay within the page
        dx, dy = (int(rng.integers(max(1, reach // 2 // n))) for n in (nx, ny))
        base = start[page] + int(rng.integers(reach - (nx - 1) * dx - (ny - 1) * dy))
        job = [
            packets.encode(
                packets.JOB_HEADER_0, kind=packets.KIND_JOB, page=page, first=first, last=last,
                final=final, wgs=wgs, chunks=chunks, sub_wg=sub_wg, relu=relu, undrained=undrained, psum=psum,
            ),
            packets.encode(packets.JOB_HEADER_1, nx=nx, ny=ny, dx=dx, dy=dy, base=base % 2**16),
        ]  # fmt: skip
        offsets = rng.integers(0, reach, chunks)
        job += packets.lane_group([[(int(offset), []) for offset in offsets[lane::4]] for lane in range(4)])
        for _ in range(0, config.sub_filters, 4):
            job += packets.lane_group(
                [
                    [random_chunk(rng, sparsity, lambda: random_weight(config, rng)) for _ in range(chunks)]
                    for _ in range(4)
                ]
            )
        words += crc.sealed(job)
    return np.array(words, dtype=np.uint64), beats
