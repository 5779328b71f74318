"""What an engine is to the rest of the package.

An engine has no state: a build's geometry is in its :class:`Config`, a layer's schedules are in its plan.  The first
half of the methods runs on the board and imports numpy alone; what the workstation needs is imported when it is called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

import numpy as np

from ..errors import InputError
from ..hardware.config import Config
from ..runtime.hostops import Quant
from ..runtime.program import ConvPlan
from ..runtime.tiling import RATE, Tile, View


class Engine(ABC):
    """One kind of hardware that computes convolutions.

    Attributes:
        name: as ``Config.engine`` and files have it.
        modes: what it can skip, the fastest mode last; all of them run on the same hardware.
        refused: other engines' modes, and why this one does without.
        activation_skip: it can drop schedule steps whose activations are zero, in every mode.
        takes_bytes: activations may travel as bytes with a zero point; else always as 16 bits without one.
        bound_text: what the ideal bound counts, as a sentence's end: the cycles if ...
        words: what a report explains: (word, meaning).
        part: the class of the parts of its plans; its ``ARRAYS`` are what a ``.zsk`` file holds of each.
    """

    name: ClassVar[str]
    modes: ClassVar[tuple[str, ...]]
    refused: ClassVar[dict[str, str]] = {}
    activation_skip: ClassVar[bool]
    takes_bytes: ClassVar[bool]
    bound_text: ClassVar[str]
    words: ClassVar[tuple[tuple[str, str], ...]]
    part: ClassVar[type]

    # -- packets: how a plan runs (board) --------------------------------------------------------------
    @abstractmethod
    def tile_of(self, plan: ConvPlan, part, view: View, act_format: int, finish: bool = False) -> Tile:
        """The tile size of a part for maps of one size; ``finish``: its sums go to the glue, not to memory.

        Raises:
            InputError: not even one output pixel fits.
        """

    @abstractmethod
    def stream_beats(self, plan: ConvPlan, part, tile: Tile, act_format: int) -> int:
        """Input beats of a part's program, nearly."""

    @abstractmethod
    def build(
        self, plan: ConvPlan, part, view: View, tile: Tile, pixels: np.ndarray, image: tuple[int, int],
        act_format: int, finish: bool = False,
    ):  # fmt: skip
        """The program of a part: all that is the same for every run, with its ``part``, ``view`` and ``tile``.

        Args:
            pixels: int32 (images, height, width), the input pixel at every place of the padded maps.
            image: pixels of the input, and channel blocks of a pixel; pixel number ``image[0]`` is all zeros.

        Raises:
            InputError: a tile exceeds what one DMA transfer can move.
        """

    @abstractmethod
    def transfers(self, plan: ConvPlan, program, image: np.ndarray, zero_point: int, **finishing) -> Iterator:
        """The streams of a program with their activations, and the beats that each returns, at most.

        Args:
            image: uint64 (columns, beats of a column), the input as ``image.column_image`` lays it out.
            finishing: for an engine with glue: ``finish`` and ``compress``, as ``stream.transfers`` has them.
        """

    @abstractmethod
    def collect(self, config: Config, program, outs: list[np.ndarray], **finishing) -> np.ndarray:
        """All transfers' sums or results by rectangle: (rectangles, outputs of the part, height, width)."""

    # -- what is expected of a layer (board) -----------------------------------------------------------
    @abstractmethod
    def bounds(
        self, plan: ConvPlan, x: np.ndarray, quant: Quant, steps: Callable[[], dict[str, float]]
    ) -> dict[str, float]:
        """Cycles of perfect hardware for a batch: ``ideal_cycles`` and ``dense_cycles``.

        Args:
            x: q (N, C, H, W) of type ``quant.dtype``.
            steps: gives :meth:`.scheduled.ScheduledEngine.expected` of the batch.
        """

    @abstractmethod
    def useful_cycles(self, config: Config, found) -> float:
        """The part of a layer's busy cycles in which multipliers had work, of a ``LayerResult``."""

    @abstractmethod
    def geometry(self, fields: Mapping) -> str:
        """A build in words, from its fields as a report has them."""

    def sample(self, plan: ConvPlan, shape: tuple[int, ...]) -> np.ndarray:
        """Input int16 to build streams with whose length stands for that of real ones."""
        return np.zeros(shape, np.int16)

    def output_rate(self, config: Config) -> float:
        """Cycles per beat of sums, at least."""
        return RATE

    # -- compiling a layer (workstation) ---------------------------------------------------------------
    def meets_nonzero_only(self, mode: str) -> bool:
        """Weights meet only activations that are not zero: how many those are decides how long a layer takes."""
        return False

    def allocation(self, mode: str, wanted: str | None, where: str) -> str:
        """How kernels are allocated to PEs: ``wanted``, or what the mode says.

        Args:
            where: what a message begins with.

        Raises:
            InputError: not an allocation of this engine.
        """
        if wanted is not None:
            raise InputError(f"{where}allocation {wanted!r}; the {self.name} engine allocates no kernels: leave it out")
        return "index"

    @abstractmethod
    def layouts(self, layer) -> Iterator:
        """All ways to lay out a ``compiler.convolution.Convolution``, each an ``Option`` with its modelled cycles."""

    @abstractmethod
    def schedule(self, layer, option) -> tuple:
        """The parts of a layer that is laid out so."""

    @abstractmethod
    def filter_cycles(self, plan: ConvPlan, shape: tuple[int, int], steps: np.ndarray) -> np.ndarray:
        """Modelled cycles of every filter, from ideal steps (or a PE's products) per pixel: float (J, K).

        Args:
            shape: (H, W) of the layer's input.
            steps: float (J, K), for J ways to quantise the filters.
        """

    # -- models (workstation) --------------------------------------------------------------------------
    @abstractmethod
    def execute(self, config: Config, words: np.ndarray):
        """What a stream does, from the functional model: an object with ``out``, ``counters`` and ``packets``.

        Raises:
            InputError: not a legal stream.
        """

    @abstractmethod
    def clock(self, config: Config, executed, given: int, streams, ports, timed: np.ndarray) -> bool:
        """Fill ``timed`` from the cycle model; False if it stands still.

        Args:
            executed: of :meth:`execute`.
            given: beats from the engine.
            streams: as of ``models.dma.streams``.
            ports: of the HLS kernels, None without them.
        """
