"""The driver on the Verilated DMA with the loop-back core: what it moves, what it refuses, how it recovers."""

import contextlib
import dataclasses
import re
from concurrent import futures
from pathlib import Path

import numpy as np
import pytest

from zeroskip.devices import MemoryModel, open_device
from zeroskip.devices.sim import VerilatedDevice
from zeroskip.errors import ConfigError, DeviceError, DeviceTimeout, InputError
from zeroskip.hardware.config import Config, get_config
from zeroskip.hardware.registers import COUNTER_NAMES
from zeroskip.runtime import buffers, driver
from zeroskip.runtime.counters import Counters
from zeroskip.runtime.driver import Accelerator

LOOPBACK = [Path(__file__).parents[1] / "rtl" / "loopback"]
FREEZE, LAST, HASH, SPARE, ERROR = 0xEC, 0xF0, 0xF4, 0xF8, 0xFC


@pytest.fixture(scope="module")
def shared():
    with open_device("sim", "tiny", library_dirs=LOOPBACK, timeout=0.2) as accelerator:
        yield accelerator


@pytest.fixture
def accelerator(shared):
    yield shared
    shared._device.configure(MemoryModel())
    shared._buffers.clear()
    shared.timeout = 0.2
    poke(shared, FREEZE, 0)


def poke(accelerator, register, value):
    accelerator._engine.mmio.write(register, value)


def data(beats, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, beats, dtype=np.uint64)


def loop(accelerator, beats, last=None, out_beats=None, seed=0):
    poke(accelerator, LAST, beats if last is None else last)
    return accelerator.execute(data(beats, seed), beats if out_beats is None else out_beats)


def assert_works(accelerator, beats=100):
    sums, counters = loop(accelerator, beats, seed=beats)
    np.testing.assert_array_equal(sums, data(beats, beats))
    assert (counters.beats_in, counters.beats_out) == (beats, beats)


@pytest.mark.parametrize("beats", [1, 2, 600, 5000, 599, 1])
def test_data_comes_back(accelerator, beats):
    sums, counters = loop(accelerator, beats, seed=beats)
    assert type(sums) is np.ndarray and sums.dtype == np.uint64
    np.testing.assert_array_equal(sums, data(beats, beats))
    assert counters.beats_in == counters.beats_out == beats
    assert counters.cycles > beats


def test_the_streams_buffer_is_kept_and_grown(accelerator):
    loop(accelerator, 100)
    small = accelerator._buffers.source.device_address
    loop(accelerator, 300)
    assert accelerator._buffers.source.device_address == small
    loop(accelerator, 100_000)
    assert accelerator._buffers.source.size >= 100_000
    assert_works(accelerator)


def test_only_what_moved_is_synced(accelerator):
    """Streams are never flushed, and of results little more is invalidated than came; buffers of a size are kept."""
    device = accelerator._device
    for beats in (10, 700, 5000, 30_000, 700, 10):
        loop(accelerator, beats)  # its buffer is flushed when it is made
        before, addresses = device.synced, {size: b.device_address for size, b in accelerator._buffers.results.items()}
        loop(accelerator, beats)
        assert 8 * beats <= device.synced - before <= max(10 * beats, 4096)
        assert addresses == {size: b.device_address for size, b in accelerator._buffers.results.items()}


def test_kept_results_are_bounded(accelerator, monkeypatch):
    monkeypatch.setattr(buffers, "KEPT_BYTES", 200_000)
    for beats in (600, 5000, 10_000, 20_000, 700):
        loop(accelerator, beats)
    assert list(accelerator._buffers.results) == [20_480, 768]


@pytest.mark.parametrize("beats", [1, 511, 512, 513, 640, 641, 1025, 5000, 8_388_607])
def test_size_classes(beats):
    size = buffers.size_class(beats)
    assert beats <= size <= max(512, 1.25 * beats) and buffers.size_class(size) == size


def test_a_stale_byte_is_seen(accelerator, monkeypatch):
    """Without its syncs the driver gets old data, as on the board."""
    with monkeypatch.context() as patch:
        patch.setattr(accelerator._device, "invalidate", lambda *arguments: None)
        sums, _ = loop(accelerator, 100)
        assert (sums == 0xC3C3_C3C3_C3C3_C3C3).all()
    stream = buffers.Buffers.stream
    with monkeypatch.context() as patch:  # a cached stream that is not flushed
        patch.setattr(buffers.Buffers, "stream", lambda self, beats: self._allocate(beats, cacheable=True))
        patch.setattr(accelerator._device, "flush", lambda *arguments: None)
        sums, _ = loop(accelerator, 100)
        assert (sums == 0x5A5A_5A5A_5A5A_5A5A).all()
    assert buffers.Buffers.stream is stream
    assert_works(accelerator)


