"""The .zsk file: what goes in comes out, and no damaged or hostile file does harm."""

import dataclasses
import hashlib
import json
import struct
import subprocess
import sys

import numpy as np
import pytest

import zeroskip
from golden_device import GoldenDevice
from onnx_models import f32, residual_network
from zeroskip.errors import ConfigError, FileFormatError, InputError
from zeroskip.hardware.config import FORMAT_VERSION
from zeroskip.runtime import zsk, zsk_writer
from zeroskip.runtime.hostops import SUM_LIMIT

START = 64


@pytest.fixture(scope="module")
def images():
    return f32(np.random.default_rng(1), 4, 3, 12, 12)


@pytest.fixture(scope="module")
def compiled(images):
    return zeroskip.compile(residual_network(np.random.default_rng(0)), "tiny", images, clip=2)


@pytest.fixture(scope="module")
def content(compiled):
    return zsk_writer.dumps(compiled)


def test_round_trip(compiled, images, content, tmp_path):
    path = tmp_path / "m.zsk"
    compiled.save(path)
    assert path.read_bytes() == content
    again = zeroskip.load(path)
    assert zsk_writer.dumps(again) == content
    assert again.info == compiled.info and again.config == compiled.config and again.tensors == compiled.tensors
    assert (again.reference(images) == compiled.reference(images)).all()
    one, other = (model.run(GoldenDevice("tiny"), images) for model in (compiled, again))
    assert (one.outputs == other.outputs).all() and one.layers == other.layers


