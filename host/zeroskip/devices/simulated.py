"""A pynq ``Device`` without a board: memory, address map, clocks and metadata of the simulated PYNQ-Z2.

``pynq.Overlay``, ``allocate``, ``MMIO`` and ``pynq.lib.dma.DMA`` run on it unmodified.  A subclass
supplies the registers behind the bus: the Verilated design (sim.py) or the cycle model (model.py).
"""

from __future__ import annotations

import ctypes
import mmap
import tempfile
import weakref
from pathlib import Path

import numpy as np

from ..errors import DeviceError
from ..hardware.config import Config
from ..hardware.registers import DMA_BASE, DMA_RANGE, ENGINE_BASE, ENGINE_RANGE
from ..runtime.pynq_import import import_pynq, quiet
from .hwh import FCLK_DIVISORS, handoff
from .memory import MEMORY_BASE, MEMORY_SIZE, MemoryModel

import_pynq()

from pynq.buffer import PynqBuffer  # noqa: E402  after import_pynq, which keeps its warnings quiet
from pynq.metadata.runtime_metadata_parser import RuntimeMetadataParser  # noqa: E402
from pynq.pl_server.device import Device  # noqa: E402
from pynqmetadata.frontends import Metadata  # noqa: E402

PAGE = 4096
_OLD_DATA = 0x5A, 0xC3
"""What new memory holds in the device's and in the processor's view."""

ENGINE_PORT, DMA_PORT = 0, 1
SLCR_BASE, SLCR_RANGE = 0xF800_0000, 0x1000


def _slcr_after_boot() -> dict[int, int]:
    """The clock registers pynq reads: PLLs of 1300, 1050 and 1000 MHz from 50 MHz, CPU 650 MHz, FCLKs 100 MHz."""
    fclk = FCLK_DIVISORS[0] << 8 | FCLK_DIVISORS[1] << 20
    return {0x100: 26 << 12, 0x104: 21 << 12, 0x108: 20 << 12, 0x120: 2 << 8} | {
        0x170: fclk,
        0x180: fclk,
        0x190: fclk,
        0x1A0: fclk,
    }


