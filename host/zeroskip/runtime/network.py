"""A compiled network: run it on a device, or compute what the device must return.

:meth:`Model.run` gives convolutions and matrix products to the engine and the rest to ``hostops``;
:meth:`Model.reference` replaces the engine by the golden model.  Both walk the same nodes with the
same integers, so their results are equal bit for bit or something is broken.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..errors import ConfigError, FileFormatError, InputError
from ..hardware.config import Config
from . import hostops
from .hostops import RANGE
from .input_range import warn_of_range
from .node_check import MAX_ELEMENTS, check
from .nodes import ENDS, OUTPUT_TYPES, Node, Output, Tensor, compute, end_shape, finish
from .results import Progress, Recorder, Result
from .zsk_writer import save

CHUNK_BYTES = 128 * 2**20
"""Working memory for one chunk of a batch; the board has 512 MiB in all."""

MAX_COMPUTED = 2**32
"""Elements of all tensors of one image together."""

_BYTES = 24
"""Bytes per element while a layer is computed: its input as 8 and 16 bits, its sums as 32, 64 and 64."""


@dataclass(frozen=True, eq=False)
class Model:
    """A quantised network with its convolutions compiled for one build of the hardware.

    Args:
        config: the build.
        nodes: in execution order.
        tensors: name -> shape and quantisation.
        input: the tensor images become.
        outputs: at least one.
        info: how it was made (source, scale rule, mode, ...), for reports; JSON-able.
        input_type: what the file takes: "float32", or "uint8" or "int8", the input tensor's own integers.
    """

    config: Config
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    input: str
    outputs: tuple[Output, ...]
    info: Mapping = field(default_factory=dict)
    input_type: str = "float32"

    @property
    def layers(self) -> list[Node]:
        """The nodes that run on the engine."""
        return [node for node in self.nodes if node.op == "conv"]

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.tensors[self.input].shape

    @property
    def output(self) -> str:
        """The output tensor of a network that has one.

        Raises:
            ValueError: it has several.
        """
        (output,) = self.outputs
        return output.tensor

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the output of a network that has one, without the batch."""
        return self.output_shapes[self.outputs[0].name] if self.output else ()

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name of every output -> its shape without the batch."""
        return {o.name: end_shape(self._ends.get(o.tensor), self.tensors[o.tensor].shape) for o in self.outputs}

    @cached_property
    def _ends(self) -> dict[str, Node]:
        return {node.output: node for node in self.nodes if node.op in ENDS}

    # -- running -------------------------------------------------------------------------------------
    def run(self, dev, images: np.ndarray, progress: Progress | None = None) -> Result:
        """Run a batch on a device.

        Args:
            dev: from ``zeroskip.open_device``, of the model's configuration.
            images: float (N, *input_shape), scaled as the calibration images were; a network whose input is bytes
                takes them, too.
            progress: called before every layer and once at the end.

        Raises:
            InputError: images of a wrong shape or type, or not finite.
            ConfigError: a device of another configuration.
            DeviceError: the device reports an error or does not answer.
        """
        images = self.check_images(images)
        self.check_config(dev.config)
        recorder = Recorder(self.layers, dev, -(-len(images) // self._chunk), progress)
        integers = self._forward(images, recorder.convolve)
        return Result(self._finished(integers, self.outputs), integers, recorder.results(), self.config)

    def reference(self, images: np.ndarray) -> np.ndarray | dict[str, np.ndarray]:
        """The outputs that :meth:`run` must return, from the integer golden model: (N, ...), or a dict of them."""
        return self._finished(self.reference_integers(images), self.outputs)

    def reference_integers(self, images: np.ndarray) -> np.ndarray | dict[str, np.ndarray]:
        """The integers behind :meth:`reference`."""
        from ..models.reference import conv2d

        def convolve(node: Node, x: np.ndarray, quant: hostops.Quant, finish: hostops.Finish) -> np.ndarray:
            plan, signed = node.plan, np.subtract(x, quant.zero_point, dtype=np.int16)
            return finish(conv2d(signed, plan.weights, plan.stride, plan.padding, plan.dilation, plan.groups))

        return self._forward(self.check_images(images), convolve)

    def check_images(self, images) -> np.ndarray:
        """The images as an array, if :meth:`run` accepts them.

        Raises:
            InputError: images of a wrong shape or type, or not finite.
        """
        images = np.asarray(images)
        wanted = f"(N, {', '.join(map(str, self.input_shape))})"
        if images.dtype.kind != "f" and images.dtype != self.input_type:
            own = "" if self.input_type == "float32" else f"{self.input_type}, or "
            raise InputError(
                f"images are {images.dtype}; accepted: {own}floating point, scaled as the calibration images were "
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

    def _forward(self, images: np.ndarray, convolve) -> np.ndarray | dict[str, np.ndarray]:
        """The integers of every output."""
        quant, last, kept = self.tensors[self.input].quant, {}, {output.tensor for output in self.outputs}
        warn_of_range(images, quant)
        for i, node in enumerate(self.nodes):
            last.update(dict.fromkeys(node.inputs, i))
        found = {tensor: [] for tensor in kept}
        for start in range(0, len(images), self._chunk):
            part = images[start : start + self._chunk]
            values = {self.input: part if part.dtype == self.input_type != "float32" else quant.quantise(part)}
            for i, node in enumerate(self.nodes):
                inputs = [values[name] for name in node.inputs]
                values[node.output] = compute(node, self.tensors, inputs, convolve)
                for name in set(node.inputs):
                    if last[name] == i and name not in kept:
                        del values[name]
            for tensor, parts in found.items():
                parts.append(values[tensor])
        return self._one_or_all({o.name: np.concatenate(found[o.tensor]) for o in self.outputs})

    def real(self, integers) -> np.ndarray | dict[str, np.ndarray]:
        """The real numbers (or places, of an ArgMax) that the integers of the outputs stand for."""
        return self._finished(integers, [replace(output, dtype="float32") for output in self.outputs])

    def _finished(self, integers, outputs) -> np.ndarray | dict[str, np.ndarray]:
        """What a caller gets for the integers of the outputs."""
        found = {}
        for output in outputs:
            q = integers[output.name] if isinstance(integers, dict) else integers
            found[output.name] = finish(output, self._ends.get(output.tensor), q, self.tensors[output.tensor].quant)
        return self._one_or_all(found)

    def _one_or_all(self, found: dict[str, np.ndarray]):
        return found if len(self.outputs) > 1 else found[self.outputs[0].name]

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
        known, elements = {self.input}, 0
        for name, tensor in self.tensors.items():
            if not tensor.shape or min(tensor.shape) < 1 or math.prod(tensor.shape) > MAX_ELEMENTS:
                raise FileFormatError(f"tensor {name!r} of shape {tensor.shape}; accepted: {MAX_ELEMENTS} elements")
            elements += math.prod(tensor.shape)
        if elements > MAX_COMPUTED:
            raise FileFormatError(f"tensors of {elements:,} elements for one image; accepted: {MAX_COMPUTED:,}")
        for node in self.nodes:
            try:
                if not known.issuperset(node.inputs) or node.output in known:
                    raise ValueError(f"inputs {node.inputs} or output {node.output!r} out of order")
                check(node, self.tensors)
                if node.plan and node.plan.config.hash != self.config.hash:
                    raise ValueError("its plan is for another configuration")
                if known.intersection(node.inputs) & self._ends.keys():
                    raise ValueError("an operator after the end")
            except (ValueError, KeyError, TypeError) as error:
                raise FileFormatError(f"node {node.name!r} ({node.op}): {error}") from error
            known.add(node.output)
        if not known.issubset(self.tensors):
            raise FileFormatError("a tensor without a shape")
        if not self.outputs or len({output.name for output in self.outputs}) < len(self.outputs):
            raise FileFormatError("no output, or two of one name")
        for output in self.outputs:
            if output.tensor not in known:
                raise FileFormatError(f"no node computes the output {output.name!r}")
            whole = RANGE.keys() - {self.tensors[output.tensor].quant.dtype}
            if output.dtype not in OUTPUT_TYPES or (output.dtype in whole and output.tensor not in self._ends):
                raise FileFormatError(f"the output {output.name!r} is of type {output.dtype!r}")
        if self._ends.keys() - {output.tensor for output in self.outputs}:
            raise FileFormatError("an operator of the end that is no output")
        if self.input_type not in ("float32", self.tensors[self.input].quant.dtype):
            raise FileFormatError(f"the input is of type {self.input_type!r}")

    def save(self, path) -> None:
        """Write a ``.zsk`` file, whole or not at all.

        Raises:
            InputError: the file cannot be written.
        """
        save(self, path)


def _difference(model: Config, device: Config) -> str:
    fields = [f"{name} = {getattr(model, name)} in the model, {getattr(device, name)} on the device"
              for name in model.differences(device)]  # fmt: skip
    return (
        f"the model is compiled for configuration {model.name!r}, the device is {device.name!r}: {'; '.join(fields)}. "
        f"Compile the model for the device, or open a device of the model's configuration"
    )
