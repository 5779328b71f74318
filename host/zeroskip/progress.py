"""Progress of long work on stderr: one line that is rewritten on a terminal, few plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_QUIET = 10.0
"""Seconds between lines where nobody watches, such as a log of continuous integration."""


class Step:
    """One piece of work; call it with (done, total, name) as it goes on."""

    def __init__(self, text: str, stream) -> None:
        self.text, self.stream = text, stream
        self.start = self.shown = time.monotonic()
        self.live = stream.isatty()
        self.width = 0

    def __call__(self, done: int, total: int, name: str = "") -> None:
        now = time.monotonic()
        if self.live or now - self.shown > _QUIET:
            self.shown = now
            self._write(f"{self.text}: {done} of {total}  {name}".rstrip())

    def _write(self, line: str, last: bool = False) -> None:
        if self.live:
            print("\r" + line.ljust(self.width), end="\n" if last else "", file=self.stream, flush=True)
            self.width = len(line)
        else:
            print(line, file=self.stream, flush=True)

    def finish(self, ending: str) -> None:
        self._write(f"{self.text}: {ending}", last=True)


@contextmanager
def step(text: str, stream=None) -> Iterator[Step]:
    """Announce a piece of work and how long it took; the value is its progress callback."""
    current = Step(text, stream or sys.stderr)
    if current.live:
        current._write(f"{text} ...")
    try:
        yield current
    except BaseException:
        current.finish("stopped")
        raise
    current.finish(f"{time.monotonic() - current.start:.1f} s")
