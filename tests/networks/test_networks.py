"""Trained networks end to end: what docs/results/networks.md claims, on small subsets."""

import functools

import numpy as np
import onnxruntime
import pytest

import pictures
import zeroskip
import zoo
from zeroskip.compiler.onnx_import import import_onnx

PLAIN = {"scale_rule": "max_abs", "per": "channel"}
SMALL = ("demo", "mnist-conv", "digit-recognizer")


@functools.cache
def network(name: str):
    """(ONNX model, images) of an installed network; skips the test otherwise."""
    chosen = zoo.NETWORKS[name]
    if chosen.missing:
        pytest.skip(f"{name}: {', '.join(chosen.missing)} not installed; make networks installs them")
    return chosen.model(), chosen.pictures()


def run(model, images, device):
    with zeroskip.open_device(device, model.config) as opened:
        return model.run(opened, images)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "VGG-16")) for name in zoo.NETWORKS]
)
def test_import_is_faithful(name):
    """The folded float graph computes what onnxruntime computes."""
    onnx, images = network(name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    exact = np.concatenate([session.run(None, {name: image[None]})[0] for image in images.test[:2]])
    found = import_onnx(onnx).run(images.test[:2])
    assert np.abs(found - exact).max() < 1e-4 * max(1, np.abs(exact).max())


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_keep_their_accuracy(name):
    """Float, plain 8 bits, budgeted, half pruned: within one point of float, two when pruned."""
    onnx, images = network(name)
    graph = import_onnx(onnx)
    exact = pictures.accuracy(graph.run(images.test), images.labels)
    assert exact > 0.97
    steps = {}
    for lost, options in ((0.01, PLAIN), (0.01, {"budget": 6}), (0.02, {"budget": 6, "prune": 0.5})):
        model = zeroskip.compile(onnx, "z2", images.calibration, **options)
        assert pictures.accuracy(model.reference(images.test), images.labels) >= exact - lost
        steps[tuple(options)] = sum(layer.plan.steps for layer in model.layers)
    plain, budget, pruned = steps.values()
    # The demo network comes pruned by 70 %, so pruning half of the weights takes nothing more from it.
    assert pruned <= budget < plain


def test_cifar_resnet_in_the_files_integers():
    """An int8 file of TFLite: no calibration, as many right as onnxruntime has, outputs next to its."""
    chosen = zoo.QUANTISED["CIFAR-10 ResNet int8"]
    if chosen.missing:
        pytest.skip(f"{', '.join(chosen.missing)} not installed; make networks installs them")
    onnx, images = chosen.model(), chosen.pictures()
    session = onnxruntime.InferenceSession(onnx.SerializeToString(), providers=["CPUExecutionProvider"])
    exact = np.concatenate([session.run(None, {"image": image[None]})[0] for image in images.test])
    model = zeroskip.compile(onnx, "z2")
    found = model.reference(images.test)
    assert [set(info["rules"]) for info in model.info["layers"].values()] == [{"given by the file"}] * 10
    scale = np.float32(model.tensors[model.output].quant.scale)
    off = np.abs(np.rint(exact / scale) - np.rint(found / scale))
    assert off.max() <= 2 and np.mean(off > 0) < 0.05
    right = pictures.accuracy(exact, images.labels)
    assert right >= 18 / 20 and pictures.accuracy(found, images.labels) == right
    result = run(model, images.test[:1], "model")
    np.testing.assert_array_equal(result.outputs, found[:1])
    assert result.cycles > 0


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_through_the_rtl(name):
    onnx, images = network(name)
    model = zeroskip.compile(onnx, "tiny", images.calibration, budget=6)
    rtl, modelled = run(model, images.test[:1], "sim"), run(model, images.test[:1], "model")
    np.testing.assert_array_equal(rtl.outputs, model.reference(images.test[:1]))
    np.testing.assert_array_equal(modelled.outputs, rtl.outputs)
    assert [layer.counters for layer in rtl.layers] == [layer.counters for layer in modelled.layers]


def test_thin_resnet_is_near_its_float_network():
    """Even with two of a hundred weights outliers: its output probability moves by less than 2 %."""
    onnx, images = network("thin ResNet-50")
    some = images.test[:4]
    exact = import_onnx(onnx).run(some)
    for options, most in (({}, 0.002), ({"scale_rule": "percentile"}, 0.02)):
        model = zeroskip.compile(onnx, "z2", images.calibration, **options)
        assert np.abs(model.reference(some) - exact).max() < most
    result = run(model, some[:1], "model")
    np.testing.assert_array_equal(result.outputs, model.reference(some[:1]))
    assert len(result.layers) == 54 and sum(layer.macs for layer in result.layers) == pytest.approx(1069e6, rel=0.01)


def test_mobilenet_embeddings_are_near_their_float_network():
    onnx, images = network("MobileNetV2")
    some = images.test[:4]
    exact, model = import_onnx(onnx).run(some), zeroskip.compile(onnx, "z2", images.calibration, **PLAIN)
    found = model.reference(some)
    cosine = (found * exact).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
    assert cosine.min() > 0.97
    result = run(model, some[:1], "model")
    np.testing.assert_array_equal(result.outputs, found[:1])
    assert len(result.layers) == 52


@pytest.mark.slow
def test_efficientnet_loses_at_most_one_image():
    """Of foolbox's 20, against plain 8 bits, with fewer than half as many outliers and fewer cycles."""
    onnx, images = network("EfficientNet-Lite0")
    test, labels = images.test[:20], images.labels[:20]
    assert pictures.accuracy(import_onnx(onnx).run(test), labels) == 18 / 20
    right, outliers, cycles = [], [], []
    for options in (PLAIN, {"budget": 6}):
        model = zeroskip.compile(onnx, "z2", images.calibration, **options)
        right.append(round(20 * pictures.accuracy(model.reference(test), labels)))
        weights = np.concatenate([layer.plan.weights.ravel() for layer in model.layers])
        outliers.append(np.mean((weights < -8) | (weights > 7)))
        result = run(model, test[:1], "model")
        np.testing.assert_array_equal(result.outputs, model.reference(test[:1]))
        cycles.append(result.cycles)
    assert right[0] >= 17 and right[1] >= right[0] - 1
    assert outliers[1] < outliers[0] / 2 and cycles[1] < 0.9 * cycles[0]
