"""The services of ``pynq.remote`` (gRPC) on a simulated board: calls in, what remote_board.py does, answers out.

Errors reach the client in the answer's ``msg`` where pynq's client reads it, which then raises RuntimeError, and as a
gRPC status elsewhere.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
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

THREADS, CALLS, STREAMS = 16, 64, 4
"""Calls at work, calls at work and waiting, and how many of them may be uploads (or answers) of several messages: the
rest of the threads stay free for others, whatever becomes of these."""

STALL_SECONDS, STREAM_SECONDS = 10.0, 600.0
"""The longest pause between two messages of a stream, and the longest time it may take in all."""

_SETTLE_SECONDS = 0.05
"""A client that goes away in mid-upload looks, for a moment, like one that has sent all of it."""

Method = Callable[[Board, Any], dict[str, Any]]


class _Refused(Exception):
    """A call that ends with this status."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextlib.contextmanager
def _statuses(context: grpc.ServicerContext) -> Iterator[None]:
    """Turns errors into the call's status."""
    try:
        yield
    except ZeroskipError as error:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error)[:_LONGEST])
    except _Refused as error:
        context.abort(error.code, str(error))


_LONGEST = 1000
"""Characters of a message; a status travels in a header."""


def _answer(response: type, *, in_message: bool = True) -> Callable[[Method], Callable]:
    """A call with one answer: fields of ``response``, computed while the client has the board."""

    def decorate(method: Method) -> Callable:
        @functools.wraps(method)
        def call(self: _Service, request: Any, context: grpc.ServicerContext) -> Any:
            with _statuses(context):
                try:
                    with self.board.turn(_client(context)):
                        return response(**method(self.board, request))
                except ZeroskipError as error:
                    if not in_message:
                        raise
                    return response(msg=str(error)[:_LONGEST])

        return call

    return decorate


def _client(context: grpc.ServicerContext) -> str:
    """Address and port of the connection."""
    return context.peer().partition(":")[2]


def _received(requests: Iterator[Any]) -> Iterator[Any]:
    """The messages of an upload.

    Raises:
        _Refused: the next one does not come, all of them take too long, or the client is gone.
    """
    messages: queue.Queue = queue.Queue(CALLS)

    def pump() -> None:  # waiting for a message knows no timeout; it ends with the call
        last = None
        with contextlib.suppress(queue.Full):
            try:
                for request in requests:
                    messages.put(request, timeout=STALL_SECONDS)
            except grpc.RpcError:
                last = _Refused(grpc.StatusCode.CANCELLED, "the client is gone")
            messages.put(last, timeout=STALL_SECONDS)

    threading.Thread(target=pump, daemon=True).start()
    end = time.monotonic() + STREAM_SECONDS
    while True:
        try:
            message = messages.get(timeout=min(STALL_SECONDS, end - time.monotonic()))
        except (queue.Empty, ValueError):  # ValueError: the time is over
            text = f"an upload without a message for {STALL_SECONDS:g} s, or of more than {STREAM_SECONDS:g} s"
            raise _Refused(grpc.StatusCode.DEADLINE_EXCEEDED, f"{text}; send it again") from None
        if message is None:
            return
        if isinstance(message, _Refused):
            raise message
        yield message


def _collect(requests: Iterator[Any], context: grpc.ServicerContext, data: str) -> tuple[Any, bytes]:
    """The first message of a file's upload, and the file; whatever else is in the messages counts, too."""
    first, parts, size = None, [], 0
    for request in _received(requests):
        first = request if first is None else first
        parts.append(getattr(request, data))
        size += request.ByteSize() + 64
        if size > MAX_FILE_BYTES:
            raise DeviceError(f"file of more than {MAX_FILE_BYTES} bytes; a bitstream of this part has 4 MiB")
    time.sleep(_SETTLE_SECONDS)
    if not context.is_active():
        raise _Refused(grpc.StatusCode.CANCELLED, "the client is gone")
    return first, b"".join(parts)


