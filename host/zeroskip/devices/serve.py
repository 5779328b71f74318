"""``zeroskip serve``: a simulated PYNQ-Z2 that speaks pynq's remote protocol.

Any pynq client with ``PYNQ_REMOTE_DEVICES=127.0.0.1`` takes it for a board: Overlay, allocate, MMIO and
DMA work unmodified.  The services are those of ``pynq.remote`` (gRPC, port 7967); what they do is in
remote_board.py.  Errors reach the client in the answer's ``msg`` where pynq's client reads it, which
then raises RuntimeError, and as a gRPC status elsewhere.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

from ..errors import DeviceError, ToolError, ZeroskipError
from ..hardware.config import Config, get_config
from ..runtime.pynq_import import import_pynq, quiet
from . import simulated_device
from .memory import MemoryModel
from .remote_board import FIRMWARE, MAX_FILE_BYTES, Board

import_pynq()
# gRPC's own log repeats, at length, what becomes an error here.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

try:
    with quiet():
        import grpc
        from pynq.remote import (
            buffer_pb2,
            buffer_pb2_grpc,
            mmio_pb2,
            mmio_pb2_grpc,
            remote_device_pb2,
            remote_device_pb2_grpc,
        )
except ImportError as error:
    raise ToolError(f"this pynq has no pynq.remote ({error}); install pynq==3.1.2") from error

HOST, PORT = "127.0.0.1", 7967
"""pynq's client takes an address from PYNQ_REMOTE_DEVICES, and always this port."""

CHUNK = 1 << 20
"""Bytes per message of a stream; gRPC's limit is 4 MiB."""

Method = Callable[[Board, Any], dict[str, Any]]


def _refuse(context: grpc.ServicerContext, error: Exception) -> None:
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))


def _answer(response: type, *, in_message: bool = True) -> Callable[[Method], Callable]:
    """A call with one answer: fields of ``response``, computed while the client has the board."""

    def decorate(method: Method) -> Callable:
        @functools.wraps(method)
        def call(self: _Service, request: Any, context: grpc.ServicerContext) -> Any:
            try:
                with self.board.turn(_client(context)):
                    return response(**method(self.board, request))
            except ZeroskipError as error:
                if in_message:
                    return response(msg=str(error))
                return _refuse(context, error)

        return call

    return decorate


def _client(context: grpc.ServicerContext) -> str:
    """Address and port of the connection."""
    return context.peer().partition(":")[2]


def _collect(parts: Iterator[bytes]) -> bytes:
    """The parts of a file that a client sends, as long as it may be."""
    data = bytearray()
    for part in parts:
        data += part
        if len(data) > MAX_FILE_BYTES:
            raise DeviceError(f"file of more than {MAX_FILE_BYTES} bytes; a bitstream of this part has 4 MiB")
    return bytes(data)


class _Service:
    def __init__(self, board: Board) -> None:
        self.board = board


class _Mmio(_Service, mmio_pb2_grpc.MmioServicer):
    @_answer(mmio_pb2.GetMmioResponse)
    def get_mmio(board, request):
        return {"status": True, "mmio_id": board.window(request.base_addr, request.length)}

    @_answer(mmio_pb2.ReadResponse)
    def read(board, request):
        return {"status": True, "data": board.read(request.mmio_id, request.offset, request.length)}

    @_answer(mmio_pb2.WriteResponse)
    def write(board, request):
        board.write(request.mmio_id, request.offset, request.data)
        return {"status": True}


