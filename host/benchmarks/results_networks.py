"""Writes docs/results/networks.md: whole trained networks, their accuracy under every scale rule, and their cycles.

    make results       # installs the packages the networks come in; about twenty minutes on two cores

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
from _markdown import REPOSITORY, commit, table

sys.path[:0] = [str(REPOSITORY / "tests" / folder) for folder in ("networks", "host")]

import accuracy  # noqa: E402
import pictures  # noqa: E402
import quantised_models  # noqa: E402
import zeroskip  # noqa: E402
import zoo  # noqa: E402
from onnx_models import run_onnx  # noqa: E402
from zeroskip.compiler.network import reschedule  # noqa: E402
from zeroskip.compiler.onnx_import import import_onnx  # noqa: E402
from zeroskip.files import write_atomic  # noqa: E402
from zeroskip.runtime.program import weight_kinds  # noqa: E402

PAGE = REPOSITORY / "docs" / "results" / "networks.md"
TEMPLATE = Path(__file__).with_suffix(".md")
CONFIG = "z2"

NEAREST = {"equalise": False, "adaptive_rounding": False}
VARIANTS = {
    "default": {},
    "max_abs per channel, to nearest": {"scale_rule": "max_abs", **NEAREST},
    "percentile 97 per tensor, to nearest": {"scale_rule": "percentile", "per": "tensor", **NEAREST},
    "percentile 97 per channel": {"scale_rule": "percentile"},
    "budget 3 dB": {"budget": 3},
    "budget 6 dB": {"budget": 6},
    "budget 1 %": {"budget": "1%"},
    "half pruned": {"prune": 0.5},
    "half pruned, budget 6 dB": {"budget": 6, "prune": 0.5},
}
PRUNED = ("mnist-conv", "digit-recognizer", "demo")
"""Networks that keep their answers when half of the weights are taken away without training them again."""
COUNTED = ("mnist-conv", "digit-recognizer", "demo")
"""Networks with enough calibration images to count answers on."""
FEW = ("default", "max_abs per channel, to nearest", "percentile 97 per tensor, to nearest")
LARGE = {"MobileNetV1": FEW, "MobileNetV2": FEW, "thin ResNet-50": FEW, "VGG-16": FEW[:1]}
"""Networks that take minutes, and the variants shown."""
DETAILED = ("EfficientNet-Lite0", "MobileNetV1")
"""Networks shown layer by layer."""
SCHEDULES = (("dense", False), ("zero_skip", False), ("combined", False), ("combined", True))
BIG = ("EfficientNet-Lite0", "MobileNetV1", "MobileNetV2", "thin ResNet-50", "VGG-16")
SMALL = ("mnist-conv", "digit-recognizer", "CIFAR-10 ResNet", "demo")
DEFAULT = "default"
"""The variant that others are compared with, and whose cycles are shown for every layer and every schedule."""

TITLES = {
    "EfficientNet-Lite0": "ImageNet classifier, depthwise, ReLU6. foolbox's 20 images and scikit-image's cat, coffee "
    "and rocket.",
    "MobileNetV1": "1.0/224, ImageNet classifier, depthwise, ReLU6, TF-slim's weights. The same images.",
    "MobileNetV2": "ImageNet backbone, depthwise, ReLU6; cosine similarity of the 1,280-element embedding to float, 23 "
    "photographs.",
    "thin ResNet-50": "The one pure-ReLU ResNet-50 shape (53 convolutions, half the channels); NHWC graph with batch "
    "normalisation as Sub, Mul, Add, folded. Difference of its output probability to float, 23 ordinary photographs.",
    "VGG-16": "The 13 convolutions, retrained from ImageNet's VGG-16 to find edges; 224x224. SQNR of pool5, "
    "four photographs.",
    "CIFAR-10 ResNet": "MLPerf Tiny's image classifier, from its Keras file; foolbox's 20 images of CIFAR-10, "
    "calibrated on its 20 of CIFAR-100.",
    "mnist-conv": "5x5 convolutions; 1,000 MNIST digits.",
    "digit-recognizer": "3x3 convolutions and a large matrix product; 1,000 MNIST digits.",
    "demo": "The VGG-6 that comes with zeroskip, already pruned by its training; 1,000 digits.",
}


class Measured:
    """One network under all variants."""

    def __init__(self, name: str) -> None:
        self.name, self.judge = name, accuracy.Judge(name)
        self.test = self.judge.images.test if self.judge.labels is not None else self.judge.test
        self.models, self.seconds, self.ratios = {}, {}, {}

    def compile(self, label: str):
        if label not in self.models:
            start = time.process_time()
            self.models[label] = self.judge.compile(CONFIG, **VARIANTS[label])
            self.seconds[label] = time.process_time() - start
            print(f"{self.name}, {label}: compiled in {self.seconds[label]:.1f} CPU s", file=sys.stderr, flush=True)
        return self.models[label]

    @property
    def others(self) -> int:
        """Labelled images beside the ones that count: scikit-image's."""
        return len(self.test) - len(self.judge.test)

    def quality(self, label: str, outputs: np.ndarray) -> list[str]:
        """Cells of a table: how good outputs are."""
        counted = len(self.judge.test)
        found = self.judge.quality(outputs[:counted])
        self.ratios[label] = found.sqnr
        cells = {"cosine": [f"{v:.4f}" for v in found.values], "difference": [f"{v:.5f}" for v in found.values]}
        shown = cells.get(found.measure, [found.text] if found.measure == "right" else [])
        if self.others:
            right = self.others * pictures.accuracy(outputs[counted:], self.judge.images.labels[counted:])
            shown.append(f"{right:.0f} of {self.others}")
        return [*shown, found.decibels]

    @property
    def quality_heads(self) -> list[str]:
        heads = {
            "right": ["accuracy", *["scikit-image's"] * (self.others > 0)],
            "cosine": ["cosine, mean", "cosine, smallest"],
            "difference": ["largest difference", "mean difference"],
            "sqnr": [],
        }
        return [*heads[self.judge.network.measure], "SQNR dB"]

    @property
    def float_cells(self) -> list[str]:
        outputs = self.judge.float
        if self.others:
            graph = import_onnx(self.judge.onnx)
            outputs = np.concatenate([outputs, graph.run(self.test[len(outputs) :])])
        return self.quality("float", outputs)

    @property
    def shown(self) -> list[str]:
        """The variants of this network."""
        left_out = {"budget 1 %": COUNTED, "half pruned": PRUNED, "half pruned, budget 6 dB": PRUNED}
        labels = LARGE.get(self.name, VARIANTS)
        return [label for label in labels if self.name in left_out.get(label, (self.name,))]


