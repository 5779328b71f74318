"""The structure that the documents promise: imports flow one way, and engines are told apart in one place."""

from __future__ import annotations

import ast
import graphlib
import sys
from pathlib import Path

import pytest

import zeroskip
from zeroskip.engines import ENGINES, engine_of
from zeroskip.engines.base import Engine
from zeroskip.hardware.config import BUILTIN, ENGINE_IDS

ROOT = Path(zeroskip.__file__).parent
FILES = {path: ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


def name_of(path: Path) -> str:
    parts = ("zeroskip", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in FILES}


def imports(path: Path, at_load: bool = False) -> set[str]:
    """Modules that a file imports; ``at_load``: not those that its functions import when they are called."""
    module = name_of(path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    nodes = list(ast.walk(FILES[path]))
    if at_load:
        functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        later = {id(inner) for function in functions for inner in ast.walk(function)}
        nodes = [node for node in nodes if id(node) not in later]
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            base = node.module if not node.level else ".".join(filter(None, (base, node.module)))
            found |= {full if (full := f"{base}.{alias.name}") in MODULES else base for alias in node.names}
    return found - {module}


# The importer's modules name each other for their types.
KNOWN_CIRCLE = "zeroskip.compiler.onnx_"


def test_no_import_circles():
    """Not even those that TYPE_CHECKING or an import in a function hide."""
    graph = {name: imports(path) & MODULES.keys() for name, path in MODULES.items()}
    inner = {name: seen for name, seen in graph.items() if not name.startswith(KNOWN_CIRCLE)}
    tuple(graphlib.TopologicalSorter(inner).static_order())  # raises CycleError, naming the circle


def test_the_board_needs_numpy_and_pynq_alone():
    """What loading and running a model imports, everything that those import, and so on."""
    seen, todo = set(), {"zeroskip", "zeroskip.runtime.driver", "zeroskip.runtime.zsk", "zeroskip.devices.board"}
    while todo:
        name = todo.pop()
        seen.add(name)
        todo |= (imports(MODULES[name], at_load=True) & MODULES.keys()) - seen
    outside = {found.partition(".")[0] for name in seen for found in imports(MODULES[name], at_load=True)}
    outside -= {"zeroskip", *sys.stdlib_module_names}
    assert "zeroskip.engines" in seen and outside <= {"numpy", "pynq"}, outside
    assert not [name for name in seen if name.startswith(("zeroskip.compiler", "zeroskip.models"))]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_engines_are_told_apart_in_one_place(path):
    """No branch asks for an engine's name but the engine's own module and the geometry of builds."""
    if path.parent.name in ("engines", "hardware"):
        return
    for node in ast.walk(FILES[path]):
        if isinstance(node, ast.Compare):
            told = {inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant)} & ENGINES.keys()
            assert not told, f"{path.name}:{node.lineno} asks for {told}: make it a method of the engine"
        if isinstance(node, ast.Dict):
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant)}
            assert not keys >= ENGINES.keys(), f"{path.name}:{node.lineno}: a dictionary of engines"


def test_every_build_has_an_engine():
    assert ENGINES.keys() == ENGINE_IDS.keys()
    for config in BUILTIN.values():
        engine = engine_of(config)
        assert isinstance(engine, Engine) and engine.modes and engine.part.ARRAYS
