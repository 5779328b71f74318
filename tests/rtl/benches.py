"""Verilog benches of single modules, run by Icarus."""

from __future__ import annotations

import subprocess
from pathlib import Path

from zeroskip.hardware.verilog import include_folder, rtl_folder


def run_bench(tmp_path: Path, bench: str, *modules: str, **defines: object) -> str:
    """What the bench ``tests/rtl/BENCH.v`` prints, with modules given as paths below ``rtl/`` and macros."""
    program = tmp_path / "bench"
    files = [Path(__file__).with_name(f"{bench}.v"), *(rtl_folder() / module for module in modules)]
    macros = [f"-D{name}={value}" for name, value in defines.items()]
    subprocess.run(["iverilog", "-g2012", *macros, f"-I{include_folder()}", "-o", program, *files], check=True)
    return subprocess.run(["vvp", "-n", program], check=True, capture_output=True, text=True, timeout=120).stdout
