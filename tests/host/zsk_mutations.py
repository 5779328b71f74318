"""Hostile ``.zsk`` files: a good one with something changed in its manifest or its arrays, and its checksum made right.

From the command line, for as long as one likes: python tests/host/zsk_mutations.py SEED COUNT
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import signal
import struct
import sys
import tempfile
import traceback
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

START = 64
MEMORY = 64 << 20
"""Bytes that a file of some 20 kB may make info and run allocate."""

SECONDS = 60
"""A guard against files that would hold the process up for ever."""

ODD = (
    None, True, False, 0, 1, -1, 2, 3, 5, 8, 64, 255, 256, 1 << 12, 1 << 16, 1 << 20, 1 << 24, 1 << 28, 1 << 31,
    -(1 << 31), (1 << 31) - 1, 1 << 53, 1 << 63, 1 << 64, 10**100, 0.5, -1.5, 1e-300, 1e300, float("nan"), float("inf"),
    "", "x", "conv", "int16", "uint8", "a" * 5000, "\x1b[2J", "\ud800", [], {}, [[]], [0], [1, 1], [1 << 31] * 4,
    {"a": 1},
)  # fmt: skip


def manifest_of(content: bytes) -> tuple[dict, bytes]:
    """The manifest and the arrays' bytes of a file."""
    (length,) = struct.unpack_from("<Q", content, 16)
    return json.loads(content[START : START + length]), content[START + length :]


def sealed(content: bytes, manifest: dict | bytes, body: bytes) -> bytes:
    """A file with this manifest and these bytes, lengths and checksum right."""
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    head = content[:16] + struct.pack("<QQ", len(text), START + len(text) + len(body))
    return head + hashlib.sha256(head + text + body).digest() + text + body


def places(value, path=()) -> Iterator[tuple]:
    """Paths of everything inside a JSON value."""
    if path:
        yield path
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(one, (*path, key))


