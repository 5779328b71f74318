"""The server of zeroskip serve in this process, and calls that pynq's client would not make."""

import os
import socket
import threading
import time

import numpy as np
import pytest

import zeroskip as zs
from addresses import fresh_address
from zeroskip.devices import remote_board, remote_services
from zeroskip.devices.board import OFFERED
from zeroskip.devices.remote_board import FIRMWARE, MANAGER, MAX_FILE_BYTES, standin
from zeroskip.devices.serve import PORT, Server
from zeroskip.errors import DeviceError
from zeroskip.hardware.config import get_config
from zeroskip.hardware.registers import DMA_BASE, ENGINE_BASE, ENGINE_RANGE


class Calls:
    """The three services, called directly; each answer with a deadline."""

    def __init__(self, address):
        import grpc
        from pynq.remote import (
            buffer_pb2,
            buffer_pb2_grpc,
            mmio_pb2,
            mmio_pb2_grpc,
            remote_device_pb2,
            remote_device_pb2_grpc,
        )

        # A connection of its own, where gRPC would share one between the channels of a process.
        options = (("grpc.use_local_subchannel_pool", 1),)
        self.channel = grpc.insecure_channel(f"{address}:{PORT}", options=options)
        self.error, self.stream_unary = grpc.RpcError, grpc.StreamUnaryMultiCallable
        self.messages = {"mmio": mmio_pb2, "buffer": buffer_pb2, "device": remote_device_pb2}
        self.stubs = {
            "mmio": mmio_pb2_grpc.MmioStub(self.channel),
            "buffer": buffer_pb2_grpc.RemoteBufferStub(self.channel),
            "device": remote_device_pb2_grpc.RemoteDeviceStub(self.channel),
        }

    def __call__(self, service, method, request, *more, **fields):
        """The answer to ``request(**fields)``, or to a stream of it and ``more`` messages of fields."""
        make = getattr(self.messages[service], request)
        stub = getattr(self.stubs[service], method)
        first = make(**fields)
        stream = isinstance(stub, self.stream_unary)
        answer = stub(iter([first, *(make(**each) for each in more)]) if stream else first, timeout=20)
        return answer if hasattr(answer, "DESCRIPTOR") else list(answer)

    def refused(self, *arguments, **fields):
        """The text with which a call is refused."""
        try:
            answer = self(*arguments, **fields)
        except self.error as error:
            assert error.code().name == "FAILED_PRECONDITION", error
            return error.details()
        return answer.msg

    def refused_status(self, *arguments, **fields):
        """The status with which a call is refused; None: it is not."""
        try:
            self(*arguments, **fields)
        except self.error as error:
            return error.code().name

    def program(self):
        bit, _ = standin(get_config("tiny"))
        data = np.frombuffer(bit[bit.index(b"zeroskip stand-in") :], "<u4").byteswap().tobytes()
        self("device", "writefile", "WriteFileRequest", file_path=FIRMWARE + "a.bin", data=data)
        self("device", "writefile", "WriteFileRequest", file_path=MANAGER + "firmware", data=b"a.bin")

    def window(self, base=ENGINE_BASE, length=ENGINE_RANGE):
        return self("mmio", "get_mmio", "GetMmioRequest", base_addr=base, length=length).mmio_id


@pytest.fixture(scope="module")
def address():
    address = fresh_address()
    with Server("model", "tiny", address):
        yield address


@pytest.fixture
def calls(address):
    calls = Calls(address)
    yield calls
    calls.channel.close()
    time.sleep(0.1)


def test_registers_before_and_after_programming():
    address = fresh_address()
    with Server("model", "tiny", address):
        calls = Calls(address)
        read = ("mmio", "read", "ReadRequest")
        assert "no bitstream is loaded" in calls.refused(*read, mmio_id=calls.window(), offset=0, length=4)
        assert calls(*read, mmio_id=calls.window(0xF8000000, 512), offset=0x108, length=4).data == 20 << 12
        calls.program()
        assert calls(*read, mmio_id=calls.window(), offset=0, length=4).data == 0x5A534B31
        assert calls(*read, mmio_id=calls.window(), offset=0, length=1).data == 0x31
        calls.channel.close()