def test_running_a_file_needs_no_compiler(compiled, tmp_path):
    """Nothing but NumPy (and what it brings) is imported to load a model and compute its reference."""
    compiled.save(tmp_path / "m.zsk")
    code = (
        "import sys, numpy, zeroskip; model = zeroskip.load(sys.argv[1]); "
        "model.reference(numpy.zeros((1, 3, 12, 12))); "
        "print([m for m in sys.modules if m.split('.')[0] in ('onnx', 'numba', 'scipy', 'pynq') or 'compiler.' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "m.zsk"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_truncation_anywhere(content):
    for length in (*range(0, 130, 3), *np.linspace(130, len(content) - 1, 60).astype(int)):
        with pytest.raises(FileFormatError, match=r"truncated|not a \.zsk"):
            zsk.loads(content[:length])


def test_trailing_bytes(content):
    with pytest.raises(FileFormatError, match="corrupted"):
        zsk.loads(content + b"\0")


def test_every_region_notices_a_flipped_bit(content):
    rng = np.random.default_rng(2)
    places = [*range(START), *rng.integers(START, len(content), 200), len(content) - 1]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << rng.integers(8)
        with pytest.raises(FileFormatError, match=r"corrupted|version|not a \.zsk|truncated"):
            zsk.loads(bytes(damaged))


def test_newer_versions_say_so(content):
    for place, what, ours in ((8, "format version", zsk_writer.VERSION), (12, "hardware version", FORMAT_VERSION)):
        newer = bytearray(content)
        newer[place] = ours + 1
        with pytest.raises(FileFormatError, match=f"{what} {ours + 1}; .* compile the network again"):
            zsk.loads(bytes(newer))


@pytest.mark.parametrize("other", [b"", b"PK\x03\x04" * 40, b"\x80\x04\x95" * 40, b"ZEROSKI", np.zeros(99).tobytes()])
def test_other_files(tmp_path, other):
    path = tmp_path / "other.zsk"
    path.write_bytes(other)
    with pytest.raises(FileFormatError, match=r"other\.zsk"):
        zeroskip.load(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.zsk: cannot be read"):
        zeroskip.load(tmp_path / "none.zsk")


def test_endless_file():
    with pytest.raises(FileFormatError, match=r"not a \.zsk file"):
        zeroskip.load("/dev/zero")


def test_failed_save_leaves_the_old_file(compiled, tmp_path, monkeypatch):
    path = tmp_path / "m.zsk"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(InputError, match="No space left"):
        compiled.save(path)
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["m.zsk"]
    monkeypatch.undo()
    with pytest.raises(InputError, match="cannot be written"):
        compiled.save(tmp_path / "no" / "folder.zsk")


def test_file_for_another_device(content, images):
    with pytest.raises(ConfigError, match="wgs = 2 in the model, 16 on the device"):
        zsk.loads(content).run(GoldenDevice("z2"), images)


# -- files with a right checksum but wrong content ---------------------------------------------------
def forge(content, change, body=None):
    """A file with a changed manifest (and body), its lengths and checksum made right again."""
    (length,) = struct.unpack_from("<Q", content, 16)
    manifest = json.loads(content[START : START + length])
    manifest = change(manifest) or manifest
    text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    body = content[START + length :] if body is None else body
    head = content[:16] + struct.pack("<QQ", len(text), START + len(text) + len(body))
    return head + hashlib.sha256(head + text + body).digest() + text + body


def first(manifest, op):
    return next(entry for entry in manifest["nodes"] if entry["op"] == op)


def test_forging_nothing_loads(content, compiled):
    assert zsk_writer.dumps(zsk.loads(forge(content, lambda m: None))) == content


@pytest.mark.parametrize(
    "change",
    [
        lambda m: b"{",
        lambda m: b"[" * 100_000,
        lambda m: b"[]",
        lambda m: b"{}",
        lambda m: b"\xff\xfe",
        lambda m: m.pop("nodes") and None,
        lambda m: m.update(nodes=5),
        lambda m: m.update(nodes=[]),
        lambda m: m.update(nodes=m["nodes"][::-1]),
        lambda m: m.update(tensors=[]),
        lambda m: m.update(input="nowhere"),
        lambda m: m.update(output="nowhere"),
        lambda m: m.update(output=["x"]),
        lambda m: m.update(info=3),
        lambda m: m["config"].update(wgs=1000),
        lambda m: m["config"].update(wgs=4),
        lambda m: m["config"].update(color="red"),
        lambda m: m["tensors"]["x"].update(shape=[3, 2**31, 2**31]),
        lambda m: m["tensors"]["x"].update(shape=[3, -12, -12]),
        lambda m: m["tensors"]["x"].update(shape=[3, 12]),
        lambda m: m["tensors"]["x"].update(shape=[]),
        lambda m: m["tensors"]["x"].update(scale=0),
        lambda m: m["tensors"]["x"].update(scale=float("nan")),
        lambda m: m["tensors"]["x"].update(scale="big"),
        lambda m: m["tensors"]["x"].update(zero_point=256),
        lambda m: m["tensors"]["x"].update(dtype="object"),
        lambda m: m["tensors"]["x"].update(dtype="int16", zero_point=5),
        lambda m: first(m, "conv").update(op="exec"),
        lambda m: first(m, "conv").update(inputs=[]),
        lambda m: first(m, "conv").update(inputs=["x", "x"]),
        lambda m: first(m, "conv").update(output="x"),
        lambda m: first(m, "conv").update(name=None, op=None),
        lambda m: first(m, "conv").pop("plan") and None,
        lambda m: first(m, "conv")["plan"].update(stride=[0, 1]),
        lambda m: first(m, "conv")["plan"].update(padding=[2**40, 0, 0, 0]),
        lambda m: first(m, "conv")["plan"].update(groups=0),
        lambda m: first(m, "conv")["plan"].update(parts=[]),
        lambda m: first(m, "conv")["plan"].update(config=None),
        lambda m: first(m, "conv")["plan_arrays"].update(weights=10**6),
        lambda m: first(m, "conv")["plan_arrays"].update(weights=first(m, "conv")["arrays"]["bias"]),
        lambda m: first(m, "conv")["attrs"].update(low=10**9),
        lambda m: first(m, "conv")["attrs"].update(low="0"),
        lambda m: first(m, "conv")["attrs"].update(extra=1),
        lambda m: first(m, "conv")["arrays"].update(bias=first(m, "conv")["arrays"]["shift"]),
        lambda m: first(m, "conv")["arrays"].update(shift=-1),
        lambda m: first(m, "add")["attrs"].update(shift=0),
        lambda m: first(m, "add")["attrs"].update(shift=63),
        lambda m: first(m, "max_pool")["attrs"].update(kernel=[0, 2]),
        lambda m: first(m, "max_pool")["attrs"].update(kernel=[2]),
        lambda m: first(m, "max_pool")["attrs"].update(kernel=[2**28, 2]),
        lambda m: first(m, "max_pool")["attrs"].update(kernel=[2.0, 2]),
        lambda m: first(m, "max_pool")["attrs"].update(padding=[2**28, 0, 0, 0], stride=[2**28, 1]),
        lambda m: first(m, "max_pool")["attrs"].update(stride=2),
        lambda m: first(m, "average_pool")["attrs"].update(dilation=[0, 1]),
        lambda m: first(m, "reshape")["attrs"].update(shape=[5]),
        lambda m: first(m, "reshape")["attrs"].update(shape=16),
        lambda m: m["arrays"][0].__setitem__(0, "object"),
        lambda m: m["arrays"][0].__setitem__(0, "float16"),
        lambda m: m["arrays"][0].__setitem__(1, [2**62, 2**62]),
        lambda m: m["arrays"][0].__setitem__(1, [-1]),
        lambda m: m["arrays"][0].__setitem__(1, None),
        lambda m: m["arrays"].append(["int8", [8]]),
        lambda m: m["arrays"].pop() and None,
        lambda m: m.update(arrays=None),
    ],
)
def test_hostile_manifests(content, change):
    with pytest.raises(FileFormatError) as error:
        zsk.loads(forge(content, change))
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: first(m, "conv")["plan"]["parts"][0]["layout"].__setitem__(1, 1 << 15), "column layout: step 32768"),
        (lambda m: first(m, "conv")["plan"]["parts"][0]["layout"].__setitem__(3, 64), "column layout: period 64"),
        (lambda m: first(m, "conv")["plan"].update(dilation=[400, 400]), "more columns than there are"),
        (lambda m: m["tensors"]["x"].update(zero_point=True), "zero_point is True; accepted: a whole number"),
        (lambda m: m["tensors"]["x"].update(scale=1e-300), "scale is 1e-300; accepted: a number"),
        (lambda m: m["info"].update(layers=[1]), r"info.layers is \[1\]; accepted: an object"),
        (lambda m: m["info"].pop("mode") and None, "info has no 'mode'"),
        (lambda m: first(m, "conv").update(name="a\x1b[2J"), "accepted: printable text"),
        (lambda m: first(m, "conv")["arrays"].update(more=len(m["arrays"]) - 1), "inconsistent: KeyError"),
        (lambda m: m["config"].update(name="../../elsewhere"), "configuration name '../../elsewhere'"),
        (lambda m: m["config"].update(wgs=2.0), "config.wgs is 2.0; accepted: a whole number"),
        (lambda m: m["arrays"].append(["int8", [0]]), "an array that nothing uses"),
    ],
)
def test_what_a_refused_field_holds_and_what_is_accepted(content, change, message):
    with pytest.raises(FileFormatError, match=message):
        zsk.loads(forge(content, change))


