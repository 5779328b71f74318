"""The synthesised netlist of the whole board design, as Yosys' JSON, made ready for place and route.

Yosys leaves three things to do, which :func:`implement` does:

* the registers behind block RAMs move into the RAMs (:func:`absorb_output_registers`);
* inputs of the processing system that the design does not use are tied to zero, as Xilinx' wrapper does;
* what only describes sources and libraries is dropped.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ToolError
from . import yosys
from .config import Config

TOP = "zeroskip_board"

SYNTHESIS = (
    "synth_xilinx -family xc7 -arch xc7 -flatten -abc9 -nosrl -top {top} {options} -run begin:map_dsp",
    # Else left out together with the shift registers; selectors by a register become smaller.
    "pmux2shiftx",
    "opt_clean",
    "synth_xilinx -family xc7 -arch xc7 -flatten -abc9 -nosrl -top {top} {options} -run map_dsp:",
)
"""The flow of nextpnr-xilinx; clock buffers are inserted.  Delays stay flip-flops: a LUT's shift register is 1.2 ns
slower at its output, and would take in the registers that belong into the block RAMs."""

_READ_PORTS = {
    "A": (("DOADO", "DOPADOP"), "CLKARDCLK", "DOA_REG", "REGCEAREGCE"),
    "B": (("DOBDO", "DOPBDOP"), "CLKBWRCLK", "DOB_REG", "REGCEB"),
}
"""Block RAM read ports: data outputs, clock, and parameter and enable of the output register (UG473)."""

Module = dict[str, Any]


@dataclass(frozen=True)
class Netlist:
    """One flat module.

    Args:
        top: its name.
        module: Yosys' JSON of it: ``cells``, ``netnames``, ``ports``, ``attributes``.
        absorbed: flip-flops that became output registers of block RAMs.
    """

    top: str
    module: Module
    absorbed: int = 0

    def cells(self) -> Counter[str]:
        """Number of cells of each type."""
        return Counter(cell["type"] for cell in self.module["cells"].values())

    def text(self) -> str:
        """The file that place and route reads."""
        return json.dumps({"creator": "zeroskip", "modules": {self.top: self.module}}) + "\n"


def implement(config: Config, top: str = TOP) -> Netlist:
    """Synthesise ``top`` for the XC7Z020, flat.

    Raises:
        ToolError: pyosys is not installed, or Yosys rejects the design.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "netlist.json")
        commands = [
            *yosys.read_commands(config, top),
            *(line.format(top=top, options="" if top == TOP else "-noiopad -noclkbuf") for line in SYNTHESIS),
            # A module whose borders synthesis had to keep has none from here on.
            "setattr -mod -unset keep_hierarchy *",
            "flatten",
            "opt_clean -purge",
            "delete t:$scopeinfo",
            f'write_json "{file}"',
        ]
        yosys.run(commands, f"synthesise {top} for {config.name!r}")
        module = json.loads(file.read_text())["modules"][top]
    _strip(module)
    absorbed = absorb_output_registers(module)
    tie_unused_inputs(module, "PS7")
    return Netlist(top, module, absorbed)


def _strip(module: Module) -> None:
    """Drop source positions, which hold paths of this machine."""
    for part in (module, *module["cells"].values(), *module["netnames"].values()):
        part["attributes"] = {
            name: value
            for name, value in part.get("attributes", {}).items()
            if name not in ("src", "hdlname", "module_not_derived", "module_src")
        }


def absorb_output_registers(module: Module) -> int:
    """Turn flip-flops that only delay a block RAM's output into the RAM's own output register.

    A read port qualifies if every output in use drives one plain flip-flop (no reset, always enabled, same
    clock) and nothing else.  In SDP mode both halves of the port have to, together.

    Returns:
        Flip-flops removed.
    """
    cells = module["cells"]
    users: dict[int, list[tuple[str, str]]] = {}
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                for bit in bits:
                    if isinstance(bit, int):
                        users.setdefault(bit, []).append((name, port))
    outside = {bit for port in module["ports"].values() for bit in port["bits"]}

    removed: dict[int, int] = {}  # RAM output to what the flip-flop drove
    for ram in [cell for cell in cells.values() if cell["type"] in ("RAMB36E1", "RAMB18E1")]:
        if ram["parameters"].get("RAM_EXTENSION_A", "NONE") != "NONE":
            continue
        wires, both = ram["connections"], ram["parameters"]["RAM_MODE"] == "SDP"
        for letters in ("AB",) if both else ("A", "B"):
            clock, enable = wires[_READ_PORTS[letters[0]][1]], _READ_PORTS[letters[0]][3]
            outputs = [port for letter in letters for port in _READ_PORTS[letter][0] if port in wires]
            used = [bit for port in outputs for bit in wires[port] if bit in users or bit in outside]
            if not used or not all(_is_plain_register(cells, users.get(bit, []), clock) for bit in used):
                continue
            if outside.intersection(used):
                continue
            for bit in used:
                flip_flop = cells.pop(users[bit][0][0])
                removed[bit] = flip_flop["connections"]["Q"][0]
            for port in outputs:
                wires[port] = [removed.get(bit, bit) for bit in wires[port]]
            for letter in letters:
                ram["parameters"][_READ_PORTS[letter][2]] = f"{1:032b}"
            wires[enable] = ["1"]
    names = module["netnames"]
    for name in [name for name, net in names.items() if any(bit in removed for bit in net["bits"])]:
        del names[name]
    return len(removed)


def _is_plain_register(cells: dict[str, Module], users: list[tuple[str, str]], clock: list[int]) -> bool:
    if len(users) != 1 or users[0][1] != "D":
        return False
    cell = cells[users[0][0]]
    wires = cell["connections"]
    return (
        cell["type"] == "FDRE"
        and (wires["C"], wires["CE"], wires["R"]) == (clock, ["1"], ["0"])
        and cell["parameters"].get("INIT", "x")[-1] != "1"
    )


def primitive_ports(name: str) -> dict[str, tuple[str, int]]:
    """Direction and width of every port of a Xilinx primitive, from Yosys' library.

    Raises:
        ToolError: Yosys does not know it.
    """
    spec = find_spec("pyosys")
    library = Path(spec.origin).parent / "share/xilinx/cells_xtra.v" if spec else None
    found = re.search(rf"^module {name} ?\(.*?^endmodule", library.read_text() if library else "", re.M | re.S)
    if not found:
        raise ToolError(f"no primitive {name} in {library}; install with: pip install './host[test]'")
    ports = re.findall(r"^ +(input|output|inout)(?: \[(\d+):0\])? (\w+);", found[0], re.MULTILINE)
    return {port: (direction, int(high or 0) + 1) for direction, high, port in ports}


def tie_unused_inputs(module: Module, primitive: str) -> int:
    """Tie the inputs of a primitive that nothing is connected to to zero; left open they would read as one.

    Returns:
        Inputs tied, in bits.
    """
    tied = 0
    for cell in module["cells"].values():
        if cell["type"] == primitive:
            for port, (direction, width) in primitive_ports(primitive).items():
                if direction == "input" and port not in cell["connections"]:
                    cell["connections"][port] = ["0"] * width
                    cell["port_directions"][port] = "input"
                    tied += width
    return tied
