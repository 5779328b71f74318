"""Zena: the zero-aware accelerator of Kim et al.: PEs that skip a product where either factor is zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ..errors import InputError
from ..hardware.config import Config
from ..hardware.packets import MIN_CHUNKS
from ..runtime import zena_stream
from ..runtime.bounds import intersections, multiplications
from ..runtime.hostops import Quant
from ..runtime.program import ConvPlan
from ..runtime.tiling import RATE, Tile, View
from ..runtime.zena_part import JobPart, skips
from .base import Engine


class ZenaEngine(Engine):
    """Modes: nothing is skipped; zero weights (as Cambricon-X); zero activations (as Cnvlutin); both; both, with
    kernels allocated by density."""

    name = "zena"
    modes = ("dense", "WZ", "AZ", "WAZ", "WAZ+KA")
    activation_skip = False
    takes_bytes = False
    part = JobPart
    bound_text = "every PE multiplied two non-zeros in every cycle"
    words = (
        (
            "zero, non-outlier, outlier",
            "weights of 0, of −8 to 7, and beyond; this engine skips zeros and makes no difference between the others",
        ),
        ("dense", "every product takes a cycle, zero or not"),
        ("WZ, AZ", "products with a zero weight, or with a zero activation, are skipped"),
        ("WAZ", "both are skipped"),
        ("WAZ+KA", "kernel allocation, too: filters with similar numbers of non-zero weights run together"),
        ("ideal bound", "the cycles if every PE multiplied a non-zero weight and a non-zero activation in every cycle"),
        ("useful", "the ideal bound: the layer's products of two non-zeros, over all PEs"),
        (
            "dead",
            "the rest of the busy cycles: PEs at an empty chunk, at a barrier, without a job or beyond the map's edge, "
            "and products with a zero where the mode does not skip them",
        ),
    )

    def tile_of(self, plan: ConvPlan, part, view: View, act_format: int, finish: bool = False) -> Tile:
        return zena_stream.tile_of(plan, part, view, act_format)

    def stream_beats(self, plan: ConvPlan, part, tile: Tile, act_format: int) -> int:
        return zena_stream.stream_beats(plan, part, tile, act_format)

    def build(
        self, plan: ConvPlan, part, view: View, tile: Tile, pixels: np.ndarray, image: tuple[int, int],
        act_format: int, finish: bool = False,
    ):  # fmt: skip
        return zena_stream.build(plan, part, view, tile, pixels, image, act_format)

    def transfers(self, plan: ConvPlan, program, image: np.ndarray, zero_point: int, **finishing) -> Iterator:
        return zena_stream.transfers(plan, program, image, zero_point, **finishing)

    def collect(self, config: Config, program, outs: list[np.ndarray], **finishing) -> np.ndarray:
        return zena_stream.collect(config, program, outs, **finishing)

    def bounds(
        self, plan: ConvPlan, x: np.ndarray, quant: Quant, steps: Callable[[], dict[str, float]]
    ) -> dict[str, float]:
        """Ideal: products of non-zero weights and activations, over the PEs; dense: all products."""
        pes = plan.config.macs
        return {
            "ideal_cycles": intersections(plan, x != quant.zero_point) / pes,
            "dense_cycles": multiplications(plan, len(x), *x.shape[2:]) / pes,
        }

    def geometry(self, fields: Mapping) -> str:
        return f"{fields.get('wgs')} work groups × {fields.get('filters')} PEs, {fields.get('weight_w')}-bit weights"

    def useful_cycles(self, config: Config, found) -> float:
        return found.ideal_cycles

    def sample(self, plan: ConvPlan, shape: tuple[int, ...]) -> np.ndarray:
        # Zeros do not travel: as many others as the scheduler expects.
        return (np.random.default_rng(0).random(shape) < plan.parts[0].density[0]).astype(np.int16)

    def output_rate(self, config: Config) -> float:
        # The drain reads one PE of every work group each MIN_CHUNKS cycles.
        return max(RATE, MIN_CHUNKS / -(-config.wgs // 2))

    def meets_nonzero_only(self, mode: str) -> bool:
        return skips(mode)[1]

    def allocation(self, mode: str, wanted: str | None, where: str) -> str:
        from ..compiler.allocate import ALLOCATIONS

        if wanted is None:
            return "balanced" if mode == "WAZ+KA" else "index"
        if wanted not in ALLOCATIONS:
            raise InputError(f"{where}allocation {wanted!r}; accepted, on zena: {', '.join(ALLOCATIONS)}")
        return wanted

    def layouts(self, layer) -> Iterator:
        from ..compiler import zena_layers

        return zena_layers.layouts(layer)

    def schedule(self, layer, option) -> tuple:
        from ..compiler import zena_layers

        return zena_layers.make(layer, option)

    def filter_cycles(self, plan: ConvPlan, shape: tuple[int, int], steps: np.ndarray) -> np.ndarray:
        return steps * (np.prod(plan.output_size(*shape)) / plan.config.wgs)

    def execute(self, config: Config, words: np.ndarray):
        from ..models import zena

        return zena.execute(config, words)

    def clock(self, config: Config, executed, given: int, streams, ports, timed: np.ndarray) -> bool:
        from ..models import zena_cycles

        return zena_cycles.run(config, executed, streams, timed)
