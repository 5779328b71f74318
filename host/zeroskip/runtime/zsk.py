"""The ``.zsk`` file: a compiled network in one file, safe to load from strangers.

Layout, little-endian:

======  =====  ===========================================================================
offset  bytes  content
======  =====  ===========================================================================
0       8      ``ZEROSKIP``
8       4      version of this format
12      4      version of packet formats and register map (``hardware.config.FORMAT_VERSION``)
16      8      length of the manifest
24      8      length of the file
32      32     SHA-256 of bytes 0 to 31 and of everything from byte 64
64             manifest, JSON, padded with spaces to a multiple of 8
...            arrays as the manifest lists them, each padded with zeros to a multiple of 8
======  =====  ===========================================================================

The manifest holds the graph, scales and plans; its ``arrays`` is a list of [type, shape], in the
order of the bytes; each is used once.  There is no pickle and no compression: nothing is executed, nothing grows.
``manifest.py`` has the fields and what each may hold.  What a file makes this release allocate follows from its own
size and these limits, for one image: 2**28 elements of a tensor, 2**32 of all tensors, 256 MiB of a layer's input and
512 MiB of its program as the engine takes them.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..errors import ConfigError, FileFormatError, InputError
from ..files import write_atomic
from ..hardware.config import FORMAT_VERSION, Config
from .hostops import Quant
from .manifest import MANIFEST
from .network import Model
from .nodes import Node, Output, Tensor
from .program import ConvPlan

MAGIC = b"ZEROSKIP"
VERSION = 2

_HEADER = struct.Struct("<8sIIQQ")
_START = _HEADER.size + hashlib.sha256().digest_size


# -- writing -----------------------------------------------------------------------------------------
def save(model: Model, path) -> None:
    """Write a model, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    write_atomic(path, dumps(model))


def dumps(model: Model) -> bytes:
    """A model as the bytes of a file; equal models give equal bytes."""
    arrays: list[np.ndarray] = []

    def refer(named) -> dict[str, int]:
        """Append arrays to the file; their names -> their places in the list."""
        places = {name: len(arrays) + i for i, name in enumerate(named)}
        arrays.extend(np.ascontiguousarray(array) for array in named.values())
        return places

    nodes = []
    for node in model.nodes:
        entry = {key: getattr(node, key) for key in ("op", "name", "label", "inputs", "output")}
        entry |= {"attrs": dict(node.attrs), "arrays": refer(node.arrays)}
        if node.plan is not None:
            meta, plan_arrays = node.plan.to_arrays()
            entry |= {"plan": meta, "plan_arrays": refer(plan_arrays)}
        nodes.append(entry)
    manifest = {
        "config": asdict(model.config),
        "input": model.input,
        "input_type": model.input_type,
        "output": [asdict(output) for output in model.outputs],
        "tensors": {name: {"shape": t.shape, **asdict(t.quant)} for name, t in model.tensors.items()},
        "nodes": nodes,
        "info": dict(model.info),
        "arrays": [[array.dtype.name, array.shape] for array in arrays],
    }
    text = json.dumps(manifest, allow_nan=False).encode()
    MANIFEST.read(json.loads(text), "manifest")  # a file that could not be loaded is not written
    text += b" " * (-len(text) % 8)
    body = [text, *(part for array in arrays for part in (array.data.cast("B") if array.size else b"", _pad(array)))]
    length = _START + sum(map(len, body))
    head = _HEADER.pack(MAGIC, VERSION, FORMAT_VERSION, len(text), length)
    digest = hashlib.sha256(head)
    for part in body:
        digest.update(part)
    return b"".join((head, digest.digest(), *body))


def _pad(array: np.ndarray) -> bytes:
    return bytes(-array.nbytes % 8)


# -- reading -----------------------------------------------------------------------------------------
def load(path) -> Model:
    """Read a ``.zsk`` file.

    Raises:
        InputError: the file cannot be read.
        FileFormatError: it is not a ``.zsk`` file, truncated, corrupted, inconsistent, or of a version
            this release does not read.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_START)
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
    if len(data) < _START or data[: len(MAGIC)] != MAGIC:
        short = MAGIC.startswith(data[: len(MAGIC)]) and data
        raise FileFormatError(f"truncated: shorter than its header: {again}" if short else f"not a .zsk file: {again}")
    _, version, hardware, text_length, length = _HEADER.unpack_from(data)
    if version != VERSION:
        raise FileFormatError(f"format version {version}; this release reads version {VERSION}: {again}")
    if hardware != FORMAT_VERSION:
        raise FileFormatError(f"hardware version {hardware}; this release drives version {FORMAT_VERSION}: {again}")
    if len(data) != length:
        what = "truncated" if len(data) < length else "corrupted"
        raise FileFormatError(f"{what}: {len(data)} bytes, its header says {length}: copy it again, or {again}")
    digest = hashlib.sha256(data[: _HEADER.size])
    digest.update(memoryview(data)[_START:])
    if digest.digest() != data[_HEADER.size : _START] or _START + text_length > length:
        raise FileFormatError(f"corrupted: its checksum does not fit: copy it again, or {again}")
    try:
        manifest = json.loads(data[_START : _START + text_length])
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"its manifest is not JSON ({error})") from error
    return manifest, memoryview(data)[_START + text_length :]


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
        plan = ConvPlan.from_arrays(entry["plan"], fetch(entry["plan_arrays"])) if "plan" in entry else None
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
