"""Writes docs/results/gather.md, what gather reaches beside trident and zena, and the networks in two READMEs.

    python host/benchmarks/gather.py [--networks demo EfficientNet-Lite0 ...] [--output FILE]

The tables in README.md and hls/README.md are written only when no network of ``SHOWN`` is missing.  Cycles are those
of the exact cycle model (``tests/rtl`` and ``tests/system`` hold it to the RTL), resources those that ``make
synth-update`` has committed.  Networks that are not installed are left out (``make networks`` installs them).
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
import time
from pathlib import Path

import numpy as np
from _markdown import REPOSITORY, commit, fill, table

sys.path.insert(0, str(REPOSITORY / "tests" / "networks"))

from layer import random_weights

import accuracy
import zeroskip as zs
import zoo
from zeroskip.compiler import gather_places, gather_schedule
from zeroskip.compiler.blocks import block
from zeroskip.compiler.conv import compile_conv
from zeroskip.compiler.network import reschedule
from zeroskip.files import write_atomic
from zeroskip.hardware.config import get_config
from zeroskip.hardware.results import committed
from zeroskip.runtime.conv import expected

PAGE = REPOSITORY / "docs" / "results" / "gather.md"
TEXT = Path(__file__).with_suffix(".md")
README, HLS = REPOSITORY / "README.md", REPOSITORY / "hls" / "README.md"

MIXES = ((34.2, 59.8, 6.0), (50, 40, 10), (80, 15, 5), (70, 29, 1))
"""Percent of zeros, non-outliers, outliers.  The first is a published mean of VGG-16, the last a pruned network."""

ENGINES = {"trident": "z2", "gather": "gather", "zena": "zena8"}
ONE = dataclasses.replace(get_config("gather"), name="one", wgs=1)
"""The same lanes and banks where sums leave, and activations arrive, 16 times faster than they are needed."""
WIDE = dataclasses.replace(get_config("gather"), name="wide", lanes=4, wgs=32, steps=2048)
"""As many MACs, in lanes half as many and work groups twice as many."""
FOUR = dataclasses.replace(ONE, name="four", lanes=4, steps=2048)
"""The same with four lanes: a filter has twice the steps, and half the rounding."""

WEIGHTS = {"default": {}, "half pruned": {"prune": 0.5}}
PRUNED = ("mnist-conv", "digit-recognizer")
"""Networks that keep their answers when half of the weights are taken away without training them again."""
STUDIED = ("demo", "mnist-conv", "digit-recognizer", "CIFAR-10 ResNet", "EfficientNet-Lite0")
"""Networks that other engines and builds than `z2` and `gather` are measured on, too."""
SHOWN = tuple(name for name in zoo.NETWORKS if name != "VGG-16")
"""VGG-16 takes ten minutes; `--networks` adds it."""


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def mix_name(mix) -> str:
    return " / ".join(f"{share:g}" for share in mix)


# -- schedules -----------------------------------------------------------------------------------------
def efficiency(shape: tuple[int, ...], mix, copies: float | None) -> float:
    """Ideal steps over steps of filters ``shape`` (K, C, R, S); copies None: channels where they come, no copies."""
    config = get_config("gather")
    w = random_weights(np.random.default_rng(1), shape, mix[0] / 100, mix[1] / 100)
    blocked = block(config.acts, 1, w, 1, (1, 1), "channels")
    if copies is not None:
        placed = gather_places.place(gather_places.loads(blocked, 1), config.acts, "combined", copies)
        blocked = gather_places.arrange(blocked, placed, "combined", config.acts)
    weights = blocked.weights.reshape(len(w), -1, config.acts)
    columns = np.tile(np.arange(weights.shape[1], dtype=np.int32), (len(w), 1))
    found = gather_schedule.schedule(weights, columns, weights != 0, config, "combined", close=False)
    outliers = np.count_nonzero((w < -8) | (w > 7))
    return (np.count_nonzero(w) + outliers) / (2 * config.lanes) / found.steps.sum()


def schedules() -> str:
    rows = []
    for kernel in ((256, 3), (64, 3), (32, 3), (256, 1), (64, 1)):
        for mix in MIXES:
            shape = (96, kernel[0], kernel[1], kernel[1])
            found = [efficiency(shape, mix, copies) for copies in (None, 0.5, 1.0)]
            rows.append([f"{kernel[0]} × {kernel[1]} × {kernel[1]}", mix_name(mix), *map(percent, found)])
    return table(["filter", "zero / non-outlier / outlier %", "no copies", "half copied", "all copied"], rows)


def bytes_per_weight() -> str:
    rows = []
    for mix in MIXES:
        w = random_weights(np.random.default_rng(2), (32, 1024, 1, 1), mix[0] / 100, mix[1] / 100)
        trident, gather = (compile_conv(name, w, input_shape=(1, 1)) for name in ("z2", "gather"))
        config = gather.config
        near = sum(int(part.steps[part.near >= 0].sum()) for part in gather.parts) / gather.steps
        sizes = [trident.steps * trident.config.step_beats, gather.steps * config.step_beats,
                 gather.steps * config.near_beats]  # fmt: skip
        rows.append([mix_name(mix), *(f"{8 * beats / w.size:.3f}" for beats in sizes), percent(near)])
    head = ["zero / non-outlier / outlier %", "trident `z2`", "gather, far", "gather, near", "of the steps fit near"]
    return table(head, rows)


def vgg_seconds() -> str:
    from schedule import VGG16

    layers = [random_weights(np.random.default_rng(1), (k, c, 3, 3), 0.342, 0.598) for c, k, _ in VGG16]
    words = []
    for name in ("z2", "gather"):
        compile_conv(name, layers[0])
        start = time.process_time()
        for w, (_, _, size) in zip(layers, VGG16, strict=True):
            compile_conv(name, w, padding=(1, 1, 1, 1), input_shape=(size, size))
        words.append(f"{time.process_time() - start:.1f} for `{name}`")
    return f"Processor seconds to compile VGG-16's 14.7 M weights: {', '.join(words)}."


# -- layers --------------------------------------------------------------------------------------------
LAYERS = ((64, 64, 3, 32), (128, 128, 3, 16), (256, 256, 3, 14), (512, 512, 3, 7), (256, 256, 1, 14), (1024, 256, 1, 1))


def layers() -> str:
    rows = []
    for channels, filters, kernel, size in LAYERS:
        rng = np.random.default_rng(0)
        w = random_weights(rng, (filters, channels, kernel, kernel), 0.342, 0.598)
        x = np.where(rng.random((1, channels, size, size)) < 0.45, 0, rng.integers(1, 256, (1, channels, size, size)))
        found = []
        for name in ("z2", "gather"):
            with zs.open_device("model", name) as device:
                options = {"padding": (kernel // 2,) * 4, "activation_skip": False}
                found.append(zs.conv2d(device, x.astype(np.int16), w, **options)[1])
        trident, gather = found
        rows.append(
            [f"{channels} → {filters}, {kernel}×{kernel}, {size}×{size}"]
            + [f"{trident.cycles:,}", f"{gather.cycles:,}", f"{trident.cycles / gather.cycles:.2f}"]
            + [f"{gather.steps:,}", f"{gather.cycles / gather.steps:.3f}"]
        )
    return table(["layer", "trident `z2`, cycles", "gather, cycles", "ratio", "gather, steps", "cycles / steps"], rows)


def dead_steps(models: dict) -> str:
    """Share of the steps that activation skipping drops, with 1 and 16 work groups."""
    rows = []
    builds = [dataclasses.replace(get_config(name), name="w", wgs=wgs) for name in ("z2", "gather") for wgs in (1, 16)]

    def dropped(counters) -> float:
        return sum(c.dead_steps for c in counters) / max(1, sum(c.dead_steps + c.steps for c in counters))

    for zeros in (0.45, 0.8, 0.95):
        rng = np.random.default_rng(0)
        w = random_weights(rng, (16, 64, 3, 3), 0.7, 0.29)
        x = np.where(rng.random((1, 64, 16, 16)) < zeros, 0, rng.integers(1, 256, (1, 64, 16, 16))).astype(np.int16)
        found = []
        for config in builds:
            with zs.open_device("model", config) as device:
                found.append(dropped([zs.conv2d(device, x, w, padding=(1, 1, 1, 1))[1]]))
        rows.append([f"64 → 16, 3×3, {zeros:.0%} of the activations zero, independent", *map(percent, found)])
    found = []
    for config in builds:
        with zs.open_device("model", config) as device:
            result = reschedule(models["demo"]["default"], config).run(device, accuracy.judge("demo").test[:1])
        found.append(dropped([layer.counters for layer in result.layers]))
    rows.append(["demo network, a digit", *map(percent, found)])
    head = [f"{config.engine}, {config.wgs} WG{'s' * (config.wgs > 1)}" for config in builds]
    return table(["activations", *head], rows)


# -- networks ------------------------------------------------------------------------------------------
def run(model, images: np.ndarray, config, glue: bool = False):
    with zs.open_device("model", config, glue=glue or None) as device:
        return model.run(device, images)


@functools.cache
def bound_steps(model, config) -> list[tuple[str, float, float, float]]:
    """For every layer and one image: name, multiplications, ideal and scheduled steps."""
    scheduled = reschedule(model, config, activation_skip=False)
    rows = []
    for node in scheduled.layers:
        shape = scheduled.tensors[node.inputs[0]].shape
        height, width = shape[1:] if len(shape) == 3 else (1, 1)
        found = expected(node.plan, 1, height, width)
        macs = node.plan.weights.size * int(np.prod(node.plan.output_size(height, width)))
        rows.append((node.name, macs, found["ideal_cycles"], found["step_cycles"]))
    return rows


def weights_of(name: str) -> list[str]:
    """The kinds of weights that a network is shown with."""
    return [label for label in WEIGHTS if name in PRUNED or label != "half pruned"]


def compiled(names: list[str]) -> dict:
    """Network -> weights -> model, for trident."""
    models = {}
    for name in names:
        judge = accuracy.judge(name)
        models[name] = {label: judge.compile("z2", **WEIGHTS[label]) for label in weights_of(name)}
        print(f"{name}: compiled", file=sys.stderr, flush=True)
    return models


def judged(models: dict) -> dict[tuple[str, str], str]:
    """(network, weights) -> what the integer outputs are worth, as a cell."""
    found = {}
    for name, by_weights in models.items():
        judge = accuracy.judge(name)
        for label, model in by_weights.items():
            found[name, label] = judge.quality(model.reference(judge.test)).text
            print(f"{name}, {label}: {found[name, label]}", file=sys.stderr, flush=True)
    return found


def networks(models: dict, quality: dict[tuple[str, str], str]) -> tuple[str, str, dict]:
    """The tables of all networks: cycles, shares of the ideal; and cycles by (network, weights, engine, glue)."""
    rows, shares, cycles = [], [], {}
    for name, by_weights in models.items():
        judge = accuracy.judge(name)
        images = judge.test[:1]
        for label, model in by_weights.items():
            expected_outputs = model.reference(images)
            for engine, config in {**ENGINES, "wide": WIDE}.items():
                if engine not in ("trident", "gather") and name not in STUDIED:
                    continue
                scheduled = reschedule(model, config)
                for glue in (False, True) if get_config(config).glue_sums else (False,):
                    result = run(scheduled, images, config, glue)
                    if not np.array_equal(result.outputs, expected_outputs):
                        raise SystemExit(f"{name}, {label}, {engine}: the model device differs from the reference")
                    cycles[name, label, engine, glue] = result.cycles
                    print(f"{name}, {label}, {engine}, {glue=}: {result.cycles:,}", file=sys.stderr, flush=True)
            row = [f"{name}, {label}", quality[name, label], judge.float_text]
            for glue in (False, True):
                trident, gather = (cycles[name, label, engine, glue] for engine in ("trident", "gather"))
                wide = cycles.get((name, label, "wide", glue))
                row += [f"{trident:,}", f"{gather:,}", f"{trident / gather:.2f}", f"{wide:,}" if wide else ""]
            rows.append(row)
            if name in STUDIED:
                builds = ("z2", "gather", ONE, FOUR)
                shares.append([f"{name}, {label}", *(percent(of_the_ideal(model, config)) for config in builds)])
    head = ["network, weights", "accuracy", "float", "trident `z2`, cycles", "gather, cycles", "ratio", "gather 4 × 32"]
    head += ["with glue: trident", "gather", "ratio", "gather 4 × 32"]
    ideal_head = ["network, weights", "trident `z2`", "gather", "gather, 1 WG", "gather, 1 WG of 4 lanes"]
    return table(head, rows), table(ideal_head, shares), cycles


def of_the_ideal(model, config) -> float:
    """Mean over the layers, by their MACs, of ideal steps over steps."""
    macs, ideal, steps = (np.array(column, float) for column in list(zip(*bound_steps(model, config), strict=True))[1:])
    return float(np.average(ideal / steps, weights=macs))


def summary_table(quality: dict[tuple[str, str], str], cycles: dict) -> str:
    """README's table: the default weights."""
    rows = []
    for name, label in quality:
        if label == "default":
            ways = ("trident", False), ("gather", False), ("gather", True)
            counts = [cycles[name, label, engine, glue] for engine, glue in ways]
            rows.append([name, quality[name, label], accuracy.judge(name).float_text, *(f"{c:,}" for c in counts)])
    head = ["network", "accuracy", "float", "`z2`, cycles", "`gather`, cycles", "`gather` with the HLS kernels, cycles"]
    return table(head, rows)


