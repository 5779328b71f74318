"""Whole networks: the engine (as a functional model) and the golden model give the same bits."""

import contextlib
import warnings

import numpy as np
import pytest

import zeroskip
from golden_device import GoldenDevice
from onnx_models import f32, model, node, residual_network, run_onnx
from zeroskip.compiler.network import compare, reschedule
from zeroskip.errors import ConfigError, DeviceTimeout, InputError, ModelError, ToolError
from zeroskip.hardware.config import Config
from zeroskip.models import reference
from zeroskip.runtime import conv
from zeroskip.runtime import network as runtime_network
from zeroskip.runtime.hostops import Quant, fixed_point, requantise


@pytest.fixture(scope="module")
def data():
    return residual_network(np.random.default_rng(0))


@pytest.fixture(scope="module")
def images():
    return f32(np.random.default_rng(1), 9, 3, 12, 12)


@pytest.fixture(scope="module")
def compiled(data, images):
    return zeroskip.compile(data, "tiny", images)


@pytest.mark.parametrize("config", ["tiny", "z2", "kang"])
@pytest.mark.parametrize("mode", ["dense", "zero_skip", "combined"])
def test_run_equals_reference(data, images, config, mode):
    compiled = zeroskip.compile(data, config, images, mode=mode, activation_skip=mode == "combined")
    result = compiled.run(GoldenDevice(config), images)
    assert result.outputs.dtype == np.float32 and result.outputs.shape == (9, 10)
    assert (result.outputs == compiled.reference(images)).all()
    assert (result.integers == compiled.reference_integers(images)).all()
    assert len(np.unique(result.integers)) > 50


@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({}, 35),
        ({"equalise": False, "adaptive_rounding": False}, 35),
        ({"scale_rule": "max_abs", "per": "channel"}, 35),
        ({"scale_rule": "max_abs", "per": "tensor"}, 28),
        ({"scale_rule": "power_of_two", "per": "tensor"}, 25),
        ({"scale_rule": "percentile", "per": "tensor"}, 12),
        ({"scale_rule": {"stem": "max_abs", "*": "percentile"}, "per": "channel"}, 14),
    ],
)
def test_integer_network_is_near_the_float_network(data, images, options, least):
    loses = "percentile" in str(options)
    with pytest.warns(UserWarning, match="against plain 8-bit") if loses else contextlib.nullcontext():
        compiled = zeroskip.compile(data, "tiny", images, **options)
    assert loses == (compiled.info["sqnr_db"] < compiled.info.get("plain_sqnr_db", 0) - 6)
    found = compare(data, compiled, images, run_onnx(data, images).argmax(axis=1))
    assert found.sqnr_db > least
    assert found.float_accuracy == 1.0
    assert found.integer_accuracy == found.same_top1 >= 7 / 9


def test_16_bit_activations_are_finer():
    """With weights that int8 holds exactly, only activations are rounded: 8 more bits, 6 at the output."""
    rng = np.random.default_rng(6)
    weights = {name: rng.integers(-127, 128, (6, 6, 3, 3)).astype(np.float32) for name in ("w1", "w2")}
    for w in weights.values():
        w[:, 0, 0, 0] = 127
    nodes = [node("Conv", ["x", "w1"], ["c"]), node("Relu", ["c"], ["r"]), node("Conv", ["r", "w2"], ["y"])]
    data, images = model(nodes, weights, (6, 9, 9)), f32(rng, 4, 6, 9, 9)
    found = []
    for kind in ("uint8", "int16"):
        compiled = zeroskip.compile(data, "kang", images, scale_rule="max_abs", activations=kind)
        assert (compiled.run(GoldenDevice("kang"), images).outputs == compiled.reference(images)).all()
        found.append(compare(data, compiled, images).sqnr_db)
    assert found[0] > 30 and found[1] > found[0] + 34


