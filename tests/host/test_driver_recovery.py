"""The driver and streams that go wrong: reported at once and by name, and never the next transfer's trouble."""

from __future__ import annotations

import time

import numpy as np
import pytest

from random_stream import random_stream
from random_zena_stream import random_stream as random_zena_stream
from zeroskip.devices import open_device
from zeroskip.errors import DeviceError, DeviceTimeout
from zeroskip.hardware import packets
from zeroskip.models.cycles import simulate

BUILDS = ["tiny", "gather_tiny", "zena_tiny"]


@pytest.fixture(scope="module", params=BUILDS)
def device(request):
    with open_device("sim", request.param, timeout=0.3) as device:
        yield device


@pytest.fixture
def transfer(device):
    """A legal stream, its beats of sums and the sums."""
    make = random_zena_stream if device.config.engine == "zena" else random_stream
    words, beats = make(device.config, 4)
    yield words, beats, simulate(device.config, words, device._device.memory)[0]
    device.reset()


def assert_right(device, transfer):
    words, beats, expected = transfer
    np.testing.assert_array_equal(device.execute(words, beats)[0], expected)


def extra_words(config):
    """Words behind the last sum: no header, the header of a packet, and a header whose packet has begun."""
    if config.engine == "zena":
        head = packets.encode(packets.ZACT_HEADER, kind=packets.KIND_ZACT, page=0, wgs=1, address=0, count=4)
    else:
        head = packets.encode(
            packets.ACT_HEADER, kind=packets.KIND_ACT, page=0, format=1, wgs=1, address=0, count=4, zero_point=0
        )
    return [[0], [15], [head], [head, 1]]


@pytest.mark.parametrize("case", range(4))
def test_words_left_over_are_an_error_of_their_own_transfer(device, transfer, case):
    words, beats, _ = transfer
    extra = np.array(extra_words(device.config)[case], np.uint64)
    with pytest.raises(DeviceError, match="unknown packet kind" if case < 2 else "words were left over"):
        device.execute(np.concatenate([words, extra]), beats)
    assert_right(device, transfer)


def test_an_illegal_header_is_not_waited_for(device, transfer, monkeypatch):
    monkeypatch.setattr(device, "timeout", 1000.0)
    started = time.monotonic()
    with pytest.raises(DeviceError, match="the engine refused packet 1, kind 15: unknown packet kind") as error:
        device.execute(np.array([15], np.uint64), 1)
    assert not isinstance(error.value, DeviceTimeout) and time.monotonic() - started < 100
    assert_right(device, transfer)


def test_a_reset_that_fails_is_said_and_stops_all_work(device, transfer, monkeypatch):
    words, beats, _ = transfer

    def stuck(timeout):
        raise DeviceTimeout("the DMA did not leave its reset")

    with monkeypatch.context() as patch:
        patch.setattr(device._dma, "reset", stuck)
        patch.setattr(device, "timeout", 1000.0)
        said = r"the stream ended within packet.*The reset after that failed, too: the DMA did not"
        with pytest.raises(DeviceError, match=said):
            device.execute(words[:-1], beats)
        for _ in range(2):
            with pytest.raises(DeviceError, match="was not reset"):
                device.execute(words, beats)
    device.reset()
    assert_right(device, transfer)


def test_ctrl_c_while_recovering(device, transfer, monkeypatch):
    words, beats, _ = transfer

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(device._dma, "poll", interrupt)
        patch.setattr(device._dma, "reset", interrupt)
        with pytest.raises(KeyboardInterrupt):
            device.execute(words, beats)
    with pytest.raises(DeviceError, match="was not reset"):
        device.execute(words, beats)
    device.reset()
    assert_right(device, transfer)
