"""Check the Verilog with Verilator's strictest warnings, in every geometry that changes its structure.

``python -m zeroskip.hardware.lint`` prints one line per case and what Verilator says where it objects
(exit status 1).
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from collections.abc import Iterator

from ..devices.sim_tools import find_verilator
from ..errors import ToolError
from .config import BUILTIN, LOOKAHEAD, Config
from .verilog import parameters, rtl_folder


def cases() -> Iterator[tuple[str, str, Config, int]]:
    """(label, top module, configuration, sums of an output beat) of everything that is checked."""
    for label, top, config in narrow():
        yield label, top, config, 2
    for name, config in BUILTIN.items():
        if config.glue_sums > 2:
            yield f"{name}, {config.glue_sums} sums", "zeroskip_bd", config, config.glue_sums
    yield "z2, 8 sums", "zeroskip_sim", BUILTIN["z2"], 8


def narrow() -> Iterator[tuple[str, str, Config]]:
    """The cases with two sums, as without glue."""
    for name, config in BUILTIN.items():
        # More work groups and filters repeat the same modules, and Verilator takes minutes over 112 PEs.
        if config.engine == "zena":
            config = dataclasses.replace(config, wgs=min(config.wgs, 2))
        yield name, "zeroskip_core", config
    tiny = BUILTIN["tiny"]
    for mux in LOOKAHEAD:
        for act_w in (9, 16):
            yield f"mux {mux}, {act_w} bits", "zeroskip_core", dataclasses.replace(tiny, mux=mux, act_w=act_w)
    for field, value in (("filters", 4), ("wgs", 1), ("wgs", 3), ("lanes", 4), ("lanes", 16), ("scan", 1), ("scan", 8)):
        yield f"{field} = {value}", "zeroskip_core", dataclasses.replace(tiny, **{field: value})
    for corner in (
        {"lanes": 4, "wgs": 1, "columns": 32, "steps": 16, "scan": 1},
        {"lanes": 16, "wgs": 5, "act_w": 16, "columns": 64, "scan": 4},
        {"lanes": 4, "wgs": 3, "act_w": 16, "columns": 4096, "steps": 8192},
    ):
        yield f"gather: {_label(corner)}", "zeroskip_core", dataclasses.replace(BUILTIN["gather_tiny"], **corner)
    for corner in (
        {"lanes": 4, "wgs": 2, "columns": 32, "steps": 16, "scan": 1},
        {"lanes": 16, "wgs": 10, "columns": 4096, "steps": 8192, "scan": 4},
    ):
        yield f"twin: {_label(corner)}", "zeroskip_core", dataclasses.replace(BUILTIN["twin_tiny"], **corner)
    corners = (
        {"filters": 4, "wgs": 1, "columns": 32, "steps": 8, "psums": 32, "sub_wgs": 1},
        {"filters": 32, "wgs": 5, "sub_wgs": 8},
        {"wgs": 5, "act_w": 9, "weight_w": 8, "columns": 1024, "steps": 32, "psums": 512},
        {"act_w": 16, "weight_w": 5, "columns": 32, "steps": 32},
    )
    for corner in corners:
        yield f"zena: {_label(corner)}", "zeroskip_core", dataclasses.replace(BUILTIN["zena_tiny"], **corner)
    for name in ("tiny", "gather_tiny", "zena_tiny"):
        yield name, "zeroskip_sim", BUILTIN[name]
    for top in ("zeroskip_board_sim", "zeroskip_bd", "program_fetch", "map_load"):
        yield "tiny", top, tiny
    yield "gather_max", "map_load", BUILTIN["gather_max"]


def _label(fields: dict[str, int]) -> str:
    return ", ".join(f"{field} = {value}" for field, value in fields.items())


def lint(top: str, config: Config, sums: int = 2) -> str:
    """What Verilator says of ``top`` and everything below it; empty when it is content.

    Raises:
        ToolError: Verilator is not installed.
    """
    command, _ = find_verilator()
    folder = rtl_folder()
    values = {**config.rtl_parameters(), "CONFIG_HASH": f"32'd{config.hash}"} | ({"SUMS": sums} if sums > 2 else {})
    run = subprocess.run(
        [command, "--lint-only", "-Wall", "--quiet", "--top-module", top]
        + [f"-G{name}={value}" for name, value in values.items() if name in parameters(top)]
        + [f"-I{path}" for path in sorted(folder.iterdir()) if path.is_dir()]
        + [next(folder.glob(f"*/{top}.v"))],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return run.stdout if run.returncode else ""


def main(argv: list[str] | None = None) -> int:
    argparse.ArgumentParser(prog="python -m zeroskip.hardware.lint", description=__doc__.split("\n")[0]).parse_args(
        argv
    )
    failed = 0
    try:
        for label, top, config, sums in cases():
            said = lint(top, config, sums)
            failed += bool(said)
            print(f"{top} {label}: {'FAILED' if said else 'ok'}\n{said}".rstrip(), flush=True)
    except ToolError as error:
        print(f"lint: {error}", file=sys.stderr)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
