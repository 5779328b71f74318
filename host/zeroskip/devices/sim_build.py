"""Builds the Verilated simulator: RTL and harness to one shared library, kept in the user's cache.

The library's name is a hash of everything it depends on (all Verilog, the harness, the parameters,
the tools' versions), so it is built once per hardware and never stale.  Verilator writes C++, g++
compiles it; make is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import ToolError
from ..hardware.config import Config
from .glue_build import glue_source
from .library_cache import CXX_FLAGS, cached, compile_cxx, digest, link
from .sim_tools import find_compiler, find_verilator, rtl_dir, run

TOP = "zeroskip_sim"
TOPS = {"core": TOP, "board": "zeroskip_board_sim"}
"""What can be simulated: engine and DMA alone, or the board design around them.  Both have the same ports and taps."""

_WHAT = "simulator"
HARNESS = Path(__file__).with_name("harness.cpp")
MEMORY = HARNESS.with_name("axi_memory.h")  # which the harness includes
LIBRARY_DIRS = ("include", "common", "scheduled", "trident", "gather", "twin", "zena", "core", "dma", "board", "sim")
"""Folders of rtl/ in which Verilator finds a module ``name`` as ``name.v``."""

VERILATOR_FLAGS = ("-O3", "--x-assign", "fast", "--x-initial", "unique", "--no-assert", "--no-timing", "-Wno-fatal")
VERILATOR_FLAGS += ("--inline-mult", "2000")
"""Inlining less than usual keeps the work groups one function each: half the compile time and no slower."""


def _sources(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(path for path in folder.iterdir() if path.suffix in (".v", ".vh"))


def _classes(makefile: Path) -> dict[str, list[str]]:
    """File stems by group (VM_CLASSES_FAST, ...) from the list Verilator writes for make."""
    groups: dict[str, list[str]] = {}
    for name, body in re.findall(r"^(VM_\w+) \+= \\\n((?:\s+\S+ \\\n)*)", makefile.read_text(), flags=re.MULTILINE):
        groups[name] = re.findall(r"(\S+) \\", body)
    if not groups.get("VM_CLASSES_FAST"):
        raise ToolError(f"Verilator wrote no list of files this release understands: {makefile.name}")
    return groups


def _compile(output: Path, source: Path, optimise: str, flags: Sequence[str]) -> None:
    try:
        compile_cxx(output, source, optimise, flags, _WHAT)
    except ToolError as error:
        for header, package in (("zlib.h", "zlib1g-dev"), ("lz4.h", "liblz4-dev")):
            if header in str(error):
                raise ToolError(f"tracing needs {header}. Install it with 'apt-get install {package}'") from error
        raise


def _runtime(root: Path, stems: Sequence[str], flags: Sequence[str], key: str) -> Path:
    """Verilator's own runtime as an archive: the same for every design, so compiled once."""

    def make(scratch: Path) -> Path:
        objects = []
        for stem in stems:
            unit = scratch / f"unit_{stem}.cpp"
            unit.write_text(f'#include "{root}/include/{stem}.cpp"\n')
            objects.append(scratch / f"{stem}.o")
            _compile(objects[-1], unit, "-O1", flags)
        run(["ar", "rcs", scratch / "runtime.a", *objects], "archiver (package binutils)")
        return scratch / "runtime.a"

    return cached(f"runtime-{key}.a", make)


