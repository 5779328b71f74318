"""Where programs run: the Verilated RTL ("sim"), the fast cycle model ("model"), or a PYNQ-Z2 ("board")."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..hardware.config import Config, get_config
from ..runtime.driver import Accelerator
from .memory import MemoryModel

KINDS = ("sim", "model", "board")
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
) -> Accelerator:
    """Open an accelerator; use it as a context manager or close it.

    Args:
        kind: "sim" Verilated RTL, "model" cycle model, "board" PYNQ-Z2.
        config: name of a built-in configuration, path of a JSON file, or a Config.
        memory: timing of the simulated memory; None for the defaults.
        trace: FST file to write (only "sim").
        timeout: seconds without progress after which a run is given up.
        library_dirs: folders whose Verilog modules replace the design's (only "sim", for tests).
        top: "core" simulates engine and DMA, "board" the vendor-free board design around them, with the
            processing system's ports GP0 and HP0 (only "sim").

    Raises:
        InputError: no such kind, or an option the kind does not have.
        ConfigError: no such configuration, or the hardware is another one.
        ToolError: pynq, Verilator or the C++ compiler is missing.
        DeviceError: no board, no bitstream, or it does not answer.
    """
    if kind not in KINDS:
        raise InputError(f"device kind {kind!r}; accepted: {', '.join(KINDS)}")
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
    if kind == "board":
        from .board import open_board

        return open_board(config, timeout)
    memory = memory if memory is not None else MemoryModel()
    if kind == "sim":
        from .sim import VerilatedDevice

        device = VerilatedDevice(config, memory, trace, library_dirs, top)
    else:
        from .model import ModelDevice

        device = ModelDevice(config, memory)
    try:
        return Accelerator(kind, config, str(device.bitstream), device, timeout)
    except BaseException:
        device.close()
        raise
