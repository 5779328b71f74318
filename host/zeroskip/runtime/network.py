"""A compiled network: run it on a device, or compute what the device must return.

:meth:`Model.run` gives convolutions and matrix products to the engine and the rest to ``hostops``;
:meth:`Model.reference` replaces the engine by the golden model.  Both walk the same nodes with the
same integers, so their results are equal bit for bit or something is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..errors import ConfigError, DeviceError, FileFormatError, InputError
from ..hardware.config import Config
from . import conv, hostops
from .counters import Counters
from .node_check import MAX_ELEMENTS, check
from .nodes import Node, Tensor, compute

CHUNK_BYTES = 128 * 2**20
"""Working memory for one chunk of a batch; the board has 512 MiB in all."""

_BYTES = 24
"""Bytes per element while a layer is computed: its input as 8 and 16 bits, its sums as 32, 64 and 64."""

Progress = Callable[[int, int, str], None]
"""(layers done, layers in all, name of the layer that starts); a batch in several chunks counts each chunk's."""


@dataclass(frozen=True)
class LayerResult:
    """What one engine layer did, over the whole batch.

    Args:
        name, op: of the ONNX node.
        shape: such as "16x28x28 -> 32x28x28, 3x3".
        macs: multiplications of the dense layer, padding included.
        zero, non_outlier, outlier: shares of the weights.
        act_zeros: share of exact zeros among the input activations.
        counters: the engine's.
        ideal_cycles: every MAC busy in every cycle with non-zero weights, two non-outliers at a time; zena: every PE
            busy with a product of two non-zeros.
        dense_cycles: steps of the dense schedule, times pixel groups; zena: all products over the PEs.
    """

    name: str
    op: str
    shape: str
    macs: int
    zero: float
    non_outlier: float
    outlier: float
    act_zeros: float
    counters: Counters
    ideal_cycles: float
    dense_cycles: float


