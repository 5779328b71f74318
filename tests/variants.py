"""Builds the tests simulate: the built-in ones and a few that together reach every parameter's corners."""

from __future__ import annotations

from zeroskip.hardware.config import BUILTIN, Config, zena

VARIANTS = {
    # z2max is z2 with more work groups, and takes long to simulate.
    **{name: config for name, config in BUILTIN.items() if name != "z2max" and config.engine == "trident"},
    "mux4": Config("mux4", lanes=4, mux=4, scan=8, wgs=5),
    "mux12": Config("mux12", lanes=16, mux=12, scan=1, filters=2),
    "mux16": Config("mux16", mux=16, act_w=16, wgs=3, steps=128),
    "small": Config("small", filters=4, wgs=1, columns=32, steps=16, scan=2),
}

ZENA_VARIANTS = {
    "zena_tiny": BUILTIN["zena_tiny"],
    "one": zena("one", filters=4, wgs=1, columns=32, steps=8, sub_wgs=1, psums=32),
    "log": zena("log", filters=8, wgs=3, act_w=9, weight_w=5),
    "wide": zena("wide", filters=16, wgs=5, act_w=9, weight_w=8, columns=128, steps=32, sub_wgs=4, psums=256),
}
"""As :data:`VARIANTS`, of the zena engine; the built-in ones with 112 PEs take long to build and have nothing more."""
