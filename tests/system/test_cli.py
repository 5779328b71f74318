"""The ``zeroskip`` command as a user meets it: files in, files out."""

from __future__ import annotations

import json
import re
import shutil
import signal

import numpy as np
import onnx
import pytest

import command_line
import zeroskip as zs
from command_line import network, start, zeroskip
from zeroskip.hardware.config import BUILTIN


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return command_line.files(tmp_path_factory.mktemp("files"))


def test_compile_run_info_report(files, tmp_path):
    model, x = tmp_path / "m.zsk", files / "x.npy"
    options = ["--scale-rule", "max_abs", "--per", "channel", "--clip", 2, "--mode", "zero_skip"]
    options.append("--no-activation-skip")
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


@pytest.mark.parametrize("config", ["tiny", "gather_tiny"])
def test_run_with_glue(config, files, tmp_path):
    """The same outputs, from layers that end in activations; simulator and model count the same cycles."""
    cycles = []
    for device in ("sim", "model"):
        for glue in ("--glue", "--no-glue"):
            written = [tmp_path / f"{device}{glue}{end}" for end in (".npy", ".json")]
            out, _ = zeroskip(
                *("run", files / "net.onnx", "--device", device, glue, "--config", config, "--check"),
                *("--input", files / "x.npy", "--output", written[0], "--json", written[1]),
            )
            assert "ok   outputs equal" in out and ("finished by the HLS kernels" in out) == (glue == "--glue")
            cycles.append(json.loads(written[1].read_text())["runs"][0]["cycles"])
    first, *others = (np.load(path) for path in sorted(tmp_path.glob("*.npy")))
    assert all(np.array_equal(first, other) for other in others)
    assert cycles[:2] == cycles[2:] and cycles[0] != cycles[1]


def zeros(model) -> int:
    return sum(np.count_nonzero(layer.plan.weights == 0) for layer in model.layers)


@pytest.mark.parametrize("config", ["tiny", "zena_tiny"])
def test_compile_with_a_budget(config, files, tmp_path):
    """The loss that is printed is within the budget; a large one makes more zeros, and on trident fewer steps."""
    command = ["compile", files / "net.onnx", "--config", config, "--calibration", files / "x.npy"]
    zeroskip(*command, "-o", tmp_path / "plain.zsk")
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
    assert "at most 9 dB lost against plain 8-bit weights" in out and "percentile" in out


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
    out, _ = zeroskip(*command, "--output", tmp_path / "y.npy")
    assert re.search(r"Accuracy\n  (output SQNR: \d+\.\d dB|accuracy: not measured) \(", out)
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
    rule = ["--scale-rule", "percentile", "--per", "tensor"]
    command = ["run", files / "net.onnx", "--device", "model", "--input", x, "--json", data, *rule]
    _, err = zeroskip(*command, "--compare", "--output", tmp_path / "y.npy")
    assert "dB of output SQNR on the calibration images against plain 8-bit" in err
    assert "the input images set the activation scales" in err
    runs = json.loads(data.read_text())["runs"]
    modes = [("dense", False), ("zero_skip", False), ("combined", False), ("combined", True)]
    assert [(run["mode"], run["activation_skip"]) for run in runs] == modes
    assert runs[0]["cycles"] > runs[1]["cycles"] > runs[2]["cycles"]
    zeroskip("compile", files / "net.onnx", "-o", tmp_path / "m.zsk", "--calibration", x, *rule)
    assert np.array_equal(np.load(tmp_path / "y.npy"), zs.load(tmp_path / "m.zsk").reference(np.load(x)))


def test_several_outputs_and_open_sizes(files, tmp_path):
    """Cut where the user says; several outputs are one .npz, and have no class."""
    x, model, y = files / "x.npy", tmp_path / "m.zsk", tmp_path / "y.npz"
    cut = "--outputs", "c", "f"
    zeroskip("compile", files / "net.onnx", "-o", model, "--calibration", x, "--input-shape", "2,6,6", *cut)
    out, _ = zeroskip("info", model)
    assert "output c" in out and "N x 8 x 6 x 6, float32" in out and "N x 288, float32" in out
    out, _ = zeroskip("run", model, "--device", "model", "--input", x, "--output", y, "--check")
    assert "ok   outputs equal the integer reference" in out
    with np.load(y) as found:
        want = zs.load(model).reference(np.load(x))
        assert set(found) == {"c", "f"} and all(np.array_equal(found[name], want[name]) for name in want)
    run = "run", model, "--device", "model", "--input", x
    assert ".npz" in command_line.refused(*run, "--output", tmp_path / "y.npy")
    np.save(tmp_path / "classes.npy", np.zeros(3, np.int64))
    assert "--outputs NAME" in command_line.refused(*run, "--expected", tmp_path / "classes.npy")
    single = command_line.refused("run", files / "net.zsk", "--device", "model", "--input", x, "--output", y)
    assert ".npy" in single and "one output" in single


def test_one_image_and_a_renamed_model(files, tmp_path):
    """A compiled file is known by its content, too."""
    shutil.copy(files / "net.zsk", tmp_path / "renamed")
    np.save(tmp_path / "one.npy", np.load(files / "x.npy")[:1])
    command = ["run", tmp_path / "renamed", "--device", "model", "--input"]
    assert "run 3 images, combined" in zeroskip(*command, files / "x.npy")[1]
    assert "run 1 image, combined" in zeroskip(*command, tmp_path / "one.npy")[1]
    assert "N x 2 x 6 x 6" in zeroskip("info", tmp_path / "renamed")[0]


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
    assert f"build: {', '.join(BUILTIN)}" in shown
    for part in ("--budget 3dB", "--budget 1% --labels y.npy", "A budget holds on these images", "output SQNR"):
        assert part in shown


def test_compile_without_calibration_warns(files, tmp_path):
    _, err = zeroskip("compile", files / "net.onnx", "-o", tmp_path / "m.zsk")
    assert "zeroskip: warning: no calibration images" in err


# -- interrupted -------------------------------------------------------------------------------------
def test_interrupt_is_clean(files, tmp_path):
    x = np.random.default_rng(2).random((4000, 2, 6, 6), dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    command = ["run", files / "net.onnx", "--device", "sim", "--input", tmp_path / "x.npy"]
    process = start(*command, "--output", tmp_path / "y.npy")
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
