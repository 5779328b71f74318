"""Compiled C++ in the user's cache: each library is built once, whole or not at all, whoever asks at the same time.

A library's name holds a hash of everything it depends on, so it is never stale.  Beside it lies the checksum of its
bytes: what a full disk, a crash or a careless copy has cut short would kill the process that loads it (SIGBUS).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import warnings
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
    """The file ``name`` of the cache; if it is not there or damaged, what ``make`` builds in its scratch folder.

    Raises:
        ToolError: the cache cannot be used, or as ``make``.
    """
    folder = cache_dir()
    target = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _whole(target):
            return target
        with _locked(target.with_suffix(".lock")):
            if not _whole(target):
                if target.is_file() and _sum(target).is_file():
                    warnings.warn(f"{target} was damaged ({target.stat().st_size:,} bytes); built again", stacklevel=2)
                with _building(target) as scratch:
                    made = make(scratch)
                    content = scratch / "sum"
                    content.write_text(_checksum(made))
                    target.unlink(missing_ok=True)  # never a library with another one's checksum
                    os.replace(content, _sum(target))
                    os.replace(made, target)
    except OSError as error:
        reason = error.strerror or error
        raise ToolError(f"cannot use cache folder {folder}: {reason}; make room, or set XDG_CACHE_HOME") from error
    return target


def _sum(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _whole(target: Path) -> bool:
    """Whether a file of the cache is there, as it was built."""
    try:
        return _sum(target).read_text() == _checksum(target)
    except (OSError, ValueError):
        return False


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
