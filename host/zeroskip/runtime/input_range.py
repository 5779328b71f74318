"""Images scaled unlike those a network was calibrated on: their outputs would be worthless, so it is said."""

from __future__ import annotations

import warnings

import numpy as np

from .hostops import Quant

SATURATING = 0.03
"""Share of a run's inputs beyond the range of the network's input from which on a warning is due."""

STEPS = 3
"""Images that are not all zero and use no more than so many steps of the range are warned of, too."""


def warn_of_range(images: np.ndarray, quant: Quant, what: str = "inputs") -> None:
    """Warn, with figures, where many images saturate or all of them round to nearly nothing.

    Args:
        images: float, finite.
        quant: of the network's input.
        what: the images are called.
    """
    if images.dtype.kind != "f":
        return
    lowest, highest = float(images.min()), float(images.max())
    low, high = ((q - quant.zero_point) * quant.scale for q in (quant.low, quant.high))
    found = f"they reach from {lowest:.4g} to {highest:.4g}, the network's input from {low:.4g} to {high:.4g}"
    advice = (
        "scale them as the calibration images were scaled (such as images / 255), or compile with images like these"
    )
    half = quant.scale / 2
    if lowest < low - half or highest > high + half:
        share = np.count_nonzero((images < low - half) | (images > high + half)) / images.size
        if share > SATURATING:
            warnings.warn(f"{100 * share:.0f} % of the {what} saturate: {found}; {advice}", stacklevel=4)
    elif 0 < max(abs(lowest), abs(highest)) < STEPS * quant.scale:
        steps = max(abs(lowest), abs(highest)) / quant.scale
        warnings.warn(f"the {what} use {steps:.2g} of {quant.high - quant.low} steps: {found}; {advice}", stacklevel=4)
