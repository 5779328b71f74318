"""What each command of ``zeroskip`` does; ``cli.py`` has their grammar.

Each function takes the parsed options and returns the exit status, or None for 0.  Files are written
last and whole, after everything that can go wrong has gone right.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

from .errors import InputError, ModelError
from .extras import need
from .files import check_outputs, read_array, write_array, write_atomic
from .hardware.config import BOARD, Config, get_config
from .progress import step
from .runtime.zsk import is_zsk
from .text import counted

_COMPILE_OPTIONS = (
    "calibration", "outputs", "input_shape", "labels", "budget", "scale_rule", "per", "percentile", "clip", "prune",
    "mode", "activation_skip",
)  # fmt: skip
_RULE_OPTIONS = ("scale_rule", "per", "percentile", "clip")


def compile(options) -> None:
    """``zeroskip compile``"""
    check_outputs(options.output, read=(options.model, options.calibration, options.labels))
    get_config(options.config)
    calibration = None if options.calibration is None else _images(options.calibration, "calibration images")
    model = _compile(options, options.config, calibration)
    model.save(options.output)
    layers = counted(len(model.layers), "layer")
    print(f"{options.output}: {Path(options.output).stat().st_size:,} bytes, {layers} on the engine")
    if "budget" in model.info:
        unit = "dB of output SQNR" if "dB" in model.info["budget"] else "points of accuracy"
        print(f"budget {model.info['budget']}: {model.info['budget_used']:.2f} {unit} lost against plain 8-bit weights")
        layers = model.info["layers"].values()
        before = sum(layer.get("plain_cycles", layer["predicted_cycles"]) for layer in layers)
        after = sum(layer["predicted_cycles"] for layer in layers)
        print(f"predicted cycles for one image: {before:,} with plain weights, {after:,} now ({before / after:.2f}×)")


def _images(path: str, what: str) -> np.ndarray:
    """Images of any numbers; whether the network takes them is for it to say."""
    return read_array(path, what, "fiu")


def _compile(options, config: str | Config, calibration):
    import zeroskip

    if is_zsk(options.model):
        raise ModelError(f"{options.model}: compiled already; run it, or give the .onnx file it was made from")
    if not Path(options.model).is_file():
        raise ModelError(f"{options.model}: no such file; accepted: an ONNX file")
    ruled = [name for name in _RULE_OPTIONS if getattr(options, name) is not None]
    if options.budget is not None and ruled:
        option = ruled[0].replace("_", "-")
        raise InputError(f"--{option} with --budget, which chooses the rule of every filter; leave one of them out")
    if options.percentile is not None and options.scale_rule != "percentile":
        raise InputError("--percentile without --scale-rule percentile, which it belongs to; give both or neither")
    names = [name for name in _COMPILE_OPTIONS if name != "calibration" and getattr(options, name) is not None]
    chosen = {name: getattr(options, name) for name in names}
    if options.labels is not None:
        chosen["labels"] = read_array(options.labels, "labels", "iu")
    with step(f"compile {Path(options.model).name}") as progress:
        return zeroskip.compile(options.model, config, calibration, **chosen, progress=progress)


def _model(options, images: np.ndarray):
    """The model that ``run`` runs: loaded from a .zsk, or compiled."""
    import zeroskip

    if not is_zsk(options.model):
        if options.calibration is None:
            print("zeroskip: no --calibration: the input images set the activation scales", file=sys.stderr)
            calibration = images
        else:
            calibration = _images(options.calibration, "calibration images")
        return _compile(options, options.config or "tiny", calibration)
    if given := [name for name in _COMPILE_OPTIONS if getattr(options, name) is not None]:
        option = "no-activation-skip" if given[0] == "activation_skip" else given[0].replace("_", "-")
        raise InputError(f"--{option}: {options.model} is compiled already; leave it out, or give the .onnx file")
    model = zeroskip.load(options.model)
    if options.config is not None:
        model.check_config(get_config(options.config))
    return model


def run(options) -> int | None:
    """``zeroskip run``"""
    import zeroskip

    from .report import Report, Run, render, save, table
    from .report.measured import accuracy, conditions, configuration, graph, measured_run
    from .runtime.results import equal

    read = (options.model, options.input, options.expected, options.calibration, options.labels)
    check_outputs(options.output, options.json, options.report, options.trace, read=read)
    if not Path(options.model).is_file():
        raise ModelError(f"{options.model}: no such file; accepted: an .onnx file or a compiled .zsk file")
    if options.config is not None:
        get_config(options.config)
    images = _images(options.input, "input")
    expected = None if options.expected is None else read_array(options.expected, "expected classes", "iu")
    if expected is not None and expected.shape != (len(images),):
        raise InputError(f"--expected {options.expected}: shape {expected.shape}; accepted: ({len(images)},)")
    model = _model(options, images)
    try:
        model.check_images(images)
    except InputError as error:
        raise InputError(f"input {options.input}: {error}") from None
    _check_several(model, options)
    own = (model.info["mode"], model.info["activation_skip"])
    models = {own: model}
    if options.compare:
        need("compile", "--compare")
        from .compiler.network import reschedule
        from .demo import schedules

        compared = schedules(model.config)
        with step("schedule for comparison"):
            for mode, skip in compared:
                models.setdefault((mode, skip), reschedule(model, mode=mode, activation_skip=skip))
        models = {key: models[key] for key in dict.fromkeys((*compared, own))}
    with step(f"open device {options.device}"):
        device = zeroskip.open_device(options.device, model.config, trace=options.trace, glue=options.glue)
    results = {}
    with device:
        for key, one in models.items():
            with step(f"run {counted(len(images), 'image')}, {Run(*key, '', ()).label}") as progress:
                results[key] = one.run(device, images, progress)
    result, checks = results[own], []
    if options.check:
        with step("integer reference"):
            same = equal(result.outputs, model.reference(images))
        checks = [("outputs equal the integer reference bit for bit", same)]
    rows = {} if expected is None else _accuracy(options, model, images, result.outputs, expected)
    report = Report(
        title=Path(options.model).stem,
        images=len(images),
        config=configuration(model),
        runs=tuple(measured_run(one, device.kind, results[key]) for key, one in models.items()),
        conditions=conditions(model.info, device.kind, device.glue),
        accuracy=rows | accuracy(model.info, measured=bool(rows)),
        checks=tuple(checks),
        graph=graph(model),
    )
    if options.output:
        write_array(options.output, result.outputs)
    if options.json:
        save(report, options.json)
    if options.report:
        write_atomic(options.report, render(report))
    print(table(report, _width()), end="")
    return _verdict(report)


def _check_several(model, options) -> None:
    """Several outputs go into one .npz file, and have no class."""
    several, path = len(model.outputs) > 1, options.output
    names = ", ".join(output.name for output in model.outputs)
    if several and options.expected is not None:
        raise InputError(f"--expected with {len(model.outputs)} outputs ({names}); choose one with --outputs NAME")
    if path and several != (Path(path).suffix == ".npz"):
        found = f"{len(model.outputs)} outputs ({names})" if several else "one output"
        raise InputError(f"--output {path} for {found}; accepted: a .{'npz' if several else 'npy'} file")


def _accuracy(options, model, images, outputs, expected) -> dict[str, str]:
    """Share of images whose largest output is the expected class; of the float network, too, where it is there."""
    found = outputs.reshape(len(outputs), -1).argmax(axis=1)
    rows = {"accuracy, integers": f"{100 * float((found == expected).mean()):.1f} % ({counted(len(images), 'image')})"}
    if not is_zsk(options.model):
        from .compiler.network import compare

        with step("float network"):
            agreement = compare(options.model, model, images, expected)
        rows["accuracy, float"] = f"{100 * agreement.float_accuracy:.1f} % (the same images)"
        rows["integer and float choose the same class"] = f"{100 * agreement.same_top1:.1f} %"
    return rows


def _width() -> int | None:
    """Columns of the terminal; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _verdict(report) -> int | None:
    if all(ok for _, ok in report.checks):
        return None
    print("zeroskip: results disagree; please report this with the network and the command", file=sys.stderr)
    return 1


