"""Files in other words than the importer's: functions of their own, old operator sets; and the names of types."""

from __future__ import annotations

from ..errors import ModelError

OLDEST = 7
"""The operator set from which on the importer knows what operators mean; older files are converted to it."""


def dialect(proto):
    """A model with the functions it defines put in place of their calls, in an operator set of at least 7.

    Raises:
        ModelError: names that are no text, a function that calls itself, or an old operator that cannot be converted.
    """
    import onnx

    _check_text(proto.graph)
    if proto.functions:
        try:
            from onnx import inliner

            proto = inliner.inline_local_functions(proto)
        except Exception as error:  # the inliner raises several kinds on inconsistent functions
            raise ModelError(f"the functions that the file defines cannot be put in place ({error})") from error
    version = max([o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")], default=OLDEST)
    if 1 <= version < OLDEST:
        try:
            proto = onnx.version_converter.convert_version(_broadcast(proto), OLDEST)
        except Exception as error:  # the converter raises its own kinds
            raise ModelError(
                f"the file is of operator set {version}, and cannot be converted to {OLDEST} ({_reason(error)}); "
                f"export the network with operator set {OLDEST} or later"
            ) from error
    return proto


def _broadcast(proto):
    """Second operands whose first axis the file names (``axis``, until opset 6) with 1 in the axes that follow.

    The converter adds these axes in wrong places, and leaves PRelu's slopes, one per channel, without.
    """
    import onnx

    inferred = onnx.shape_inference.infer_shapes(proto)
    graph = inferred.graph
    values = [*graph.input, *graph.value_info, *graph.output]
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in values if v.type.tensor_type.HasField("shape")}
    ranks |= {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    nodes = []
    for place, node in enumerate(graph.node):
        axis = next((a.i for a in node.attribute if a.name == "axis"), None)
        slopes = node.op_type == "PRelu" and ranks.get(node.input[1]) == 1
        if slopes or (axis is not None and node.op_type in ("Add", "Sub", "Mul", "Div", "Pow")):
            rank, second = (ranks[name] for name in node.input[:2])
            axis = 1 if axis is None else axis + rank * (axis < 0)
            name = f"{node.input[1]}/axes{place}"
            axes = range(second, second + rank - axis - second)
            nodes.append(onnx.helper.make_node("Unsqueeze", [node.input[1]], [name], axes=[*axes]) if axes else None)
            kept = [a for a in node.attribute if a.name != "axis"]
            del node.attribute[:]
            node.attribute.extend(kept)
            node.input[1] = name if axes else node.input[1]
        nodes.append(node)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes if node is not None]
    del graph.node[:]
    graph.node.extend(nodes)
    return inferred


def type_name(kind: int) -> str:
    """What users call an ONNX element type."""
    from onnx import TensorProto

    try:
        name = TensorProto.DataType.Name(kind).lower()
    except ValueError:
        return f"unknown ({kind})"
    return {"float": "float32", "double": "float64"}.get(name, name)


def _reason(error: Exception) -> str:
    """The last words of the converter's first line; before them it names its own source files."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rsplit(": ", 1)[-1][:200]


def _check_text(graph) -> None:
    """protobuf hands out strings that are not UTF-8 as bytes, which nothing here expects."""
    texts = [value.name for values in (graph.initializer, graph.input, graph.output) for value in values]
    for node in graph.node:
        texts += [node.op_type, node.name, node.domain, *node.input, *node.output, *(a.name for a in node.attribute)]
    if bad := [text for text in texts if not isinstance(text, str)]:
        raise ModelError(f"a name in the file is not text ({bad[0][:40]!r}): the file is damaged")