@pytest.mark.parametrize(
    "call, fields, said",
    [
        (("mmio", "get_mmio", "GetMmioRequest"), {"base_addr": 2, "length": 4}, "whole words"),
        (("mmio", "get_mmio", "GetMmioRequest"), {"base_addr": 0, "length": 2**63}, "too long"),
        (("mmio", "read", "ReadRequest"), {"mmio_id": "zz", "length": 4}, "no register window 'zz'"),
        (("mmio", "read", "ReadRequest"), {"mmio_id": "40400000+100", "length": 3}, "1, 2 or 4"),
        (("mmio", "read", "ReadRequest"), {"mmio_id": "40400000+100", "length": 4, "offset": 2}, "not aligned"),
        (("mmio", "read", "ReadRequest"), {"mmio_id": "40400000+100", "length": 4, "offset": 256}, "not in the window"),
        (("mmio", "read", "ReadRequest"), {"mmio_id": "10+100", "length": 4}, "nothing at address 0x00000010"),
        (("mmio", "write", "WriteRequest"), {"mmio_id": "40400000+100", "data": b"abc"}, "whole 32-bit words"),
        (("mmio", "write", "WriteRequest"), {"mmio_id": "40400000+4", "data": b"a" * 8}, "not in the window of 4"),
        (("buffer", "allocate", "AllocateRequest"), {"size": -1}, "-1 bytes"),
        (("buffer", "allocate", "AllocateRequest"), {"size": 2**31 - 1}, "memory exhausted"),
        (("buffer", "flush", "FlushRequest"), {"buffer_id": "77"}, "no buffer '77'"),
        (("buffer", "freebuffer", "FreeBufferRequest"), {}, "no buffer ''"),
        (("buffer", "physical_address", "AddressRequest"), {"buffer_id": "x"}, "no buffer 'x'"),
        (("buffer", "read", "BufferReadRequest"), {"buffer_id": "x"}, "no buffer 'x'"),
        (("buffer", "write", "BufferWriteRequest"), {"buffer_id": "x", "data": b"1"}, "no buffer 'x'"),
        (("device", "readfile", "ReadFileRequest"), {"file_path": "/etc/passwd"}, "no file '/etc/passwd'"),
        (("device", "writefile", "WriteFileRequest"), {"file_path": "../x", "data": b"1"}, "absolute paths"),
        (
            ("device", "writefile", "WriteFileRequest"),
            {"file_path": MANAGER + "firmware", "data": b"?"},
            "no /lib/firm",
        ),
        (("device", "download", "DownloadRequest"), {"buffer": b"1234"}, "is no bitstream"),
        (("device", "set_pl_clk", "SetPlClkRequest"), {"i": 4, "div0": 1, "div1": 1}, "clocks 0 to 3"),
    ],
)
def test_bad_calls_are_refused(calls, call, fields, said):
    calls.program()
    assert said in calls.refused(*call, **fields)
    assert calls("mmio", "read", "ReadRequest", mmio_id=calls.window(), length=4).data == 0x5A534B31, "still works"


def test_limits_of_streams(calls):
    calls.program()
    number = calls("buffer", "allocate", "AllocateRequest", size=100, cacheable=True).buffer_id
    write = ("buffer", "write", "BufferWriteRequest")
    part = {"buffer_id": number, "data": b"x" * 60}
    assert "120 bytes into buffer" in calls.refused(*write, part, **part)
    assert not calls(*write, {"buffer_id": number, "data": b"y" * 40}, **part).msg
    assert calls("buffer", "read", "BufferReadRequest", buffer_id=number)[0].data == b"x" * 60 + b"y" * 40
    calls("buffer", "freebuffer", "FreeBufferRequest", buffer_id=number)
    chunk = {"file_path": "/big", "data": bytes(2 << 20)}
    assert f"more than {MAX_FILE_BYTES}" in calls.refused(
        "device", "writefile", "WriteFileRequest", *[chunk] * 32, **chunk
    )
    assert not calls("device", "existsfile", "ExistsFileRequest", file_path="/big").exists


