"""A convolution that is to be compiled, and the ways to compile it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..hardware.config import Config
from ..runtime.phases import phased_weights
from ..runtime.program import view_of
from ..runtime.tiling import View
from .blocks import Blocked

FOLD_COST = 1.05
"""What the host's share of the work, folding, counts in parts of a layer's cycles."""


@dataclass(frozen=True)
class Convolution:
    """A convolution, checked and normalised: the arguments of ``compile_conv``.

    Args:
        config: the build.
        w: int8 or int16 (K, C / groups, R, S).
        stride, dilation, groups, mode: of the layer.
        out_size: (OH, OW) for the map that it is tuned for.
        density: expected share of the activations that meet weights: non-zeros, or 1.
        allocation: of kernels to PEs (zena), one of ``allocate.ALLOCATIONS``.
    """

    config: Config
    w: np.ndarray
    stride: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    mode: str
    out_size: tuple[int, int]
    density: float = 1.0
    allocation: str = "index"

    def seen(self, phases: int) -> np.ndarray:
        """Weights as the engine sees them where it computes ``phases`` pixels of a row together."""
        return self.w if phases == 1 else phased_weights(self.w, phases, self.stride[1])

    def view(self, blocking: str, phases: int = 1) -> View:
        """The layer as the engine sees it."""
        (rows, columns), stride = self.out_size, self.stride
        if phases > 1:
            columns, stride = -(-columns * stride[1] // phases), (stride[0], 1)
        return view_of(blocking, 1, rows, columns, self.seen(phases).shape[2:], stride, self.dilation)


@dataclass(frozen=True)
class Option:
    """One way to compile a layer.

    Args:
        cycles: modelled.
        choice: how it is cut; the engine's own.
        blocked: the layer in blocks of channels.
        view: the layer as the engine sees it.
        placed, phases: of the ``ConvPlan``.
    """

    cycles: float
    choice: object
    blocked: Blocked
    view: View
    placed: np.ndarray | None = None
    phases: int = 1


def fold_cost(blocking: str) -> float:
    """What a blocking costs the host, in parts of a layer's cycles."""
    return FOLD_COST if blocking == "folded" else 1
