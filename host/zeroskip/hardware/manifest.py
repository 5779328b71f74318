"""Writes the manifests in ``bitstreams/``: what a configuration's bitstream is, or that there is none yet.

``python -m zeroskip.hardware.manifest`` writes those of all built-in configurations that have no bitstream,
``--record record.json --bit x.bit --hwh x.hwh`` takes over what a build has made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..devices.bitstreams import MANIFEST, SCHEMA, read
from ..errors import FileFormatError, ZeroskipError
from ..files import write_atomic
from . import results
from .config import BOARD, BUILTIN, Config, get_config

CLOCK_MHZ = 100.0
"""Clock of the board design: FCLK0 as the .hwh sets it."""

FOLDER = Path("bitstreams")


def folder_name(config: Config, glue: bool) -> str:
    """Name of the folder of a design, and of its files after ``zeroskip_``."""
    return config.name + ("_glue" if glue else "")


def placeholder(config: Config) -> dict[str, Any]:
    """The manifest of a bitstream that has not been built; its resources are those of synthesis, where measured."""
    figures = results.committed().get(config.name, {})
    current = figures.get("hash") == f"0x{config.hash:08X}"
    return {
        "schema": SCHEMA,
        "configuration": config.name,
        "configuration_hash": f"0x{config.hash:08X}",
        "hardware": config.hardware_fields(),
        "glue": False,
        "clock_mhz": CLOCK_MHZ,
        "bit": None,
        "sha256": None,
        "toolchain": None,
        "commit": None,
        "timing": {},
        "resources": {**figures["resources"], "source": "Yosys, before placement"} if current else {},
        "tried_on_board": False,
        "build": f"make bit CONFIG={config.name} (Vivado) or make bit-open CONFIG={config.name} (nextpnr-xilinx), "
        "as docs/board.md describes",
    }


def install(config: Config, record: dict[str, Any], bit: Path, hwh: Path, root: Path = results.ROOT) -> Path:
    """Put a bitstream that was built into its folder, with its manifest.

    Args:
        config: the configuration it was built for.
        record: ``toolchain``, ``commit``, ``configuration_hash``, ``glue``, ``timing`` and ``resources`` of the build.
        bit, hwh: its files.

    Returns:
        The folder.

    Raises:
        FileFormatError: the record lacks a field, or is of another configuration.
    """
    needed = ("toolchain", "commit", "configuration_hash", "glue", "timing", "resources")
    missing = [field for field in needed if field not in record]
    if missing:
        raise FileFormatError(f"the build's record lacks {missing[0]}; it needs {', '.join(needed)}")
    if int(record["configuration_hash"], 16) != config.hash:
        raise FileFormatError(
            f"the build is of configuration hash {record['configuration_hash']}; "
            f"{config.name!r} has 0x{config.hash:08X}: build it again"
        )
    name = folder_name(config, record["glue"])
    folder = root / FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"zeroskip_{name}.bit"
    shutil.copyfile(bit, target)
    shutil.copyfile(hwh, target.with_suffix(".hwh"))
    manifest = placeholder(config) | {field: record[field] for field in needed if field != "configuration_hash"}
    manifest |= {"bit": target.name, "sha256": hashlib.sha256(target.read_bytes()).hexdigest()}
    if record["glue"]:
        manifest["build"] = f"make bit CONFIG={config.name} GLUE=1 (Vitis HLS and Vivado), as docs/board.md describes"
    write_atomic(folder / MANIFEST, _text(manifest))
    return folder


def commit_of(root: Path) -> str:
    """The commit checked out in ``root``; empty if that is no repository."""
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return found.stdout.strip()


def _text(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, indent=2) + "\n"


def targets(root: Path = results.ROOT) -> dict[Path, str]:
    """Manifests without a bitstream, with the text they should have; those with one are left alone."""
    wanted = {}
    for config in BUILTIN.values():
        file = root / FOLDER / config.name / MANIFEST
        if not file.is_file() or read(file.parent).file is None:
            wanted[file] = _text(placeholder(config))
    return wanted


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m zeroskip.hardware.manifest", description=__doc__.split("\n")[0])
    parser.add_argument("--config", default=BOARD, help="with --record: the configuration that was built")
    parser.add_argument("--record", type=Path, help="JSON file that a build has written")
    parser.add_argument("--bit", type=Path, help="with --record: its bitstream")
    parser.add_argument("--hwh", type=Path, help="with --record: its hardware handoff")
    arguments = parser.parse_args(argv)
    try:
        if arguments.record:
            if not (arguments.bit and arguments.hwh):
                parser.error("--record needs --bit and --hwh")
            record = json.loads(arguments.record.read_text(encoding="utf-8"))
            print(install(get_config(arguments.config), record, arguments.bit, arguments.hwh))
            return 0
        for file, text in targets().items():
            if not file.is_file() or file.read_text(encoding="utf-8") != text:
                file.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(file, text)
                print(f"{file.relative_to(results.ROOT)}: written")
    except (ZeroskipError, OSError, ValueError) as error:
        print(f"manifest: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
