"""A compiled convolution as JSON and arrays, what a ``.zsk`` file holds of it, and back, everything checked."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from ..engines import engine_of
from ..errors import FileFormatError
from ..hardware.config import Config
from .program import BLOCKINGS, ConvPlan, blocks_of, channels_of
from .tiling import Layout

_FIELDS = ("name", "stride", "padding", "dilation", "groups", "mode", "activation_skip", "blocking", "phases")


def to_arrays(plan: ConvPlan) -> tuple[dict, dict[str, np.ndarray]]:
    """What JSON can hold, and the arrays."""
    meta = {"name": plan.name, "config": asdict(plan.config)}
    for name in _FIELDS[1:]:
        value = getattr(plan, name)
        meta[name] = list(value) if isinstance(value, tuple) else value
    meta["parts"] = [part.scalars() for part in plan.parts]
    arrays = {"weights": plan.weights} | ({} if plan.placed is None else {"placed": plan.placed})
    for index, part in enumerate(plan.parts):
        arrays |= {f"part{index}.{key}": getattr(part, key) for key in part.ARRAYS}
    return meta, arrays


def from_arrays(meta: dict, arrays: dict[str, np.ndarray]) -> ConvPlan:
    """Inverse of :func:`to_arrays`; types and ranges of ``meta`` are checked (``manifest.PLAN``).

    Raises:
        FileFormatError: something is missing or does not fit together.
    """
    arrays = dict(arrays)
    try:
        config = Config(**meta["config"])
        kind, parts = engine_of(config).part, []
        for index, scalars in enumerate(meta["parts"]):
            found = {key: arrays.pop(f"part{index}.{key}") for key in kind.ARRAYS}
            parts.append(kind(**{**scalars, "layout": Layout(*scalars["layout"])}, **found))
        fields = {name: meta[name] for name in _FIELDS} | {"config": config, "parts": tuple(parts)}
        if kind.PLACED:
            fields["placed"] = arrays.pop("placed")
        plan = ConvPlan(**fields, weights=arrays.pop("weights"))
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"compiled convolution: {type(error).__name__}: {error}") from error
    if arrays:
        raise FileFormatError(f"compiled convolution {plan.name!r}: arrays {sorted(arrays)[:3]} that it has not")
    _check(plan)
    return plan


def _check(plan: ConvPlan) -> None:
    """Refuse arrays that would make a malformed stream."""

    def need(condition, what):
        if not condition:
            raise FileFormatError(f"compiled convolution {plan.name!r}: {what}")

    config, engine = plan.config, engine_of(plan.config)
    types = engine.part.WEIGHTS
    need(plan.weights.dtype in types and plan.weights.ndim == 4, "weights are not integers (K, C / groups, R, S)")
    need(plan.mode in engine.modes, f"mode {plan.mode!r}")
    need(plan.blocking in BLOCKINGS, f"blocking {plan.blocking!r}; accepted: {', '.join(BLOCKINGS)}")
    need(plan.weights.size, "no weights")
    need(len(plan.weights) % plan.groups == 0, f"{plan.groups} groups")
    need(plan.phases == 1 or (plan.blocking == "packed" and plan.phases > 1), "phases")
    need(plan.phases == 1 or (plan.phases % plan.stride[1] == 0 and plan.dilation[1] == 1), "phases")
    if plan.placed is not None:
        groups, channels = channels_of(plan)
        need(plan.placed.dtype == np.int32 and plan.placed.ndim == 2, "placed is not int32 of rank 2")
        need(len(plan.placed) == groups and plan.placed.shape[1] % config.acts == 0, "places of channels")
        need(plan.placed.min() >= -1 and plan.placed.max() < channels, "a place without a channel")
    for part in plan.parts:
        for key, (dtype, dims) in part.ARRAYS.items():
            array = getattr(part, key)
            need(array.dtype == dtype and array.ndim == dims, f"{key} is not {np.dtype(dtype).name} of rank {dims}")
        layout, most = part.layout, part.periods(config)
        need(0 <= layout.step - layout.blocks < most and layout.blocks > 0, f"column layout: step {layout.step}")
        need(most >= layout.period > layout.residue, f"column layout: period {layout.period}")
        need(layout.size(*plan.extent) <= config.columns, "one output pixel needs more columns than there are")
        part.check(plan, need)
        need(part.last_block0 < sum(blocks_of(plan)), "a slice of channels that there are not")
