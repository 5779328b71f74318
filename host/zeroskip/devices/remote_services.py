"""The services of ``pynq.remote`` (gRPC) on a simulated board: calls in, what remote_board.py does, answers out.

Errors reach the client in the answer's ``msg`` where pynq's client reads it, which then raises RuntimeError, and as a
gRPC status elsewhere.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import DeviceError, ToolError, ZeroskipError
from ..runtime.pynq_import import import_pynq, quiet
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


def add_services(server: grpc.Server, board: Board) -> None:
    """Let a gRPC server answer for ``board``."""
    mmio_pb2_grpc.add_MmioServicer_to_server(_Mmio(board), server)
    buffer_pb2_grpc.add_RemoteBufferServicer_to_server(_Buffers(board), server)
    remote_device_pb2_grpc.add_RemoteDeviceServicer_to_server(_Device(board), server)
