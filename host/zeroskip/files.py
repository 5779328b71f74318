"""Reading arrays, and writing files whole or not at all."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError

import numpy as np

from .errors import InputError

_NPY_ERRORS = (ValueError, TypeError, OverflowError, EOFError, SyntaxError, TokenError, RecursionError, MemoryError)
"""What numpy.load raises on bytes that are no array."""


def read_array(path: str, what: str, kinds: str = "f") -> np.ndarray:
    """An array from a .npy file: of floating-point numbers, or (kinds "iu") of integers, or ("fiu") of either.

    Raises:
        InputError: not readable, not a .npy file, truncated, or of other numbers.
    """
    numbers = {"f": "floating-point numbers", "iu": "integers"}.get(kinds, "numbers")
    accepted = f"accepted: a .npy file of {numbers}, from numpy.save"
    try:
        with open(path, "rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise InputError(f"{what} {path}: not a .npy file; {accepted}")
            file.seek(0)
            array = np.load(file, allow_pickle=False)
    except OSError as error:
        raise InputError(f"{what} {path}: cannot be read: {error.strerror or error}") from error
    except InputError:
        raise
    except _NPY_ERRORS as error:
        raise InputError(f"{what} {path}: cannot be read as an array ({error}); {accepted}") from error
    if array.dtype.kind not in kinds:
        scaled = ", scaled as the network expects them" if kinds == "f" else ""
        raise InputError(f"{what} {path}: {array.dtype}; {accepted}{scaled}")
    return array


def check_outputs(*paths: str | None, read: Sequence[str | None] = ()) -> None:
    """Refuse before the work what could not be written after it.

    Args:
        paths: where outputs go; None: nowhere.
        read: files of the same command that no output may take the place of.

    Raises:
        InputError: a folder, one that is not there or not writable, or the place of another file.
    """
    taken = {os.path.realpath(path) for path in filter(None, read)}
    for path in filter(None, paths):
        folder = Path(path).parent
        if Path(path).is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            found = "is a folder" if Path(path).is_dir() else "its folder is not there or not writable"
            raise InputError(f"{path}: cannot be written: {found}; give a path in a folder you can write to")
        if os.path.realpath(path) in taken:
            raise InputError(f"{path}: this command reads or writes another file there; give each output its own path")
        taken.add(os.path.realpath(path))


def write_atomic(path: str | Path, content: bytes | str) -> None:
    """Write a file beside its final place and move it there, so that it is whole or not there at all.

    A device or pipe (/dev/null, /dev/stdout) is written to: moving a file there would, as root, replace it.

    Raises:
        InputError: the file cannot be written; whatever was at ``path`` is as it was.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = None
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        reason = f"cannot be written: {error.strerror}; give a path in a folder you can write to"
        raise InputError(f"{path}: {reason}") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def write_array(path: str | Path, array: np.ndarray | dict[str, np.ndarray]) -> None:
    """Write a .npy file, or a .npz file of several named arrays; errors as :func:`write_atomic`."""
    buffer = io.BytesIO()
    if isinstance(array, dict):
        with zipfile.ZipFile(buffer, "w") as archive:  # numpy.savez cannot take a name such as "file"
            for name, one in array.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, np.ascontiguousarray(one))
    else:
        np.save(buffer, array)
    write_atomic(path, buffer.getvalue())
