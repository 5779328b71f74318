"""Verilog benches of single modules, run by Icarus."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from zeroskip.hardware.verilog import include_folder, rtl_folder


def run_bench(
    tmp_path: Path, bench: str, *modules: str, also: Sequence[str] = (), cwd: Path | None = None, **defines: object
) -> str:
    """What the bench ``tests/rtl/BENCH.v`` prints.

    Args:
        tmp_path: folder for the program.
        bench: name of the bench.
        modules: paths below ``rtl/``.
        also: modules beside the bench.
        cwd: folder of the files it reads.
        defines: macros; ``ZS_ASSERT`` switches the modules' own checks on, which print ``ASSERT``.
    """
    program = tmp_path / "bench"
    files = [
        *(Path(__file__).with_name(f"{name}.v") for name in (bench, *also)),
        *(rtl_folder() / module for module in modules),
    ]
    macros = [f"-D{name}={value}" for name, value in defines.items()]
    subprocess.run(["iverilog", "-g2012", *macros, f"-I{include_folder()}", "-o", program, *files], check=True)
    return subprocess.run(
        ["vvp", "-n", program], check=True, capture_output=True, text=True, timeout=120, cwd=cwd
    ).stdout
