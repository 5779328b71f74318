"""The self-test of a device: is it the hardware it should be, does it move data, does it compute exactly?

Needs NumPy and pynq only: its layers are small enough to be compiled without numba.  They are the same for every
engine, and every transfer's counters are checked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engines import engine_of
from ..errors import DeviceError, InputError, ZeroskipError
from ..hardware.config import Config
from .conv import run_plan
from .counters import Counters
from .driver import Accelerator
from .results import equal

SEED = 20260101

_BURST = 16
"""Words of a full burst of the DMA."""

_FASTEST = 300e6
"""No clock of the fabric reaches so many hertz."""


@dataclass(frozen=True)
class Check:
    """One part of the self-test.

    Args:
        name: what is tested.
        passed: whether all was well.
        detail: what was found.
    """

    name: str
    passed: bool
    detail: str

    def __str__(self) -> str:
        return f"{'ok' if self.passed else 'FAILED':8} {self.name}: {self.detail}"


def selftest(device: Accelerator, *, rounds: int = 4, seed: int = SEED, model=None) -> Iterator[Check]:
    """Test a device, one check after the other.

    Args:
        device: open; opening has compared ID, version and configuration hash already.
        rounds: random layers in each of the engine's modes.
        seed: of everything random.
        model: a compiled :class:`~zeroskip.runtime.network.Model` to run as well.

    Yields:
        Check: a device that refuses, times out or computes wrongly is a failed check, not an exception.
    """
    yield Check("identity", True, f"configuration {device.config.name!r}, hash 0x{device.config.hash:08X}")
    watched = _Watched(device)
    yield _guarded("DMA loop", lambda: _dma_loop(watched, seed))
    yield _guarded("random layers", lambda: _random_layers(watched, rounds, seed))
    if model is not None:
        yield _guarded("network", lambda: _network(watched, model, seed))


def _guarded(name: str, test: Callable[[], str]) -> Check:
    try:
        return Check(name, True, test())
    except ZeroskipError as error:
        return Check(name, False, str(error))


class _Watched:
    """A device whose counters must be plausible after every transfer."""

    def __init__(self, device: Accelerator) -> None:
        self._device = device
        self.words = self.cycles = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def execute(self, words: np.ndarray, out_beats: int, **options: Any) -> tuple[np.ndarray, Counters]:
        began = time.perf_counter()
        out, counters = self._device.execute(words, out_beats, **options)
        seconds = time.perf_counter() - began
        problems = implausible(counters, len(words), len(out), self._device.glue)
        if self._device.kind == "board" and counters.cycles > _FASTEST * seconds:
            problems.append(f"{counters.cycles} cycles in {seconds * 1e6:.0f} us")
        if problems:
            raise DeviceError(f"counters are not plausible: {'; '.join(problems)}")
        self.words += len(words)
        self.cycles += counters.cycles
        return out, counters


def implausible(counters: Counters, words: int, beats: int, glue: bool = False) -> list[str]:
    """What cannot be true about a run's counters; empty when all is well.

    Args:
        counters: of one transfer.
        words, beats: 64-bit words sent and received.
        glue: the HLS kernels stand between DMA and engine, and change their number.
    """
    c = counters
    checks = {
        f"{c.beats_in} words in, {words} sent": glue or c.beats_in == words,
        f"{c.beats_out} words out, {beats} received": glue or c.beats_out == beats,
        f"{c.cycles} cycles, but busy and stalls are {c.busy + c.stall_input + c.stall_output}": c.cycles
        == c.busy + c.stall_input + c.stall_output,
        f"{c.cycles} cycles for {c.beats_in} words in": c.cycles >= c.beats_in,
        f"{c.steps} steps in {c.busy} busy cycles": c.steps <= c.busy,
    }
    return [text for text, holds in checks.items() if not holds]


def _check_layer(device: _Watched, w: np.ndarray, x: np.ndarray, name: str, **options: Any) -> int:
    """Compile and run a convolution; returns the number of sums.

    Raises:
        DeviceError: a sum is wrong; the message has the first.
    """
    from ..compiler.conv import compile_conv
    from ..models.reference import conv2d

    stride, padding = options.setdefault("stride", (1, 1)), options.setdefault("padding", (0, 0, 0, 0))
    plan = compile_conv(device.config, w, name=name, input_shape=x.shape[2:], **options)
    sums, _ = run_plan(device, plan, x)
    expected = conv2d(x, w, stride, padding)
    if len(wrong := np.argwhere(sums != expected)):
        at = tuple(wrong[0].tolist())
        raise DeviceError(
            f"{name}, weights {w.shape}, map {x.shape}: {len(wrong)} of {sums.size} sums are wrong, the first at "
            f"{at}: {sums[at]}, expected {expected[at]}"
        )
    return sums.size


def _dma_loop(device: _Watched, seed: int) -> str:
    """Layers whose sums are their activations, of sizes around a burst, and one of many bursts."""
    rng = np.random.default_rng(seed)
    limit = device.config.act_max
    shapes = [(1, 1, pixels) for pixels in (1, 2, _BURST - 1, _BURST, _BURST + 1, 2 * _BURST - 1, 4 * _BURST)]
    for channels, height, width in [*shapes, (16, 32, 32)]:
        x = rng.integers(-limit, limit + 1, (1, channels, height, width)).astype(np.int16)
        w = np.eye(channels, dtype=np.int8).reshape(channels, channels, 1, 1)
        _check_layer(device, w, x, f"loop of {x.size} activations")
    return f"{device.words} words sent, all activations came back"


def _weights(config: Config, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Weights over the whole range of the build, half of them zero, half of the others small."""
    if config.weight_w == 5:  # powers of two
        w = rng.choice([-1, 1], shape) << rng.integers(0, 15, shape)
    else:
        top = (1 << config.weight_w - 1) - 1
        w = np.where(rng.random(shape) < 0.5, rng.integers(-8, 8, shape), rng.integers(-top, top + 1, shape))
    w[rng.random(shape) < 0.5] = 0
    return w.astype(np.int8 if config.weight_w == 8 else np.int16)


