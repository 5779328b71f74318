"""Build configurations: the one place where the geometry of the hardware is written down.

RTL parameters, the packet formats, the compiler, the cycle models and the driver all derive from a
:class:`Config`.  Some are built in (:data:`BUILTIN`); a user-made one is a JSON file with the same
field names, given wherever a configuration's name is accepted.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import ConfigError

STREAM_BITS = 64
"""Width of both AXI4-Streams and of the DMA's memory port, in bits."""

FORMAT_VERSION = 3
"""Version of the packet formats and the register map; part of every configuration hash."""

ENGINE_IDS = {"trident": 1, "zena": 2, "gather": 3, "twin": 4}
"""Number of each engine in the register map and as the RTL's ENGINE parameter."""

LOOKAHEAD = {4: 1, 8: 2, 12: 3, 16: 4}
"""Lookahead h of the trident window for each multiplexer size (window = h + 1 columns)."""

BANKS = {4: 2, 8: 4, 12: 4, 16: 8}
"""Interleaved activation banks: the smallest power of two that holds a window without conflict."""

SELECT_BITS = {4: 2, 8: 3, 12: 4, 16: 4}
"""Width of one activation select (AS)."""

NEAR_BITS = 6
"""Width of a bank address in a compact ("near") step of the gather engine, from the step's own base."""

NEAR_BASE_BITS = 8
"""Width of that base: the upper bits of a column address."""

ROUTE_BITS = 3
"""Width of a gather lane's route: which banks its two operands come from."""

TWIN_NEAR_BITS = 5
"""Width of a lane's column offset in a near step of the twin engine, from the step's own base."""

TWIN_ROUTE_BITS = 2
"""Width of a twin lane's route: which of four banks its operand comes from."""

PART_DSPS = 220
"""DSP48E1 slices of the XC7Z020."""

FINISH_DSPS = 4
"""Of them, what act_finish takes for each sum that it finishes per cycle: a 32 x 32-bit multiplier."""

_ENGINES = {
    "trident": {
        "lanes": (4, 8, 16),
        "filters": (1, 2, 4, 8, 16),
        "wgs": tuple(range(1, 65)),
        "mux": tuple(LOOKAHEAD),
        "act_w": (9, 16),
        "columns": tuple(2**n for n in range(5, 13)),
        "steps": tuple(2**n for n in range(4, 14)),
        "scan": (1, 2, 4, 8),
        "weight_w": (8,),
        "sub_wgs": (1,),
        "psums": (128,),
        "stealing": (0,),
        "jobs": (2,),
    },
    "zena": {
        "lanes": (16,),
        "filters": tuple(range(4, 65, 4)),
        "wgs": tuple(range(1, 32)),
        "mux": (8,),
        "act_w": (9, 16),
        "columns": tuple(2**n for n in range(5, 11)),
        "steps": (8, 16, 32),
        "scan": (4,),
        "weight_w": (5, 8, 16),
        "sub_wgs": (1, 2, 4, 8),
        "psums": tuple(2**n for n in range(5, 10)),
        "stealing": (0, 1),
        "jobs": (2, 3),
    },
    "twin": {
        "lanes": (4, 8, 16),
        "filters": (1,),
        "wgs": tuple(range(2, 65, 2)),
        "mux": (8,),
        "act_w": (9,),
        "columns": tuple(2**n for n in range(5, 13)),
        "steps": tuple(2**n for n in range(4, 14)),
        "scan": (1, 2, 4),
        "weight_w": (8,),
        "sub_wgs": (1,),
        "psums": (128,),
        "stealing": (0,),
        "jobs": (2,),
    },
    "gather": {
        "lanes": (4, 8, 16),
        "filters": (1,),
        "wgs": tuple(range(1, 65)),
        "mux": (8,),
        "act_w": (9, 16),
        "columns": tuple(2**n for n in range(5, 13)),
        "steps": tuple(2**n for n in range(4, 14)),
        "scan": (1, 2, 4),
        "weight_w": (8,),
        "sub_wgs": (1,),
        "psums": (128,),
        "stealing": (0,),
        "jobs": (2,),
    },
}
"""Accepted values of every field; a field an engine does not have accepts its default only."""


