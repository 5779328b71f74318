"""Folding: what need not be a node of its own becomes part of its neighbours.

Transposes that cancel go; batch normalisation and other affine nodes move into convolutions; zero
padding into the convolution that follows; clips into their producers; functions of functions into
one table; and the rounding an already quantised file asks for into the node that rounds anyway.  An
affine node that nothing absorbs becomes a 1x1 convolution with one weight per channel, which is exact
and runs on the engine.
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from ..runtime.nodes import ENDS
from .functions import joined
from .graph import PICKING, Graph, Node, slices
from .layout import sink_transposes
from .wide_weights import narrowed

CLIPPED = ("conv", "affine", "add", "mul", "average_pool")
"""Operators that a following clip can be fused into: those that rescale their result anyway."""


_COMBINED = ("add", "mul", "div", "max", "min", "where")
"""Operators of several tensors; of functions of one tensor they are a function, too."""


def transparent(node: Node) -> bool:
    """Whether a node commutes with a clip and with rounding."""
    if node.op == "resize":
        return not (node.attrs["rows"][2].any() or node.attrs["columns"][2].any())
    return node.op in ("max_pool", "reshape", "transpose", "slice")


def fold(graph: Graph) -> Graph:
    """Fold what can be folded; changes the graph in place and returns it."""
    sink_transposes(graph)
    folder = _Folder(graph)
    for op, rule in (
        ("reshape", folder.useless_reshape),
        (tuple(_COMBINED), folder.combined_to_table),
        ("clip", folder.clip_before_rounding),
        ("affine", folder.affine_into_producer),
        ("affine", folder.affine_into_conv),
        ("table", folder.into_table),
        ("affine", folder.into_table),
        ("affine", folder.affine_to_conv),
        ("clip", folder.clip_into_producer),
        ("clip", folder.into_table),
        ("quantise", folder.rounding_of_input),
        ("quantise", folder.rounding_into_producer),
        ("quantise", folder.into_table),
        ("reshape", folder.useless_reshape),  # what stood between may be gone
        ("pad", folder.pad_after_transpose),
        ("pad", folder.pad_into_conv),
    ):
        for node in list(graph.nodes):
            if node.op in (op if isinstance(op, tuple) else (op,)) and node not in folder.removed:
                rule(node)
        graph.nodes = [node for node in graph.nodes if node not in folder.removed]
    _drop_unread(graph)
    narrowed(graph)
    _warn_of_roundings(graph)
    read = {name for node in graph.nodes for name in node.inputs}
    for node in graph.nodes:
        last = node.output in folder.ends and node.output not in read and node.output not in graph.quants
        if node.op == "softmax" and not last:
            node.op = "integer_softmax"
    return graph


def _picks(node: Node) -> bool:
    """Whether a node's values are its inputs' as they are; a resize's are, where nothing lies between two places."""
    if node.op == "resize":
        return not any(np.asarray(node.attrs[axis])[2].any() for axis in ("rows", "columns"))
    return node.op in ("max_pool", "slice", "reshape", "transpose", "concat")


def _warn_of_roundings(graph: Graph) -> None:
    """Of tensors that the file rounds in some places to one scale and in others to another, or not at all."""
    made = {node.output: node for node in graph.nodes}

    def scale(name: str):
        """The file's scale and zero point of a tensor: its own, or that of all it is picked from; None: it has none."""
        if name in graph.quants or name not in made or not _picks(made[name]):
            return graph.quants.get(name)
        first, *others = map(scale, made[name].inputs)
        return first if all(other == first for other in others) else None

    for node in graph.nodes:
        if node.op == "quantise" and scale(node.inputs[0]) is None:
            warnings.warn(
                f"{node.label} node {node.name!r}: its input {node.inputs[0]!r} is read elsewhere with another "
                f"scale, or in float; zeroskip rounds it to a scale of its own first, so results may differ from the "
                f"file's by a step or two. Quantise the tensor once, with one scale",
                stacklevel=2,
            )


def _drop_unread(graph: Graph) -> None:
    needed = graph.output_tensors
    for node in reversed(graph.nodes):
        if node.output in needed:
            needed.update(node.inputs)
    graph.nodes = [node for node in graph.nodes if node.output in needed]
    graph.shapes = {name: shape for name, shape in graph.shapes.items() if name in needed or name == graph.input}
    graph.quants = {name: quant for name, quant in graph.quants.items() if name in graph.shapes}


