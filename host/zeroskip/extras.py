"""Parts of zeroskip that need more than a plain ``pip install ./host`` brings."""

from __future__ import annotations

from importlib.util import find_spec

from .errors import ToolError

MODULES = {"compile": ("numba", "onnx"), "test": ("pyosys",)}
"""Extras of ``pyproject.toml`` and the modules by which one sees that they are there."""


def need(extra: str, purpose: str) -> None:
    """Refuse to go on without the packages of an extra.

    Args:
        extra: a key of :data:`MODULES`.
        purpose: what the user wants to do, for the message: "compiling a network".

    Raises:
        ToolError: a package is missing; the message has the command that installs it.
    """
    missing = [name for name in MODULES[extra] if find_spec(name) is None]
    if missing:
        raise ToolError(f"{purpose} needs {' and '.join(missing)}; install with: pip install './host[{extra}]'")
