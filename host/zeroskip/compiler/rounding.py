"""Adaptive rounding: weights rounded so that the errors of a layer's inputs cancel, not each on its own.

Rounding a weight up instead of down can make up for what its neighbours lost, where their inputs move together.  One
weight of a filter after the other is rounded to the nearest integer, and the weights still to come are changed such
that the error at the layer's output is least (error feedback; Hassibi and Stork, *Optimal Brain Surgeon*, 1993;
Frantar et al., *GPTQ*, 2023).  What moves together is seen on patches of the layer's input on calibration images.
"""

from __future__ import annotations

import numpy as np

from .quantise import WEIGHT_MAX

DAMPING = 0.01
"""Of the mean variance, added to every input's: keeps what was hardly seen near its nearest integer."""

STRIDE = 128
"""Weights of a filter that are rounded before the others of it are brought up to date: for the cache."""


def shrunk(covariance: np.ndarray, count: int) -> np.ndarray:
    """A covariance that few samples can carry: the fewer there are for its size, the nearer to its diagonal.

    Args:
        covariance: float64 (groups, n, n), of ``count`` samples.
    """
    size = covariance.shape[-1]
    keep = max(0.0, 1 - size / max(count, 1))
    diagonal = np.einsum("gii->gi", covariance)
    result = covariance * keep
    mean = diagonal.mean(axis=1, keepdims=True)
    places = np.arange(size)
    result[:, places, places] = diagonal + DAMPING * mean + np.where(mean > 0, 0.0, 1.0)
    return result


def round_with_feedback(w: np.ndarray, covariance: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Round every filter to integers.

    Args:
        w: float64 (groups, K/groups, n), in steps of the filter's scale.
        covariance: float64 (groups, n, n), positive definite, of the inputs the n weights meet.
        low, high: bounds of every weight, of w's shape; a weight that is to stay zero has 0 and 0.

    Returns:
        float64 integers of w's shape.
    """
    order = np.argsort(-np.einsum("gii->gi", covariance), axis=1, kind="stable")
    take = order[:, None, :]
    w, low, high = (np.take_along_axis(values, take, axis=2) for values in (w, low, high))
    covariance = np.take_along_axis(np.take_along_axis(covariance, order[:, :, None], axis=1), take, axis=2)
    # Rows of the upper Cholesky factor of the inverse: how an error of weight i is spread over those after it.
    spread = np.ascontiguousarray(np.linalg.cholesky(np.linalg.inv(covariance)).transpose(0, 2, 1))
    found = np.empty_like(w)
    size = w.shape[2]
    for start in range(0, size, STRIDE):
        stop = min(start + STRIDE, size)
        part, errors = w[:, :, start:stop].copy(), np.empty((*w.shape[:2], stop - start))
        for i in range(stop - start):
            at = start + i
            found[:, :, at] = np.clip(np.rint(part[:, :, i]), low[:, :, at], high[:, :, at])
            errors[:, :, i] = (part[:, :, i] - found[:, :, at]) / spread[:, at, at, None]
            part[:, :, i + 1 :] -= errors[:, :, i, None] * spread[:, None, at, at + 1 : stop]
        w[:, :, stop:] -= errors @ spread[:, start:stop, stop:]
    result = np.empty_like(found)
    np.put_along_axis(result, np.broadcast_to(take, found.shape), found, axis=2)
    return result


def bounds(w: np.ndarray, nearest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What every weight may become: exact zeros stay zero; no weight that is none becomes an outlier.

    Args:
        w: float, the weights.
        nearest: int8 of w's shape, rounded on their own.

    Returns:
        lowest and highest integers, float64.
    """
    inlier = (nearest >= -8) & (nearest <= 7)
    low, high = np.where(inlier, -8.0, -WEIGHT_MAX), np.where(inlier, 7.0, WEIGHT_MAX)
    return np.where(w == 0, 0.0, low), np.where(w == 0, 0.0, high)
