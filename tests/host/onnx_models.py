"""Small ONNX networks for the tests, built with onnx.helper, and what onnxruntime computes from them."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node


def model(nodes, weights, shape, out_shape=None, opset=17, batch="N", kind=TensorProto.FLOAT, kind_out=None) -> bytes:
    """A network from input "x" (batch, *shape) to output "y"."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", kind, [batch, *shape])],
        [helper.make_tensor_value_info("y", kind_out or kind, out_shape and [batch, *out_shape])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    proto.ir_version = 8
    return proto.SerializeToString()


def session(data: bytes) -> onnxruntime.InferenceSession:
    """A session with exact sums: without VNNI instructions onnxruntime's 8-bit kernels saturate at 16 bits.

    There, operators on unsigned integers get wider weights; what is dequantised is computed in float, as it is written.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    if "vnni" not in Path("/proc/cpuinfo").read_text():
        graph = loaded(data).graph
        if not any(n.op_type.startswith("QLinear") or "Integer" in n.op_type for n in graph.node):
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        elif any(tensor.data_type == TensorProto.UINT8 for tensor in graph.initializer):
            options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run_onnx(data: bytes, x: np.ndarray) -> np.ndarray:
    made = session(data)
    return made.run(None, {made.get_inputs()[0].name: x})[0]


def f32(rng, *shape, scale=1.0):
    return (rng.normal(size=shape) * scale).astype(np.float32)


def residual_network(rng, channels=8) -> bytes:
    """Convolutions (padded, strided, grouped, 1x1), batch norm, ReLU, ReLU6, both pools, a residual, two Gemms."""
    c = channels
    weights = {
        "w1": f32(rng, c, 3, 3, 3, scale=0.3),
        "gamma": rng.uniform(0.5, 1.5, c).astype(np.float32),
        "beta": f32(rng, c, scale=0.3),
        "mean": f32(rng, c, scale=0.3),
        "var": rng.uniform(0.5, 2, c).astype(np.float32),
        "w2": f32(rng, c, c // 2, 3, 3, scale=0.2),
        "b2": f32(rng, c, scale=0.2),
        "w3": f32(rng, c, c, 1, 1, scale=0.4),
        "low": np.float32(0),
        "high": np.float32(6),
        "w4": f32(rng, 2 * c, c, 3, 3, scale=0.2),
        "wf": f32(rng, 20, 2 * c, scale=0.4),
        "bf": f32(rng, 20, scale=0.2),
        "wg": f32(rng, 20, 10, scale=0.4),
    }
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], name="stem", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c1", "gamma", "beta", "mean", "var"], ["n1"]),
        node("Relu", ["n1"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["p1", "w2", "b2"], ["c2"], name="grouped", group=2, auto_pad="SAME_UPPER"),
        node("Relu", ["c2"], ["r2"]),
        node("Conv", ["r2", "w3"], ["c3"], name="point"),
        node("Add", ["c3", "p1"], ["a"], name="residual"),
        node("Clip", ["a", "low", "high"], ["r3"]),
        node("Conv", ["r3", "w4"], ["c4"], name="strided", strides=[2, 2], pads=[0, 1, 1, 0], dilations=[1, 1]),
        node("Relu", ["c4"], ["r4"]),
        node("GlobalAveragePool", ["r4"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("Gemm", ["f", "wf", "bf"], ["h"], name="hidden", transB=1),
        node("Relu", ["h"], ["hr"]),
        node("MatMul", ["hr", "wg"], ["y"], name="logits"),
    ]
    return model(nodes, weights, (3, 12, 12), (10,))


def loaded(data: bytes) -> onnx.ModelProto:
    return onnx.load_model_from_string(data)