def macs(measured: Measured) -> int:
    """Multiplications of one image."""
    graph = import_onnx(measured.judge.onnx)
    return sum(
        node.weight[0].size * int(np.prod(graph.shapes[node.output])) for node in graph.nodes if node.op == "conv"
    )


def kinds(model) -> list[str]:
    """Percent of all weights that are zero, non-outlier, outlier."""
    weights = np.concatenate([layer.plan.weights.ravel() for layer in model.layers])
    return [f"{100 * share:.1f}" for share in weight_kinds(weights).values()]


def run(model, images: np.ndarray, device: str = "model"):
    with zeroskip.open_device(device, model.config) as opened:
        return model.run(opened, images)


def variants(measured: Measured, batch: int) -> str:
    """Accuracy, kinds of weights and cycles under every variant."""
    images, rows = measured.test[:batch], []
    default = run(measured.compile(DEFAULT), images).cycles
    for label in measured.shown:
        model = measured.compile(label)
        outputs = model.reference(measured.test)
        dense = run(reschedule(model, mode="dense", activation_skip=False), images)
        result = run(model, images)
        if not np.array_equal(result.outputs, outputs[:batch]):
            raise SystemExit(f"{measured.name}, {label}: the model device differs from the reference")
        speed = [f"{result.cycles:,}", f"{dense.cycles / result.cycles:.2f}", f"{default / result.cycles:.2f}"]
        rows.append([label, *measured.quality(label, outputs), *kinds(model), *speed])
        print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    rows.insert(0, ["float", *measured.float_cells, *[""] * 6])
    head = ["weights", *measured.quality_heads, "zero %", "non-outlier %", "outlier %", "cycles", "over dense"]
    return table([*head, "over default"], rows) + lost(measured)


def lost(measured: Measured) -> str:
    """What the budgets lose on the test images, as a sentence."""
    found = {label: ratio for label, ratio in measured.ratios.items() if label in ("budget 3 dB", "budget 6 dB")}
    words = ", ".join(f"{label} {measured.ratios[DEFAULT] - ratio:.1f} dB" for label, ratio in found.items())
    return f"\nLost on the test images, of the default's output SQNR: {words}.\n" if words else ""