def glue_table(quality: dict[tuple[str, str], str], cycles: dict) -> str:
    """hls/README.md's table: the default weights on both builds."""
    rows = []
    for name, label in quality:
        for engine, build in (("trident", "z2"), ("gather", "gather")):
            if label == "default":
                without, glue = (cycles[name, label, engine, way] for way in (False, True))
                worth = [quality[name, label], accuracy.judge(name).float_text]
                rows.append([f"{name}, `{build}`", *worth, f"{without:,}", f"{glue:,}", f"{without / glue:.2f}×"])
    return table(["network, build", "accuracy", "float", "without glue, cycles", "glue, cycles", "gain"], rows)


def every_layer(model) -> str:
    """Share of the ideal of every layer of a network."""
    columns = [bound_steps(model, config) for config in ("z2", "gather", ONE, FOUR)]
    rows = []
    for layers_found in zip(*columns, strict=True):
        shares = [percent(ideal / steps) for _, _, ideal, steps in layers_found]
        rows.append([layers_found[0][0].lstrip("/_"), f"{layers_found[0][1] / 1e6:.2f}", *shares])
    return table(["layer", "M MACs", "trident", "gather", "gather, 1 WG", "4 lanes"], rows)


def side_by_side(quality: dict[tuple[str, str], str], cycles: dict) -> str:
    """Trident, gather and zena: resources, cycles, and cycles times LUTs."""
    figures = committed(REPOSITORY)
    missing = "not synthesised yet"
    rows = []
    for engine, name in ENGINES.items():
        found = figures.get(name, {}).get("resources")
        cells = [missing] * 4
        if found:
            cells = [
                f"{found['lut']:,}",
                f"{found['ff']:,}",
                f"{found['dsp']}",
                f"{found['ramb36'] + found['ramb18'] / 2:g}",
            ]
        rows.append([f"{engine}, `{name}`", str(get_config(name).macs), *cells])
    text = [table(["engine, build", "multipliers", "LUT", "FF", "DSP48E1", "RAMB36"], rows)]
    rows = []
    for (name, label), worth in quality.items():
        if name not in STUDIED:
            continue
        row = [f"{name}, {label}", worth]
        for engine, build in ENGINES.items():
            count = cycles[name, label, engine, False]
            found = figures.get(build, {}).get("resources")
            row += [f"{count:,}", f"{count * found['lut'] / 1e9:,.2f}" if found else missing]
        rows.append(row)
    head = [cell for engine in ENGINES for cell in (f"{engine}, cycles", "G cycles × LUT")]
    return "\n".join([*text, table(["network, weights", "accuracy", *head], rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=list(SHOWN), choices=list(zoo.NETWORKS))
    parser.add_argument("--output", type=Path, default=PAGE)
    arguments = parser.parse_args()
    names = [name for name in arguments.networks if not zoo.NETWORKS[name].missing]
    models = compiled(list(dict.fromkeys(["demo", *names])))
    quality = judged(models)
    summary, shares, cycles = networks(models, quality)
    details = []
    for name in ("demo", "EfficientNet-Lite0"):
        if name in models:
            content = every_layer(models[name]["default"])
            details.append(
                f"<details><summary>{name}: of the ideal, layer by layer</summary>\n\n{content}\n</details>\n"
            )
    text = TEXT.read_text().format(
        schedules=schedules(), vgg=vgg_seconds(), bytes=bytes_per_weight(), layers=layers(), dead=dead_steps(models),
        networks=summary, shares=shares, details="\n".join(details), engines=side_by_side(quality, cycles),
        commit=commit(),
    )  # fmt: skip
    write_atomic(arguments.output, text)
    print(arguments.output)
    if set(names) >= set(SHOWN):
        fill(README, "networks", f"\n{summary_table(quality, cycles)}\n")
        fill(HLS, "glue", f"\n{glue_table(quality, cycles)}\n")
        print(README, HLS, sep="\n")


if __name__ == "__main__":
    main()
