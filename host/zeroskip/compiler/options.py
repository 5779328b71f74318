"""Checks of what a caller gives :func:`zeroskip.compile`: options, budget, calibration images, labels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..hardware.config import Config
from ..runtime.input_range import warn_of_range
from .graph import PICKING
from .quantise import PER, SCALE_RULES

ACTIVATIONS = ("uint8", "int16")


@dataclass(frozen=True)
class Budget:
    """What may be lost against plain 8-bit weights.

    Args:
        decibels: of the output's signal-to-noise ratio, float against integer network.
        points: of accuracy, in percent of the calibration images.
    """

    decibels: float | None = None
    points: float | None = None

    @classmethod
    def parse(cls, value) -> Budget:
        """A number or "3dB": decibels; "1%": points of accuracy.

        Raises:
            InputError: anything else.
        """
        if isinstance(value, Budget):
            return value
        text = str(value).strip().lower()
        for unit, name in (("%", "points"), ("db", "decibels"), ("", "decibels")):
            if text.endswith(unit):
                try:
                    number = float(text.removesuffix(unit))
                except ValueError:
                    break
                if 0 <= number < 1000:
                    return cls(**{name: number})
                break
        raise InputError(f"budget {value!r}; accepted: decibels of output SQNR such as 3 or '3dB', or accuracy: '1%'")

    @classmethod
    def accepted(cls, value, calibration, labels) -> Budget | None:
        """What :func:`zeroskip.compile` was given, checked against what it would be measured on; None: no budget.

        Raises:
            InputError: not a budget, nothing to measure it on, or labels that it does not look at.
        """
        budget = None if value is None else cls.parse(value)
        if budget is not None and calibration is None:
            raise InputError(f"budget {budget} without calibration images; accepted: images to measure the loss on")
        if labels is not None and (budget is None or budget.points is None):
            found = "without a budget" if budget is None else f"with a budget of {budget}"
            raise InputError(f"labels {found}; accepted: with a budget of accuracy, such as '1%'; or leave them out")
        return budget

    def __str__(self) -> str:
        return f"{self.points:g} %" if self.decibels is None else f"{self.decibels:g} dB"


def check_options(config, rules, per, percentile, clip, prune, activations, calibration_percentile) -> None:
    def need(condition, name, value, accepted):
        if not condition:
            raise InputError(f"{name} {value!r}; accepted: {accepted}")

    for rule in rules.values():
        need(rule in SCALE_RULES, "scale rule", rule, ", ".join(SCALE_RULES))
    need(per in PER, "per", per, ", ".join(PER))
    need(_within(percentile, 1, 100), "percentile", percentile, "1 to 100")
    need(isinstance(clip, (int, np.integer)) and 0 <= clip <= 119, "clip", clip, "whole numbers from 0 to 119")
    need(_within(prune, 0, 1), "prune", prune, "0 to 1")
    need(activations in ACTIVATIONS, "activations", activations, ", ".join(ACTIVATIONS))
    need(_within(calibration_percentile, 50, 100), "calibration_percentile", calibration_percentile, "50 to 100")
    check_activations(config, activations)


def _within(value, low, high) -> bool:
    return isinstance(value, (int, float, np.number)) and low <= value <= high


def check_activations(config: Config, activations: str) -> None:
    if activations == "int16" and config.act_w < 16:
        raise InputError(
            f"16-bit activations on configuration {config.name!r} with act_w = {config.act_w}; "
            f"accepted: a configuration with act_w = 16, or activations='uint8'"
        )


def check_names(graph, rules, prune) -> None:
    """Layers that are quantised already have no rule, and nothing to prune."""
    layers = [node.name for node in graph.nodes if node.op == "conv"]
    given = [node.name for node in graph.nodes if node.given]
    if unknown := [name for name in rules if name != "*" and name not in layers]:
        raise InputError(f"scale rule for {unknown[0]!r}, which is no layer; layers: {', '.join(layers)}")
    if fixed := [name for name in rules if name in given]:
        raise InputError(f"scale rule for {fixed[0]!r}, which the file has quantised already; accepted: other layers")
    if prune and given:
        raise InputError(f"prune {prune} of layers the file has quantised already ({given[0]!r}, ...); accepted: 0")


def known_shape(calibration, input_shape) -> tuple[int, ...] | None:
    """The input's shape without the batch, if there is anything to tell it.

    Raises:
        InputError: not a list of sizes, or not that of the calibration images.
    """
    seen = None if calibration is None else np.shape(calibration)[1:]
    if input_shape is None:
        return seen
    shape = tuple(input_shape)
    if not all(isinstance(n, (int, np.integer)) and n > 0 for n in shape) or not shape:
        raise InputError(f"input_shape {input_shape}; accepted: sizes without the batch, such as (3, 224, 224)")
    if seen not in (None, shape):
        raise InputError(f"input_shape {shape}, but calibration images of shape {seen}; accepted: the same")
    return shape


def calibration_images(graph, images) -> np.ndarray:
    shape = graph.shapes[graph.input]
    whole = graph.input_type if graph.input_type != "float32" else ""
    if images is None:
        warnings.warn(
            "no calibration images: random ones between 0 and 1 stand in, and the outputs will be wrong; "
            "give images the network is made for",
            stacklevel=3,
        )
        if whole:
            limits = np.iinfo(whole)
            return np.random.default_rng(1).integers(limits.min, limits.max, (4, *shape), whole, endpoint=True)
        return np.random.default_rng(1).random((4, *shape), dtype=np.float32)
    images = np.asarray(images)
    if (images.dtype.kind != "f" and images.dtype != whole) or images.shape[1:] != shape or not len(images):
        wanted = f"{whole} or " * bool(whole) + f"floating point (N, {', '.join(map(str, shape))})"
        raise InputError(f"calibration images {images.dtype} {images.shape}; accepted: {wanted}")
    if not np.isfinite(images).all():
        raise InputError("calibration images have values that are not finite")
    return images


def warn_of_ranges(graph, ranges, images) -> None:
    """Warn of calibration images that leave a scale to chance.

    Args:
        ranges: of every tensor, from ``quantise.calibrate``.
    """
    if graph.input in graph.quants:
        warn_of_range(images, graph.quants[graph.input], "calibration images")
    elif ranges[graph.input] == (0, 0):
        warnings.warn(
            "the calibration images are all zero: no scale can be chosen from them, and the outputs will be wrong; "
            "give images as the network will see them",
            stacklevel=3,
        )
        return
    chosen = [node for node in graph.nodes if node.op not in PICKING and node.output not in graph.quants]
    if empty := [node.name for node in chosen if ranges[node.output] == (0, 0)]:
        names = ", ".join(empty[:3]) + ", ..." * (len(empty) > 3)
        warnings.warn(
            f"{len(empty)} of {len(chosen)} layers ({names}) give only zeros on the calibration images: their "
            f"scales are left to chance; give images on which they do something",
            stacklevel=3,
        )


def checked_labels(labels, images, calibration) -> np.ndarray | None:
    if labels is None or calibration is None:
        return None
    labels = np.asarray(labels)
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise InputError(f"labels {labels.dtype} {labels.shape}; accepted: whole numbers ({len(images)},)")
    return labels
