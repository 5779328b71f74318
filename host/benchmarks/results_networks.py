"""Writes docs/results/networks.md: whole trained networks, their accuracy under every scale rule, and their cycles.

    make results       # installs the packages the networks come in; about ten minutes on two cores

Every figure is computed here; integer results are those of the golden model, cycles those of the exact cycle
model, and for the small networks also of the Verilated RTL.
"""

from __future__ import annotations

import argparse
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np
from _markdown import table

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / folder) for folder in ("networks", "host")]

import pictures  # noqa: E402
import quantised_models  # noqa: E402
import zeroskip  # noqa: E402
import zoo  # noqa: E402
from onnx_models import run_onnx  # noqa: E402
from zeroskip.compiler.budget import sqnr  # noqa: E402
from zeroskip.compiler.network import reschedule  # noqa: E402
from zeroskip.compiler.onnx_import import import_onnx  # noqa: E402
from zeroskip.files import write_atomic  # noqa: E402
from zeroskip.runtime.program import weight_kinds  # noqa: E402

PAGE = REPOSITORY / "docs" / "results" / "networks.md"
TEMPLATE = Path(__file__).with_suffix(".md")
CONFIG = "z2"

PLAIN = {"scale_rule": "max_abs", "per": "channel"}
VARIANTS = {
    "max_abs per channel (plain 8-bit)": PLAIN,
    "max_abs per tensor": {"scale_rule": "max_abs"},
    "power_of_two per channel": {"scale_rule": "power_of_two", "per": "channel"},
    "percentile 97 per tensor": {},
    "percentile 97 per channel": {"per": "channel"},
    "budget 3 dB": {"budget": 3},
    "budget 6 dB": {"budget": 6},
    "budget 1 %": {"budget": "1%"},
    "quarter pruned, budget 6 dB": {"budget": 6, "prune": 0.25},
    "half pruned, plain": {**PLAIN, "prune": 0.5},
    "half pruned, budget 6 dB": {"budget": 6, "prune": 0.5},
}
SCHEDULES = (("dense", False), ("zero_skip", False), ("combined", False), ("combined", True))
BIG = ("EfficientNet-Lite0", "MobileNetV2", "thin ResNet-50")
SMALL = ("mnist-conv", "digit-recognizer", "demo")
DETAILED = "budget 6 dB"
"""The variant whose cycles are shown for every layer and every schedule."""

TITLES = {
    "EfficientNet-Lite0": "ImageNet classifier, depthwise, ReLU6. foolbox's 20 images and scikit-image's cat, coffee "
    "and rocket; of the budget rows at most one of the 20 may be lost against plain 8-bit.",
    "MobileNetV2": "ImageNet backbone, depthwise, ReLU6; cosine similarity of the 1,280-element embedding to float, 23 "
    "photographs.",
    "thin ResNet-50": "The one pure-ReLU ResNet-50 shape (53 convolutions, half the channels); NHWC graph with batch "
    "normalisation as Sub, Mul, Add, folded. Difference of its output probability to float, 23 ordinary photographs.",
    "mnist-conv": "5x5 convolutions; 1,000 MNIST digits.",
    "digit-recognizer": "3x3 convolutions and a large matrix product; 1,000 MNIST digits.",
    "demo": "The VGG-6 that comes with zeroskip, already pruned by its training; 1,000 digits.",
}


