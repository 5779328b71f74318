"""The real board: finds the bitstream of a configuration and hands it to pynq."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DeviceError
from ..hardware.config import Config
from ..runtime.driver import Accelerator
from ..runtime.pynq_import import import_pynq, quiet

BITSTREAM_VARIABLE = "ZEROSKIP_BITSTREAM"


def find_bitstream(config: Config) -> Path:
    """The .bit file for a configuration: ``$ZEROSKIP_BITSTREAM``, or the one in ``bitstreams/<config>/``.

    The folder is looked for in the current directory, in the installed package and above it.

    Raises:
        DeviceError: there is none, more than one, or its .hwh is missing.
    """
    named = os.environ.get(BITSTREAM_VARIABLE)
    if named:
        found = Path(named)
        if not found.is_file():
            raise DeviceError(f"{BITSTREAM_VARIABLE} names {named}, which is not a file")
    else:
        package = Path(__file__).resolve().parents[1]
        folders = [base / "bitstreams" / config.name for base in (Path.cwd(), package, *package.parents)]
        files = next((files for folder in folders if (files := sorted(folder.glob("*.bit")))), [])
        if len(files) != 1:
            what = "no bitstream" if not files else f"{len(files)} bitstreams"
            raise DeviceError(
                f"{what} for configuration {config.name!r}: put one .bit and its .hwh into bitstreams/{config.name}/ "
                f"or name it in {BITSTREAM_VARIABLE}"
            )
        found = files[0]
    if not found.with_suffix(".hwh").is_file():
        raise DeviceError(f"{found.with_suffix('.hwh')} is missing: pynq needs the .hwh beside the bitstream")
    return found


def open_board(config: Config, timeout: float) -> Accelerator:
    """The accelerator on this board.

    Raises:
        DeviceError: this is no board, or there is no bitstream.
    """
    pynq = import_pynq()
    try:
        with quiet():
            device = pynq.Device.active_device
    except RuntimeError as error:
        raise DeviceError(
            f'no PYNQ board here ({error}); run this on the board (as root), or open the device "sim" or "model"'
        ) from error
    bitstream = find_bitstream(config)
    try:
        return Accelerator("board", config, str(bitstream.resolve()), timeout=timeout)
    except OSError as error:
        raise DeviceError(f"cannot load {bitstream} on {getattr(device, 'name', 'the board')}: {error}") from error
