"""The kernels around the Verilated engine: layers and networks are bit-identical with and without them."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import zeroskip as zs
from variants import VARIANTS
from zeroskip.compiler.conv import compile_conv
from zeroskip.devices import MemoryModel, hwh, open_device, simulated, simulated_device
from zeroskip.errors import ConfigError, DeviceError, InputError
from zeroskip.hardware import example, generate
from zeroskip.hardware.config import BUILTIN, Config
from zeroskip.models.reference import conv2d
from zeroskip.runtime import conv, glue, stream
from zeroskip.runtime.driver import Accelerator
from zeroskip.runtime.hostops import Finish, Quant

MEMORIES = {
    "default": MemoryModel(),
    "stalls": MemoryModel(stall=120, stream_stall=90, seed=7),
    "slow": MemoryModel(read_latency=300, write_latency=77, rate=150, stream_stall=200, seed=3),
}
CONFIGS = {  # 2, 4 and 8 sums of a beat
    **{name: VARIANTS[name] for name in ("tiny", "kang", "mux4")},
    "wgs8": Config("wgs8", wgs=8),
    "gather_tiny": BUILTIN["gather_tiny"],
    "gather8": Config("gather8", "gather", wgs=8, columns=256, scan=2),
}
LAYERS = {  # weights; stride, padding, groups; quantisation of input and output
    "3x3": ((6, 12, 3, 3), (1, 1), (1, 1, 1, 1), 1, Quant(1.0, 17), Quant(1.0, 0)),
    "strided": ((5, 10, 3, 3), (2, 2), (0, 1, 1, 0), 1, Quant(1.0, 0), Quant(1.0, 90)),
    "1x1": ((9, 20, 1, 1), (1, 1), (0, 0, 0, 0), 1, Quant(1.0, -3, "int8"), Quant(1.0, -128, "int8")),
    "depthwise": ((8, 1, 3, 3), (1, 1), (1, 1, 1, 1), 8, Quant(1.0, 4), Quant(1.0, 0, "int16")),
    "im2col": ((4, 2, 5, 5), (1, 1), (2, 2, 2, 2), 1, Quant(1.0, 33), Quant(1.0, 5)),
}


def layer(name: str, config, seed: int = 0):
    """plan, q of the input, finish, and the expected q of the output."""
    shape, stride, padding, groups, quant, out = LAYERS[name]
    rng = np.random.default_rng(seed)
    w = rng.integers(-127, 128, shape) * (rng.random(shape) < 0.4) * rng.choice([1, 0.05], shape)
    w = w.astype(np.int8)
    x = rng.integers(quant.low, quant.high + 1, (3, shape[1] * groups, 9, 7))
    x = np.where(rng.random(x.shape) < 0.55, quant.zero_point, x).astype(quant.dtype)
    filters = shape[0]
    low = out.zero_point if out.dtype == "uint8" else out.low
    finish = Finish(
        rng.integers(-5000, 5000, filters).astype(np.int32), rng.integers(2**30, 2**31, filters).astype(np.int32),
        np.full(filters, 31 + (3 if out.dtype == "int16" else 9), np.int8), out, low, out.high,
    )  # fmt: skip
    plan = compile_conv(config, w, stride=stride, padding=padding, groups=groups, name=name)
    signed = np.subtract(x, quant.zero_point, dtype=np.int16)
    expected = finish(conv2d(signed, plan.weights, stride, padding, (1, 1), groups))
    assert len(np.unique(expected)) > 10
    return plan, x, quant, finish, expected


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("variant", CONFIGS)
def test_layers_equal_the_reference(variant, memory):
    config = CONFIGS[variant]
    with (
        open_device("sim", config, memory=MEMORIES[memory]) as plain,
        open_device("sim", config, memory=MEMORIES[memory], glue=True) as glued,
    ):
        for name in LAYERS:
            plan, x, quant, finish, expected = layer(name, config)
            if config.engine == "gather":
                assert all(part.apart for part in plan.parts) is (name == "depthwise")
            assert glue.usable(glued, plan) and not glue.usable(plain, plan)
            np.testing.assert_array_equal(conv.run_layer(plain, plan, x, quant, finish)[0], expected)
            for compress in (False, True):
                glued.compress = compress
                found, _ = conv.run_layer(glued, plan, x, quant, finish)
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found, expected, err_msg=f"{name}, compress {compress}")
            signed = np.subtract(x, quant.zero_point, dtype=np.int16)
            sums, _ = conv.run_plan(glued, plan, signed)
            np.testing.assert_array_equal(sums, conv.run_plan(plain, plan, signed)[0])


def test_sums_of_several_parts_are_finished_by_the_host():
    """More channels than the columns hold: the parts' sums have to be added first."""
    config, rng = VARIANTS["small"], np.random.default_rng(4)
    w = rng.integers(-3, 4, (5, 200, 1, 1)).astype(np.int8)
    x = rng.integers(0, 256, (1, 200, 3, 3)).astype(np.uint8)
    finish = Finish(np.zeros(5, np.int32), np.full(5, 2**30, np.int32), np.full(5, 38, np.int8), Quant(1.0), 0, 255)
    plan = compile_conv(config, w)
    assert len(plan.parts) > 1
    with open_device("sim", config, glue=True) as device:
        assert not glue.usable(device, plan)
        found, _ = conv.run_layer(device, plan, x, Quant(1.0), finish)
    np.testing.assert_array_equal(found, finish(conv2d(x.astype(np.int16), w, (1, 1), (0, 0, 0, 0), (1, 1), 1)))


