"""From a network's nodes to passes of the accelerator: what it runs without the host, and where it has to stop.

Operators that only say how a map is read (max-pool, nearest upsampling, padding, flattening, a share of the channels)
wait until somebody reads their result, and become part of that pass.  What cannot wait is a pass with an identity: one
weight of 1 per channel.  Every pass computes exactly what its nodes compute (``docs/numerics.md``).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from ..runtime.hostops import RANGE
from ..runtime.network import Model
from ..runtime.nodes import ENDS, Node, Tensor
from .passes import Cut, Pass, Residual, Segment, Source

BLOCK = 16
"""Channels of a block of a map; shares of a map begin at blocks."""

LARGEST_POOL = 3
"""Pixels along an axis that a max-pool on the way in may look at."""

_BYTES = ("uint8", "int8")


class _Cut(Exception):
    """The host has to do it; the message says why."""


@dataclass(frozen=True)
class _View:
    """How a tensor is read that no pass has written: another one, and what happens on the way.

    Args:
        source: the map in memory, and what loading does to it.
        shape: (C, H, W) after that.
        padding: zeros around it (top, left, bottom, right).
        clamped: rows and columns repeated behind the last ones, which only a max-pool can take.
    """

    source: Source
    shape: tuple[int, int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    clamped: tuple[int, int] = (0, 0)

    @property
    def plain(self) -> bool:
        """Nothing but the map, or a share of its channels."""
        return self.source.plain and not any(self.padding) and not any(self.clamped)


def segments_of(model: Model) -> tuple[list[Segment | Cut], dict[str, tuple[int, int, int]]]:
    """What the accelerator and the host do, in order, and the shape (C, H, W) of every map that is in memory."""
    return _Builder(model).build()


class _Builder:
    def __init__(self, model: Model) -> None:
        self.model, self.tensors = model, model.tensors
        self.views: dict[str, _View] = {}
        self.maps: dict[str, tuple[int, int, int]] = {}
        self.readers = Counter(name for node in model.nodes for name in node.inputs)
        self.readers.update(output.tensor for output in model.outputs)
        self.steps: list[Segment | Cut] = []
        self.made: list[Pass] = []  # of the node at hand

    def build(self) -> tuple[list[Segment | Cut], dict[str, tuple[int, int, int]]]:
        on_host = {self.model.input}
        for index, node in enumerate(self.model.nodes):
            before = dict(self.views), dict(self.maps)
            try:
                made_by = getattr(self, f"_{node.op}", None)
                if node.op in ENDS or made_by is None:
                    raise _Cut(f"the accelerator has no {node.label}")
                for name in node.inputs:
                    self._view(name)
                made_by(node)
            except _Cut as cut:
                self.made, (self.views, self.maps) = [], before
                for name in node.inputs:
                    if name not in on_host:
                        self._written(name)
                self._append(self.made)
                self.steps.append(Cut(index, str(cut)))
                on_host.add(node.output)
                continue
            self._append(self.made)
        for output in self.model.outputs:
            if output.tensor not in on_host:
                self._written(output.tensor)
        self._append(self.made)
        self._ends(on_host)
        return self.steps, self.maps

    def _append(self, passes: list[Pass]) -> None:
        if passes and not (self.steps and isinstance(self.steps[-1], Segment)):
            self.steps.append(Segment())
        if passes:
            self.steps[-1].passes += passes
        self.made = []

    def _ends(self, on_host: set[str]) -> None:
        """Fill in what each segment takes from the host, and gives to it."""
        wanted = {output.tensor for output in self.model.outputs}
        for step in self.steps:
            if isinstance(step, Cut):
                wanted |= set(self.model.nodes[step.node].inputs)
        wanted -= on_host
        written: dict[str, Segment] = {}
        for step in self.steps:
            if isinstance(step, Cut):
                continue
            for each in step.passes:
                for name in (each.source.tensor, *([each.residual.tensor] if each.residual else [])):
                    if written.get(name) is not step and name not in step.inputs:
                        step.inputs.append(name)
                written[each.tensor] = step
        for name in sorted(wanted):
            home = self.views[name].source.tensor if name in self.views else name
            written[home].outputs[name] = home

    # -- maps ----------------------------------------------------------------------------------------
    def _view(self, name: str) -> _View:
        """How a tensor is read."""
        tensor = self.tensors[name]
        if tensor.quant.dtype not in _BYTES:
            raise _Cut(f"{name!r} is {tensor.quant.dtype}; maps are bytes")
        if name not in self.views:
            if len(tensor.shape) not in (1, 3):
                raise _Cut(f"{name!r} is no map: its shape is {tensor.shape}")
            self.views[name] = _View(Source(name), _map_shape(tensor))
            self.maps.setdefault(name, _map_shape(tensor))
        return self.views[name]

    def _written(self, name: str) -> None:
        """Make a tensor that others only look through a map of its own, for the host or for a residual."""
        view = self.views.get(name)
        if view is None or (view.source == Source(name) and view.plain):
            return
        if view.plain and view.shape == self.maps.get(view.source.tensor):  # flattened: the same bytes
            return
        self._identity(name, f"{name}/map", "Identity")

    def _plain(self, name: str) -> _View:
        """A view that is nothing but a map (or a share of one), made if need be."""
        if not self._view(name).plain:
            self._identity(name, f"{name}/map", "Identity")
        return self.views[name]

    def _identity(self, name: str, title: str, label: str) -> None:
        """Write what a view shows as a map of the tensor's own."""
        tensor = self.tensors[name]
        self._pass(title, label, name, name, tensor, **_identity_of(self._view(name).shape[0]))

    def _pass(self, title: str, label: str, read: str, written: str, tensor: Tensor, weights, bias, multiplier, shift,
              *,
              stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=None, bounds=None, residual=None,
              first: int = 0) -> None:  # fmt: skip
        """Append a pass that reads a view and writes a map."""
        view = self._view(read)
        if any(view.clamped):
            raise _Cut(f"{read!r} repeats its border")
        count = len(weights)
        height, width = (
            (size + before + after + more - (taps - 1) * dil - 1) // step + 1
            for size, before, after, more, taps, dil, step in zip(
                view.shape[1:], padding[:2], padding[2:],
                (view.padding[0] + view.padding[2], view.padding[1] + view.padding[3]),
                weights.shape[2:], dilation, stride, strict=True,
            )
        )  # fmt: skip
        out = tensor.quant
        low, high = bounds or RANGE[out.dtype]
        self.made.append(
            Pass(
                title, label, view.source, self.tensors[read].quant, weights, tuple(stride),
                tuple(a + b for a, b in zip(padding, view.padding, strict=True)), tuple(dilation), groups or count,
                np.asarray(bias), np.asarray(multiplier), np.asarray(shift), out, low, high, written,
                (count, height, width), residual, None, first,
            )
        )  # fmt: skip
        shape = self.maps.setdefault(written, (count, height, width) if written == read else _map_shape(tensor))
        if written == read or not first:
            self.views[written] = _View(Source(written), shape)

    # -- operators that are passes -------------------------------------------------------------------
    def _conv(self, node: Node) -> None:
        plan, (read,), tensor = node.plan, node.inputs, self.tensors[node.output]
        weights, view = plan.weights, self._view(read)
        if weights.dtype != np.int8:
            raise _Cut(f"its weights are {weights.dtype}")
        channels, height, width = view.shape
        if weights.shape[1] * plan.groups != channels:  # a matrix product over a whole map is a convolution of it
            weights = weights.reshape(len(weights), channels, height, width)
        arrays = (node.arrays[key] for key in ("bias", "multiplier", "shift"))
        self._pass(
            node.name, node.label, read, node.output, tensor, weights, *arrays, stride=plan.stride,
            padding=plan.padding, dilation=plan.dilation, groups=plan.groups,
            bounds=(node.attrs["low"], node.attrs["high"]),
        )  # fmt: skip

    def _add(self, node: Node) -> None:
        multipliers, shift = [int(m) for m in node.arrays["multiplier"]], node.attrs["shift"]
        (one, first), (other, second) = zip(node.inputs, multipliers, strict=True)
        if self.tensors[one].shape != self.tensors[other].shape:
            raise _Cut("its inputs are of different sizes")
        if second < 0:  # a residual is added; what is computed may be negative
            (one, first), (other, second) = (other, second), (one, first)
        if second < 0:
            raise _Cut("both inputs are subtracted")
        tensor, channels = self.tensors[node.output], self._plain(one).shape[0]
        if tensor.quant.dtype not in _BYTES:
            raise _Cut(f"its result is {tensor.quant.dtype}")
        if self._plain(other).source.first:
            self._identity(other, f"{other}/map", "Identity")
        residual = Residual(self._plain(other).source.tensor, self.tensors[other].quant, second)
        weights = np.full((channels, 1, 1, 1), 1 if first >= 0 else -1, np.int8)
        arrays = np.zeros(channels, np.int64), np.full(channels, abs(first)), np.full(channels, shift)
        self._pass(
            node.name, node.label, one, node.output, tensor, weights, *arrays,
            bounds=(node.attrs["low"], node.attrs["high"]), residual=residual,
        )  # fmt: skip

    def _average_pool(self, node: Node) -> None:
        (read,), tensor, kernel = node.inputs, self.tensors[node.output], node.attrs["kernel"]
        multiplier, shift = (node.arrays[key].astype(np.int64) for key in ("multiplier", "shift"))
        if len(np.unique(multiplier)) > 1 or len(np.unique(shift)) > 1:
            raise _Cut("windows at the border have their own number of elements")
        view = self._view(read)
        shape = self.tensors[read].shape[1:]
        if not any(view.padding) and shape != view.shape[1:] and tuple(kernel) == shape:
            kernel = view.shape[1:]  # a mean over all pixels in one row is one over the map
        channels = view.shape[0]
        weights = np.ones((channels, 1, *kernel), np.int8)
        arrays = np.zeros(channels, np.int64), np.full(channels, multiplier.flat[0]), np.full(channels, shift.flat[0])
        self._pass(
            node.name, node.label, read, node.output, tensor, weights, *arrays, stride=node.attrs["stride"],
            padding=node.attrs["padding"], dilation=node.attrs["dilation"],
            bounds=(node.attrs["low"], node.attrs["high"]),
        )  # fmt: skip

    def _table(self, node: Node) -> None:
        (read,), table = node.inputs, node.arrays["table"]
        if len(table) > 1:
            raise _Cut("every channel has its own function")
        if table.size != 256 or table.dtype.name not in _BYTES:
            raise _Cut("its table is not of bytes")
        self._through(node, read, table.ravel())

    def _clip(self, node: Node) -> None:
        low, high = RANGE[self.tensors[node.inputs[0]].quant.dtype]
        values = np.clip(np.arange(low, high + 1), node.attrs["low"], node.attrs["high"])
        self._through(node, node.inputs[0], values)

    def _through(self, node: Node, read: str, table: np.ndarray) -> None:
        """A function of a byte: in the pass that writes the bytes if nobody else reads them, else in one of its own."""
        segment = self.steps[-1] if self.steps and isinstance(self.steps[-1], Segment) else None
        last = segment.passes[-1] if segment else None
        shape = self._view(read).shape
        if last and last.tensor == read and last.table is None and not last.first and self.readers[read] == 1:
            segment.passes[-1] = replace(last, tensor=node.output, table=table, name=node.name)
            self.maps[node.output] = self.maps.pop(read)
            self.views[node.output] = _View(Source(node.output), shape)
            return
        self._pass(node.name, node.label, read, node.output, self.tensors[read], **_identity_of(shape[0]))
        self.made[-1] = replace(self.made[-1], table=table)
        self.maps[node.output] = self.made[-1].shape
        self.views[node.output] = _View(Source(node.output), self.made[-1].shape)

    def _concat(self, node: Node) -> None:
        if node.attrs["axis"] != 0:
            raise _Cut("it joins along another axis than the channels")
        tensor, first = self.tensors[node.output], 0
        if tensor.quant.dtype not in _BYTES:
            raise _Cut(f"its result is {tensor.quant.dtype}")
        shares = []
        for name, multiplier, shift in zip(node.inputs, node.arrays["multiplier"], node.arrays["shift"], strict=True):
            shares.append((name, first, int(multiplier), int(shift)))
            if first % BLOCK:
                raise _Cut(f"{name!r} begins within a block of {BLOCK} channels")
            first += self._view(name).shape[0]
        for name, first, multiplier, shift in shares:
            same = self.tensors[name].quant == tensor.quant
            how = _identity_of(self._view(name).shape[0], *(() if same else (multiplier, shift)))
            self._pass(f"{node.name}/{name}", node.label, name, node.output, tensor, **how, first=first)
        self.views[node.output] = _View(Source(node.output), _map_shape(tensor))

    # -- operators that say how a map is read --------------------------------------------------------
    def _max_pool(self, node: Node) -> None:
        (read,) = node.inputs
        kernel, stride, padding = (node.attrs[key] for key in ("kernel", "stride", "padding"))
        if kernel[0] != kernel[1] or stride[0] != stride[1] or kernel[0] > LARGEST_POOL:
            raise _Cut(f"windows of {kernel[0]}x{kernel[1]}; accepted: square ones up to {LARGEST_POOL}x{LARGEST_POOL}")
        if tuple(node.attrs["dilation"]) != (1, 1):
            raise _Cut("its windows are dilated")
        view = self._view(read)
        if any(view.padding) or not view.source.plain:
            self._identity(read, f"{read}/map", "Identity")
            view = self.views[read]
        # A border that is repeated never changes the largest.
        padding = (*padding[:2], padding[2] + view.clamped[0], padding[3] + view.clamped[1])
        source = replace(view.source, pool=(kernel[0], stride[0], tuple(padding)))
        self.views[node.output] = _View(source, self.tensors[node.output].shape)

    def _resize(self, node: Node) -> None:
        (read,), view = node.inputs, self._view(node.inputs[0])
        rows, columns = (node.arrays[key] for key in ("rows", "columns"))
        if rows[2].any() or columns[2].any():
            raise _Cut("it interpolates")
        if any(view.padding) or any(view.clamped):
            self._identity(read, f"{read}/map", "Identity")
            view = self.views[read]
        shape = self.tensors[node.output].shape
        sizes = list(zip((rows[0], columns[0]), view.shape[1:], strict=True))
        if all(np.array_equal(at, np.minimum(np.arange(len(at)), size - 1)) for at, size in sizes):
            more = tuple(max(len(at) - size, 0) for at, size in sizes)
            if all(len(at) >= size for at, size in sizes):
                self.views[node.output] = replace(view, clamped=more)
                return
        if all(np.array_equal(at, np.arange(2 * size) // 2) for at, size in sizes):
            if not view.plain:
                self._identity(read, f"{read}/map", "Identity")
                view = self.views[read]
            self.views[node.output] = _View(replace(view.source, spread=2), shape)
            return
        raise _Cut("it is not an upsampling by 2")

    def _pad(self, node: Node) -> None:
        (read,), padding = node.inputs, node.attrs["padding"]
        view = self._view(read)
        if len(padding) != 6 or padding[0] or padding[3]:
            raise _Cut("it adds channels")
        if any(view.clamped):
            self._identity(read, f"{read}/map", "Identity")
            view = self.views[read]
        around = (padding[1], padding[2], padding[4], padding[5])
        self.views[node.output] = replace(view, padding=tuple(a + b for a, b in zip(view.padding, around, strict=True)))

    def _slice(self, node: Node) -> None:
        (read,), view = node.inputs, self._view(node.inputs[0])
        start, step = node.attrs["start"], node.attrs["step"]
        shape = self.tensors[node.output].shape
        if any(start[1:]) or any(each != 1 for each in step) or tuple(shape[1:]) != tuple(self.tensors[read].shape[1:]):
            raise _Cut("it takes other than a share of the channels")
        if start[0] % BLOCK:
            raise _Cut(f"its share begins within a block of {BLOCK} channels")
        if not view.plain:
            self._identity(read, f"{read}/map", "Identity")
            view = self.views[read]
        source = replace(view.source, first=view.source.first + start[0])
        self.views[node.output] = _View(source, (shape[0], *view.shape[1:]))

    def _reshape(self, node: Node) -> None:
        (read,), view = node.inputs, self._view(node.inputs[0])
        shape = tuple(node.attrs["shape"])
        size = int(np.prod(shape))
        if size != int(np.prod(view.shape)) or not view.shape[1:]:
            raise _Cut("it rearranges the map")
        flat = shape == (size,)
        if not flat and (shape[0] != view.shape[0] or len(shape) != 3):
            raise _Cut("it rearranges the map")
        only = {reader.op for reader in self.model.nodes if node.output in reader.inputs}
        outside = node.output in {output.tensor for output in self.model.outputs}
        if (
            view.shape[1:] != (1, 1)
            and shape != view.shape
            and (outside or not only <= ({"conv"} if flat else {"average_pool", "reshape"}))
        ):
            raise _Cut("others than a matrix product or a mean read its result")
        if any(view.clamped) or any(view.padding):
            self._identity(read, f"{read}/map", "Identity")
            view = self.views[read]
        self.views[node.output] = view


def _map_shape(tensor: Tensor) -> tuple[int, int, int]:
    return tensor.shape if len(tensor.shape) == 3 else (tensor.shape[0], 1, 1)


def _identity_of(channels: int, multiplier: int = 1 << 30, shift: int = 30) -> dict[str, np.ndarray]:
    """One weight of 1 per channel, times ``multiplier / 2**shift``."""
    return {
        "weights": np.ones((channels, 1, 1, 1), np.int8),
        "bias": np.zeros(channels, np.int64),
        "multiplier": np.full(channels, multiplier, np.int64),
        "shift": np.full(channels, shift, np.int64),
    }
