"""The engines: one object each, and the only place that finds one by its name.

Whatever differs between engines is a method of :class:`.base.Engine`; docs/adding-an-engine.md explains them.
"""

from __future__ import annotations

from ..errors import InputError
from ..hardware.config import Config
from .base import Engine
from .gather import GatherEngine
from .trident import TridentEngine
from .twin import TwinEngine
from .zena import ZenaEngine

ENGINES: dict[str, Engine] = {
    engine.name: engine for engine in (TridentEngine(), ZenaEngine(), GatherEngine(), TwinEngine())
}
"""Name, as ``Config.engine`` has it -> engine."""


def engine_of(config: Config) -> Engine:
    """The engine of a build."""
    return ENGINES[config.engine]


def checked_mode(config: Config, mode: str | None, where: str = "") -> str:
    """The mode, or the engine's fastest for None.

    Args:
        where: what the message begins with.

    Raises:
        InputError: not a mode of the configuration's engine.
    """
    accepted = engine_of(config).modes
    if mode is None:
        return accepted[-1]
    if mode not in accepted:
        why = engine_of(config).refused.get(mode)
        raise InputError(
            f"{where}mode {mode!r}; accepted by the {config.engine} engine of configuration {config.name!r}: "
            f"{', '.join(accepted)}" + (f" ({why})" if why else "")
        )
    return mode