def _sent(context: grpc.ServicerContext, response: type, data: bytes) -> Iterator[Any]:
    """An answer of several messages; a client that does not take them is cut off."""
    end = time.monotonic() + STREAM_SECONDS
    for start in range(0, len(data), CHUNK):
        timer = threading.Timer(max(0.0, min(STALL_SECONDS, end - time.monotonic())), context.cancel)
        timer.daemon = True
        timer.start()
        yield response(data=data[start : start + CHUNK])
        timer.cancel()


class _Service:
    def __init__(self, board: Board, streams: threading.Semaphore) -> None:
        self.board = board
        self.streams = streams

    @contextlib.contextmanager
    def stream(self, context: grpc.ServicerContext) -> Iterator[None]:
        """A call of several messages: one of a few."""
        with _statuses(context):
            if not self.streams.acquire(blocking=False):
                text = f"{STREAMS} uploads or downloads are under way; try again when one has ended"
                raise _Refused(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
            try:
                yield
            finally:
                self.streams.release()


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
        with self.stream(context):
            try:
                for request in _received(requests):
                    with self.board.turn(_client(context)):
                        self.board.fill(request.buffer_id, start, request.data)
                    start += len(request.data)
            except ZeroskipError as error:
                return buffer_pb2.BufferWriteResponse(msg=str(error)[:_LONGEST])
        return buffer_pb2.BufferWriteResponse()

    def read(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with self.stream(context):
            with self.board.turn(_client(context)):
                data = self.board.buffer(request.buffer_id).tobytes()
            yield from _sent(context, buffer_pb2.BufferReadResponse, data)


class _Device(_Service, remote_device_pb2_grpc.RemoteDeviceServicer):
    """Files may be read by any client: so it learns what board this is before it asks for it."""

    firmware = ""

    def existsfile(self, request: Any, context: grpc.ServicerContext) -> Any:
        return remote_device_pb2.ExistsFileResponse(exists=self.board.exists(request.file_path))

    def readfile(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with self.stream(context):
            yield from _sent(context, remote_device_pb2.ReadFileResponse, self.board.read_file(request.file_path))

    def writefile(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        with self.stream(context):
            first, data = _collect(requests, context, "data")
            with self.board.turn(_client(context)):
                self.board.write_file(first.file_path if first is not None else "", data)
        return remote_device_pb2.WriteFileResponse()

    def set_bitstream_attrs(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _statuses(context), self.board.turn(_client(context)):
            self.firmware = request.binfile_name
        return remote_device_pb2.SetBitstreamAttrsResponse(status=True)

    def download(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        with self.stream(context):
            _, data = _collect(requests, context, "buffer")
            with self.board.turn(_client(context)):
                self.board.write_file(FIRMWARE + self.firmware, data)
                self.board.program(self.firmware)
        return remote_device_pb2.DownloadResponse(status=True)

    @_answer(remote_device_pb2.SetPlClkResponse, in_message=False)
    def set_pl_clk(board, request):
        board.set_clock(request.i, (request.div0, request.div1))
        return {"status": True}

    @_answer(remote_device_pb2.ShutdownResponse, in_message=False)
    def shutdown(board, request):
        return {"status": True}  # there are no AXI connections to shut down


def new_server() -> grpc.Server:
    """A gRPC server for :func:`add_services`, with a bound on its calls."""
    # Without so_reuseport=0 a second server would share the port and get half of the calls.
    options = (("grpc.so_reuseport", 0),)
    return grpc.server(futures.ThreadPoolExecutor(THREADS), options=options, maximum_concurrent_rpcs=CALLS)


def add_services(server: grpc.Server, board: Board) -> None:
    """Let a gRPC server answer for ``board``."""
    streams = threading.Semaphore(STREAMS)
    mmio_pb2_grpc.add_MmioServicer_to_server(_Mmio(board, streams), server)
    buffer_pb2_grpc.add_RemoteBufferServicer_to_server(_Buffers(board, streams), server)
    remote_device_pb2_grpc.add_RemoteDeviceServicer_to_server(_Device(board, streams), server)
