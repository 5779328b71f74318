"""Compiling a layer for the zena engine: kernel tiles of filters that read the same channels, in jobs."""

from __future__ import annotations

from collections.abc import Iterator

from ..runtime.program import BLOCKINGS
from ..runtime.zena_part import JobPart
from . import jobs
from .blocks import block
from .convolution import Convolution, Option, fold_cost


def layouts(layer: Convolution) -> Iterator[Option]:
    """All ways to lay a layer out."""
    for blocking in BLOCKINGS:
        blocked = block(layer.config.acts, 1, layer.w, layer.groups, layer.dilation, blocking)
        if blocked is not None:
            view = layer.view(blocking)
            choice, cycles = jobs.choose_passes(layer.config, blocked, view, layer.mode, layer.density)
            yield Option(fold_cost(blocking) * cycles, choice, blocked, view)


def make(layer: Convolution, option: Option) -> tuple[JobPart, ...]:
    """The layer's jobs."""
    how = layer.mode, layer.allocation, layer.density
    return jobs.make_parts(layer.config, option.blocked, option.choice, *how)