class _Buffers(_Service, buffer_pb2_grpc.RemoteBufferServicer):
    @_answer(buffer_pb2.AllocateResponse, in_message=False)
    def allocate(board, request):
        return {"buffer_id": board.allocate(request.size, request.cacheable)}

    @_answer(buffer_pb2.FreeBufferResponse)
    def freebuffer(board, request):
        board.free(request.buffer_id)
        return {}

    @_answer(buffer_pb2.FlushResponse)
    def flush(board, request):
        board.buffer(request.buffer_id).flush()
        return {}

    @_answer(buffer_pb2.InvalidateResponse)
    def invalidate(board, request):
        board.buffer(request.buffer_id).invalidate()
        return {}

    @_answer(buffer_pb2.AddressResponse)
    def physical_address(board, request):
        return {"address": board.buffer(request.buffer_id).physical_address}

    @_answer(buffer_pb2.AddressResponse)
    def virtual_address(board, request):
        return {"address": board.buffer(request.buffer_id).virtual_address}

    @_answer(buffer_pb2.CacheableResponse)
    def cacheable(board, request):
        return {"cacheable": board.buffer(request.buffer_id).cacheable}

    def write(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        start = 0
        try:
            for request in requests:
                with self.board.turn(_client(context)):
                    self.board.fill(request.buffer_id, start, request.data)
                start += len(request.data)
        except ZeroskipError as error:
            return buffer_pb2.BufferWriteResponse(msg=str(error))
        return buffer_pb2.BufferWriteResponse()

    def read(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            with self.board.turn(_client(context)):
                data = self.board.buffer(request.buffer_id).tobytes()
        except ZeroskipError as error:
            _refuse(context, error)
        for start in range(0, len(data), CHUNK):
            yield buffer_pb2.BufferReadResponse(data=data[start : start + CHUNK])


class _Device(_Service, remote_device_pb2_grpc.RemoteDeviceServicer):
    """Files may be read by any client: so it learns what board this is before it asks for it."""

    firmware = ""

    def existsfile(self, request: Any, context: grpc.ServicerContext) -> Any:
        return remote_device_pb2.ExistsFileResponse(exists=self.board.exists(request.file_path))

    def readfile(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        try:
            data = self.board.read_file(request.file_path)
        except ZeroskipError as error:
            _refuse(context, error)
        for start in range(0, len(data), CHUNK):
            yield remote_device_pb2.ReadFileResponse(data=data[start : start + CHUNK])

    def writefile(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        paths = []
        try:
            data = _collect(paths.append(request.file_path) or request.data for request in requests)
            with self.board.turn(_client(context)):
                self.board.write_file(paths[0] if paths else "", data)
        except ZeroskipError as error:
            _refuse(context, error)
        return remote_device_pb2.WriteFileResponse()

    def set_bitstream_attrs(self, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            with self.board.turn(_client(context)):
                self.firmware = request.binfile_name
        except ZeroskipError as error:
            _refuse(context, error)
        return remote_device_pb2.SetBitstreamAttrsResponse(status=True)

    def download(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        try:
            data = _collect(request.buffer for request in requests)
            with self.board.turn(_client(context)):
                self.board.write_file(FIRMWARE + self.firmware, data)
                self.board.program(self.firmware)
        except ZeroskipError as error:
            _refuse(context, error)
        return remote_device_pb2.DownloadResponse(status=True)

    @_answer(remote_device_pb2.SetPlClkResponse, in_message=False)
    def set_pl_clk(board, request):
        board.set_clock(request.i, (request.div0, request.div1))
        return {"status": True}

    @_answer(remote_device_pb2.ShutdownResponse, in_message=False)
    def shutdown(board, request):
        return {"status": True}  # there are no AXI connections to shut down


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
        # Without so_reuseport=0 a second server would share the port and get half of the calls.
        self._server = grpc.server(futures.ThreadPoolExecutor(8), options=(("grpc.so_reuseport", 0),))
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
        board = Board(self.device, functools.partial(_connected, self.port), log)
        mmio_pb2_grpc.add_MmioServicer_to_server(_Mmio(board), self._server)
        buffer_pb2_grpc.add_RemoteBufferServicer_to_server(_Buffers(board), self._server)
        remote_device_pb2_grpc.add_RemoteDeviceServicer_to_server(_Device(board), self._server)
        self._server.start()

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
