"""From an ONNX file to a :class:`~zeroskip.runtime.network.Model`: import, calibrate, quantise, schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..engines import checked_mode, engine_of
from ..errors import FileFormatError, InputError, ModelError
from ..files import read_array
from ..hardware.config import Config, get_config
from ..runtime.memory_plan import predicted_cycles
from ..runtime.network import Model
from ..runtime.nodes import Tensor
from ..text import printable
from .budget import RULES, spend
from .deviation import Observer, trials
from .equalise import ChannelObserver
from .equalise import equalise as equalise_channels
from .integer_layers import Layer, integer_layers
from .onnx_import import import_onnx
from .options import (
    Budget,
    calibration_images,
    check_activations,
    check_names,
    check_options,
    checked_labels,
    known_shape,
    warn_of_ranges,
)
from .quality import Quality, affordable, warn_if_lost
from .quantise import PLAIN, Rule, calibrate, prune_graph, quantise_graph

Progress = Callable[[int, int, str], None]
"""(layers done, layers in all, name of the layer that starts)."""


def compile(
    onnx,
    config: str | Path | Config = "tiny",
    calibration: np.ndarray | None = None,
    *,
    scale_rule: str | Mapping[str, str] = "mse",
    per: str = "channel",
    percentile: float = 97,
    clip: int = 0,
    prune: float = 0.0,
    budget: float | str | Budget | None = None,
    labels: np.ndarray | None = None,
    equalise: bool = True,
    adaptive_rounding: bool = True,
    bias_correction: bool = True,
    mode: str | None = None,
    activation_skip: bool = True,
    activations: str = "uint8",
    calibration_percentile: float = 100.0,
    output: str | None = None,
    outputs: str | Sequence[str] | None = None,
    input_shape: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> Model:
    """Compile a network for one build of the hardware.

    Args:
        onnx: path of an ONNX file, its bytes, or an ``onnx.ModelProto``.
        config: name of a built-in configuration, a JSON file, or a :class:`Config`.
        calibration: float images (N, *input shape), as the network will see them, or a .npy file of them.  Without
            any, random ones stand in, with a warning: cycles are then meaningful, outputs are not.
        scale_rule: "mse", plain 8-bit weights with the least error, or for experiments "max_abs", "power_of_two" or
            "percentile" (see ``quantise.weight_scales``); or a rule for each layer: ONNX node name -> rule, "*" for
            all others.
        per: one weight scale per "channel" (filter) or per "tensor" (layer), which costs accuracy.
        percentile: of the rule of that name, which makes most weights small: fewer cycles, less accuracy.
        clip: threshold of Kang et al., equation 1; 0 clips nothing.
        prune: share of each layer's weights, the smallest, that are set to zero; 0 to 1.  Layers whose filters
            have fewer than 16 weights stay whole.
        budget: choose the scale rule of every filter, for the fewest cycles, such that the network loses at
            most this against plain 8-bit weights: decibels of output SQNR (3, "3dB") or points of accuracy
            ("1%"), on the calibration images.  Layers that ``scale_rule`` names keep
            their rule; ``per``, ``percentile`` and ``clip`` are for them only.
        labels: int (N,), the class of every calibration image, only for a budget of accuracy; without, what the
            float network answers counts as right.
        equalise: bring the channels of a tensor to like ranges where that makes less noise (``equalise.py``);
            only with scales per channel.
        adaptive_rounding: round weights so that the errors of a filter cancel on the calibration images
            (``rounding.py``), instead of each to its nearest.
        bias_correction: take the mean error of the quantised weights, as seen on the calibration images,
            out of the bias.
        mode: what is skipped, one of the engine's ``modes``; default: its last, the fastest.
        activation_skip: let the online scheduler drop steps without non-zero activations.
        activations: "uint8", or "int16" on a build with 16-bit activations.
        calibration_percentile: 100 takes the range of the calibration activations, less cuts its ends.
        outputs: the tensors to compute, one name or several; any tensors of the file will do, so that a tail which
            is not worth a DSP (a decoder, non-maximum suppression) can be left out.  Default: the file's outputs.
        output: one of ``outputs``.
        input_shape: (C, H, W), where the file leaves sizes open and there are no calibration images to tell them.
        progress: called before every layer is scheduled and once at the end.

    The default keeps the network: it takes no weight rule that costs accuracy unless it is asked for.  A warning says
    so when the outputs on the calibration images fall more than 6 dB (of SQNR against the float network) below those
    of plain 8-bit weights, or below 3 dB.

    A network that is quantised already (QDQ or QOperator) keeps its own weights, scales and zero points;
    the options above count for what it leaves in float.

    Raises:
        ModelError: the file is not a network zeroskip can compile.
        InputError: an option or the calibration images are not accepted.
        ConfigError: no such configuration.
    """
    config = get_config(config)
    budget = Budget.accepted(budget, calibration, labels)
    rules = scale_rule if isinstance(scale_rule, Mapping) else {"*": scale_rule}
    mode = checked_mode(config, mode)
    check_options(config, rules, per, percentile, clip, prune, activations, calibration_percentile)
    if isinstance(calibration, (str, Path)):
        calibration = read_array(str(calibration), "calibration images", "fiu")
    graph = import_onnx(onnx, known_shape(calibration, input_shape), outputs if output is None else [output])
    check_names(graph, rules, prune)
    source = printable(Path(onnx).name) if isinstance(onnx, (str, Path)) else "bytes"
    info = {
        "source": source, "scale_rule": rules["*"] if set(rules) == {"*"} else dict(rules), "per": per,
        "percentile": percentile, "clip": clip, "prune": prune, "activations": activations,
        "calibration": 0 if calibration is None else len(calibration), "outputs": [o.name for o in graph.outputs],
    }  # fmt: skip
    images, quality = None, None
    if graph.needs_calibration:
        images = calibration_images(graph, calibration)
        labels = checked_labels(labels, images, calibration)
        if calibration is not None:
            quality = Quality(graph, config, images[:: affordable(graph, len(images))])
        if prune:
            prune_graph(graph, prune, images)
    if budget is not None and budget.points is not None and len(graph.outputs) > 1:
        raise InputError(
            f"budget {budget} of accuracy with {len(graph.outputs)} outputs; accepted: decibels, which count all of "
            f"them, or one output (outputs=...)"
        )
    layer_rules = _rules_of(graph, rules, per, percentile, clip, budget)
    if budget is not None and not layer_rules:
        raise InputError(f"budget {budget}: no layer has scales to choose, the file has quantised them; leave it out")
    free = [node for node in graph.nodes if node.output in layer_rules]
    observer, channels, ranges = Observer(free, 0 if images is None else len(images)), ChannelObserver(graph), {}
    if images is not None:

        def watch(name: str, values: np.ndarray) -> None:
            observer.observe(name, values)
            channels.observe(name, values)

        ranges = calibrate(graph, images, calibration_percentile, watch=watch)
        warn_of_ranges(graph, ranges, images)
    if equalise and per == "channel" and quality:
        info["equalised"] = equalise_channels(channels, observer.moments, ranges)
    tried = {node.output: trials(node, layer_rules[node.output], observer.moments[node.output]) for node in free}
    quants = quantise_graph(graph, ranges, activations)
    tensors = {name: Tensor(graph.shapes[name], quant) for name, quant in quants.items()}
    choices, plain = {}, {}
    correct, feedback = bias_correction and quality is not None, adaptive_rounding and quality is not None
    info["adaptive_rounding"] = feedback
    if budget is not None and images is not None:
        choices, loss, plain = spend(budget, graph, config, tensors, tried, images, labels, mode, feedback)
        info |= {"budget": str(budget), "budget_used": loss}
    layers = integer_layers(graph.nodes, quants, tried, choices, correct, feedback)
    info["layers"] = _layer_info(graph, tried, choices, plain, feedback)
    if quality and free:
        info["sqnr_db"] = quality.sqnr(layers, tensors)
        if budget is None and any(rules != (PLAIN,) for rules in layer_rules.values()):
            ordinary = {node.output: trials(node, (PLAIN,), observer.moments[node.output]) for node in free}
            plain_layers = integer_layers(graph.nodes, quants, ordinary, {}, feedback=feedback)
            info["plain_sqnr_db"] = quality.sqnr(plain_layers, tensors)
        warn_if_lost(info["sqnr_db"], info.get("plain_sqnr_db"))
    ends = graph.input, graph.outputs, graph.input_type
    return _schedule(layers, config, tensors, ends, info, mode, activation_skip, progress)


def _rules_of(graph, rules, per, percentile, clip, budget) -> dict[str, tuple[Rule, ...]]:
    """Output tensor of every convolution zeroskip quantises -> the rules it may be quantised with."""
    found = {}
    for node in graph.nodes:
        if node.op != "conv" or node.given:
            continue
        if node.weight.shape[1:] == (1, 1, 1):  # one weight per filter: no distribution, none to spare
            found[node.output] = (PLAIN,)
        elif budget is not None and node.name not in rules:
            found[node.output] = RULES
        else:
            rule = rules.get(node.name, rules.get("*", "mse"))
            found[node.output] = (Rule(rule, per, percentile, clip),)
    return found


def _layer_info(graph, tried, choices, plain, feedback) -> dict[str, dict]:
    """What a report says of each layer's quantisation: filters under each rule, the noise on its output, whose scale
    that has; of a layer with a budget also the cycles predicted with plain weights."""
    info = {}
    for node in graph.nodes:
        if node.given:
            info[node.name] = {"rules": {"given by the file": len(node.given.scales)}, "sqnr_db": None}
        if node.output in tried:
            trial = tried[node.output]
            chosen = choices.get(node.output, np.zeros(len(node.weight), int))
            weights, scales = trial.take(chosen)
            change = trial.change(trial.rounded(chosen) if feedback else weights, scales)
            counts = np.bincount(chosen, minlength=len(trial.rules)).tolist()
            rules = {str(rule): count for rule, count in zip(trial.rules, counts, strict=True) if count}
            noise = float(trial.relative_noise(change).sum()) if trial.moments.count else 0.0
            info[node.name] = {"rules": rules, "sqnr_db": round(-10 * math.log10(noise), 2) if noise > 0 else None}
        if node.name in info:
            info[node.name]["output_scale"] = "file" if node.output in graph.quants else "compiler"
        if node.output in plain:
            info[node.name]["plain_cycles"] = round(plain[node.output])
    return info


def reschedule(
    model: Model,
    config: str | Path | Config | None = None,
    *,
    mode: str | None = None,
    activation_skip: bool = True,
    progress: Progress | None = None,
) -> Model:
    """The same integers, scheduled in another mode or for another build: what comparisons need.

    Raises:
        InputError: an unknown mode, or a build that does not hold the model's activations.
    """
    config = model.config if config is None else get_config(config)
    mode = checked_mode(config, mode)
    check_activations(config, model.info.get("activations", "uint8"))
    layers = [Layer.of(node) for node in model.nodes]
    info = {**model.info, "layers": {}}
    for name, how in model.info.get("layers", {}).items():  # what was predicted for another schedule is left behind
        info["layers"][name] = {key: how[key] for key in ("rules", "sqnr_db", "output_scale") if key in how}
    ends = model.input, model.outputs, model.input_type
    return _schedule(layers, config, model.tensors, ends, info, mode, activation_skip, progress)


# -- schedules ---------------------------------------------------------------------------------------
def _schedule(layers, config, tensors, ends, info, mode, activation_skip, progress) -> Model:
    input, outputs, input_type = ends
    activation_skip = bool(activation_skip) and engine_of(config).activation_skip  # elsewhere the mode says so
    info |= {"mode": mode, "activation_skip": activation_skip}
    total, done, nodes = sum(layer.weights is not None for layer in layers), 0, []
    for layer in layers:
        node = layer.node
        if layer.weights is not None:
            if progress:
                progress(done, total, node.name)
            node = layer.scheduled(config, tensors[node.inputs[0]], mode, activation_skip)
            done += 1
        nodes.append(node)
    if progress:
        progress(total, total, "")
    kept = info.get("layers", {})
    info["layers"] = {
        node.name: {**kept.get(node.name, {}), **node.plan.statistics(),
                    "predicted_cycles": round(predicted_cycles(node, tensors[node.inputs[0]]))}
        for node in nodes if node.plan
    }  # fmt: skip
    model = Model(config, tuple(nodes), tensors, input, outputs, info, input_type)
    try:
        model.check()
    except FileFormatError as error:  # sizes only known now, such as an average over a huge map
        raise ModelError(str(error)) from error
    return model


# -- accuracy ----------------------------------------------------------------------------------------
def joined(batches: list) -> np.ndarray:
    """The output of several batches, (N, ...); of several outputs, all their values side by side."""
    if isinstance(batches[0], dict):
        batches = [np.concatenate([v.reshape(len(v), -1) for v in found.values()], axis=1) for found in batches]
    return np.concatenate(batches)


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
    graph = import_onnx(onnx, model.input_shape, model.info.get("outputs"))
    exact = joined([graph.run(images[i : i + graph.batch]) for i in range(0, len(images), graph.batch)])
    integer = joined([model.real(model.reference_integers(images))])
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
