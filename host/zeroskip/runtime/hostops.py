"""Integer operators the host computes: NumPy only, exact, the one definition of zeroskip's numerics.

The board (``Model.run``) and the golden model (``Model.reference``) both use these functions, so
they cannot differ; ``docs/numerics.md`` is the same in prose.  A tensor holds integers q that stand
for ``scale * (q - zero_point)``.  Every operator that changes the scale ends in :func:`requantise`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import InputError

RANGE = {"uint8": (0, 255), "int8": (-128, 127), "int16": (-32767, 32767)}
"""Integer types of a tensor and their smallest and largest q."""

MAX_SHIFT = 62
SUM_LIMIT = 2**31
"""Sums, with their bias, stay below this in magnitude: a compile-time bound, never a wrap."""

FRACTION = 2**11
"""Unit of the weights of :func:`resize`."""

DIVIDE_SHIFT = 44
"""Largest shift of :func:`divide`, so that a divisor of 17 bits still fits 62."""

SOFTMAX_ONE, SOFTMAX_LEVELS, SOFTMAX_AXIS = 2**22, 2**16, 2**20
"""Unit of the exponentials and of ``levels`` in :func:`integer_softmax`, and the longest axis 64 bits allow."""


@dataclass(frozen=True)
class Quant:
    """How integers stand for real numbers: ``real = scale * (q - zero_point)``.

    Args:
        scale: positive float.
        zero_point: the q that means exactly 0, within the range of ``dtype``.
        dtype: "uint8", "int8" or "int16".
    """

    scale: float
    zero_point: int = 0
    dtype: str = "uint8"

    def __post_init__(self) -> None:
        if self.dtype not in RANGE:
            raise InputError(f"tensor type {self.dtype!r}; accepted: {', '.join(RANGE)}")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"scale {self.scale}; accepted: a positive number")
        if not self.low <= self.zero_point <= self.high:
            raise InputError(f"zero point {self.zero_point}; accepted for {self.dtype}: {self.low} to {self.high}")

    @property
    def low(self) -> int:
        return RANGE[self.dtype][0]

    @property
    def high(self) -> int:
        return RANGE[self.dtype][1]

    @property
    def reach(self) -> int:
        """Largest magnitude of ``q - zero_point``: the activation range the engine must hold."""
        return max(self.high - self.zero_point, self.zero_point - self.low)

    def quantise(self, real: np.ndarray) -> np.ndarray:
        """Real numbers to q: divide by the scale, round half to even, add the zero point, saturate."""
        steps = np.divide(real, self.scale, dtype=np.float64)
        np.rint(steps, out=steps)
        steps += self.zero_point
        return np.clip(steps, self.low, self.high, out=steps).astype(self.dtype)

    def dequantise(self, q: np.ndarray) -> np.ndarray:
        """q to float32."""
        return ((q.astype(np.float64) - self.zero_point) * self.scale).astype(np.float32)


def fixed_points(factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positive real factors as ``multiplier / 2**shift``.

    Returns:
        int64 arrays: multiplier below 2**31 (31 significant bits unless the factor is below 2**-32) and
        shift, 1 to 62.

    Raises:
        ValueError: a factor is not positive and finite, or is 2**30 or more.
    """
    factors = np.asarray(factors, np.float64)
    bad = ~((factors > 0) & (factors < 2**30))  # and what is not a number
    if bad.any():
        raise ValueError(f"a rescaling factor of {factors[bad].flat[0]}; accepted: above 0 and below 2**30")
    shift = np.minimum(31 - np.frexp(factors)[1], MAX_SHIFT).astype(np.int64)
    multiplier = np.rint(np.ldexp(factors, shift)).astype(np.int64)
    full = multiplier == 2**31
    return np.where(full, 2**30, multiplier), np.where(full, shift - 1, shift)


def fixed_point(factor: float) -> tuple[int, int]:
    """One factor; see :func:`fixed_points`."""
    multiplier, shift = fixed_points(np.array(factor))
    return int(multiplier), int(shift)


def requantise(sums, multiplier, shift, quant: Quant, low: int | None = None, high: int | None = None) -> np.ndarray:
    """``saturate(round_half_even(sums * multiplier / 2**shift) + zero_point)``.

    Args:
        sums: integers, bias included, below 2**31 in magnitude.
        multiplier, shift: integers or arrays that broadcast against ``sums``; 0 <= multiplier < 2**31,
            1 <= shift <= 62.  The product then fits 63 bits.
        quant: of the result.
        low, high: saturation bounds on q (a fused ReLU or clip), default the range of the type.

    Returns:
        array of ``quant.dtype``, the shape of ``sums``.
    """
    shift = np.asarray(shift, dtype=np.int64)
    product = np.asarray(sums, dtype=np.int64) * np.asarray(multiplier, dtype=np.int64)
    return rounded(product, shift, quant, low, high)


