"""The Verilated simulator as a pynq device: the real RTL behind simulated memory and registers.

The clock runs only inside calls: a few cycles per register access, and up to :data:`POLL_CYCLES` when
the status of a busy DMA channel is read, so that a driver polls as it does on the board.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DeviceError, ToolError
from ..hardware.config import Config
from ..hardware.registers import DMA_BASE, ENGINE_BASE
from . import sim_build
from .memory import MEMORY_BASE, MEMORY_SIZE, MemoryModel
from .simulated import DMA_PORT, ENGINE_PORT, SimulatedDevice

POLL_CYCLES = 20_000
"""Cycles that reading the status of a busy channel may run, until a channel falls idle."""

_STATUS = {0x04: 0, 0x34: 1}
"""Offset of DMASR to channel: 0 MM2S, 1 S2MM."""

_u32, _u64, _handle = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p
_PROTOTYPES = {
    "zs_open": (_handle, [ctypes.c_void_p, _u64, _u64, ctypes.c_char_p, _u32]),
    "zs_close": (None, [_handle]),
    "zs_configure": (None, [_handle, _u32, _u32, _u32, _u32, _u32, ctypes.POINTER(_u32)]),
    "zs_write_order": (None, [_handle, ctypes.c_int]),
    "zs_write": (ctypes.c_int, [_handle, ctypes.c_int, _u32, _u32]),
    "zs_read": (ctypes.c_int, [_handle, ctypes.c_int, _u32, ctypes.POINTER(_u32)]),
    "zs_run": (_u64, [_handle, ctypes.c_int, _u64]),
    "zs_step": (None, [_handle, _u64]),
    "zs_now": (_u64, [_handle]),
    "zs_introut": (ctypes.c_int, [_handle]),
    "zs_log": (None, [_handle, ctypes.c_void_p, _u64, ctypes.c_void_p, _u64]),
    "zs_logged": (_u64, [_handle, ctypes.c_int]),
    "zs_fault": (ctypes.c_char_p, [_handle]),
}


@functools.cache
def _load(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ToolError(f"simulator {path} does not load: {error}; remove the file and try again") from error
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class VerilatedDevice(SimulatedDevice):
    """A simulated board with the Verilated design in it.

    Args:
        config: hardware to simulate.
        memory: timing of memory and streams.
        trace: path of an FST waveform to write; the simulation is then many times slower.
        library_dirs: folders whose Verilog modules replace those of ``rtl/`` (for tests).
        top: "core" for engine and DMA, "board" for the whole vendor-free board design, in which registers are
            reached through the processing system's port GP0 and memory through HP0.
        glue: the kernels of ``hls/`` stand between DMA and engine (only top "core").

    Raises:
        ToolError: the simulator cannot be built.
    """

    def __init__(
        self,
        config: Config,
        memory: MemoryModel,
        trace: str | Path | None = None,
        library_dirs: Sequence[Path] = (),
        top: str = "core",
        glue: bool = False,
    ) -> None:
        built = sim_build.build(config, trace=trace is not None, library_dirs=library_dirs, top=top, glue=glue)
        library = _load(built)
        super().__init__(f"zeroskip-sim-{config.name}", config, memory, glue)
        self._library = library
        self._board = top == "board"
        self._log: tuple[np.ndarray, np.ndarray] | None = None
        if trace is not None and not Path(trace).resolve().parent.is_dir():
            raise ToolError(f"cannot write the trace {trace}: its folder does not exist")
        self._trace = None if trace is None else str(trace).encode()
        self._simulation: int | None = None
        self.power_up = 1
        self.restart()

    def restart(self) -> None:
        """Power up anew: registers and memories hold random bits, of seed ``power_up``, until the reset."""
        if self._simulation is not None:
            self._library.zs_close(self._simulation)
        self._simulation = self._library.zs_open(
            self.ram.ctypes.data, MEMORY_BASE, MEMORY_SIZE, self._trace, self.power_up
        )
        self.configure(self.memory)

    def configure(self, memory: MemoryModel) -> None:
        """Change the timing of memory and streams from the next run on."""
        self.memory = memory
        seeds = (ctypes.c_uint32 * 4)(*memory.seeds())
        self._library.zs_configure(
            self._open(),
            memory.read_latency,
            memory.write_latency,
            memory.rate,
            memory.stall,
            memory.stream_stall,
            seeds,
        )

    def _open(self) -> int:
        if self._simulation is None:
            raise DeviceError("the simulated device is closed")
        return self._simulation

    def _check(self, answered: int, port: int, offset: int) -> None:
        name = {ENGINE_PORT: "engine", DMA_PORT: "DMA"}[port]
        if not answered:
            raise DeviceError(f"bus error: the {name} does not answer at register 0x{offset:02X}")
        if fault := self._library.zs_fault(self._open()):
            raise DeviceError(f"the simulated design broke a rule of its bus: {fault.decode()}")

    def _place(self, port: int, offset: int) -> tuple[int, int]:
        """Port and address for the harness: the board design has one port, with the processor's addresses."""
        return (ENGINE_PORT, (ENGINE_BASE, DMA_BASE)[port] + offset) if self._board else (port, offset)

    def read_port(self, port: int, offset: int, run: bool = True) -> int:
        handle = self._open()
        if run and port == DMA_PORT and offset in _STATUS:
            self._library.zs_run(handle, _STATUS[offset], POLL_CYCLES)
        value = ctypes.c_uint32()
        self._check(self._library.zs_read(handle, *self._place(port, offset), ctypes.byref(value)), port, offset)
        return value.value

    def write_port(self, port: int, offset: int, value: int) -> None:
        self._check(self._library.zs_write(self._open(), *self._place(port, offset), value), port, offset)

    # -- for tests and for people who debug ------------------------------------------------------
    @property
    def now(self) -> int:
        """Clock cycles simulated so far."""
        return self._library.zs_now(self._open())

    @property
    def introut(self) -> int:
        """The DMA\'s interrupt lines: bit 0 MM2S, bit 1 S2MM."""
        return self._library.zs_introut(self._open())

    def step(self, cycles: int) -> None:
        """Let the clock run."""
        self._library.zs_step(self._open(), cycles)

    def data_before_address(self, early: bool) -> None:
        """Whether memory takes the data of a write before its address, which AXI allows it to; the models do not."""
        self._library.zs_write_order(self._open(), int(early))

    def log(self, beats_in: int, beats_out: int) -> None:
        """From the next run on, note the cycle of the first so many words into and out of the engine."""
        self._log = np.zeros(beats_in, np.uint64), np.zeros(beats_out, np.uint64)
        inward, outward = self._log
        self._library.zs_log(self._open(), inward.ctypes.data, beats_in, outward.ctypes.data, beats_out)

    def logged(self) -> tuple[np.ndarray, np.ndarray]:
        """Cycles of the words into and out of the engine in the last run; cycle 0 starts the read transfer."""
        if self._log is None:
            raise DeviceError("nothing was logged; call log() before the run")
        counts = (self._library.zs_logged(self._open(), side) for side in (0, 1))
        return tuple(cycles[:count].astype(np.int64) for cycles, count in zip(self._log, counts, strict=True))

    def close(self) -> None:
        if self._simulation is not None:
            self._library.zs_close(self._simulation)
            self._simulation = None
            super().close()
