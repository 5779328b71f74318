"""Kernel allocation: which kernels (filters) of a layer the PEs of a sub-WG work on together.

PEs that share a broadcast tile wait for the slowest of them, and a PE's time grows with the non-zero
weights of its kernel.  So kernels with similar numbers should meet (ZeNA, "zero-aware kernel
allocation").  A kernel's partial sums stay in its PE from the first channel tile to the last, so a
kernel never changes its PE, and kernels that meet once meet in every channel tile.
"""

from __future__ import annotations

import numpy as np

ALLOCATIONS = ("index", "count", "balanced")
"""How kernels are allocated:

* index: in the order of their numbers, as without kernel allocation;
* count: sorted by their work, neighbours together in a sub-WG, as published;
* balanced: the same neighbours, but within a sub-WG the fullest goes to the PE that has least work so far: PEs
  run ahead of each other, so what counts is that none falls behind for long.
"""


def allocate(work: np.ndarray, pes: int, sub_wgs: int, how: str) -> np.ndarray:
    """Allocate the kernels of a layer.

    Args:
        work: (K,), expected cycles per pixel of every kernel.
        pes: PEs of a sub-WG, which wait for each other.
        sub_wgs: sub-WGs, which do not.
        how: one of :data:`ALLOCATIONS`.

    Returns:
        int32 (rounds, sub_wgs, pes): the kernel each PE takes in each round; -1: none.
    """
    rounds = -(-len(work) // (pes * sub_wgs))
    order = np.arange(len(work)) if how == "index" else np.argsort(-work, kind="stable")
    dealt = np.full(rounds * sub_wgs * pes, -1, np.int32)
    dealt[: len(work)] = order
    dealt = dealt.reshape(rounds, sub_wgs, pes)
    if how == "index":
        return dealt
    dealt[1::2] = dealt[1::2, ::-1]  # no sub-WG always gets the fuller kernels
    if how == "count":
        return dealt
    work = np.append(work, 0.0)  # the last one for kernel -1
    load = np.zeros((sub_wgs, pes))
    found = np.empty_like(dealt)
    for kernels, taken in zip(dealt, found, strict=True):
        heavy = np.take_along_axis(kernels, np.argsort(-work[kernels], axis=1, kind="stable"), axis=1)
        light = np.argsort(load, axis=1, kind="stable")
        np.put_along_axis(taken, light, heavy, axis=1)
        np.put_along_axis(load, light, np.take_along_axis(load, light, axis=1) + work[heavy], axis=1)
    return found


def expected_work(counts: np.ndarray, density: float) -> np.ndarray:
    """Cycles per pixel of kernels whose chunks have ``counts`` non-zero weights (..., chunks).

    A chunk takes as many cycles as non-zero weights meet non-zero activations.  (A PE fetches one per cycle while it
    multiplies, so that it takes no less than its chunks in all.)
    """
    return (counts * density).sum(-1)


def useful(work: np.ndarray, taken: np.ndarray, ahead: int = 2) -> float:
    """Share of the PEs' cycles that are work, were loading free.

    Args:
        work: (K, T), cycles of every kernel in every kernel tile; a tile's rounds follow those of the one before.
        taken: from :func:`allocate`.
        ahead: rounds a PE may be ahead of the slowest of its sub-WG: one less than ``Config.jobs``, 0 if they all began
            every round together.
    """
    finish = np.zeros(taken.shape[1:])
    slowest = [np.zeros((taken.shape[1], 1))] * (ahead + 1)
    for tile in range(work.shape[1]):
        for kernels in taken:
            finish = np.maximum(finish, slowest[-1 - ahead]) + np.where(kernels < 0, 0.0, work[kernels, tile])
            slowest.append(finish.max(1, keepdims=True))
    return float(work.sum() / (finish.max() * taken[0].size))
