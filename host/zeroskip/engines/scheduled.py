"""What trident and gather have in common: both replay schedule steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import numpy as np

from ..hardware.config import Config
from ..runtime import stream, sums
from ..runtime.hostops import Quant
from ..runtime.program import ConvPlan
from ..runtime.records import Records
from ..runtime.tiling import RATE, Tile, View, choose_tile, pixel_beats
from .base import Engine


class ScheduledEngine(Engine):
    """An engine that replays schedule steps over the pixels of tiles.

    Attributes:
        unpack: cycles from a step as the stream brings it to the step that the scanner reads: ``UNPACK`` of
            step_control.v.
        close: cycles, and log2(LANES) more for the adder tree, from the decision that closes a pixel to the one in
            which its sums are loaded into the drain: ``close_delay`` of the engine, and what stands behind it.
    """

    modes = ("dense", "zero_skip", "combined")
    activation_skip = True
    takes_bytes = True
    bound_text = "every MAC did two non-outliers or one outlier in every cycle"
    words = (
        (
            "zero, non-outlier, outlier",
            "the kinds of 8-bit weights: zero takes no cycle; two non-outliers, −8 to 7, "
            "share a MAC in one cycle; an outlier takes a MAC for a whole cycle",
        ),
        ("dense", "every weight takes a cycle, zero or not"),
        ("zero-skip", "zero weights are skipped, every other takes a MAC for a cycle"),
        ("combined", "zero weights are skipped, and two non-outliers are computed in one cycle"),
        ("activation skip", "steps whose activations are all zero are dropped while the engine runs"),
        (
            "ideal bound",
            "the cycles if every MAC had useful weights in every cycle: non-outliers / 2 + outliers, per MAC. "
            "Activation skip can go below it, since the bound looks at weights only",
        ),
        ("useful", "busy cycles × the share of a work group's MACs that had a weight other than zero in them"),
        (
            "dead",
            "the rest of the busy cycles: MACs for which the schedule has no weight (in the dense schedule: a zero), "
            "and cycles that only close a pixel",
        ),
    )
    unpack: ClassVar[int]
    close: ClassVar[int]

    def tile_of(self, plan: ConvPlan, part, view: View, act_format: int, finish: bool = False) -> Tile:
        return stream.tile_of(plan, part, view, act_format, finish)

    def stream_beats(self, plan: ConvPlan, part, tile: Tile, act_format: int) -> int:
        return stream.stream_beats(plan, part, tile, act_format)

    def build(
        self, plan: ConvPlan, part, view: View, tile: Tile, pixels: np.ndarray, image: tuple[int, int],
        act_format: int, finish: bool = False,
    ):  # fmt: skip
        steps = self.records(plan.config, part, part.layout.offsets(view.kernel, view.dilation, tile.pitch))
        return stream.build(plan, part, steps, view, tile, pixels, image, act_format, finish)

    @abstractmethod
    def records(self, config: Config, part, offsets: np.ndarray) -> Records:
        """A part's step records.

        Args:
            offsets: int64, column offset of each of the part's columns.
        """

    def transfers(self, plan: ConvPlan, program, image: np.ndarray, zero_point: int, **finishing) -> Iterator:
        return stream.transfers(plan, program, image, zero_point, **finishing)

    def collect(self, config: Config, program, outs: list[np.ndarray], **finishing) -> np.ndarray:
        return sums.collect(config, program, outs, **finishing)

    def bounds(
        self, plan: ConvPlan, x: np.ndarray, quant: Quant, steps: Callable[[], dict[str, float]]
    ) -> dict[str, float]:
        return steps()

    def expected(
        self, plan: ConvPlan, shares: list[int], height: int, width: int, act_format: int, finish: bool
    ) -> dict[str, float]:
        """What a batch of maps takes, without running it.

        Args:
            shares: images of each share that the batch is run in.

        Returns:
            ``step_cycles``: steps times pixels without activation skip; ``dense_cycles``: the same for the dense
            schedule; ``ideal_cycles``: for (non-outliers / 2 + outliers) / (LANES * FILTERS) steps per filter group.
        """
        found = {"step_cycles": 0.0, "dense_cycles": 0.0, "ideal_cycles": 0.0}
        for images in shares:
            view = plan.view(images, height, width)
            for part in plan.parts:
                tile = self.tile_of(plan, part, view, act_format, finish)
                pixel_groups = tile.groups * tile.height * tile.width
                found["step_cycles"] += float(part.steps.sum()) * pixel_groups
                found["dense_cycles"] += float(part.dense.sum()) * pixel_groups
                found["ideal_cycles"] += float(part.ideal.sum()) * pixel_groups
        return found

    def geometry(self, fields: Mapping) -> str:
        return f"lanes × filters × work groups {fields.get('lanes')} × {fields.get('filters')} × {fields.get('wgs')}"

    def useful_cycles(self, config: Config, found) -> float:
        counters = found.counters
        return (counters.pairs + counters.singles + counters.outliers) / (config.lanes * config.filters)

    def least_steps(self, config: Config, dense: np.ndarray) -> np.ndarray | int:
        """Fewest steps of filters with so many columns, however few of their weights are left."""
        return 1

    def filter_cycles(self, plan: ConvPlan, shape: tuple[int, int], steps: np.ndarray) -> np.ndarray:
        config, view, cycles = plan.config, plan.view(1, *shape), np.zeros(steps.shape)
        for part in plan.parts:
            at_once = part.filters.shape[1]  # filters of a run
            tile = choose_tile(config, view, part.layout, part.steps, 0, filters=at_once, slices=len(part.slices))
            wgs = config.wgs if tile.groups > 1 else tile.last_wgs
            drain = pixel_beats(config, at_once, wgs) * RATE
            run, lane = np.nonzero(part.filters >= 0)
            ids = part.filters[run, lane]
            share = part.dense.sum() / plan.dense_steps * (at_once if part.apart else 1)
            each = np.maximum(steps[:, ids] * share, self.least_steps(config, part.dense[run]))
            compute = tile.height * tile.width * np.maximum(each, drain)
            load = (each * config.step_beats + 2) * RATE
            cycles[:, ids] += tile.groups / at_once * np.maximum(compute, load)
        return cycles

    def clock(self, config: Config, executed, given: int, streams, ports, timed: np.ndarray) -> bool:
        from ..models import scheduled_cycles

        return scheduled_cycles.run(config, executed, given, streams, ports, timed, self.unpack, self.close)