class _Pages:
    """First-fit allocator of whole pages, as contiguous as the board's CMA."""

    def __init__(self, size: int) -> None:
        self.free = [(0, size)]

    def take(self, nbytes: int) -> int:
        size = max(PAGE, -(-nbytes // PAGE) * PAGE)
        for index, (start, length) in enumerate(self.free):
            if length >= size:
                self.free[index : index + 1] = [(start + size, length - size)] if length > size else []
                return start
        raise DeviceError(
            f"simulated memory exhausted: {nbytes} bytes asked for, largest free block "
            f"{max((length for _, length in self.free), default=0)} of {MEMORY_SIZE}; "
            "release buffers or send less at once"
        )

    def give(self, start: int, nbytes: int) -> None:
        size = max(PAGE, -(-nbytes // PAGE) * PAGE)
        merged: list[tuple[int, int]] = []
        for block in sorted([*self.free, (start, size)]):
            if merged and sum(merged[-1]) == block[0]:
                merged[-1] = (merged[-1][0], merged[-1][1] + block[1])
            else:
                merged.append(block)
        self.free = merged


class SimulatedDevice(Device):
    """What all simulated devices share.

    Buffers behave as XRT's do on the board.  They are uncached unless the driver asks for more.  Of a cached one the
    processor's view is a second copy of memory: what the host writes reaches the device by ``flush`` and what the
    device writes reaches the host by ``invalidate``, both of the whole buffer, whatever part of it they are called
    on.  New memory holds old data, other in each view.  So a driver that forgets one of them fails here.

    Attributes:
        synced: bytes flushed or invalidated so far, what the board's processor spends its time on.
    """

    arch = "armv7l"

    def __init__(self, name: str, config: Config, memory: MemoryModel, glue: bool = False) -> None:
        super().__init__(name)
        self.name = name
        self.config = config
        self.memory = memory
        self.capabilities = {"REGISTER_RW": True}
        self._maps = (mmap.mmap(-1, MEMORY_SIZE), mmap.mmap(-1, MEMORY_SIZE))
        self._cache, self.ram = (np.frombuffer(block, np.uint8) for block in self._maps)
        self._pages = _Pages(MEMORY_SIZE)
        self._spans: dict[int, slice] = {}
        self.synced = 0
        self._slcr = _slcr_after_boot()
        self._folder = tempfile.TemporaryDirectory(prefix="zeroskip-")
        self.bitstream = Path(self._folder.name) / f"zeroskip_{config.name}.bit"
        self.bitstream.touch()
        self.bitstream.with_suffix(".hwh").write_text(handoff(config, glue))

    # -- what a subclass supplies ----------------------------------------------------------------
    def read_port(self, port: int, offset: int) -> int:
        """One 32-bit register of the engine (ENGINE_PORT) or the DMA (DMA_PORT)."""
        raise NotImplementedError

    def write_port(self, port: int, offset: int, value: int) -> None:
        raise NotImplementedError

    def restart(self) -> None:
        """The state after a bitstream was loaded: registers as after reset, memory as it was."""
        raise NotImplementedError

    # -- registers -------------------------------------------------------------------------------
    def _decode(self, address: int) -> tuple[int, int]:
        for port, base, size in ((ENGINE_PORT, ENGINE_BASE, ENGINE_RANGE), (DMA_PORT, DMA_BASE, DMA_RANGE)):
            if base <= address < base + size:
                return port, address - base
        raise DeviceError(
            f"bus error: nothing at address 0x{address:08X}; engine at 0x{ENGINE_BASE:08X}, DMA at 0x{DMA_BASE:08X}"
        )

    def read_registers(self, address: int, length: int) -> bytes:
        """``length`` bytes from a register address, as the processor's bus would."""
        words = []
        for at in range(address, address + length, 4):
            if 0 <= at - SLCR_BASE < SLCR_RANGE:
                words.append(self._slcr.get(at - SLCR_BASE, 0))
            else:
                words.append(self.read_port(*self._decode(at)))
        return np.array(words, "<u4").tobytes()[:length]

    def write_registers(self, address: int, data: bytes) -> None:
        """Whole 32-bit words to a register address."""
        for index, word in enumerate(np.frombuffer(bytes(data), "<u4").tolist()):
            at = address + 4 * index
            if 0 <= at - SLCR_BASE < SLCR_RANGE:
                self._slcr[at - SLCR_BASE] = word
            else:
                self.write_port(*self._decode(at), word)

    # -- memory ----------------------------------------------------------------------------------
    def allocate(self, shape, dtype, cacheable=0, **kwargs) -> PynqBuffer:
        """A physically contiguous buffer; with ``cacheable=1`` it needs flush and invalidate.

        Raises:
            DeviceError: the simulated memory is full.
        """
        dtype = np.dtype(dtype)
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        start = self._pages.take(nbytes)
        span = self._spans[start] = slice(start, start + nbytes)
        self.ram[span], self._cache[span] = _OLD_DATA
        block = (ctypes.c_char * max(nbytes, 1)).from_buffer(self._maps[0 if cacheable else 1], start)
        # Views keep the block alive, not the buffer they were cut from.
        weakref.finalize(block, self._pages.give, start, nbytes)
        return PynqBuffer(
            shape,
            dtype,
            buffer=block,
            device=self,
            device_address=MEMORY_BASE + start,
            bo=start,
            coherent=False,  # as XRT says of every buffer
        )

    def _synced(self, bo: int, virtual_address: int) -> slice:
        """The memory of a cached buffer, nothing of an uncached one."""
        if bo not in self._spans:
            raise DeviceError("flush or invalidate of memory that this device did not allocate")
        span = self._spans[bo]
        if not 0 <= virtual_address - self._cache.ctypes.data < MEMORY_SIZE:
            return slice(0, 0)
        self.synced += span.stop - span.start
        return span

    def flush(self, bo, offset, virtual_address, nbytes) -> None:
        """Host's view to device's."""
        span = self._synced(bo, virtual_address)
        self.ram[span] = self._cache[span]

    def invalidate(self, bo, offset, virtual_address, nbytes) -> None:
        """Device's view to host's."""
        span = self._synced(bo, virtual_address)
        self._cache[span] = self.ram[span]

    # -- what pynq.Overlay asks for --------------------------------------------------------------
    def get_bitfile_metadata(self, bitfile_name: str, partial: bool = False) -> RuntimeMetadataParser:
        """Metadata from the .hwh beside the bitstream."""
        with quiet():
            return RuntimeMetadataParser(Metadata(input=str(Path(bitfile_name).with_suffix(".hwh"))))

    def download(self, bitstream, parser=None) -> None:
        """There is nothing to load: the design is the one this device was made for."""
        self.post_download(bitstream, parser, self.name)

    def shutdown(self) -> None:
        """No AXI connections to shut down."""

    def gen_cache(self, bitstream, parser=None) -> None:
        """The metadata is cheap; it is not cached."""

    def close(self) -> None:
        """Gives the device's files back; memory goes when the last buffer does."""
        self._folder.cleanup()
