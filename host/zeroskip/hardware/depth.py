"""How deep the logic of a netlist is, and which nets are wide: what limits its clock before placement."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass

from .netlist import Netlist

LEVELS = {**{f"LUT{inputs}": 1.0 for inputs in range(1, 7)}, "INV": 0.0, "MUXF7": 0.3, "MUXF8": 0.3, "CARRY4": 0.15}
"""Levels a combinational cell adds: one per LUT; wide multiplexers and carries stay inside a slice."""

_ASYNCHRONOUS_READS = {"RAM32M", "RAM64M", "RAM32X1D", "RAM64X1D", "RAM128X1D", "RAM256X1D"}
_READ_ADDRESS = ("ADDR", "DPRA")

FAN_OUT_LIMIT = 500
"""Loads from which a net is listed: one of 2,000 needs most of an 8 ns cycle on the XC7Z020."""


UNNAMED = "(made by synthesis)"
"""A register that the source has no name for, such as a recoded state."""


@dataclass(frozen=True)
class Path:
    """The deepest path between two registers of these names; ``[*]``: of any instance, bits left out."""

    levels: float
    start: str
    end: str

    def __str__(self) -> str:
        return f"{self.levels:5.2f}  {self.start} -> {self.end}"


@dataclass(frozen=True)
class Depth:
    """Worst paths first, how many register inputs there are of each rounded depth, and the wide nets."""

    paths: tuple[Path, ...]
    histogram: dict[int, int]
    wide_nets: dict[str, int]

    @property
    def worst(self) -> float:
        return self.paths[0].levels if self.paths else 0.0


def analyse(netlist: Netlist, paths: int = 10) -> Depth:
    """Logic levels from register to register; reading a LUT RAM counts as one LUT, from its address.

    Args:
        netlist: flat.
        paths: how many of the worst to keep, one per pair of names.
    """
    cells = netlist.module["cells"]
    names = _names(netlist)
    driver: dict[int, str] = {}
    loads: Counter[int] = Counter()
    clocks: set[int] = set()
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            for bit in bits:
                if not isinstance(bit, int):
                    continue
                if cell["port_directions"][port] == "output":
                    driver[bit] = name
                else:
                    loads[bit] += 1
                    if port in ("C", "CLK", "WCLK") or port.startswith("CLK") or port.endswith("ACLK"):
                        clocks.add(bit)

    found: dict[int, tuple[float, int]] = {}  # net: levels, where its path starts

    def levels(bit: int) -> tuple[float, int]:
        if bit in found:
            return found[bit]
        found[bit] = (0.0, bit)  # a combinational loop, which Yosys would have reported, ends here
        cell = cells.get(driver.get(bit, ""))
        if cell is not None:
            cost, inputs = _through(cell)
            reached = [levels(b) for b in inputs if isinstance(b, int)]
            if reached:
                most, start = max(reached)
                found[bit] = (most + cost, start)
        return found[bit]

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        worst: dict[tuple[str, str], float] = {}
        histogram: Counter[int] = Counter()
        for cell in cells.values():
            if cell["type"] in LEVELS:
                continue
            target = next((names.get(b) for p in ("Q", "O") for b in cell["connections"].get(p, [])), None)
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] != "input":
                    continue
                for bit in bits:
                    if isinstance(bit, int) and bit not in clocks:
                        depth, start = levels(bit)
                        histogram[round(depth)] += 1
                        key = (names.get(start, UNNAMED), target or f"{cell['type']}.{port}")
                        worst[key] = max(worst.get(key, 0.0), depth)
    finally:
        sys.setrecursionlimit(limit)
    deepest = sorted(worst.items(), key=lambda item: (-item[1], item[0]))[:paths]
    wide: dict[str, int] = {}
    for bit, count in loads.most_common(50):
        if count > FAN_OUT_LIMIT and bit not in clocks:
            wide.setdefault(names.get(bit, UNNAMED), count)
    return Depth(
        tuple(Path(round(depth, 2), *key) for key, depth in deepest),
        dict(sorted(histogram.items())),
        wide,
    )


def _through(cell: dict) -> tuple[float, list]:
    """What a cell adds to a path, and the inputs its outputs follow without a clock."""
    kind, wires = cell["type"], cell["connections"]
    if kind in LEVELS:
        return LEVELS[kind], [b for p, bits in wires.items() if cell["port_directions"][p] == "input" for b in bits]
    if kind in _ASYNCHRONOUS_READS:
        return 1.0, [b for p, bits in wires.items() if p.startswith(_READ_ADDRESS) for b in bits]
    return 0.0, []


def _names(netlist: Netlist) -> dict[int, str]:
    """The shortest name of every net that has one in the source, without bit index and number of the instance."""
    names: dict[int, str] = {}
    for name, net in netlist.module["netnames"].items():
        for bit in net["bits"]:
            if isinstance(bit, int) and not name.startswith("$") and len(name) < len(names.get(bit, name + "+")):
                names[bit] = name
    return {bit: re.sub(r"\[\d+\]", "[*]", name) for bit, name in names.items()}
