"""Synthesise for the XC7Z020 with Yosys: what a design needs, how deep its logic is, and whether either has grown.

``python -m zeroskip.hardware.synth --config tiny`` prints resources and worst paths of the whole board design and
compares them with the committed ones (``docs/results/synth.json``; ``--update`` writes these).  This is what synthesis
says, before placement: LUTs are an estimate, DSPs, block RAMs and flip-flops are exact.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import ZeroskipError
from . import results, yosys
from .config import BUILTIN, Config, get_config
from .depth import Depth, analyse
from .netlist import TOP, implement
from .results import XC7Z020

_LUTS = {
    **{f"LUT{inputs}": 1 for inputs in range(1, 7)},
    "INV": 1,
    **{"SRL16E": 1, "SRLC32E": 1, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8},
    **{"RAM32M": 4, "RAM64M": 4, "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4},
}
"""LUTs of a cell; two small LUTs that could share one LUT6 count as two."""

_FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE")
_LATCHES = ("LDCE", "LDPE", "LDRE", "LDSE", "$_DLATCH_P_", "$_DLATCH_N_", "$dlatch")


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
    config: Config, top: str = "zeroskip_core", *, flatten: bool = True, netlist: Path | None = None
) -> dict[str, Resources]:
    """Synthesise one module and everything below it, without clock buffers.

    Args:
        config: its RTL parameters are given to ``top`` as far as it has them.
        top: name of the module.
        flatten: across module borders, for the best result; False keeps them and counts every module.
        netlist: a file to write the netlist to, in Verilog.

    Returns:
        Resources by module, ``top`` first, then the largest; without ``flatten`` each includes what it instantiates,
        and ``name xN`` is N instances together, whatever their parameters.

    Raises:
        ToolError: pyosys is not installed, or Yosys rejects the design.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "stat.json")
        commands = [
            *yosys.read_commands(config, top),
            f"synth_xilinx -family xc7 -noiopad -noclkbuf -top {top}" + (" -flatten" if flatten else ""),
            f'tee -q -o "{report}" stat -json -tech xilinx',
        ]
        if netlist is not None:
            commands.append(f'write_verilog -noattr "{netlist.resolve()}"')
        yosys.run(commands, f"synthesise {top} for {config.name!r}")
        modules = json.loads(report.read_text())["modules"]
    modules = {name.lstrip("\\"): module["num_cells_by_type"] for name, module in modules.items()}
    (whole,) = (name for name in modules if _short(name) == top)
    number: Counter[str] = Counter()
    cells: dict[str, Counter[str]] = {}
    for name, copies in _instances(whole, modules).items():
        number[_short(name)] += copies
        inside = cells.setdefault(_short(name), Counter())
        for kind, count in _flat(name, modules).items():
            inside[kind] += copies * count
    totals = {name: Resources.count(found) for name, found in cells.items()}
    ordered = sorted(totals, key=lambda name: (name != top, -totals[name].lut, name))
    return {f"{name} x{number[name]}" if number[name] > 1 else name: totals[name] for name in ordered}


def _inner(name: str, modules: dict[str, dict[str, int]]) -> Iterator[tuple[str, int]]:
    """Modules in a module, and how many of each."""
    for cell, number in modules[name].items():
        if cell.lstrip("\\") in modules:
            yield cell.lstrip("\\"), number


def _instances(top: str, modules: dict[str, dict[str, int]]) -> Counter[str]:
    """How often each module occurs in ``top``, itself included."""
    found = Counter([top])
    for inner, number in _inner(top, modules):
        for name, count in _instances(inner, modules).items():
            found[name] += number * count
    return found


def _flat(name: str, modules: dict[str, dict[str, int]]) -> Counter[str]:
    """Cells of a module with those of the modules in it."""
    total = Counter({cell: number for cell, number in modules[name].items() if cell.lstrip("\\") not in modules})
    for inner, number in _inner(name, modules):
        for kind, count in _flat(inner, modules).items():
            total[kind] += number * count
    return total


def _short(name: str) -> str:
    """Yosys names a module with parameters ``$paramod$<hash>\\name`` or ``$paramod\\name\\N=s32'<binary>``."""
    return name.split("\\")[1] if name.startswith("$paramod") else name


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


@dataclass(frozen=True)
class Measured:
    """One configuration's whole board design."""

    config: Config
    resources: Resources
    depth: Depth
    absorbed: int

    def record(self) -> dict:
        """What is committed of it."""
        return {
            "hash": f"0x{self.config.hash:08X}",
            "macs": self.config.macs,
            "resources": asdict(self.resources),
            "ram_output_registers": self.absorbed,
            "levels": self.depth.worst,
            "paths": [asdict(path) for path in self.depth.paths],
            "wide_nets": self.depth.wide_nets,
        }


def measure(config: Config) -> Measured:
    """Synthesise the board design as it goes to place and route.

    Raises:
        ToolError: pyosys is not installed, or Yosys rejects the design.
    """
    netlist = implement(config)
    return Measured(config, Resources.count(netlist.cells()), analyse(netlist), netlist.absorbed)


def _count(config: Config, options: argparse.Namespace) -> None:
    """Print what one module, or every module, takes."""
    top = options.top or TOP
    counted = synthesize(config, top, flatten=not options.modules, netlist=options.netlist)
    if options.json:
        modules = {name: asdict(resources) for name, resources in counted.items()}
        print(json.dumps({"config": config.hardware_fields(), "top": top, "modules": modules}, indent=2))
    else:
        print(table(counted))


def _compare(config: Config, options: argparse.Namespace) -> bool:
    """Measure the board design, print it, and say whether it is what is committed, which --update writes."""
    measured = measure(config)
    record = measured.record()
    if options.update:
        modules = synthesize(config, TOP, flatten=False) if options.modules else {}
        results.update(config, {**record, "modules": {name: asdict(used) for name, used in modules.items()}})
    complaints = results.complaints(config, record)
    if options.json:
        print(json.dumps(record, indent=2))
    else:
        print(f"configuration {config.name!r}")
        print(table({TOP: measured.resources}))
        print(f"{measured.absorbed} flip-flops became output registers of block RAMs\n")
        print("logic levels of the worst paths between registers:")
        print("\n".join(map(str, measured.depth.paths)))
        for net, loads in measured.depth.wide_nets.items():
            print(f"{loads} loads on {net}")
    for complaint in complaints:
        print(f"synth: {complaint}", file=sys.stderr)
    return not complaints


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m zeroskip.hardware.synth", description=__doc__.split("\n")[0])
    parser.add_argument("--config", default="tiny", help="name or .json file of a build configuration, or all built-in")
    parser.add_argument("--top", help="count this module alone instead of the board design")
    parser.add_argument("--modules", action="store_true", help="keep module borders and count every module")
    parser.add_argument("--netlist", type=Path, metavar="FILE", help="with --top or --modules: write Verilog, too")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument(
        "--update", action="store_true", help="write docs/results/synth.*; with --modules, by module, too"
    )
    options = parser.parse_args(argv)
    try:
        configs = list(BUILTIN.values()) if options.config == "all" else [get_config(options.config)]
        if not options.update and (options.top or options.modules or options.netlist):
            for config in configs:
                _count(config, options)
            return 0
        sound = [_compare(config, options) for config in configs]
        return 0 if all(sound) else 1
    except ZeroskipError as error:
        print(f"synth: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
