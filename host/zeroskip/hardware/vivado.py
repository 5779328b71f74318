"""The Vivado way to a bitstream: parameters for ``vivado/build.tcl``, the run, and what it made.

``python -m zeroskip.hardware.vivado --config z2`` writes ``build/vivado/<config>/parameters.tcl``; with
``--vivado vivado`` it also runs the script and puts the bitstream into ``bitstreams/``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from ..devices.hwh import DMA_NAME, ENGINE_NAME, LENGTH_WIDTH
from ..errors import FileFormatError, ToolError, ZeroskipError
from ..files import write_atomic
from . import manifest, registers, results
from .config import Config, get_config
from .open_flow import PART
from .verilog import include_folder, sources

PS_NAME = "processing_system7_0"

_NOT_FOR_VIVADO = {"zeroskip_board", "axi3_axil_bridge", "axi4_axi3_bridge", "reset_sync"}
"""Modules of the vendor-free top; Vivado brings its own bridges and DMA."""


def parameters(config: Config, commit: str = "") -> str:
    """Text of ``parameters.tcl``: everything the script takes from the one hardware description."""
    files = [s for s in sources() if s.stem not in _NOT_FOR_VIVADO and s.parent.name != "dma"]
    values = {
        "config": config.name,
        "hash": f"0x{config.hash:08X}",
        "commit": commit,
        "part": PART,
        "clock_mhz": f"{manifest.CLOCK_MHZ:g}",
        "sources": " ".join(f"{{{file}}}" for file in files),
        "include_folder": str(include_folder()),
        "parameters": " ".join(
            f"{name} {value}"
            for name, value in {**config.rtl_parameters(), "CONFIG_HASH": f"0x{config.hash:08X}"}.items()
        ),
        "ps_name": PS_NAME,
        "dma_name": DMA_NAME,
        "engine_name": ENGINE_NAME,
        "length_width": LENGTH_WIDTH,
    }
    for block in ("ENGINE", "DMA"):
        for part in ("BASE", "RANGE"):
            values[f"{block}_{part}".lower()] = f"0x{getattr(registers, f'{block}_{part}'):08X}"
    lines = ["# Written by python -m zeroskip.hardware.vivado; read by vivado/build.tcl."]
    return "\n".join([*lines, *(f"set zs_{name} {{{value}}}" for name, value in values.items()), ""])


def prepare(config: Config, folder: Path, root: Path = results.ROOT) -> Path:
    """Write ``parameters.tcl`` into ``folder`` and return its path.

    Raises:
        InputError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "parameters.tcl"
    write_atomic(file, parameters(config, manifest.commit_of(root)))
    return file


def build(config: Config, folder: Path, vivado: str, root: Path = results.ROOT) -> Path:
    """Run Vivado and put what it made into ``bitstreams/``; returns the folder there.

    Raises:
        ToolError: Vivado is not there, fails, or timing is not met; its log is in ``folder``.
        FileFormatError: the record it wrote is damaged.
    """
    program = shutil.which(vivado)
    if program is None:
        raise ToolError(
            f"Vivado not found: {vivado!r} is no program on PATH. Install Vivado (the free Standard edition builds for "
            f"the XC7Z020) and give its path, make bit CONFIG={config.name} VIVADO=/path/to/vivado; or build without "
            "it, make bit-open"
        )
    prepare(config, folder, root)
    script = root / "vivado/build.tcl"
    command = [program, "-mode", "batch", "-nojournal", "-log", "vivado.log", "-source", script, "-tclargs", "."]
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode:
        raise ToolError(f"Vivado failed (exit status {done.returncode}); see {folder / 'vivado.log'}")
    try:
        record = json.loads((folder / "record.json").read_text())
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{folder / 'record.json'} is damaged: {error}") from error
    name = f"zeroskip_{config.name}"
    return manifest.install(config, record, folder / f"{name}.bit", folder / f"{name}.hwh", root)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m zeroskip.hardware.vivado", description=__doc__.split("\n")[0])
    parser.add_argument("--config", default="z2", help="name or .json file of a build configuration")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default build/vivado/<config>")
    parser.add_argument("--vivado", help="also run this Vivado")
    arguments = parser.parse_args(argv)
    try:
        config = get_config(arguments.config)
        folder = arguments.output or Path("build/vivado", config.name)
        print(build(config, folder, arguments.vivado) if arguments.vivado else prepare(config, folder))
    except ZeroskipError as error:
        print(f"vivado: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