def rounded(product: np.ndarray, shift, quant: Quant, low: int | None, high: int | None) -> np.ndarray:
    # floor((p + half - 1 + odd) / 2**shift), odd = the lowest bit of floor(p / 2**shift), is half to even.
    odd = product >> shift
    odd &= 1
    odd += (np.int64(1) << (shift - 1)) - 1
    product = product + odd
    product >>= shift
    product += quant.zero_point
    low, high = quant.low if low is None else low, quant.high if high is None else high
    return np.clip(product, low, high, out=product).astype(quant.dtype)


@dataclass(frozen=True, eq=False)
class Finish:
    """What becomes of a convolution's sums: bias, then :func:`requantise`.

    Args:
        bias, multiplier, shift: integers (K,), of every filter.
        quant: of the result.
        low, high: saturation bounds on q (a fused ReLU or clip).
    """

    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    quant: Quant
    low: int
    high: int

    def same(self, other: Finish) -> bool:
        """Whether both hold the very same arrays, which costs no look into them, and equal numbers."""
        arrays = ("bias", "multiplier", "shift")
        return all(getattr(self, name) is getattr(other, name) for name in arrays) and (
            (self.quant, self.low, self.high) == (other.quant, other.low, other.high)
        )

    def __call__(self, sums: np.ndarray) -> np.ndarray:
        """Sums int32 (N, K, OH, OW) to q of the same shape."""
        bias, multiplier, shift = (a.reshape(1, -1, 1, 1) for a in (self.bias, self.multiplier, self.shift))
        return requantise(sums.astype(np.int64) + bias, multiplier, shift, self.quant, self.low, self.high)


def add(a, b, a_quant: Quant, b_quant: Quant, multipliers, shift: int, quant: Quant, low=None, high=None) -> np.ndarray:
    """Sum (a negative multiplier: difference) of two tensors with different scales, rounded once.

    ``saturate(round_half_even(((a - za) * multipliers[0] + (b - zb) * multipliers[1]) / 2**shift) + zero_point)``
    """
    product = (a.astype(np.int64) - a_quant.zero_point) * multipliers[0]
    product = product + (b.astype(np.int64) - b_quant.zero_point) * multipliers[1]
    return rounded(product, np.int64(shift), quant, low, high)


def mul(a, b, a_quant: Quant, b_quant: Quant, multiplier, shift, quant: Quant, low=None, high=None) -> np.ndarray:
    """Product of two tensors that broadcast: :func:`requantise` of ``(a - za) * (b - zb)``."""
    product = (a.astype(np.int64) - a_quant.zero_point) * (b.astype(np.int64) - b_quant.zero_point)
    return requantise(product, multiplier, shift, quant, low, high)


def extreme(operator: np.ufunc, inputs, quants, multipliers, shifts, quant: Quant) -> np.ndarray:
    """``np.maximum`` or ``np.minimum`` of two tensors that broadcast, each requantised to the result's scale first."""
    return operator(*_rescaled(inputs, quants, multipliers, shifts, quant))


def where(mask, a, b, quants, multipliers, shifts, quant: Quant) -> np.ndarray:
    """``a`` where ``mask`` is not real 0, else ``b``; the three broadcast, a and b are requantised first."""
    return np.where(mask != quants[0].zero_point, *_rescaled((a, b), quants[1:], multipliers, shifts, quant))


def divide(a, b, a_quant: Quant, b_quant: Quant, multiplier: int, shift: int, quant: Quant) -> np.ndarray:
    """Quotient of two tensors that broadcast, exact and rounded once.

    ``saturate(round_half_even((a - za) * multiplier / ((b - zb) * 2**shift)) + zero_point)``; what is divided by 0
    saturates, 0 / 0 is 0.
    """
    numerator, divisor = a.astype(np.int64) - a_quant.zero_point, b.astype(np.int64) - b_quant.zero_point
    numerator = numerator * np.where(divisor < 0, -multiplier, multiplier)
    divisor = np.abs(divisor) << shift
    quotient, rest = np.divmod(numerator, np.maximum(divisor, 1))
    quotient += (2 * rest > divisor) | ((2 * rest == divisor) & (quotient % 2 == 1))
    quotient = np.where(divisor == 0, np.sign(numerator) << 32, quotient)
    return np.clip(quotient + quant.zero_point, quant.low, quant.high).astype(quant.dtype)


def lookup(x: np.ndarray, table: np.ndarray, quant: Quant) -> np.ndarray:
    """``table[channel, q - low]``: any function of one number.

    Args:
        x: (N, C, ...), quantised as ``quant``.
        table: (1, values of the type) or (C, values of the type).
    """
    index = x.astype(np.intp)
    index -= quant.low
    if len(table) > 1:
        index += (np.arange(len(table)) * table.shape[1]).reshape(1, -1, *[1] * (x.ndim - 2))
    return table.ravel().take(index)


def concat(parts, quants, multipliers, shifts, quant: Quant, axis: int) -> np.ndarray:
    """Tensors side by side; those of another scale or zero point are requantised first."""
    return np.concatenate(_rescaled(parts, quants, multipliers, shifts, quant), axis=axis)


def _rescaled(parts, quants, multipliers, shifts, quant: Quant) -> list[np.ndarray]:
    """Each tensor with the scale and zero point of ``quant``."""
    return [
        x if own == quant else requantise(x.astype(np.int64) - own.zero_point, multiplier, shift, quant)
        for x, own, multiplier, shift in zip(parts, quants, multipliers, shifts, strict=True)
    ]