def test_threads_queue(accelerator):
    def work(seed):
        for beats in (3, 700, 40):
            sums, counters = loop_at(accelerator, beats, seed)
            np.testing.assert_array_equal(sums, data(beats, seed))
            assert counters.beats_in == beats

    def loop_at(accelerator, beats, seed):
        with accelerator._lock:  # the loop-back core is told beforehand how much will come
            return loop(accelerator, beats, seed=seed)

    with futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, seed) for seed in range(8)]:
            done.result(60)


def test_close_stops_the_dma_before_its_buffers_go(monkeypatch):
    accelerator = open_device("sim", "tiny", library_dirs=LOOPBACK, timeout=0.2)
    assert_works(accelerator)
    poke(accelerator, LAST, 0)
    accelerator._dma.transfer(accelerator._buffers.stream(500), accelerator._buffers.result(500))
    seen = []
    clear = accelerator._buffers.clear
    monkeypatch.setattr(accelerator._buffers, "clear", lambda: (seen.append(accelerator._dma.state()), clear()))
    accelerator.close()
    assert len(seen) == 1 and seen[0].count("halted") == 2


def test_buffers_of_a_dma_that_does_not_stop_are_kept(monkeypatch):
    accelerator = open_device("sim", "tiny", library_dirs=LOOPBACK, timeout=0.2)
    assert_works(accelerator)

    def stuck(timeout):
        raise DeviceTimeout("stuck")

    monkeypatch.setattr(accelerator._dma, "reset", stuck)
    accelerator.close()
    assert driver._STUCK.pop().source is not None


def test_stalls_everywhere(accelerator):
    accelerator._device.configure(MemoryModel(7, 3, 500, stall=150, stream_stall=150, seed=5))
    assert_works(accelerator, 3000)


@pytest.mark.parametrize(
    "words, beats, said",
    [
        (np.zeros(4, np.int64), 4, "int64"),
        (np.zeros((2, 2), np.uint64), 4, r"\(2, 2\)"),
        (np.zeros(0, np.uint64), 4, "n at least 1"),
        (np.zeros(4, np.uint64), 0, "result of 0"),
        (np.zeros(4, np.uint64), 1 << 23, "1 to 8388607"),
        (np.zeros(1 << 23, np.uint64), 4, "split"),
    ],
)
def test_bad_arguments(accelerator, words, beats, said):
    with pytest.raises(InputError, match=said):
        accelerator.execute(words, beats)
    assert_works(accelerator)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"mux": 16}, ["mux = 8 in hardware, 16 expected"]),
        ({"wgs": 5, "columns": 1024}, ["wgs = 2 in hardware, 5 expected", "columns = 512 in hardware, 1024 expected"]),
        ({"act_w": 16, "lanes": 4}, ["act_w = 9 in hardware, 16 expected", "lanes = 8 in hardware, 4 expected"]),
        ({"filters": 2, "scan": 2}, ["filters = 1 in hardware, 2 expected", "scan = 4 in hardware, 2 expected"]),
        ({"steps": 512}, ["steps = 256 in hardware, 512 expected"]),
    ],
)
def test_other_hardware_is_refused_by_field(changes, said):
    device = VerilatedDevice(get_config("tiny"), MemoryModel(), library_dirs=LOOPBACK)
    with contextlib.closing(device), pytest.raises(ConfigError) as error:
        Accelerator("sim", Config("other", **changes), str(device.bitstream), device)
    for text in said:
        assert text in str(error.value)
    assert str(error.value).count("in hardware") == len(said), "only the fields that differ"


def test_other_hash_is_refused(accelerator):
    poke(accelerator, HASH, 0x12345678)
    with pytest.raises(ConfigError, match=r"hash = 0x12345678 in hardware, 0x[0-9A-F]{8} expected"):
        accelerator._identify()
    poke(accelerator, HASH, accelerator.config.hash)
    accelerator._identify()


def test_no_tlast_is_an_error(accelerator):
    with pytest.raises(DeviceError, match=r"S2MM halted, DMAIntErr.*800 bytes received"):
        loop(accelerator, 100, last=0)
    assert_works(accelerator)


def test_a_missing_word_is_said_with_the_state(accelerator):
    accelerator.timeout = 1000  # it is reported at once, not after the time-out
    with pytest.raises(DeviceError) as error:
        loop(accelerator, 100, last=0, out_beats=150)
    message = str(error.value)
    assert not isinstance(error.value, DeviceTimeout)
    assert "the stream ended after packet 0, and not all of its sums came" in message
    assert "MM2S idle" in message
    assert re.search("S2MM busy .*800 bytes received", message)
    assert "engine error 0 (none)" in message and "beats in 100, out 100" in message
    assert_works(accelerator)