@dataclass(frozen=True)
class Config:
    """One build of the hardware.

    Args:
        name: how people call it; not part of the hash.
        engine: "trident", "zena", "gather" or "twin".
        lanes: N, MACs of a filter in a work group (trident, gather, twin); zena: length of a chunk (16).
        filters: trident: M, filters in lockstep; zena: Q, PEs of a work group, a multiple of 4 * sub_wgs.
        wgs: P, work groups (spatial shares of the input map) that share every weight.
        mux: trident: inputs of an activation selector: 4, 8, 12 or 16.
        act_w: activation width in bits: 9 for [-255, 255], 16 for int16.
        columns: activation columns each work group (zena: each PE) holds; gather, twin: addresses of a bank.
        steps: what one half of the double-buffered memory holds: schedule steps, kernel-tile chunks (zena).
        scan: trident, gather, twin: steps the online scheduler examines per cycle.
        weight_w: zena: weight width in bits: 8, 16, or 5 for LogQuant (sign and power of two).
        sub_wgs: zena: S, sub-work-groups of filters / S PEs, each with its own jobs and barrier.
        psums: zena: 32-bit partial sums each PE holds.
        stealing: zena: 1: an idle sub-WG takes the jobs of a busy one; needs 2 or 4 sub-WGs.
        jobs: zena: kernel tiles each PE holds: PEs run up to one less ahead of the slowest of their sub-WG.

    Raises:
        ConfigError: a field has a value the hardware does not exist for.
    """

    name: str
    engine: str = "trident"
    lanes: int = 8
    filters: int = 1
    wgs: int = 2
    mux: int = 8
    act_w: int = 9
    columns: int = 512
    steps: int = 256
    scan: int = 4
    weight_w: int = 8
    sub_wgs: int = 1
    psums: int = 128
    stealing: int = 0
    jobs: int = 2

    def __post_init__(self) -> None:
        name = self.name
        if not isinstance(name, str) or not name.isprintable() or "/" in name or not 0 < len(name) <= 64:
            raise ConfigError(f"configuration name {name!r:.100}; accepted: 1 to 64 printable characters, no slash")
        if not isinstance(self.engine, str) or self.engine not in _ENGINES:
            raise ConfigError(f"configuration {self.name!r}: engine = {self.engine!r}; accepted: {', '.join(_ENGINES)}")
        for field, accepted in _ENGINES[self.engine].items():
            value = getattr(self, field)
            if type(value) is not int or value not in accepted:
                shown = ", ".join(map(str, accepted))
                if len(accepted) >= 12:
                    even = "even, " if all(each % 2 == 0 for each in accepted) else ""
                    shown = f"{even}{accepted[0]} to {accepted[-1]}"
                raise ConfigError(f"configuration {self.name!r}: {field} = {value!r}; accepted: {shown}")
        if self.engine == "zena" and self.filters % (4 * self.sub_wgs):
            raise ConfigError(
                f"configuration {self.name!r}: filters = {self.filters}; "
                f"accepted: a multiple of 4 * sub_wgs = {4 * self.sub_wgs}"
            )
        if self.stealing and self.sub_wgs not in (2, 4):
            raise ConfigError(f"configuration {self.name!r}: stealing among {self.sub_wgs} sub_wgs; accepted: 2, 4")
        if self.steps < self.scan * 2:
            raise ConfigError(
                f"configuration {self.name!r}: steps = {self.steps}; accepted: at least 2 * scan = {2 * self.scan}"
            )

    # -- derived geometry ------------------------------------------------------------------------
    @property
    def scheduled(self) -> bool:
        """The engine replays schedule steps (trident, gather, twin), not jobs (zena)."""
        return self.engine != "zena"

    @property
    def banked(self) -> bool:
        """Every activation bank has an address of its own, two banks per lane (gather, twin)."""
        return self.engine in ("gather", "twin")

    @property
    def acts(self) -> int:
        """Activations of a column: one per lane; gather, twin: one per bank, two banks per lane."""
        return 2 * self.lanes if self.banked else self.lanes

    @property
    def refs(self) -> int:
        """Columns a step can refer to: window slots (trident) or banks (gather, twin)."""
        return 2 * self.lanes if self.banked else self.window

    @property
    def lookahead(self) -> int:
        return LOOKAHEAD[self.mux]

    @property
    def window(self) -> int:
        """Trident: columns a step can refer to: lookahead + 1."""
        return self.lookahead + 1

    @property
    def banks(self) -> int:
        return BANKS[self.mux]

    @property
    def select_w(self) -> int:
        return SELECT_BITS[self.mux]

    @property
    def column_w(self) -> int:
        """Bits of a column address."""
        return (self.columns - 1).bit_length()

    @property
    def macs(self) -> int:
        """Products (trident, gather: or pairs of them) per cycle of the whole engine: MACs, or PEs (zena)."""
        return self.filters * self.wgs * (1 if self.engine == "zena" else self.lanes)

    @property
    def dsps(self) -> int:
        """DSP48E1 slices of the MACs: two for a 16-bit activation, one for two work groups of twin."""
        return self.macs // 2 if self.engine == "twin" else self.macs * (1 if self.act_w == 9 else 2)

    @property
    def spare_dsps(self) -> int:
        """DSP48E1 slices of the XC7Z020 that the MACs leave."""
        return PART_DSPS - self.dsps

    @property
    def glue_sums(self) -> int:
        """Sums per cycle from engine to act_finish: 8, 4 or 2, as DSPs are left for them; 0: there is no glue."""
        if not self.scheduled:
            return 0
        most = min(8, 2 * -(-self.filters * self.wgs // 2), self.spare_dsps // FINISH_DSPS)
        return next((sums for sums in (8, 4, 2) if sums <= most), 0)

    @property
    def sub_filters(self) -> int:
        """PEs of one sub-work-group in one work group (zena)."""
        return self.filters // self.sub_wgs

    @property
    def job_psums(self) -> int:
        """Partial sums the PEs that may do a job hold together, one PE of each of those sub-WGs (zena)."""
        return self.psums * (self.sub_wgs if self.stealing else 1)

    @property
    def act_max(self) -> int:
        """Largest activation magnitude; the most negative two's complement value is excluded."""
        return 255 if self.act_w == 9 else 32767

    @property
    def lane_w(self) -> int:
        """Bits of one lane's weights in a step: weight byte and, trident, pair flag and two selects, else a route."""
        return 8 + self.route_bits if self.banked else 9 + 2 * self.select_w

    @property
    def slot_w(self) -> int:
        """Bits of one reference of a step in the schedule memory: column offset and reference bit."""
        return self.column_w + 1

    @property
    def fetch_w(self) -> int:
        """Bits of all references of a step in the schedule memory."""
        return self.refs * self.slot_w

    @property
    def weights_w(self) -> int:
        return self.filters * self.lanes * self.lane_w

    @property
    def step_beats(self) -> int:
        """Stream beats of one schedule step; gather, twin: of one in the far format."""
        # Steps of banks carry no reference bits, which follow from the weights.
        references = self.offsets * self.column_w if self.banked else self.fetch_w
        return -(-(references + self.weights_w) // STREAM_BITS)

    @property
    def offsets(self) -> int:
        """Column offsets in a step: of every bank (gather), or of every lane's operand (twin)."""
        return self.lanes if self.engine == "twin" else self.refs

    @property
    def near_bits(self) -> int:
        """Width of a column offset in a near step (gather, twin)."""
        return TWIN_NEAR_BITS if self.engine == "twin" else NEAR_BITS

    @property
    def route_bits(self) -> int:
        """Width of a lane's route (gather, twin)."""
        return TWIN_ROUTE_BITS if self.engine == "twin" else ROUTE_BITS

    @property
    def passes(self) -> int:
        """Filters of a run whose lanes are apart, sent one after the other: LANES; 1: there are no such runs."""
        return self.lanes if self.engine == "gather" else 1

    @property
    def near_beats(self) -> int:
        """Stream beats of one schedule step in the near format; trident has one format."""
        if not self.banked:
            return self.step_beats
        return -(-(NEAR_BASE_BITS + self.weights_w + self.offsets * self.near_bits) // STREAM_BITS)

    @property
    def near_shift(self) -> int:
        """Gather, twin: a near step's base counts in units of 2^near_shift columns."""
        return max(self.column_w - NEAR_BASE_BITS, 0)

    def column_beats(self, act_format: int) -> int:
        """Stream beats of one column of one work group; 0: 8-bit activations, 1: 16-bit."""
        return -(-(self.acts * (16 if act_format else 8)) // STREAM_BITS)

    # -- identity --------------------------------------------------------------------------------
    def hardware_fields(self) -> dict[str, int | str]:
        """The fields that decide what the hardware is: all but the name."""
        fields = dataclasses.asdict(self)
        del fields["name"]
        return fields

    @cached_property
    def hash(self) -> int:
        """32-bit configuration hash: the same for the same hardware, whatever its name."""
        fields = self.hardware_fields()
        for name, default in (("stealing", 0), ("jobs", 2)):  # younger than the hash: at this value nothing is new
            if fields[name] == default:
                del fields[name]
        text = json.dumps({"format": FORMAT_VERSION, **fields}, sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")

    def rtl_parameters(self) -> dict[str, int]:
        """Parameters of the Verilog top level."""
        return {
            "LANES": self.lanes,
            "FILTERS": self.filters,
            "WGS": self.wgs,
            "MUX": self.mux,
            "ACT_W": self.act_w,
            "COLUMNS": self.columns,
            "STEPS": self.steps,
            "SCAN": self.scan,
            "ENGINE": ENGINE_IDS[self.engine],
            "WEIGHT_W": self.weight_w,
            "SUB_WGS": self.sub_wgs,
            "PSUMS": self.psums,
            "STEALING": self.stealing,
            "JOBS": self.jobs,
        }

    def differences(self, other: Config) -> list[str]:
        """Names of the hardware fields in which two configurations differ."""
        mine, theirs = self.hardware_fields(), other.hardware_fields()
        return [field for field in mine if mine[field] != theirs[field]]


def zena(name: str, *, filters: int, wgs: int, act_w: int = 16, weight_w: int = 16, columns: int = 64,
         steps: int = 16, sub_wgs: int = 2, psums: int = 128, stealing: int = 0, jobs: int = 2) -> Config:  # fmt: skip
    """A build of the zena engine, by default with 16-bit fixed point."""
    return Config(
        name, "zena", lanes=16, filters=filters, wgs=wgs, act_w=act_w, columns=columns, steps=steps, weight_w=weight_w,
        sub_wgs=sub_wgs, psums=psums, stealing=stealing, jobs=jobs,
    )  # fmt: skip


BUILTIN = {
    config.name: config
    for config in (
        Config("tiny"),
        Config("z2", wgs=16, columns=2048, steps=1024),
        Config("z2max", wgs=24, columns=2048, steps=1024),
        Config("kang", filters=8, wgs=1, act_w=16, columns=4096, steps=512),
        Config("gather_tiny", "gather", columns=256, scan=2),
        Config("gather", "gather", wgs=16, columns=1024, steps=1024, scan=2),
        Config("gather_max", "gather", wgs=27, columns=1024, steps=512, scan=2),
        Config("twin_tiny", "twin", wgs=4, columns=256, scan=2),
        Config("twin", "twin", wgs=44, columns=512, steps=512, scan=2),
        zena("zena_tiny", filters=8, wgs=2, psums=64),
        zena("zena", filters=8, wgs=14),
        zena("zena8", filters=8, wgs=14, act_w=9, weight_w=8, columns=128),
        zena("zena_log", filters=8, wgs=10, act_w=9, weight_w=5, columns=128),
    )
}

BOARD = "gather"
"""The built-in configuration for a board where none is named."""


def get_config(config: str | Path | Config) -> Config:
    """Find a configuration by name or JSON file; a :class:`Config` passes through.

    Raises:
        ConfigError: no such name or file, not JSON, an unknown field, or a value not accepted.
    """
    if isinstance(config, Config):
        return config
    if str(config) in BUILTIN:
        return BUILTIN[str(config)]
    path = Path(config)
    if path.suffix != ".json":
        raise ConfigError(f"no configuration {str(config)!r}; built in: {', '.join(BUILTIN)}; or give a .json file")
    try:
        fields = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"configuration file {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"configuration file {path} is not JSON: {error}") from error
    known = [f.name for f in dataclasses.fields(Config)]
    if not isinstance(fields, dict) or (unknown := set(fields) - set(known)):
        found = f"unknown field {sorted(unknown)[0]!r}" if isinstance(fields, dict) else "not an object"
        raise ConfigError(f"configuration file {path}: {found}; accepted fields: {', '.join(known)}")
    return Config(**{"name": path.stem, **fields})


def need_glue(config: Config) -> None:
    """Refuse a build that the HLS kernels do not exist for.

    Raises:
        ConfigError: ``config.glue_sums`` is 0.
    """
    if config.glue_sums:
        return
    why = "the HLS kernels read the sums of trident and gather only"
    if config.scheduled:
        why = f"of {PART_DSPS} DSP slices it leaves {config.spare_dsps}, act_finish takes at least {2 * FINISH_DSPS}"
    names = ", ".join(name for name, built_in in BUILTIN.items() if built_in.glue_sums)
    raise ConfigError(f"configuration {config.name!r} has no glue: {why}. With glue there are {names}; or glue=False")
