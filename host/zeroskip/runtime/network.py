"""A compiled network: run it on a device, or compute what the device must return.

:meth:`Model.run` gives convolutions and matrix products to the engine and the rest to ``hostops``;
:meth:`Model.reference` replaces the engine by the golden model.  Both walk the same nodes with the
same integers, so their results are equal bit for bit or something is broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..errors import ConfigError, FileFormatError, InputError
from ..hardware.config import Config
from . import hostops
from .node_check import MAX_ELEMENTS, check
from .nodes import Node, Tensor, compute
from .results import Progress, Recorder, Result

CHUNK_BYTES = 128 * 2**20
"""Working memory for one chunk of a batch; the board has 512 MiB in all."""

_BYTES = 24
"""Bytes per element while a layer is computed: its input as 8 and 16 bits, its sums as 32, 64 and 64."""


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
        images = self.check_images(images)
        self.check_config(dev.config)
        recorder = Recorder(self.layers, dev, -(-len(images) // self._chunk), progress)
        integers = self._forward(images, recorder.convolve)
        return Result(self._real(integers), integers, recorder.results(), self.config)

    def reference(self, images: np.ndarray) -> np.ndarray:
        """The outputs that :meth:`run` must return, from the integer golden model: float32 (N, ...)."""
        return self._real(self.reference_integers(images))

    def reference_integers(self, images: np.ndarray) -> np.ndarray:
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


def _difference(model: Config, device: Config) -> str:
    fields = [f"{name} = {getattr(model, name)} in the model, {getattr(device, name)} on the device"
              for name in model.differences(device)]  # fmt: skip
    return (
        f"the model is compiled for configuration {model.name!r}, the device is {device.name!r}: {'; '.join(fields)}. "
        f"Compile the model for the device, or open a device of the model's configuration"
    )
