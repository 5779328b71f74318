"""The real board: finds the bitstream of a configuration and hands it to pynq."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from ..errors import DeviceError
from ..hardware.config import Config
from ..runtime.driver import Accelerator
from ..runtime.pynq_import import import_pynq, pynq_errors, quiet, reason
from . import bitstreams
from .board_lock import BoardLock

BITSTREAM_VARIABLE = "ZEROSKIP_BITSTREAM"

REMOTE_VARIABLE = "PYNQ_REMOTE_DEVICES"
"""Addresses of boards that pynq reaches over the network."""

OFFERED = "/home/xilinx/zeroskip/bitstreams/{0}/zeroskip_{0}"
"""Files .bit and .hwh for a configuration on a board that is reached through pynq.remote."""


CLOCK_TOLERANCE = 0.01
"""Difference from the manifest's clock that passes: the processing system divides its PLLs by whole numbers."""


def find_bitstream(config: Config, glue: bool = False) -> Path:
    """The .bit file for a configuration: ``$ZEROSKIP_BITSTREAM``, or the one whose manifest has its hash.

    Args:
        config: the hardware.
        glue: only one with the HLS glue; else any, the driver leaves glue alone that is not wanted.

    Raises:
        DeviceError: there is none, it is not what its manifest says, or its .hwh is missing.
        FileFormatError: a manifest is damaged.
    """
    named = os.environ.get(BITSTREAM_VARIABLE)
    if not named:
        return bitstreams.find(config, glue).check()
    found = Path(named)
    if not found.is_file():
        raise DeviceError(f"{BITSTREAM_VARIABLE} names {named}, which is not a file")
    if not found.with_suffix(".hwh").is_file():
        raise DeviceError(f"{found.with_suffix('.hwh')} is missing: pynq needs the .hwh beside the bitstream")
    return found


def check_clock(bitstream: Path) -> None:
    """Refuse a fabric clock that is not the one the bitstream was built for, if its manifest is beside it.

    Raises:
        DeviceError: it is another one.
    """
    if not (bitstream.parent / bitstreams.MANIFEST).is_file():
        return
    entry = bitstreams.read(bitstream.parent)
    if entry.file is None or entry.file.name != bitstream.name:
        return
    with quiet():
        found = float(import_pynq().Clocks.fclk0_mhz)
    if abs(found - entry.clock_mhz) > CLOCK_TOLERANCE * entry.clock_mhz:
        raise DeviceError(
            f"the fabric runs at {found:.1f} MHz, but {bitstream.name} was built for {entry.clock_mhz:g} MHz; "
            f"its .hwh and its manifest disagree, or another program has changed the clock: "
            f"pynq.Clocks.fclk0_mhz = {entry.clock_mhz:g}"
        )


def open_board(config: Config, timeout: float, glue: bool | None = None) -> Accelerator:
    """The accelerator on this board, or on the one that PYNQ_REMOTE_DEVICES names.

    On the board it is this process's alone until it is closed; of a remote one, the remote side decides.

    Raises:
        DeviceError: there is no board, it does not answer, another process has it, or there is no bitstream.
    """
    device = pynq_device()
    if device.has_capability("REMOTE"):
        return _open(device, config, timeout, glue)
    lock = BoardLock()
    try:
        accelerator = _open(device, config, timeout, glue)
    except BaseException:
        lock.release()
        raise
    accelerator.closing.callback(lock.release)
    return accelerator


def _open(device: Any, config: Config, timeout: float, glue: bool | None) -> Accelerator:
    with tempfile.TemporaryDirectory(prefix="zeroskip-") as folder:
        try:
            bitstream = find_bitstream(config, bool(glue))
        except DeviceError:
            bitstream = _offered(device, config, Path(folder))
            if bitstream is None:
                raise
        try:
            accelerator = Accelerator("board", config, str(bitstream.resolve()), timeout=timeout, glue=glue)
            check_clock(bitstream)
            return accelerator
        except pynq_errors() as error:
            name = getattr(device, "name", "the board")
            raise DeviceError(f"cannot load {bitstream.name} on {name}: {reason(error)}") from error


def pynq_device() -> Any:
    """The board as pynq knows it.

    Raises:
        DeviceError: there is none, or it does not answer.
    """
    pynq = import_pynq()
    remote = os.environ.get(REMOTE_VARIABLE)
    try:
        with quiet():
            return pynq.Device.active_device
    except pynq_errors() as error:
        # pynq would remember for ever that it found none.
        if hasattr(pynq.Device, "_devices"):
            del pynq.Device._devices
        if remote:
            raise DeviceError(
                f"no board answers at {remote} ({REMOTE_VARIABLE}): {reason(error)}; "
                "look whether it is on and reachable, or start a simulated one with: zeroskip serve"
            ) from error
        raise DeviceError(
            f'no PYNQ board here ({error}); run this on the board (as root), or open the device "sim" or "model"'
        ) from error


def _offered(device: Any, config: Config, folder: Path) -> Path | None:
    """The bitstream that a remote board itself keeps for a configuration, fetched into ``folder``."""
    if os.environ.get(BITSTREAM_VARIABLE) or not device.has_capability("REMOTE"):
        return None
    source = OFFERED.format(config.name)
    try:
        if not all(device.exists_file(source + suffix).exists for suffix in (".bit", ".hwh")):
            return None
        for suffix in (".hwh", ".bit"):
            target = folder / (Path(source).name + suffix)
            target.write_bytes(device.read_file(source + suffix))
    except pynq_errors() as error:
        raise DeviceError(f"cannot fetch {source}.bit from {device.name}: {reason(error)}") from error
    return target
