"""What the accelerator does without the host: passes over maps in memory, and segments of them.

A pass is the engine once over one map: the map is loaded (pooled or spread on the way), convolved, and the sums become
the bytes of another map.  Every operator of a network that the accelerator runs is a pass or part of one
(:mod:`.segments`); ``models/passes.py`` says what a pass computes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..runtime.hostops import Quant


@dataclass(frozen=True)
class Source:
    """A map as a pass reads it.

    Args:
        tensor: the map in memory, (C, H, W) or (C,), which is (C, 1, 1).
        pool: (k, stride, (top, left, bottom, right)) of a max-pool on the way in, which padding never wins; None: none.
        spread: every pixel is read so many times along both axes (nearest upsampling).
        first: channel of the map that the pass reads first; it reads as many as its weights have.
    """

    tensor: str
    pool: tuple[int, int, tuple[int, int, int, int]] | None = None
    spread: int = 1
    first: int = 0

    @property
    def plain(self) -> bool:
        """The map as it is."""
        return self.pool is None and self.spread == 1


@dataclass(frozen=True)
class Residual:
    """A map that is added before the one rounding: (r - zero_point) * multiplier * 2**up.

    Args:
        tensor: of the result's size.
        quant: of it.
        multiplier: below 2**31.
        up: places that the product is shifted up.
    """

    tensor: str
    quant: Quant
    multiplier: int
    up: int = 0


@dataclass(frozen=True, eq=False)
class Pass:
    """The engine once over a map.

    Args:
        name, label: of the operator whose result it is.
        source: what is loaded.
        quant: of the source.
        weights: int8 (K, C / groups, R, S).
        stride, padding (top, left, bottom, right), dilation, groups: of the convolution.
        bias, multiplier, shift: integers (K,), as ``hostops.Finish`` has them.
        out: quantisation of the result before ``table``.
        low, high: its bounds.
        residual: added before rounding.
        table: q of the result for every value of ``out``'s type, lowest first; None: there is none.
        tensor: the map that is written.
        shape: (K, OH, OW) of what is written.
        first: channel of the map that is written first.
    """

    name: str
    label: str
    source: Source
    quant: Quant
    weights: np.ndarray
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    dilation: tuple[int, int]
    groups: int
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    out: Quant
    low: int
    high: int
    tensor: str
    shape: tuple[int, int, int]
    residual: Residual | None = None
    table: np.ndarray | None = None
    first: int = 0

    @property
    def macs(self) -> int:
        """Products, zeros and padding included."""
        return self.weights[0].size * int(np.prod(self.shape))


@dataclass(frozen=True)
class Cut:
    """An operator that the host computes, and why.

    Args:
        node: index of the node in the model.
        reason: a sentence's end: "... runs on the host: reason".
    """

    node: int
    reason: str


@dataclass
class Segment:
    """Passes that follow each other without the host.

    Args:
        passes: in order.
        inputs: maps that must be in memory before: the host's, or those of an earlier segment.
        outputs: tensor that the host reads afterwards -> the map that holds it.
    """

    passes: list[Pass] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
