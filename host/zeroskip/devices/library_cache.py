"""Compiled C++ in the user's cache: each library is built once, whole or not at all, whoever asks at the same time.

A library's name holds a hash of everything it depends on, so it is never stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..errors import ToolError
from .sim_tools import find_compiler, run

CXX_FLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-faligned-new", "-pthread", "-w")
"""Several libraries live in one process, so their C++ must not meet: hidden, no unique symbols."""


def cache_dir() -> Path:
    """Where built libraries are kept: ``$XDG_CACHE_HOME/zeroskip`` or ``~/.cache/zeroskip``."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "zeroskip"


def digest(parts: Sequence[str | bytes]) -> str:
    """A hash of all parts, for a file name."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little") + data)
    return found.hexdigest()[:24]


def cached(name: str, make: Callable[[Path], Path]) -> Path:
    """The file ``name`` of the cache; if it is not there, what ``make`` builds in the scratch folder it is given.

    Raises:
        ToolError: the cache cannot be used, or as ``make``.
    """
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(f"cannot use cache folder {folder}: {error.strerror}; set XDG_CACHE_HOME") from error
    target = folder / name
    with _locked(target.with_suffix(".lock")):
        if not target.is_file():
            with _building(target) as scratch:
                os.replace(make(scratch), target)
    return target


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lets one process at a time build one thing."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _building(target: Path) -> Iterator[Path]:
    """A scratch folder beside ``target``, made and removed; the target appears by rename or not at all."""
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def compile_cxx(output: Path, source: Path, optimise: str, flags: Sequence[str], what: str) -> None:
    """One object file; through ccache where there is one.  ``what`` names it in errors.

    Raises:
        ToolError: no compiler, or it fails.
    """
    ccache = shutil.which("ccache")
    command = [*([ccache] if ccache else []), find_compiler()[0], optimise, *flags, "-c", source, "-o", output]
    run(command, f"C++ compilation of the {what}", cwd=source.parent)


def link(library: Path, objects: Sequence[Path], libraries: Sequence[str], what: str) -> None:
    """A shared library of objects and archives; errors as :func:`compile_cxx`."""
    command = [find_compiler()[0], "-shared", "-Wl,-Bsymbolic,--no-undefined", "-o", library, *objects, *libraries]
    run(command, f"linking of the {what}")
