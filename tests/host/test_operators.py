"""Every operator with random attributes: float graph = onnxruntime, integers near it, device = reference."""

import re
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

import zeroskip
from onnx_models import f32, model, node, run_onnx
from zeroskip.compiler.onnx_constants import foldable
from zeroskip.compiler.onnx_import import import_onnx
from zeroskip.compiler.onnx_qonnx import OPERATORS as QONNX
from zeroskip.compiler.onnx_quantised import FORMS
from zeroskip.compiler.onnx_source import OPERATORS

CASES = {}


def case(*names, count=12, sqnr=30):
    """Register a function rng -> (nodes, weights, input shape, options of ``model``)."""

    def register(function):
        for name in names or (function.__name__,):
            CASES[name] = (function if not names else lambda rng, name=name: function(rng, name), count, sqnr)
        return function

    return register


def pick(rng, *choices):
    return choices[rng.integers(len(choices))]


def window(rng, size, rank, *, dilated=True):
    """Random stride, dilation and padding of a kernel that fits a map of ``size``: (kernel, attributes)."""
    while True:
        kernel = [int(v) for v in rng.integers(1, 5, rank)]
        dilation = [int(v) for v in rng.integers(1, 3, rank)] if dilated else [1] * rank
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        pads = [int(rng.integers(0, k)) for k in (*kernel, *kernel)]
        if all(r <= n for r, n in zip(reach, size, strict=True)):
            break
    attributes = {"strides": [int(v) for v in rng.integers(1, 4, rank)], "dilations": dilation}
    auto = pick(rng, None, None, "SAME_UPPER", "SAME_LOWER", "VALID")
    attributes |= {"pads": pads} if auto is None else {"auto_pad": auto}
    if auto:  # what onnxruntime accepts there
        strides = [min(pair) for pair in zip(attributes["strides"], kernel, strict=True)]
        attributes |= {"dilations": [1] * rank, "strides": strides}
    return kernel, attributes


@case("Conv 2-D", "Conv 1-D", count=20)
def conv(rng, name):
    rank = int(name[5])
    size = [int(v) for v in rng.integers(5, 12, rank)]
    groups, per_group = pick(rng, (1, 3), (2, 2), (4, 1), (6, 1))
    filters = groups * int(rng.integers(1, 4))
    kernel, attributes = window(rng, size, rank)
    weights = {"w": f32(rng, filters, per_group, *kernel), "b": f32(rng, filters)}
    inputs = ["x", "w", *pick(rng, ["b"], [])]
    return [node("Conv", inputs, ["y"], group=groups, **attributes)], weights, (groups * per_group, *size)


@case("MaxPool", "AveragePool", count=30)
def pool(rng, name):
    rank = pick(rng, 1, 2, 2)
    size = [int(v) for v in rng.integers(5, 12, rank)]
    kernel, attributes = window(rng, size, rank, dilated=name == "MaxPool")
    if name == "AveragePool":
        del attributes["dilations"]
        attributes["count_include_pad"] = int(rng.integers(2))
    ceil = int(rng.integers(2)) if "pads" in attributes else 0
    return [node(name, ["x"], ["y"], kernel_shape=kernel, ceil_mode=ceil, **attributes)], {}, (3, *size)


@case("ConvTranspose 2-D", "ConvTranspose 1-D", count=30)
def conv_transpose(rng, name):
    rank = int(name[14])
    size = [int(v) for v in rng.integers(1, 6, rank)]
    groups, per_group = pick(rng, (1, 3), (2, 2), (4, 1))
    filters = int(rng.integers(1, 4))
    kernel, stride = ([int(v) for v in rng.integers(1, 5, rank)] for _ in range(2))
    dilation = [int(v) for v in rng.integers(1, 3, rank)]
    attributes = {"strides": stride, "dilations": dilation}
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    extra = [int(rng.integers(0, s)) for s in stride]
    while True:
        pads = [int(rng.integers(0, r + 1)) for r in (*reach, *reach)]
        whole = zip(size, stride, reach, extra, pads[:rank], pads[rank:], strict=True)
        if all((n - 1) * s + r + e - a - b > 0 for n, s, r, e, a, b in whole):
            break
    form = pick(rng, "pads", "pads", "pads", "SAME_UPPER", "SAME_LOWER", "output_shape")
    if form == "pads":
        attributes |= {"pads": pads, "output_padding": extra}
    elif form == "output_shape":
        attributes |= {"output_shape": [n * s for n, s in zip(size, stride, strict=True)]}
        attributes["strides"] = [min(pair) for pair in zip(stride, reach, strict=True)]
        attributes["output_shape"] = [n * s for n, s in zip(size, attributes["strides"], strict=True)]
    else:
        attributes |= {"auto_pad": form, "strides": [min(pair) for pair in zip(stride, kernel, strict=True)]}
        attributes["dilations"] = [1] * rank
    weights = {"w": f32(rng, groups * per_group, filters, *kernel), "b": f32(rng, groups * filters)}
    parts = [rng.uniform(0.5, 1.5, groups * filters), f32(rng, groups * filters), f32(rng, groups * filters)]
    parts = [*parts, rng.uniform(0.5, 1.5, groups * filters)]
    weights |= {f"n{i}": part.astype(np.float32) for i, part in enumerate(parts)}
    nodes = [node("ConvTranspose", ["x", "w", *pick(rng, ["b"], [])], ["y"], group=groups, **attributes)]
    if rng.integers(2):  # as networks have it; it must become part of the convolution
        nodes[0].output[0] = "c"
        nodes += [node("BatchNormalization", ["c", "n0", "n1", "n2", "n3"], ["d"]), node("Relu", ["d"], ["y"])]
    return nodes, weights, (groups * per_group, *size)


