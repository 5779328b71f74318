"""How good a network's integer outputs are: one measure for tests, benchmarks and documents.

Networks with labels count right answers, embeddings have their cosine to float, the others their largest difference;
all have the output SQNR.  Nothing here looks at calibration images.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

import zeroskip
import zoo
from zeroskip.compiler.budget import sqnr
from zeroskip.compiler.onnx_import import import_onnx

FEW = 100
"""Labelled sets smaller than this are counted, larger ones are given in per cent."""


@dataclass(frozen=True)
class Quality:
    """What outputs are worth.

    Args:
        measure: what ``values`` are: "right" (answers, and of how many), "cosine" (mean and smallest, to float),
            "difference" (largest and mean, to float), or "sqnr" (nothing).
        values: see ``measure``.
        sqnr: power of the float outputs over power of the differences to them, dB; infinite for float itself.
    """

    measure: str
    values: tuple[float, ...]
    sqnr: float

    @property
    def text(self) -> str:
        """A cell of a table, such as "17 of 20", "99.1 %", "cosine 0.992", "within 0.0006" or "32.8 dB"."""
        if self.measure == "right":
            right, of = self.values
            return f"{right} of {of}" if of < FEW else f"{100 * right / of:.1f} %"
        if self.measure == "cosine":
            return f"cosine {self.values[0]:.4f}, smallest {self.values[1]:.4f}"
        if self.measure == "difference":
            return f"within {self.values[0]:.4f}"
        return self.decibels + " dB"

    @property
    def decibels(self) -> str:
        return "∞" if np.isinf(self.sqnr) else f"{self.sqnr:.1f}"


class Judge:
    """A network with its images and what float makes of them.

    Args:
        name: of ``zoo.ALL``.
    """

    def __init__(self, name: str) -> None:
        self.name, self.network = name, zoo.ALL[name]
        self.onnx, self.images = self.network.model(), self.network.pictures()
        self.test = self.images.test[: self.network.counted]
        self.labels = None if self.images.labels is None else self.images.labels[: len(self.test)]

    @functools.cached_property
    def float(self) -> np.ndarray:
        """Float outputs of the test images."""
        graph = import_onnx(self.onnx)
        step = max(1, graph.batch)
        return np.concatenate([graph.run(self.test[i : i + step]) for i in range(0, len(self.test), step)])

    def quality(self, outputs: np.ndarray) -> Quality:
        """Of outputs for the first test images.

        Args:
            outputs: (n, ...) float32, n at most the number of test images.
        """
        exact = self.float[: len(outputs)].reshape(len(outputs), -1)
        found = outputs.reshape(exact.shape)
        ratio = sqnr(exact, found)
        if self.labels is not None:
            tops = found.argmax(axis=1)
            right = sum(top in accepted for top, accepted in zip(tops.tolist(), self.labels, strict=False))
            return Quality("right", (right, len(found)), ratio)
        if self.network.measure == "cosine":
            cosine = (found * exact).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
            return Quality("cosine", (float(cosine.mean()), float(cosine.min())), ratio)
        if self.network.measure == "difference":
            change = np.abs(found - exact)
            return Quality("difference", (float(change.max()), float(change.mean())), ratio)
        return Quality("sqnr", (), ratio)

    def compile(self, config="z2", **options):
        """The network compiled on its calibration images."""
        return zeroskip.compile(self.onnx, config, self.images.calibration, **options)

    @property
    def float_text(self) -> str:
        """What float reaches, as a cell: empty where float is the measure itself."""
        return self.quality(self.float).text if self.labels is not None else ""


judge = functools.cache(Judge)
