"""The notebooks: as a reader finds them, executed, and executed again on a board without a compiler."""

import os
import random
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import zeroskip
from zeroskip.devices import KIND_VARIABLE, open_device
from zeroskip.devices.board import BITSTREAM_VARIABLE, REMOTE_VARIABLE
from zeroskip.devices.serve import Server
from zeroskip.errors import InputError

FOLDER = Path(zeroskip.__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

WITHOUT_COMPILER = "import sys; sys.modules.update(dict.fromkeys(('numba', 'onnx', 'zeroskip.compiler')))"


def execute(name, folder, monkeypatch, first=None, **variables):
    """The text that a notebook prints, executed in ``folder`` with these environment variables."""
    for variable in (KIND_VARIABLE, REMOTE_VARIABLE, BITSTREAM_VARIABLE, "MPLBACKEND"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in {**variables, "PYTHONPATH": str(FOLDER.parent)}.items():
        monkeypatch.setenv(variable, value)
    notebook = nbformat.read(folder / name, as_version=4)
    if first:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(first))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.get("name") == "stderr"], "a notebook must not warn"
    # One text of all: in how many pieces a kernel sends what a cell prints depends on the machine's load.
    return "".join(output["text"] for output in outputs if output.output_type == "stream"), outputs


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_valid_and_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_here_and_then_on_a_board(path, tmp_path, monkeypatch):
    """With the files of the first run, the second needs no compiler; it gets the same results, cycle by cycle."""
    shutil.copy(path, tmp_path)
    printed, outputs = execute(path.name, tmp_path, monkeypatch, **{KIND_VARIABLE: "model"})
    assert printed and any("image/png" in output.get("data", {}) for output in outputs), "prints and plots"

    address = "127.{}.{}.{}".format(*(random.Random(os.getpid() + 1).randrange(1, 255) for _ in range(3)))
    with Server("model", "tiny", address):
        again, outputs = execute(path.name, tmp_path, monkeypatch, WITHOUT_COMPILER, **{REMOTE_VARIABLE: address})
    assert "<zeroskip accelerator: board" in str(outputs)
    assert again.replace("'board'", "'model'") == printed


def test_auto_means_what_is_there(monkeypatch):
    for variable in (KIND_VARIABLE, REMOTE_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    with open_device("auto") as device:
        assert device.kind == "sim", "no board here"
    monkeypatch.setenv(KIND_VARIABLE, "model")
    with open_device("auto") as device:
        assert device.kind == "model"
    monkeypatch.setenv(KIND_VARIABLE, "fpga")
    with pytest.raises(InputError, match="'fpga'"):
        open_device("auto")