@case("GlobalAveragePool", "GlobalMaxPool", count=4)
def global_pool(rng, name):
    return [node(name, ["x"], ["y"])], {}, (3, *pick(rng, (7,), (4, 5), (1, 1)))


@case("ReduceL1", "ReduceL2", "ReduceSumSquare", sqnr=25)
@case("ReduceMean", "ReduceMax", "ReduceSum")
def reduce(rng, name):
    shape = pick(rng, (3, 4, 5), (6, 5), (2, 3, 4, 5))
    axes = sorted({int(v) for v in rng.integers(1, len(shape) + 1, 2)})
    keep = 1 if len(axes) == len(shape) else int(rng.integers(2))
    axes = [pick(rng, a, a - len(shape) - 1) for a in axes]
    if rng.integers(2) or name == "ReduceSum":
        return [node(name, ["x", "a"], ["y"], keepdims=keep)], {"a": np.array(axes)}, shape, {"opset": 18}
    return [node(name, ["x"], ["y"], keepdims=keep, axes=axes)], {}, shape


@case("Gemm")
def gemm(rng, name):
    c, k = (int(v) for v in rng.integers(1, 20, 2))
    transposed, alpha, beta = int(rng.integers(2)), float(rng.uniform(0.5, 2)), float(rng.uniform(-2, 2))
    bias = pick(rng, f32(rng, k), f32(rng, 1, k), f32(rng, 1))
    weights = {"w": f32(rng, *((k, c) if transposed else (c, k))), "b": bias}
    return [node("Gemm", ["x", "w", "b"], ["y"], transB=transposed, alpha=alpha, beta=beta)], weights, (c,)


@case("MatMul")
def matmul(rng, name):
    shape = tuple(int(v) for v in rng.integers(2, 8, rng.integers(1, 4)))
    weights = {"w": f32(rng, shape[-1], 9), "b": f32(rng, 9)}
    return [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])], weights, shape


ALPHA = ("HardSigmoid", "LeakyRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Swish")
FUNCTIONS = ("Sigmoid", "Tanh", "Softplus", "HardSwish", "Softsign", "Mish", "Gelu", "Erf", "Abs")
RECENT = {"Gelu": 20, "Mish": 18, "HardSwish": 14, "Swish": 24}


@case("Floor", "Ceil", "Round", "Sign", "ThresholdedRelu", count=4, sqnr=5)  # one step may be a whole number
@case("Exp", "Log", "Sqrt", "Reciprocal", count=4, sqnr=20)
@case(*(name for name in ALPHA if name != "ThresholdedRelu"), *FUNCTIONS, count=4)
def function(rng, name):
    parameters = {"HardSigmoid": ("alpha", "beta"), "Selu": ("alpha", "gamma")}.get(name, ("alpha",) * (name in ALPHA))
    values = {p: float(rng.uniform(0.1, 1.5)) for p in parameters} if rng.integers(2) else {}
    if name == "Gelu":
        values = {"approximate": pick(rng, "none", "tanh")}
    nodes = [node("Conv", ["x", "w"], ["c"]), node(name, ["c"], ["y"], **values)]
    if name in ("Log", "Sqrt", "Reciprocal"):  # of what is above 0
        nodes[1:] = [node("Sigmoid", ["c"], ["e"]), node("Add", ["e", "half"], ["f"]), node(name, ["f"], ["y"])]
    weights = {"w": f32(rng, 4, 3, 2, 2, scale=0.6), "half": np.float32(0.5)}
    return nodes, weights, (3, 6, 5), {"opset": RECENT.get(name, 17)}


