"""The generated tables of ``docs/``: registers, builds, packet fields, steps and worked examples, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable

from . import config as geometry
from . import example, packets, registers
from .config import BUILTIN, Config
from .packets import Field
from .window import candidates


def tables() -> dict[str, str]:
    """The generated parts of the documents by marker name, as Markdown tables."""
    parts = {
        "registers": _table(
            ("offset", "register", "access", "meaning"),
            ((f"0x{r.offset:02X}", f"`{r.name}`", r.access, r.meaning) for r in registers.REGISTERS),
        ),
        "errors": _table(
            ("code", "Verilog name", "meaning"),
            ((code, f"`ZS_ERR_{registers.ERROR_NAMES[code]}`", text) for code, text in registers.ERRORS.items()),
        ),
        "configurations": _table(
            ("field", *(f"`{name}`" for name in BUILTIN)),
            [
                *(
                    (field, *(getattr(c, field) for c in BUILTIN.values()))
                    for field in BUILTIN["tiny"].hardware_fields()
                ),
                ("MACs", *(c.macs for c in BUILTIN.values())),
                ("hash", *(f"0x{c.hash:08X}" for c in BUILTIN.values())),
            ],
        ),
        "step sizes": _table(
            ("configuration", "one slot", "all slots", "one lane", "all lanes", "bits", "beats"),
            (_step_sizes(config) for config in BUILTIN.values() if config.engine == "trident"),
        ),
        "candidates": _table(
            ("input", *(f"mux {mux}" for mux in geometry.LOOKAHEAD)),
            ((k, *(_candidate(mux, k) for mux in geometry.LOOKAHEAD)) for k in range(max(geometry.LOOKAHEAD))),
        ),
        "windows": _table(
            ("mux", "lookahead h", "window (h + 1 columns)", "banks", "bits of a select"),
            ((m, h, h + 1, geometry.BANKS[m], geometry.SELECT_BITS[m]) for m, h in geometry.LOOKAHEAD.items()),
        ),
        "gather step sizes": _table(
            ("configuration", "one lane", "all lanes", "offset", "far", "beats", "near", "beats", "unit of `base`"),
            (_banked_step_sizes(config) for config in BUILTIN.values() if config.engine == "gather"),
        ),
        "twin step sizes": _table(
            ("configuration", "one lane", "all lanes", "offset", "far", "beats", "near", "beats", "unit of `base`"),
            (_banked_step_sizes(config) for config in BUILTIN.values() if config.engine == "twin"),
        ),
        "routes": _table(
            ("route", "first operand", "second operand"),
            ((route, *map(_operand, banks)) for route, banks in enumerate(packets.ROUTES)),
        ),
        "example in": _words(example.TRIDENT.beats()),
        "example out": _words(example.TRIDENT.results()),
        "gather example in": _words(example.GATHER.beats()),
        "gather example out": _words(example.GATHER.results()),
        "apart example in": _words(example.APART.beats()),
        "apart example out": _words(example.APART.results()),
        "glue example in": _words(example.glue_beats()),
        "glue example out": _words(example.glue_results()),
        "step tiny": _fields([f for f in packets.step_fields(BUILTIN["tiny"]) if _shown(f.name)]),
        # The first two lanes: four fields each, after the base.
        "step gather_tiny far": _fields(packets.gather_step_fields(BUILTIN["gather_tiny"], near=False)[:8]),
        "step gather_tiny near": _fields(packets.gather_step_fields(BUILTIN["gather_tiny"], near=True)[:9]),
        "step twin_tiny far": _fields(packets.twin_step_fields(BUILTIN["twin_tiny"], near=False)[:6]),
        "step twin_tiny near": _fields(packets.twin_step_fields(BUILTIN["twin_tiny"], near=True)[:7]),
    }
    for register in registers.REGISTERS:
        if register.fields:
            parts[register.name] = _fields(register.fields)
    for kind, beats in {**packets.HEADERS, **packets.GLUE_HEADERS, **packets.MACHINE_HEADERS}.items():
        for index, fields in enumerate(beats):
            parts[f"{kind} {index}"] = _fields(fields)
    return parts


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    body = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in body)


def _fields(fields: Iterable[Field]) -> str:
    bits = ((f"{f.low + f.width - 1}:{f.low}" if f.width > 1 else f.low, f"`{f.name}`", f.meaning) for f in fields)
    return _table(("bits", "field", "meaning"), bits)


def _words(beats: Iterable[tuple[int, str]]) -> str:
    return "\n".join(["```text", *(f"{word:016X}  {text}" for word, text in beats), "```"])


def _shown(name: str) -> bool:
    """Every slot, and the first two lanes of the step: the others repeat the pattern."""
    return name.startswith(("offset", "ref")) or name.endswith(("[0][0]", "[0][1]"))


def _step_sizes(config: Config) -> tuple[object, ...]:
    bits = config.fetch_w + config.weights_w
    return (f"`{config.name}`", config.slot_w, config.fetch_w, config.lane_w, config.weights_w, bits, config.step_beats)


def _banked_step_sizes(config: Config) -> tuple[object, ...]:
    far, near = (packets.step_layout(config, near)[-1] for near in (False, True))
    return (
        f"`{config.name}`", config.lane_w, config.weights_w, config.column_w, far.low + far.width, config.step_beats,
        near.low + near.width, config.near_beats, 1 << config.near_shift,
    )  # fmt: skip


def _operand(bank: int | None) -> str:
    """A gather lane's operand: one of its own banks or of the next lane's."""
    names = {None: "none: the byte is one weight", 0: "bank 2l", 1: "bank 2l + 1", 2: "bank 2l + 2", 3: "bank 2l + 3"}
    return names[bank]


def _candidate(mux: int, k: int) -> str:
    return "({}, {:+d})".format(*candidates(mux)[k]).replace("+0", "0") if k < mux else ""
