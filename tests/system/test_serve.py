"""zeroskip serve: a client in another process that knows only pynq, on the simulated PYNQ-Z2.

Each server listens on an address of its own in 127/8, as pynq's client always uses port 7967.
"""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.devices.board import BITSTREAM_VARIABLE, OFFERED, REMOTE_VARIABLE
from zeroskip.devices.remote_board import FIRMWARE, MANAGER, MAX_FILE_BYTES, standin
from zeroskip.devices.serve import PORT, Server
from zeroskip.errors import DeviceError
from zeroskip.hardware.config import get_config
from zeroskip.hardware.registers import DMA_BASE, ENGINE_BASE, ENGINE_RANGE

PYNQ4 = "ZEROSKIP_PYNQ4"
"""Names a Python with pynq 4, the first release that brings pynq.remote.selftest (and drops the PYNQ-Z2)."""

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "remote.md"

RUN_LAYER = """
import numpy as np, sys, zeroskip as zs
from zeroskip.errors import ZeroskipError
rng = np.random.default_rng(7)
x = rng.integers(-200, 200, (2, 12, 9, 9)).astype(np.int16)
w = (rng.integers(-127, 128, (5, 12, 3, 3)) * (rng.random((5, 12, 3, 3)) < 0.4)).astype(np.int8)
try:
    with zs.open_device(sys.argv[1], "tiny") as dev:
        for batch in (x, x[:1], x):  # buffers of other sizes
            sums, counters = zs.conv2d(dev, batch, w, padding=(1, 1, 1, 1))
    np.save(sys.argv[2], sums)
    print(counters.as_dict())
except ZeroskipError as error:
    sys.exit(f"refused: {error}")
"""

# What the examples of pynq's documentation do; zeroskip is not imported.
PLAIN_PYNQ = """
import sys, numpy as np, pynq, pynq.lib.dma
overlay = pynq.Overlay(sys.argv[1])
assert overlay.is_loaded() and isinstance(overlay.axi_dma_0, pynq.lib.dma.DMA)
assert type(overlay.device).__name__ == "RemoteDevice" and overlay.device.arch == "armv7l"
assert overlay.zeroskip_0.read(0) == 0x5A534B31 == int(overlay.zeroskip_0.register_map.ID)
assert pynq.Clocks.fclk0_mhz == 100.0 and pynq.Clocks.cpu_mhz == 650.0
pynq.Clocks.fclk0_mhz = 50.0
assert pynq.Clocks.fclk0_mhz == 50.0
buffer = pynq.allocate((700_000,), np.uint64)  # several messages each way
data = np.random.default_rng(1).integers(0, 2**64, buffer.size, dtype=np.uint64)
buffer[:] = data
buffer.flush()
buffer[:] = 0
buffer.invalidate()
assert (np.array(buffer) == data).all() and buffer.physical_address % 4096 == 0
buffer.freebuffer()
device = overlay.device  # and what pynq.remote.selftest does with files
device.write_file("/tmp/round_trip.bin", b"there and back")
assert device.read_file("/tmp/round_trip.bin") == b"there and back"
print("fine")
"""


@pytest.fixture(scope="module")
def addresses():
    """Loopback addresses that no other test, or run of the tests, uses."""
    pick = random.Random(os.getpid())
    return iter([f"127.{pick.randrange(1, 255)}.{pick.randrange(256)}.{pick.randrange(1, 255)}" for _ in range(30)])


def client(code, address, *arguments, **popen):
    """Start a program of its own, with ``address`` for a board."""
    environment = {**os.environ, REMOTE_VARIABLE: address}
    environment.pop(BITSTREAM_VARIABLE, None)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **popen,
    )


