"""Read an ONNX file into a :class:`~zeroskip.compiler.graph.Graph`.

Everything in the file is distrusted: edges, types, sizes and numbers are checked here, and whatever
is wrong ends as one :class:`ModelError` that names the node.  What an operator means is in
``onnx_ops.py``; how its function looks at the file, in ``onnx_source.py``.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from ..errors import ModelError
from .fold import fold
from .graph import Graph, Node
from .onnx_constants import FOLDABLE, MAX_ELEMENTS, attributes, evaluate, read_tensor
from .onnx_ops import OPERATORS
from .onnx_source import Source


def import_onnx(model, input_shape: tuple[int, ...] | None = None) -> Graph:
    """Import a network and fold what can be folded.

    Args:
        model: path of an ONNX file, its bytes, or a loaded ``onnx.ModelProto``.
        input_shape: without the batch; needed when the file leaves sizes open.

    Raises:
        ModelError: not an ONNX file, a broken graph, or something zeroskip does not support.
    """
    return fold(Importer(_load(model), input_shape).graph())


def _load(model):
    import onnx
    from google.protobuf.message import DecodeError, Message

    if isinstance(model, onnx.ModelProto):
        return model
    name = "the ONNX bytes" if isinstance(model, (bytes, bytearray)) else str(model)
    try:
        if isinstance(model, (bytes, bytearray)):
            proto = onnx.load_model_from_string(bytes(model))
        else:
            path = Path(model)
            if not path.is_file():
                raise ModelError(f"{name}: no such file")
            proto = onnx.load(path)  # reads external data beside the file, and refuses paths outside
    except DecodeError as error:
        raise ModelError(f"{name}: not an ONNX file ({error})") from error
    except OSError as error:
        raise ModelError(f"{name}: cannot be read ({error.strerror or error})") from error
    except ModelError:
        raise
    except Exception as error:  # external data: onnx raises its own and plain errors for each kind of fault
        raise ModelError(f"{name}: cannot be loaded ({error})") from error
    if not isinstance(proto, Message) or not proto.graph.node:
        raise ModelError(f"{name}: not an ONNX file, or one without a graph")
    return proto


class Importer:
    """The state of one import: what is known about every ONNX tensor so far."""

    def __init__(self, proto, input_shape) -> None:
        self.proto = proto
        self.opset = max([o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")], default=1)
        self.constants: dict[str, np.ndarray] = {}
        self.names: dict[str, str] = {}  # ONNX tensor -> tensor of the graph
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.nodes: list[Node] = []
        self.batch = 1
        self._initializers()
        self.input = self._input(input_shape)
        outputs = [value.name for value in proto.graph.output]
        if len(outputs) != 1:
            raise ModelError(f"the network has {len(outputs)} outputs ({', '.join(outputs[:5])}); accepted: 1")
        self.output = outputs[0]

    def define(self, name: str, tensor: str, shape: tuple[int, ...]) -> None:
        self.names[name] = tensor
        self.shapes[tensor] = shape

    def graph(self) -> Graph:
        nodes = self._needed()
        sources = [Source(self, node, name) for node, name in zip(nodes, _unique_names(nodes), strict=True)]
        self._refuse_unsupported(sources)
        for source in sources:
            source.attributes = attributes(source)
            values = evaluate(source)
            if values is not None:
                self.constants.update(values)
                continue
            function = OPERATORS.get(source.op)
            if function is None:
                raise source.error(f"not computable at import; supported: {', '.join(sorted(OPERATORS))}")
            with np.errstate(all="ignore"):  # emit() refuses what is not finite, naming the node
                function(source)
        if self.output not in self.names or not self.nodes:
            raise ModelError(f"the output {self.output!r} does not depend on the input {self.input!r}")
        return Graph(self.nodes, self.names[self.input], self.names[self.output], self.shapes)

    # -- what the file declares ----------------------------------------------------------------------
    def _initializers(self) -> None:
        if self.proto.graph.sparse_initializer:
            raise ModelError("the network has sparse initializers; accepted: dense ones")
        for tensor in self.proto.graph.initializer:
            self.constants[tensor.name] = read_tensor(tensor, f"initializer {tensor.name!r}")

    def _input(self, given) -> str:
        inputs = [value for value in self.proto.graph.input if value.name not in self.constants]
        if len(inputs) != 1:
            names = ", ".join(repr(value.name) for value in inputs[:5])
            raise ModelError(f"the network has {len(inputs)} inputs ({names}) besides its weights; accepted: 1")
        name, dims = inputs[0].name, inputs[0].type.tensor_type.shape.dim
        kind = inputs[0].type.tensor_type.elem_type
        if kind not in (1, 10, 11):
            raise ModelError(f"input {name!r} is of ONNX type {kind}; accepted: float32, float16 or float64")
        sizes = [dim.dim_value for dim in dims]  # 0: left open
        if given is not None:
            if sizes and (
                len(sizes) != len(given) + 1 or any(s not in (0, g) for s, g in zip(sizes[1:], given, strict=True))
            ):
                raise ModelError(
                    f"input {name!r} is {_declared(dims)}, the images are (N, {', '.join(map(str, given))})"
                )
            sizes = [sizes[0] if sizes else 0, *given]
        if len(sizes) < 2 or any(size < 1 for size in sizes[1:]) or math.prod(sizes[1:]) > MAX_ELEMENTS:
            raise ModelError(
                f"input {name!r} is {_declared(dims)}; accepted: (N, ...) with known sizes: fix them in the file, "
                f"or give calibration images"
            )
        self.batch = max(1, sizes[0])
        self.define(name, name, tuple(int(s) for s in sizes[1:]))
        return name

    # -- the order of nodes --------------------------------------------------------------------------
    def _needed(self) -> list:
        """The nodes the output depends on, in an order in which every input is ready."""
        producer = {}
        for node in self.proto.graph.node:
            for name in filter(None, node.output):
                if name in producer or name in self.constants or name == self.input:
                    raise ModelError(f"tensor {name!r} is produced twice, once by {node.op_type} node {node.name!r}")
                producer[name] = node
        if self.output not in producer:
            raise ModelError(f"no node produces the output {self.output!r}")
        order, state, stack = [], {}, [producer[self.output]]
        while stack:
            node = stack[-1]
            if state.get(id(node)) == "done":
                stack.pop()
                continue
            waiting = []
            for name in filter(None, node.input):
                if name in producer:
                    if state.get(id(producer[name])) == "open":
                        raise ModelError(f"the graph has a cycle through {node.op_type} node {node.name!r} ({name!r})")
                    if id(producer[name]) not in state:
                        waiting.append(producer[name])
                elif name not in self.constants and name != self.input:
                    raise ModelError(f"{node.op_type} node {node.name!r}: nothing provides its input {name!r}")
            if waiting:
                state[id(node)] = "open"
                stack.extend(waiting[::-1])
            else:
                state[id(node)] = "done"
                order.append(node)
                stack.pop()
        return order

    def _refuse_unsupported(self, sources) -> None:
        """One error with all nodes that neither the registry nor constant folding handles."""
        constant = set(self.constants)
        bad = []
        for source in sources:
            inputs = list(filter(None, source.node.input))
            known = all(name in constant for name in inputs) or source.op == "Shape"
            if source.node.domain not in ("", "ai.onnx"):
                bad.append(f"{source.node.domain}.{source.op} ({source.name})")
            elif known and source.op in FOLDABLE:
                constant.update(source.node.output)
            elif source.op not in OPERATORS:
                bad.append(f"{source.op} ({source.name})")
        if bad:
            raise ModelError(
                f"{len(bad)} unsupported nodes: {', '.join(bad)}. Supported operators: {', '.join(sorted(OPERATORS))}; "
                f"on constants also: {', '.join(sorted(FOLDABLE - set(OPERATORS)))}"
            )


def _declared(dims) -> str:
    return "(" + ", ".join(str(d.dim_value or d.dim_param or "?") for d in dims) + ")" if dims else "without a shape"


def _unique_names(nodes) -> list[str]:
    """The nodes' own names where they have one; never two the same."""
    taken, names = set(), []
    for i, node in enumerate(nodes):
        name = node.name or (node.output[0] if node.output else "") or f"{node.op_type}_{i}"
        while name in taken:
            name += "'"
        taken.add(name)
        names.append(name)
    return names
