"""zeroskip serve: a client in another process that knows only pynq, on the simulated PYNQ-Z2."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from addresses import fresh_address
from zeroskip.devices.board import BITSTREAM_VARIABLE, REMOTE_VARIABLE
from zeroskip.devices.remote_board import standin
from zeroskip.devices.serve import PORT, Server
from zeroskip.hardware.config import get_config

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
    print(dict(counters))
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
def test_clients_one_after_the_other(kind, tmp_path):
    """Two processes get the sums and counters of the local device; Ctrl-C then ends the server."""
    address = fresh_address()
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


def test_network():
    """A network of several layers, through open_device("board"), equals its integer reference."""
    address = fresh_address()
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


def test_a_client_that_knows_only_pynq(tmp_path):
    """Overlay uploads the bitstream and programs the board; MMIO, clocks, buffers and files work."""
    address, bit = fresh_address(), tmp_path / "mine.bit"
    for suffix, content in zip((".bit", ".hwh"), standin(get_config("tiny")), strict=True):
        bit.with_suffix(suffix).write_bytes(content)
    with Server("model", "tiny", address):
        code, out, err = finish(client(PLAIN_PYNQ, address, bit))
        assert (code, out) == (0, "fine"), err


def test_the_example_of_the_documentation(tmp_path):
    """docs/remote.md: fetch the bitstream pair from the board, load it, read the ID register."""
    example = re.search(r"```python\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)[1]
    address = fresh_address()
    with Server("model", "tiny", address):
        code, out, err = finish(client(example, address, cwd=tmp_path))
    assert (code, out) == (0, "0x5a534b31"), err


@pytest.mark.skipif(PYNQ4 not in os.environ, reason=f"set {PYNQ4} to a Python that has pynq 4")
def test_selftest_of_pynq():
    """AMD's own check of a pynq.remote server."""
    address = fresh_address()
    command = [os.environ[PYNQ4], "-m", "pynq.remote.selftest", "--ip", address]
    with Server("model", "tiny", address):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"]})
    assert done.returncode == 0 and " 0 failed" in done.stdout, done.stdout


def test_nobody_there():
    code, _, err = finish(client(RUN_LAYER, fresh_address(), "board", "none.npy"))
    assert code == 1 and "no board answers at" in err and "zeroskip serve" in err


def test_server_that_dies():
    """The next run says so, in one message and soon."""
    address = fresh_address()
    code = RUN_LAYER.replace("for batch in (x, x[:1], x):", "for batch in [x] * 10**6:")
    code = code.replace("sums, counters =", "print('run', flush=True); sums, counters =")
    with serving(address, "model") as server:
        process = client(code, address, "board", "none.npy")
        assert process.stdout.readline() == "run\n" == process.stdout.readline()
        server.kill()
        status, _, err = finish(process)
    assert status == 1 and err.startswith("refused: the board stopped answering") and "Traceback" not in err


def test_other_configuration_is_refused(tmp_path):
    address, bit = fresh_address(), tmp_path / "z2.bit"
    for suffix, content in zip((".bit", ".hwh"), standin(get_config("z2")), strict=True):
        bit.with_suffix(suffix).write_bytes(content)
    with Server("model", "tiny", address):
        code = f"import os; os.environ['{BITSTREAM_VARIABLE}'] = {str(bit)!r}" + RUN_LAYER.replace('"tiny"', '"z2"')
        status, _, err = finish(client(code, address, "board", "none.npy"))
    assert status == 1 and "this board simulates 'tiny'" in err and "zeroskip serve --config z2" in err
