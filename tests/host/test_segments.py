"""Passes of the accelerator compute what the network's nodes compute, and cuts say why the host is needed."""

import dataclasses
import itertools

import numpy as np
import pytest

import zeroskip as zs
from onnx_models import f32, model, node, residual_network
from zeroskip.compiler import integer_layers
from zeroskip.compiler.maps import buffer_bytes, map_bytes, place_maps
from zeroskip.compiler.passes import Cut, Segment
from zeroskip.compiler.segments import segments_of
from zeroskip.models.passes import run_segment
from zeroskip.models.reference import conv2d
from zeroskip.runtime.network import Model
from zeroskip.runtime.nodes import compute


@pytest.fixture(autouse=True)
def no_schedules(monkeypatch):
    """Passes know weights, not schedules."""
    monkeypatch.setattr(integer_layers.Layer, "scheduled", lambda self, config, *_: self.unscheduled(config))
    monkeypatch.setattr(Model, "check", lambda self: None)


def all_values(network: Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """The integers of every tensor, from the reference."""

    def convolve(node, x, quant, finish):
        plan, signed = node.plan, np.subtract(x, quant.zero_point, dtype=np.int16)
        return finish(conv2d(signed, plan.weights, plan.stride, plan.padding, plan.dilation, plan.groups))

    quant = network.tensors[network.input].quant
    values = {network.input: images if network.input_type != "float32" else quant.quantise(images)}
    for each in network.nodes:
        values[each.output] = compute(each, network.tensors, [values[name] for name in each.inputs], convolve)
    return values


def check(network: Model, images: np.ndarray) -> list[Segment | Cut]:
    """Run all segments on maps, and compare what the host reads; places may be used by one map at a time."""
    steps, shapes = segments_of(network)
    values, memory = all_values(network, images), {}
    for step in steps:
        if isinstance(step, Cut):
            continue
        for name in step.inputs:
            memory.setdefault(name, values.get(name, np.zeros(0)).reshape(len(images), *shapes[name]).copy())
        run_segment(step, shapes, memory)
        for tensor, name in step.outputs.items():
            np.testing.assert_array_equal(memory[name].reshape(values[tensor].shape), values[tensor], err_msg=tensor)
        sizes = {name: memory[name].itemsize for name in shapes if name in memory}
        places = place_maps(step, shapes, sizes, len(images))
        for name, place in places.items():
            assert place.nbytes == map_bytes(shapes[name], sizes[name], len(images))
            for other, there in places.items():
                together = place.first <= there.last and there.first <= place.last
                if name != other and together:
                    apart = place.offset >= there.offset + there.nbytes or there.offset >= place.offset + place.nbytes
                    assert apart, (name, other)
        assert buffer_bytes(places) <= sum(-(-place.nbytes // 4096) * 4096 for place in places.values())
    nodes = {each.output for each in network.nodes}
    computed = {tensor for step in steps if isinstance(step, Segment) for tensor in step.outputs}
    hosted = {network.nodes[step.node].output for step in steps if isinstance(step, Cut)}
    assert {output.tensor for output in network.outputs} <= computed | hosted and hosted <= nodes
    return steps


def compiled(nodes, weights, shape, rng, **options):
    data = nodes if isinstance(nodes, bytes) else model(nodes, weights, shape, opset=18)
    return zs.compile(data, "gather_tiny", f32(rng, 4, *shape), **options)


def test_a_residual_network_is_one_segment():
    rng = np.random.default_rng(1)
    network = compiled(residual_network(rng), None, (3, 12, 12), rng)
    (segment,) = check(network, f32(rng, 3, 3, 12, 12))
    assert [each.label for each in segment.passes] == [
        "Conv", "Conv", "Conv", "Identity", "Add", "Conv", "GlobalAveragePool", "Gemm", "MatMul"
    ]  # fmt: skip
    assert segment.passes[1].source.pool == (2, 2, (0, 0, 0, 0)) and segment.passes[4].residual is not None
    assert segment.inputs == ["x"] and list(segment.outputs) == ["y"]


def random_network(rng) -> tuple[list, dict, tuple[int, int, int]]:
    """Branches, residuals, concatenations, pools, functions, upsampling, shares of channels; odd sizes."""
    shape = (int(rng.integers(1, 5)), int(rng.integers(9, 20)), int(rng.integers(9, 20)))
    nodes, weights = [], {}
    tensors = {"x": shape}

    def add(op, inputs, out_shape, **attributes):
        name = f"t{len(tensors)}"
        nodes.append(node(op, inputs, [name], name=name, **attributes))
        tensors[name] = out_shape
        return name

    def conv(x, filters, kernel, stride=1, groups=1, pad=None):
        c, h, w = tensors[x]
        pad = kernel // 2 if pad is None else pad
        weight = f"w{len(weights)}"
        weights[weight] = f32(rng, filters, c // groups, kernel, kernel, scale=1 / (kernel * np.sqrt(c // groups)))
        size = [(n + 2 * pad - kernel) // stride + 1 for n in (h, w)]
        how = {"strides": [stride] * 2, "pads": [pad] * 4, "group": groups}
        return add("Conv", [x, weight], (filters, *size), **how)

    x = add("Relu", [conv("x", 16, 3)], (16, *shape[1:]))
    for _ in range(int(rng.integers(3, 8))):
        c, h, w = tensors[x]
        kind = rng.integers(10)
        if kind == 0:
            x = conv(x, int(rng.integers(1, 40)), int(rng.choice([1, 3, 5])), int(rng.integers(1, 3)))
        elif kind == 1:
            x = conv(x, c, 3, int(rng.integers(1, 3)), c)
        elif kind == 2:
            x = add("Add", [conv(x, c, int(rng.choice([1, 3]))), x], (c, h, w))
        elif kind == 3 and min(h, w) >= 5:
            k, pad = int(rng.integers(2, 4)), int(rng.integers(0, 2))
            stride = int(rng.integers(1, 3))
            size = [(n + 2 * pad - k) // stride + 1 for n in (h, w)]
            x = add("MaxPool", [x], (c, *size), kernel_shape=[k, k], strides=[stride] * 2, pads=[pad] * 4)
        elif kind == 4 and c % 16 == 0:
            parts = [x, conv(x, 16, 1), conv(x, int(rng.integers(1, 20)), 3)]
            x = add("Concat", parts, (sum(tensors[p][0] for p in parts), h, w), axis=1)
        elif kind == 5:
            x = add(str(rng.choice(["HardSwish", "Sigmoid", "LeakyRelu"])), [x], (c, h, w))
        elif kind == 6 and max(h, w) < 16:
            weights.setdefault("scales", np.array([1, 1, 2, 2], np.float32))
            how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
            x = add("Resize", [x, "", "scales"], (c, 2 * h, 2 * w), **how)
        elif kind == 7 and c >= 32:
            weights |= {"begin": np.array([16]), "end": np.array([32]), "axis": np.array([1])}
            x = add("Slice", [x, "begin", "end", "axis"], (16, h, w))
        elif kind == 8:
            weights["pads"] = np.array([0, 0, 1, 0, 0, 0, 0, 2])
            x = add("Pad", [x, "pads"], (c, h + 1, w + 2))
        elif kind == 9:
            x = add("Sub", [x, conv(x, c, 1)], (c, h, w))
    x = add("GlobalAveragePool", [x], (tensors[x][0], 1, 1))
    weights["head"] = f32(rng, tensors[x][0], 5)
    nodes += [node("Flatten", [x], ["flat"]), node("MatMul", ["flat", "head"], ["y"])]
    return nodes, weights, shape


@pytest.mark.parametrize("seed", range(40))
def test_random_networks(seed):
    rng = np.random.default_rng([seed, 44])
    nodes, weights, shape = random_network(rng)
    network = compiled(nodes, weights, shape, rng)
    steps = check(network, f32(rng, 2, *shape))
    assert len(steps) == 1, [getattr(step, "reason", "") for step in steps]


def test_a_function_is_part_of_the_pass_before():
    rng = np.random.default_rng(2)
    nodes = [
        node("Conv", ["x", "w"], ["a"]), node("HardSwish", ["a"], ["b"]), node("Conv", ["b", "v"], ["y"])
    ]  # fmt: skip
    weights = {"w": f32(rng, 8, 3, 3, 3), "v": f32(rng, 4, 8, 1, 1)}
    (segment,) = check(compiled(nodes, weights, (3, 8, 8), rng), f32(rng, 2, 3, 8, 8))
    assert [each.table is not None for each in segment.passes] == [True, False]


CUTS = {
    "windows of 5x5": [node("MaxPool", ["a"], ["b"], kernel_shape=[5, 5])],
    "the accelerator has no Mul": [node("Conv", ["x", "w"], ["c"]), node("Mul", ["a", "c"], ["b"])],
    "number of elements": [
        node("AveragePool", ["a"], ["b"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=0)
    ],
    "it interpolates": [node("Resize", ["a", "", "scales"], ["b"], mode="linear")],
    "a block of 16 channels": [node("Concat", ["a", "a"], ["b"], axis=1)],
    "the accelerator has no Transpose": [node("Transpose", ["a"], ["b"], perm=[0, 1, 3, 2])],
}


@pytest.mark.parametrize("reason", CUTS)
def test_cuts(reason):
    """What the accelerator cannot do cuts the network in two, and says why."""
    rng = np.random.default_rng(3)
    channels = 16 if "Concat" in str(CUTS[reason]) else 8
    nodes = [node("Conv", ["x", "w"], ["a"]), *CUTS[reason], node("Conv", ["b", "v"], ["y"])]
    weights = {"w": f32(rng, 8, 3, 3, 3), "v": f32(rng, 4, channels, 1, 1)}
    weights["scales"] = np.array([1, 1, 2, 2], np.float32)
    network = compiled(nodes, weights, (3, 12, 12), rng)
    first, *cuts, last = check(network, f32(rng, 2, 3, 12, 12))
    assert isinstance(first, Segment) and isinstance(last, Segment) and cuts
    assert all(isinstance(cut, Cut) for cut in cuts) and reason in cuts[-1].reason


def test_places_are_used_again():
    """A chain of maps needs two of them at a time."""
    rng = np.random.default_rng(4)
    names = ["x", *(f"t{i}" for i in range(7)), "y"]
    nodes = [node("Conv", [a, "w"], [b], pads=[1, 1, 1, 1]) for a, b in itertools.pairwise(names)]
    network = compiled(nodes, {"w": f32(rng, 16, 16, 3, 3, scale=0.1)}, (16, 16, 16), rng)
    (segment,), shapes = segments_of(network)
    places = place_maps(segment, shapes, dict.fromkeys(shapes, 1))
    assert len(places) == 9 and buffer_bytes(places) == 2 * 16 * 16 * 16
    segment = dataclasses.replace(segment, outputs={"y": "y", "t0": "t0"})
    assert buffer_bytes(place_maps(segment, shapes, dict.fromkeys(shapes, 1))) == 3 * 16 * 16 * 16
