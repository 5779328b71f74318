"""Where programs run: the Verilated RTL ("sim"), the fast cycle model ("model"), or a PYNQ-Z2 ("board")."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DeviceError, InputError
from ..extras import need
from ..hardware.config import Config, get_config, need_glue
from ..runtime.driver import Accelerator
from .memory import MemoryModel

if TYPE_CHECKING:
    from .simulated import SimulatedDevice

KINDS = ("sim", "model", "board")
KIND_VARIABLE = "ZEROSKIP_DEVICE"
TOPS = ("core", "board")

__all__ = ["KINDS", "Accelerator", "MemoryModel", "open_device"]


def open_device(
    kind: str = "sim",
    config: str | Path | Config = "tiny",
    *,
    memory: MemoryModel | None = None,
    trace: str | Path | None = None,
    timeout: float = 10.0,
    library_dirs: Sequence[Path] = (),
    top: str = "core",
    glue: bool | None = None,
) -> Accelerator:
    """Open an accelerator; use it as a context manager or close it.

    Args:
        kind: "sim" Verilated RTL, "model" cycle model, "board" PYNQ-Z2; "auto" what :func:`find_kind` finds.
        config: name of a built-in configuration, path of a JSON file, or a Config.
        memory: timing of the simulated memory; None for the defaults.
        trace: FST file to write (only "sim").
        timeout: seconds without progress after which a run is given up.
        library_dirs: folders whose Verilog modules replace the design's (only "sim", for tests).
        top: "core" simulates engine and DMA, "board" the vendor-free board design around them, with the
            processing system's ports GP0 and HP0 (only "sim").
        glue: with the HLS kernels act_expand and act_finish between DMA and engine (builds with ``Config.glue_sums``).
            "sim" (top "core") and "model" compile their C++ and call it around the engine; "board" refuses a
            bitstream without them.  None: "sim" and "model" are without, "board" uses what the bitstream has.

    Raises:
        InputError: no such kind, or an option the kind does not have.
        ConfigError: no such configuration, or the hardware is another one, or has no glue.
        ToolError: pynq, Verilator, the C++ compiler or, with glue, hls4ml is missing.
        DeviceError: no board, no bitstream, or it does not answer.
    """
    if kind == "auto":
        kind = find_kind()
    if kind not in KINDS:
        raise InputError(f"device kind {kind!r}; accepted: {', '.join(KINDS)}, auto")
    config = get_config(config)
    for name, value, kinds in (
        ("trace", trace, ("sim",)),
        ("library_dirs", library_dirs, ("sim",)),
        ("memory", memory, ("sim", "model")),
        ("top", top != "core", ("sim",)),
    ):
        if value and kind not in kinds:
            raise InputError(f"device {kind!r} has no option {name}; it belongs to {', '.join(kinds)}")
    if top not in TOPS:
        raise InputError(f"top {top!r}; accepted: {', '.join(TOPS)}")
    if top == "board" and memory is not None and memory.stream_stall:
        raise InputError("the board design has no stall gates in its streams; accepted: stream_stall = 0")
    if glue and top != "core":
        raise InputError(f"glue with top {top!r}; accepted: top 'core', or glue=False")
    if glue:
        need_glue(config)
    if kind == "board":
        from .board import open_board

        return open_board(config, timeout, glue)
    device = simulated_device(kind, config, memory, trace, library_dirs, top, bool(glue))
    try:
        return Accelerator(kind, config, str(device.bitstream), device, timeout, glue)
    except BaseException:
        device.close()
        raise


def find_kind() -> str:
    """What "auto" stands for: ``$ZEROSKIP_DEVICE`` if set, "board" where there is one, else "sim".

    A board that PYNQ_REMOTE_DEVICES names counts as there, so that one that is switched off is an error.
    """
    if named := os.environ.get(KIND_VARIABLE):
        return named
    from .board import REMOTE_VARIABLE, pynq_device

    if not os.environ.get(REMOTE_VARIABLE):
        try:
            pynq_device()
        except DeviceError:
            return "sim"
    return "board"


def simulated_device(
    kind: str,
    config: Config,
    memory: MemoryModel | None = None,
    trace: str | Path | None = None,
    library_dirs: Sequence[Path] = (),
    top: str = "core",
    glue: bool = False,
) -> SimulatedDevice:
    """The pynq device behind "sim" or "model"; arguments and errors as of :func:`open_device`."""
    memory = memory if memory is not None else MemoryModel()
    if kind == "sim":
        from .sim import VerilatedDevice

        return VerilatedDevice(config, memory, trace, library_dirs, top, glue)
    need("compile", "the device 'model'")
    from .model import ModelDevice

    return ModelDevice(config, memory, glue)
