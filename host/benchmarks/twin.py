"""Writes docs/results/twin.md: steps, bytes and whole networks on the twin engine, beside gather with the same weights.

    python host/benchmarks/twin.py [--networks demo EfficientNet-Lite0 ...] [--output FILE]

Cycles are those of the exact cycle model (``tests/rtl`` and ``tests/system`` hold it to the RTL).  Networks that are
not installed are left out (``make networks`` installs them).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from _markdown import REPOSITORY, commit, table

sys.path.insert(0, str(REPOSITORY / "tests" / "networks"))

from layer import random_weights

import accuracy
import zeroskip as zs
import zoo
from zeroskip.compiler.conv import compile_conv
from zeroskip.compiler.network import reschedule
from zeroskip.files import write_atomic
from zeroskip.hardware.config import get_config

PAGE = REPOSITORY / "docs" / "results" / "twin.md"
TEXT = Path(__file__).with_suffix(".md")

ZEROS = (0, 10, 34, 50, 80, 90)
"""Percent of the weights; the others are small or large alike, which makes no difference to twin."""

SHOWN = ("demo", "CIFAR-10 ResNet", "EfficientNet-Lite0", "MobileNetV1", "MobileNetV2", "thin ResNet-50")
"""VGG-16 takes ten minutes; `--networks` adds it."""


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def schedules() -> str:
    """Steps of filters against the ideal, and what they take on the stream."""
    rows = []
    for channels, kernel in ((256, 3), (64, 3), (256, 1), (64, 1)):
        for zeros in ZEROS:
            w = random_weights(np.random.default_rng(1), (96, channels, kernel, kernel), zeros / 100, 0)
            plan = compile_conv("twin", w, padding=(kernel // 2,) * 4, input_shape=(28, 28))
            ideal = sum(float(part.ideal.sum()) for part in plan.parts)
            near, far = plan.steps * plan.config.near_beats, plan.steps * plan.config.step_beats
            row = [f"{channels} × {kernel} × {kernel}", str(zeros), percent(ideal / plan.steps)]
            rows.append([*row, *(f"{8 * beats / w.size:.2f}" for beats in (near, far))])
    return table(["filter", "zeros, %", "of the ideal steps", "near, bytes per weight", "far"], rows)


def networks(names: list[str]) -> tuple[str, str]:
    """Whole networks on twin and gather, and the layers of one that take longest."""
    rows, layers = [], []
    for name in names:
        judge = accuracy.judge(name)
        model, image = judge.compile("gather"), judge.test[:1]
        quality, expected = judge.quality(model.reference(judge.test)).text, model.reference(image)
        row, before = [name, quality, judge.float_text], 0
        for config in ("gather", "twin"):
            scheduled = reschedule(model, config)
            with zs.open_device("model", config, glue=True) as device:
                result = scheduled.run(device, image)
            if not np.array_equal(result.outputs, expected):
                raise SystemExit(f"{name}, {config}: the model device differs from the reference")
            row.append(f"{result.cycles:,}")
            counters = [layer.counters for layer in result.layers]
            shares = [sum(getattr(each, key) for each in counters) for key in ("busy", "stall_input", "stall_output")]
            if config == "twin":
                row += [percent(share / result.cycles) for share in shares]
                row.insert(-3, f"{before / result.cycles:.2f}")
                layers += longest(name, result) if name == "EfficientNet-Lite0" else []
            before = result.cycles
            print(f"{name}, {config}: {result.cycles:,}", file=sys.stderr, flush=True)
        rows.append(row)
    head = ["network, default weights", "accuracy", "float", "gather, cycles", "twin, cycles", "ratio"]
    head += ["busy", "waits for its stream", "waits for its output"]
    layer_head = ["layer", "shapes", "cycles", "busy", "waits for its stream", "waits for its output"]
    return table(head, rows), table(layer_head, layers)


def longest(name: str, result) -> list[list[str]]:
    """Rows of the ten layers that take longest."""
    rows = []
    for layer in sorted(result.layers, key=lambda layer: -layer.counters.cycles)[:10]:
        found = layer.counters
        shares = (percent(share / found.cycles) for share in (found.busy, found.stall_input, found.stall_output))
        rows.append([layer.name, layer.shape, f"{found.cycles:,}", *shares])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", nargs="*", default=list(SHOWN), help=f"default: {', '.join(SHOWN)}")
    parser.add_argument("--output", type=Path, default=PAGE)
    arguments = parser.parse_args()
    names = [name for name in arguments.networks if not zoo.ALL[name].missing]
    whole, layers = networks(names)
    build = get_config("twin")
    values = {"commit": commit(), "hash": f"0x{build.hash:08X}", "wgs": str(build.wgs), "macs": str(build.macs)}
    values |= {"dsps": str(build.dsps), "schedules": schedules(), "networks": whole, "layers": layers}
    write_atomic(arguments.output, TEXT.read_text(encoding="utf-8").format(**values))


if __name__ == "__main__":
    main()
