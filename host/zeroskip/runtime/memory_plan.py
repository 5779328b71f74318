"""The memory plan of a network: for every layer its tiles, what lies on the chip, what moves, and what that costs.

Nothing is run: the streams of one image are built as a run would build them, and measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..engines import engine_of
from ..hardware.packets import FORMAT_S16, FORMAT_U8
from . import conv
from .image import column_image
from .network import Model
from .nodes import Node, Tensor
from .tiling import RATE

BOUNDS = ("compute", "input", "output")


@dataclass(frozen=True)
class LayerPlan:
    """One layer on the engine, for one image, its sums leaving as 32-bit numbers.

    Args:
        name, op: of the ONNX node.
        parts: pieces by channels whose sums the host adds.
        tile: output pixels of one tile, such as "14x28"; of the first part.
        tiles: tiles of all parts, each in one work group.
        columns: activation columns in use, both tiles where two alternate; the fullest part.
        double: one tile loads while another computes; in all parts.
        steps: schedule steps of the longest run.
        transfers: DMA transfers each way.
        bytes_in, bytes_out: moved by them (zena: in, about; only activations other than zero travel).
        compute_cycles: steps times pixels, no step skipped for its activations (zena: as its scheduler expects).
        input_cycles, output_cycles: of the two streams at the memory's rate; zena: at the drain's, if that is slower.
        cycles: what the model that chose the tiles expects.
    """

    name: str
    op: str
    parts: int
    tile: str
    tiles: int
    columns: int
    double: bool
    steps: int
    transfers: int
    bytes_in: int
    bytes_out: int
    compute_cycles: float
    input_cycles: float
    output_cycles: float
    cycles: float

    @property
    def bound(self) -> str:
        """What takes longest: one of :data:`BOUNDS`."""
        return BOUNDS[int(np.argmax([self.compute_cycles, self.input_cycles, self.output_cycles]))]


def memory_plan(model: Model) -> list[LayerPlan]:
    """The plan of every layer that runs on the engine."""
    return [_layer(node, model.tensors[node.inputs[0]]) for node in model.layers]


def predicted_cycles(node: Node, x: Tensor, images: int = 1) -> float:
    """What the model that chooses tiles expects of a layer for so many images; ``x`` is its input.

    It knows no activations: no step is skipped for them (zena: as its scheduler expects).
    """
    plan, (shape, act_format) = node.plan, _input(x)
    view, engine = plan.view(images, *shape[2:]), engine_of(plan.config)
    return sum(engine.tile_of(plan, part, view, act_format).cycles for part in plan.parts)


def _input(x: Tensor) -> tuple[tuple[int, ...], int]:
    """Shape (1, C, H, W) and ACT format of a layer's input."""
    shape = (1, *x.shape) if len(x.shape) == 3 else (1, *x.shape, 1, 1)
    return shape, FORMAT_S16 if x.quant.dtype == "int16" else FORMAT_U8


def _layer(node: Node, x: Tensor) -> LayerPlan:
    plan, config, (shape, act_format) = node.plan, node.plan.config, _input(x)
    engine = engine_of(config)
    image = column_image(plan, engine.sample(plan, shape), act_format, 0)
    programs = conv.programs(plan, shape, act_format)
    moved = [(len(words), out) for program in programs for words, out in engine.transfers(plan, program, image, 0)]
    beats_in, beats_out = (sum(beats) for beats in zip(*moved, strict=True))
    tiles = [program.tile for program in programs]
    return LayerPlan(
        name=node.name,
        op=node.label,
        parts=len(programs),
        tile=f"{tiles[0].height}x{tiles[0].width}",
        tiles=sum((tile.groups - 1) * config.wgs + tile.last_wgs for tile in tiles),
        columns=max(tile.size * (2 if tile.double and tile.groups > 1 else 1) for tile in tiles),
        double=all(tile.double for tile in tiles),
        steps=max(part.longest for part in plan.parts),
        transfers=len(moved),
        bytes_in=8 * beats_in,
        bytes_out=8 * beats_out,
        compute_cycles=sum(program.part.per_pixel * program.pixel_groups for program in programs),
        input_cycles=beats_in * RATE,
        output_cycles=beats_out * engine.output_rate(config),
        cycles=sum(tile.cycles for tile in tiles),
    )
