"""Runs of a device, recorded on one machine and answered on another: every word that is sent must be the same again.

Imported on both sides; the 32-bit one has NumPy and zeroskip's runtime only, and no device that could compute.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zeroskip.runtime.counters import Counters


class Recorder:
    """A device that notes what passes through it."""

    def __init__(self, device) -> None:
        self._device = device
        self.runs: list[tuple[np.ndarray, int, np.ndarray, Counters]] = []

    def __getattr__(self, name):
        return getattr(self._device, name)

    def execute(self, words, out_beats, **options):
        out, counters = self._device.execute(words, out_beats, **options)
        assert counters.cycles > 0
        self.runs.append((words.copy(), out_beats, out, counters))
        return out, counters

    def save(self, path: Path) -> None:
        """Everything that was sent and came back, as arrays."""
        arrays = {}
        for index, (words, out_beats, out, counters) in enumerate(self.runs):
            numbers = np.array([out_beats, *counters.values()], np.int64)
            arrays |= {f"words{index}": words, f"out{index}": out, f"numbers{index}": numbers}
        np.savez(path, **arrays)


class Replay:
    """A device that gives the recorded answers, if it is asked the recorded questions.

    Args:
        path: what :meth:`Recorder.save` wrote.
        config, glue, compress: of the device.
        check: False: do not compare the words, for measurements of time.
    """

    kind = "replay"

    def __init__(self, path: Path, config, glue: bool, compress: bool, check: bool = True) -> None:
        self.config, self.glue, self.compress = config, glue, compress
        with np.load(path) as file:
            self._recorded = dict(file)
        self._count = len(self._recorded) // 3
        self._check = check
        self.beats = self.done = 0

    def execute(self, words, out_beats, *, most=False):
        index = self.done
        assert index < self._count, f"more than the {self._count} transfers of the recording"
        expected, numbers = self._recorded[f"words{index}"], self._recorded[f"numbers{index}"]
        assert words.dtype == expected.dtype and words.shape == expected.shape, (words.shape, expected.shape)
        wrong = np.flatnonzero(words != expected) if self._check else ()
        assert not len(wrong), f"transfer {index}: {len(wrong)} of {len(words)} words differ, the first at {wrong[0]}"
        assert out_beats == numbers[0]
        self.done += 1
        self.beats += len(words)
        return self._recorded[f"out{index}"], Counters(*numbers[1:].tolist())

    def finish(self) -> None:
        """Check that nothing of the recording was left out."""
        assert self.done == self._count, f"{self.done} of {self._count} transfers"