def test_engine_error_is_decoded(accelerator):
    poke(accelerator, ERROR, 2)
    accelerator.timeout = 1000  # it is reported at once, not after the time-out
    with pytest.raises(DeviceError, match=r"refused packet \d+, .*: work groups out of range; DMA MM2S busy") as error:
        loop(accelerator, 1000, last=0)
    assert not isinstance(error.value, DeviceTimeout)
    poke(accelerator, ERROR, 0)
    assert_works(accelerator)


def test_short_packet(accelerator):
    with pytest.raises(DeviceError, match="720 bytes of sums came, 800 were expected"):
        loop(accelerator, 100, last=90)
    assert_works(accelerator)


def test_overlong_packet(accelerator):
    with pytest.raises(DeviceError, match="S2MM halted, DMAIntErr"):
        loop(accelerator, 100, out_beats=90)
    assert_works(accelerator)


@pytest.mark.parametrize("name, channel", [("in", "MM2S"), ("out", "S2MM")])
@pytest.mark.parametrize("address, error", [(0, "DMADecErr"), (0x2000_0000, "DMASlvErr"), (0x1000_0004, None)])
def test_bad_address(accelerator, name, channel, address, error):
    loop(accelerator, 10)
    made = {"in": accelerator._buffers.source, "out": accelerator._buffers.results[512]}
    made[name].device_address = address
    # An unaligned address is refused by pynq itself.
    expected, said = (DeviceError, f"{channel} halted, {error}") if error else (RuntimeError, "aligned")
    with pytest.raises(expected, match=said):
        loop(accelerator, 100)
    accelerator._buffers.clear()
    assert_works(accelerator)


def test_full_counter(accelerator):
    poke(accelerator, SPARE, 0xFFFF_FFFF)
    with pytest.raises(DeviceError, match="counter busy overflowed"):
        loop(accelerator, 10)
    assert_works(accelerator)


def test_no_cycles(accelerator):
    poke(accelerator, FREEZE, 1)
    with pytest.raises(DeviceError, match="counted no cycles"):
        loop(accelerator, 10)


def test_slow_is_not_stuck(accelerator):
    """The limit is on time without progress, not on the time of a run."""
    accelerator._device.configure(MemoryModel(rate=2))
    accelerator.timeout = 0.02
    sums, counters = loop(accelerator, 3000)
    np.testing.assert_array_equal(sums, data(3000))
    assert counters.cycles > 1_000_000


def test_a_reset_that_fails_shows_the_engine(accelerator, monkeypatch):
    def stuck(timeout):
        raise DeviceTimeout(f"stuck for {timeout} s")

    with monkeypatch.context() as patch:
        patch.setattr(accelerator._dma, "reset", stuck)
        with pytest.raises(DeviceTimeout, match=r"stuck for 0\.2 s; engine error 0 \(none\)"):
            accelerator.reset()
    with pytest.raises(DeviceError, match=r"not reset since its last transfer broke off. Call its reset\(\)"):
        loop(accelerator, 10)
    accelerator.reset()
    assert_works(accelerator)


def test_interrupted_run_leaves_it_usable(accelerator, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(accelerator, "_counters", interrupt)
        with pytest.raises(KeyboardInterrupt):
            loop(accelerator, 100)
    assert_works(accelerator)


def test_closed():
    accelerator = open_device("sim", "tiny", library_dirs=LOOPBACK)
    with accelerator:
        assert_works(accelerator)
    accelerator.close()
    with pytest.raises(DeviceError, match="closed"):
        accelerator.execute(data(4), 4)


def test_timeout_must_be_positive():
    with pytest.raises(InputError, match="timeout"):
        open_device("sim", "tiny", library_dirs=LOOPBACK, timeout=0)


def test_counters():
    zero = Counters.zero()
    one = dataclasses.replace(zero, cycles=5, pairs=2**40)
    assert (one + one)["pairs"] == 2**41 and (one + zero) == one
    assert list(dict(one)) == list(one) == list(COUNTER_NAMES) and len(one) == len(COUNTER_NAMES)
    assert dict(one) == {**dict.fromkeys(COUNTER_NAMES, 0), "cycles": 5, "pairs": 2**40}
    assert Counters(**one) == one and dict(one.items())["cycles"] == 5 and sum(one.values()) == 5 + 2**40
    assert "pairs" in one and "pair" not in one and one.get("pair") is None
    with pytest.raises(KeyError, match="no counter 'cycle'"):
        one["cycle"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.cycles = 1
