"""The fast device: registers in Python, and the integer and cycle models in place of RTL and memory.

A run happens at once, when both DMA channels have been started.  Results and counters are those of
the Verilated simulator with the same memory model.  A packet stream that would stop the hardware's
loader is an InputError at once.
"""

from __future__ import annotations

import numpy as np

from ..errors import ZeroskipError
from ..hardware.config import Config
from ..hardware.registers import BY_NAME, COUNTER_MAX, COUNTER_NAMES, config_words
from ..runtime.counters import Counters
from .glue_build import build_kernels
from .hwh import LENGTH_WIDTH
from .memory import MEMORY_BASE, MEMORY_SIZE, MemoryModel
from .simulated import DMA_PORT, PAGE, SimulatedDevice

_DMACR, _DMASR, _ADDRESS, _LENGTH = 0x00, 0x04, 0x18, 0x28
_S2MM = 0x30
_INT_ERR, _SLV_ERR, _DEC_ERR = 1 << 4, 1 << 5, 1 << 6
_IOC_IRQ, _ERR_IRQ = 1 << 12, 1 << 14


class _Channel:
    """Registers of one DMA channel, as rtl/dma/zs_dma_channel.v."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.running = self.idle = self.active = False
        self.errors = self.interrupts = self.enables = 0
        self.address = self.length = self.moved = 0

    def status(self) -> int:
        return int(not self.running and not self.active) | self.idle << 1 | self.errors | self.interrupts

    def fail(self, error: int) -> None:
        self.running = self.idle = self.active = False
        self.errors |= error
        self.interrupts |= _ERR_IRQ

    def done(self) -> None:
        self.active, self.idle = False, True
        self.interrupts |= _IOC_IRQ

    def start(self, length: int) -> None:
        if not self.running or self.active:
            return
        length &= (1 << LENGTH_WIDTH) - 1
        if not length or length % 8 or self.address % 8:
            self.fail(_INT_ERR)
            return
        self.length, self.moved = length, 0
        self.active, self.idle = True, False

    def unmapped(self, length: int) -> int:
        """The error of moving ``length`` bytes, 0 if all of them are memory."""
        first, last = self.address - MEMORY_BASE, self.address - MEMORY_BASE + length - 8
        if first >= 0 and last < MEMORY_SIZE:
            return 0
        beyond = first if not 0 <= first < MEMORY_SIZE else MEMORY_SIZE
        return _SLV_ERR if 0 <= beyond - MEMORY_SIZE < PAGE else _DEC_ERR


class ModelDevice(SimulatedDevice):
    """A simulated board with the cycle model in it.

    Args:
        config: hardware to model.
        memory: timing of memory and streams.
        glue: the kernels of ``hls/`` stand between DMA and engine.

    Raises:
        ToolError: glue, and a C++ compiler or hls4ml is missing.
    """

    def __init__(self, config: Config, memory: MemoryModel, glue: bool = False) -> None:
        if glue:
            build_kernels(config)  # what is missing is said here, not in the first run
        super().__init__(f"zeroskip-model-{config.name}", config, memory, glue)
        self._glue = glue
        self._identity = {BY_NAME[name].offset: value for name, value in config_words(config).items()}
        self.restart()

    def restart(self) -> None:
        self._channels = (_Channel(), _Channel())
        self._counters = Counters.zero()

    def configure(self, memory: MemoryModel) -> None:
        """Change the timing of memory and streams from the next run on."""
        self.memory = memory

    # -- registers -------------------------------------------------------------------------------
    def read_port(self, port: int, offset: int) -> int:
        if port == DMA_PORT:
            return self._read_dma(offset)
        if offset in self._identity:
            return self._identity[offset]
        for name in COUNTER_NAMES:
            if offset == BY_NAME[name.upper()].offset:
                return min(getattr(self._counters, name), COUNTER_MAX)
        return 0

    def _read_dma(self, offset: int) -> int:
        channel = self._channels[offset >= _S2MM]
        match offset - (_S2MM if offset >= _S2MM else 0):
            case 0x00:
                return 0x0001_0002 | channel.running | channel.enables
            case 0x04:
                return channel.status()
            case 0x18:
                return channel.address
            case 0x28:
                return channel.moved if offset >= _S2MM else channel.length
        return 0

    def write_port(self, port: int, offset: int, value: int) -> None:
        if port == DMA_PORT:
            self._write_dma(offset, value)
        elif offset == BY_NAME["CONTROL"].offset:
            self._counters = Counters.zero()

    def _write_dma(self, offset: int, value: int) -> None:
        channel = self._channels[offset >= _S2MM]
        match offset - (_S2MM if offset >= _S2MM else 0):
            case 0x00:
                if value & 4:
                    for each in self._channels:
                        each.reset()
                    return
                channel.running = bool(value & 1) and not channel.errors
                channel.enables = value & (_IOC_IRQ | _ERR_IRQ)
                if not value & 1:
                    channel.idle = channel.active = False
            case 0x04:
                channel.interrupts &= ~value
            case 0x18:
                if channel.running and not channel.active:
                    channel.address = value
            case 0x28:
                channel.start(value)
                self._run()

    # -- a run -----------------------------------------------------------------------------------
    def _run(self) -> None:
        """Once both channels are started: compute, and leave the registers as the hardware would."""
        send, receive = self._channels
        if not (send.active and receive.active):
            return
        if error := send.unmapped(send.length):
            send.fail(error)
            return
        start = send.address - MEMORY_BASE
        words = self.ram[start : start + send.length].view("<u8")
        from ..models.cycles import simulate  # numba: only where the model runs

        try:
            sums, self._counters = simulate(self.config, words, self.memory, self._glue)
        except ZeroskipError:
            send.active = receive.active = False
            raise
        send.done()
        self._receive(receive, np.ascontiguousarray(sums, "<u8").view(np.uint8))

    def _receive(self, channel: _Channel, data: np.ndarray) -> None:
        taken = min(data.size, channel.length)
        channel.moved = taken
        if error := channel.unmapped(taken):
            channel.fail(error)
            return
        start = channel.address - MEMORY_BASE
        self.ram[start : start + taken] = data[:taken]
        if data.size > channel.length:
            channel.fail(_INT_ERR)
        else:
            channel.done()
