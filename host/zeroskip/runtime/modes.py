"""Modes: what an engine skips.  All of an engine's run on the same hardware."""

from __future__ import annotations

from ..errors import InputError
from ..hardware.config import Config

MODES = {
    "trident": ("dense", "zero_skip", "combined"),
    "zena": ("dense", "WZ", "AZ", "WAZ", "WAZ+KA"),
    "gather": ("dense", "zero_skip", "combined"),
}
"""Engine -> its modes.

* trident, gather: nothing (DaDianNao); zero weights (Bit-Tactical); these, and two non-outliers in a cycle (Kang et
  al.).
* zena: nothing; zero weights (as Cambricon-X); zero activations (as Cnvlutin); both; both, with kernel allocation.
"""


def checked_mode(config: Config, mode: str | None, where: str = "") -> str:
    """The mode, or the engine's fastest for None.

    Args:
        where: what the message begins with.

    Raises:
        InputError: not a mode of the configuration's engine.
    """
    accepted = MODES[config.engine]
    if mode is None:
        return accepted[-1]
    if mode not in accepted:
        raise InputError(
            f"{where}mode {mode!r}; accepted by the {config.engine} engine of configuration {config.name!r}: "
            f"{', '.join(accepted)}"
        )
    return mode


def skips(mode: str) -> tuple[bool, bool]:
    """Whether a mode of the zena engine skips zero weights, and zero activations."""
    return mode in ("WZ", "WAZ", "WAZ+KA"), mode in ("AZ", "WAZ", "WAZ+KA")
