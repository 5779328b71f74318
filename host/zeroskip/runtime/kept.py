"""What is the same for every run of a layer is computed once: host/benchmarks/board_host.py shows what that saves."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar

_MOST = 64
"""Values of a layer; those for other sizes of batch go first."""

Value = TypeVar("Value")


class Keeper(Protocol):
    """What has a store of its own: a ConvPlan."""

    _kept: dict


def kept(plan: Keeper, key: Hashable, make: Callable[[], Value]) -> Value:
    """The value of ``make()``, which follows from the plan and ``key`` alone; threads may share a plan."""
    store = plan._kept
    found = store.get(key)
    if found is None:
        found = make()
        for old in list(store)[: max(0, len(store) + 1 - _MOST)]:
            store.pop(old, None)
        store[key] = found
    return found
