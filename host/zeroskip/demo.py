"""``zeroskip demo``: real handwritten digits through the Verilog, checked against everything else.

The digits network is scheduled four ways; each runs on the Verilated RTL and on the fast model.  Both
must return the integer reference's outputs bit for bit, and the RTL's counters must be the model's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from . import compile, open_device
from .engines import engine_of
from .errors import InputError
from .examples import digits
from .extras import need
from .hardware.config import Config
from .progress import step
from .report.data import Report, Run
from .report.measured import conditions, configuration, graph, measured_run
from .runtime.network import Model
from .runtime.results import Result
from .text import counted

TITLE = "VGG-6 on handwritten digits"

BUDGET = "1%"
"""Of the network's answers: small weights, that the engine pairs, as far as they change no more."""

Schedule = tuple[str, bool]
"""Mode, activation skip."""

Results = Mapping[tuple[str, str, bool], Result]
"""(device kind, mode, activation skip) -> what came out."""


def schedules(config: Config) -> list[Schedule]:
    """What a report compares: every mode of the engine, as it orders them; of schedules also with activation skip."""
    engine = engine_of(config)
    compared = [(mode, False) for mode in engine.modes]
    return compared + ([(engine.modes[-1], True)] if engine.activation_skip else [])


def run_demo(config: str | Path = "tiny", images: int = 16, glue: bool | None = None) -> Report:
    """Run the demo with progress on stderr; the report's checks say whether all agreed.

    Args:
        config: build configuration.
        images: how many of the held-out images go through the RTL and the fast model.
        glue: with the HLS kernels around the engine.

    Raises:
        InputError: a number of images that is not there.
        ToolError: a package, Verilator or the C++ compiler is missing.
        ConfigError, DeviceError: as ``open_device``.
    """
    data = digits.load()
    if not 1 <= images <= len(data.test):
        raise InputError(f"--images {images}; accepted: 1 to {len(data.test)}")
    batch, labels = data.test[:images], data.test_labels[:images]
    need("compile", "the demo")
    from .compiler.network import compare, reschedule

    with step("compile (the first time also translates the compiler to machine code)") as progress:
        weights = {"budget": BUDGET, "activation_skip": False}
        combined = compile(digits.MODEL_PATH, config, data.calibration, **weights, progress=progress)
        models = {key: reschedule(combined, mode=key[0], activation_skip=key[1]) for key in schedules(combined.config)}
    with step(f"accuracy on {len(data.test)} held-out images"):
        agreement = compare(digits.MODEL_PATH, combined, data.test, data.test_labels)
        expected = combined.reference(batch)

    results = {}
    for kind, what in (("model", "fast model"), ("sim", "Verilated RTL")):
        with step(f"open {what}" + (" (the first time builds it)" if kind == "sim" else "")):
            device = open_device(kind, config, glue=glue)
        with device:
            for (mode, skip), model in models.items():
                label = Run(mode, skip, "", ()).label
                with step(f"{what}, {label}, {counted(images, 'image')}") as progress:
                    results[kind, mode, skip] = model.run(device, batch, progress)

    simulated = digits.accuracy(results[("sim", *next(iter(models)))].outputs, labels)
    return Report(
        title=TITLE,
        images=images,
        config=configuration(combined),
        runs=tuple(measured_run(model, "sim", results[("sim", *key)]) for key, model in models.items()),
        conditions=conditions(combined.info, "sim", glue),
        accuracy={
            "accuracy, 8-bit integers": f"{100 * agreement.integer_accuracy:.1f} % ({len(data.test)} held-out images)",
            "accuracy, float": f"{100 * agreement.float_accuracy:.1f} % (the same images)",
            "integer and float choose the same digit": f"{100 * agreement.same_top1:.1f} %",
            "right answers of the RTL": f"{round(simulated * images)} of {images}",
        },
        checks=checks(models, results, expected),
        graph=graph(combined),
    )


def checks(models: Mapping[Schedule, Model], results: Results, expected: np.ndarray) -> list[tuple[str, bool]]:
    """What was compared and whether it held; a row that failed names the schedules at fault."""

    def row(text: str, holds) -> tuple[str, bool]:
        failed = [Run(*key, "", ()).label for key in models if not holds(key)]
        return text + (f"; not so: {', '.join(failed)}" if failed else ""), not failed

    def equals(kind: str):
        return lambda key: np.array_equal(results[(kind, *key)].outputs, expected)

    def counters(kind: str, key) -> list:
        return [layer.counters for layer in results[(kind, *key)].layers]

    count = f"all {len(models)} schedules"
    return [
        row(f"outputs of the Verilated RTL equal the integer reference bit for bit, {count}", equals("sim")),
        row(f"outputs of the fast model equal the integer reference bit for bit, {count}", equals("model")),
        row(
            f"every counter of the RTL equals the fast model's, every layer, {count}",
            lambda key: counters("sim", key) == counters("model", key) and all(c.cycles for c in counters("sim", key)),
        ),
    ]
