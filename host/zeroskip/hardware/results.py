"""The committed figures of synthesis (``docs/results/synth.json``), their table, and what counts as growth."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import FileFormatError
from ..files import write_atomic
from .config import BUILTIN, PART_DSPS, Config

ROOT = Path(__file__).resolve().parents[3]
XC7Z020 = {"lut": 53_200, "ff": 106_400, "dsp": PART_DSPS, "ramb36": 140}
"""What the PYNQ-Z2's part has (Xilinx DS190); a RAMB18 is half a RAMB36."""

FIGURES = Path("docs/results/synth.json")
TABLE = Path("docs/results/synth.md")

TOLERANCE = {"lut": 0.03, "ff": 0.03, "dsp": 0.0, "ramb36": 0.0, "ramb18": 0.0, "latch": 0.0}
"""Growth of a resource that passes, as a fraction of the committed figure."""

LEVELS_TOLERANCE = 1.0
"""Logic levels a worst path may gain."""

LIMITS = {
    "z2": {"lut": 0.70, "ramb36": 0.90, "dsp": 140 / 220},
    "z2max": {"lut": 0.85, "ramb36": 0.90, "dsp": 0.95},
    "gather": {"lut": 0.35, "ramb36": 0.70, "dsp": 140 / 220},
    "gather_max": {"lut": 0.80, "ramb36": 0.90, "dsp": 1.0},
}
"""Fractions of an XC7Z020 that leave room to route."""


def committed(root: Path = ROOT) -> dict[str, dict]:
    """The committed figures by configuration; empty if there are none.

    Raises:
        FileFormatError: the file is damaged.
    """
    file = root / FIGURES
    if not file.is_file():
        return {}
    try:
        return json.loads(file.read_text())["configurations"]
    except (ValueError, KeyError) as error:
        raise FileFormatError(f"{file} is damaged ({error}); write it anew with: make synth-update") from error


def update(config: Config, record: dict, root: Path = ROOT) -> None:
    """Put a configuration's figures into the committed file and its table."""
    found = {**committed(root), config.name: record}
    ordered = {name: found[name] for name in [*BUILTIN, *found] if name in found}
    (root / FIGURES).parent.mkdir(parents=True, exist_ok=True)
    write_atomic(root / FIGURES, json.dumps({"part": "xc7z020clg400-1", "configurations": ordered}, indent=1) + "\n")
    write_atomic(root / TABLE, markdown(ordered))


def complaints(config: Config, record: dict, root: Path = ROOT) -> list[str]:
    """What has grown beyond its tolerance, or does not fit; empty when all is well.

    Args:
        config: the configuration.
        record: its figures now.
    """
    used = record["resources"]
    whole = {**used, "ramb36": used["ramb36"] + used["ramb18"] / 2}
    found = [
        f"{config.name} takes {whole[resource] / XC7Z020[resource]:.0%} of the {resource.upper()}s; at most {limit:.0%}"
        for resource, limit in LIMITS.get(config.name, {}).items()
        if whole[resource] > limit * XC7Z020[resource]
    ]
    before = committed(root).get(config.name)
    if before is None:
        return found
    for resource, tolerance in TOLERANCE.items():
        was = before["resources"][resource]
        if used[resource] > was * (1 + tolerance):
            found.append(f"{config.name} takes {used[resource]} {resource.upper()}, {was} are committed")
    if record["levels"] > before["levels"] + LEVELS_TOLERANCE:
        worst = record["paths"][0]
        found.append(
            f"{config.name} has {record['levels']:g} logic levels from {worst['start']} to {worst['end']}, "
            f"{before['levels']:g} are committed"
        )
    if found:
        found.append("if that is meant, run make synth-update and commit docs/results/")
    return found


def markdown(figures: dict[str, dict]) -> str:
    """``synth.md``: resources, depth and wide nets of every configuration."""
    lines = [
        "# Synthesis for the XC7Z020",
        "",
        "Written by `make synth-update` from [synth.json](synth.json). Yosys, before placement: LUTs are an estimate,",
        "the other counts are exact. The design is the whole programmable logic of the vendor-free build",
        "(`rtl/board/zeroskip_board.v`). *Levels*: LUTs between two registers on the worst path; a read of LUT RAM",
        "counts as one, a wide multiplexer 0.3, a carry cell 0.15. *Old* figures are of an earlier version of packet",
        "formats and register map (`FORMAT_VERSION`), whose loader had no checksums.",
        "",
        "| configuration | MACs | LUT | FF | DSP48E1 | RAMB36 | RAMB18 | levels |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, record in figures.items():
        used = record["resources"]
        cells = [f"{used[r]:,} ({used[r] / XC7Z020[r]:.0%})" for r in ("lut", "ff", "dsp")]
        rams = f"{used['ramb36']} ({(used['ramb36'] + used['ramb18'] / 2) / XC7Z020['ramb36']:.0%})"
        known = BUILTIN.get(name)
        old = known is not None and record.get("hash") != f"0x{known.hash:08X}"
        row = [f"`{name}`" + " (old)" * old, record["macs"], *cells, rams, used["ramb18"], f"{record['levels']:g}"]
        lines.append("| " + " | ".join(map(str, row)) + " |")
    for name, record in figures.items():
        lines += ["", f"## {name}", "", "Worst paths:", "", "| levels | from | to |", "| --- | --- | --- |"]
        lines += [f"| {path['levels']:g} | `{path['start']}` | `{path['end']}` |" for path in record["paths"]]
        if record["wide_nets"]:
            lines += ["", "Nets with more than 500 loads, clocks left out:", ""]
            lines += [f"- `{net}`: {loads}" for net, loads in record["wide_nets"].items()]
        if record.get("modules"):
            lines += ["", "Modules, all instances together, each with what is inside it; synthesised one by one:", ""]
            lines += ["| module | LUT | FF | DSP48E1 | RAMB36 | RAMB18 |", "| --- | --- | --- | --- | --- | --- |"]
            lines += [
                f"| `{module}` | {u['lut']:,} | {u['ff']:,} | {u['dsp']} | {u['ramb36']} | {u['ramb18']} |"
                for module, u in record["modules"].items()
            ]
    return "\n".join([*lines, ""])
