"""Memory that processor and DMA share: which kind for what, and no more of it kept coherent than was moved.

pynq's ``flush`` and ``invalidate`` work on the whole buffer, whatever part of it they are called on, and ``allocate``
gives uncached memory where nothing else is asked for.  So each direction says what it wants:

* The packet stream is written once, from the first word to the last, and never read: uncached.  The processor's store
  buffer merges such writes, and there is nothing to flush, so one buffer that grows serves streams of all lengths.
* Results are read, by many small NumPy operations: cached, as an uncached load waits for memory every time.  After a
  run the whole buffer is invalidated, so there is one for every size class, at most a quarter larger than what moved.

Which kind is faster has been reasoned, not measured: no board has run this.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DeviceError
from .pynq_import import import_pynq, pynq_errors, quiet, reason

BEAT_BYTES = 8

KEPT_BYTES = 32 << 20
"""Result buffers that are kept for later runs, in bytes, beside the one in use; the board has 128 MiB for all."""

_LEAST = 512
"""Beats of the smallest buffer: a page."""


class Buffers:
    """The buffers of one accelerator, kept between runs.

    Args:
        target: pynq device that the memory belongs to.
    """

    def __init__(self, target: Any) -> None:
        self._target = target
        # Behind the network a buffer travels whole: there it has the size it is used with.
        self._exact = target.has_capability("REMOTE")
        self.source: Any = None
        self.results: dict[int, Any] = {}

    def stream(self, beats: int) -> Any:
        """Room for a packet stream, uint64 (beats,)."""
        if self.source is None or (self.source.size != beats if self._exact else self.source.size < beats):
            self.source = None  # its memory may be needed for the next one
            self.source = self._allocate(beats if self._exact else max(beats, _LEAST), cacheable=False)
        return self.source if self._exact else self.source[:beats]

    def result(self, beats: int) -> Any:
        """Room for results, uint64 (beats,); ``invalidate`` it before they are read."""
        size = beats if self._exact else size_class(beats)
        buffer = self.results.pop(size, None)
        if buffer is None:
            kept = KEPT_BYTES if not self._exact else 0
            while self.results and BEAT_BYTES * sum(self.results) > kept:
                self.results.pop(next(iter(self.results)))  # the one that was used longest ago
            buffer = self._allocate(size, cacheable=True)
        self.results[size] = buffer
        return buffer if self._exact else buffer[:beats]

    def _allocate(self, beats: int, *, cacheable: bool) -> Any:
        pynq = import_pynq()
        try:
            with quiet():
                buffer = pynq.allocate((beats,), dtype=np.uint64, target=self._target, cacheable=int(cacheable))
        except (MemoryError, *pynq_errors()) as error:
            raise DeviceError(
                f"no contiguous memory for {beats * BEAT_BYTES} bytes ({reason(error)}); "
                "close other overlays or send less at once"
            ) from error
        if cacheable:
            # No dirty cache line of the allocation may later be written over the DMA's data.
            buffer.flush()
        return buffer

    def clear(self) -> None:
        """Give all memory back.  The DMA must have stopped."""
        self.source = None
        self.results.clear()


def size_class(beats: int) -> int:
    """The smallest of the sizes 4, 5, 6 and 7 times a power of two, and at least a page, that holds so many beats."""
    beats = max(beats, _LEAST)
    unit = 1 << (beats - 1).bit_length() - 3
    return -(-beats // unit) * unit
