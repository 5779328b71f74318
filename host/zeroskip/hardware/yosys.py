"""Runs Yosys (pyosys) over the Verilog, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from .. import extras
from ..errors import ToolError
from .config import Config
from .verilog import parameters, rtl_folder, sources

_WORKER = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    libyosys.run_pass(command, design)
"""
"""Yosys prints on standard output and ends the process on an error."""


def read_commands(config: Config, top: str) -> list[str]:
    """Yosys commands that read all Verilog and give ``top`` the configuration's parameters, as far as it has them."""
    # Vendor primitives as black boxes; paths relative to the working folder: Yosys takes no quotes after -I.
    commands = ["read_verilog -lib +/xilinx/cells_xtra.v"]
    commands += [f"read_verilog -Iinclude {source.relative_to(rtl_folder())}" for source in sources()]
    values = {**config.rtl_parameters(), "CONFIG_HASH": f"32'd{config.hash}"}
    commands += [f"chparam -set {name} {value} {top}" for name, value in values.items() if name in parameters(top)]
    return [*commands, f"hierarchy -check -top {top}"]


def run(commands: Sequence[str], what: str) -> None:
    """Run Yosys commands in the folder of the Verilog.

    Args:
        commands: one a line.
        what: what is being done, for messages.

    Raises:
        ToolError: pyosys is not installed, or Yosys objects; the message has the end of what it says.
    """
    extras.need("test", "synthesis")
    worker = [sys.executable, "-c", _WORKER]
    done = subprocess.run(worker, input="\n".join(commands), capture_output=True, text=True, cwd=rtl_folder())
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise ToolError(f"Yosys could not {what}; it ends with:\n{end}")