def info(options) -> None:
    """``zeroskip info``"""
    from .info import show

    show(options.what, verify=options.verify)


def report(options) -> None:
    """``zeroskip report``"""
    from .report import load, render, side_by_side, table

    check_outputs(options.output, read=options.data)
    if options.output and len(options.data) > 1:
        raise InputError(f"--output {options.output}: a page of {len(options.data)} reports; accepted: one")
    data = [load(path) for path in options.data]
    if options.output:
        write_atomic(options.output, render(data[0]))
    else:
        print(table(data[0], _width()) if len(data) == 1 else side_by_side(data), end="")


def demo(options) -> int | None:
    """``zeroskip demo``"""
    from .demo import run_demo
    from .report import render, save, table

    folder = Path(options.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output {folder}: cannot be made: {error.strerror}; give another folder") from error
    check_outputs(str(folder / "demo.html"), str(folder / "demo.json"))
    result = run_demo(options.config, options.images, options.glue)
    save(result, folder / "demo.json")
    write_atomic(folder / "demo.html", render(result))
    print(table(result, _width()), end="")
    print(f"Report: {folder / 'demo.html'}")
    return _verdict(result)


def bitstreams(options) -> None:
    """``zeroskip bitstreams``"""
    from .devices.bitstreams import available

    entries = available()
    if not entries:
        print("no manifests: run this in a checkout, or install a wheel from `make wheel`")
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        print(f"{entry.name:{width}}  hash 0x{entry.hash:08X}  {entry.clock_mhz:g} MHz  {entry.state()}")
        used = entry.manifest["resources"]
        if used:
            counts = ", ".join(
                f"{used[name]:,} {name.upper()}" for name in ("lut", "ff", "dsp", "ramb36") if name in used
            )
            print(f"         {counts} ({used.get('source', 'source not stated')})")
        if entry.file is None:
            print(f"         build it: {entry.manifest['build']}")


def selftest(options) -> int | None:
    """``zeroskip selftest``"""
    import zeroskip

    from .runtime.selftest import SEED, selftest

    if options.rounds < 1:
        raise InputError(f"--rounds {options.rounds}; accepted: 1 or more")
    if options.seed is not None and options.seed < 0:
        raise InputError(f"--seed {options.seed}; accepted: 0 or more")
    model = zeroskip.load(options.model) if options.model else None
    config = options.config or (model.config if model else BOARD if options.device == "board" else "tiny")
    if model is not None:
        model.check_config(get_config(config))
    failed = 0
    with zeroskip.open_device(options.device, config, glue=options.glue) as device:
        seed = SEED if options.seed is None else options.seed
        for check in selftest(device, rounds=options.rounds, seed=seed, model=model):
            print(check, flush=True)
            failed += check.passed is False
    return 1 if failed else None


def serve(options) -> None:
    """``zeroskip serve``"""
    from .devices.serve import serve

    serve(options.device, options.config, options.host, options.port)
