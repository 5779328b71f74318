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

GATHER_VARIANTS = {
    "gather_tiny": BUILTIN["gather_tiny"],
    "gather": BUILTIN["gather"],
    "lanes4": Config("lanes4", "gather", lanes=4, wgs=5, columns=1024, scan=4),
    "lanes16": Config("lanes16", "gather", lanes=16, wgs=3, scan=1),
    "wide": Config("wide", "gather", act_w=16, wgs=3, columns=128, steps=128, scan=2),
    "one": Config("one", "gather", wgs=1, columns=32, steps=16, scan=4),
}
"""As :data:`VARIANTS`, of the gather engine."""

TWIN_VARIANTS = {
    "twin_tiny": BUILTIN["twin_tiny"],
    "lanes4 twin": Config("lanes4", "twin", lanes=4, wgs=10, columns=1024, scan=4),
    "lanes16 twin": Config("lanes16", "twin", lanes=16, wgs=2, columns=64, steps=64, scan=1),
    "small twin": Config("small", "twin", wgs=6, columns=32, steps=16, scan=4),
}
"""As :data:`VARIANTS`, of the twin engine; ``twin`` takes long to build and has nothing more."""

ZENA_VARIANTS = {
    "zena_tiny": BUILTIN["zena_tiny"],
    "one": zena("one", filters=4, wgs=1, columns=32, steps=8, sub_wgs=1, psums=32),
    "log": zena("log", filters=8, wgs=3, act_w=9, weight_w=5),
    "stealing": zena("stealing", filters=8, wgs=2, psums=64, stealing=1),
    "four": zena("four", filters=16, wgs=3, act_w=9, weight_w=8, columns=128, sub_wgs=4, psums=32, stealing=1, jobs=3),
    "wide": zena("wide", filters=16, wgs=5, act_w=9, weight_w=8, columns=128, steps=32, sub_wgs=4, psums=256, jobs=3),
}
"""As :data:`VARIANTS`, of the zena engine; the built-in ones with 112 PEs take long to build and have nothing more."""
