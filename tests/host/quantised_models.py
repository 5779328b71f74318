"""Networks as onnxruntime's static quantisation writes them."""

import logging
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from onnx_models import f32, loaded, model, node


class _Images(CalibrationDataReader):
    def __init__(self, name, images):
        self.left = iter([{name: images[i : i + 8]} for i in range(0, len(images), 8)])

    def get_next(self):
        return next(self.left, None)


def quantise(data: bytes, images: np.ndarray, form="QDQ", activations="QUInt8", weights="QInt8", **options) -> bytes:
    """A float network in 8 bits, form "QDQ" or "QOperator", batch norm folded before as onnxruntime advises."""
    name = loaded(data).graph.input[0].name
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, folded, target = (Path(folder) / f"{n}.onnx" for n in "abc")
            source.write_bytes(data)
            quant_pre_process(source, folded, skip_symbolic_shape=True)
            quantize_static(
                folded, target, _Images(name, images), quant_format=QuantFormat[form],
                activation_type=QuantType[activations], weight_type=QuantType[weights], **options,
            )  # fmt: skip
            return target.read_bytes()
    finally:
        logging.disable(logging.NOTSET)


def many_operators(rng) -> bytes:
    """Everything static quantisation has a form of its own for, and what it leaves between."""
    weights = {
        "w1": f32(rng, 8, 3, 3, 3, scale=0.3), "b1": f32(rng, 8, scale=0.2),
        "w2": f32(rng, 8, 1, 3, 3, scale=0.4),
        "w3": f32(rng, 8, 8, 1, 1, scale=0.4),
        "w4": f32(rng, 6, 24, 1, 1, scale=0.3), "b4": f32(rng, 6, scale=0.2),
        "wf": f32(rng, 6, 12, scale=0.5), "bf": f32(rng, 12, scale=0.3),
        "wg": f32(rng, 12, 10, scale=0.5),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 1]),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }  # fmt: skip
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], name="stem", pads=[1, 1, 1, 1]),
        node("LeakyRelu", ["c1"], ["l1"], name="leaky", alpha=0.1),
        node("Conv", ["l1", "w2"], ["c2"], name="depthwise", group=8, pads=[1, 1, 1, 1]),
        node("Relu", ["c2"], ["r2"], name="relu"),
        node("MaxPool", ["r2"], ["m2"], name="largest", kernel_shape=[2, 2], strides=[2, 2]),
        node("AveragePool", ["l1"], ["a2"], name="mean", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["m2", "w3"], ["c3"], name="point"),
        node("Sigmoid", ["c3"], ["s3"], name="sigmoid"),
        node("Mul", ["c3", "s3"], ["silu"], name="silu"),
        node("Add", ["silu", "a2"], ["sum"], name="sum"),
        node("GlobalAveragePool", ["sum"], ["g0"], name="squeeze"),
        node("Sigmoid", ["g0"], ["gate"], name="gate"),
        node("Mul", ["sum", "gate"], ["scaled"], name="excite"),
        node("Concat", ["scaled", "m2", "a2"], ["joined"], name="joined", axis=1),
        node("Conv", ["joined", "w4", "b4"], ["c4"], name="last"),
        node("Pad", ["c4", "pads"], ["p4"], name="pad"),
        node("Resize", ["p4", "", "scales"], ["u4"], name="larger", mode="nearest"),
        node("GlobalAveragePool", ["u4"], ["g4"], name="global"),
        node("Flatten", ["g4"], ["f4"], name="flat"),
        node("Gemm", ["f4", "wf", "bf"], ["h"], name="hidden"),
        node("Relu", ["h"], ["hr"], name="relu2"),
        node("MatMul", ["hr", "wg"], ["logits"], name="logits"),
        node("Softmax", ["logits"], ["y"], name="softmax"),
    ]
    return model(nodes, weights, (3, 12, 12), (10,))


def with_outputs(data: bytes, names) -> bytes:
    """The same network with more outputs."""
    proto = loaded(data)
    proto.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    return proto.SerializeToString()
