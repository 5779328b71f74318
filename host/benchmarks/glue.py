"""What the HLS glue gains: NumPy time per layer of the digits network, or cycles of whole networks.

``python host/benchmarks/glue.py [--config z2] [--images 16] [--repeat 5]`` runs the digits network on the Verilated
simulator three times: sums finished by the host; activations finished by act_finish; the same with zeros left out of
the streams. What the device answered is kept and played back, so that the times (best of ``--repeat``) are those of the
host alone: building streams, reading results, requantising. KiB are what the DMA moves, both ways.

``python host/benchmarks/glue.py --networks demo EfficientNet-Lite0 ... [--builds z2 gather]`` runs one image through
networks of ``tests/networks`` (``make networks`` installs them) the same three ways, kernels and Verilog simulated
together, and prints cycles, from a transfer's first input beat to its last sum, and accuracy. It takes a minute or two
per network. hls/README.md has the same cycles from the cycle model (``gather.py``).

All outputs must equal the integer reference, bit for bit.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time

import numpy as np
from _markdown import REPOSITORY, table

sys.path.insert(0, str(REPOSITORY / "tests" / "networks"))

import zeroskip as zs
from zeroskip.compiler.network import reschedule
from zeroskip.examples import digits
from zeroskip.runtime import conv

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
    original = conv.run_layer

    def run_layer(device, plan, *arguments):
        before = playback.beats
        start = time.perf_counter()
        answer = original(device, plan, *arguments)
        entry = found.setdefault(plan.name, [0.0, 0])
        entry[0] += time.perf_counter() - start
        entry[1] += playback.beats - before
        return answer

    conv.run_layer = run_layer
    try:
        yield found
    finally:
        conv.run_layer = original


def check(result, expected: np.ndarray) -> None:
    if not np.array_equal(result.integers, expected):
        raise SystemExit("the outputs differ from the integer reference")


def measure(config: str, glue: bool, compress: bool, model, images, repeat: int) -> dict[str, tuple[float, int]]:
    """Per layer: seconds of host work, and beats moved."""
    with zs.open_device("sim", config, glue=glue) as device:
        device.compress = compress
        playback = Playback(device)
        check(model.run(playback, images), model.reference_integers(images))
    playback.device, best = None, {}
    for _ in range(repeat):
        playback.next = 0
        with timed_layers(playback) as found:
            model.run(playback, images)
        for name, (seconds, beats) in found.items():
            best[name] = min(best.get(name, (seconds, beats)), (seconds, beats))
    return best


def host_times(config: str, count: int, repeat: int) -> None:
    data = digits.load()
    images = data.test[:count]
    model = zs.compile(digits.MODEL_PATH, config, data.calibration)
    found = [measure(config, *way[1:], model, images, repeat) for way in WAYS]
    print(f"digits network, {count} images, {config}; host work of a layer in ms, DMA in KiB")
    print(f"{'layer':>24}" + "".join(f"{name + ' ms':>20}{'KiB':>8}" for name, *_ in WAYS))
    rows = [(name, [way[name] for way in found]) for name in found[0]]
    rows.append(("all", [tuple(map(sum, zip(*way.values(), strict=True))) for way in found]))
    for name, ways in rows:
        print(f"{name:>24}" + "".join(f"{1e3 * seconds:20.2f}{beats / 128:8.0f}" for seconds, beats in ways))


def network_cycles(names: list[str], builds: list[str], kind: str) -> str:
    """A table of networks."""
    import accuracy

    rows = []
    for name in names:
        judge = accuracy.judge(name)
        images = judge.test[:1]
        compiled = judge.compile(builds[0])
        quality = judge.quality(compiled.reference(judge.test)).text
        expected = compiled.reference_integers(images)
        for build in builds:
            model = reschedule(compiled, build)
            cells, cycles, waits, speeds = [], [], [], []
            for _, glue, compress in WAYS:
                with zs.open_device(kind, build, glue=glue) as device:
                    device.compress = compress
                    start = time.perf_counter()
                    result = model.run(device, images)
                    speeds.append(result.cycles / (time.perf_counter() - start))
                check(result, expected)
                cycles.append(result.cycles)
                waits.append(sum(layer.counters.stall_output for layer in result.layers) / result.cycles)
                cells += [f"{result.cycles:,}", f"{cycles[0] / result.cycles:.2f}×"]
            rows.append([f"{name}, `{build}`", quality, judge.float_text, cells[0], *cells[2:]])
            print(
                f"{name}, {build}: {quality}; cycles {cycles}; waiting for the output {waits[0]:.0%}, with glue "
                f"{waits[1]:.0%}; simulated cycles per second {' / '.join(f'{speed:,.0f}' for speed in speeds)}",
                file=sys.stderr,
                flush=True,
            )
    head = ["network, build", "accuracy", "float", "without glue, cycles", "glue, cycles", "gain", "glue, no zeros"]
    return table([*head, "gain"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="tiny")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="cycles and accuracy of these networks instead")
    parser.add_argument("--device", choices=("sim", "model"), default="sim", help="with --networks: sim is the Verilog")
    parser.add_argument("--builds", nargs="+", default=["z2", "gather"], help="with --networks: on these builds")
    arguments = parser.parse_args()
    if arguments.networks:
        print(network_cycles(arguments.networks, arguments.builds, arguments.device))
    else:
        host_times(arguments.config, arguments.images, arguments.repeat)


if __name__ == "__main__":
    main()
