"""hls/run_hls.tcl under plain tclsh: its files, tops, options and part are what they should be.

That Vitis HLS accepts the C++, and what becomes of it, is not shown here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from zeroskip.devices import hwh
from zeroskip.hardware import generate

STUBS = Path(__file__).with_name("stubs.tcl")

pytestmark = pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh (package tcl)")


def run(folder, *arguments) -> subprocess.CompletedProcess:
    """The script, in a copy of hls/ below ``folder``, with Vitis' commands printed instead of executed."""
    shutil.copytree(generate.ROOT / "hls", folder / "hls")
    script = folder / "hls/run_hls.tcl"
    command = ["tclsh", STUBS, script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def made(folder) -> list[Path]:
    """The IPs below a folder, relative to it."""
    return [path.relative_to(folder) for path in folder.glob("**/component.xml")]


def test_both_kernels_are_built_and_packed(tmp_path):
    done = run(tmp_path, "z2")
    assert done.returncode == 0, done.stderr
    said = done.stdout
    tops = re.findall(r"^set_top (\w+)$", said, re.MULTILINE)
    files = re.findall(r"^add_files (\S+) -cflags \{(.*)\}$", said, re.MULTILINE)
    assert tops == list(hwh.GLUE) and len(files) == 2
    for top, (file, flags) in zip(tops, files, strict=True):
        text = Path(file).read_text()
        assert re.search(rf"^void {top}\(", text, re.MULTILINE), f"{file} has no function {top}"
        assert "-DZS_BUILD=z2" in flags and f"-I{tmp_path / 'hls'}" in flags
    for top in tops:
        vendor, library, name, version = hwh.GLUE_VLNV.format(top).split(":")
        packed = f"export_design -format ip_catalog -vendor {vendor} -library {library} -ipname {name}"
        assert f"{packed} -version {version}\n" in said
    assert said.count("set_part xc7z020clg400-1\n") == said.count("create_clock -period 8\n") == 2
    assert said.count("csynth_design") == said.count("close_project") == 2
    assert {path.parts[0] for path in made(tmp_path / "build/hls/z2")} == set(hwh.GLUE)


@pytest.mark.parametrize(("arguments", "message"), [((), "usage"), (("z3",), "no configuration z3; built in: tiny z2")])
def test_a_wrong_configuration_is_refused(tmp_path, arguments, message):
    done = run(tmp_path, *arguments)
    assert done.returncode != 0 and message in done.stderr


def test_ports_are_streams():
    """Every argument of a top has an axis pragma of its own: Vitis would make a FIFO port of one without."""
    for name in hwh.GLUE:
        text = (generate.ROOT / f"hls/{name}.cpp").read_text()
        arguments = re.search(rf"^void {name}\((.*?)\)", text, re.MULTILINE)[1]
        ports = re.findall(r"& (\w+)", arguments)
        assert len(ports) == 3
        assert re.findall(r"INTERFACE axis register port = (\w+)", text) == ports
        assert "INTERFACE ap_ctrl_none port = return" in text