@case("Pow", count=6)
def power(rng, name):
    exponent = pick(rng, np.float32(2), np.int64(3), np.float32(0.5), np.array([-1.5], np.float32))
    nodes = [node("Abs", ["x"], ["a"]), node("Add", ["a", "half"], ["b"]), node("Pow", ["b", "p"], ["y"])]
    return nodes, {"p": exponent, "half": np.float32(0.5)}, (3, 6, 5)


@case("PRelu", count=8)
def prelu(rng, name):
    slope = pick(rng, f32(rng, 3, 1, 1), f32(rng, 1), f32(rng, 1, 3, 1, 1), f32(rng, 5))
    return [node("PRelu", ["x", "s"], ["y"])], {"s": slope}, (3, 6, 5)


@case("Relu", "Clip", "Max", "Min", count=4)
def clips(rng, name):
    inputs = {"Relu": ["x"], "Clip": ["x", "low", "high"], "Max": ["low", "x"], "Min": ["x", "high"]}[name]
    return [node(name, inputs, ["y"])], {"low": np.float32(-0.4), "high": np.float32(1.1)}, pick(rng, (3, 5, 4), (6,))


def broadcast(rng, shape):
    """A shape that broadcasts to ``shape``, and sometimes is it."""
    return tuple(n if rng.integers(3) else 1 for n in shape)


@case("Add", "Sub", "Mul", "Sum", "Max of two", "Min of two", sqnr=27)
def two_activations(rng, name):
    """Both computed from x: by convolutions with different ranges; one may be smaller and broadcast."""
    c, h, w = 4, 6, 5
    nodes = [node("Conv", ["x", "v"], ["a"]), node("Conv", ["x", "w"], ["b0"])]
    nodes += [pick(rng, node("GlobalAveragePool", ["b0"], ["b"]), node("Identity", ["b0"], ["b"]))]
    more = pick(rng, [], ["a"], ["half"]) if name.split()[0] in ("Sum", "Max", "Min") else []
    nodes += [node(name.split()[0], [*pick(rng, ["a", "b"], ["b", "a"]), *more], ["y"])]
    return nodes, {"v": f32(rng, c, 3, 1, 1), "w": f32(rng, c, 3, 1, 1, scale=float(rng.uniform(0.1, 3))),
                   "half": np.float32(0.5)}, (3, h, w)  # fmt: skip


@case("Div", sqnr=24)
def quotient(rng, name):
    """By what is not near 0, above or below it; either may be smaller and broadcast."""
    sign = np.float32(pick(rng, -0.5, 0.5))
    nodes = [node("Conv", ["x", "v"], ["a"]), node("Conv", ["x", "w"], ["c"]), node("Sigmoid", ["c"], ["d"])]
    nodes += [node("Add", ["d", "one"], ["e"]), node("Mul", ["e", "sign"], ["f"])]
    nodes += [pick(rng, node("GlobalAveragePool", ["f"], ["b"]), node("Identity", ["f"], ["b"]))]
    weights = {"v": f32(rng, 4, 3, 1, 1), "w": f32(rng, 4, 3, 1, 1), "one": np.float32(1), "sign": sign}
    return [*nodes, node("Div", ["a", "b"], ["y"])], weights, (3, 6, 5)


@case("Div of a constant", count=3, sqnr=25)
def constant_divided(rng, name):
    nodes = [node("Sigmoid", ["x"], ["a"]), node("Add", ["a", "one"], ["b"]), node("Div", ["one", "b"], ["y"])]
    return nodes, {"one": np.float32(1)}, (3, 6, 5)


@case("Add map", "Sub map", "Mul map", "Div map", "Max map", "Concat constant", count=8, sqnr=27)
def constant_maps(rng, name):
    """Constants that differ from place to place: grids, position embeddings, CoordConv."""
    shape, op = (3, 6, 5), name.split()[0]
    varying = pick(rng, (1, 3, 6, 5), (6, 5), (1, 1, 6, 5), (3, 6, 1), (1, 3, 1, 5))
    nodes = [node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1])]
    value = f32(rng, *varying)
    if op == "Concat":
        value = f32(rng, 1, 2, 6, 5)
        nodes += [node(op, pick(rng, ["c", "k"], ["k", "c", "k"]), ["y"], axis=1)]
    elif op == "Div":
        value = np.sign(value) + value
        nodes += [node(op, ["c", "k"], ["y"])]
    else:
        nodes += [node(op, pick(rng, ["c", "k"], ["k", "c"]), ["y"])]
    if rng.integers(2):
        nodes[0], nodes[1].input[list(nodes[1].input).index("c")] = node("Relu", ["x"], ["r"]), "r"
    return nodes, {"w": f32(rng, 3, 3, 3, 3), "k": value}, shape, {"batch": 1} if op == "Concat" else {}


