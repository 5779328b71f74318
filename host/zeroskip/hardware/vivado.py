"""The Vivado way to a bitstream: parameters for ``vivado/build.tcl``, the run, and what it made.

``python -m zeroskip.hardware.vivado --config gather`` writes ``build/vivado/<config>/parameters.tcl``; with
``--vivado vivado`` it also runs the script and puts the bitstream into ``bitstreams/``.  With ``--glue`` the HLS
kernels stand around the engine; ``--vitis-hls vitis_hls`` makes them first, else ``build/hls/<config>`` has them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from ..devices.hwh import DMA_NAME, ENGINE_NAME, GLUE, GLUE_VLNV, LENGTH_WIDTH
from ..errors import FileFormatError, InputError, ToolError, ZeroskipError
from ..files import write_atomic
from . import manifest, registers, results
from .config import BOARD, BUILTIN, Config, get_config, need_glue
from .open_flow import PART
from .verilog import include_folder, sources

PS_NAME = "processing_system7_0"

_NOT_FOR_VIVADO = {"zeroskip_board", "axi3_axil_bridge", "axi4_axi3_bridge", "reset_sync"}
"""Modules of the vendor-free top; Vivado brings its own bridges and DMA."""


def ip_folder(config: Config, root: Path) -> Path:
    """Where ``hls/run_hls.tcl`` puts the kernels of a configuration."""
    return root / "build/hls" / config.name


def parameters(config: Config, commit: str = "", ip_repo: Path | None = None) -> str:
    """Text of ``parameters.tcl``: everything the script takes from the one hardware description.

    Args:
        config: the hardware.
        commit: what is being built.
        ip_repo: folder of the kernels' IPs; None builds without glue.
    """
    rtl_parameters = {**config.rtl_parameters(), "CONFIG_HASH": f"0x{config.hash:08X}"}
    if ip_repo:
        rtl_parameters["SUMS"] = config.glue_sums
    files = [s for s in sources() if s.stem not in _NOT_FOR_VIVADO and s.parent.name != "dma"]
    values = {
        "config": config.name,
        "name": f"zeroskip_{manifest.folder_name(config, ip_repo is not None)}",
        "hash": f"0x{config.hash:08X}",
        "commit": commit,
        "part": PART,
        "clock_mhz": f"{manifest.CLOCK_MHZ:g}",
        "sources": " ".join(f"{{{file}}}" for file in files),
        "include_folder": str(include_folder()),
        "parameters": " ".join(f"{name} {value}" for name, value in rtl_parameters.items()),
        "ps_name": PS_NAME,
        "dma_name": DMA_NAME,
        "engine_name": ENGINE_NAME,
        "length_width": LENGTH_WIDTH,
        "glue": " ".join(f"{name} {GLUE_VLNV.format(name)}" for name in GLUE) if ip_repo else "",
        "ip_repo": str(ip_repo.resolve()) if ip_repo else "",
    }
    for block in ("ENGINE", "DMA"):
        for part in ("BASE", "RANGE"):
            values[f"{block}_{part}".lower()] = f"0x{getattr(registers, f'{block}_{part}'):08X}"
    lines = ["# Written by python -m zeroskip.hardware.vivado; read by vivado/build.tcl."]
    return "\n".join([*lines, *(f"set zs_{name} {{{value}}}" for name, value in values.items()), ""])


def prepare(config: Config, folder: Path, root: Path = results.ROOT, glue: bool = False) -> Path:
    """Write ``parameters.tcl`` into ``folder`` and return its path.

    Raises:
        ConfigError: there is no glue for the configuration.
        InputError: it cannot be written, or the kernels' sources do not have the configuration.
    """
    if glue:
        need_glue(config)
        if BUILTIN.get(config.name) != config:
            names = ", ".join(name for name, built_in in BUILTIN.items() if built_in.glue_sums)
            raise InputError(f"hls/zeroskip_defs.h has no configuration {config.name!r}; it has {names}")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "parameters.tcl"
    write_atomic(file, parameters(config, manifest.commit_of(root), ip_folder(config, root) if glue else None))
    return file


def make_glue(config: Config, vitis_hls: str, root: Path = results.ROOT) -> Path:
    """The folder with the kernels as IPs, made by Vitis HLS, or with ``vitis_hls`` empty found there.

    Raises:
        ToolError: Vitis HLS is not there or fails, or there are no IPs.
    """
    folder = ip_folder(config, root)
    script = root / "hls/run_hls.tcl"
    if vitis_hls:
        program = shutil.which(vitis_hls)
        if program is None:
            raise ToolError(
                f"Vitis HLS not found: {vitis_hls!r} is no program on PATH; give its path, "
                f"make bit CONFIG={config.name} GLUE=1 VITIS_HLS=/path/to/vitis_hls"
            )
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([program, "-f", script, "-tclargs", config.name], cwd=folder, check=False)
        if done.returncode:
            raise ToolError(f"Vitis HLS failed (exit status {done.returncode}); see {folder / 'vitis_hls.log'}")
    missing = [name for name in GLUE if not (folder / name / "solution/impl/ip/component.xml").is_file()]
    if missing:
        raise ToolError(f"no IP {' and no IP '.join(missing)} in {folder}; make them with Vitis HLS, as {script} says")
    return folder


def build(
    config: Config,
    folder: Path,
    vivado: str,
    root: Path = results.ROOT,
    glue: bool = False,
    vitis_hls: str = "",
) -> Path:
    """Run Vivado and put what it made into ``bitstreams/``; returns the folder there.

    Args:
        config: the hardware.
        folder: where everything is made.
        vivado: the program.
        root: the checkout.
        glue: with the HLS kernels around the engine.
        vitis_hls: the program that makes the kernels; empty: they are there.

    Raises:
        ConfigError, InputError: there is no glue for the configuration.
        ToolError: a tool is not there, fails, or timing is not met; Vivado's log is in ``folder``.
        FileFormatError: the record it wrote is damaged.
    """
    program = shutil.which(vivado)
    if program is None:
        raise ToolError(
            f"Vivado not found: {vivado!r} is no program on PATH. Install Vivado (the free Standard edition builds for "
            f"the XC7Z020) and give its path, make bit CONFIG={config.name} VIVADO=/path/to/vivado; or build without "
            "it, make bit-open"
        )
    prepare(config, folder, root, glue)
    if glue:
        make_glue(config, vitis_hls, root)
    script = root / "vivado/build.tcl"
    command = [program, "-mode", "batch", "-nojournal", "-log", "vivado.log", "-source", script, "-tclargs", "."]
    done = subprocess.run(command, cwd=folder, check=False)
    if done.returncode:
        raise ToolError(f"Vivado failed (exit status {done.returncode}); see {folder / 'vivado.log'}")
    try:
        record = json.loads((folder / "record.json").read_text())
    except (OSError, ValueError) as error:
        raise FileFormatError(f"{folder / 'record.json'} is damaged: {error}") from error
    bit = folder / f"zeroskip_{manifest.folder_name(config, glue)}.bit"
    return manifest.install(config, record, bit, bit.with_suffix(".hwh"), root)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m zeroskip.hardware.vivado", description=__doc__.split("\n")[0])
    parser.add_argument("--config", default=BOARD, help="name or .json file of a build configuration")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default build/vivado/<config>[_glue]")
    parser.add_argument("--vivado", help="also run this Vivado")
    parser.add_argument("--glue", action="store_true", help="with the HLS kernels around the engine")
    parser.add_argument("--vitis-hls", default="", help="with --glue: make the kernels with this Vitis HLS first")
    arguments = parser.parse_args(argv)
    try:
        config, glue = get_config(arguments.config), arguments.glue
        folder = arguments.output or Path("build/vivado", manifest.folder_name(config, glue))
        if arguments.vivado:
            print(build(config, folder, arguments.vivado, glue=glue, vitis_hls=arguments.vitis_hls))
        else:
            print(prepare(config, folder, glue=glue))
    except ZeroskipError as error:
        print(f"vivado: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
