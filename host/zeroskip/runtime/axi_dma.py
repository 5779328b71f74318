"""The AXI DMA between memory and engine: what pynq's driver of it leaves out, by its registers (PG021, direct mode)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..errors import DeviceTimeout

_MM2S, _S2MM = 0x00, 0x30
_DMACR, _DMASR, _LENGTH = 0x00, 0x04, 0x28
_RUN, _RESET = 1 << 0, 1 << 2
_HALTED, _IDLE = 1 << 0, 1 << 1
_ERRORS = {
    4: "DMAIntErr: wrong length or alignment, or more data than the transfer asked for",
    5: "DMASlvErr: memory answered with an error",
    6: "DMADecErr: no memory at the address",
}
_ERROR_BITS = sum(1 << bit for bit in _ERRORS)


class AxiDma:
    """Both channels of a DMA: one sends a packet stream, the other receives its sums.

    Args:
        dma: pynq's driver of it, ``pynq.lib.dma.DMA``.
    """

    def __init__(self, dma: Any) -> None:
        self._dma, self._mmio = dma, dma.mmio

    @property
    def max_bytes(self) -> int:
        """Most that one transfer can move in either direction."""
        return self._dma.buffer_max_size

    def transfer(self, source: Any, target: Any) -> None:
        """Begin to send one pynq buffer and to receive another."""
        self._dma.recvchannel.transfer(target)
        self._dma.sendchannel.transfer(source)

    def poll(self) -> str:
        """State of both channels: "failed" if one has stopped with an error, "idle" if both are done, "sent" if the
        stream has been sent and its sums are awaited, else "busy"."""
        receive, send = (self._mmio.read(channel + _DMASR) for channel in (_S2MM, _MM2S))
        if (receive | send) & _ERROR_BITS:
            return "failed"
        return "busy" if not send & _IDLE else "idle" if receive & _IDLE else "sent"

    @property
    def received(self) -> int:
        """Bytes that the last transfer received."""
        return self._mmio.read(_S2MM + _LENGTH)

    def reset(self, timeout: float) -> None:
        """Abort both channels and leave them halted.

        Raises:
            DeviceTimeout: still in reset after ``timeout`` seconds.
        """
        self._mmio.write(_MM2S + _DMACR, _RESET)  # one channel's reset is the other's, too
        control = (_MM2S + _DMACR, _S2MM + _DMACR)
        self._until(lambda: not any(self._mmio.read(at) & _RESET for at in control), timeout, "leave its reset")

    def start(self, timeout: float) -> None:
        """Make both channels ready for transfers.

        Raises:
            DeviceTimeout: still halted after ``timeout`` seconds.
        """
        for channel, base in ((self._dma.sendchannel, _MM2S), (self._dma.recvchannel, _S2MM)):
            self._mmio.write(base + _DMACR, _RUN)
            self._until(lambda base=base: not self._mmio.read(base + _DMASR) & _HALTED, timeout, "start")
            channel.start()

    def _until(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                raise DeviceTimeout(f"the DMA did not {what} within {timeout:g} s; {self.state()}")
            time.sleep(0.0001)

    def state(self) -> str:
        """Both channels as one line for an error message."""
        parts = []
        for name, channel, moved in (("MM2S", _MM2S, "asked for"), ("S2MM", _S2MM, "received")):
            status = self._mmio.read(channel + _DMASR)
            words = ["halted" if status & _HALTED else "idle" if status & _IDLE else "busy"]
            words += [text for bit, text in _ERRORS.items() if status >> bit & 1]
            length = self._mmio.read(channel + _LENGTH)
            parts.append(f"DMA {name} {', '.join(words)} (DMASR 0x{status:08X}, {length} bytes {moved})")
        return "; ".join(parts)