@case("Expand", "Tile", count=6)
def repeated(rng, name):
    shape = (4, 1, 5)
    sizes = pick(rng, [1, 4, 3, 5], [1, 1, 6, 1], [2, 1]) if name == "Expand" else pick(rng, [1, 1, 3, 1], [1, 2, 1, 2])
    nodes = [node("Conv", ["x", "w"], ["c"]), node(name, ["c", "i"], ["y"])]
    return nodes, {"w": f32(rng, 4, 4, 1, 1), "i": np.array(sizes)}, shape


@case("Gather")
def gather(rng, name):
    shape, axis = (4, 6, 5), int(rng.integers(1, 4))
    n = shape[axis - 1]
    index = pick(
        rng, np.array(2), np.array([1]), rng.integers(-n, n, 7), rng.integers(-n, n, (2, 3)), np.arange(n)[::-2]
    )
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Gather", ["c", "i"], ["y"], axis=pick(rng, axis, axis - 4))]
    return nodes, {"w": f32(rng, 4, 3, 1, 1), "i": index}, (3, 6, 5)


@case("Mul of functions", count=12)
def spelled_out(rng, name):
    """As exporters write functions they have no operator for: each must become a single table."""
    c = {
        "zero": 0.0,
        "half": 0.5,
        "one": 1.0,
        "two": 2.0,
        "three": 3.0,
        "root": 2**0.5,
        "k": 0.044715,
        "p": (2 / np.pi) ** 0.5,
    }
    erf = [node("Div", ["x", "root"], ["a"]), node("Erf", ["a"], ["b"]), node("Add", ["b", "one"], ["c"])]
    nodes = pick(
        rng,
        [*erf, node("Mul", ["x", "c"], ["d"]), node("Mul", ["d", "half"], ["y"])],
        [*erf, node("Mul", ["x", "half"], ["d"]), node("Mul", ["d", "c"], ["y"])],
        [node("Pow", ["x", "three"], ["a"]), node("Mul", ["a", "k"], ["b"]), node("Add", ["x", "b"], ["c"]),
         node("Mul", ["c", "p"], ["d"]), node("Tanh", ["d"], ["e"]), node("Add", ["e", "one"], ["f"]),
         node("Mul", ["x", "half"], ["g"]), node("Mul", ["g", "f"], ["y"])],
        [node("Softplus", ["x"], ["a"]), node("Tanh", ["a"], ["b"]), node("Mul", ["x", "b"], ["y"])],
        [node("Exp", ["x"], ["a"]), node("Add", ["a", "one"], ["b"]), node("Log", ["b"], ["d"]),
         node("Tanh", ["d"], ["e"]), node("Mul", ["x", "e"], ["y"])],
        [node("Abs", ["x"], ["a"]), node("Add", ["a", "one"], ["b"]), node("Div", ["x", "b"], ["y"])],
        [node("Mul", ["x", "x"], ["a"]), node("Add", ["a", "one"], ["b"]), node("Sqrt", ["b"], ["d"]),
         node("Max", ["d", "x"], ["e"]), node("Sub", ["e", "x"], ["y"])],
        [node("Greater", ["x", "k"], ["a"]), node("Exp", ["x"], ["b"]), node("Add", ["b", "one"], ["c"]),
         node("Log", ["c"], ["d"]), node("Where", ["a", "x", "d"], ["y"])],
        [node("Greater", ["x", "half"], ["a"]), node("Cast", ["a"], ["b"], to=1), node("Less", ["x", "k"], ["c"]),
         node("Cast", ["c"], ["d"], to=1), node("Add", ["b", "d"], ["e"]), node("Cast", ["e"], ["f"], to=9),
         node("Where", ["f", "x", "zero"], ["y"])],
    )  # fmt: skip
    return nodes, {key: np.float32(value) for key, value in c.items()}, (3, 6, 5), {"tables": 1}


