"""The DMA by its registers alone: states are told apart, and no wait is without end."""

from types import SimpleNamespace

import pytest

from zeroskip.errors import DeviceTimeout
from zeroskip.runtime.axi_dma import AxiDma

MM2S_DMACR, MM2S_DMASR, S2MM_DMACR, S2MM_DMASR, S2MM_LENGTH = 0x00, 0x04, 0x30, 0x34, 0x58


def dma(registers: dict[int, int]) -> AxiDma:
    """A DMA whose registers stay as they are; the others read as zero."""
    mmio = SimpleNamespace(read=lambda offset: registers.get(offset, 0), write=lambda offset, value: None)
    channel = SimpleNamespace(start=lambda: None)
    return AxiDma(SimpleNamespace(mmio=mmio, sendchannel=channel, recvchannel=channel))


@pytest.mark.parametrize(
    ("mm2s", "s2mm", "state"),
    [
        (0, 0, "busy"),
        (2, 0, "sent"),
        (0, 2, "busy"),
        (2, 2, "idle"),
        (0x1002, 0x1002, "idle"),  # and completed
        (0x11, 0, "failed"),
        (2, 0x21, "failed"),
        (0x41, 2, "failed"),
    ],
)
def test_poll(mm2s, s2mm, state):
    assert dma({MM2S_DMASR: mm2s, S2MM_DMASR: s2mm}).poll() == state


@pytest.mark.parametrize("channel", [MM2S_DMACR, S2MM_DMACR])
def test_a_reset_that_does_not_end(channel):
    with pytest.raises(DeviceTimeout, match=r"did not leave its reset within 0\.01 s; DMA MM2S busy .*; DMA S2MM busy"):
        dma({channel: 4}).reset(0.01)


@pytest.mark.parametrize(("channel", "name"), [(MM2S_DMASR, "MM2S"), (S2MM_DMASR, "S2MM")])
def test_a_channel_that_does_not_start(channel, name):
    with pytest.raises(DeviceTimeout, match=rf"did not start within 0\.01 s; .*DMA {name} halted"):
        dma({channel: 1}).start(0.01)


def test_state_names_every_error():
    state = dma({MM2S_DMASR: 0x71, S2MM_DMASR: 2, S2MM_LENGTH: 24}).state()
    assert "DMA MM2S halted, DMAIntErr: " in state and "DMASlvErr: " in state and "DMADecErr: " in state
    assert "DMA S2MM idle (DMASR 0x00000002, 24 bytes received)" in state