def finish(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out.strip(), err


@contextlib.contextmanager
def serving(address, kind, *options):
    """``zeroskip serve`` as a process of its own; yields it when it listens."""
    command = [sys.executable, "-m", "zeroskip.cli", "serve", "--device", kind, "--host", address, *options]
    environment = {key: value for key, value in os.environ.items() if key != REMOTE_VARIABLE}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        first = process.stdout.readline()
        assert "simulated PYNQ-Z2" in first and f"{address}:{PORT}" in first, first + process.stdout.read()
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("kind", ["model", "sim"])
def test_clients_one_after_the_other(kind, addresses, tmp_path):
    """Two processes get the sums and counters of the local device; Ctrl-C then ends the server."""
    address = next(addresses)
    here = finish(subprocess_here := client(RUN_LAYER, "", kind, tmp_path / "here.npy"))
    assert subprocess_here.returncode == 0, here[2]
    with serving(address, kind) as server:
        for number in range(2):
            file = tmp_path / f"{number}.npy"
            code, out, err = finish(client(RUN_LAYER, address, "board", file))
            assert code == 0, err
            assert out == here[1], "counters"
            np.testing.assert_array_equal(np.load(file), np.load(tmp_path / "here.npy"))
        server.send_signal(signal.SIGINT)
        out, _ = server.communicate(timeout=20)
        assert server.returncode == 0 and out.rstrip().endswith("stopped") and "Traceback" not in out


def test_network(addresses):
    """A network of several layers, through open_device("board"), equals its integer reference."""
    address = next(addresses)
    code = (
        "import numpy as np, zeroskip as zs\n"
        "from zeroskip.examples import digits\n"
        "data = digits.load()\n"
        "model = zs.compile(digits.MODEL_PATH, 'tiny', data.calibration[:32])\n"
        "with zs.open_device('board', 'tiny') as dev:\n"
        "    result = model.run(dev, data.test[:2])\n"
        "np.testing.assert_array_equal(result.outputs, model.reference(data.test[:2]))\n"
        "print(result.cycles > 0)"
    )
    with Server("model", "tiny", address):
        assert finish(client(code, address))[:2] == (0, "True")


def test_a_client_that_knows_only_pynq(addresses, tmp_path):
    """Overlay uploads the bitstream and programs the board; MMIO, clocks, buffers and files work."""
    address, bit = next(addresses), tmp_path / "mine.bit"
    for suffix, content in zip((".bit", ".hwh"), standin(get_config("tiny")), strict=True):
        bit.with_suffix(suffix).write_bytes(content)
    with Server("model", "tiny", address):
        code, out, err = finish(client(PLAIN_PYNQ, address, bit))
        assert (code, out) == (0, "fine"), err


def test_the_example_of_the_documentation(addresses, tmp_path):
    """docs/remote.md: fetch the bitstream pair from the board, load it, read the ID register."""
    example = re.search(r"```python\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)[1]
    address = next(addresses)
    with Server("model", "tiny", address):
        code, out, err = finish(client(example, address, cwd=tmp_path))
    assert (code, out) == (0, "0x5a534b31"), err


@pytest.mark.skipif(PYNQ4 not in os.environ, reason=f"set {PYNQ4} to a Python that has pynq 4")
def test_selftest_of_pynq(addresses):
    """AMD's own check of a pynq.remote server."""
    address = next(addresses)
    command = [os.environ[PYNQ4], "-m", "pynq.remote.selftest", "--ip", address]
    with Server("model", "tiny", address):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0 and " 0 failed" in done.stdout, done.stdout


def test_nobody_there(addresses):
    code, _, err = finish(client(RUN_LAYER, next(addresses), "board", "none.npy"))
    assert code == 1 and "no board answers at" in err and "zeroskip serve" in err


def test_server_that_dies(addresses):
    """The next run says so, in one message and soon."""
    address = next(addresses)
    code = RUN_LAYER.replace("for batch in (x, x[:1], x):", "for batch in [x] * 10**6:")
    code = code.replace("sums, counters =", "print('run', flush=True); sums, counters =")
    with serving(address, "model") as server:
        process = client(code, address, "board", "none.npy")
        assert process.stdout.readline() == "run\n" == process.stdout.readline()
        server.kill()
        status, _, err = finish(process)
    assert status == 1 and err.startswith("refused: the board stopped answering") and "Traceback" not in err


def test_other_configuration_is_refused(addresses, tmp_path):
    address, bit = next(addresses), tmp_path / "z2.bit"
    for suffix, content in zip((".bit", ".hwh"), standin(get_config("z2")), strict=True):
        bit.with_suffix(suffix).write_bytes(content)
    with Server("model", "tiny", address):
        code = f"import os; os.environ['{BITSTREAM_VARIABLE}'] = {str(bit)!r}" + RUN_LAYER.replace('"tiny"', '"z2"')
        status, _, err = finish(client(code, address, "board", "none.npy"))
    assert status == 1 and "this board simulates 'tiny'" in err and "zeroskip serve --config z2" in err


# -- the server in this process, and calls that pynq's client would not make ------------------------
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

    def program(self):
        bit, _ = standin(get_config("tiny"))
        data = np.frombuffer(bit[bit.index(b"zeroskip stand-in") :], "<u4").byteswap().tobytes()
        self("device", "writefile", "WriteFileRequest", file_path=FIRMWARE + "a.bin", data=data)
        self("device", "writefile", "WriteFileRequest", file_path=MANAGER + "firmware", data=b"a.bin")

    def window(self, base=ENGINE_BASE, length=ENGINE_RANGE):
        return self("mmio", "get_mmio", "GetMmioRequest", base_addr=base, length=length).mmio_id


@pytest.fixture(scope="module")
def address(addresses):
    address = next(addresses)
    with Server("model", "tiny", address):
        yield address


@pytest.fixture
def calls(address):
    calls = Calls(address)
    yield calls
    calls.channel.close()
    time.sleep(0.1)


def test_registers_before_and_after_programming(addresses):
    address = next(addresses)
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


def test_it_listens_on_loopback_unless_told(addresses):
    """The default address is 127.0.0.1; another of this machine's does not answer."""
    address = next(addresses)
    with Server("model", "tiny", address), pytest.raises(OSError):
        socket.create_connection((next(addresses), PORT), timeout=2)
    assert zs.devices.serve.HOST == "127.0.0.1"


def test_offers_its_bitstream(calls):
    for suffix, content in zip((".bit", ".hwh"), standin(get_config("tiny")), strict=True):
        file = OFFERED.format("tiny") + suffix
        parts = calls("device", "readfile", "ReadFileRequest", file_path=file)
        assert b"".join(part.data for part in parts) == content
