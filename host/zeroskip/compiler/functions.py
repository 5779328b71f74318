"""Functions of one number that a quantised tensor goes through: evaluated in float, tabulated for the integer graph.

A ``table`` node holds a chain of them, ``((name, *parameters), ...)``, each applied to the result of
the one before.  Steps named in :data:`COMBINING` (and :data:`WHERE`) take other chains as parameters, which start
where the whole chain started: x * sigmoid(x) is ``(("mul", (("sigmoid",),)),)``.  What activations zeroskip knows is
decided here; everything else only passes chains on.
"""

from __future__ import annotations

import math

import numpy as np


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


_STEPS = 1024
_KNOTS = np.arange(-6 * _STEPS, 6 * _STEPS + 1) / _STEPS
_ERF = np.array([math.erf(knot) for knot in _KNOTS])


def _erf(x):
    """The error function to 1e-13, by its Taylor series about the nearest of many places; beyond 6 it is 1."""
    x = np.clip(x, -6, 6).astype(np.float64)
    place = np.rint(x * _STEPS)
    knot = place / _STEPS
    d = x - knot
    slope = 2 / math.sqrt(math.pi) * np.exp(-(knot**2))
    return _ERF[place.astype(np.intp) + 6 * _STEPS] + slope * d * (1 - knot * d + (2 * knot**2 - 1) * d**2 / 3)


def _gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


FUNCTIONS = {
    "affine": lambda x, scale, offset: x * scale + offset,
    "clip": lambda x, low, high: np.clip(x, low, high),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "hard_sigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "leaky_relu": lambda x, alpha: np.where(x >= 0, x, alpha * x),
    "thresholded_relu": lambda x, alpha: np.where(x > alpha, x, 0),
    "elu": lambda x, alpha: np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "selu": lambda x, alpha, gamma: gamma * np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "celu": lambda x, alpha: np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "swish": lambda x, alpha: x * _sigmoid(alpha * x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
    "gelu_tanh": _gelu_tanh,
    "erf": _erf,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "truncate": np.trunc,
    "greater": lambda x, bound: x > bound,
    "greater_equal": lambda x, bound: x >= bound,
    "less": lambda x, bound: x < bound,
    "less_equal": lambda x, bound: x <= bound,
    "nonzero": lambda x: x != 0,
    "power": lambda x, exponent: np.power(x, exponent),
    "divide_from": lambda x, numerator: numerator / x,
}
"""Name -> function of an array and of the parameters."""

COMBINING = {
    "mul": np.multiply,
    "add": np.add,
    "sub": np.subtract,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
}
"""Steps that combine the result so far with that of another chain of the same x."""

WHERE = "where"
"""Step with two chains of the same x: what it gives is taken from the first where the result so far is 1, else from the
second."""

SLOPE = "prelu"
"""Step that multiplies what is negative by the node's ``weight``: one slope per channel."""

CHAIN = "chain"
"""Step that applies a whole chain, which starts at the result so far."""


def apply(chain, x: np.ndarray, slope: np.ndarray | None = None) -> np.ndarray:
    """``x`` through a chain, in the type of ``x``; ``slope`` must broadcast against it.

    What has no real value (the square root of a negative number) is NaN.
    """
    y = x
    for name, *parameters in chain:
        if name in COMBINING:
            y = COMBINING[name](y, apply(parameters[0], x))
        elif name == WHERE:
            y = np.where(y > 0.5, apply(parameters[0], x), apply(parameters[1], x))
        elif name == CHAIN:
            y = apply(parameters[0], y)
        elif name == SLOPE:
            y = np.where(y >= 0, y, slope * y)
        else:
            y = np.asarray(FUNCTIONS[name](y, *parameters), x.dtype)
    return y.astype(x.dtype, copy=False)


def joined(first: tuple, then: tuple) -> tuple:
    """One chain that does what two do one after the other."""
    starts_anew = first and any(name in COMBINING or name == WHERE for name, *_ in then)
    return (*first, (CHAIN, then)) if starts_anew else (*first, *then)
