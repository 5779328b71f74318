"""Where the host's time goes in one inference: per layer, and per phase of a layer.

    python host/benchmarks/network.py [NETWORK] [--device model] [--config z2] [--images 1]

NETWORK is one of tests/networks (``make networks`` installs them; default: the demo network).  The second of two
identical runs is profiled, so programs are built; *build* shows what building them took in the first.  The
profiler itself slows Python code down somewhat and NumPy not at all.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "networks"))

import accuracy
import zeroskip
import zoo
from zeroskip.runtime import network

PHASES = {
    "programs": "build",
    "column_image": "columns",
    "transfers": "fill",
    "execute": "device",
    "collect": "collect",
    "_add": "place",
    "requantise": "requantise",
    "bounds": "bounds",
}
"""Function of the runtime -> phase: streams are built, the input is laid out in columns and filled into the streams,
the device (or its model) runs, sums are collected and put in place, requantised, and set against ideal hardware."""


class Profile:
    """Stands in for ``runtime.network.compute`` and profiles every call."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, float]] = {}

    def __call__(self, node, *arguments):
        profiler = cProfile.Profile()
        try:
            return profiler.runcall(self.compute, node, *arguments)
        finally:
            stats = pstats.Stats(profiler)
            row = self.rows.setdefault(node.output, {"name": node.name, "op": node.op, "total": 0.0})
            row["total"] += stats.total_tt
            for (file, _, function), (_, _, _, seconds, _) in stats.stats.items():
                phase = PHASES.get(function)
                if phase and "zeroskip" in file and (function != "execute" or file.endswith("driver.py")):
                    row[phase] = row.get(phase, 0.0) + seconds

    def __enter__(self) -> Profile:
        self.compute, network.compute = network.compute, self
        return self

    def __exit__(self, *exception) -> None:
        network.compute = self.compute


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", default="demo", choices=list(zoo.NETWORKS))
    parser.add_argument("--device", choices=("sim", "model", "board"), default="model")
    parser.add_argument("--config", default="z2")
    parser.add_argument("--images", type=int, default=1)
    arguments = parser.parse_args()
    chosen = zoo.NETWORKS[arguments.network]
    if chosen.missing:
        raise SystemExit(f"not installed: {', '.join(chosen.missing)}; run: make networks")
    judge = accuracy.judge(arguments.network)
    images = judge.test[: arguments.images]
    model = judge.compile(arguments.config)
    with zeroskip.open_device(arguments.device, arguments.config) as device:
        with Profile() as first:
            model.run(device, images)
        with Profile() as second:
            result = model.run(device, images)
    phases = list(PHASES.values())
    for output, row in second.rows.items():
        row["build"] = first.rows[output].get("build", 0.0)
    worth = judge.quality(result.outputs).text
    print(f"{arguments.network}, {len(images)} images, {arguments.config} on {arguments.device}: {worth}; milliseconds")
    print(
        f"{'layer':34} {'operator':12} {'total':>9} " + " ".join(f"{phase:>10}" for phase in phases) + f" {'rest':>8}"
    )
    total = {"name": "all", "op": "", "total": 0.0}
    for row in [*second.rows.values(), total]:
        inside = sum(row.get(phase, 0.0) for phase in phases if phase != "build")
        cells = " ".join(f"{1000 * row.get(phase, 0.0):10.2f}" for phase in phases)
        rest = 1000 * (row["total"] - inside)
        print(f"{row['name'][-34:]:34} {row['op']:12} {1000 * row['total']:9.2f} {cells} {rest:8.2f}")
        if row is not total:
            for key in ("total", *phases):
                total[key] = total.get(key, 0.0) + row.get(key, 0.0)


if __name__ == "__main__":
    main()