def test_difference_to_onnxruntime_is_one_step_at_most():
    """QLinearConv rescales in float32, zeroskip in exact fixed point: they may differ on near-ties, by 1."""
    rng = np.random.default_rng(7)
    x, y = Quant(0.021, 117), Quant(0.03, 90)
    # 7-bit weights: on processors without VNNI onnxruntime saturates sums of two 8-bit products to 16 bits.
    w = rng.integers(-63, 64, (16, 8, 3, 3)).astype(np.int8)
    scales, bias = rng.uniform(0.001, 0.003, 16).astype(np.float32), rng.integers(-9000, 9000, 16).astype(np.int32)
    weights = {
        "w": w, "ws": scales, "wz": np.zeros(16, np.int8), "b": bias, "xs": np.float32(x.scale), "xz": np.uint8(117),
        "ys": np.float32(y.scale), "yz": np.uint8(90),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
        node("QLinearConv", ["q", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["r"], pads=[1, 1, 1, 1]),
        node("DequantizeLinear", ["r", "ys", "yz"], ["y"]),
    ]
    images = f32(rng, 20, 8, 24, 24)
    theirs = np.rint(run_onnx(model(nodes, weights, (8, 24, 24)), images) / np.float32(y.scale)).astype(int) + 90
    q = np.clip(np.rint(images / np.float32(x.scale)) + 117, 0, 255).astype(np.int16)
    sums = reference.conv2d(q - np.int16(117), w, padding=(1, 1, 1, 1)) + bias[:, None, None].astype(np.int64)
    factors = scales.astype(float) * np.float32(x.scale) / np.float32(y.scale)
    multiplier, shift = np.array([fixed_point(float(f)) for f in factors]).T[:, :, None, None]
    off = np.abs(requantise(sums, multiplier, shift, y).astype(int) - theirs)
    print(f"off by one: {np.count_nonzero(off)} of {off.size}")
    assert off.max() <= 1 and np.count_nonzero(off) <= off.size * 1e-3
    assert len(np.unique(theirs)) > 100


def every_operator():
    """Zero points everywhere: no ReLUs, odd pools, a batch norm and a clip that nothing absorbs, a softmax."""
    rng = np.random.default_rng(2)
    weights = {
        "w1": f32(rng, 6, 2, 3, 3),
        "dw": f32(rng, 6, 1, 3, 3),
        "wf": f32(rng, 6 * 4 * 4, 5, scale=0.1),
        "c": f32(rng, 6, 1, 1),
        "gamma": f32(rng, 6),
        "beta": f32(rng, 6),
        "mean": f32(rng, 6),
        "var": rng.uniform(0.5, 1, 6).astype(np.float32),
        "shape": np.array([0, -1]),
    }
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1], name="first"),
        node("AveragePool", ["c1"], ["p1"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Clip", ["p1"], ["k"], min=-1.5, max=1.0),
        node("Conv", ["p1", "dw"], ["d"], group=6, pads=[2, 2, 2, 2], dilations=[2, 2], name="depthwise"),
        node("Add", ["d", "k"], ["a"], name="sum"),
        node("BatchNormalization", ["a", "gamma", "beta", "mean", "var"], ["n"], name="norm"),
        node("MaxPool", ["n"], ["m"], kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1]),
        node("Sub", ["m", "c"], ["s"], name="shift"),
        node("Reshape", ["s", "shape"], ["r"]),
        node("MatMul", ["r", "wf"], ["l"], name="last"),
        node("Softmax", ["l"], ["y"], axis=1),
    ]
    return model(nodes, weights, (2, 16, 15), opset=9)


def test_every_operator():
    data, images = every_operator(), f32(np.random.default_rng(3), 6, 2, 16, 15) + 1
    compiled = zeroskip.compile(data, "tiny", images, scale_rule="max_abs", per="channel")
    assert {n.op for n in compiled.nodes} == {
        "conv", "average_pool", "clip", "add", "max_pool", "reshape", "softmax",
    }  # fmt: skip
    assert all(0 < t.quant.zero_point < 255 for name, t in compiled.tensors.items() if t.quant.dtype == "uint8")
    result = compiled.run(GoldenDevice("tiny"), images)
    assert (result.outputs == compiled.reference(images)).all()
    np.testing.assert_allclose(result.outputs, run_onnx(data, images), atol=0.03)
    np.testing.assert_allclose(result.outputs.sum(axis=1), 1, rtol=1e-6)


def test_network_without_engine_layers():
    data = model([node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2])], {}, (2, 4, 4))
    images = f32(np.random.default_rng(4), 3, 2, 4, 4)
    compiled = zeroskip.compile(data, "tiny", images)
    result = compiled.run(GoldenDevice("tiny"), images)
    assert result.layers == [] and result.cycles == 0
    assert np.abs(result.outputs - run_onnx(data, images)).max() <= compiled.tensors["x"].quant.scale / 2 + 1e-6