def _random_layers(device: _Watched, rounds: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    modes = engine_of(device.config).modes
    macs, before = 0, device.cycles
    for index in range(rounds * len(modes)):
        k, c, size, kernel = (int(rng.integers(low, high)) for low, high in ((1, 20), (1, 20), (4, 12), (1, 4)))
        w = _weights(device.config, rng, (k, c, kernel, kernel))
        x = rng.integers(-255, 256, (1, c, size, size)).astype(np.int16)
        x[rng.random(x.shape) < 0.4] = 0
        stride, pad = int(rng.integers(1, 3)), int(rng.integers(0, kernel))
        name = f"random layer {index}, {modes[index % len(modes)]}"
        options = {"stride": (stride, stride), "padding": (pad,) * 4, "mode": modes[index % len(modes)]}
        macs += w[0].size * _check_layer(device, w, x, name, **options)
    return f"{rounds * len(modes)} layers, {macs:,} MACs exact in {device.cycles - before:,} cycles"


def _network(device: _Watched, model, seed: int) -> str:
    rng = np.random.default_rng(seed)
    try:
        images = rng.random((2, *model.input_shape), dtype=np.float32)
        if model.input_type != "float32":
            limits = np.iinfo(model.input_type)
            images = rng.integers(limits.min, limits.max, images.shape, model.input_type, endpoint=True)
        outputs = model.run(device, images).outputs
    except InputError as error:
        raise DeviceError(f"the network does not run: {error}") from error
    if not equal(outputs, model.reference(images)):
        raise DeviceError("the network's outputs differ from the integer reference")
    return f"{len(images)} random images, outputs exact"