def pad(x: np.ndarray, padding, quant: Quant) -> np.ndarray:
    """Real zeros around a tensor: before every axis but the batch, then after each."""
    rank = len(padding) // 2
    widths = [(0, 0), *zip(padding[:rank], padding[rank:], strict=True)]
    return np.pad(x, widths, constant_values=quant.zero_point)


def resize(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, quant: Quant) -> np.ndarray:
    """Interpolate between two rows and two columns.

    ``saturate(round_half_even(sum of (q - z) * row weight * column weight / 2**22) + z)``; scale and zero
    point stay.

    Args:
        x: (N, C, H, W).
        rows, columns: int32 (3, n): first index, second index, weight of the second in 1/2048.
    """
    if not rows[2].any() and not columns[2].any():
        return x.take(rows[0], axis=2).take(columns[0], axis=3)
    total = x.astype(np.int64) - quant.zero_point
    for axis, (first, second, weight) in ((2, rows), (3, columns)):
        weight = weight.astype(np.int64).reshape(-1, *[1] * (3 - axis))
        total = total.take(first, axis) * (FRACTION - weight) + total.take(second, axis) * weight
    return rounded(total, np.int64(22), quant, None, None)


def integer_softmax(x: np.ndarray, table: np.ndarray, levels: int, quant: Quant, axis: int) -> np.ndarray:
    """``saturate(round_half_even(e * levels / (2**16 * sum of e)) + zero_point)``, ``e = table[largest q - q]``.

    Args:
        table: int32, ``2**22 * exp(-scale * d)`` for every distance d.
        levels: ``2**16 / scale`` of the result, below 2**40.
    """
    distance = x.max(axis=axis, keepdims=True).astype(np.intp) - x
    e = table.astype(np.int64).take(distance)
    total = e.sum(axis=axis, keepdims=True) * SOFTMAX_LEVELS
    quotient, rest = np.divmod(e * levels, total)
    quotient += (2 * rest > total) | ((2 * rest == total) & (quotient % 2 == 1))
    return np.clip(quotient + quant.zero_point, quant.low, quant.high).astype(quant.dtype)


def out_size(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """Output pixels along one axis; 0 or less if the window does not fit."""
    return (size + before + after - (kernel - 1) * dilation - 1) // stride + 1


def reduce_windows(x: np.ndarray, kernel, stride, padding, dilation, operator: np.ufunc, fill=0) -> np.ndarray:
    """``operator`` over every window of the two last axes: columns first, then rows.

    Args:
        x: (..., H, W).
        kernel, stride, dilation: (rows, columns).
        padding: (top, left, bottom, right), filled with ``fill``.
        operator: ``np.add`` or ``np.maximum``.

    Returns:
        (..., OH, OW), the type of ``x``.
    """
    top, left, bottom, right = padding
    x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(top, bottom), (left, right)], constant_values=fill)
    for axis, size, step, apart in zip((-1, -2), kernel[::-1], stride[::-1], dilation[::-1], strict=True):
        count = out_size(x.shape[axis], size, step, 0, 0, apart)
        x = np.moveaxis(x, axis, 0)
        if size == len(x):  # one window over everything: a mean over whole maps has no loop over its pixels
            x = np.moveaxis(operator.reduce(x, axis=0, keepdims=True, dtype=x.dtype), 0, axis)
            continue
        taps = [x[i * apart : i * apart + (count - 1) * step + 1 : step] for i in range(size)]
        reduced = taps[0].copy()
        for tap in taps[1:]:
            operator(reduced, tap, out=reduced)
        x = np.moveaxis(reduced, 0, axis)
    return np.ascontiguousarray(x)


def max_pool(x: np.ndarray, kernel, stride, padding, dilation) -> np.ndarray:
    """Largest q of every window; padding never wins.  Scale and zero point stay.  x: (N, C, H, W)."""
    return reduce_windows(x, kernel, stride, padding, dilation, np.maximum, fill=np.iinfo(x.dtype).min)


def average_pool(
    x, x_quant: Quant, kernel, stride, padding, dilation, multiplier, shift, quant: Quant, low=None, high=None
):
    """Sum of ``q - zero_point`` over every window (padding counts 0), then :func:`requantise`.

    ``multiplier`` and ``shift``, (OH, OW) or (1, 1), hold ``scale_in / (scale_out * n)`` for the n
    elements of each window, so a window cut by the border has its own.
    """
    sums = reduce_windows(x.astype(np.int64) - x_quant.zero_point, kernel, stride, padding, dilation, np.add)
    return requantise(sums, multiplier, shift, quant, low, high)


def softmax(x: np.ndarray, axis: int = 1) -> np.ndarray:
    """Float softmax, for a network's head."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def log_softmax(x: np.ndarray, axis: int = 1) -> np.ndarray:
    """Its logarithm, for a network's head."""
    distance = x - x.max(axis=axis, keepdims=True)
    return distance - np.log(np.exp(distance).sum(axis=axis, keepdims=True))
