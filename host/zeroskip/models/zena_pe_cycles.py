"""Timing of the zena engine's PEs: all cycles of a job at once, from every chunk's number of products.

Repeats what ``rtl/zena/zena_pe.v`` and the modules below it do with a job; ``zena_cycles`` says when it may begin.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .zena_packets import COUNT, NX, NY, WGS

_FETCH = 5
"""Cycles from a chunk's issue to the first in which the multiplier may take it."""

_DROP = 4
"""Cycles from a chunk's issue to the one in which it is dropped, if it has no products."""

_AHEAD = 16
"""Chunks between fetch and multiplier: ``DEPTH`` of zena_fetch.v."""

_PACE = 4
"""Cycles from a pixel's last to the first in which the next one's last chunk may be taken."""

_DONE = 3
"""Cycles from a PE's last product to the barrier of its sub-WG, less one."""

_EVENT = 4
"""Cycles from a product to its event at the counters."""

# State of a PE: first cycle in which it may begin the next job; the last cycle of its latest chunk and of its latest
# pixel; when its latest four chunks without products were dropped; chunks waiting to be multiplied, the oldest one's
# place in the ring, and the ring: the cycle in which the multiplier takes each.
_FREE, _END, _PIXEL, _DROPS, _WAITING, _OLDEST, _TAKEN = 0, 1, 2, 3, 7, 8, 9
_PE_STATE = _TAKEN + _AHEAD


@njit(cache=True)
def new(sub_wgs, wgs, sub_pes):
    """State of PEs that have done nothing yet: int64 (sub_wgs, wgs, sub_pes, values)."""
    pes = np.full((sub_wgs, wgs, sub_pes, _PE_STATE), -(1 << 40))
    pes[..., _WAITING:] = 0
    return pes


@njit(cache=True)
def begin(packet, products, seen, pes, change):
    """Let the PEs of a sub-WG do a job.

    Args:
        packet: the job's row of the packet table.
        products: common non-zero positions of its chunks; from the first one on, by work group, PE, pixel and chunk.
        seen: cycle in which the PEs see that it may begin.
        pes: their state, (wgs, sub_pes, values); updated.
        change: by cycle, modulo its length: PEs whose events of products begin less those whose end; updated.

    Returns:
        The first cycle in which the barrier can tell that all have finished.
    """
    chunks, pixels = packet[COUNT], packet[NX] * packet[NY]
    latest, at = 0, 0
    for wg in range(pes.shape[0]):
        for index in range(pes.shape[1]):
            pe = pes[wg, index]
            issue = max(pe[_FREE], seen)
            if wg >= packet[WGS]:
                pe[_FREE] = issue + 1
                continue
            active = False
            for chunk in range(chunks * pixels):
                last = (chunk + 1) % chunks == 0
                issue = _credit(pe, issue + 1)
                if products[at] == 0 and not last:
                    for age in range(_DROP - 1, 0, -1):
                        pe[_DROPS + age] = pe[_DROPS + age - 1]
                    pe[_DROPS] = issue + _DROP
                else:
                    taken = max(pe[_END], issue + _FETCH)
                    if last:
                        taken = max(taken, pe[_PIXEL] + _PACE)
                    if not active or taken > pe[_END]:
                        change[(taken + 1 + _EVENT) % change.size] += 1
                        if active:
                            change[(pe[_END] + 1 + _EVENT) % change.size] -= 1
                        active = True
                    pe[_END] = taken + max(products[at], 1)
                    if last:
                        pe[_PIXEL] = pe[_END]
                    pe[_TAKEN + (pe[_OLDEST] + pe[_WAITING]) % _AHEAD] = taken
                    pe[_WAITING] += 1
                at += 1
            pe[_FREE] = issue + 1
            change[(pe[_END] + 1 + _EVENT) % change.size] -= 1
            latest = max(latest, pe[_END] + 1)
    return latest + _DONE


@njit(cache=True)
def _credit(pe, cycle):
    """The first cycle from ``cycle`` on in which a PE may issue a chunk."""
    while True:
        while pe[_WAITING] > 0 and pe[_TAKEN + pe[_OLDEST]] < cycle:
            pe[_OLDEST] = (pe[_OLDEST] + 1) % _AHEAD
            pe[_WAITING] -= 1
        pending = pe[_WAITING]
        for age in range(_DROP):
            pending += pe[_DROPS + age] >= cycle
        if pending < _AHEAD:
            return cycle
        cycle += 1
