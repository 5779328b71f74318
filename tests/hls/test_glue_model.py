"""The cycle model with the kernels against the co-simulation: the same results and, with stalls, every counter."""

from __future__ import annotations

import numpy as np
import pytest

from kernels import Finish, group
from random_stream import random_stream
from test_cosim import CONFIGS, LAYERS, MEMORIES, layer
from zeroskip.compiler.conv import compile_conv
from zeroskip.devices import open_device, sim_tools
from zeroskip.errors import InputError, ToolError
from zeroskip.hardware.config import Config
from zeroskip.hardware.packets import ACT_HEADER, KIND_ACT, KIND_ACTZ, RUN_HEADER_0, decode
from zeroskip.models import packet_table
from zeroskip.models.cycles import simulate
from zeroskip.runtime import conv, hostops
from zeroskip.runtime.hostops import Quant

QUANTS = (Quant(1.0, 3), Quant(1.0, -7, "int8"), Quant(1.0, 0, "int16"))


def compressed(packet: np.ndarray) -> list[int]:
    """An ACT packet as ACTZ."""
    header = decode(ACT_HEADER, int(packet[0]))
    values = packet[1:].view("<i2" if header["format"] else "u1")
    words = [int(packet[0]) & ~15 | KIND_ACTZ]
    for at in range(0, len(values), 64):
        words += group(values[at : at + 64], 0 if header["format"] else header["zero_point"])
    return words


def glue_stream(config: Config, seed: int) -> tuple[np.ndarray, int]:
    """A random transfer: activations compressed or not, runs with and without a FINISH packet; its results, at most."""
    rng = np.random.default_rng(seed)
    plain, sums = random_stream(config, seed)
    table, _, _ = packet_table.parse(config, plain)
    words: list[int] = []
    for packet in np.split(plain, table[1:, packet_table.AT]):
        header = decode(RUN_HEADER_0, int(packet[0]))
        if header["kind"] == KIND_ACT:
            words += compressed(packet) if rng.random() < 0.5 else packet.tolist()
            continue
        if rng.random() < 0.7:
            apart = config.engine == "gather" and header["apart"] == 1
            quant, compress = QUANTS[rng.integers(3)], rng.random() < 0.5
            shift = rng.integers(31, 50, config.lanes if apart else config.filters)
            words += Finish(rng, config, quant, compress, apart, shift=shift).packet()
        words += packet.tolist()
    return np.array(words, np.uint64), 2 * sums


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("variant", CONFIGS)
def test_random_streams(variant, memory):
    config, timing = CONFIGS[variant], MEMORIES[memory]
    with open_device("sim", config, memory=timing, glue=True) as device:
        for seed in range(8):
            words, most = glue_stream(config, seed)
            results, counters = device.execute(words, most, most=True)
            expected, modelled = simulate(config, words, timing, glue=True)
            np.testing.assert_array_equal(results, expected, err_msg=f"seed {seed}")
            assert counters == modelled, f"seed {seed}"
            assert counters.cycles == counters.busy + counters.stall_input + counters.stall_output > 0


@pytest.mark.parametrize("variant", ["wgs8", "gather8"])
def test_layers(variant):
    """As test_cosim has them, through the driver: its registers, buffers and transfers."""
    config = CONFIGS[variant]
    with open_device("sim", config, glue=True) as simulated, open_device("model", config, glue=True) as modelled:
        for name in LAYERS:
            plan, x, quant, finish, expected = layer(name, config)
            for compress in (False, True):
                simulated.compress = modelled.compress = compress
                found, counters = conv.run_layer(modelled, plan, x, quant, finish)
                np.testing.assert_array_equal(found, expected)
                assert counters == conv.run_layer(simulated, plan, x, quant, finish)[1], f"{name}, {compress}"


def test_more_sums_of_a_beat_end_the_wait_for_them():
    """A layer that computes for fewer cycles than its sums take, two in each."""
    config, rng = Config("wgs8", wgs=8), np.random.default_rng(1)
    weights = rng.integers(-7, 8, (16, 8, 1, 1)).astype(np.int8)
    x = rng.integers(1, 256, (1, 8, 24, 24)).astype(np.uint8)
    finish = hostops.Finish(
        np.zeros(16, np.int32), np.full(16, 2**30, np.int32), np.full(16, 40, np.int8), Quant(1.0), 0, 255
    )
    plan = compile_conv(config, weights)
    with open_device("model", config) as plain, open_device("model", config, glue=True) as glued:
        expected, before = conv.run_layer(plain, plan, x, Quant(1.0), finish)
        found, after = conv.run_layer(glued, plan, x, Quant(1.0), finish)
    np.testing.assert_array_equal(found, expected)
    assert before.stall_output > before.busy and after.stall_output < after.busy
    assert after.beats_out * 4 == before.beats_out


@pytest.mark.parametrize("words", [[], [KIND_ACTZ], [5]])
def test_an_illegal_stream_is_refused(words):
    with pytest.raises(InputError):
        simulate(CONFIGS["tiny"], np.array(words, np.uint64), glue=True)


# -- what it needs ------------------------------------------------------------------------------------
def test_without_a_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", str(tmp_path / "g++"))
    sim_tools.find_compiler.cache_clear()
    try:
        with open_device("model", "tiny") as device:
            assert device.glue is False
        with pytest.raises(ToolError, match=r"C\+\+ compiler .* not found"):
            open_device("model", "tiny", glue=True)
    finally:
        monkeypatch.undo()
        sim_tools.find_compiler.cache_clear()


def test_without_the_headers(monkeypatch):
    monkeypatch.setattr(sim_tools.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"hls4ml.*pip install"):
        open_device("model", "tiny", glue=True)
