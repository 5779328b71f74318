"""Files in other words than the importer's: functions of their own, old operator sets; and the names of types."""

from __future__ import annotations

from ..errors import ModelError

OLDEST = 7
"""The operator set from which on operators broadcast as NumPy does; older files are rewritten."""

_NAMED_AXIS = ("Add", "And", "Div", "Equal", "Greater", "Less", "Mul", "Or", "Pow", "Sub")


def dialect(proto):
    """A model with the functions it defines put in place of their calls, and operators as in operator set 7.

    Raises:
        ModelError: names that are no text, a function that calls itself, or a second operand of unknown rank.
    """
    _check_text(proto.graph)
    if proto.functions:
        try:
            from onnx import inliner

            proto = inliner.inline_local_functions(proto)
            del proto.functions[:]  # one that calls itself is left, and ends the process in ONNX's shape inference
        except Exception as error:  # the inliner raises several kinds on inconsistent functions
            raise ModelError(f"the functions that the file defines cannot be put in place ({error})") from error
    version = max([o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")], default=OLDEST)
    return _modern(proto, version) if 1 <= version < OLDEST else proto


def _modern(proto, version: int):
    """A model of an operator set before 7 with every operator's attributes and shapes as from 7 on.

    onnx.version_converter puts axes in wrong places and ends the process on damaged files.
    """
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(proto)
    except Exception as error:  # onnx raises several kinds
        raise ModelError(f"a file of operator set {version} whose shapes are unknown ({error})") from error
    graph = inferred.graph
    values = [*graph.input, *graph.value_info, *graph.output]
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in values if v.type.tensor_type.HasField("shape")}
    ranks |= {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    nodes = []
    for place, node in enumerate(proto.graph.node):
        node = onnx.NodeProto.FromString(node.SerializeToString())
        named = {a.name: a for a in node.attribute}
        slopes = node.op_type == "PRelu" and len(node.input) > 1 and ranks.get(node.input[1]) == 1
        if slopes or ("axis" in named and node.op_type in _NAMED_AXIS):
            nodes += _followed_by_ones(node, ranks, named["axis"].i if "axis" in named else 1, version, place)
            _replace(node, "axis")
        elif node.op_type == "Upsample" and {"height_scale", "width_scale"} <= named.keys():
            scales = [1.0, 1.0, named["height_scale"].f, named["width_scale"].f]
            _replace(node, "height_scale", "width_scale", scales=scales)
        elif node.op_type == "Pad" and "paddings" in named:
            _replace(node, "paddings", pads=list(named["paddings"].ints))
        elif node.op_type == "Selu" and version < 6:
            _replace(node, **{"alpha": 1.6732, "gamma": 1.0507, **{name: a.f for name, a in named.items()}})
        nodes.append(node)
    found = onnx.ModelProto.FromString(proto.SerializeToString())
    del found.graph.node[:]
    found.graph.node.extend(nodes)
    return found


def _followed_by_ones(node, ranks: dict[str, int], axis: int, version: int, place: int) -> list:
    """What gives the second operand, which starts at an axis of the first, the axes that follow; changes the node."""
    import onnx

    if len(node.input) < 2 or any(name not in ranks for name in node.input[:2]):
        raise ModelError(
            f"{node.op_type} node {node.name!r}: attribute axis, as before operator set {OLDEST}, with an operand of "
            f"unknown rank; export the network with operator set {OLDEST} or later (this one is of {version})"
        )
    first, second = (ranks[name] for name in node.input[:2])
    axes = list(range(second, first - axis - first * (axis < 0)))
    if not axes or first > 64:
        return []
    name = f"{node.input[1]}/axes{place}"
    before, node.input[1] = node.input[1], name
    return [onnx.helper.make_node("Unsqueeze", [before], [name], axes=axes)]


def _replace(node, *names: str, **attributes) -> None:
    """Take attributes from a node and give it others."""
    import onnx

    kept = [a for a in node.attribute if a.name not in (*names, *attributes)]
    del node.attribute[:]
    node.attribute.extend([*kept, *(onnx.helper.make_attribute(name, value) for name, value in attributes.items())])


def type_name(kind: int) -> str:
    """What users call an ONNX element type."""
    from onnx import TensorProto

    try:
        name = TensorProto.DataType.Name(kind).lower()
    except ValueError:
        return f"unknown ({kind})"
    return {"float": "float32", "double": "float64"}.get(name, name)


def _check_text(graph) -> None:
    """protobuf hands out strings that are not UTF-8 as bytes, which nothing here expects."""
    texts = [value.name for values in (graph.initializer, graph.input, graph.output) for value in values]
    for node in graph.node:
        texts += [node.op_type, node.name, node.domain, *node.input, *node.output, *(a.name for a in node.attribute)]
    if bad := [text for text in texts if not isinstance(text, str)]:
        raise ModelError(f"a name in the file is not text ({bad[0][:40]!r}): the file is damaged")
