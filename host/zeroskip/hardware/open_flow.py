"""The vendor-free way to a bitstream: Yosys, nextpnr-xilinx, Project X-Ray.

``python -m zeroskip.hardware.open_flow netlist --config gather`` makes what place and route reads, with the packages of
``zeroskip[test]`` alone; ``bit`` runs the rest with tools that the user has installed (docs/board.md).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from ..devices.hwh import handoff
from ..errors import ToolError, ZeroskipError
from ..files import write_atomic
from . import manifest, results
from .config import BOARD, Config, get_config
from .netlist import implement
from .synth import Resources

PART = "xc7z020clg400-1"
CLOCK_NET = "clk"
"""Name of the only clock in ``rtl/board/zeroskip_board.v``."""


def constraints(clock_mhz: float) -> str:
    """``top.xdc``: the clock.  There are no pins: the processing system has its own."""
    return (
        f"# The whole programmable logic runs on FCLK_CLK0.\n"
        f"create_clock -name fclk0 -period {1000 / clock_mhz:.3f} [get_nets {CLOCK_NET}]\n"
    )


def make_netlist(config: Config, folder: Path) -> Resources:
    """Write ``top.json``, ``top.xdc`` and ``zeroskip_<config>.hwh``.

    Raises:
        ToolError: pyosys is not installed, or Yosys rejects the design.
        InputError: a file cannot be written.
    """
    netlist = implement(config)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "top.json", netlist.text())
    write_atomic(folder / "top.xdc", constraints(manifest.CLOCK_MHZ))
    write_atomic(folder / f"zeroskip_{config.name}.hwh", handoff(config))
    return Resources.count(netlist.cells())


def make_bit(config: Config, folder: Path, nextpnr: str, chipdb: str, database: str, root: Path = results.ROOT) -> Path:
    """Place, route and assemble the netlist in ``folder``, and put the bitstream into ``bitstreams/``.

    Args:
        config: the configuration the netlist was made for.
        folder: of :func:`make_netlist`.
        nextpnr: nextpnr-xilinx.
        chipdb: its chip database for the part.
        database: root of the Project X-Ray database: the folder that has ``zynq7/``.
        root: the checkout.

    Returns:
        The folder in ``bitstreams/``.

    Raises:
        ToolError: a tool or file is missing, fails, or timing is not met.
    """
    family = Path(database, "zynq7")
    part = family / PART / "part.yaml"
    tools = {
        "nextpnr-xilinx (NEXTPNR)": shutil.which(nextpnr) if nextpnr else None,
        "chip database (CHIPDB)": chipdb if chipdb and Path(chipdb).is_file() else None,
        "Project X-Ray database (PRJXRAY_DB)": str(part) if database and part.is_file() else None,
        "fasm2frames, of Project X-Ray, on PATH": shutil.which("fasm2frames"),
        "xc7frames2bit, of Project X-Ray, on PATH": shutil.which("xc7frames2bit"),
        f"{folder / 'top.json'}, of make netlist": str(folder) if (folder / "top.json").is_file() else None,
    }
    missing = [name for name, found in tools.items() if not found]
    if missing:
        raise ToolError(f"cannot make a bitstream, missing: {'; '.join(missing)}. docs/board.md says where to get them")
    log = _run(
        [nextpnr, "--chipdb", chipdb, "--json", "top.json", "--xdc", "top.xdc", "--fasm", "top.fasm"], folder, "nextpnr"
    )
    reached = [float(mhz) for mhz in re.findall(r"Max frequency for clock +'[^']*': +([\d.]+) MHz", log)]
    if not reached or reached[-1] < manifest.CLOCK_MHZ:
        found = f"{reached[-1]:.1f} MHz" if reached else "no figure in the log of nextpnr-xilinx"
        raise ToolError(f"timing is not met: {found}, needed: {manifest.CLOCK_MHZ:g} MHz; try another --seed")
    frames = ["fasm2frames", "--db-root", family.resolve(), "--part", PART, "top.fasm", "top.frames"]
    _run(frames, folder, "fasm2frames")
    bit = ["--part_name", PART, "--part_file", part.resolve(), "--frm_file", "top.frames", "--output_file", "top.bit"]
    _run(["xc7frames2bit", *bit], folder, "xc7frames2bit")
    record = {
        "toolchain": f"Yosys {version('pyosys')}, nextpnr-xilinx, Project X-Ray",
        "commit": manifest.commit_of(root),
        "configuration_hash": f"0x{config.hash:08X}",
        "glue": False,
        "timing": {"fmax_mhz": reached[-1]},
        "resources": {**_resources(folder), "source": "Yosys, before placement"},
    }
    return manifest.install(config, record, folder / "top.bit", folder / f"zeroskip_{config.name}.hwh", root)


def _resources(folder: Path) -> dict[str, int]:
    cells: dict[str, int] = {}
    for kind in re.findall(r'"type": "(\w+)"', (folder / "top.json").read_text()):
        cells[kind] = cells.get(kind, 0) + 1
    return asdict(Resources.count(cells))


def _run(command: list, folder: Path, name: str) -> str:
    """What a tool prints; also kept beside its files."""
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    (folder / f"{name}.log").write_text(done.stdout)
    if done.returncode:
        end = "\n".join(done.stdout.strip().splitlines()[-8:])
        raise ToolError(f"{name} failed (exit status {done.returncode}); {folder / name}.log ends with:\n{end}")
    return done.stdout


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m zeroskip.hardware.open_flow", description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=("netlist", "bit"))
    parser.add_argument("--config", default=BOARD, help="name or .json file of a build configuration")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default build/open/<config>")
    parser.add_argument("--nextpnr", default="nextpnr-xilinx", help="the program")
    parser.add_argument("--chipdb", default="", help="its chip database of the part")
    parser.add_argument("--prjxray-db", default="", help="root of the Project X-Ray database")
    arguments = parser.parse_args(argv)
    try:
        config = get_config(arguments.config)
        folder = arguments.output or Path("build/open", config.name)
        if arguments.step == "netlist":
            used = make_netlist(config, folder)
            print(f"{folder}: top.json, top.xdc, zeroskip_{config.name}.hwh; {asdict(used)}")
        else:
            print(make_bit(config, folder, arguments.nextpnr, arguments.chipdb, arguments.prjxray_db))
    except ZeroskipError as error:
        print(f"open_flow: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