@dataclass(frozen=True)
class Result:
    """Outputs and measurements of one run.

    Args:
        outputs: float32 (N, ...), the network's output.
        integers: the same before scaling (and before a softmax).
        layers: one entry per layer on the engine.
        config: of the device.
    """

    outputs: np.ndarray
    integers: np.ndarray
    layers: list[LayerResult]
    config: Config

    @property
    def cycles(self) -> int:
        """Engine cycles of all layers."""
        return sum(layer.counters["cycles"] for layer in self.layers)

    def to_json(self) -> dict:
        """Configuration, number of images, cycles, and every field of every :class:`LayerResult`, as plain data."""
        layers = [{**vars(layer), "counters": layer.counters.as_dict()} for layer in self.layers]
        config = {"name": self.config.name, **self.config.hardware_fields(), "hash": f"{self.config.hash:08x}"}
        return {
            "format": "zeroskip-result", "version": 1, "config": config, "images": len(self.outputs),
            "cycles": self.cycles, "layers": layers,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Model:
    """A quantised network with its convolutions compiled for one build of the hardware.

    Args:
        config: the build.
        nodes: in execution order.
        tensors: name -> shape and quantisation.
        input, output: names of the network's input and output tensor.
        info: how it was made (source, scale rule, mode, ...), for reports; JSON-able.
    """

    config: Config
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    input: str
    output: str
    info: Mapping = field(default_factory=dict)

    @property
    def layers(self) -> list[Node]:
        """The nodes that run on the engine."""
        return [node for node in self.nodes if node.op == "conv"]

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.tensors[self.input].shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.tensors[self.output].shape

    # -- running -------------------------------------------------------------------------------------
    def run(self, dev, images: np.ndarray, progress: Progress | None = None) -> Result:
        """Run a batch on a device.

        Args:
            dev: from ``zeroskip.open_device``, of the model's configuration.
            images: float (N, *input_shape), scaled as the calibration images were.
            progress: called before every layer and once at the end.

        Raises:
            InputError: images of a wrong shape or type, or not finite.
            ConfigError: a device of another configuration.
            DeviceError: the device reports an error or does not answer.
        """
        images = self._check_images(images)
        self.check_config(dev.config)
        run = _Run(self, dev, -(-len(images) // self._chunk), progress)
        integers = self._forward(images, run.convolve)
        if progress:
            progress(run.total, run.total, "")
        return Result(self._real(integers), integers, run.results(), self.config)

    def reference(self, images: np.ndarray) -> np.ndarray:
        """The outputs that :meth:`run` must return, from the integer golden model: float32 (N, ...)."""
        return self._real(self.reference_integers(images))

    def reference_integers(self, images: np.ndarray) -> np.ndarray:
        """The integers behind :meth:`reference`."""
        from ..models.reference import conv2d

        def convolve(node: Node, x: np.ndarray, quant: hostops.Quant, finish: hostops.Finish) -> np.ndarray:
            plan, signed = node.plan, np.subtract(x, quant.zero_point, dtype=np.int16)
            return finish(conv2d(signed, plan.weights, plan.stride, plan.padding, plan.dilation, plan.groups))

        return self._forward(self._check_images(images), convolve)

    def _check_images(self, images) -> np.ndarray:
        images = np.asarray(images)
        wanted = f"(N, {', '.join(map(str, self.input_shape))})"
        if images.dtype.kind != "f":
            raise InputError(
                f"images are {images.dtype}; accepted: floating point, scaled as the calibration images were "
                f"(images.astype(numpy.float32))"
            )
        if images.shape[1:] != self.input_shape or not len(images):
            raise InputError(f"images of shape {images.shape}; accepted: {wanted} with N at least 1")
        if not np.isfinite(images).all():
            raise InputError(f"images have {np.count_nonzero(~np.isfinite(images))} values that are not finite")
        return images

    @cached_property
    def _chunk(self) -> int:
        """Images computed together."""
        largest = max(
            (np.prod(self.tensors[name].shape) for node in self.nodes for name in (*node.inputs, node.output)),
            default=1,
        )
        return int(max(1, CHUNK_BYTES // (2 * _BYTES * largest)))

    def _forward(self, images: np.ndarray, convolve) -> np.ndarray:
        quant, last = self.tensors[self.input].quant, {}
        for i, node in enumerate(self.nodes):
            last.update(dict.fromkeys(node.inputs, i))
        outputs = []
        for start in range(0, len(images), self._chunk):
            values = {self.input: quant.quantise(images[start : start + self._chunk])}
            for i, node in enumerate(self.nodes):
                inputs = [values[name] for name in node.inputs]
                values[node.output] = compute(node, self.tensors, inputs, convolve)
                for name in set(node.inputs):
                    if last[name] == i and name != self.output:
                        del values[name]
            outputs.append(values[self.output])
        return np.concatenate(outputs)

    def _real(self, integers: np.ndarray) -> np.ndarray:
        real = self.tensors[self.output].quant.dequantise(integers)
        last = self.nodes[-1] if self.nodes else None
        return hostops.softmax(real, last.attrs["axis"] + 1) if last and last.op == "softmax" else real

    # -- integrity and files -------------------------------------------------------------------------
    def check_config(self, config: Config) -> None:
        """Check that a build is the one the model was compiled for.

        Raises:
            ConfigError: another hardware, naming the fields that differ.
        """
        if config.hash != self.config.hash:
            raise ConfigError(_difference(self.config, config))

    def check(self) -> None:
        """Check that every node fits its tensors and the build.

        Raises:
            FileFormatError: what does not fit, naming the node.
        """
        known = {self.input}
        for tensor in self.tensors.values():
            if not tensor.shape or min(tensor.shape) < 1 or np.prod(tensor.shape, dtype=float) > MAX_ELEMENTS:
                raise FileFormatError(f"a tensor of shape {tensor.shape}")
        for node in self.nodes:
            try:
                if not known.issuperset(node.inputs) or node.output in known:
                    raise ValueError(f"inputs {node.inputs} or output {node.output!r} out of order")
                check(node, self.tensors)
                if node.plan and node.plan.config.hash != self.config.hash:
                    raise ValueError("its plan is for another configuration")
                if node.op == "softmax" and node is not self.nodes[-1]:
                    raise ValueError("softmax before the end")
            except (ValueError, KeyError, TypeError) as error:
                raise FileFormatError(f"node {node.name!r} ({node.op}): {error}") from error
            known.add(node.output)
        if self.output not in known or not known.issubset(self.tensors):
            raise FileFormatError(f"no node computes the output {self.output!r}")

    def save(self, path) -> None:
        """Write a ``.zsk`` file, whole or not at all.

        Raises:
            InputError: the file cannot be written.
        """
        from .zsk import save

        save(self, path)


class _Run:
    """Drives the engine layer by layer and adds up, over chunks, what it did."""

    def __init__(self, model: Model, dev, chunks: int, progress: Progress | None) -> None:
        self.model, self.dev, self.progress = model, dev, progress
        self.layers = model.layers
        self.total = len(self.layers) * chunks
        self.done = 0
        self.entries: dict[str, dict] = {}

    def convolve(self, node: Node, x: np.ndarray, quant: hostops.Quant, finish: hostops.Finish) -> np.ndarray:
        if self.progress:
            self.progress(self.done, self.total, node.name)
        self.done += 1
        try:
            y, counters = conv.run_layer(self.dev, node.plan, x, quant, finish)
        except DeviceError as error:
            raise type(error)(f"layer {node.name!r}: {error}") from error
        entry = self.entries.get(node.output)
        if entry is None:
            entry = self.entries[node.output] = {"x": x.shape[1:], "y": y.shape[1:], "counters": Counters.zero()}
            entry |= dict.fromkeys(("macs", "elements", "zeros", "ideal", "dense"), 0)
        bounds = conv.bounds(node.plan, x, quant)
        entry["counters"] += counters
        entry["macs"] += y.size * node.plan.weights[0].size
        entry["elements"] += x.size
        entry["zeros"] += np.count_nonzero(x == quant.zero_point)
        entry["ideal"] += bounds["ideal_cycles"]
        entry["dense"] += bounds["dense_cycles"]
        return y

    def results(self) -> list[LayerResult]:
        return [self._result(node, self.entries[node.output]) for node in self.layers]

    def _result(self, node: Node, entry: dict) -> LayerResult:
        shapes = ["x".join(map(str, entry[key] if entry[key][1:] != (1, 1) else entry[key][:1])) for key in "xy"]
        kernel = "x".join(map(str, node.plan.weights.shape[2:]))
        return LayerResult(
            name=node.name,
            op=node.label,
            shape=f"{shapes[0]} -> {shapes[1]}, {kernel}",
            macs=int(entry["macs"]),
            **node.plan.statistics(),
            act_zeros=entry["zeros"] / entry["elements"],
            counters=entry["counters"],
            ideal_cycles=float(entry["ideal"]),
            dense_cycles=float(entry["dense"]),
        )


def _difference(model: Config, device: Config) -> str:
    fields = [f"{name} = {getattr(model, name)} in the model, {getattr(device, name)} on the device"
              for name in model.differences(device)]  # fmt: skip
    return (
        f"the model is compiled for configuration {model.name!r}, the device is {device.name!r}: {'; '.join(fields)}. "
        f"Compile the model for the device, or open a device of the model's configuration"
    )