def test_names_count_as_files_do(calls, monkeypatch):
    assert not calls.refused_status("device", "writefile", "WriteFileRequest", file_path="/a", data=b"1")
    monkeypatch.setattr(remote_board, "MAX_FILE_BYTES", 1 << 20)
    name = "/" + "n" * 4000
    for number in range(300):
        if status := calls.refused_status("device", "writefile", "WriteFileRequest", file_path=f"{name}{number}"):
            break
    assert status == "FAILED_PRECONDITION" and 200 < number < 300
    assert "at most 4096 bytes" in calls.refused("device", "writefile", "WriteFileRequest", file_path="/" + "n" * 5000)
    monkeypatch.undo()
    endless = {"file_path": "/" + "x" * (2 << 20)}  # nothing but names
    assert "more than" in calls.refused("device", "writefile", "WriteFileRequest", *[endless] * 40, **endless)


@pytest.mark.parametrize(
    "named", [b"", b" ", b"tiny", b"tiny 1234", b"\xff\xfe 01234567 ", b"tiny zzzzzzzz x", b"\x1b[2J 0 0"]
)
def test_odd_standins(calls, named):
    data = b"zeroskip stand-in, no bitstream: " + named
    data += b" " * (-len(data) % 4)
    words = np.frombuffer(data, "<u4").byteswap().tobytes()
    calls("device", "writefile", "WriteFileRequest", file_path=FIRMWARE + "odd.bin", data=words)
    load = {"file_path": MANAGER + "firmware", "data": b"odd.bin"}
    assert "stand-in for no configuration" in calls.refused("device", "writefile", "WriteFileRequest", **load)


class Unfinished:
    """Uploads that send one message each and then nothing."""

    def __init__(self, calls, count, **fields):
        self.more = threading.Event()
        stub = calls.stubs["device"].writefile
        message = calls.messages["device"].WriteFileRequest(**fields)

        def messages():
            yield message
            self.more.wait(60)

        self.futures = [stub.future(messages(), timeout=60) for _ in range(count)]

    def codes(self):
        found = sorted(future.exception(60).code().name for future in self.futures)
        self.more.set()
        return found


def test_unfinished_uploads_leave_the_board_to_others(calls, monkeypatch):
    monkeypatch.setattr(remote_services, "STALL_SECONDS", 2.0)
    count = 2 * remote_services.THREADS
    uploads = Unfinished(calls, count, file_path="/never", data=b"1")
    assert calls("device", "existsfile", "ExistsFileRequest", file_path="/proc/version").exists
    few = remote_services.STREAMS
    assert uploads.codes() == ["DEADLINE_EXCEEDED"] * few + ["RESOURCE_EXHAUSTED"] * (count - few)
    assert not calls("device", "existsfile", "ExistsFileRequest", file_path="/never").exists
    calls.program()


def test_a_client_that_goes_away_leaves_no_half_file(calls):
    uploads = Unfinished(calls, 1, file_path="/half", data=b"1")
    time.sleep(0.2)
    uploads.futures[0].cancel()
    uploads.more.set()
    time.sleep(0.2)
    assert not calls("device", "existsfile", "ExistsFileRequest", file_path="/half").exists
    calls.program()


