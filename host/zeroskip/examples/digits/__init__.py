"""The demo network: a pruned VGG-6 for handwritten digits, with held-out images to run it on.

``MODEL_CARD.md`` beside this file says where the data comes from, how the network was trained and
what it reaches; ``train.py`` makes both files again.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

MODEL_PATH = Path(__file__).with_name("vgg6_digits.onnx")
"""The trained network, float32, batch-norm as nodes: ``image`` (N, 1, 28, 28) -> ``logits`` (N, 10)."""

DATA_PATH = Path(__file__).with_name("digits.npz")


class Digits(NamedTuple):
    """Images as the network takes them, float32 (n, 1, 28, 28) in [0, 1], and the digits they show.

    ``test`` was never trained on; ``calibration`` is a part of the training set.
    """

    test: np.ndarray
    test_labels: np.ndarray
    calibration: np.ndarray


def to_input(pixels: np.ndarray) -> np.ndarray:
    """Pixels uint8 (n, 28, 28), 0 background to 255 ink, as network input float32 (n, 1, 28, 28)."""
    return (pixels[:, None] / np.float32(255)).astype(np.float32)


def load() -> Digits:
    """The images that come with the package."""
    with np.load(DATA_PATH, allow_pickle=False) as data:
        return Digits(to_input(data["test"]), data["test_labels"].astype(np.int64), to_input(data["calibration"]))


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows of ``logits`` (n, 10) whose largest entry is at ``labels`` (n,)."""
    return float((np.asarray(logits).reshape(len(labels), -1).argmax(axis=1) == labels).mean())
