"""The ``zeroskip`` command in a process of its own, and a small network for it."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
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


def files(folder: Path) -> Path:
    """Put net.onnx, net.zsk for tiny, and x.npy, three images, into a folder."""
    images = np.random.default_rng(2).random((3, 2, 6, 6), dtype=np.float32)
    (folder / "net.onnx").write_bytes(network())
    np.save(folder / "x.npy", images)
    zs.compile(folder / "net.onnx", "tiny", images).save(folder / "net.zsk")
    return folder
