"""Synthesise for the XC7Z020 with Yosys and count what it needs.

``python -m zeroskip.hardware.synth --config tiny`` prints the resources of the core.  This is what
synthesis says, before placement: LUTs are an estimate, DSPs, block RAMs and flip-flops are exact.
Yosys leaves the output registers of block RAMs in flip-flops, so it counts more of these than Vivado.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import extras
from ..errors import ToolError, ZeroskipError
from .config import Config, get_config
from .verilog import rtl_folder, sources

TOP = "zeroskip_core"

XC7Z020 = {"lut": 53_200, "ff": 106_400, "dsp": 220, "ramb36": 140}
"""What the PYNQ-Z2's part has (Xilinx DS190); a RAMB18 is half a RAMB36."""

_LUTS = {
    **{f"LUT{inputs}": 1 for inputs in range(1, 7)},
    "INV": 1,
    **{"SRL16E": 1, "SRLC32E": 1, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8},
    **{"RAM32M": 4, "RAM64M": 4, "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4},
}
"""LUTs of a cell; two small LUTs that could share one LUT6 count as two."""

_FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE")
_LATCHES = ("LDCE", "LDPE", "LDRE", "LDSE", "$_DLATCH_P_", "$_DLATCH_N_", "$dlatch")

_WORKER = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    libyosys.run_pass(command, design)
"""
"""Yosys in a process of its own: it prints on standard output and ends the process on an error."""


@dataclass(frozen=True)
class Resources:
    """Cells of a design or of one module with everything in it."""

    lut: int
    ff: int
    dsp: int
    ramb36: int
    ramb18: int
    latch: int

    @classmethod
    def count(cls, cells: dict[str, int]) -> Resources:
        """From the number of cells of each type."""
        return cls(
            lut=sum(_LUTS.get(cell, 0) * number for cell, number in cells.items()),
            ff=sum(cells.get(cell, 0) for cell in _FLIP_FLOPS),
            dsp=cells.get("DSP48E1", 0),
            ramb36=cells.get("RAMB36E1", 0),
            ramb18=cells.get("RAMB18E1", 0),
            latch=sum(cells.get(cell, 0) for cell in _LATCHES),
        )

    def share(self) -> dict[str, float]:
        """Fractions of an XC7Z020."""
        used = {"lut": self.lut, "ff": self.ff, "dsp": self.dsp, "ramb36": self.ramb36 + self.ramb18 / 2}
        return {name: used[name] / total for name, total in XC7Z020.items()}


def synthesize(
    config: Config, top: str = TOP, *, flatten: bool = True, netlist: Path | None = None
) -> dict[str, Resources]:
    """Synthesise one module and everything below it.

    Args:
        config: its RTL parameters are given to ``top`` as far as it has them.
        top: name of the module.
        flatten: across module borders, for the best result; False keeps them and counts every module.
        netlist: a file to write the netlist to, in Verilog.

    Returns:
        Resources by module, ``top`` first; without ``flatten`` each includes what it instantiates.

    Raises:
        ToolError: pyosys is not installed, or Yosys rejects the design.
    """
    extras.need("test", "synthesis")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "stat.json")
        # Paths relative to the working folder: Yosys takes no quotes after -I.
        commands = [f"read_verilog -Iinclude {source.relative_to(rtl_folder())}" for source in sources()]
        values = {**config.rtl_parameters(), "CONFIG_HASH": f"32'd{config.hash}"}
        commands += [f"chparam -set {name} {value} {top}" for name, value in values.items() if name in _parameters(top)]
        commands += [
            f"hierarchy -check -top {top}",
            f"synth_xilinx -family xc7 -noiopad -noclkbuf -top {top}" + (" -flatten" if flatten else ""),
            f'tee -q -o "{report}" stat -json -tech xilinx',
        ]
        if netlist is not None:
            commands.append(f'write_verilog -noattr "{netlist.resolve()}"')
        worker = [sys.executable, "-c", _WORKER]
        run = subprocess.run(worker, input="\n".join(commands), capture_output=True, text=True, cwd=rtl_folder())
        if run.returncode or not report.is_file():
            end = "\n".join((run.stdout + run.stderr).strip().splitlines()[-8:])
            raise ToolError(f"Yosys could not synthesise {top} for {config.name!r}; it ends with:\n{end}")
        modules = json.loads(report.read_text())["modules"]
    modules = {name.lstrip("\\"): module["num_cells_by_type"] for name, module in modules.items()}
    totals = {name: Resources.count(_flat(name, modules)) for name in modules}
    results: dict[str, Resources] = {}
    for name, resources in sorted(totals.items(), key=lambda item: (item[0] != top, _short(item[0]))):
        label, variant = _short(name), 1
        while label in results:  # parameters too long for a name: only Yosys' hash tells the variants apart
            variant += 1
            label = f"{_short(name)} ({variant})"
        results[label] = resources
    return results


def _parameters(top: str) -> list[str]:
    """Parameters that a module declares."""
    source = next((source for source in sources() if source.stem == top), None)
    return re.findall(r"^ *parameter .*?(\w+) *=", source.read_text(), re.MULTILINE) if source else []


def _flat(name: str, modules: dict[str, dict[str, int]]) -> Counter[str]:
    """Cells of a module with those of the modules in it."""
    total: Counter[str] = Counter()
    for cell, number in modules[name].items():
        inner = cell.lstrip("\\")
        if inner in modules:
            for kind, count in _flat(inner, modules).items():
                total[kind] += number * count
        else:
            total[cell] += number
    return total


def _short(name: str) -> str:
    """Yosys names a module with parameters ``$paramod$<hash>\\name`` or ``$paramod\\name\\N=s32'<binary>``."""
    if not name.startswith("$paramod"):
        return name
    module, *parameters = name.split("\\")[1:]
    values = (re.sub(r"s?\d+'([01]+)", lambda number: str(int(number[1], 2)), text) for text in parameters)
    return " ".join([module, *values])


def table(results: dict[str, Resources]) -> str:
    """Text table; the share of an XC7Z020 below the first row."""
    columns = list(asdict(next(iter(results.values()))))
    width = max(map(len, [*results, "of an XC7Z020"]))
    lines = [f"{'module':{width}}" + "".join(f"{column.upper():>9}" for column in columns)]
    for index, (name, resources) in enumerate(results.items()):
        lines.append(f"{name:{width}}" + "".join(f"{value:9}" for value in asdict(resources).values()))
        if index == 0:
            share = resources.share()
            cells = (f"{share[column]:9.1%}" if column in share else " " * 9 for column in columns)
            lines.append(f"{'of an XC7Z020':{width}}" + "".join(cells).rstrip())
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m zeroskip.hardware.synth", description=__doc__.split("\n")[0])
    parser.add_argument("--config", default="tiny", help="name or .json file of a build configuration")
    parser.add_argument("--top", default=TOP, help=f"module to synthesise (default {TOP})")
    parser.add_argument("--modules", action="store_true", help="keep module borders and count every module")
    parser.add_argument("--netlist", type=Path, metavar="FILE", help="also write the netlist, in Verilog")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args(argv)
    try:
        config = get_config(arguments.config)
        results = synthesize(config, arguments.top, flatten=not arguments.modules, netlist=arguments.netlist)
    except ZeroskipError as error:
        print(f"synth: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        counted = {name: asdict(resources) for name, resources in results.items()}
        print(json.dumps({"config": config.hardware_fields(), "top": arguments.top, "modules": counted}, indent=2))
    else:
        print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
