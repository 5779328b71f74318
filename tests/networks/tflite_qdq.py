"""An 8-bit TFLite network as ONNX with QuantizeLinear and DequantizeLinear: the file's own integers and scales.

Every tensor of the file becomes a pair of QuantizeLinear and DequantizeLinear around float operators, as
onnxruntime's quantiser writes it.  TFLite rounds sums with an integer multiplier, ONNX by its scales in float: where
a sum lies next to half a step, a layer's outputs may differ by one step, which the layers behind it enlarge.
"""

from __future__ import annotations

import numpy as np
import onnx
import tflite
from onnx import TensorProto, helper, numpy_helper

_DTYPES = {tflite.TensorType.INT8: np.int8, tflite.TensorType.INT32: np.int32}
_ACTIVATIONS = {tflite.ActivationFunctionType.NONE: None, tflite.ActivationFunctionType.RELU: "Relu"}


class _Converter:
    def __init__(self, file: tflite.Model) -> None:
        self.file, self.graph = file, file.Subgraphs(0)
        self.nodes: list[onnx.NodeProto] = []
        self.values: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: np.ndarray) -> str:
        self.values[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(self, op: str, name: str, *inputs: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def data(self, index: int) -> np.ndarray:
        """A tensor that the file holds."""
        tensor = self.graph.Tensors(index)
        raw = self.file.Buffers(tensor.Buffer()).DataAsNumpy()
        return raw.view(_DTYPES[tensor.Type()]).reshape(tensor.ShapeAsNumpy())

    def quantisation(self, index: int, dtype) -> tuple[list[str], dict]:
        """Names of scale and zero point, and the axis when there are several."""
        found = self.graph.Tensors(index).Quantization()
        scales, zeros = found.ScaleAsNumpy().astype(np.float32), found.ZeroPointAsNumpy().astype(dtype)
        single = len(scales) == 1
        names = [
            self.constant(f"t{index}.scale", scales[0] if single else scales),
            self.constant(f"t{index}.zero", zeros[0] if single else zeros),
        ]
        return names, {} if single else {"axis": found.QuantizedDimension()}

    def activation(self, index: int, x: str) -> str:
        """``x`` rounded to the steps of an activation."""
        names, _ = self.quantisation(index, np.int8)
        return self.node("DequantizeLinear", f"t{index}", self.node("QuantizeLinear", f"t{index}.q", x, *names), *names)

    def parameter(self, index: int, transpose: tuple[int, ...] = ()) -> str:
        """Dequantised weights or bias; a filter's scale goes with the first axis before and after transposing."""
        data = self.data(index)
        names, axis = self.quantisation(index, data.dtype)
        stored = self.constant(f"t{index}.int", data.transpose(transpose) if transpose else data)
        return self.node("DequantizeLinear", f"t{index}", stored, *names, **axis)

    def operator(self, op: tflite.Operator) -> None:
        code = self.file.OperatorCodes(op.OpcodeIndex())
        kind = tflite.opcode2name(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
        inputs, output = [int(i) for i in op.InputsAsNumpy()], int(op.OutputsAsNumpy()[0])
        x, name, relu = f"t{inputs[0]}", f"t{output}.{kind.lower()}", None
        options = op.BuiltinOptions()
        if kind == "CONV_2D":
            found = _options(tflite.Conv2DOptions(), options)
            if found.Padding() != tflite.Padding.SAME:
                raise ValueError(f"{name}: only padding SAME is converted")
            strides, relu = [found.StrideH(), found.StrideW()], found.FusedActivationFunction()
            constants = [self.parameter(inputs[1], (0, 3, 1, 2)), self.parameter(inputs[2])]
            y = self.node("Conv", name, x, *constants, auto_pad="SAME_UPPER", strides=strides)
        elif kind == "ADD":
            relu = _options(tflite.AddOptions(), options).FusedActivationFunction()
            y = self.node("Add", name, x, f"t{inputs[1]}")
        elif kind == "AVERAGE_POOL_2D":
            found = _options(tflite.Pool2DOptions(), options)
            size = [found.FilterHeight(), found.FilterWidth()]
            if size != self.graph.Tensors(inputs[0]).ShapeAsNumpy()[1:3].tolist():
                raise ValueError(f"{name}: only the mean of the whole map is converted")
            y, relu = self.node("GlobalAveragePool", name, x), found.FusedActivationFunction()
        elif kind == "RESHAPE":
            self.node("Flatten", f"t{output}", x)
            return
        elif kind == "FULLY_CONNECTED":
            relu = _options(tflite.FullyConnectedOptions(), options).FusedActivationFunction()
            y = self.node("Gemm", name, x, self.parameter(inputs[1]), self.parameter(inputs[2]), transB=1)
        else:
            raise ValueError(f"{name}: operator {kind} is not converted")
        if relu and _ACTIVATIONS[relu]:
            y = self.node(_ACTIVATIONS[relu], f"{name}.relu", y)
        self.activation(output, y)


def _options(options, table):
    options.Init(table.Bytes, table.Pos)
    return options


def convert(data: bytes) -> onnx.ModelProto:
    """image float (N, C, H, W) -> the float value of the last tensor before Softmax.

    Raises:
        ValueError: an operator, padding or pooling that this small converter does not know.
    """
    converter = _Converter(tflite.Model.GetRootAs(data, 0))
    graph = converter.graph
    first, last = int(graph.Inputs(0)), int(graph.Outputs(0))
    converter.activation(first, "image")
    for number in range(graph.OperatorsLength()):
        op = graph.Operators(number)
        code = converter.file.OperatorCodes(op.OpcodeIndex())
        if code.DeprecatedBuiltinCode() == tflite.BuiltinOperator.SOFTMAX:
            last = int(op.InputsAsNumpy()[0])
        else:
            converter.operator(op)
    height, width, channels = graph.Tensors(first).ShapeAsNumpy()[1:].tolist()
    outputs = graph.Tensors(last).ShapeAsNumpy()[1:].tolist()
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", channels, height, width])
    result = helper.make_tensor_value_info(f"t{last}", TensorProto.FLOAT, ["N", *outputs])
    onnx_graph = helper.make_graph(converter.nodes, "network", [image], [result], list(converter.values.values()))
    model = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model
