"""Cycle model: the counters of the RTL, exactly.

The functional model of the engine executes the stream; what it did is then replayed clock cycle by clock cycle, with
the DMA and memory of :mod:`.dma` and, where wanted, the HLS kernels of :mod:`.kernels`.  Together they are the "model"
device.
"""

from __future__ import annotations

import numpy as np

from ..devices.memory import MemoryModel
from ..engines import engine_of
from ..errors import DeviceError
from ..hardware.config import Config
from ..hardware.registers import COUNTER_MAX
from ..runtime.counters import Counters
from . import dma, kernels
from .scheduled import Executed

_TIMED = ("cycles", "busy", "span", "stall_input", "stall_output", "barrier_wait")


def simulate(
    config: Config, words: np.ndarray, memory: MemoryModel | None = None, glue: bool = False
) -> tuple[np.ndarray, Counters]:
    """What one transfer gives and how long it takes.

    Args:
        config: the build.
        words: uint64 (n,), the input stream.
        memory: the simulated memory and stalls; default :class:`MemoryModel`.
        glue: the HLS kernels stand between DMA and engine.

    Returns:
        uint64 (beats,) output stream and the counters the hardware would show.

    Raises:
        InputError: not a legal stream.
        ToolError: glue, and a C++ compiler or hls4ml is missing.
        DeviceError: nothing moves any more; cannot happen unless the model and a stream disagree.
    """
    memory = memory or MemoryModel()
    execute = engine_of(config).execute
    if not glue:
        executed = execute(config, words)
        return executed.out, _counters(config, executed, len(words), len(executed.out), memory)
    with kernels.Kernels(config, words) as between:
        executed = execute(config, between.expanded())
        sums = kernels.sum_beats(config, executed)
        counters = _counters(config, executed, len(words), len(sums), memory, between.connect(sums))
        return between.results(), counters


def _counters(
    config: Config, executed: Executed, sent: int, given: int, memory: MemoryModel, ports: kernels.Ports | None = None
) -> Counters:
    """The counters of a transfer of ``sent`` beats from the DMA, ``given`` beats from the engine."""
    streams = dma.streams(sent, memory)
    timed = np.zeros(len(_TIMED), np.int64)
    if not engine_of(config).clock(config, executed, given, streams, ports, timed):
        raise DeviceError(f"the cycle model stands still after {timed[0]} cycles")
    counters = {name: min(int(value), COUNTER_MAX) for name, value in zip(_TIMED, timed, strict=True)}
    return Counters(**executed.counters | counters | {"beats_out": given})
