"""What the words and colours of the page mean; docs/report.md has the same at length."""

from __future__ import annotations

from .data import Report

BANDS = {"useful": "useful", "dead": "dead", "input": "stalled: input", "output": "stalled: output"}
KINDS = {"zero": ("zero", "zero"), "nonoutlier": ("non_outlier", "non-outlier"), "outlier": ("outlier", "outlier")}
"""Colour class -> field of a layer, and its name."""

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
    return report.engine.words + _ALL