@case("Add constant", "Sub constant", "Mul constant", "Div constant", count=8)
def constants(rng, name):
    op = name.split()[0]
    shape = pick(rng, (3, 5, 4), (6,), (5, 4))
    varying = int(rng.integers(len(shape) + 1))
    value = f32(rng, *(n if i == varying else 1 for i, n in enumerate(shape)))
    value = np.where(np.abs(value) < 0.2, 1, value).astype(np.float32)
    value = value if varying < len(shape) and varying else value.reshape(pick(rng, value.shape, (1, *value.shape)))
    inputs = ["x", "c"] if op == "Div" else pick(rng, ["x", "c"], ["c", "x"])
    return [node(op, inputs, ["y"])], {"c": value}, shape


@case("Concat")
def concat(rng, name):
    axis = int(rng.integers(1, 4))
    nodes = [node("Conv", ["x", f"w{i}"], [f"c{i}"]) for i in range(3)]
    weights = {f"w{i}": f32(rng, 4, 3, 1, 1, scale=10.0**-i) for i in range(3)}
    return [*nodes, node("Concat", ["c0", "c1", "c2", "c0"], ["y"], axis=pick(rng, axis, axis - 4))], weights, (3, 6, 5)


@case("Pad")
def pad(rng, name):
    pads = [0, *(int(v) for v in rng.integers(0, 3, 3)), 0, *(int(v) for v in rng.integers(0, 3, 3))]
    pads = pick(rng, pads, [0, 0, 1, 2, 0, 0, 2, 1])
    mode = "constant" if pads[1] or pads[5] else pick(rng, "constant", "edge")
    nodes = [node("Pad", ["x", "p"], ["q"], mode=mode), node("Conv", ["q", "w"], ["y"], pads=[1, 0, 0, 1])]
    return nodes, {"p": np.array(pads), "w": f32(rng, 4, 3 + pads[1] + pads[5], 2, 2)}, (3, 6, 5)


@case("Pad constant", "Pad edge", "Pad reflect", count=10)
def pad_alone(rng, name):
    """First, last, or between two convolutions; on none, one or both sides of both axes."""
    top, left, bottom, right = (int(v) for v in rng.integers(0, 5, 4))
    one = node("Pad", ["a", "p"], ["b"], mode=name.split()[1])
    first, last = node("Conv", ["x", "v"], ["a"]), node("Conv", ["b", "w"], ["y"])
    one_in, one_out = pick(rng, (0, 0), (1, 0), (0, 1), (1, 1))
    one.input[0], one.output[0] = ("a", "x")[not one_in], ("b", "y")[not one_out]
    weights = {"p": np.array([0, 0, top, left, 0, 0, bottom, right])}
    weights |= {"v": f32(rng, 3, 3, 1, 1), "w": f32(rng, 4, 3, 2, 2)}
    return [*[first][:one_in], one, *[last][:one_out]], weights, (3, 6, 5)


@case("Cast", "Identity", "Dropout", count=6)
def nothing(rng, name):
    """What changes nothing: first, in the middle (Cast to float64 and back), last."""
    first, relu = node("Conv", ["x", "w"], ["a"]), node("Relu", ["b"], ["c"])
    if name == "Cast":
        between = [node("Cast", ["a"], ["d"], to=pick(rng, 1, 11)), node("Cast", ["d"], ["b"], to=1)]
        ends = [node("Cast", ["x"], ["x1"], to=1)], [node("Cast", ["c"], ["y"], to=1)]
    else:
        between = [node(name, ["a"], ["b"])]
        ends = [node(name, ["x"], ["x1"])], [node(name, ["c"], ["y"])]
    first.input[0] = "x1"
    return [*ends[0], first, *between, relu, *ends[1]], {"w": f32(rng, 4, 3, 2, 2)}, (3, 6, 5)


@case("BatchNormalization", "Neg", count=8)
def one_weight_per_channel(rng, name):
    """With nothing to be folded into, behind a convolution, and behind a function."""
    shape = pick(rng, (3, 6, 5), (3, 7))
    parts = [rng.uniform(0.5, 1.5, 3), rng.normal(size=3), rng.normal(size=3), rng.uniform(0.5, 2, 3)]
    weights = {f"n{i}": part.astype(np.float32) for i, part in enumerate(parts)}
    weights["w"] = f32(rng, 3, 3, *[1] * (len(shape) - 1))
    before = [pick(rng, node("Identity", ["x"], ["a"]), node("Conv", ["x", "w"], ["a"]), node("Tanh", ["x"], ["a"]))]
    if name == "Neg":
        return [*before, node("Neg", ["a"], ["y"])], weights, shape
    last = node(name, ["a", "n0", "n1", "n2", "n3"], ["y"], epsilon=float(pick(rng, 1e-5, 1e-2)))
    return [*before, last], weights, shape


