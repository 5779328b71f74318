"""The self-test of a device: is it the hardware it should be, does it move data, does it compute exactly?

Needs NumPy and pynq only; layers are compiled where the compiler is installed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..errors import DeviceError, InputError, ZeroskipError
from .counters import Counters
from .driver import Accelerator
from .probe import Probe, echo, random_steps

SEED = 20260101


@dataclass(frozen=True)
class Check:
    """One part of the self-test.

    Args:
        name: what is tested.
        passed: True, False, or None where it cannot be tested here.
        detail: what was found.
    """

    name: str
    passed: bool | None
    detail: str

    def __str__(self) -> str:
        verdict = {True: "ok", False: "FAILED", None: "skipped"}[self.passed]
        return f"{verdict:8} {self.name}: {self.detail}"


def selftest(device: Accelerator, *, rounds: int = 4, seed: int = SEED, model=None) -> Iterator[Check]:
    """Test a device, one check after the other.

    Args:
        device: open; opening has compared ID, version and configuration hash already.
        rounds: how often each random test is repeated.
        seed: of everything random.
        model: a compiled :class:`~zeroskip.runtime.network.Model` to run as well.

    Yields:
        Check: a device that refuses, times out or computes wrongly is a failed check, not an exception.
    """
    yield Check("identity", True, f"configuration {device.config.name!r}, hash 0x{device.config.hash:08X}")
    yield _guarded("DMA loop", lambda: _dma_loop(device, rounds, seed))
    yield _guarded("random schedules", lambda: _random_schedules(device, rounds, seed))
    yield _guarded("random layers", lambda: _random_layers(device, rounds, seed))
    if model is not None:
        yield _guarded("network", lambda: _network(device, model, seed))


def _guarded(name: str, test: Callable[[], str | None]) -> Check:
    try:
        detail = test()
    except ZeroskipError as error:
        return Check(name, False, str(error))
    skipped = detail.startswith("not ")
    return Check(name, None if skipped else True, detail)


def _execute(device: Accelerator, probe: Probe, what: str) -> Counters:
    """Run a probe; the sums must be exact and the counters plausible.

    Raises:
        DeviceError: they are not; the message has the first wrong word.
    """
    words, expected = probe.stream(), probe.expected()
    began = time.perf_counter()
    found, counters = device.execute(words, len(expected))
    seconds = time.perf_counter() - began
    if wrong := np.flatnonzero(found != expected).tolist():
        at = wrong[0]
        raise DeviceError(
            f"{what}: {len(wrong)} of {len(expected)} words of sums are wrong, first word {at}: "
            f"0x{int(found[at]):016X}, expected 0x{int(expected[at]):016X}"
        )
    problems = implausible(counters, words.size, len(expected), probe.steps)
    # No clock of the fabric reaches 300 MHz; a simulation has no such clock.
    if device.kind == "board" and counters.cycles > 300e6 * seconds:
        problems.append(f"{counters.cycles} cycles in {seconds * 1e6:.0f} us")
    if problems:
        raise DeviceError(f"{what}: counters are not plausible: {'; '.join(problems)}")
    return counters


def implausible(counters: Counters, words: int, beats: int, steps: int | None = None) -> list[str]:
    """What cannot be true about a run's counters; empty when all is well.

    Args:
        counters: of one transfer.
        words, beats: 64-bit words sent and received.
        steps: schedule steps of all pixels, where known.
    """
    c = counters
    checks = {
        f"{c.beats_in} words in, {words} sent": c.beats_in == words,
        f"{c.beats_out} words out, {beats} received": c.beats_out == beats,
        f"{c.cycles} cycles, but busy and stalls are {c.busy + c.stall_input + c.stall_output}": c.cycles
        == c.busy + c.stall_input + c.stall_output,
        f"{c.cycles} cycles for {words} words in": c.cycles >= words,
        f"{c.steps} steps in {c.busy} busy cycles": c.steps <= c.busy,
    }
    if steps is not None:
        checks[f"{c.steps} steps and {c.dead_steps} dropped, {steps} scheduled"] = c.steps + c.dead_steps == steps
    return [text for text, holds in checks.items() if not holds]


def _dma_loop(device: Accelerator, rounds: int, seed: int) -> str:
    """Activations come back as sums, at sizes around the length of a burst and up to the whole memory."""
    if device.config.engine != "trident":
        return f"not for engine {device.config.engine!r}"
    sizes = [1, 2, 15, 16, 17, 31, min(device.config.columns, 511), device.config.columns]
    words = 0
    for index in range(max(rounds, len(sizes))):
        probe = echo(device.config, min(sizes[index % len(sizes)], device.config.columns), seed + index)
        _execute(device, probe, f"echo of {len(probe.sums[0])} columns")
        words += len(probe.words)
    return f"{words} words sent, all activations came back"


def _random_schedules(device: Accelerator, rounds: int, seed: int) -> str:
    if device.config.engine != "trident":
        return f"not for engine {device.config.engine!r}"
    total = Counters.zero()
    for index in range(rounds):
        total += _execute(device, random_steps(device.config, seed + index), f"random schedule {seed + index}")
    return f"{total.steps} steps exact, {total.dead_steps} dropped, {total.cycles} cycles"


def _random_layers(device: Accelerator, rounds: int, seed: int) -> str:
    try:
        from ..compiler.conv import compile_conv
    except ImportError as error:
        return f"not without the compiler ({error.name} is missing); give a compiled network with --model"
    from ..models.reference import conv2d
    from .conv import run_plan

    rng = np.random.default_rng(seed)
    macs, total = 0, Counters.zero()
    for index in range(rounds):
        k, c, size, kernel = (int(rng.integers(low, high)) for low, high in ((1, 20), (1, 20), (4, 12), (1, 4)))
        w = rng.integers(-127, 128, (k, c, kernel, kernel)).astype(np.int8)
        w[rng.random(w.shape) < 0.5] = 0
        x = rng.integers(-255, 256, (1, c, size, size)).astype(np.int16)
        x[rng.random(x.shape) < 0.4] = 0
        stride, pad = int(rng.integers(1, 3)), int(rng.integers(0, kernel))
        plan = compile_conv(device.config, w, stride=(stride, stride), padding=(pad,) * 4, name=f"random layer {index}")
        sums, counters = run_plan(device, plan, x)
        expected = conv2d(x, w, (stride, stride), (pad,) * 4, (1, 1), 1)
        if not np.array_equal(sums, expected):
            wrong = int((sums != expected).sum())
            raise DeviceError(f"layer {w.shape} on a {size} x {size} map: {wrong} of {sums.size} sums are wrong")
        if problems := implausible(counters, counters.beats_in, counters.beats_out):
            raise DeviceError(f"layer {w.shape}: counters are not plausible: {'; '.join(problems)}")
        macs += sums.size * w[0].size
        total += counters
    return f"{rounds} layers, {macs:,} MACs exact in {total.cycles:,} cycles"


def _network(device: Accelerator, model, seed: int) -> str:
    rng = np.random.default_rng(seed)
    try:
        images = rng.random((2, *model.input_shape), dtype=np.float32)
        outputs = model.run(device, images).outputs
    except InputError as error:
        raise DeviceError(f"the network does not run: {error}") from error
    if not np.array_equal(outputs, model.reference(images)):
        raise DeviceError("the network's outputs differ from the integer reference")
    return f"{len(images)} random images, outputs exact"
