"""The vendor-free board design, simulated with a behavioural processing system, by the same host code as ever."""

from __future__ import annotations

import re

import numpy as np
import pytest

import zeroskip as zs
from benches import run_bench
from random_stream import random_stream
from zeroskip.devices import MemoryModel, open_device
from zeroskip.errors import DeviceError, InputError
from zeroskip.examples import digits
from zeroskip.hardware import netlist
from zeroskip.hardware.config import BUILTIN
from zeroskip.hardware.verilog import rtl_folder
from zeroskip.models.cycles import simulate
from zeroskip.models.reference import conv2d

TINY = BUILTIN["tiny"]
MEMORIES = {"default": MemoryModel(), "stalls": MemoryModel(stall=120, seed=7), "slow": MemoryModel(300, 77, 150)}


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("name", ["tiny", "gather_tiny"])
def test_random_streams_through_gp0_and_hp0(name, memory):
    """Sums and counters as of the engine and DMA alone: the bridges cost the engine no cycle."""
    config = BUILTIN[name]
    with open_device("sim", config, memory=MEMORIES[memory], top="board") as device:
        for seed in range(8):
            words, beats = random_stream(config, seed)
            sums, counters = device.execute(words, beats)
            expected, modelled = simulate(config, words, MEMORIES[memory])
            np.testing.assert_array_equal(sums, expected, err_msg=f"seed {seed}")
            assert counters == modelled, f"seed {seed}"


def test_convolution_is_exact():
    rng = np.random.default_rng(5)
    x = rng.integers(-255, 256, (2, 12, 9, 9)).astype(np.int16)
    w = rng.integers(-127, 128, (10, 12, 3, 3)).astype(np.int8)
    with open_device("sim", TINY, top="board") as device:
        sums, counters = zs.conv2d(device, x, w, stride=(1, 1), padding=(1, 1, 1, 1))
    np.testing.assert_array_equal(sums, conv2d(x, w, (1, 1), (1, 1, 1, 1)))
    assert counters.cycles > 0


def test_a_compiled_network_runs_on_the_board_design(tmp_path):
    """A .zsk, as on the board: every transfer through GP0 and HP0; outputs exact, counters those of the cycle model."""
    data = digits.load()
    zs.compile(digits.MODEL_PATH, TINY, data.calibration).save(tmp_path / "digits.zsk")
    model, images = zs.load(tmp_path / "digits.zsk"), data.test[:3]
    with open_device("sim", TINY, top="board") as board, open_device("model", TINY) as fast:
        found, modelled = model.run(board, images), model.run(fast, images)
    np.testing.assert_array_equal(found.outputs, model.reference(images))
    assert len(found.layers) == 7 and found.cycles > 100_000
    for layer, expected in zip(found.layers, modelled.layers, strict=True):
        assert layer.counters == expected.counters, layer.name


def test_wrong_configuration_and_memory_errors_are_seen_through_the_bridges():
    with open_device("sim", TINY, top="board") as device:
        words, beats = random_stream(TINY, 1)
        channel = device.overlay.axi_dma_0
        channel.mmio.write(0x18, 0xF000_0000)  # no memory there
        channel.mmio.write(0x28, 64)
        for _ in range(100):
            status = channel.mmio.read(0x04)
        assert status & 0x40, f"DMASR 0x{status:08X}: no decode error from HP0"
        device.reset()
        sums, _ = device.execute(words, beats)
        np.testing.assert_array_equal(sums, simulate(TINY, words, MemoryModel())[0])
        with pytest.raises(DeviceError, match="bus error: nothing at address"):
            device.overlay.device.read_registers(0x4300_0000, 4)


def test_interrupts_of_both_channels():
    """Each channel raises its own line of the processor, and lowers it when the driver says so."""
    with open_device("sim", TINY, top="board") as device:
        words, beats = random_stream(TINY, 1)
        mmio = device.overlay.axi_dma_0.mmio
        for line, channel in ((1, 0x00), (2, 0x30)):
            mmio.write(channel + 4, 0x1000)  # of a run before
            mmio.write(channel, 0x1001)
            assert device._device.introut == 0
            device.execute(words, beats)
            assert device._device.introut == line
            mmio.write(channel + 4, 0x1000)
            assert device._device.introut == 0
            mmio.write(channel, 1)
        device.execute(words, beats)
        assert device._device.introut == 0


def test_options():
    with pytest.raises(InputError, match="top 'roof'; accepted: core, board"):
        open_device("sim", top="roof")
    with pytest.raises(InputError, match="has no option top"):
        open_device("model", top="board")
    with pytest.raises(InputError, match="stream_stall = 0"):
        open_device("sim", top="board", memory=MemoryModel(stream_stall=3))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bridge_to_the_registers(tmp_path, seed):
    """Bursts, IDs, strobes, answers and addresses, against two register blocks."""
    said = run_bench(tmp_path, "axi3_axil_bridge_tb", "board/axi3_axil_bridge.v", "common/axil_slave.v", SEED=seed)
    found = re.search(r"(\d+) accesses, 0 errors", said)
    assert found and int(found[1]) > 5000, said


def test_the_simulated_processing_system_is_the_primitive():
    """Every port that is connected exists on the real one, with the same direction and width."""
    text = (rtl_folder() / "sim/PS7.v").read_text()
    ours = {
        name: (direction, int(high or 0) + 1)
        for direction, high, name in re.findall(r"^ +(input|output) +wire +(?:\[(\d+):0\] +)?(\w+)", text, re.MULTILINE)
    }
    real = netlist.primitive_ports("PS7")
    assert len(ours) > 60
    assert ours == {name: real.get(name) for name in ours}
