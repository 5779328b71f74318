"""Random pruned layers on the cycle model of the zena engine, for zena_paper.py."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import _markdown
import numpy as np
from pruned_layers import Pruned, random_layer

import zeroskip as zs
from zeroskip.compiler.conv import compile_conv
from zeroskip.hardware.config import Config
from zeroskip.models.reference import conv2d
from zeroskip.runtime.bounds import intersections
from zeroskip.runtime.conv import run_plan
from zeroskip.runtime.counters import Counters

PAPER = Config(
    "zena168", engine="zena", lanes=16, filters=12, wgs=14, columns=128, steps=16, psums=512, weight_w=16, act_w=16,
    jobs=3,
)  # fmt: skip
"""As many PEs as ZeNA's: 14 work groups of 12, 16-bit."""

SMALL = Config(
    "zena104", engine="zena", lanes=16, filters=8, wgs=13, sub_wgs=2, columns=128, steps=16, psums=512, jobs=3
)
"""13 work groups of 8 PEs in two sub-WGs, 8-bit: the port keeps up with it."""

SPREAD, SEED = 0.2, 1

table = partial(_markdown.table, numbers="---")


@dataclass(frozen=True)
class Run:
    """Counters of a layer for all ``images``, and the intersection bound, cycles per image."""

    counters: Counters
    bound: float
    images: int

    @property
    def cycles(self) -> float:
        return self.counters.cycles / self.images


def run(config: Config, layer: Pruned, densities, mode: str, *, images=0, check=False, allocation=None, **how) -> Run:
    """One random layer at the densities (weights, activations) on the cycle model.

    Args:
        images: 0: enough that no work group runs dry.
        check: compare the sums with the integer reference.
        allocation: of kernels to sub-WGs (``compiler/allocate.py``); None: the mode's.
        how: ``spread`` and ``structured`` of :func:`pruned_layers.random_layer`.
    """
    images = images or (4 if layer.size < 28 else 1)
    x, w = random_layer(layer, densities, images=images, seed=SEED, **{"spread": SPREAD} | how)
    options = {"allocation": allocation, "act_density": densities[1]} if config.engine == "zena" else {}
    plan = compile_conv(
        config, w, stride=(layer.stride,) * 2, padding=(layer.padding,) * 4, groups=layer.groups, mode=mode,
        name=layer.name, input_shape=x.shape[2:], activation_skip=mode != "dense", **options,
    )  # fmt: skip
    with zs.open_device("model", config, timeout=600) as device:
        sums, counters = run_plan(device, plan, x)
    if check and not np.array_equal(sums, conv2d(x, w, plan.stride, plan.padding, plan.dilation, plan.groups)):
        raise SystemExit(f"{layer.name}: sums differ from the integer reference")
    return Run(counters, intersections(plan, x != 0) / config.macs / images, images)


def idle(found: Run, config: Config) -> list[float]:
    """Percent of the PE cycles that went without a product: to empty chunks, the barrier, and nothing to run."""
    c, whole = found.counters, found.counters.cycles * config.macs
    rest = whole - c.multiplies - c.empty_chunks - c.barrier_wait
    return [100 * part / whole for part in (c.empty_chunks, c.barrier_wait, rest)]
