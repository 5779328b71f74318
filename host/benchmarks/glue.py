"""What the HLS glue takes off the host: NumPy time per layer of the digits network, with and without it.

``python host/benchmarks/glue.py [--config z2] [--images 16] [--repeat 5]`` runs the network on the Verilated simulator
three times: sums finished by the host; activations finished by act_finish; the same with zeros left out of the
streams. What the device answered is kept and played back, so that the times (best of ``--repeat``) are those of the
host alone: building streams, reading results, requantising. KiB are what the DMA moves, both ways.
All three must equal the integer reference, bit for bit.
"""

from __future__ import annotations

import argparse
import contextlib
import time

import numpy as np

import zeroskip as zs
from zeroskip.examples import digits
from zeroskip.runtime import network

WAYS = (("host", False, False), ("glue", True, False), ("glue, no zeros", True, True))


class Playback:
    """A device that answers with what a real one answered, and counts the words that pass."""

    def __init__(self, device) -> None:
        self.config, self.glue, self.compress = device.config, device.glue, device.compress
        self.device, self.answers = device, []
        self.next = self.beats = 0

    def execute(self, words, out_beats, **options):
        if self.device is not None:
            self.answers.append(self.device.execute(words, out_beats, **options))
        answer = self.answers[self.next % len(self.answers)]
        self.next += 1
        self.beats += len(words) + len(answer[0])
        return answer


@contextlib.contextmanager
def timed_layers(playback: Playback):
    """Yields {layer: [seconds, beats]} of the layers run inside, the host's bookkeeping of results left out."""
    found: dict[str, list[float]] = {}
    original = network.conv.run_layer

    def run_layer(device, plan, *arguments):
        before = playback.beats
        start = time.perf_counter()
        answer = original(device, plan, *arguments)
        entry = found.setdefault(plan.name, [0.0, 0])
        entry[0] += time.perf_counter() - start
        entry[1] += playback.beats - before
        return answer

    network.conv.run_layer = run_layer
    try:
        yield found
    finally:
        network.conv.run_layer = original


def measure(config: str, glue: bool, compress: bool, model, images, repeat: int) -> dict[str, tuple[float, int]]:
    """Per layer: seconds of host work, and beats moved."""
    with zs.open_device("sim", config, glue=glue) as device:
        device.compress = compress
        playback = Playback(device)
        result = model.run(playback, images)
    if not np.array_equal(result.integers, model.reference_integers(images)):
        raise SystemExit("the outputs differ from the integer reference")
    playback.device, best = None, {}
    for _ in range(repeat):
        playback.next = 0
        with timed_layers(playback) as found:
            model.run(playback, images)
        for name, (seconds, beats) in found.items():
            best[name] = min(best.get(name, (seconds, beats)), (seconds, beats))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="tiny")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    data = digits.load()
    images = data.test[: arguments.images]
    model = zs.compile(digits.MODEL_PATH, arguments.config, data.calibration)
    found = [measure(arguments.config, *way[1:], model, images, arguments.repeat) for way in WAYS]
    print(f"digits network, {arguments.images} images, {arguments.config}; host work of a layer in ms, DMA in KiB")
    print(f"{'layer':>24}" + "".join(f"{name + ' ms':>20}{'KiB':>8}" for name, *_ in WAYS))
    rows = [(name, [way[name] for way in found]) for name in found[0]]
    rows.append(("all", [tuple(map(sum, zip(*way.values(), strict=True))) for way in found]))
    for name, ways in rows:
        print(f"{name:>24}" + "".join(f"{1e3 * seconds:20.2f}{beats / 128:8.0f}" for seconds, beats in ways))


if __name__ == "__main__":
    main()