class Measured:
    """One network under all variants."""

    def __init__(self, name: str) -> None:
        self.network = zoo.NETWORKS[name]
        self.onnx, self.images = self.network.model(), self.network.pictures()
        graph = import_onnx(self.onnx)
        test = self.images.test
        self.float = np.concatenate([graph.run(test[i : i + graph.batch]) for i in range(0, len(test), graph.batch)])
        self.macs = sum(
            node.weight[0].size * int(np.prod(graph.shapes[node.output])) for node in graph.nodes if node.op == "conv"
        )
        self.models, self.seconds, self.ratios = {}, {}, {}

    def compile(self, label: str):
        if label not in self.models:
            start = time.process_time()
            self.models[label] = zeroskip.compile(self.onnx, CONFIG, self.images.calibration, **VARIANTS[label])
            self.seconds[label] = time.process_time() - start
            print(f"{self.network.name}, {label}: compiled in {self.seconds[label]:.1f} CPU s", file=sys.stderr)
        return self.models[label]

    def quality(self, outputs: np.ndarray) -> list[str]:
        """Cells of a table: how good outputs are."""
        exact = self.float.reshape(len(outputs), -1)
        found = outputs.reshape(exact.shape)
        cells = []
        if self.network.name == "EfficientNet-Lite0":
            labels = self.images.labels
            right = [pictures.accuracy(found[part], labels[part]) for part in (slice(20), slice(20, None))]
            cells = [f"{20 * right[0]:.0f} of 20", f"{3 * right[1]:.0f} of 3"]
        elif self.images.labels is not None:
            cells = [f"{100 * pictures.accuracy(found, self.images.labels):.1f} %"]
        elif self.network.name == "thin ResNet-50":
            change = np.abs(found - exact)
            cells = [f"{change.max():.5f}", f"{change.mean():.5f}"]
        else:
            norms = np.linalg.norm(found, axis=1) * np.linalg.norm(exact, axis=1)
            cosine = (found * exact).sum(axis=1) / norms
            cells = [f"{cosine.mean():.4f}", f"{cosine.min():.4f}"]
        ratio = sqnr(exact, found)
        return [*cells, "∞" if np.isinf(ratio) else f"{ratio:.1f}"]

    @property
    def quality_heads(self) -> list[str]:
        if self.network.name == "EfficientNet-Lite0":
            return ["foolbox, top-1", "scikit-image, top-1", "SQNR dB"]
        if self.images.labels is not None:
            return ["accuracy", "SQNR dB"]
        if self.network.name == "thin ResNet-50":
            return ["largest difference", "mean difference", "SQNR dB"]
        return ["cosine, mean", "cosine, smallest", "SQNR dB"]


def kinds(model) -> list[str]:
    """Percent of all weights that are zero, non-outlier, outlier."""
    weights = np.concatenate([layer.plan.weights.ravel() for layer in model.layers])
    return [f"{100 * share:.1f}" for share in weight_kinds(weights).values()]


def run(model, images: np.ndarray, device: str = "model"):
    with zeroskip.open_device(device, model.config) as opened:
        return model.run(opened, images)


def variants(measured: Measured, batch: int) -> str:
    """Accuracy, kinds of weights and cycles under every variant."""
    images = measured.images.test[:batch]
    rows = [["float", *measured.quality(measured.float), "", "", "", "", "", ""]]
    for label in VARIANTS:
        if label == "budget 1 %" and measured.network.name in BIG:
            continue  # too few calibration images to count answers
        model = measured.compile(label)
        outputs = model.reference(measured.images.test)
        dense = run(reschedule(model, mode="dense", activation_skip=False), images)
        result = run(model, images)
        if not np.array_equal(result.outputs, outputs[:batch]):
            raise SystemExit(f"{measured.network.name}, {label}: the model device differs from the reference")
        speed = [f"{result.cycles:,}", f"{dense.cycles / result.cycles:.2f}"]
        plain = speed if label == next(iter(VARIANTS)) else None
        if plain:
            measured.plain_cycles = result.cycles
        speed.append(f"{measured.plain_cycles / result.cycles:.2f}")
        rows.append([label, *measured.quality(outputs), *kinds(model), *speed])
        measured.ratios[label] = sqnr(measured.float, outputs)
    head = ["weights", *measured.quality_heads, "zero %", "non-outlier %", "outlier %", "cycles", "over dense"]
    plain, three, six = (measured.ratios[label] for label in (next(iter(VARIANTS)), "budget 3 dB", "budget 6 dB"))
    lost = f"\nOn the test images the budget of 3 dB loses {plain - three:.1f} dB, that of 6 dB {plain - six:.1f} dB.\n"
    return table([*head, "over plain"], rows) + lost


def layers(measured: Measured, batch: int) -> str:
    """Cycles of every layer under every schedule."""
    model = measured.compile(DETAILED)
    results = [
        run(reschedule(model, mode=mode, activation_skip=skip), measured.images.test[:batch])
        for mode, skip in SCHEDULES
    ]
    rows = []
    for found in zip(*(result.layers for result in results), strict=True):
        shares = [f"{100 * getattr(found[0], name):.0f}" for name in ("zero", "non_outlier", "outlier", "act_zeros")]
        cycles = [layer.counters.cycles for layer in found]
        ratio = model.info["layers"][found[0].name]["sqnr_db"]
        rows.append(
            [found[0].name.lstrip("/_"), found[0].shape, *shares, "" if ratio is None else f"{ratio:.0f}"]
            + [f"{value:,}" for value in cycles] + [f"{cycles[0] / cycles[-1]:.2f}"]
        )  # fmt: skip
    total = [result.cycles for result in results]
    rows.append(["**total**", *[""] * 6, *(f"{value:,}" for value in total), f"{total[0] / total[-1]:.2f}"])
    head = ["layer", "shape", "zero %", "non-outlier %", "outlier %", "activation zeros %", "SQNR dB"]
    return table([*head, "dense", "zero-skip", "combined", "+ activation skip", "speed-up"], rows)


