"""From an ONNX file to a :class:`~zeroskip.runtime.network.Model`: import, calibrate, quantise, schedule."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import FileFormatError, InputError, ModelError
from ..hardware.config import Config, get_config
from ..runtime.hostops import Quant
from ..runtime.network import Model
from ..runtime.nodes import Node, Tensor
from . import graph as float_graph
from .conv import compile_conv
from .integers import given_integers, integer_node
from .onnx_import import import_onnx
from .quantise import PER, SCALE_RULES, calibrate, clip_bounds, conv_integers, quantise_graph

MODES = ("dense", "zero_skip", "combined")
ACTIVATIONS = ("uint8", "int16")

Progress = Callable[[int, int, str], None]
"""(layers done, layers in all, name of the layer that starts)."""


def compile(
    onnx,
    config: str | Path | Config = "tiny",
    calibration: np.ndarray | None = None,
    *,
    scale_rule: str | Mapping[str, str] = "percentile",
    per: str = "tensor",
    percentile: float = 97,
    clip: int = 0,
    prune: float = 0.0,
    mode: str = "combined",
    activation_skip: bool = True,
    activations: str = "uint8",
    calibration_percentile: float = 100.0,
    progress: Progress | None = None,
) -> Model:
    """Compile a network for one build of the hardware.

    Args:
        onnx: path of an ONNX file, its bytes, or an ``onnx.ModelProto``.
        config: name of a built-in configuration, a JSON file, or a :class:`Config`.
        calibration: float images (N, *input shape), as the network will see them.  Without any,
            random ones stand in, with a warning: cycles are then meaningful, outputs are not.
        scale_rule: "percentile", "max_abs" or "power_of_two" (see ``quantise.weight_scales``), or a
            rule for each layer: ONNX node name -> rule, "*" for all others.
        per: one weight scale per "tensor" (layer) or per "channel" (filter).
        percentile: of the rule of that name.
        clip: threshold of Kang et al., equation 1; 0 clips nothing.
        prune: share of each layer's weights, the smallest, that are set to zero; 0 to 1.
        mode: schedule: "dense", "zero_skip" or "combined".
        activation_skip: let the online scheduler drop steps without non-zero activations.
        activations: "uint8", or "int16" on a build with 16-bit activations.
        calibration_percentile: 100 takes the range of the calibration activations, less cuts its ends.
        progress: called before every layer is scheduled and once at the end.

    Raises:
        ModelError: the file is not a network zeroskip can compile.
        InputError: an option or the calibration images are not accepted.
        ConfigError: no such configuration.
    """
    config = get_config(config)
    rules = scale_rule if isinstance(scale_rule, Mapping) else {"*": scale_rule}
    _check_options(config, rules, per, percentile, clip, prune, mode, activations, calibration_percentile)
    shape = None if calibration is None else np.shape(calibration)[1:]
    graph = import_onnx(onnx, shape)
    _check_names(graph, rules)
    source = Path(onnx).name if isinstance(onnx, (str, Path)) else "bytes"
    info = {
        "source": source, "scale_rule": rules["*"] if set(rules) == {"*"} else dict(rules), "per": per,
        "percentile": percentile, "clip": clip, "prune": prune, "activations": activations,
        "calibration": 0 if calibration is None else len(calibration),
    }  # fmt: skip
    ranges = {}
    if graph.needs_calibration:
        ranges = calibrate(graph, _calibration_images(graph, calibration), calibration_percentile)
    quants = quantise_graph(graph, ranges, activations)
    tensors = {name: Tensor(graph.shapes[name], quant) for name, quant in quants.items()}
    options = {"per": per, "percentile": percentile, "clip": clip, "share": prune}
    layers = []
    for node in graph.nodes:
        rule = rules.get(node.name, rules.get("*", "percentile"))
        layers.append(_integer_node(node, quants, {**options, "rule": rule}))
    return _schedule(layers, config, tensors, graph.input, graph.output, info, mode, activation_skip, progress)


def reschedule(
    model: Model,
    config: str | Path | Config | None = None,
    *,
    mode: str = "combined",
    activation_skip: bool = True,
    progress: Progress | None = None,
) -> Model:
    """The same integers, scheduled in another mode or for another build: what comparisons need.

    Raises:
        InputError: an unknown mode, or a build that does not hold the model's activations.
    """
    config = model.config if config is None else get_config(config)
    if mode not in MODES:
        raise InputError(f"mode {mode!r}; accepted: {', '.join(MODES)}")
    _check_activations(config, model.info.get("activations", "uint8"))
    layers = [
        _Layer(node, node.plan.weights, _geometry(node.plan)) if node.plan else _Layer(node) for node in model.nodes
    ]
    info = dict(model.info)
    return _schedule(layers, config, model.tensors, model.input, model.output, info, mode, activation_skip, progress)


# -- options -----------------------------------------------------------------------------------------
def _check_options(config, rules, per, percentile, clip, prune, mode, activations, calibration_percentile) -> None:
    def need(condition, name, value, accepted):
        if not condition:
            raise InputError(f"{name} {value!r}; accepted: {accepted}")

    for rule in rules.values():
        need(rule in SCALE_RULES, "scale rule", rule, ", ".join(SCALE_RULES))
    need(per in PER, "per", per, ", ".join(PER))
    need(_within(percentile, 1, 100), "percentile", percentile, "1 to 100")
    need(isinstance(clip, (int, np.integer)) and 0 <= clip <= 119, "clip", clip, "whole numbers from 0 to 119")
    need(_within(prune, 0, 1), "prune", prune, "0 to 1")
    need(mode in MODES, "mode", mode, ", ".join(MODES))
    need(activations in ACTIVATIONS, "activations", activations, ", ".join(ACTIVATIONS))
    need(_within(calibration_percentile, 50, 100), "calibration_percentile", calibration_percentile, "50 to 100")
    _check_activations(config, activations)


def _within(value, low, high) -> bool:
    return isinstance(value, (int, float, np.number)) and low <= value <= high


def _check_activations(config: Config, activations: str) -> None:
    if activations == "int16" and config.act_w < 16:
        raise InputError(
            f"16-bit activations on configuration {config.name!r} with act_w = {config.act_w}; "
            f"accepted: a configuration with act_w = 16, or activations='uint8'"
        )


def _check_names(graph, rules) -> None:
    layers = [node.name for node in graph.nodes if node.op == "conv"]
    if unknown := [name for name in rules if name != "*" and name not in layers]:
        raise InputError(f"scale rule for {unknown[0]!r}, which is no layer; layers: {', '.join(layers)}")


def _calibration_images(graph, images) -> np.ndarray:
    shape = graph.shapes[graph.input]
    if images is None:
        warnings.warn(
            "no calibration images: random ones between 0 and 1 stand in, and the outputs will be wrong; "
            "give images the network is made for",
            stacklevel=3,
        )
        return np.random.default_rng(1).random((4, *shape), dtype=np.float32)
    images = np.asarray(images)
    if images.dtype.kind != "f" or images.shape[1:] != shape or not len(images):
        wanted = f"(N, {', '.join(map(str, shape))})"
        raise InputError(f"calibration images {images.dtype} {images.shape}; accepted: floating point {wanted}")
    if not np.isfinite(images).all():
        raise InputError("calibration images have values that are not finite")
    return images


# -- nodes -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Layer:
    """An integer node; with weights, its plan is still to be made."""

    node: Node
    weights: np.ndarray | None = None
    geometry: Mapping | None = None


def _integer_node(node: float_graph.Node, quants: Mapping[str, Quant], options) -> _Layer:
    if node.op != "conv":
        return _Layer(integer_node(node, quants))
    x, y = quants[node.inputs[0]], quants[node.output]
    weights, arrays = given_integers(node, x, y) if node.given else conv_integers(node, x, y, **options)
    common = node.op, node.name, node.label, tuple(node.inputs), node.output
    return _Layer(Node(*common, clip_bounds(node, y), arrays), weights, dict(node.attrs))


def _geometry(plan) -> dict:
    return {key: getattr(plan, key) for key in ("stride", "padding", "dilation", "groups")}


def _schedule(layers, config, tensors, input, output, info, mode, activation_skip, progress) -> Model:
    info |= {"mode": mode, "activation_skip": bool(activation_skip)}
    total, done, nodes = sum(layer.weights is not None for layer in layers), 0, []
    for layer in layers:
        node = layer.node
        if layer.weights is not None:
            if progress:
                progress(done, total, node.name)
            geometry = {key: layer.geometry[key] for key in ("stride", "padding", "dilation", "groups")}
            x = tensors[node.inputs[0]]
            plan = compile_conv(
                config,
                layer.weights,
                **geometry,
                mode=mode,
                activation_skip=activation_skip,
                name=node.name,
                input_shape=x.shape[1:] if len(x.shape) == 3 else (1, 1),
                act_max=x.quant.reach,
            )
            node = replace(node, plan=plan)
            done += 1
        nodes.append(node)
    if progress:
        progress(total, total, "")
    model = Model(config, tuple(nodes), tensors, input, output, info)
    try:
        model.check()
    except FileFormatError as error:  # sizes only known now, such as an average over a huge map
        raise ModelError(str(error)) from error
    return model


# -- accuracy ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Agreement:
    """Float network against integer network, on the same images.

    Args:
        images: how many.
        float_accuracy, integer_accuracy: share of images whose largest output is the label; None
            without labels.
        same_top1: share of images on which both have the same largest output.
        sqnr_db: 10 log10(power of the float outputs / power of the difference).
        largest_error: largest absolute difference of an output.
    """

    images: int
    float_accuracy: float | None
    integer_accuracy: float | None
    same_top1: float
    sqnr_db: float
    largest_error: float


def compare(onnx, model: Model, images: np.ndarray, labels: np.ndarray | None = None) -> Agreement:
    """Run a network in float and its compiled model in the integer reference, and compare outputs.

    Args:
        onnx: what ``model`` was compiled from.
        images: float (N, *input shape).
        labels: int (N,).

    Raises:
        ModelError, InputError: as :func:`compile`; or outputs of different shapes.
    """
    graph = import_onnx(onnx, model.input_shape)
    exact = np.concatenate([graph.run(images[i : i + graph.batch]) for i in range(0, len(images), graph.batch)])
    integer = model.reference(images)
    if exact.shape != integer.shape:
        raise InputError(f"outputs {exact.shape} of the network, {integer.shape} of the model: it is another network's")
    difference = integer.astype(np.float64) - exact
    noise, power = float(np.square(difference).sum()), float(np.square(exact, dtype=np.float64).sum())
    tops = [values.reshape(len(values), -1).argmax(axis=1) for values in (exact, integer)]
    scores = [None, None] if labels is None else [float((top == np.asarray(labels)).mean()) for top in tops]
    return Agreement(
        images=len(images),
        float_accuracy=scores[0],
        integer_accuracy=scores[1],
        same_top1=float((tops[0] == tops[1]).mean()),
        sqnr_db=float("inf") if noise == 0 else 10 * float(np.log10(max(power, 1e-300) / noise)),
        largest_error=float(np.abs(difference).max()),
    )
