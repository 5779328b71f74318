"""What the words and colours of the page mean; docs/report.md has the same at length."""

from __future__ import annotations

from .data import Report

BANDS = {"useful": "useful", "dead": "dead", "input": "stalled: input", "output": "stalled: output"}
KINDS = {"zero": ("zero", "zero"), "nonoutlier": ("non_outlier", "non-outlier"), "outlier": ("outlier", "outlier")}
"""Colour class -> field of a layer, and its name."""

_TRIDENT = (
    (
        "zero, non-outlier, outlier",
        "the kinds of 8-bit weights: zero takes no cycle; two non-outliers, −8 to 7, "
        "share a MAC in one cycle; an outlier takes a MAC for a whole cycle",
    ),
    ("dense", "every weight takes a cycle, zero or not"),
    ("zero-skip", "zero weights are skipped, every other takes a MAC for a cycle"),
    ("combined", "zero weights are skipped, and two non-outliers are computed in one cycle"),
    ("activation skip", "steps whose activations are all zero are dropped while the engine runs"),
    (
        "ideal bound",
        "the cycles if every MAC had useful weights in every cycle: non-outliers / 2 + outliers, per MAC. "
        "Activation skip can go below it, since the bound looks at weights only",
    ),
    ("useful", "busy cycles × the share of a work group's MACs that had a weight other than zero in them"),
    (
        "dead",
        "the rest of the busy cycles: MACs for which the schedule has no weight (in the dense schedule: a zero), "
        "and cycles that only close a pixel",
    ),
)

_ZENA = (
    (
        "zero, non-outlier, outlier",
        "weights of 0, of −8 to 7, and beyond; this engine skips zeros and makes no difference between the others",
    ),
    ("dense", "every product takes a cycle, zero or not"),
    ("WZ, AZ", "products with a zero weight, or with a zero activation, are skipped"),
    ("WAZ", "both are skipped"),
    ("WAZ+KA", "kernel allocation, too: filters with similar numbers of non-zero weights run together"),
    ("ideal bound", "the cycles if every PE multiplied a non-zero weight and a non-zero activation in every cycle"),
    ("useful", "the ideal bound: the layer's products of two non-zeros, over all PEs"),
    (
        "dead",
        "the rest of the busy cycles: PEs at an empty chunk, at a barrier, without a job or beyond the map's edge, "
        "and products with a zero where the mode does not skip them",
    ),
)

_ALL = (
    ("stalled: input", "cycles with nothing to compute: weights or activations had not arrived yet"),
    ("stalled: output", "cycles that waited for sums to leave, and those after the last computed one"),
    (
        "bound by",
        "compute where the engine is busy in nine of ten cycles, else the stream it waited for more. A layer bound "
        "by output gains nothing from fewer weights",
    ),
    ("predicted", "cycles the compiler expected, without knowing activations"),
    ("SQNR", "power of the layer's float output over power of the error that its quantised weights make"),
    ("act zeros", "share of exact zeros among the activations that enter the layer"),
)


def words(report: Report) -> tuple[tuple[str, str], ...]:
    """Rows of (word, meaning) for the report's engine."""
    return (_ZENA if report.zena else _TRIDENT) + _ALL