def test_bytes_after_the_last_array(content):
    """Length and checksum say that they belong to the file."""
    (length,) = struct.unpack_from("<Q", content, 16)
    for more in (1, 8, 4096):
        with pytest.raises(FileFormatError, match=f"{more} bytes after the last array"):
            zsk.loads(forge(content, lambda m: None, content[START + length :] + bytes(more)))


@pytest.mark.parametrize("sign", [-1, 1])
def test_sums_may_reach_32_bits_and_not_one_more(compiled, images, sign):
    """The largest sum a filter can have: all weights times the farthest activation, and the bias."""
    node = next(node for node in compiled.nodes if node.op == "conv")
    reach = compiled.tensors[node.inputs[0]].quant.reach
    most = SUM_LIMIT - 1 - reach * int(np.abs(node.plan.weights[1].astype(int)).sum())

    def with_bias(value):
        bias = node.arrays["bias"].copy()
        bias[1] = value
        changed = dataclasses.replace(node, arrays={**node.arrays, "bias": bias})
        nodes = tuple(changed if one is node else one for one in compiled.nodes)
        return zsk_writer.dumps(dataclasses.replace(compiled, nodes=nodes))

    edge = zsk.loads(with_bias(sign * most))
    assert (edge.run(GoldenDevice("tiny"), images).outputs == edge.reference(images)).all()
    with pytest.raises(FileFormatError, match="sums beyond 32 bits"):
        zsk.loads(with_bias(sign * (most + 1)))


def test_hostile_arrays(content):
    """Random values in the arrays, right checksum: refused, or harmless when run."""
    rng = np.random.default_rng(3)
    (length,) = struct.unpack_from("<Q", content, 16)
    body = np.frombuffer(content[START + length :], np.uint8)
    refused = 0
    for _ in range(60):
        damaged = body.copy()
        damaged[rng.integers(0, len(body), 20)] = rng.integers(0, 256, 20)
        try:
            model = zsk.loads(forge(content, lambda m: None, damaged.tobytes()))
        except FileFormatError:
            refused += 1
            continue
        assert np.isfinite(model.reference(np.zeros((1, 3, 12, 12)))).all()
    assert refused > 5
