"""``zeroskip info``: what is in a compiled file, or what a build configuration means."""

from __future__ import annotations

from pathlib import Path

from .errors import ConfigError, InputError
from .hardware.config import BUILTIN, Config, get_config
from .runtime.zsk import is_zsk


def show(what: str, verify: bool = False) -> None:
    """Print what is known of a ``.zsk`` file or a configuration.

    Args:
        verify: also check that the file's schedules compute its weights.

    Raises:
        InputError: neither; or an ONNX file, with the command that compiles it.
        ConfigError: no such configuration, or one that is not accepted.
        FileFormatError: a file that is no compiled network.
    """
    suffix = Path(what).suffix
    if is_zsk(what):
        return _model(what, verify)
    if verify:
        raise InputError(f"{what}: --verify checks compiled models, MODEL.zsk")
    if suffix == ".onnx":
        raise InputError(f"{what}: info shows compiled models; make one with: zeroskip compile {what} -o MODEL.zsk")
    try:
        return _configuration(get_config(what))
    except ConfigError as error:
        if what in BUILTIN or suffix == ".json":
            raise
        raise InputError(f"{error}; or a model, MODEL.zsk") from error


def _configuration(config: Config) -> None:
    _print_facts(
        {
            "configuration": f"{config.name} (hash {config.hash:08x})",
            **config.hardware_fields(),
            "MACs": config.macs,
            "activations": f"{-config.act_max} to {config.act_max}",
        }
    )


def _model(path: str, verify: bool) -> None:
    import zeroskip

    from .report import Run
    from .report.measured import weights_text

    model = zeroskip.load(path, check=verify)
    _configuration(model.config)
    print()
    schedule = Run(model.info.get("mode", "?"), bool(model.info.get("activation_skip")), "", ())
    _print_facts(
        {
            "source": model.info.get("source", "unknown"),
            "input": f"{'N x ' + ' x '.join(map(str, model.input_shape))}, {model.input_type}",
            **_outputs(model),
            "schedule": schedule.label,
            "weights": weights_text(model.info),
            **({"schedules": f"compute their weights, all {len(model.layers)} layers"} if verify else {}),
        }
    )
    print()
    _print_weights(model)
    print("\nMemory plan, one image, sums of 32 bits; cycles modelled, no step skipped for its activations")
    _print_memory_plan(model)


def _outputs(model) -> dict[str, str]:
    """Shape and type of every output, as rows."""
    shapes = {o.name: f"{' x '.join(['N', *map(str, model.output_shapes[o.name])])}, {o.dtype}" for o in model.outputs}
    return {f"output {name}" if len(shapes) > 1 else "output": shape for name, shape in shapes.items()}


def _print_weights(model) -> None:
    from .report.measured import rules_text

    kinds = ("zero %", "non-outlier %", "outlier %")
    lines = [("layer", "operator", "weights", *kinds, "SQNR dB", "steps", "dense", "output scale", "rules")]
    for node in model.layers:
        plan, how = node.plan, model.info.get("layers", {}).get(node.name, {})
        kinds = [f"{100 * share:.1f}" for share in plan.statistics().values()]
        shape, ratio = "x".join(map(str, plan.weights.shape)), how.get("sqnr_db")
        steps = f"{plan.steps:,}", f"{plan.dense_steps:,}"
        ratio = "" if ratio is None else f"{ratio:.1f}"
        lines.append(
            (node.name, node.label, shape, *kinds, ratio, *steps, how.get("output_scale", ""), rules_text(how))
        )
    _print_columns(lines, (0, 1, 2, 9, 10))


def _print_memory_plan(model) -> None:
    from .runtime.memory_plan import memory_plan

    moved = ("transfers", "kB in", "kB out")
    lines = [("layer", "parts", "tile", "tiles", "columns", "steps", *moved, "kcycles", "bound by")]
    for row in memory_plan(model):
        columns = f"{row.columns}/{model.config.columns}", f"{row.steps}/{model.config.steps}"
        moved = f"{row.bytes_in / 1000:,.0f}", f"{row.bytes_out / 1000:,.0f}"
        numbers = str(row.parts), row.tile, str(row.tiles), *columns, str(row.transfers), *moved
        lines.append((row.name, *numbers, f"{row.cycles / 1000:,.0f}", row.bound))
    _print_columns(lines, (0, 10))


def _print_facts(facts: dict[str, object]) -> None:
    print("\n".join(f"{name:14} {value}" for name, value in facts.items()))


def _print_columns(lines: list[tuple[str, ...]], left: tuple[int, ...]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))]
        print("  ".join(cells).rstrip())