def test_clients_that_do_not_take_their_answer_are_cut_off(calls, monkeypatch):
    monkeypatch.setattr(remote_services, "STALL_SECONDS", 1.0)
    calls.program()
    number = calls("buffer", "allocate", "AllocateRequest", size=64 << 20).buffer_id
    request = calls.messages["buffer"].BufferReadRequest(buffer_id=number)
    stalled = [calls.stubs["buffer"].read(request, timeout=60) for _ in range(remote_services.THREADS)]
    assert calls("device", "existsfile", "ExistsFileRequest", file_path="/proc/version").exists
    time.sleep(3)
    codes = []
    for answer in stalled:
        with pytest.raises(calls.error) as error:
            list(answer)
        codes.append(error.value.code().name)
    few = remote_services.STREAMS
    assert sorted(codes) == ["CANCELLED"] * few + ["RESOURCE_EXHAUSTED"] * (len(codes) - few)
    assert len(calls("buffer", "read", "BufferReadRequest", buffer_id=number)) == 64
    calls("buffer", "freebuffer", "FreeBufferRequest", buffer_id=number)


def test_noise_on_the_port(calls, address):
    for noise in (b"", b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n", os.urandom(2000)):
        with socket.create_connection((address, PORT), timeout=5) as connection:
            connection.sendall(noise)
    generic = calls.channel.unary_unary("/mmio.Mmio/read")  # bytes that are no message
    with pytest.raises(calls.error):
        generic(b"\xff" * 50, timeout=20)
    calls.program()


def test_second_client_waits_until_the_first_is_gone(address, calls):
    calls.program()
    calls("buffer", "allocate", "AllocateRequest", size=8)
    other = Calls(address)
    assert other("device", "existsfile", "ExistsFileRequest", file_path="/proc/version").exists, "may ask what it is"
    assert "is in use by 127.0.0.1" in other.refused("buffer", "allocate", "AllocateRequest", size=8)
    calls.channel.close()
    deadline = time.monotonic() + 10
    while other.refused("mmio", "get_mmio", "GetMmioRequest", base_addr=DMA_BASE, length=4):
        assert time.monotonic() < deadline, "the first client is gone and still has the board"
        time.sleep(0.05)
    other.channel.close()


def test_memory_of_dead_clients_comes_back(address):
    for _ in range(3):  # 256 MiB hold one of these
        calls, deadline = Calls(address), time.monotonic() + 10
        while calls.refused("mmio", "get_mmio", "GetMmioRequest", base_addr=DMA_BASE, length=4):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert calls("buffer", "allocate", "AllocateRequest", size=150 << 20).buffer_id
        calls.channel.close()
        time.sleep(0.1)


def test_calls_of_many_threads(calls):
    calls.program()
    window, wrong = calls.window(), []

    def hammer():
        for _ in range(30):
            number = calls("buffer", "allocate", "AllocateRequest", size=64).buffer_id
            if calls("mmio", "read", "ReadRequest", mmio_id=window, length=4).data != 0x5A534B31:
                wrong.append(number)
            calls("buffer", "freebuffer", "FreeBufferRequest", buffer_id=number)

    threads = [threading.Thread(target=hammer) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong and not any(thread.is_alive() for thread in threads)


def test_port_taken(address):
    with pytest.raises(DeviceError, match=f"cannot listen on {address}:{PORT}: the port is taken"):
        Server("model", "tiny", address)


def test_it_listens_on_loopback_unless_told():
    """The default address is 127.0.0.1; another of this machine's does not answer."""
    address = fresh_address()
    with Server("model", "tiny", address), pytest.raises(OSError):
        socket.create_connection((fresh_address(), PORT), timeout=2)
    assert zs.devices.serve.HOST == "127.0.0.1"


def test_offers_its_bitstream(calls):
    for suffix, content in zip((".bit", ".hwh"), standin(get_config("tiny")), strict=True):
        file = OFFERED.format("tiny") + suffix
        parts = calls("device", "readfile", "ReadFileRequest", file_path=file)
        assert b"".join(part.data for part in parts) == content