# -- measurements ------------------------------------------------------------------------------------
def test_layer_results(compiled, images):
    result = compiled.run(GoldenDevice("tiny"), images)
    assert [layer.name for layer in result.layers] == ["stem", "grouped", "point", "strided", "hidden", "logits"]
    assert [layer.op for layer in result.layers] == ["Conv"] * 4 + ["Gemm", "MatMul"]
    stem, grouped, *_, logits = result.layers
    assert stem.shape == "3x12x12 -> 8x12x12, 3x3" and logits.shape == "20 -> 10, 1x1"
    assert stem.macs == 9 * 8 * 144 * 27 and grouped.macs == 9 * 8 * 36 * 36 and logits.macs == 9 * 200
    assert result.cycles == sum(layer.counters["cycles"] for layer in result.layers) > 0
    for layer, n in zip(result.layers, compiled.layers, strict=True):
        weights = n.plan.weights
        assert layer.zero == pytest.approx(1 - np.count_nonzero(weights) / weights.size)
        assert layer.zero + layer.non_outlier + layer.outlier == pytest.approx(1)
        steps = layer.counters["steps"] + layer.counters["dead_steps"]
        assert 0 < layer.ideal_cycles <= steps <= layer.dense_cycles


def test_activation_zeros_are_counted(compiled, images):
    seen = []

    def observe(device, plan, x, quant, finish):
        seen.append(np.count_nonzero(x == quant.zero_point) / x.size)
        return original(device, plan, x, quant, finish)

    original = conv.run_layer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv, "run_layer", observe)
        result = compiled.run(GoldenDevice("tiny"), images)
    assert [layer.act_zeros for layer in result.layers] == pytest.approx(seen)
    assert max(seen) > 0.3


def test_json(compiled, images):
    found = compiled.run(GoldenDevice("tiny"), images).to_json()
    assert found["format"] == "zeroskip-result" and found["version"] == 1 and found["images"] == 9
    assert found["config"]["wgs"] == 2 and len(found["config"]["hash"]) == 8
    assert found["layers"][0]["counters"]["steps"] > 0 and found["layers"][0]["name"] == "stem"


def test_chunks_change_nothing_but_the_transfers(compiled, images, monkeypatch):
    whole = compiled.run(GoldenDevice("tiny"), images)
    monkeypatch.setattr(runtime_network, "CHUNK_BYTES", 4 * 2 * 24 * 8 * 144)
    again = zeroskip.compile(residual_network(np.random.default_rng(0)), "tiny", images)
    calls = []
    pieces = again.run(GoldenDevice("tiny"), images, lambda *call: calls.append(call))
    assert (pieces.outputs == whole.outputs).all()
    assert [p.macs for p in pieces.layers] == [w.macs for w in whole.layers]
    assert [p.act_zeros for p in pieces.layers] == pytest.approx([w.act_zeros for w in whole.layers])
    assert [done for done, _, _ in calls] == list(range(19)) and {total for _, total, _ in calls} == {18}
    assert [name for _, _, name in calls[:7]] == [*(w.name for w in whole.layers), "stem"]


# -- compiling ---------------------------------------------------------------------------------------
def test_reschedule_keeps_the_integers(compiled, images):
    dense = reschedule(compiled, mode="dense", activation_skip=False)
    assert dense.info["mode"] == "dense" and compiled.info["mode"] == "combined"
    other = reschedule(compiled, "z2")
    for again, config in ((dense, "tiny"), (other, "z2")):
        assert (again.run(GoldenDevice(config), images).outputs == compiled.reference(images)).all()
    runs = [m.run(GoldenDevice("tiny"), images) for m in (dense, compiled)]
    assert runs[0].cycles > runs[1].cycles


def test_prune_and_clip_reach_the_weights(data, images):
    pruned = zeroskip.compile(data, "tiny", images, prune=0.5)
    for layer in pruned.layers:  # those with fewer than 16 weights per filter stay whole
        assert ((layer.plan.weights == 0).mean() >= 0.49) == (layer.plan.weights[0].size >= 16)
    with pytest.warns(UserWarning, match="dB of output SQNR on the calibration images against plain 8-bit"):
        clipped = zeroskip.compile(data, "tiny", images, scale_rule="percentile", clip=119)
    assert all(np.abs(layer.plan.weights).max() <= 8 for layer in clipped.layers)


def test_progress_while_compiling(data, images):
    calls = []
    zeroskip.compile(data, "tiny", images, progress=lambda *call: calls.append(call))
    assert [done for done, _, _ in calls] == list(range(7)) and calls[0][2] == "stem" and calls[-1] == (6, 6, "")


def test_without_calibration_a_warning(data):
    with pytest.warns(UserWarning, match="no calibration images"):
        compiled = zeroskip.compile(data)
    assert compiled.info["calibration"] == 0