def through_rtl(name: str, images: int) -> list[str]:
    """A small network on the Verilated RTL of the smallest build, against model and reference."""
    network = zoo.NETWORKS[name]
    data = network.pictures()
    model = zeroskip.compile(network.model(), "tiny", data.calibration, budget=6)
    some = data.test[:images]
    rtl, modelled = run(model, some, "sim"), run(model, some)
    equal = np.array_equal(rtl.outputs, model.reference(some))
    same = [a.counters for a in rtl.layers] == [b.counters for b in modelled.layers]
    if not (equal and same):
        raise SystemExit(f"{name}: RTL, cycle model and reference differ")
    return [name, str(images), f"{rtl.cycles:,}", "equal", "equal"]


def already_quantised(name: str) -> list[list[str]]:
    """A network as onnxruntime's static quantisation writes it: its own integers here and there, outputs compared."""
    network, rows = zoo.NETWORKS[name], []
    data, onnx = network.pictures(), network.model().SerializeToString()
    for form in ("QDQ", "QOperator"):
        for per_channel in (False, True):
            file = quantised_models.quantise(onnx, data.calibration, form, per_channel=per_channel)
            model, exact = zeroskip.compile(file, CONFIG), run_onnx(file, data.test)
            outputs = model.reference(data.test)
            scale = np.float32(model.tensors[model.output].quant.scale)
            off = np.abs(np.rint(exact / scale) - np.rint(outputs / scale))
            right = [f"{100 * pictures.accuracy(found, data.labels):.1f} %" for found in (exact, outputs)]
            share = f"{100 * np.mean(off == 1):.2f} % of {off.size:,}"
            rows.append([name, form, "filter" if per_channel else "layer", share, str(np.sum(off > 1)), *right])
    return rows


def timing(measured: Measured) -> str:
    """What compiling and running takes on the machine that writes the page."""
    model = measured.models[DETAILED]
    start = time.process_time()
    run(model, measured.images.test[:1])
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    plain = measured.seconds["max_abs per channel (plain 8-bit)"]
    return (
        f"\nProcessor seconds ({platform.machine()}): compiled with a budget in {measured.seconds[DETAILED]:.0f} s "
        f"(plain: {plain:.0f} s); one image through the cycle model, integer results and exact counters of "
        f"{len(model.layers)} layers, in {seconds:.1f} s; peak memory of all of this {peak:.1f} GB.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=PAGE)
    arguments = parser.parse_args()
    if missing := {package for network in zoo.NETWORKS.values() for package in network.missing}:
        raise SystemExit(f"not installed: {', '.join(sorted(missing))}; run: make networks")
    batch = dict.fromkeys(BIG, 1) | dict.fromkeys(SMALL, 8)
    text = []
    for name in (*BIG, *SMALL):
        measured = Measured(name)
        text.append(f"\n## {name}\n\n{TITLES[name]} {measured.macs / 1e6:,.1f} M MACs per image.\n")
        text.append(variants(measured, batch[name]))
        if name in BIG:
            opened = f"\n<details><summary>Every layer, {DETAILED}</summary>\n\n"
            text.append(opened + layers(measured, batch[name]) + "\n</details>\n")
        if name == BIG[0]:
            text.append(timing(measured))
    head = ["network", "form", "weight scales per", "outputs off by one step", "by more", "accuracy, onnxruntime"]
    rows = [row for name in ("demo", "digit-recognizer") for row in already_quantised(name)]
    quantised = table([*head, "accuracy, zeroskip"], rows)
    rows = [through_rtl(name, 2) for name in SMALL]
    rtl = table(["network", "images", "cycles", "outputs against reference", "counters against model"], rows)
    page = TEMPLATE.read_text(encoding="utf-8").format(networks="\n".join(text), quantised=quantised, rtl=rtl)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(arguments.output, page)
    print(arguments.output)


if __name__ == "__main__":
    main()