@case("Transpose", "Squeeze", "Unsqueeze", "Flatten", "Reshape", "Slice", "Split", count=8)
def moves(rng, name):
    shape = (4, 1, 6, 1)
    if name == "Transpose":
        return [node(name, ["x"], ["y"], perm=[0, *(int(v) + 1 for v in rng.permutation(4))])], {}, shape
    if name == "Squeeze":
        axes = pick(rng, {"a": np.array([2])}, {"a": np.array([-1, 2])})
        return [node(name, ["x", "a"], ["y"])], axes, shape
    if name == "Unsqueeze":
        return [node(name, ["x", "a"], ["y"])], {"a": pick(rng, np.array([1, 3]), np.array([-1]))}, (4, 6)
    if name == "Flatten":
        return [node(name, ["x"], ["y"])], {}, shape
    if name == "Reshape":
        return [node(name, ["x", "s"], ["y"])], {"s": pick(rng, np.array([0, 2, -1]), np.array([-1, 24]))}, shape
    if name == "Split":
        sizes = pick(rng, {"s": np.array([1, 3])}, {"s": np.array([2, 2])})
        return [node(name, ["x", "s"], ["p", "q"], axis=1), node("Concat", ["q", "p"], ["y"], axis=1)], sizes, shape
    bounds = pick(rng, ([1], [3], [1], [1]), ([-1, 5], [-9, 0], [1, 3], [-2, -1]), ([0, 1], [99, 99], [1, -2], [3, 2]))
    names = dict(zip("seat", map(np.array, bounds), strict=True))
    return [node(name, ["x", *"seat"], ["y"])], names, shape


@case("DepthToSpace", "SpaceToDepth", count=4)
def blocks(rng, name):
    mode = {"mode": pick(rng, "DCR", "CRD")} if name == "DepthToSpace" else {}
    return [node(name, ["x"], ["y"], blocksize=2, **mode)], {}, (8, 4, 6)


