"""Register map of an engine (AXI4-Lite, 32-bit): the one source for RTL, driver, simulator and docs."""

from __future__ import annotations

from typing import NamedTuple

from .config import ENGINE_IDS, FORMAT_VERSION, Config
from .packets import Field

ID_VALUE = 0x5A534B31
"""'ZSK1': what the ID register reads."""

VERSION_VALUE = FORMAT_VERSION

ENGINE_BASE = 0x43C0_0000
DMA_BASE = 0x4040_0000
ENGINE_RANGE = 0x1_0000
DMA_RANGE = 0x1_0000


class Register(NamedTuple):
    name: str
    offset: int
    access: str
    meaning: str
    fields: tuple[Field, ...] = ()


COUNTERS = (
    ("cycles", "cycles from the first input beat to the last sum, both counted; = busy + stall_input + stall_output"),
    ("busy", "cycles that issued a step or closed a pixel; zena: in which at least one PE computed"),
    ("span", "cycles from the first to the last busy cycle, both counted"),
    ("stall_input", "cycles with nothing to issue: schedule or activations not there yet"),
    ("stall_output", "cycles that waited for the drain, and those after the last busy cycle"),
    ("steps", "schedule steps issued"),
    ("dead_steps", "schedule steps dropped by the online scheduler"),
    ("columns", "columns fetched: window slots (gather: banks) referenced by issued steps"),
    ("columns_skipped", "window slots (gather: banks) referenced by dropped steps"),
    ("pairs", "lane-cycles with two non-outlier weights, per work group"),
    ("singles", "lane-cycles with one non-outlier weight, per work group"),
    ("outliers", "lane-cycles with an outlier (twin: with any weight), per work group"),
    ("beats_in", "64-bit beats taken from the input stream"),
    ("beats_out", "beats of sums sent: 64 bits; with glue up to 8 sums"),
    ("multiplies", "zena: products, summed over all PEs"),
    ("empty_chunks", "zena: pixels whose last chunk has no product, one cycle each, summed over all PEs"),
    ("barrier_wait", "zena: cycles a PE idles while another of its sub-WG computes, summed over all PEs"),
    ("packets", "packets read whose checksum is right; FINISH packets end in the glue and are not counted"),
)
"""Name and meaning of every counter, in register order.  Counters are 32-bit and saturate."""

COUNTER_NAMES = tuple(name for name, _ in COUNTERS)
COUNTER_MAX = 0xFFFF_FFFF
COUNTER_BASE = 0x40

ERROR_CHECKSUM = 8
"""STATUS.error of a packet with a wrong checksum."""

ERRORS = {
    0: "none",
    1: "unknown packet kind",
    2: "work groups out of range",
    3: "column count out of range",
    4: "step count out of range",
    5: "a pixel loop of zero pixels",
    6: "chunk count out of range",
    7: "sub-WG out of range",
    ERROR_CHECKSUM: "wrong checksum",
}
"""STATUS.error: why the loader stopped.  Cleared by CONTROL.reset."""

ERROR_NAMES = {
    **{0: "NONE", 1: "KIND", 2: "WGS", 3: "COUNT", 4: "STEPS", 5: "PIXELS", 6: "CHUNKS", 7: "SUB_WG"},
    ERROR_CHECKSUM: "CHECKSUM",
}
"""Short names of :data:`ERRORS`, for Verilog."""

REGISTERS = (
    Register("ID", 0x00, "ro", "0x5A534B31"),
    Register("VERSION", 0x04, "ro", "version of register map and packet formats"),
    Register("CONFIG_HASH", 0x08, "ro", "hash of the build configuration"),
    Register(
        "CONFIG0",
        0x0C,
        "ro",
        "geometry",
        (
            Field("lanes", 0, 8, "N"),
            Field("filters", 8, 8, "M"),
            Field("wgs", 16, 8, "P"),
            Field("mux", 24, 8, "selector inputs"),
        ),
    ),
    Register(
        "CONFIG1",
        0x10,
        "ro",
        "geometry, continued",
        (
            Field("act_w", 0, 8, "activation bits"),
            Field("log2_columns", 8, 8, "log2 of the columns per work group"),
            Field("log2_steps", 16, 8, "log2 of the steps per schedule half"),
            Field("scan", 24, 4, "steps examined per cycle"),
            Field("engine", 28, 4, "1: trident, 2: zena, 3: gather, 4: twin"),
        ),
    ),
    Register(
        "CONFIG2",
        0x1C,
        "ro",
        "geometry of zena",
        (
            Field("weight_w", 0, 8, "weight bits"),
            Field("sub_wgs", 8, 8, "S"),
            Field("log2_psums", 16, 8, "log2 of the partial sums per PE"),
            Field("stealing", 24, 1, "1: idle sub-WGs take jobs of busy ones"),
            Field("jobs", 28, 4, "kernel tiles each PE holds"),
        ),
    ),
    Register(
        "CONTROL",
        0x14,
        "wo",
        "commands; reads as zero",
        (
            Field("reset", 0, 1, "1: reset the engine: empties every buffer, clears counters and error"),
            Field("clear", 1, 1, "1: clear the counters"),
        ),
    ),
    Register(
        "STATUS",
        0x18,
        "ro",
        "state, for people who debug",
        (
            Field("active", 0, 1, "between the first input beat and the last sum"),
            Field("loaded", 1, 2, "schedule halves that hold a queued or running RUN"),
            Field("error", 4, 4, "why the loader stopped"),
            Field("loader", 8, 4, "state of the loader"),
            Field("s_valid", 12, 1, "input stream: valid"),
            Field("s_ready", 13, 1, "input stream: ready"),
            Field("m_valid", 14, 1, "output stream: valid"),
            Field("m_ready", 15, 1, "output stream: ready"),
            Field("kind", 16, 4, "kind of the packet that the loader reads or has read, or at which it stopped"),
        ),
    ),
) + tuple(
    Register(name.upper(), COUNTER_BASE + 4 * index, "ro", meaning) for index, (name, meaning) in enumerate(COUNTERS)
)

BY_NAME = {register.name: register for register in REGISTERS}


def config_words(config: Config) -> dict[str, int]:
    """What the identification registers of a build read."""
    from .packets import encode

    return {
        "ID": ID_VALUE,
        "VERSION": VERSION_VALUE,
        "CONFIG_HASH": config.hash,
        "CONFIG0": encode(
            BY_NAME["CONFIG0"].fields, lanes=config.lanes, filters=config.filters, wgs=config.wgs, mux=config.mux
        ),
        "CONFIG1": encode(
            BY_NAME["CONFIG1"].fields,
            act_w=config.act_w,
            log2_columns=config.column_w,
            log2_steps=(config.steps - 1).bit_length(),
            scan=config.scan,
            engine=ENGINE_IDS[config.engine],
        ),
        "CONFIG2": encode(
            BY_NAME["CONFIG2"].fields,
            weight_w=config.weight_w,
            sub_wgs=config.sub_wgs,
            log2_psums=(config.psums - 1).bit_length(),
            stealing=config.stealing,
            jobs=config.jobs,
        ),
    }