class _Folder:
    """Who computes and who reads every tensor, kept true while nodes vanish."""

    def __init__(self, graph: Graph) -> None:
        _drop_unread(graph)
        self.graph, self.ends = graph, graph.output_tensors
        self.producers, self.readers = graph.links()
        self.removed: set[Node] = set()

    def only_reader(self, tensor: str) -> Node | None:
        readers = self.readers[tensor]
        return readers[0] if len(readers) == 1 and tensor not in self.ends else None

    def producer_for(self, node: Node) -> Node | None:
        """The producer of a node's input, if nothing else reads that and the file does not round it."""
        producer = self.producers.get(node.inputs[0])
        if producer is None or self.only_reader(producer.output) is not node or producer.output in self.graph.quants:
            return None
        return producer

    def drop(self, node: Node) -> None:
        """Remove a node: the producer of its input, which nothing else reads, computes its output instead."""
        producer = self.producers.pop(node.inputs[0])
        producer.output = node.output
        self.producers[node.output] = producer
        self.removed.add(node)

    def bypass(self, node: Node) -> bool:
        """Remove a node: its readers read its input instead.  Not at an output of the network."""
        if node.output in self.ends:
            return False
        self._redirect(node, node.inputs[0])
        return True

    def _redirect(self, node: Node, tensor: str) -> None:
        self.readers[node.inputs[0]].remove(node)
        for reader in set(self.readers[node.output]):
            reader.inputs = [tensor if name == node.output else name for name in reader.inputs]
        self.readers[tensor] += self.readers[node.output]
        self.readers[node.output] = []
        self.removed.add(node)

    # -- shapes --------------------------------------------------------------------------------------
    def useless_reshape(self, node: Node) -> None:
        """To the shape it has already, or after another reshape."""
        producer = self.producers.get(node.inputs[0])
        if producer is not None and producer.op == "reshape" and producer not in self.removed:
            self.readers[producer.output].remove(node)
            node.inputs = list(producer.inputs)
            self.readers[node.inputs[0]].append(node)
            if not self.readers[producer.output] and producer.output not in self.ends:
                self.readers[producer.inputs[0]].remove(producer)
                self.removed.add(producer)
        if self.graph.shapes[node.inputs[0]] == self.graph.shapes[node.output]:
            self.bypass(node)

    def pad_after_transpose(self, node: Node) -> None:
        """Swap a pad and the transpose that follows it, so that the pad meets the convolution."""
        turn = self.only_reader(node.output)
        if turn is None or turn.op != "transpose" or node.output in self.graph.quants:
            return
        perm, padding, before = turn.attrs["perm"], node.attrs["padding"], self.graph.shapes[node.inputs[0]]
        node.op, node.attrs = "transpose", {"perm": perm}
        turn.op, turn.attrs = "pad", {"padding": tuple(padding[half + a] for half in (0, len(perm)) for a in perm)}
        node.name, node.label, turn.name, turn.label = turn.name, turn.label, node.name, node.label
        self.graph.shapes[node.output] = tuple(before[axis] for axis in perm)

    def pad_into_conv(self, node: Node) -> None:
        readers, padding = self.readers[node.output], node.attrs["padding"]
        maps = len(self.graph.shapes[node.output]) == 3 and not (padding[0] or padding[3])
        if not maps or not all(reader.op == "conv" for reader in readers) or not self.bypass(node):
            return
        for conv in readers:
            before = conv.attrs["padding"]
            conv.attrs["padding"] = tuple(a + b for a, b in zip(before, (*padding[1:3], *padding[4:6]), strict=True))

    # -- affine nodes --------------------------------------------------------------------------------
    def affine_into_producer(self, node: Node) -> None:
        """y = a (W x + b) + c: scale the filters.  Two affine nodes merge in the same way."""
        producer, moves = self.producer_for(node), []
        while producer is not None and producer.op in ("reshape", "transpose", "slice"):
            moves.append(producer)
            producer = self.producer_for(producer)
        if producer is not None and producer.op == "average_pool" and node.weight.size == 1 and node.weight[0] > 0:
            if not moves and not node.bias.any() and "clip" not in producer.attrs:
                producer.weight = producer.weight * node.weight[0]
                self.drop(node)
            return
        if producer is None or producer.op not in ("conv", "affine") or "clip" in producer.attrs:
            return
        scale, offset = node.weight, node.bias
        if moves and scale.size + offset.size > 2:
            channels = self._channels_before(moves)
            if channels is None:
                return
            scale, offset = (values if values.size == 1 else values[channels] for values in (scale, offset))
        if producer.op == "conv":
            scale = np.broadcast_to(scale, producer.bias.shape)
            producer.weight = producer.weight * scale.reshape(-1, 1, 1, 1)
            producer.given = producer.given and producer.given.scaled(scale, offset)
        else:
            producer.weight = producer.weight * scale
        producer.bias = producer.bias * scale + offset
        self.drop(node)

    def _channels_before(self, moves: list[Node]) -> np.ndarray | None:
        """The channel behind some moves of values that each channel before them ends up in; None: in several.

        Args:
            moves: reshapes, transposes and slices, the last one first.
        """
        shape = self.graph.shapes[moves[0].output]
        found = np.broadcast_to(np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)), shape)
        for move in moves:  # backwards: of every element, the channel it ends up in; -1: it is cut off
            before = self.graph.shapes[move.inputs[0]]
            if move.op == "reshape":
                found = found.reshape(before)
            elif move.op == "transpose":
                found = found.transpose(np.argsort(move.attrs["perm"]))
            else:
                whole = np.full((1, *before), -1)
                whole[slices(move.attrs)] = found
                found = whole[0]
        found = found.reshape(len(found), -1)
        channels = found.max(axis=1)
        alike = (found == channels[:, None]) | (found < 0)
        return channels.clip(0) if alike.all() else None

    def affine_into_conv(self, node: Node) -> None:
        """W (a x + c) + b; with padding only if c = 0, since the padding's zeros would have to shift too."""
        conv = self.only_reader(node.output)
        if conv is None or conv.op != "conv" or conv.given or (any(conv.attrs["padding"]) and node.bias.any()):
            return
        channels = self.graph.shapes[node.output][0]
        scale, offset = (np.broadcast_to(v, (channels,)) for v in (node.weight, node.bias))
        groups, per_group = conv.attrs["groups"], conv.weight.shape[1]
        group = np.arange(len(conv.weight)) // (len(conv.weight) // groups)
        taken = group[:, None] * per_group + np.arange(per_group)  # (K, C/groups): input channel of each weight
        conv.bias = conv.bias + (conv.weight.sum(axis=(2, 3)) * offset[taken]).sum(axis=1)
        conv.weight = conv.weight * scale[taken][:, :, None, None]
        self.bypass(node)

    def affine_to_conv(self, node: Node) -> None:
        shape = self.graph.shapes[node.output]
        channels = shape[0]
        node.op = "conv"
        node.weight = np.broadcast_to(node.weight, (channels,)).reshape(channels, 1, 1, 1).copy()
        node.bias = np.broadcast_to(node.bias, (channels,)).copy()
        node.attrs |= {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": channels}
        if len(shape) not in (1, 3):
            self._as_maps(node, (channels, 1, math.prod(shape[1:])))

    def _as_maps(self, node: Node, maps) -> None:
        """Put reshapes around a node, so that it works on (C, 1, L)."""
        graph, shape = self.graph, self.graph.shapes[node.output]
        names = []
        for what in ("in", "out"):
            name = f"{node.output}/{what}"
            while name in graph.shapes:
                name += "'"
            graph.shapes[name], self.readers[name] = maps, []
            names.append(name)
        before = Node("reshape", f"{node.name}/in", list(node.inputs), names[0], {"shape": maps}, label=node.label)
        after = Node("reshape", f"{node.name}/out", [names[1]], node.output, {"shape": shape}, label=node.label)
        readers = self.readers[node.inputs[0]]
        readers[readers.index(node)] = before
        self.readers[names[0]], self.readers[names[1]] = [node], [after]
        node.inputs, node.output = [names[0]], names[1]
        self.producers |= {names[0]: before, names[1]: node, after.output: after}
        at = graph.nodes.index(node)
        graph.nodes[at : at + 1] = [before, node, after]

    # -- functions -----------------------------------------------------------------------------------
    def combined_to_table(self, node: Node) -> None:
        """x * f(x), f(x) / g(x) and the like, as SiLU and spelled-out GELU have them, are one function of x."""
        if "clip" in node.attrs:
            return
        first, *others = (self._functions_of(name) for name in node.inputs)
        x = next((name for name in first if all(name in other for other in others)), None)
        if x is None:
            return
        for name in node.inputs:
            self.readers[name].remove(node)
        for name in node.inputs:
            while name != x and self.producers[name] not in self.removed:
                producer = self.producers[name]
                self.removed.add(producer)
                name = producer.inputs[0]
                self.readers[name].remove(producer)
        self.readers[x].append(node)
        op = "sub" if node.attrs.get("signs") == (1, -1) else node.op
        node.op, node.inputs, node.attrs = "table", [x], {"chain": (*first[x], (op, *(other[x] for other in others)))}

    def _functions_of(self, name: str) -> dict[str, tuple]:
        """Tensors that a tensor is a function of, nearest first -> that function; what is between has no reader."""
        found, chain = {name: ()}, ()
        while name in self.producers and self.only_reader(name) is not None and name not in self.graph.quants:
            steps = _steps(self.producers[name])
            if steps is None:
                break
            chain = joined(steps, chain)
            name = self.producers[name].inputs[0]
            found[name] = chain
        return found

    def into_table(self, node: Node) -> None:
        """A function of one number after a table (or, when rounded, after a clip) is part of it."""
        steps, producer = _steps(node), self.producer_for(node)
        if steps is None or producer is None:
            return
        if producer.op == "clip" and node.op == "quantise":
            producer.attrs = {"chain": _steps(producer)}
            producer.op = "table"
        elif producer.op != "table" or (node.weight is not None and node.weight.size > 1):
            return
        producer.attrs["chain"] = joined(producer.attrs["chain"], steps)
        self.drop(node)

    # -- clips and rounding --------------------------------------------------------------------------
    def clip_before_rounding(self, node: Node) -> None:
        """A clip of integers comes before their rounding: its bounds are among them, and what is before can clip.

        Not at the network's input, which is rounded first, whatever follows.
        """
        rounding, quants = self.producers.get(node.inputs[0]), self.graph.quants
        if rounding is None or rounding.op != "quantise" or self.only_reader(rounding.output) is not node:
            return
        quant = quants.get(node.output)
        if quant is None or rounding.inputs[0] not in self.producers or quants[rounding.output] != quant:
            return
        low, high = node.attrs["low"], node.attrs["high"]
        del quants[rounding.output]
        rounding.op, rounding.attrs, node.op, node.attrs = "clip", {"low": low, "high": high}, "quantise", {}
        rounding.name, rounding.label, node.name, node.label = node.name, node.label, rounding.name, rounding.label

    def clip_into_producer(self, node: Node) -> None:
        """The producer may lie before pools and reshapes, which commute with a clip."""
        producer = self.producer_for(node)
        while producer is not None:
            if producer.op in CLIPPED:
                low, high = producer.attrs.get("clip", (-math.inf, math.inf))
                bounds = node.attrs["low"], node.attrs["high"]
                producer.attrs["clip"] = tuple(min(max(v, bounds[0]), bounds[1]) for v in (low, high))
                self.drop(node)
                return
            producer = self.producer_for(producer) if transparent(producer) else None

    def rounding_of_input(self, node: Node) -> None:
        """The network's input, if all that read it round it alike, is quantised that way to begin with."""
        graph, quant, readers = self.graph, self.graph.quants[node.output], list(self.readers[self.graph.input])
        if node not in readers or graph.input in self.ends or graph.quants.get(graph.input, quant) != quant:
            return
        if all(r.op == "quantise" and graph.quants[r.output] == quant and r.output not in self.ends for r in readers):
            graph.quants[graph.input] = quant
            for reader in readers:
                self.bypass(reader)

    def rounding_into_producer(self, node: Node) -> None:
        """Rounding moves before what only picks values, to the node that rescales; rounding again changes nothing."""
        graph, quant, name = self.graph, self.graph.quants[node.output], node.inputs[0]
        for other in list(self.readers[name]):
            alike = other.op == "quantise" and graph.quants[other.output] == quant
            if alike and other is not node and other.output not in self.ends:
                self._redirect(other, node.output)
        picked = []
        while name not in graph.quants:
            producer = self.producers.get(name)
            if producer is None or self.only_reader(name) is None:
                return
            picked.append(name)
            if producer.op not in PICKING or producer.op in ENDS:
                break
            if not transparent(producer) and producer.op != "pad":
                return
            name = producer.inputs[0]
        if graph.quants.get(name, quant) != quant:
            return
        graph.quants |= dict.fromkeys(picked, quant)
        if picked:
            self.drop(node)
        else:
            self.bypass(node)


def _steps(node: Node) -> tuple | None:
    """A node as steps of a table's chain; None if it is no function of one number."""
    if node.op == "table" and (node.weight is None or node.weight.size == 1):
        return node.attrs["chain"]
    if node.op == "affine" and node.weight.size == node.bias.size == 1:
        return (("affine", float(node.weight[0]), float(node.bias[0])),)
    if node.op == "clip":
        return (("clip", node.attrs["low"], node.attrs["high"]),)
    return () if node.op == "quantise" else None
