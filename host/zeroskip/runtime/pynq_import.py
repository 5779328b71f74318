"""Imports pynq when it is first needed, without what it prints on machines that are no board."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

from ..errors import ToolError


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps pynq's warnings and prints off the user's console; exceptions pass."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def import_pynq() -> ModuleType:
    """The ``pynq`` package with ``pynq.lib.dma`` loaded.

    Raises:
        ToolError: pynq is not installed or does not import.
    """
    try:
        with quiet():
            import pynq
            import pynq.lib.dma
    except ImportError as error:
        raise ToolError(
            f"pynq cannot be imported ({error}). Install it with \"pip install pynq==3.1.2 'pycparser<3'\""
        ) from error
    return pynq


def pynq_errors() -> tuple[type[Exception], ...]:
    """What pynq raises when a board, here or behind the network, refuses or is gone."""
    grpc = sys.modules.get("grpc")
    return (RuntimeError, OSError, grpc.RpcError) if grpc else (RuntimeError, OSError)


def reason(error: Exception) -> str:
    """An error of pynq in one sentence; gRPC's own text has a page."""
    details = getattr(error, "details", None)
    return str(details() if callable(details) else error)
