"""No node of a file reaches the interpreter unless it fits its tensors."""

import dataclasses

import numpy as np
import pytest

import zeroskip
from onnx_models import f32, model, node
from quantised_models import many_operators
from test_import_fuzz import nhwc_network
from zeroskip.runtime import zsk, zsk_writer
from zeroskip.runtime.hostops import Quant
from zeroskip.runtime.node_check import check
from zeroskip.runtime.nodes import Tensor


@pytest.fixture(scope="module")
def models():
    rng = np.random.default_rng(0)
    networks = (many_operators, (3, 12, 12)), (nhwc_network, (8, 8, 3)), (of_two_tensors, (3, 6, 5))
    return [zeroskip.compile(data(rng), "tiny", f32(rng, 4, *shape)) for data, shape in networks]


def of_two_tensors(rng) -> bytes:
    weights = {"v": f32(rng, 4, 3, 1, 1), "w": f32(rng, 4, 3, 1, 1), "k": f32(rng, 1, 6, 5)}
    weights["s"] = f32(rng, 4)
    nodes = [node("Conv", ["x", "v"], ["a"]), node("Conv", ["x", "w"], ["b"]), node("Greater", ["x", "k"], ["g"])]
    nodes += [node("Conv", ["g", "v"], ["h"]), node("Where", ["h", "a", "b"], ["i"]), node("Max", ["i", "b"], ["m"])]
    nodes += [node("Min", ["m", "k"], ["n"]), node("Exp", ["n"], ["e"]), node("Div", ["a", "e"], ["d"])]
    nodes += [node("LRN", ["d"], ["l"], size=3), node("InstanceNormalization", ["l", "s", "s"], ["y"])]
    return model(nodes, weights, (3, 6, 5))


def find(models, op):
    return next((model, node) for model in models for node in model.nodes if node.op == op)


def change(node, key, value):
    """A node with one attribute or array changed; ``value`` may be a function of what is there."""
    fields = "attrs" if key in node.attrs else "arrays"
    there = getattr(node, fields)
    value = value(there[key].copy()) if callable(value) else value
    return dataclasses.replace(node, **{fields: {**there, key: value}})


def set_first(value):
    def setter(array):
        array.flat[0] = value
        return array

    return setter


CHANGES = [
    ("add", "shift", 0), ("add", "shift", 63), ("add", "low", -1), ("add", "multiplier", lambda m: m[:1]),
    ("mul", "multiplier", set_first(-1)), ("mul", "shift", set_first(0)),
    ("mul", "multiplier", lambda m: m.astype(np.int64)),
    ("concat", "axis", 3), ("concat", "axis", -1), ("concat", "axis", 1), ("concat", "shift", lambda s: s[:1]),
    ("table", "table", lambda t: t[:, 1:]), ("table", "table", lambda t: t.astype(np.int64)),
    ("table", "table", lambda t: np.repeat(t, 2, axis=0)), ("table", "table", lambda t: t[0]),
    ("resize", "rows", set_first(99)), ("resize", "rows", set_first(-1)), ("resize", "columns", lambda c: c[:2]),
    ("resize", "columns", lambda c: c + 2049), ("resize", "rows", lambda r: r[:, :1]),
    ("pad", "padding", (0, 0, -1, 0, 0, 1)), ("pad", "padding", (0, 0)), ("pad", "padding", (0, 0, 2**40, 0, 0, 0)),
    ("slice", "step", (0, 1, 1)), ("slice", "start", (9, 0, 0)), ("slice", "stop", (-2, 1, 1)), ("slice", "start", ()),
    ("transpose", "perm", (0, 0, 1)), ("transpose", "perm", (0, 1)), ("transpose", "perm", "021"),
    ("reshape", "shape", (1, 2)), ("softmax", "axis", 1), ("softmax", "axis", True), ("max_pool", "stride", (0, 1)),
    ("clip", "low", 256),
    ("div", "shift", set_first(45)), ("div", "multiplier", set_first(-1)), ("div", "multiplier", lambda m: m[:0]),
    ("max", "multiplier", lambda m: m[:1]), ("min", "shift", set_first(0)),
    ("constant", "value", lambda v: v[:, :1]), ("constant", "value", lambda v: v.astype(np.int64)),
    ("constant", "value", lambda v: v[:0]),
    ("where", "multiplier", lambda m: m[:1]), ("where", "shift", set_first(0)),
    ("lrn", "size", 0), ("lrn", "size", 2), ("lrn", "coarse", -1), ("lrn", "coarse", 5), ("lrn", "shift", 0),
    ("lrn", "table", lambda t: t[:-1]), ("lrn", "table", set_first(-1)), ("lrn", "table", lambda t: t.astype(np.int64)),
    ("normalise", "gain", set_first(np.inf)), ("normalise", "gain", lambda g: g[:2]),
    ("normalise", "offset", lambda o: o.ravel()), ("normalise", "epsilon", set_first(0)),
    ("normalise", "epsilon", set_first(np.nan)), ("normalise", "epsilon", lambda e: np.repeat(e, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("op", "key", "value"), CHANGES)
def test_what_does_not_fit_is_refused(models, op, key, value):
    if op == "clip":
        net = models[0]
        one = dataclasses.replace(find(models, "add")[1], op="clip", inputs=(net.input,), output=net.input, arrays={})
        one = dataclasses.replace(one, attrs={"low": 0, "high": 255})
    else:
        net, one = find(models, op)
    check(one, net.tensors)
    with pytest.raises((ValueError, TypeError)):
        check(change(one, key, value), net.tensors)


def test_integer_softmax_is_checked():
    quant = Quant(0.1)
    tensors = {"x": Tensor((5,), quant), "y": Tensor((5,), Quant(1 / 255))}
    table, levels = np.full(256, 2**22, np.int32), np.array([2**24], np.int64)
    fields = {"op": "integer_softmax", "name": "s", "label": "Softmax", "inputs": ("x",), "output": "y"}
    node = zsk.Node(**fields, attrs={"axis": 0}, arrays={"table": table, "levels": levels})
    check(node, tensors)
    for key, value in (
        ("table", table[1:]), ("table", set_first(0)), ("table", set_first(-1)), ("table", table + 1), ("axis", 1),
        ("levels", levels * 0), ("levels", levels << 20), ("levels", np.array([1, 1])),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"table|exponentials|axis|levels"):
            check(change(node, key, value), tensors)


def test_every_operator_survives_a_file(models):
    rng = np.random.default_rng(1)
    for net in models:
        images = f32(rng, 2, *net.input_shape)
        again = zsk.loads(zsk_writer.dumps(net))
        assert (again.reference(images) == net.reference(images)).all()
        assert zsk_writer.dumps(again) == zsk_writer.dumps(net)
