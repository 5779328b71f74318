"""ONNX graphs around tensors that come without one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def folder(package: str) -> Path:
    """Where a package is installed; it is not imported."""
    return Path(importlib.util.find_spec(package).submodule_search_locations[0])


class Graph:
    """Builds an ONNX graph around a state dict."""

    def __init__(self, state: dict[str, np.ndarray], shape: tuple[int, ...]) -> None:
        self.state, self.shape = state, shape
        self.nodes: list[onnx.NodeProto] = []
        self.values: list[onnx.TensorProto] = []

    def constant(self, name: str, value) -> str:
        self.values.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(self, op: str, name: str, *inputs: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def conv(self, x: str, name: str, stride: int = 1, groups: int = 1, bias: bool = False, **attributes) -> str:
        """Padding as the caller says, or TensorFlow's "same"."""
        w = self.state[f"{name}.weight"]
        inputs = [x, self.constant(f"{name}.weight", w)]
        if bias:
            inputs.append(self.constant(f"{name}.bias", self.state[f"{name}.bias"]))
        attributes = attributes or {"auto_pad": "SAME_UPPER"}
        return self.node(
            "Conv", name, *inputs, kernel_shape=w.shape[2:], strides=[stride] * 2, group=groups, **attributes
        )

    def norm(self, x: str, name: str, epsilon: float) -> str:
        keys = [f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        constants = [self.constant(key, self.state[key]) for key in keys]
        return self.node("BatchNormalization", name, x, *constants, epsilon=epsilon)

    def relu6(self, x: str) -> str:
        if not any(value.name == "six" for value in self.values):
            self.constant("zero", 0), self.constant("six", 6)
        return self.node("Clip", f"{x}.relu6", x, "zero", "six")

    def linear(self, x: str, name: str) -> str:
        constants = [self.constant(f"{name}.{part}", self.state[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self.node("Gemm", name, x, *constants, transB=1)

    def model(self, output: str, *shape: int) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", *self.shape])
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", *shape])
        graph = helper.make_graph(self.nodes, "network", [image], [result], self.values)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        return model