def mutated(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """What was changed, and the file."""
    manifest, body = manifest_of(content)
    what, body = [], bytearray(body)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        change = _change_array if rng.random() < 0.3 else _change_manifest
        what.append(change(manifest, body, rng))
    return "; ".join(what), sealed(content, manifest, bytes(body))


def _change_manifest(manifest: dict, body: bytearray, rng) -> str:
    # Every kind of field alike, not every field: a list of a hundred arrays is one kind.
    kinds: dict[tuple, list[tuple]] = {}
    for path in places(manifest):
        kinds.setdefault(tuple("*" if isinstance(key, int) else key for key in path), []).append(path)
    keys = list(kinds)
    paths = kinds[keys[rng.integers(len(keys))]]
    path = paths[rng.integers(len(paths))]
    parent = manifest
    for key in path[:-1]:
        parent = parent[key]
    key, kind = path[-1], rng.integers(10)
    if kind == 0:
        del parent[key]
        return f"without {path}"
    if kind == 1 and isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
        return f"twice {path}"
    if kind == 1:
        parent[f"{key}2"] = parent[key]
        return f"also {path}2"
    if kind == 2 and len(parent) > 1:
        others = list(range(len(parent))) if isinstance(parent, list) else list(parent)
        other = others[rng.integers(len(others))]
        parent[key], parent[other] = parent[other], parent[key]
        return f"{path} for {other!r}"
    if kind == 3 and isinstance(parent[key], list):
        parent[key].reverse()
        return f"{path} backwards"
    if kind < 6 and type(parent[key]) in (int, float):
        number = parent[key]
        parent[key] = (number + 1, number - 1, number * 2, -number, number * 256)[rng.integers(5)]
    else:
        parent[key] = copy.deepcopy(ODD[rng.integers(len(ODD))])
    return f"{path} = {str(parent[key])[:40]}"


def _change_array(manifest: dict, body: bytearray, rng) -> str:
    """Some elements of one array; ``manifest`` may be damaged already."""
    with contextlib.suppress(TypeError, ValueError, KeyError):
        which, at = rng.integers(len(manifest["arrays"])), 0
        for dtype, shape in manifest["arrays"][:which]:
            size = np.dtype(dtype).itemsize * int(np.prod(shape, dtype=float))
            at += size + -size % 8
        dtype, shape = manifest["arrays"][which]
        array = np.frombuffer(body, dtype, int(np.prod(shape, dtype=float)), at)
        if array.dtype.kind == "f":
            odd = [np.nan, np.inf, -np.inf, -1, 0, 2, 1e300, 1e-300]
        else:
            odd = [np.iinfo(array.dtype).min, np.iinfo(array.dtype).max, 0, 1, 2, 255]
        count = rng.choice((1, 1, 3, array.size))
        for element in rng.integers(0, array.size, count):
            near = [int(array[element]) ^ 1 << int(rng.integers(8))] if array.dtype.kind != "f" else []
            value = [*odd, *near * 6][rng.integers(len(odd) + 6 * len(near))]
            array[element] = np.array(value).astype(array.dtype)
        return f"{count} elements of array {which} ({dtype} {shape})"
    return "nothing"


class Unbounded(BaseException):
    """No ZeroskipError, and nothing that code would catch."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Within :data:`MEMORY` (Python's and NumPy's, not that of simulated memories) and :data:`SECONDS`."""

    def slow(*_):
        raise Unbounded(f"more than {SECONDS} s")

    previous = signal.signal(signal.SIGALRM, slow)
    signal.alarm(SECONDS)
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
        if peak > MEMORY:
            raise Unbounded(f"{peak:,} bytes allocated")
    finally:
        tracemalloc.stop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def used(content: bytes, folder: Path) -> str:
    """``zeroskip info`` and ``zeroskip run`` on the cycle model; how far a file came.

    Raises:
        anything but zeroskip's own errors, which the command line turns into one message: a finding.
    """
    from zeroskip import cli
    from zeroskip.errors import FileFormatError
    from zeroskip.runtime import zsk

    file, images = folder / "m.zsk", folder / "x.npy"
    file.write_bytes(content)
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    with bounded(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            model = zsk.loads(content)
        except FileFormatError as error:
            assert 0 < len(str(error)) < 1000 and str(error).isprintable()
            assert cli.main(["info", str(file)]) == 2
            return "refused"
        shown = cli.main(["info", str(file)])
        assert shown in (0, 2)
        if np.prod(model.input_shape, dtype=float) > 1e6:
            return "large"
        rng = np.random.default_rng(0)
        np.save(images, rng.standard_normal((2, *model.input_shape)).astype(np.float32))
        page = folder / "r.html"
        command = ["run", file, "--device", "model", "--input", images, "--output", folder / "y.npy", "--report", page]
        ran = cli.main([str(word) for word in command])
        assert ran in (0, 2)
    return "ran" if ran == 0 else "refused in run"


def networks() -> dict[str, bytes]:
    """Small networks, with many kinds of nodes and of layers, for every engine."""
    import zeroskip
    from onnx_models import f32, model, node, residual_network
    from quantised_models import many_operators
    from test_import_fuzz import nhwc_network
    from zeroskip.runtime import zsk_writer

    def depthwise(rng) -> bytes:
        weights = {"d": f32(rng, 8, 1, 3, 3), "p": f32(rng, 6, 8, 1, 1), "g": f32(rng, 6, 3, 3, 3)}
        nodes = [node("Conv", ["x", "p0"], ["a"])]
        weights["p0"] = f32(rng, 8, 3, 1, 1)
        nodes += [node("Conv", ["a", "d"], ["b"], group=8, pads=[1, 1, 1, 1]), node("Relu", ["b"], ["c"])]
        nodes += [node("Conv", ["c", "p"], ["e"]), node("Conv", ["e", "g"], ["y"], group=2, strides=[2, 2])]
        return model(nodes, weights, (3, 12, 12))

    made = {
        "tiny": (many_operators, (3, 12, 12)),
        "tiny residual": (residual_network, (3, 12, 12)),
        "tiny nhwc": (nhwc_network, (8, 8, 3)),
        "gather_tiny": (depthwise, (3, 12, 12)),
        "gather_tiny residual": (residual_network, (3, 12, 12)),
        "zena_tiny": (residual_network, (3, 12, 12)),
        "zena_tiny depthwise": (depthwise, (3, 12, 12)),
    }
    found = {}
    for name, (network, shape) in made.items():
        rng = np.random.default_rng(0)
        found[name] = zsk_writer.dumps(zeroskip.compile(network(rng), name.split()[0], f32(rng, 4, *shape)))
    return found


def main(seed: int, count: int) -> int:
    """Report every finding once per place in the source; the exit status is their number."""
    files, places, outcomes = networks(), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for content in files.values():
            assert used(content, Path(folder)) == "ran"
        for number in range(count):
            name = list(files)[number % len(files)]
            what, content = mutated(files[name], np.random.default_rng((seed, number)))
            try:
                outcome = used(content, Path(folder))
            except (Exception, Unbounded) as error:
                outcome = "finding"
                trace = traceback.extract_tb(error.__traceback__)
                place = next((f for f in reversed(trace) if "zeroskip" in f.filename), trace[-1])
                key = f"{Path(place.filename).name}:{place.lineno} {type(error).__name__}"
                if key not in places:
                    print(f"{key}: {str(error)[:150]}\n    seed ({seed}, {number}), {name}: {what}", flush=True)
                places[key] = places.get(key, 0) + 1
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(f"seed {seed}, {count} files: {outcomes}; {places}")
    return min(len(places), 100)


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