def test_with_calibration_no_warning(data, images):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zeroskip.compile(data, "tiny", images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale_rule": "best"}, "mse, max_abs, power_of_two, percentile"),
        ({"scale_rule": {"nowhere": "max_abs"}}, "'nowhere', which is no layer; layers: stem"),
        ({"per": "row"}, "tensor, channel"),
        ({"percentile": 0}, "1 to 100"),
        ({"clip": -1}, "0 to 119"),
        ({"clip": 1.5}, "0 to 119"),
        ({"prune": 2}, "0 to 1"),
        ({"mode": "fast"}, "dense, zero_skip, combined"),
        ({"activations": "int8"}, "uint8, int16"),
        ({"activations": "int16"}, "act_w = 9"),
        ({"calibration_percentile": 10}, "50 to 100"),
        ({"calibration": np.zeros((0, 3, 12, 12), np.float32)}, "calibration images"),
        ({"calibration": np.zeros((2, 3, 12, 12), np.uint8)}, "uint8"),
        ({"calibration": np.full((2, 3, 12, 12), np.nan)}, "not finite"),
    ],
)
def test_options_that_are_refused(data, images, options, message):
    with pytest.raises(InputError, match=message):
        zeroskip.compile(data, "tiny", **{"calibration": images, **options})


def test_missing_packages_are_named(data, monkeypatch):
    monkeypatch.setattr("zeroskip.extras.find_spec", lambda name: None if name == "onnx" else name)
    with pytest.raises(ToolError, match=r"compiling a network needs onnx; install with: pip install"):
        zeroskip.compile(data)


def test_other_refusals(data, images):
    with pytest.raises(ConfigError, match="no configuration"):
        zeroskip.compile(data, "huge", images)
    with pytest.raises(ModelError, match=r"the images are \(N, 1, 12, 12\)"):
        zeroskip.compile(data, "tiny", images[:, :1])


# -- running -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.astype(np.int64), "int64; accepted: floating point"),
        (lambda x: x.astype(np.complex64), "complex64"),
        (lambda x: x.astype(str), "floating point"),
        (lambda x: x[0], r"\(3, 12, 12\); accepted: \(N, 3, 12, 12\)"),
        (lambda x: x[:, :2], r"\(9, 2, 12, 12\)"),
        (lambda x: x[:0], "N at least 1"),
        (lambda x: np.where(x == x.max(), np.inf, x), "1 values that are not finite"),
    ],
)
def test_images_that_are_refused(compiled, images, change, message):
    for run in (lambda x: compiled.run(GoldenDevice("tiny"), x), compiled.reference):
        with pytest.raises(InputError, match=message):
            run(change(images))


def test_device_of_another_configuration(compiled, images):
    other = Config("mine", mux=4, columns=1024)
    with pytest.raises(ConfigError, match=r"mux = 8 in the model, 4 on the device; columns = 512 in the model, 1024"):
        compiled.run(GoldenDevice(other), images)
    compiled.run(GoldenDevice(Config("twin")), images)  # another name is the same hardware


def test_device_errors_name_the_layer(compiled, images):
    class Broken(GoldenDevice):
        def execute(self, words, out_beats):
            if self.transfers == 2:
                raise DeviceTimeout("no answer")
            return super().execute(words, out_beats)

    with pytest.raises(DeviceTimeout, match="layer 'point': no answer"):
        compiled.run(Broken("tiny"), images)


def test_reference_computes_its_own_sums(compiled, images, monkeypatch):
    """Were run and reference the same code, they would agree on anything."""
    before = compiled.run(GoldenDevice("tiny"), images).outputs
    monkeypatch.setattr(reference, "correlate", lambda *args: 0 * correlate(*args))
    correlate = reference_correlate
    assert (compiled.run(GoldenDevice("tiny"), images).outputs == before).all()
    assert (compiled.reference(images) != before).any()


reference_correlate = reference.correlate


def test_conv2d(images):
    rng = np.random.default_rng(5)
    x = rng.integers(-255, 256, (2, 5, 7, 6)).astype(np.int16)
    w = rng.integers(-127, 128, (4, 5, 3, 3)).astype(np.int8)
    sums, counters = zeroskip.conv2d(GoldenDevice("tiny"), x, w, stride=(2, 1), padding=(1, 0, 1, 2), dilation=(1, 2))
    assert (sums == reference.conv2d(x, w, (2, 1), (1, 0, 1, 2), (1, 2))).all()
    assert counters["steps"] > 0
