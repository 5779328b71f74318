"""Builds the HLS kernels outside of Vitis: as C++ for the simulator's harness, and as a library of their own."""

from __future__ import annotations

from pathlib import Path

from ..hardware.config import Config
from .library_cache import CXX_FLAGS, cached, compile_cxx, digest, link
from .sim_tools import find_compiler, glue_includes, hls_dir

_MODEL = "native/model.cpp"
_WHAT = "glue's kernels"


def glue_source(config: Config) -> tuple[str, str, list[str]]:
    """The build ``zs::Simulated`` as C++, all that the kernels depend on, and compiler flags.

    Raises:
        ToolError: hls4ml is missing.
    """
    from ..hardware.generate import hls_build

    folders = [hls_dir(), *glue_includes()]
    build = hls_build(config, "Simulated")
    headers = [path for folder in folders[:2] for path in sorted(folder.glob("*.h"))]
    depends = "".join([build, *(path.read_text() for path in headers), str(folders[2])])
    return f"#define ZS_GLUE\nnamespace zs {{\n{build}\n}}\n", depends, [f"-I{folder}" for folder in folders]


def build_kernels(config: Config) -> Path:
    """The shared library of a build's kernels for the cycle model, built if it is not in the cache.

    Raises:
        ToolError: a C++ compiler or hls4ml is missing, or the compiler fails.
    """
    compiler_version = find_compiler()[1]
    source, depends, flags = glue_source(config)
    model = hls_dir() / _MODEL
    key = digest([compiler_version, *CXX_FLAGS, depends, model.read_bytes(), Path(__file__).read_bytes()])

    def make(scratch: Path) -> Path:
        unit, built, library = (scratch / name for name in ("kernels.cpp", "kernels.o", "library.so"))
        unit.write_text(f'{source}#include "{model}"\n')
        compile_cxx(built, unit, "-O3", [*CXX_FLAGS, *flags], _WHAT)
        link(library, [built], ["-pthread"], _WHAT)
        return library

    return cached(f"glue-{config.name}-{key}.so", make)