def build(
    config: Config, *, trace: bool = False, library_dirs: Sequence[Path] = (), top: str = "core", glue: bool = False
) -> Path:
    """The shared library that simulates ``config``, built if it is not in the cache.

    Args:
        config: hardware to simulate.
        trace: with FST tracing (another, slower library).
        library_dirs: folders searched for modules before those of ``rtl/``.
        top: key of :data:`TOPS`.
        glue: with the kernels of ``hls/`` between DMA and engine (only top "core").

    Returns:
        Path of the library.

    Raises:
        ToolError: Verilator, a C++ compiler or, with glue, hls4ml is missing, or one of them fails.
    """
    rtl = rtl_dir()
    source, depends, flags = glue_source(config) if glue else ("", "", [])
    folders = [Path(folder).resolve() for folder in library_dirs]
    folders += [rtl / name for name in LIBRARY_DIRS if (rtl / name).is_dir()]
    compiler_version = find_compiler()[1]
    verilator, verilator_version = find_verilator()
    parameters = {**config.rtl_parameters(), "CONFIG_HASH": f"32'h{config.hash:08x}"}
    if glue:
        parameters["SUMS"] = config.glue_sums
    contents = [part for path in _sources(folders) for part in (path.name, path.read_bytes())]
    tools = [verilator_version, compiler_version, *VERILATOR_FLAGS, *CXX_FLAGS, str(trace)]
    sources = [Path(__file__).read_bytes(), HARNESS.read_bytes(), MEMORY.read_bytes(), depends, *contents]
    key = digest([*tools, top, repr(parameters), *sources])

    def make(scratch: Path) -> Path:
        design = rtl / "sim" / f"{TOPS[top]}.v"
        harness = f'{source}#include "{HARNESS}"\n', flags
        return _verilate(scratch, verilator, parameters, folders, design, harness, trace, digest(tools))

    return cached(f"sim-{config.name}-{key}.so", make)


def _verilate(
    scratch: Path,
    verilator: str,
    parameters: dict[str, int | str],
    folders: Sequence[Path],
    source: Path,
    harness: tuple[str, list[str]],
    trace: bool,
    runtime_key: str,
) -> Path:
    """Verilates and compiles in ``scratch``; the path of the library there.  harness: C++ and its compiler flags."""
    # The classes are named alike whatever the top, so that one harness fits.
    command = [verilator, "--cc", "--top-module", source.stem, "--prefix", f"V{TOP}", "-Mdir", scratch]
    command += [*VERILATOR_FLAGS]
    command += ["--trace-fst"] if trace else []
    command += [f"-G{name}={value}" for name, value in parameters.items()]
    command += [word for folder in folders for word in ("-y", folder)] + [f"-I{source.parents[1] / 'include'}"]
    run([*command, source], "Verilator")
    root = Path(run([verilator, "--getenv", "VERILATOR_ROOT"], "Verilator").strip())
    groups = _classes(scratch / f"V{TOP}_classes.mk")

    flags = [*CXX_FLAGS, f"-I{scratch}", f"-I{root}/include", f"-I{root}/include/vltstd"]
    flags += ["-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE_VCD=0", "-DVM_TRACE_SAIF=0"]
    flags += [f"-DVM_TRACE={int(trace)}", f"-DVM_TRACE_FST={int(trace)}"] + (["-DZS_TRACE"] if trace else [])

    # What runs every cycle goes with the harness into one optimised unit; the rest runs once.
    objects = []
    for name, optimise, kinds in (("fast", "-O2", ("FAST",)), ("slow", "-O0", ("SLOW",))):
        stems = [s for kind in kinds for g in ("CLASSES", "SUPPORT") for s in groups.get(f"VM_{g}_{kind}", [])]
        unit = scratch / f"unit_{name}.cpp"
        text = "".join(f'#include "{stem}.cpp"\n' for stem in stems)
        unit.write_text(text + (harness[0] if name == "fast" else ""))
        objects.append(scratch / f"{name}.o")
        _compile(objects[-1], unit, optimise, flags + harness[1])
    stems = groups.get("VM_GLOBAL_FAST", []) + groups.get("VM_GLOBAL_SLOW", [])
    runtime = _runtime(root, stems, flags, runtime_key)

    library = scratch / "library.so"
    link(library, [*objects, runtime], ["-pthread"] + (["-lz", "-llz4"] if trace else []), _WHAT)
    return library
