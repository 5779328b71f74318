"""Functions of one number that a quantised tensor goes through: evaluated in float, tabulated for the integer graph.

A ``table`` node holds a chain of them, ``((name, *parameters), ...)``, each applied to the result of
the one before.  What activations zeroskip knows is decided here; everything else only passes chains on.
"""

from __future__ import annotations

import numpy as np


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


FUNCTIONS = {
    "affine": lambda x, scale, offset: x * scale + offset,
    "clip": lambda x, low, high: np.clip(x, low, high),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "hard_sigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "leaky_relu": lambda x, alpha: np.where(x >= 0, x, alpha * x),
    "elu": lambda x, alpha: np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "softplus": _softplus,
}
"""Name -> function of an array and of the parameters."""

SLOPE = "prelu"
"""Step that multiplies what is negative by the node's ``weight``: one slope per channel."""

TIMES_INPUT = "times_input"
"""Step that multiplies by what the whole chain started from, as in x * sigmoid(x)."""


def apply(chain, x: np.ndarray, slope: np.ndarray | None = None) -> np.ndarray:
    """``x`` through a chain, in the type of ``x``; ``slope`` must broadcast against it."""
    y = x
    for name, *parameters in chain:
        if name == TIMES_INPUT:
            y = y * x
        elif name == SLOPE:
            y = np.where(y >= 0, y, slope * y)
        else:
            y = FUNCTIONS[name](y, *parameters)
    return y.astype(x.dtype, copy=False)