def layers(measured: Measured, batch: int) -> str:
    """Cycles of every layer under every schedule."""
    model = measured.compile(DEFAULT)
    results = [
        run(reschedule(model, mode=mode, activation_skip=skip), measured.test[:batch]) for mode, skip in SCHEDULES
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
    judge = accuracy.Judge(name)
    model = judge.compile("tiny")
    some, reference = judge.test[:images], model.reference(judge.test)
    rtl, modelled = run(model, some, "sim"), run(model, some)
    equal = np.array_equal(rtl.outputs, reference[:images])
    same = [a.counters for a in rtl.layers] == [b.counters for b in modelled.layers]
    if not (equal and same):
        raise SystemExit(f"{name}: RTL, cycle model and reference differ")
    return [name, judge.quality(reference).text, str(images), f"{rtl.cycles:,}", "equal", "equal"]


def already_quantised(name: str) -> list[list[str]]:
    """A network as onnxruntime's static quantisation writes it: its own integers here and there, outputs compared."""
    judge, rows = accuracy.Judge(name), []
    for form in ("QDQ", "QOperator"):
        for per_channel in (False, True):
            file = quantised_models.quantise(
                judge.onnx.SerializeToString(), judge.images.calibration, form, per_channel=per_channel
            )
            rows.append([name, form, "filter" if per_channel else "layer", *against_onnxruntime(file, judge)])
    return rows


def against_onnxruntime(file: bytes, judge: accuracy.Judge) -> list[str]:
    """Cells: shares of outputs off by one step and more, and both accuracies, of a file's own integers."""
    model, exact = zeroskip.compile(file, CONFIG), run_onnx(file, judge.test)
    outputs = model.reference(judge.test)
    scale = np.float32(model.tensors[model.output].quant.scale)
    off = np.abs(np.rint(exact / scale) - np.rint(outputs / scale))
    share = f"{100 * np.mean(off == 1):.2f} % of {off.size:,}"
    right = [judge.quality(found).text for found in (exact, outputs)]
    return [share, str(np.sum(off > 1)), *right]


def timing(measured: Measured) -> str:
    """What compiling and running takes on the machine that writes the page."""
    model = measured.models[DEFAULT]
    start = time.process_time()
    run(model, measured.test[:1])
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    default, budget = (f"{measured.seconds[label]:.0f} s" for label in (DEFAULT, "budget 3 dB"))
    return (
        f"\nProcessor seconds ({platform.machine()}): compiled by default in {default}, with a "
        f"budget in {budget}; one image through the cycle model, integer results and exact counters of "
        f"{len(model.layers)} layers, in {seconds:.1f} s; peak memory of all of this {peak:.1f} GB.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=PAGE)
    parser.add_argument("--networks", nargs="*", default=[*BIG, *SMALL], choices=[*BIG, *SMALL])
    arguments = parser.parse_args()
    if missing := {package for network in zoo.NETWORKS.values() for package in network.missing}:
        raise SystemExit(f"not installed: {', '.join(sorted(missing))}; run: make networks")
    batch = dict.fromkeys(BIG, 1) | dict.fromkeys(SMALL, 8)
    text = []
    for name in arguments.networks:
        measured = Measured(name)
        text.append(f"\n## {name}\n\n{TITLES[name]} {macs(measured) / 1e6:,.1f} M MACs per image.\n")
        text.append(variants(measured, batch[name]))
        if name in DETAILED:
            opened = f"\n<details><summary>Every layer, {DEFAULT}</summary>\n\n"
            text.append(opened + layers(measured, batch[name]) + "\n</details>\n")
        if name == arguments.networks[0]:
            text.append(timing(measured))
    head = ["network", "form", "weight scales per", "outputs off by one step", "by more", "accuracy, onnxruntime"]
    rows = [row for name in ("demo", "digit-recognizer") for row in already_quantised(name)]
    int8 = accuracy.Judge("CIFAR-10 ResNet int8")
    rows.append([int8.name, "TFLite's integers", "filter", *against_onnxruntime(int8.onnx.SerializeToString(), int8)])
    quantised = table([*head, "accuracy, zeroskip"], rows)
    rows = [through_rtl(name, 2) for name in SMALL]
    rtl = table(
        ["network", "accuracy", "images", "cycles", "outputs against reference", "counters against model"], rows
    )
    page = TEMPLATE.read_text(encoding="utf-8").format(
        networks="\n".join(text), quantised=quantised, rtl=rtl, commit=commit()
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(arguments.output, page)
    print(arguments.output)


if __name__ == "__main__":
    main()
