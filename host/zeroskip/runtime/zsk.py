"""Reading the ``.zsk`` file, whose layout :mod:`.zsk_writer` has: safe, whoever wrote it."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import numpy as np

from ..errors import ConfigError, FileFormatError, InputError
from ..hardware.config import FORMAT_VERSION, Config
from .hostops import Quant
from .manifest import MANIFEST
from .network import Model
from .nodes import Node, Output, Tensor
from .plan_arrays import from_arrays
from .zsk_writer import HEADER, MAGIC, START, VERSION


def load(path) -> Model:
    """Read a ``.zsk`` file.

    Raises:
        InputError: the file cannot be read.
        FileFormatError: it is not a ``.zsk`` file, truncated, corrupted, inconsistent, or of a version
            this release does not read.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(START)
            if data.startswith(MAGIC):  # else it may be anything, of any length
                data += file.read()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return loads(data)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from error


def is_zsk(path) -> bool:
    """Whether a file is meant to be a ``.zsk`` file: by its name, or else by its first bytes."""
    if Path(path).suffix == ".zsk":
        return True
    try:
        with Path(path).open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def loads(data: bytes) -> Model:
    """A model from the bytes of a file; see :func:`load`.

    Memory and time are bounded by the file's size, and by the limits that ``manifest.py`` and ``Model.check`` state.
    """
    manifest, body = _open(data)
    manifest = MANIFEST.read(manifest, "manifest")
    try:
        return _model(manifest, _arrays(manifest["arrays"], body))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, ConfigError) as error:
        raise FileFormatError(f"inconsistent: {type(error).__name__}: {error}") from error


def _open(data: bytes) -> tuple[object, memoryview]:
    """Check header and checksum; the manifest's JSON, and the bytes after it."""
    again = "compile the network again"
    if len(data) < START or data[: len(MAGIC)] != MAGIC:
        short = MAGIC.startswith(data[: len(MAGIC)]) and data
        raise FileFormatError(f"truncated: shorter than its header: {again}" if short else f"not a .zsk file: {again}")
    _, version, hardware, text_length, length = HEADER.unpack_from(data)
    if version != VERSION:
        raise FileFormatError(f"format version {version}; this release reads version {VERSION}: {again}")
    if hardware != FORMAT_VERSION:
        raise FileFormatError(f"hardware version {hardware}; this release drives version {FORMAT_VERSION}: {again}")
    if len(data) != length:
        what = "truncated" if len(data) < length else "corrupted"
        raise FileFormatError(f"{what}: {len(data)} bytes, its header says {length}: copy it again, or {again}")
    digest = hashlib.sha256(data[: HEADER.size])
    digest.update(memoryview(data)[START:])
    if digest.digest() != data[HEADER.size : START] or START + text_length > length:
        raise FileFormatError(f"corrupted: its checksum does not fit: copy it again, or {again}")
    try:
        manifest = json.loads(data[START : START + text_length])
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"its manifest is not JSON ({error})") from error
    return manifest, memoryview(data)[START + text_length :]


def _arrays(listed, body: memoryview) -> list[np.ndarray]:
    """Arrays as read-only views of the file's bytes."""
    arrays, at = [], 0
    for dtype, shape in listed:
        count = math.prod(shape)
        nbytes = count * np.dtype(dtype).itemsize
        if at + nbytes > len(body):
            raise FileFormatError(f"an array of {nbytes} bytes reaches beyond the end")
        arrays.append(np.frombuffer(body, dtype, count, at).reshape(shape))
        at += nbytes + -nbytes % 8
    if at != len(body):
        raise FileFormatError(f"{len(body) - at} bytes after the last array")
    return arrays


def _model(manifest: dict, arrays: list[np.ndarray]) -> Model:
    left = dict(enumerate(arrays))

    def fetch(places: dict[str, int]) -> dict[str, np.ndarray]:
        return {name: left.pop(place) for name, place in places.items()}

    nodes = []
    for entry in manifest["nodes"]:
        plan = from_arrays(entry["plan"], fetch(entry["plan_arrays"])) if "plan" in entry else None
        fields = (entry[key] for key in ("op", "name", "label", "inputs", "output", "attrs"))
        nodes.append(Node(*fields, fetch(entry["arrays"]), plan))
    if left:
        raise FileFormatError("an array that nothing uses")
    tensors = {
        name: Tensor(entry["shape"], Quant(float(entry["scale"]), entry["zero_point"], entry["dtype"]))
        for name, entry in manifest["tensors"].items()
    }
    outputs = tuple(Output(**entry) for entry in manifest["output"])
    ends = manifest["input"], outputs, manifest["info"], manifest["input_type"]
    model = Model(Config(**manifest["config"]), tuple(nodes), tensors, *ends)
    model.check()
    return model