@case("Resize nearest", "Resize linear", count=30, sqnr=28)
def resize(rng, name):
    mode = name.split()[1]
    size = [int(v) for v in rng.integers(2, 9, 2)]
    attributes = {
        "mode": mode,
        "coordinate_transformation_mode": pick(rng, "half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"),
    }
    if mode == "nearest":
        attributes["nearest_mode"] = pick(rng, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    if rng.integers(2):
        sizes = np.array([2, 3, *rng.integers(1, 16, 2)])
        return [node("Resize", ["x", "", "", "s"], ["y"], **attributes)], {"s": sizes}, (3, *size), {"batch": 2}
    scales = np.array([1, 1, *(pick(rng, 0.5, 1, 2, 3, 1.5) for _ in range(2))], np.float32)
    return [node("Resize", ["x", "", "s"], ["y"], **attributes)], {"s": scales}, (3, *size)


@case("Upsample", count=4)
def upsample(rng, name):
    scales = np.array([1, 1, 2, 3], np.float32)
    return [node(name, ["x", "s"], ["y"], mode=pick(rng, "nearest", "linear"))], {"s": scales}, (3, 4, 5), {"opset": 9}


@case("Softmax", count=8)
def softmax(rng, name):
    """In the middle, where it must be integers, and at the end, where it is float."""
    nodes = [node("Softmax", ["x"], ["s"], axis=pick(rng, 1, 2, -1)), node("Relu", ["s"], ["y"])]
    options = {"opset": pick(rng, 11, 13)}
    if rng.integers(2):
        nodes = [node("Softmax", ["x"], ["y"], axis=pick(rng, 1, 2, -1))]
    return nodes, {}, pick(rng, (7, 3), (3, 4, 2)), options


@case("InstanceNormalization", "LayerNormalization", "GroupNormalization", "LRN", count=8, sqnr=28)
def normalisations(rng, name):
    shape = pick(rng, (8, 6, 5), (8, 7), (4, 3, 3, 2))
    nodes = [node("Identity", ["x"], ["a"])]
    if len(shape) == 3 and rng.integers(2):
        nodes = [node("Conv", ["x", "w"], ["a"])]
    epsilon = float(pick(rng, 1e-5, 1e-2))
    if name == "LRN":
        options = {"size": pick(rng, 1, 3, 5, 9), "alpha": pick(rng, 1e-4, 0.3), "beta": pick(rng, 0.75, 1.5)}
        return [*nodes, node(name, ["a"], ["y"], bias=2.0, **options)], {"w": f32(rng, 8, 8, 1, 1)}, (8, 6, 5)
    axis, recent = int(rng.integers(1, len(shape) + 1)), int(rng.integers(2))
    groups = 2
    options = {"epsilon": epsilon}
    size, opset = (shape[0],), 17
    if name == "LayerNormalization":
        size, options["axis"] = shape[axis - 1 :], pick(rng, axis, axis - len(shape) - 1)
    if name == "GroupNormalization":
        size, opset, options["num_groups"] = (shape[0],) if recent else (groups,), 21 if recent else 18, groups
    weights = {"s": rng.uniform(0.5, 2, size).astype(np.float32), "b": f32(rng, *size), "w": f32(rng, 8, 8, 1, 1)}
    return [*nodes, node(name, ["a", "s", "b"], ["y"], **options)], weights, shape, {"opset": opset}


@case("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Where", "Not", "And", "Or", count=6, sqnr=12)
def masks(rng, name):
    """Of a constant, of two tensors, of a map; what is chosen by a mask, which may be of another tensor."""
    ops = ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")
    op = name if name in ops else pick(rng, *ops)
    nodes = [node("Conv", ["x", "v"], ["a"]), node("Conv", ["x", "w"], ["b"])]
    nodes += [node(op, [*pick(rng, ["a", "k"], ["k", "a"], ["a", "b"], ["a", "m"])], ["c"])]
    nodes += [node("Less", ["b", "k"], ["d"])]
    if name == "Not":
        nodes += [node("Not", ["c"], ["c1"])]
    if name in ("And", "Or"):
        nodes += [node(name, ["c", "d"], ["c1"])]
    nodes += [node("Where", [nodes[-1].output[0], *pick(rng, ["a", "b"], ["b", "k"], ["k", "a"], ["m", "b"])], ["y"])]
    weights = {"v": f32(rng, 4, 3, 1, 1), "w": f32(rng, 4, 3, 1, 1), "k": np.float32(0.2), "m": f32(rng, 1, 6, 5)}
    return nodes, weights, (3, 6, 5)


@case("LogSoftmax", "ArgMax", count=8, sqnr=10)  # places of values that are nearly equal may change
def ends(rng, name):
    """At the end only; with and without a softmax before the largest value is looked for."""
    axis, flags = pick(rng, 1, 2, -1), {}
    nodes = [node("Conv", ["x", "w"], ["c"])]
    if name == "ArgMax":
        flags = {"keepdims": int(rng.integers(2)), "select_last_index": int(rng.integers(2))}
        nodes += [node(pick(rng, "Softmax", "LogSoftmax", "Identity"), ["c"], ["d"])]
        nodes[-1].attribute.extend([] if nodes[-1].op_type == "Identity" else [helper.make_attribute("axis", axis)])
    nodes += [node(name, [nodes[-1].output[0]], ["y"], axis=axis, **flags)]
    kinds = {"kind_out": TensorProto.INT64} if name == "ArgMax" else {}
    return nodes, {"w": f32(rng, 12, 3, 1, 1)}, (3, 6, 5), kinds


@pytest.fixture(scope="module")
def device():
    with zeroskip.open_device("model", "tiny") as opened:
        yield opened


def signal_to_noise(exact, found) -> float:
    noise = np.square(found.astype(float) - exact).sum()
    return 10 * np.log10(np.square(exact, dtype=float).sum() / noise) if noise else np.inf


@pytest.mark.parametrize("name", CASES)
def test_operator(name, device):
    function, count, least = CASES[name]
    rng = np.random.default_rng(sum(map(ord, name)))
    for _ in range(count):
        nodes, weights, shape, *options = function(rng, name) if function.__code__.co_argcount > 1 else function(rng)
        options = options[0] if options else {}
        tables = options.pop("tables", None)
        data = model(nodes, weights, shape, **options)
        x = f32(rng, options.get("batch", 3), *shape)
        want, graph = run_onnx(data, x), import_onnx(data)
        what = f"{nodes[-1]}{shape} { ({k: v.shape for k, v in weights.items()}) }"
        np.testing.assert_allclose(graph.run(x), want, rtol=1e-4, atol=1e-5, err_msg=what)
        assert tables in (None, len(graph.nodes)), what
        compiled = zeroskip.compile(data, "tiny", x, scale_rule="max_abs", per="channel")
        outputs = compiled.reference(x)
        assert outputs.shape == want.shape, what
        assert signal_to_noise(want, outputs) > least, what
        assert (compiled.run(device, x).outputs == outputs).all(), what


@pytest.mark.parametrize("name", [*ALPHA, *FUNCTIONS, "Exp", "Log", "Sqrt", "Reciprocal", "Floor", "Ceil", "Sign"])
def test_tables_are_the_function_of_what_the_integers_stand_for(name):
    """Within half a step of onnxruntime's result for the same input, everywhere."""
    rng = np.random.default_rng(11)
    values = {"alpha": float(rng.uniform(0.1, 1.5))} if name in ALPHA else {}
    above_0 = name in ("Log", "Sqrt", "Reciprocal")
    data = model([node(name, ["x"], ["y"], **values)], {}, (3, 40, 5), opset=RECENT.get(name, 17))
    x = f32(rng, 2, 3, 40, 5, scale=2)
    x = np.abs(x) + np.float32(0.2) if above_0 else x
    wider = np.concatenate([x * np.float32(1.2), x / np.float32(1.2)])  # so that nothing saturates
    compiled = zeroskip.compile(data, "tiny", wider)
    quants = [compiled.tensors[tensor].quant for tensor in (compiled.input, compiled.output)]
    seen = quants[0].dequantise(quants[0].quantise(x))
    want = run_onnx(data, np.maximum(seen, np.float32(quants[0].scale)) if above_0 else seen)
    assert np.abs(compiled.reference(x) - want).max() <= quants[1].scale / 2 + 1e-6 * np.abs(want).max()


def test_what_has_no_real_value_is_said_and_0():
    x = f32(np.random.default_rng(12), 4, 3, 6, 5)
    with pytest.warns(UserWarning, match="Sqrt node 'root': some of its inputs have no real result"):
        compiled = zeroskip.compile(model([node("Sqrt", ["x"], ["y"], name="root")], {}, (3, 6, 5)), "tiny", x)
    outputs = compiled.reference(x)
    assert (outputs[x < 0] == 0).all() and outputs[x > 0.1].all()


def test_quantised_mean_is_its_definition():
    """QLinearReduceMean, which onnxruntime has no kernel for, as ReduceMean between its scales."""
    scales = {"s": np.float32(0.05), "z": np.uint8(100), "t": np.float32(0.02), "u": np.uint8(128)}
    ends = [node("QuantizeLinear", ["x", "s", "z"], ["q"])], [node("DequantizeLinear", ["r", "t", "u"], ["y"])]
    options = {"axes": [2, 3], "keepdims": 1}
    real = [
        node("DequantizeLinear", ["q", "s", "z"], ["d"]), node("ReduceMean", ["d"], ["m"], **options),
        node("QuantizeLinear", ["m", "t", "u"], ["r"]),
    ]  # fmt: skip
    one = node("QLinearReduceMean", ["q", "s", "z", "t", "u"], ["r"], domain="com.microsoft", **options)
    x = f32(np.random.default_rng(5), 6, 3, 5, 7)
    compiled = [zeroskip.compile(model([*ends[0], *mid, *ends[1]], scales, (3, 5, 7)), "tiny") for mid in ([one], real)]
    outputs = [each.reference(x) for each in compiled]
    np.testing.assert_array_equal(*outputs)
    want = run_onnx(model([*ends[0], *real, *ends[1]], scales, (3, 5, 7)), x)
    assert np.abs(outputs[0] - want).max() <= 0.0201 and np.ptp(want) > 0.2


def test_every_operator_has_a_case():
    """QuantizeLinear and DequantizeLinear have test_quantised_import.py, and so have the quantised forms; what is on
    constants only has test_constants.py."""
    assert {name.split()[0] for name in CASES} == set(OPERATORS) - {"QuantizeLinear", "DequantizeLinear"}


def test_every_operator_is_documented():
    """docs/operators.md names what the importer takes, and nothing else that ends up on a list."""
    page = (Path(__file__).parents[2] / "docs" / "operators.md").read_text()
    table = " ".join(line.split("|")[1] for line in page.splitlines() if line.count("|") == 4)
    named = set(re.findall(r"\b[A-Z][A-Za-z]+\d?\b", table)) - {"NHWC", "U"}
    assert {*OPERATORS, *FORMS, *QONNX} - {"IntQuant"} <= named
    others = named - {*OPERATORS, *FORMS, *QONNX, "ONNX", "SiLU", "QCDQ", "QONNX"}
    assert others == set(filter(foldable, others))
