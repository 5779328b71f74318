"""Transposes: those around convolutions of NHWC-style graphs meet and vanish.

Every transpose is put off as long as possible.  A tensor is known as another one and the order its
axes would be in; operators that work element by element take the other one and pass the order on,
and a transpose is only made for what does not.  Two that cancel are never made.
"""

from __future__ import annotations

from dataclasses import replace

from .graph import Graph, Node

Order = tuple[int, ...]


def sink_transposes(graph: Graph) -> None:
    """Rebuild a graph's nodes with as few transposes as that takes; the input's and output's order stays."""
    sinker = _Sinker(graph)
    for node in graph.nodes:
        sinker.add(node)
    for output in graph.outputs:
        sinker.real(output.tensor)
    graph.nodes = sinker.nodes


class _Sinker:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self.late: dict[str, tuple[str, Order, Node]] = {}  # tensor -> (other tensor, order, its transpose)
        self.made: set[str] = set()

    def add(self, node: Node) -> None:
        if node.op == "transpose":
            self._put_off(node)
            return
        orders = {self.late[name][1] if name in self.late else None for name in node.inputs}
        order = orders.pop()
        if order is None or orders or not _by_element(node):
            for name in node.inputs:
                self.real(name)
            self.nodes.append(node)
            return
        # Work on the tensor before the transpose; the result is known as its transpose.
        shape = self.graph.shapes[node.output]
        base = f"{node.output}/{''.join(map(str, order))}"
        while base in self.graph.shapes:
            base += "'"
        self.graph.shapes[base] = tuple(shape[order.index(axis)] for axis in range(len(order)))
        if node.output in self.graph.quants:
            self.graph.quants[base] = self.graph.quants[node.output]
        attrs = node.attrs
        if node.op == "concat":
            attrs = {**attrs, "axis": order[attrs["axis"]]}
        self.nodes.append(replace(node, inputs=[self.late[name][0] for name in node.inputs], output=base, attrs=attrs))
        turn = Node("transpose", f"{node.name}/transpose", [base], node.output, {"perm": order}, label=node.label)
        self.late[node.output] = base, order, turn

    def _put_off(self, node: Node) -> None:
        name, order = node.inputs[0], tuple(node.attrs["perm"])
        if name in self.late:
            name, before, _ = self.late[name]
            order = tuple(before[axis] for axis in order)
        self.late[node.output] = name, order, replace(node, inputs=[name], attrs={"perm": order})

    def real(self, name: str) -> None:
        """Make a tensor that is needed as it is: by its transpose, or under its other name."""
        if name not in self.late or name in self.made:
            return
        base, order, node = self.late[name]
        self.made.add(name)
        if order == tuple(range(len(order))):
            node = replace(node, op="reshape", attrs={"shape": self.graph.shapes[base]})
        self.nodes.append(node)


def _by_element(node: Node) -> bool:
    if node.op in ("affine", "table"):
        return all(values is None or values.size == 1 for values in (node.weight, node.bias))
    return node.op in ("clip", "quantise", "add", "mul", "div", "max", "min", "where", "concat")
