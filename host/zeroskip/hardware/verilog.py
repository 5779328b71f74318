"""Where the Verilog is, and in which files."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import ToolError


def rtl_folder() -> Path:
    """The folder of the Verilog: of the checkout, or the copy inside an installed package.

    Raises:
        ToolError: neither exists.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_rtl", package.parents[1] / "rtl"):
        if folder.is_dir():
            return folder
    raise ToolError(f"no Verilog in {package} or beside it; install zeroskip from a checkout: pip install ./host")


def sources(*, simulation: bool = False) -> list[Path]:
    """All modules, in a fixed order; those of ``rtl/sim`` only for simulation."""
    folder = rtl_folder()
    files = sorted(path.relative_to(folder) for path in folder.glob("*/*.v"))
    return [folder / file for file in files if simulation or file.parts[0] != "sim"]


def include_folder() -> Path:
    """The folder of the generated header."""
    return rtl_folder() / "include"


def parameters(top: str) -> list[str]:
    """Parameters that a module declares; none if there is no such module."""
    source = next((source for source in sources(simulation=True) if source.stem == top), None)
    return re.findall(r"^ *parameter .*?(\w+) *=", source.read_text(), re.MULTILINE) if source else []
