"""AlexNet and VGG-16 as ZeNA saw them: shapes, published densities, and random layers with those densities.

Neither the pruned networks nor their activations are public, so the layers are random, with the
published shares of non-zeros (``LAYERS``), from a seed.  Running this file prints the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Pruned:
    """A convolutional layer and two published sets of densities (shares of non-zeros).

    Attributes:
        channels, filters, taps, stride, padding, groups, size: of the layer; square kernels and (input) maps.
        first: weights, input activations.  AlexNet: the slides of ZeNA (weights: Han et al., NIPS 2015).
            VGG-16: Han's weights; activations are those commonly reported for the layer before.
        second: the same from the authors of SCNN (ISCA 2017).
        eyeriss: processing elements, of 168, that are active in Eyeriss' mapping of the layer.
    """

    name: str
    channels: int
    filters: int
    taps: int
    stride: int
    padding: int
    groups: int
    size: int
    first: tuple[float, float]
    second: tuple[float, float]
    eyeriss: int

    @property
    def out_size(self) -> int:
        return (self.size + 2 * self.padding - self.taps) // self.stride + 1

    @property
    def macs(self) -> int:
        """Multiplications of one image."""
        return self.filters * self.channels // self.groups * self.taps**2 * self.out_size**2


EYERISS_PES = 168

ALEXNET = (
    Pruned("conv1", 3, 96, 11, 4, 0, 1, 227, (0.843, 1.0), (0.710, 1.0), 154),
    Pruned("conv2", 96, 256, 5, 1, 2, 2, 27, (0.379, 0.491), (0.379, 0.935), 135),
    Pruned("conv3", 256, 384, 3, 1, 1, 1, 13, (0.346, 0.237), (0.346, 0.528), 156),
    Pruned("conv4", 384, 384, 3, 1, 1, 2, 13, (0.372, 0.382), (0.372, 0.389), 156),
    Pruned("conv5", 384, 256, 3, 1, 1, 2, 13, (0.369, 0.410), (0.369, 0.429), 156),
)

_VGG = (
    # channels, filters, size, first set: weights, output; second set: weights, input
    ("1_1", 3, 64, 224, 0.58, 0.53, 0.565, 1.0),
    ("1_2", 64, 64, 224, 0.22, 0.89, 0.217, 0.506),
    ("2_1", 64, 128, 112, 0.34, 0.80, 0.338, 0.897),
    ("2_2", 128, 128, 112, 0.36, 0.81, 0.355, 0.787),
    ("3_1", 128, 256, 56, 0.53, 0.68, 0.529, 0.813),
    ("3_2", 256, 256, 56, 0.24, 0.70, 0.235, 0.639),
    ("3_3", 256, 256, 56, 0.42, 0.64, 0.417, 0.688),
    ("4_1", 256, 512, 28, 0.32, 0.51, 0.321, 0.707),
    ("4_2", 512, 512, 28, 0.27, 0.45, 0.266, 0.501),
    ("4_3", 512, 512, 28, 0.34, 0.34, 0.343, 0.451),
    ("5_1", 512, 512, 14, 0.35, 0.32, 0.352, 0.393),
    ("5_2", 512, 512, 14, 0.29, 0.29, 0.286, 0.330),
    ("5_3", 512, 512, 14, 0.36, 0.19, 0.363, 0.306),
)


def _vgg16() -> tuple[Pruned, ...]:
    layers, before = [], 1.0
    for name, channels, filters, size, weights, output, weights2, input2 in _VGG:
        active = 156 if name[0] in "123" else 168
        layers.append(
            Pruned(f"conv{name}", channels, filters, 3, 1, 1, 1, size, (weights, before), (weights2, input2), active)
        )
        before = output
    return tuple(layers)


VGG16 = _vgg16()


def weights(rng: np.random.Generator, layer: Pruned, density: float, spread: float) -> np.ndarray:
    """int8 (K, C / groups, R, S), normally distributed, pruned by magnitude to ``density``.

    Args:
        spread: standard deviation of the logarithm of the filters' scales before pruning.  With 0 all filters
            have nearly the same number of weights left; trained networks differ (ZeNA's slides show it for conv3
            of AlexNet, without numbers).
    """
    shape = (layer.filters, layer.channels // layer.groups, layer.taps, layer.taps)
    w = rng.standard_normal(shape, np.float32) * np.exp(rng.normal(0, spread, (shape[0], 1, 1, 1))).astype(np.float32)
    kept = np.sort(np.abs(w), axis=None)[round((1 - density) * w.size) :]
    # The project's default scale: 97 % of the non-zero weights are non-outliers, up to 7.
    scale = kept[int(0.97 * (len(kept) - 1))] / 7
    whole = np.copysign(np.maximum(np.rint(np.abs(w) / scale), 1).clip(max=127), w)
    return np.where(np.abs(w) >= kept[0], whole, 0).astype(np.int8)


def activations(rng: np.random.Generator, layer: Pruned, density: float, images: int, structured: bool) -> np.ndarray:
    """int16 (images, C, H, W), 0 to 255, with the share ``density`` of non-zeros.

    Args:
        structured: smooth maps behind a ReLU, channels of different strength, as a network makes them; else every
            activation is zero or not independently of all others.
    """
    shape = (images, layer.channels, layer.size, layer.size)
    x = rng.standard_normal(shape, np.float32)
    if not structured:
        return np.where(rng.random(shape, np.float32) < density, 1 + np.abs(x * 60).clip(0, 254), 0).astype(np.int16)
    for axis in (2, 3):  # blobs of about three pixels
        x = x + 0.8 * (np.roll(x, 1, axis) + np.roll(x, -1, axis))
    x = x / x.std() + rng.normal(0, 0.5, (1, layer.channels, 1, 1)).astype(np.float32)
    threshold = np.partition(x, int((1 - density) * (x.size - 1)), axis=None)[int((1 - density) * (x.size - 1))]
    return np.ceil(np.maximum(x - threshold, 0) * 60).clip(max=255).astype(np.int16)


def random_layer(layer: Pruned, densities: tuple[float, float], *, images=1, spread=0.2, structured=False, seed=1):
    """Activations and weights of a layer at the given densities; the same seed gives the same layer."""
    rng = np.random.default_rng([seed, layer.filters, layer.channels, layer.size])
    w = weights(rng, layer, densities[0], spread)
    return activations(rng, layer, densities[1], images, structured), w


def main() -> None:
    for title, layers in (("AlexNet", ALEXNET), ("VGG-16", VGG16)):
        print(f"{title}: layer, million MACs, densities of weights and activations, Eyeriss' active elements")
        for layer in layers:
            sets = "   ".join(f"{w:.3f} x {a:.3f}" for w, a in (layer.first, layer.second))
            print(f"{layer.name:>8} {layer.macs / 1e6:8.1f}   {sets} {layer.eyeriss:6}")


if __name__ == "__main__":
    main()
