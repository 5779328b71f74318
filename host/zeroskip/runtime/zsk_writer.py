"""Writing the ``.zsk`` file: a compiled network in one file, safe to load from strangers (:mod:`.zsk` reads it).

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
import struct
from dataclasses import asdict

import numpy as np

from ..files import write_atomic
from ..hardware.config import FORMAT_VERSION
from .manifest import MANIFEST
from .plan_arrays import to_arrays

MAGIC = b"ZEROSKIP"
VERSION = 2

HEADER = struct.Struct("<8sIIQQ")
START = HEADER.size + hashlib.sha256().digest_size
"""Where the manifest begins."""


def save(model, path) -> None:
    """Write a model, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    write_atomic(path, dumps(model))


def dumps(model) -> bytes:
    """A ``Model`` as the bytes of a file; equal models give equal bytes."""
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
            meta, plan_arrays = to_arrays(node.plan)
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
    length = START + sum(map(len, body))
    head = HEADER.pack(MAGIC, VERSION, FORMAT_VERSION, len(text), length)
    digest = hashlib.sha256(head)
    for part in body:
        digest.update(part)
    return b"".join((head, digest.digest(), *body))


def _pad(array: np.ndarray) -> bytes:
    return bytes(-array.nbytes % 8)