@pytest.mark.parametrize(("config", "name"), [("tiny", "3x3"), ("gather_tiny", "depthwise")])
def test_layer_in_several_transfers(monkeypatch, config, name):
    """Parameters and results belong to the right runs when a layer exceeds one DMA transfer."""
    plan, x, quant, finish, expected = layer(name, CONFIGS[config])
    (whole,) = conv.programs(plan, x.shape, 0, True)[0].transfers
    plan._programs.clear()
    monkeypatch.setattr(stream, "_BEATS", len(whole.words) * 3 // 4)
    with open_device("sim", CONFIGS[config], glue=True) as device:
        assert len(conv.programs(plan, x.shape, 0, True)[0].transfers) > 1
        for compress in (False, True):
            device.compress = compress
            np.testing.assert_array_equal(conv.run_layer(device, plan, x, quant, finish)[0], expected)


def network(rng) -> bytes:
    """Convolutions, max-pool, a residual, a matrix product: layers with the glue between host operators."""

    def f32(*shape, scale):
        return rng.normal(size=shape, scale=scale).astype(np.float32)

    weights = {"w1": f32(8, 3, 3, 3, scale=0.3), "w2": f32(8, 8, 3, 3, scale=0.2), "w3": f32(8 * 36, 10, scale=0.2)}
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["c", "w2"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("MatMul", ["f", "w3"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 12, 12])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    proto.ir_version = 8
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


@pytest.mark.parametrize("config", ["tiny", "kang", "gather_tiny"])
def test_network_is_bit_identical(config):
    rng = np.random.default_rng(2)
    images = rng.normal(size=(3, 3, 12, 12)).astype(np.float32)
    model = zs.compile(network(rng), config, images)
    expected = model.reference_integers(images)
    with open_device("sim", config) as plain, open_device("sim", config, glue=True) as glued:
        without = model.run(plain, images)
        np.testing.assert_array_equal(without.integers, expected)
        for compress in (False, True):
            glued.compress = compress
            result = model.run(glued, images)
            np.testing.assert_array_equal(result.integers, expected)
            assert [entry.act_zeros for entry in result.layers] == [e.act_zeros for e in without.layers]


def words(name: str) -> list[int]:
    """The hexadecimal words of a generated block of docs/streams.md."""
    block = (generate.ROOT / "docs/streams.md").read_text().split(f"<!-- generated: {name} -->")[1].split("<!--")[0]
    return [int(line.split()[0], 16) for line in block.splitlines() if re.match(r"[0-9A-F]{16} ", line)]


def test_worked_example_of_the_documentation():
    sent, expected = words("glue example in"), words("glue example out")
    assert len(sent) == 11 and len(expected) == 1
    with open_device("sim", example.TRIDENT.config, glue=True) as device:
        received, counters = device.execute(np.array(sent, np.uint64), 1)
    assert received.tolist() == expected
    assert (counters.steps, counters.pairs, counters.outliers) == (1, 1, 1)


# -- what is refused ---------------------------------------------------------------------------------
def test_hardware_without_glue_is_refused_by_name():
    device = simulated_device("sim", VARIANTS["tiny"])
    try:
        with pytest.raises(ConfigError, match=r"no act_expand and no act_finish.*glue=False"):
            Accelerator("sim", device.config, str(device.bitstream), device, glue=True)
    finally:
        device.close()


def test_hardware_with_half_the_glue_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(hwh, "GLUE", ("act_expand",))
    with pytest.raises(ConfigError, match="has no act_finish, which"):
        open_device("sim", "tiny", glue=True)


def test_glue_that_is_not_wanted_is_not_used():
    device = simulated_device("sim", VARIANTS["tiny"], glue=True)
    with Accelerator("sim", device.config, str(device.bitstream), device, glue=False) as accelerator:
        assert accelerator.glue is False
        plan, x, quant, finish, expected = layer("3x3", VARIANTS["tiny"])
        np.testing.assert_array_equal(conv.run_layer(accelerator, plan, x, quant, finish)[0], expected)


def test_a_handoff_that_lies_is_found_by_the_engine(monkeypatch):
    """The engine refuses the glue's packets and the driver says so; nothing is computed silently wrong."""
    monkeypatch.setattr(simulated, "handoff", lambda config, glue: hwh.handoff(config, True))
    plan, x, quant, finish, _ = layer("3x3", VARIANTS["tiny"])
    with open_device("sim", "tiny", timeout=0.3) as device:
        device.glue = True
        with pytest.raises(DeviceError, match="unknown packet kind"):
            conv.run_layer(device, plan, x, quant, finish)


def test_the_board_design_has_no_kernels():
    with pytest.raises(InputError, match="glue with top 'board'; accepted: top 'core', or glue=False"):
        open_device("sim", "tiny", glue=True, top="board")


@pytest.mark.parametrize(
    ("config", "why"),
    [("gather_max", "it leaves 4, act_finish takes at least 8"), ("zena8", "trident and gather only")],
)
def test_builds_without_kernels_are_refused(config, why):
    for kind in ("sim", "model", "board"):
        with pytest.raises(ConfigError, match=f"{config!r} has no glue: .*{why}.*there are tiny, z2, .*or glue=False"):
            open_device(kind, config, glue=True)


def test_recovers_after_a_broken_stream():
    """Half a packet is left in kernels and engine; the driver's reset empties both."""
    plan, x, quant, finish, expected = layer("3x3", VARIANTS["tiny"])
    with open_device("sim", "tiny", glue=True, timeout=1000.0) as device:
        device.compress = True
        sent = np.array(words("glue example in"), np.uint64)
        for length in (2, 4, 5, 8, 10):
            with pytest.raises(DeviceError, match="the stream ended"):
                device.execute(sent[:length], 1)
            found, _ = conv.run_layer(device, plan, x, quant, finish)
            np.testing.assert_array_equal(found, expected)


def test_recovers_from_sums_that_nobody_fetches():
    """The engine goes on for a while after the DMA has stopped; what it sends then must not reach the next run."""
    config = VARIANTS["tiny"]
    plan, x, quant, finish, expected = layer("3x3", config)
    image = conv.column_image(plan, x, 0, quant.zero_point)
    with open_device("sim", config, glue=True, timeout=0.5) as device:
        program = conv.programs(plan, x.shape, 0, True)[0]
        sent, _ = next(stream.transfers(plan, program, image, quant.zero_point, finish))
        for _ in range(2):
            with pytest.raises(DeviceError, match="more data than the transfer asked for"):
                device.execute(sent, 3)
            np.testing.assert_array_equal(conv.run_layer(device, plan, x, quant, finish)[0], expected)
