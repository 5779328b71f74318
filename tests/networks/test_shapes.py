"""The Verilated RTL against the cycle model on every shape of layer that occurs in the large networks.

Filters, channels, kernels, strides, pads, dilations, groups and weights are the networks' own; only maps are
reduced, to the smallest with two output rows and columns.
"""

import numpy as np
import pytest

import zeroskip
from test_networks import network
from zeroskip.compiler.conv import compile_conv
from zeroskip.compiler.onnx_import import import_onnx
from zeroskip.compiler.quantise import Rule, quantise_weights
from zeroskip.models.reference import conv2d
from zeroskip.runtime.conv import run_plan

RULE = Rule("percentile", "channel", 90)
LARGE = ("EfficientNet-Lite0", "MobileNetV2", "thin ResNet-50")


def shapes(graph):
    """One convolution of every shape."""
    found = {}
    for node in graph.nodes:
        if node.op == "conv":
            geometry = tuple(node.attrs[key] for key in ("stride", "padding", "dilation", "groups"))
            found.setdefault((node.weight.shape, *geometry), node)
    return found.values()


def reduced(node) -> tuple[int, int]:
    """The smallest map with two output rows and columns, or a single pixel for a matrix product."""
    sizes = []
    for axis in (0, 1):
        stride, dilation = node.attrs["stride"][axis], node.attrs["dilation"][axis]
        pads = node.attrs["padding"][axis] + node.attrs["padding"][axis + 2]
        sizes.append(max(1, stride + (node.weight.shape[2 + axis] - 1) * dilation + 1 - pads))
    return tuple(sizes)


@pytest.mark.parametrize("name", LARGE)
def test_rtl_equals_model_on_every_shape(name):
    onnx, _ = network(name)
    rng = np.random.default_rng(3)
    nodes = list(shapes(import_onnx(onnx)))
    assert len(nodes) >= 20
    with zeroskip.open_device("sim", "tiny") as rtl, zeroskip.open_device("model", "tiny") as model:
        for node in nodes:
            w = quantise_weights(node.weight, RULE.scales(node.weight))
            geometry = {key: node.attrs[key] for key in ("stride", "padding", "dilation", "groups")}
            size = reduced(node)
            plan = compile_conv("tiny", w, **geometry, input_shape=size, name=node.name)
            x = rng.integers(1, 256, (1, w.shape[1] * node.attrs["groups"], *size)).astype(np.int16)
            x[rng.random(x.shape) < 0.6] = 0
            sums, counters = run_plan(rtl, plan, x)
            modelled, expected = run_plan(model, plan, x)
            np.testing.assert_array_equal(sums, conv2d(x, w, **geometry), err_msg=node.name)
            np.testing.assert_array_equal(modelled, sums, err_msg=node.name)
            assert counters == expected, node.name
