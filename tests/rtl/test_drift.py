"""What is written twice, or could drift apart: generated files, Verilog interfaces, register and field names."""

from __future__ import annotations

import itertools
import re

import pytest
from pyverilog.vparser import ast
from pyverilog.vparser.parser import VerilogCodeParser

from zeroskip.hardware import example, generate, packets, registers
from zeroskip.hardware.config import BUILTIN
from zeroskip.hardware.packets import Field
from zeroskip.hardware.verilog import include_folder, sources

FILES = sources(simulation=True)
HEADER = (include_folder() / "zeroskip_defs.vh").read_text()
DEFINED = re.findall(r"^`define (\w+)", HEADER, re.MULTILINE)


def without_comments(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> list[ast.ModuleDef]:
    """Every module of the RTL, in the order of FILES."""
    folder = str(tmp_path_factory.mktemp("pyverilog"))
    parser = VerilogCodeParser(
        [str(file) for file in FILES],
        preprocess_output=f"{folder}/preprocessed.v",
        preprocess_include=[str(include_folder())],
        outputdir=folder,
        debug=False,
    )
    return [node for node in parser.parse().description.definitions if isinstance(node, ast.ModuleDef)]


def ports(module: ast.ModuleDef) -> set[str]:
    return {(port.first if isinstance(port, ast.Ioport) else port).name for port in module.portlist.ports}


def parameters(module: ast.ModuleDef) -> list[str]:
    """Names in the header; localparams cannot be set from outside and are left out."""
    declared = [item for line in module.paramlist.params for item in line.list]
    return [item.name for item in declared if type(item) is ast.Parameter]


def instances(node):
    if isinstance(node, ast.Instance):
        yield node
    for child in node.children():
        yield from instances(child)


def test_generated_files_are_up_to_date():
    assert [str(path) for path in generate.stale()] == [], "run `make docs`"


def test_stale_files_are_found(tmp_path):
    for path, text in generate.targets().items():
        copy = tmp_path / path.relative_to(generate.ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)
    assert generate.stale(tmp_path) == []
    streams = tmp_path / "docs/streams.md"
    streams.write_text(streams.read_text().replace("| 47:32 | `count` |", "| 46:32 | `count` |"))
    (tmp_path / generate.HEADER).unlink()
    assert generate.stale(tmp_path) == [tmp_path / generate.HEADER, streams]


def test_one_module_per_file_of_the_same_name(modules):
    assert [module.name for module in modules] == [file.stem for file in FILES]


TOPS = {"zeroskip_sim", "zeroskip_board_sim", "zeroskip_bd"}
ALONE = {"program_fetch", "map_load"}
"""Parts of the machine that are in no engine yet (docs/machine.md)."""


@pytest.mark.parametrize("top", ["zeroskip_core", "zeroskip_board", *sorted(TOPS)])
def test_top_parameters_are_the_configuration(modules, top):
    module = next(module for module in modules if module.name == top)
    found = [name for name in parameters(module) if name != "SUMS"]  # of a design with glue, whatever the configuration
    for config in BUILTIN.values():
        assert found == [*config.rtl_parameters(), "CONFIG_HASH"]


def test_instances_use_ports_and_parameters_that_exist(modules):
    by_name = {module.name: module for module in modules}
    found = [(module.name, instance) for module in modules for instance in instances(module)]
    assert len(found) > 20
    for where, instance in found:
        at = f"{where}: {instance.module} {instance.name}"
        assert instance.module in by_name, at
        used = [port.portname for port in instance.portlist]
        assert None not in used, f"{at}: ports by position"
        assert set(used) == ports(by_name[instance.module]), f"{at}: every port is connected, and no other"
        set_here = {parameter.paramname for parameter in instance.parameterlist}
        assert set_here <= set(parameters(by_name[instance.module])), at


def test_every_module_is_used(modules):
    used = {instance.module for module in modules for instance in instances(module)}
    assert {module.name for module in modules} - used == TOPS | ALONE


def test_defines_exist_and_registers_are_used():
    text = "\n".join(without_comments(file.read_text()) for file in FILES)
    used = set(re.findall(r"`(ZS_\w+)", text))
    assert used <= set(DEFINED), "not in zeroskip_defs.vh"
    # Counters are read by index, from the first one's address; STATUS' fields are placed by core_registers.
    named = {f"ZS_REG_{name}" for name in registers.BY_NAME if name.lower() not in registers.COUNTER_NAMES[1:]}
    counters = {f"ZS_COUNTER_{name.upper()}" for name in registers.COUNTER_NAMES}
    errors = {f"ZS_ERR_{name}" for name in registers.ERROR_NAMES.values()}
    assert named | counters | errors <= used


def test_no_define_twice():
    assert len(DEFINED) == len(set(DEFINED))


def step_layouts() -> list[tuple[int, list[Field]]]:
    """Beats and fields of every format of a schedule step."""
    layouts = []
    for config in BUILTIN.values():
        if config.scheduled:
            layouts.append((config.step_beats, packets.step_layout(config)))
        if config.banked:
            layouts.append((config.near_beats, packets.step_layout(config, near=True)))
    return layouts


def test_register_offsets_and_fields_do_not_overlap():
    offsets = [register.offset for register in registers.REGISTERS]
    assert len(offsets) == len(set(offsets)) and all(offset % 4 == 0 and offset < 256 for offset in offsets)
    beats = [register.fields for register in registers.REGISTERS if register.fields]
    beats += [fields for headers in {**packets.HEADERS, **packets.MACHINE_HEADERS}.values() for fields in headers]
    beats += [fields for _, fields in step_layouts()]
    for fields in beats:
        for lower, upper in itertools.pairwise(fields):
            assert lower.low + lower.width <= upper.low, f"{lower.name} overlaps {upper.name}"


def test_steps_fill_their_beats():
    for beats, fields in step_layouts():
        assert 64 * (beats - 1) < fields[-1].low + fields[-1].width <= 64 * beats


def words(document: str, name: str) -> list[int]:
    """The hexadecimal words of a generated block."""
    block = document.split(f"<!-- generated: {name} -->")[1].split("<!--")[0]
    return [int(line.split()[0], 16) for line in block.splitlines() if re.match(r"[0-9A-F]{16} ", line)]


@pytest.mark.parametrize("name", ["example", "gather example", "apart example"])
@pytest.mark.parametrize("kind", ["model", "sim"])
def test_worked_examples_of_the_documentation(kind, name):
    """The words printed in docs/streams.md, run."""
    import numpy as np

    import zeroskip as zs

    document = (generate.ROOT / "docs/streams.md").read_text()
    shown, columns = {
        "example": (example.TRIDENT, 2),
        "gather example": (example.GATHER, 3),
        "apart example": (example.APART, 3),
    }[name]
    sent, expected = words(document, f"{name} in"), words(document, f"{name} out")
    assert len(sent) == len(shown.beats()) and len(expected) == len(shown.sums)
    with zs.open_device(kind, config=shown.config) as device:
        received, counters = device.execute(np.array(sent, np.uint64), len(expected))
    assert received.tolist() == expected
    assert (counters.steps, counters.columns, counters.pairs, counters.outliers) == (1, columns, 1, 1)
    stated = int(re.search(r"The sum is .* = (\d+)\.", document)[1])
    assert sum(expected) & 0xFFFF_FFFF == stated
