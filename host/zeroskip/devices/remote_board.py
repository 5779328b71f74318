"""What a client of pynq's remote protocol sees of a simulated PYNQ-Z2: files, FPGA manager, registers, buffers.

pynq.remote programs a board by writing files: the bitstream into /lib/firmware, then its name into the
FPGA manager's ``firmware``.  Registers and buffers are the simulated device's own.  The files live in
memory: nothing of the machine that serves can be read or written through this protocol.

Register windows carry their address in their name and buffers belong to the connection that asked for
them, so a client that dies leaves nothing behind that the next one would meet.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from ..errors import DeviceError
from ..hardware.config import Config
from .board import OFFERED
from .hwh import handoff
from .simulated import SLCR_BASE, SLCR_RANGE, SimulatedDevice

FIRMWARE = "/lib/firmware/"
MANAGER = "/sys/class/fpga_manager/fpga0/"
MAX_FILE_BYTES = 64 << 20
"""Of all files together, with their names; a bitstream of an XC7Z020 has 4 MiB."""

MAX_PATH_BYTES = 4096

HOLD_SECONDS = 5.0
"""A client without buffers keeps the board this long after its last call."""

_FILE_BYTES = 64
"""What a file takes beside its name and content."""

_STANDIN = b"zeroskip stand-in, no bitstream: "
_NAMED = re.compile(rb"([\x21-\x7e]{1,64}) ([0-9A-F]{8}) ")
"""What follows in a stand-in: name and hash of its configuration."""

_SYNC = b"\x66\x55\x99\xaa"
"""The word with which a bitstream starts, in the byte order of a .bin file."""


def standin(config: Config) -> tuple[bytes, bytes]:
    """A .bit and .hwh for a simulated board: a header pynq can read, and no configuration data.

    The .bit names the .hwh's digest: pynq caches metadata by the .bit alone.
    """
    hwh = handoff(config).encode()
    body = _STANDIN + f"{config.name} {config.hash:08X} {hashlib.sha256(hwh).hexdigest()}".encode()
    body += b" " * (-len(body) % 4)
    fields = zip(b"abcd", ("zeroskip;simulated", "7z020clg400", "1970/01/01", "00:00:00"), strict=True)
    header = struct.pack(">H9sH", 9, b"\x0f\xf0" * 4 + b"\0", 1)
    for key, text in fields:
        header += struct.pack(">BH", key, len(text) + 1) + text.encode() + b"\0"
    return header + struct.pack(">BI", ord("e"), len(body)) + body, hwh


class Board:
    """One simulated board, for one client at a time.

    Args:
        device: what is behind registers and memory; not closed by this class.
        connected: tells whether a client still has a connection; None if the system does not tell.
        log: called with a line for each thing a user would like to see.

    Methods raise DeviceError for whatever a board or its operating system would refuse.
    """

    def __init__(
        self,
        device: SimulatedDevice,
        connected: Callable[[str], bool | None],
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.device = device
        self.log = log
        self.programmed = False
        self._connected = connected
        self._lock = threading.RLock()
        self._client, self._last_call = "", 0.0
        self._buffers: dict[str, tuple[str, np.ndarray]] = {}
        self._numbers = itertools.count(1)
        bit, hwh = standin(device.config)
        offered = OFFERED.format(device.config.name)
        self._files = {
            "/proc/version": b"Linux, simulated by zeroskip (armv7l)\n",
            "/proc/device-tree/chosen/pynq_board": b"Pynq-Z2 (simulated)\0",
            MANAGER + "state": b"unknown\n",
            MANAGER + "flags": b"0\n",
            offered + ".bit": bit,
            offered + ".hwh": hwh,
        }

    # -- clients ---------------------------------------------------------------------------------
    @contextlib.contextmanager
    def turn(self, client: str) -> Iterator[None]:
        """The board for one call of ``client``, the address of a connection.

        Raises:
            DeviceError: another client has it.
        """
        with self._lock:
            if client != self._client:
                if self._client and self._in_use():
                    raise DeviceError(
                        f"the board is in use by {self._client}; close that device or end its program, "
                        "or start a second board on another address: zeroskip serve --host 127.0.0.2"
                    )
                self.log(f"{client} has the board")
                self._client = client
            self._last_call = time.monotonic()
            yield
            self._last_call = time.monotonic()

    def _in_use(self) -> bool:
        idle = time.monotonic() - self._last_call
        connected = self._connected(self._client)
        if connected is None:
            return idle < 12 * HOLD_SECONDS
        return connected and (idle < HOLD_SECONDS or any(owner == self._client for owner, _ in self._buffers.values()))

    def _drop_orphans(self) -> None:
        """Give back the buffers of clients that are gone."""
        owners = {owner for owner, _ in self._buffers.values()} - {self._client}
        gone = {owner for owner in owners if not self._connected(owner)}
        self._buffers = {key: entry for key, entry in self._buffers.items() if entry[0] not in gone}

    # -- files and the FPGA manager --------------------------------------------------------------
    def exists(self, path: str) -> bool:
        with self._lock:
            return path in self._files

    def read_file(self, path: str) -> bytes:
        with self._lock:
            if path not in self._files:
                raise DeviceError(f"the simulated board has no file {path!r}")
            return self._files[path]

    def write_file(self, path: str, data: bytes) -> None:
        if not path.startswith("/") or len(path.encode()) > MAX_PATH_BYTES:
            raise DeviceError(
                f"file {path[:100]!r}: the simulated board accepts absolute paths of at most {MAX_PATH_BYTES} bytes"
            )
        others = sum(
            _FILE_BYTES + len(name.encode()) + len(content) for name, content in self._files.items() if name != path
        )
        if others + _FILE_BYTES + len(path.encode()) + len(data) > MAX_FILE_BYTES:
            raise DeviceError(f"no room for {len(data)} bytes in {path!r}: the simulated board keeps {MAX_FILE_BYTES}")
        self._files[path] = data
        if path == MANAGER + "firmware":
            self.program(data.decode("utf-8", "replace").strip())

    def program(self, name: str) -> None:
        """Load ``/lib/firmware/name``: the simulated design starts anew, whatever bitstream it is."""
        if self._files[MANAGER + "flags"].strip() not in (b"0", b""):
            raise DeviceError("partial reconfiguration is not simulated; load the whole bitstream")
        # pynq does not send a file that is there already, be it another one: so it goes when it is loaded.
        data = self._files.pop(FIRMWARE + name, None)
        if data is None:
            raise DeviceError(f"FPGA manager: no {FIRMWARE}{name}")
        words = np.frombuffer(data[: len(data) // 4 * 4], "<u4").byteswap().tobytes()
        if words.startswith(_STANDIN):
            named = _NAMED.match(words, len(_STANDIN))
            if named is None:
                raise DeviceError(
                    f"FPGA manager: {name!r} is a stand-in for no configuration; fetch it from the board again"
                )
            other, digits = (part.decode() for part in named.groups())
            if digits != f"{self.device.config.hash:08X}":
                raise DeviceError(
                    f"the bitstream is for configuration {other!r}, this board simulates "
                    f"{self.device.config.name!r}; start it with: zeroskip serve --config {other}"
                )
        elif _SYNC not in data[:4096]:
            raise DeviceError(f"FPGA manager: {name!r} ({len(data)} bytes) is no bitstream")
        self._drop_orphans()
        self.device.restart()
        self.programmed = True
        self._files[MANAGER + "state"] = b"operating\n"
        self.log(f"{self._client} programmed {name if name.isprintable() else repr(name)}")

    # -- registers -------------------------------------------------------------------------------
    @staticmethod
    def window(base: int, length: int) -> str:
        """Name of a register window."""
        if not 0 < length <= 1 << 30 or base % 4:
            raise DeviceError(f"register window of {length} bytes at 0x{base:X}: not whole words, or too long")
        return f"{base:x}+{length:x}"

    def _address(self, window: str, offset: int, length: int) -> int:
        try:
            base, size = (int(part, 16) for part in window.split("+"))
        except ValueError:
            raise DeviceError(f"no register window {window!r}") from None
        if offset % 4 or offset + length > size:
            raise DeviceError(f"{length} bytes at offset 0x{offset:X}: not aligned, or not in the window of {size}")
        if not self.programmed and not 0 <= base + offset - SLCR_BASE < SLCR_RANGE:
            raise DeviceError(
                f"bus error at 0x{base + offset:08X}: no bitstream is loaded (a real board would hang); "
                "load an overlay first"
            )
        return base + offset

    def read(self, window: str, offset: int, length: int) -> int:
        """A register, as the signed 32-bit number that the protocol carries."""
        if length not in (1, 2, 4):
            raise DeviceError(f"register read of {length} bytes; the protocol's answer holds 1, 2 or 4")
        data = self.device.read_registers(self._address(window, offset, length), 4)
        return int.from_bytes(data[:length], "little", signed=length == 4)

    def write(self, window: str, offset: int, data: bytes) -> None:
        if not data or len(data) % 4:
            raise DeviceError(f"register write of {len(data)} bytes; accepted: whole 32-bit words")
        self.device.write_registers(self._address(window, offset, len(data)), data)

    def set_clock(self, index: int, divisors: tuple[int, int]) -> None:
        """FCLK ``index`` = 1000 MHz / divisors."""
        if index not in range(4) or not all(0 < divisor < 64 for divisor in divisors):
            raise DeviceError(f"PL clock {index} with divisors {divisors}; accepted: clocks 0 to 3, divisors 1 to 63")
        word = divisors[0] << 8 | divisors[1] << 20
        self.device.write_registers(SLCR_BASE + 0x170 + 0x10 * index, word.to_bytes(4, "little"))

    # -- buffers ---------------------------------------------------------------------------------
    def allocate(self, size: int, cacheable: bool) -> str:
        if size < 0:
            raise DeviceError(f"buffer of {size} bytes")
        try:
            buffer = self.device.allocate((size,), np.uint8, cacheable=cacheable)
        except DeviceError:
            self._drop_orphans()
            buffer = self.device.allocate((size,), np.uint8, cacheable=cacheable)
        number = str(next(self._numbers))
        self._buffers[number] = self._client, buffer
        return number

    def buffer(self, number: str) -> np.ndarray:
        """The buffer, uint8 (size,), with pynq's ``flush``, ``invalidate`` and addresses."""
        if number not in self._buffers:
            raise DeviceError(f"no buffer {number!r}: freed, or of a connection that ended; open the device again")
        return self._buffers[number][1]

    def fill(self, number: str, start: int, data: bytes) -> None:
        """Write the processor's view of a buffer; ``flush`` passes it on."""
        buffer = self.buffer(number)
        if start + len(data) > buffer.size:
            raise DeviceError(f"write of {start + len(data)} bytes into buffer {number} of {buffer.size}")
        buffer[start : start + len(data)] = np.frombuffer(data, np.uint8)

    def free(self, number: str) -> None:
        self.buffer(number)
        del self._buffers[number]
