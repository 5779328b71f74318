"""LogQuant: 5-bit weights, a sign and a power of two, so that a product is a shift.

A weight is 0 or ±2**e with e from 0 to :data:`EXPONENT_MAX`; five bits hold the sign and e + 1, with 0 for
the zero weight.  ZeNA's slides give the width only; base 2 and this range are assumptions
(``docs/zena.md``).  The integers are what every other weight is, so the integer reference is the same:
``models/reference.py`` with int16 weights.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError

EXPONENT_MAX = 14
"""Largest exponent: 15 exponents and the zero make four bits, and 2**14 is the largest an int16 holds."""


def log_quantise(w: np.ndarray, top: int = EXPONENT_MAX, scale: float | None = None) -> tuple[np.ndarray, float]:
    """Round weights to the nearest power of two, in the logarithm.

    Args:
        w: float, any shape.
        top: exponent of the largest weight, 0 to :data:`EXPONENT_MAX`.  A small one keeps sums small, and makes
            more of the small weights zero: what is below 2**-0.5 of the scale has no code.
        scale: value of the weight 1; default: the largest magnitude becomes 2**top.

    Returns:
        int16 weights of w's shape, each 0 or ±2**e, and the scale: w is about weights * scale.

    Raises:
        InputError: values that are not finite, or ``top`` out of range.
    """
    w = np.asarray(w, np.float64)
    if not 0 <= top <= EXPONENT_MAX:
        raise InputError(f"LogQuant with top = {top!r}; accepted: 0 to {EXPONENT_MAX}")
    if not np.isfinite(w).all():
        raise InputError("LogQuant of weights that are not finite")
    magnitude = np.abs(w)
    if scale is None:
        scale = float(magnitude.max(initial=0.0)) / 2.0**top or 1.0
    with np.errstate(divide="ignore"):
        exponent = np.rint(np.log2(magnitude / scale))
    value = np.where(exponent < 0, 0.0, np.exp2(np.clip(exponent, 0, top)))
    return (np.sign(w) * value).astype(np.int16), float(scale)


def is_log_quant(w: np.ndarray) -> np.ndarray:
    """bool, of w's shape: the integer is one LogQuant has a code for."""
    magnitude = np.abs(np.asarray(w, np.int64))
    return (magnitude & (magnitude - 1) == 0) & (magnitude <= 1 << EXPONENT_MAX)


def encode(w: np.ndarray) -> np.ndarray:
    """5-bit codes, uint8 of w's shape: sign in bit 4, e + 1 in bits 3 to 0, 0 for zero.

    Raises:
        InputError: an integer that is neither 0 nor ±2**e.
    """
    w = np.asarray(w, np.int64)
    if not is_log_quant(w).all():
        found = w[~is_log_quant(w)].flat[0]
        raise InputError(f"weight {found} has no 5-bit code; accepted: 0 and ±2**e, e from 0 to {EXPONENT_MAX}")
    exponent = np.log2(np.maximum(np.abs(w), 1)).astype(np.uint8)
    return np.where(w == 0, 0, (w < 0) * 16 + exponent + 1).astype(np.uint8)


def decode(codes: np.ndarray) -> np.ndarray:
    """int16 weights from 5-bit codes; inverse of :func:`encode`."""
    codes = np.asarray(codes, np.int32)
    magnitude = np.where(codes & 15, 1 << np.maximum((codes & 15) - 1, 0), 0)
    return np.where(codes & 16, -magnitude, magnitude).astype(np.int16)
