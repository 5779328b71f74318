"""``zeroskip serve``: a simulated PYNQ-Z2 that speaks pynq's remote protocol.

Any pynq client with ``PYNQ_REMOTE_DEVICES=127.0.0.1`` takes it for a board: Overlay, allocate, MMIO and
DMA work unmodified.  The calls are those of remote_services.py, on port 7967; what they do is in remote_board.py.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

from ..errors import DeviceError, InputError
from ..hardware.config import Config, get_config
from ..runtime.pynq_import import quiet
from . import simulated_device
from .memory import MemoryModel
from .remote_board import Board
from .remote_services import add_services, new_server

HOST, PORT = "127.0.0.1", 7967
"""pynq's client takes an address from PYNQ_REMOTE_DEVICES, and always this port."""


def _connected(port: int, client: str) -> bool | None:
    """Whether ``client`` has a connection to ``port`` of this machine; None where Linux does not tell."""
    found = False
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            rows = table.read_text().splitlines()[1:]
        except OSError:
            continue
        found = True
        for row in rows:
            local, remote, state = row.split()[1:4]
            ports = [int(end.rpartition(":")[2], 16) for end in (local, remote)]
            if state == "01" and ports == [port, int(client.rpartition(":")[2])]:
                return True
    return False if found else None


class Server:
    """A simulated board on the network, from construction to ``close``; a context manager.

    Args:
        kind: "sim" or "model".
        config: hardware to simulate.
        host, port: where to listen; the protocol has no passwords, so think before leaving loopback.
        memory: timing of the simulated memory.
        log: called with a line per event.

    Raises:
        InputError: no such port.
        DeviceError: the address is taken or is not this machine's.
        ToolError: the simulator cannot be built, or pynq has no remote protocol.
    """

    def __init__(
        self,
        kind: str = "sim",
        config: str | Path | Config = "tiny",
        host: str = HOST,
        port: int = PORT,
        memory: MemoryModel | None = None,
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        if not 0 <= port < 1 << 16:
            raise InputError(f"port {port}; accepted: 1 to 65535, or 0 for any that is free")
        self._server = new_server()
        try:
            with quiet():
                self.port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError:
            self.port = 0
        if not self.port:
            raise DeviceError(
                f"cannot listen on {host}:{port}: the port is taken (by another zeroskip serve?) or the address is "
                "not this machine's; another address is as good: --host 127.0.0.2 and PYNQ_REMOTE_DEVICES=127.0.0.2"
            )
        self.device = simulated_device(kind, get_config(config), memory)
        add_services(self._server, Board(self.device, self._connected, log))
        self._server.start()

    def _connected(self, client: str) -> bool | None:
        return _connected(self.port, client)

    def close(self) -> None:
        """Let running calls end, for two seconds at most, and release the device."""
        self._server.stop(2).wait()
        self.device.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _print(line: str) -> None:
    print(line, flush=True)


def serve(
    kind: str = "sim",
    config: str | Path | Config = "tiny",
    host: str = HOST,
    port: int = PORT,
    show: Callable[[str], None] = _print,
) -> None:
    """Serve until Ctrl-C or SIGTERM; see :class:`Server` for arguments and errors."""
    config = get_config(config)
    with Server(kind, config, host, port, log=show) as server:
        show(f"simulated PYNQ-Z2 ({kind}, configuration {config.name}) on {host}:{server.port}")
        show(f"use it from another shell with: export PYNQ_REMOTE_DEVICES={host}")
        if server.port != PORT:
            show(f"pynq's client always uses port {PORT}: open pynq.pl_server.remote_device.RemoteDevice yourself")
        if not host.startswith("127.") and host not in ("localhost", "[::1]"):
            show("warning: this address is not loopback, and whoever reaches it can use the board")
        show("Ctrl-C ends it")
        _until_interrupted()
    show("stopped")


def _until_interrupted() -> None:
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    stop.wait()
    for number, handler in zip(numbers, previous, strict=True):
        signal.signal(number, handler)
