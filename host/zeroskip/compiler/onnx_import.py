"""Read an ONNX file into a :class:`~zeroskip.compiler.graph.Graph`.

Everything in the file is distrusted: edges, types, sizes and numbers are checked here, and whatever
is wrong ends as one :class:`ModelError` that names every node zeroskip cannot take.  What operators mean
is in the other ``onnx_*`` modules; how their functions look at the file, in ``onnx_source.py``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from ..errors import ModelError
from ..runtime.hostops import Quant
from ..runtime.nodes import OUTPUT_TYPES, Output
from . import (  # noqa: F401 (they register operators)
    onnx_arithmetic,
    onnx_elementwise,
    onnx_layers,
    onnx_normalise,
    onnx_qonnx,
    onnx_quantised,
    onnx_resize,
    onnx_shapes,
    onnx_transposed,
)
from .fold import fold
from .graph import Graph, Node
from .onnx_constants import MAX_ELEMENTS, Integers, attributes, evaluate, foldable, read_tensor
from .onnx_dialects import dialect, type_name
from .onnx_source import OPERATORS, Source

HINTS = {
    "ConvInteger": "quantise statically, not dynamically",
    "DynamicQuantizeLinear": "quantise statically, not dynamically",
    "MatMulInteger": "quantise statically, not dynamically",
    "If": "simplify the network (onnxsim) or export it without branches",
    "Loop": "export it without loops",
}
"""Ways out for operators that people meet and zeroskip does not compute."""


def import_onnx(model, input_shape: tuple[int, ...] | None = None, outputs: str | Sequence[str] | None = None) -> Graph:
    """Import a network and fold what can be folded.

    Args:
        model: path of an ONNX file, its bytes, or a loaded ``onnx.ModelProto``.
        input_shape: without the batch; needed when the file leaves sizes open.
        outputs: which tensors to compute, one or several; any tensors of the file will do.  Default: its outputs.

    Raises:
        ModelError: not an ONNX file, a broken graph, or something zeroskip does not support.
    """
    return fold(Importer(dialect(_load(model)), input_shape, outputs).graph())


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

    def __init__(self, proto, input_shape, outputs: str | Sequence[str] | None = None) -> None:
        self.proto = proto
        self.opset = max([o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")], default=1)
        self.constants: dict[str, np.ndarray] = {}
        self.integers: dict[str, Integers] = {}  # constants that are integers times scales
        self.changed: dict[str, str] = {}  # constants that were, and the node that changed them
        self.names: dict[str, str] = {}  # ONNX tensor -> tensor of the graph
        self.integer_names: set[str] = set()  # ONNX tensors that hold a quantised tensor's integers
        self.quants: dict[str, Quant] = {}  # tensor of the graph -> what the file says its integers mean
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.nodes: list[Node] = []
        self.batch = 1
        self.errors: list[str] = []
        self.refused: list[Source] = []  # nodes of unsupported operators
        self._originals: dict[str, str] = {}  # tensor between the parts of a node -> that node's output
        self._taken = {name for node in proto.graph.node for name in node.output}
        self._initializers()
        self.ended: dict[str, str] = {}  # ONNX tensor that only an output can be -> the operator it comes from
        self.input_type = "float32"
        self.undecided: Quant | None = None  # of an input of integers whose meaning has not been met
        self.input = self._input(input_shape)
        self.outputs = self._outputs(outputs)

    def remark(self, what: str) -> None:
        """Warn of something in the file that zeroskip does in its own way."""
        warnings.warn(what, stacklevel=2)

    def fresh(self, wish: str) -> str:
        """A tensor name that nothing in the file has."""
        while wish in self._taken or wish in self.constants or wish == self.input:
            wish += "'"
        self._taken.add(wish)
        return wish

    def graph(self) -> Graph:
        unknown: set[str] = set()  # ONNX tensors behind nodes that cannot be imported
        failed: set[str] = set()  # constants among them
        self.sources = self._sources()
        for source in self.sources:
            on_constants = all(name in self.constants or name in failed for name in filter(None, source.node.input))
            if unknown.intersection(source.node.input) and (source.op in OPERATORS or on_constants):
                unknown.update(source.node.output)
                failed.update(source.node.output if on_constants else ())
                continue
            try:
                self._read(source)
            except ModelError as error:
                self.errors.append(str(error))
                failed.update(source.node.output if on_constants else ())
                unknown.update(name for name in source.node.output if name in failed or not self._guess(name))
        if self.errors:
            raise ModelError(_all_of(self.errors) + self._where_to_cut())
        outputs = tuple(self._finished(name, dtype) for name, dtype in self.outputs.items())
        if not self.nodes:
            raise ModelError("the outputs are the input, or constants; accepted: at least one operator")
        return Graph(self.nodes, self.names[self.input], outputs, self.shapes, self.quants, self.input_type)

    def _finished(self, name: str, dtype: str) -> Output:
        if name not in self.names:
            raise ModelError(f"the output {name!r} does not depend on the input {self.input!r}")
        tensor = self.names[name]
        if name in self.integer_names:
            dtype = self.quants[tensor].dtype
        elif self.ended.get(name) == "ArgMax":
            dtype = dtype if dtype in OUTPUT_TYPES else "int64"
        elif dtype not in ("float32", "float16", "float64", "int32", "int64"):
            raise ModelError(
                f"output {name!r} is of type {dtype}, made of real numbers; accepted: float32, float16, float64, or "
                f"what QuantizeLinear or Cast make"
            )
        return Output(name, tensor, dtype)

    def _where_to_cut(self) -> str:
        """The way out where a tail cannot be computed: what is computed before it."""
        if not self.refused:
            return ""
        behind: set[str] = set()  # tensors behind a node that is refused
        before: list[str] = []
        for source in self.sources:
            if any(source is other for other in self.refused) or behind.intersection(source.node.input):
                before += [name for name in source.node.input if name in self.names and name not in behind]
                behind.update(source.node.output)
        before = [name for name in dict.fromkeys(before) if name != self.input and name in self._taken]
        if not before:
            return ""
        return (
            f". Or compute the network up to there, and the rest yourself: --outputs {' '.join(before[:6])}"
            f"{' ...' * (len(before) > 6)} (zeroskip.compile(..., outputs={before[:6]}))"
        )

    def _guess(self, name: str) -> bool:
        """Take a tensor's shape from ONNX's own inference, so that what follows can be checked, too.

        Only once an import has failed, for the sake of a complete message.
        """
        shape = self._inferred.get(self._originals.get(name, name))
        if shape is None or name in self.names:
            return False
        self.names[name], self.shapes[name] = name, shape
        return True

    @cached_property
    def _inferred(self) -> dict[str, tuple[int, ...]]:
        """ONNX tensor -> shape without the batch, where ONNX knows every size."""
        import onnx

        try:
            graph = onnx.shape_inference.infer_shapes(self.proto).graph
        except Exception:  # a file as broken as this has no shapes
            return {}
        found, first = {}, list(graph.input)
        batch = next((v.type.tensor_type.shape.dim[:1] for v in first if v.name == self.input), [])
        for value in graph.value_info:
            dims = value.type.tensor_type.shape.dim
            if len(dims) > 1 and dims[:1] == batch and all(0 < dim.dim_value <= MAX_ELEMENTS for dim in dims[1:]):
                found[value.name] = tuple(dim.dim_value for dim in dims[1:])
        return found

    def _sources(self) -> list[Source]:
        found = []
        nodes = self._needed()
        for node, name in zip(nodes, _unique_names(nodes), strict=True):
            label = node.op_type
            parts = [node]
            if onnx_quantised.is_quantised(node):
                parts = onnx_quantised.expand(node, name, self.fresh)
                self._originals |= {output: node.output[0] for part in parts for output in part.output}
            found += [Source(self, part, part.name if len(parts) > 1 else name, label) for part in parts]
        return found

    def _read(self, source: Source) -> None:
        source.attributes = attributes(source)
        if source.node.domain in ("", "ai.onnx") or source.op in ("QuantizeLinear", "DequantizeLinear"):
            values = evaluate(source)
            if values is not None:
                self.constants.update(values)
                return
            function = OPERATORS.get(source.op)
            if function is not None:
                with np.errstate(all="ignore"):  # emit() refuses what is not finite, naming the node
                    function(source)
                return
        if source.node.domain in onnx_qonnx.DOMAINS and source.op in onnx_qonnx.OPERATORS:
            with np.errstate(all="ignore"):
                onnx_qonnx.OPERATORS[source.op](source)
            return
        self.refused.append(source)
        domain = "" if source.node.domain in ("", "ai.onnx") else f"{source.node.domain}."
        hint = f": {HINTS[source.op]}" if source.op in HINTS and not domain else ""
        where = " on activations" if not domain and not hint and foldable(source.op) else ""
        raise ModelError(f"{domain}{source.op} node {source.name!r}: unsupported operator{where}{hint}")

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
        kind = type_name(inputs[0].type.tensor_type.elem_type)
        if kind not in ("float32", "float16", "float64", "uint8", "int8"):
            raise ModelError(
                f"input {name!r} is of type {kind}; accepted: float32, float16, float64, uint8 or int8. Export the "
                f"network with one of these"
            )
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
                f"input {name!r} is {_declared(dims)}; accepted: (N, ...) with known sizes: give them "
                f"(input_shape=..., --input-shape), or calibration images, or fix them in the file"
            )
        self.batch = max(1, sizes[0])
        self.names[name] = name
        self.shapes[name] = tuple(int(s) for s in sizes[1:])
        if kind in ("uint8", "int8"):
            self.input_type = kind
            self.integer_names.add(name)
            self.undecided = self.quants[name] = Quant(1.0, 0, kind)
        return name

    def decide(self, quant: Quant) -> None:
        """An input of integers turns out to be quantised like this."""
        if self.undecided is not None:
            alike = [name for name, found in self.quants.items() if found is self.undecided]
            self.quants |= dict.fromkeys(alike, quant)
            self.undecided = None

    def _outputs(self, wanted: str | Sequence[str] | None) -> dict[str, str]:
        """Name of every output -> the type of its numbers."""
        declared = {value.name: type_name(value.type.tensor_type.elem_type) for value in self.proto.graph.output}
        names = [wanted] if isinstance(wanted, str) else list(declared if wanted is None else wanted)
        for name in [] if wanted is None else names:
            if name not in self._taken or not name:
                raise ModelError(f"no tensor {name!r} in the network; its outputs: {', '.join(list(declared)[:20])}")
        if not names:
            raise ModelError("no outputs; accepted: at least one")
        return {name: declared.get(name, "undefined").replace("undefined", "float32") for name in names}

    # -- the order of nodes --------------------------------------------------------------------------
    def _needed(self) -> list:
        """The nodes the outputs depend on, in an order in which every input is ready."""
        producer = {}
        for node in self.proto.graph.node:
            for name in filter(None, node.output):
                if name in producer or name in self.constants or name == self.input:
                    raise ModelError(f"tensor {name!r} is produced twice, once by {node.op_type} node {node.name!r}")
                producer[name] = node
        for name in self.outputs:
            if name not in producer:
                raise ModelError(f"no node produces the output {name!r}")
        order, state, stack = [], {}, [producer[name] for name in self.outputs][::-1]
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


def _all_of(errors: list[str]) -> str:
    """One message for all nodes that cannot be taken."""
    message = errors[0] if len(errors) == 1 else f"{len(errors)} nodes cannot be imported: " + "; ".join(errors)
    if any("unsupported operator" in error for error in errors):
        message += (
            f". Supported operators: {', '.join(sorted({*OPERATORS, *onnx_quantised.FORMS}))}; on constants all "
            f"others but random ones and those with branches"
        )
    return message


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
