"""The RTL DMA through its registers, and its cycle model, on the Verilated loop-back design."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from zeroskip.devices import MemoryModel
from zeroskip.devices.memory import MEMORY_BASE, MEMORY_SIZE
from zeroskip.devices.sim import VerilatedDevice
from zeroskip.devices.simulated import DMA_PORT, ENGINE_PORT, PAGE
from zeroskip.hardware.config import get_config
from zeroskip.models import dma

LOOPBACK = [Path(__file__).parent / "loopback"]
LAST = 0xF0
DMACR, DMASR, ADDRESS, ADDRESS_MSB, LENGTH = 0x00, 0x04, 0x18, 0x1C, 0x28
MM2S, S2MM = 0x00, 0x30
HALTED, IDLE, INT_ERR, SLV_ERR, DEC_ERR, IOC_IRQ, ERR_IRQ = 1, 2, 0x10, 0x20, 0x40, 0x1000, 0x4000
CLEAR, RESET = 2, 1


class Bench:
    """The loop-back design, driven register by register."""

    def __init__(self):
        self.device = VerilatedDevice(get_config("tiny"), MemoryModel(), library_dirs=LOOPBACK)
        self.words = self.device.ram.view(np.uint64)
        self.reset()

    def read(self, offset):
        return self.device.read_port(DMA_PORT, offset)

    def read_now(self, offset):
        """As :meth:`read`, without the cycles that reading the status of a busy channel runs."""
        return self.device.read_port(DMA_PORT, offset, run=False)

    def write(self, offset, value):
        self.device.write_port(DMA_PORT, offset, value)

    def engine(self, offset, value):
        self.device.write_port(ENGINE_PORT, offset, value)

    def reset(self):
        self.write(MM2S + DMACR, 4)
        for _ in range(1000):
            if not (self.read(MM2S + DMACR) | self.read(S2MM + DMACR)) & 4:
                break
        else:
            raise AssertionError("reset does not end")
        self.engine(0x14, RESET)
        self.write(MM2S + DMACR, 1)
        self.write(S2MM + DMACR, 1)

    def start(self, source, target, beats_in, room=None, last=None):
        """Start a loop-back of words numbered from MEMORY_BASE; `room`: words S2MM has room for."""
        room = beats_in if room is None else room
        self.engine(0x14, CLEAR)
        self.engine(LAST, beats_in if last is None else last)
        self.write(S2MM + ADDRESS, MEMORY_BASE + 8 * target)
        self.write(S2MM + LENGTH, 8 * room)
        self.write(MM2S + ADDRESS, MEMORY_BASE + 8 * source)
        self.write(MM2S + LENGTH, 8 * beats_in)

    def wait(self, channel, polls=1000):
        for _ in range(polls):
            status = self.read(channel + DMASR)
            if status & (IDLE | HALTED):
                return status
        raise AssertionError(f"channel still busy: DMASR 0x{status:08X}")


@pytest.fixture(scope="module")
def bench():
    bench = Bench()
    yield bench
    bench.device.close()


@pytest.fixture(autouse=True)
def fresh(bench):
    bench.device.configure(MemoryModel())
    bench.reset()


@njit(cache=True)
def model(send, receive, gate_in, gate_out, beats, limit, cycles_in, cycles_out):
    """The loop-back design in the cycle model: DMA, gate, FIFO of 16 words, gate, DMA."""
    level = taken_count = given_count = 0
    for cycle in range(limit):
        valid, open_in, ready = dma.mm2s_valid(send), dma.throttle_open(gate_in), level < 16
        out_valid, open_out, out_ready = level > 0, dma.throttle_open(gate_out), dma.s2mm_ready(receive)
        taken, given = valid and open_in and ready, out_valid and open_out and out_ready
        if taken:
            cycles_in[taken_count] = cycle
            taken_count += 1
        if given:
            cycles_out[given_count] = cycle
            given_count += 1
        dma.mm2s_clock(send, taken)
        dma.throttle_clock(gate_in, valid, ready)
        dma.s2mm_clock(receive, given, given_count == beats)
        dma.throttle_clock(gate_out, out_valid, out_ready)
        level += taken - given
        if dma.s2mm_idle(receive):
            return cycle
    return -1


def expected_cycles(memory, source, target, beats):
    seeds = memory.seeds()
    cycles = np.zeros(beats, np.int64), np.zeros(beats, np.int64)
    end = model(
        dma.mm2s_init(8 * source, beats, memory.read_latency, memory.rate, memory.stall, seeds[0]),
        dma.s2mm_init(8 * target, beats, memory.write_latency, memory.rate, memory.stall, seeds[1]),
        dma.throttle_init(memory.stream_stall, seeds[2]),
        dma.throttle_init(memory.stream_stall, seeds[3]),
        beats,
        10_000_000,
        *cycles,
    )
    assert end > 0, "the model does not come to an end"
    return cycles


def check(bench, memory, source, target, beats, seed=0):
    """One loop-back: data, registers, and the cycle of every word in both streams."""
    words = np.random.default_rng(seed).integers(0, 2**64, beats, dtype=np.uint64)
    bench.device.configure(memory)
    bench.device.log(beats, beats)
    bench.words[source : source + beats] = words
    guard = bench.words[target - 1], bench.words[target + beats]
    bench.start(source, target, beats)
    assert bench.wait(S2MM) == IDLE | IOC_IRQ
    assert bench.wait(MM2S) == IDLE | IOC_IRQ
    bench.write(MM2S + DMASR, IOC_IRQ)
    bench.write(S2MM + DMASR, IOC_IRQ)
    assert bench.read(S2MM + LENGTH) == 8 * beats
    assert np.array_equal(bench.words[target : target + beats], words)
    assert (bench.words[target - 1], bench.words[target + beats]) == guard
    wanted = expected_cycles(memory, source, target, beats)
    for name, found, expected in zip(("in", "out"), bench.device.logged(), wanted, strict=True):
        assert np.array_equal(found, expected), f"first differing word {name}: {np.flatnonzero(found != expected)[:1]}"


@pytest.mark.parametrize("beats", [1, 2, 15, 16, 17, 127, 128, 129, 1000])
@pytest.mark.parametrize("source, target", [(0, 4096), (1, 4097), (15, 4096 + 15), (505, 5000), (511, 6001)])
def test_lengths_and_alignments(bench, beats, source, target):
    check(bench, MemoryModel(), source + 64, target + 4096, beats, seed=beats)


@pytest.mark.parametrize("latency, rate", list(itertools.product([1, 40, 200], [1024, 960, 300])))
@pytest.mark.parametrize("stall, stream_stall", [(0, 0), (60, 0), (0, 120), (200, 200)])
def test_timing_equals_model(bench, latency, rate, stall, stream_stall):
    memory = MemoryModel(latency, 2 * latency - 1, rate, stall, stream_stall, seed=7 * latency + rate)
    check(bench, memory, 203, 9001, 2000, seed=rate)


def test_random_runs_equal_model(bench):
    rng = np.random.default_rng(1)
    for number in range(150):
        memory = MemoryModel(
            int(rng.integers(1, 120)),
            int(rng.integers(1, 400)),
            int(rng.choice([1024, 960, 512, 100])),
            int(rng.choice([0, 30, 128, 240])),
            int(rng.choice([0, 30, 128, 240])),
            int(rng.integers(1, 2**31)),
        )
        source, target = int(rng.integers(1, 4000)), int(rng.integers(8192, 12000))
        check(bench, memory, source, target, int(rng.integers(1, 600)), seed=number)


def test_one_word_per_cycle(bench):
    beats = 20_000
    check(bench, MemoryModel(read_latency=40, rate=1024), 64, 65536, beats)
    inward, outward = bench.device.logged()
    assert inward[-1] - inward[0] == beats - 1
    assert outward[-1] - outward[0] == beats - 1


def test_registers_after_reset(bench):
    bench.start(64, 8192, 10)
    bench.wait(S2MM)
    bench.write(MM2S + DMACR, 4)
    bench.device.step(10)
    for channel in (MM2S, S2MM):
        assert bench.read(channel + DMACR) == 0x0001_0002
        assert bench.read(channel + DMASR) == HALTED
        assert bench.read(channel + ADDRESS) == 0
        assert bench.read(channel + LENGTH) == 0
        bench.write(channel + DMACR, 1)
        assert bench.read(channel + DMACR) == 0x0001_0003
        assert bench.read(channel + DMASR) == 0, "running, and not idle before the first transfer"
        bench.write(channel + ADDRESS, 0x1234_5678)
        bench.write(channel + ADDRESS_MSB, 0xFFFF_FFFF)
        assert bench.read(channel + ADDRESS) == 0x1234_5678
        assert bench.read(channel + ADDRESS_MSB) == 0


def test_interrupt(bench):
    bench.write(S2MM + DMACR, 1 | IOC_IRQ)
    assert not bench.device.introut
    bench.start(64, 8192, 100)
    bench.wait(S2MM)
    assert bench.device.introut == 2
    bench.write(S2MM + DMASR, IOC_IRQ)
    assert not bench.device.introut
    assert bench.read(S2MM + DMASR) == IDLE


def test_length_before_run_is_ignored(bench):
    bench.write(MM2S + DMACR, 0)
    bench.write(MM2S + LENGTH, 64)
    bench.device.step(200)
    assert bench.read(MM2S + DMASR) == HALTED


@pytest.mark.parametrize("channel", [MM2S, S2MM])
@pytest.mark.parametrize("address, length", [(MEMORY_BASE, 0), (MEMORY_BASE + 4, 64), (MEMORY_BASE, 12)])
def test_illegal_transfer_is_internal_error(bench, channel, address, length):
    bench.write(channel + ADDRESS, address)
    bench.write(channel + LENGTH, length)
    assert bench.read(channel + DMASR) == HALTED | INT_ERR | ERR_IRQ
    bench.write(channel + DMACR, 1)
    assert bench.read(channel + DMASR) & HALTED, "only a reset leads out of an error"
    bench.reset()
    check(bench, MemoryModel(), 64, 8192, 50)


@pytest.mark.parametrize(
    "first, error",
    [
        (-32, DEC_ERR),
        (MEMORY_SIZE // 8, SLV_ERR),
        (MEMORY_SIZE // 8 - 100, SLV_ERR),
        ((MEMORY_SIZE + PAGE) // 8, DEC_ERR),
    ],
)
@pytest.mark.parametrize("channel", [MM2S, S2MM])
@pytest.mark.parametrize("stall", [0, 100])
def test_unmapped_memory(bench, first, error, channel, stall):
    bench.device.configure(MemoryModel(stall=stall, stream_stall=stall))
    source, target = (first, 8192) if channel == MM2S else (64, first)
    bench.start(source, target, 300)
    assert bench.wait(channel) == HALTED | error | ERR_IRQ
    bench.reset()
    check(bench, MemoryModel(stall=stall), 64, 8192, 300)


def test_short_packet(bench):
    bench.start(64, 8192, 100, room=200, last=100)
    assert bench.wait(S2MM) == IDLE | IOC_IRQ
    assert bench.read(S2MM + LENGTH) == 800


@pytest.mark.parametrize("room", [1, 16, 99])
def test_overlong_packet(bench, room):
    bench.words[8192:8400] = 0xA5
    bench.words[64:164] = np.arange(1, 101)
    bench.start(64, 8192, 100, room=room)
    assert bench.wait(S2MM) == HALTED | INT_ERR | ERR_IRQ
    assert bench.read(S2MM + LENGTH) == 8 * room
    assert np.array_equal(bench.words[8192 : 8192 + room], np.arange(1, room + 1))
    assert np.all(bench.words[8192 + room : 8400] == 0xA5)
    bench.reset()
    check(bench, MemoryModel(), 64, 8192, 50)


@pytest.mark.parametrize("cycles", [0, 3, 41, 50, 77, 120, 300])
@pytest.mark.parametrize("how", ["reset", "stop"])
def test_stopped_in_flight(bench, cycles, how):
    """Whatever is in flight is finished by the rules of the bus, and the next transfer is right."""
    bench.device.configure(MemoryModel(stall=100, stream_stall=100, seed=cycles + 1))
    bench.start(60, 8192, 500)
    bench.device.step(cycles)
    if how == "stop":
        for channel in (MM2S, S2MM):
            bench.write(channel + DMACR, 0)
            assert bench.wait(channel) == HALTED
    bench.reset()
    check(bench, MemoryModel(stall=100), 61, 8193, 200)


@pytest.mark.parametrize("cycles", [0, 20, 60, 61, 62, 63, 64, 65, 66, 67, 100])
def test_reset_while_only_s2mm_is_busy(bench, cycles):
    """All words have been read, and S2MM still owes memory data or waits for its answers."""
    bench.device.configure(MemoryModel(read_latency=1, write_latency=90, rate=1024, stall=150, seed=cycles + 1))
    bench.start(64, 8192, 40)
    while not bench.read(MM2S + DMASR) & IDLE:
        pass
    bench.device.step(cycles)
    assert not bench.read_now(S2MM + DMASR) & IDLE, "S2MM must be busy for this test"
    bench.reset()
    check(bench, MemoryModel(stall=100), 61, 8193, 200)


@pytest.mark.parametrize("stall", [0, 100, 200])
@pytest.mark.parametrize("beats", [1, 15, 16, 17, 500])
def test_memory_that_takes_data_before_its_address(bench, beats, stall):
    words = np.random.default_rng(beats).integers(0, 2**64, beats, dtype=np.uint64)
    bench.device.configure(MemoryModel(stall=stall, stream_stall=stall, seed=beats))
    bench.device.data_before_address(True)
    bench.words[64 : 64 + beats], bench.words[9000 : 9001 + beats] = words, 0
    bench.start(64, 9000, beats)
    assert bench.wait(S2MM) == IDLE | IOC_IRQ
    assert np.array_equal(bench.words[9000 : 9000 + beats], words) and not bench.words[9000 + beats]
    bench.start(64, 9000, 500)  # and a reset on the way
    bench.device.step(beats)
    bench.reset()
    bench.device.data_before_address(False)
    check(bench, MemoryModel(stall=stall), 61, 8193, 200)


def test_missing_tlast_keeps_channel_busy(bench):
    bench.start(64, 8192, 100, room=200, last=0)
    assert bench.wait(MM2S) == IDLE | IOC_IRQ
    bench.device.step(1000)
    assert bench.read(S2MM + DMASR) == 0
    assert bench.read(S2MM + LENGTH) == 800
