"""Only one program has the board, and a device may be shared by threads."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent import futures

import numpy as np
import pytest

import zeroskip
from onnx_models import residual_network
from zeroskip.devices import board_lock
from zeroskip.devices.board_lock import BoardLock
from zeroskip.errors import DeviceError

HOLDER = """
import sys
from pathlib import Path
from zeroskip.devices import board_lock
board_lock.lock_path = lambda: Path(sys.argv[1])
lock = board_lock.BoardLock()
print("has it", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A lock file of the test's own."""
    monkeypatch.setattr(board_lock, "lock_path", lambda: tmp_path / "board.lock")
    return tmp_path / "board.lock"


def test_another_process_is_named_and_its_end_frees_the_board(path):
    command = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "has it\n"
        with pytest.raises(DeviceError, match=f"in use by process {holder.pid} .*board.lock"):
            BoardLock()
        assert path.read_text().strip() == str(holder.pid), "the one that was refused left it as it was"
        holder.kill()  # without releasing it
        holder.wait(10)
        BoardLock().release()


def test_released_and_taken_again(path):
    lock = BoardLock()
    assert path.read_text().strip() == str(os.getpid())
    with pytest.raises(DeviceError, match="this process has the board open already"):
        BoardLock()
    lock.release()
    lock.release()
    BoardLock().release()


def test_a_folder_that_cannot_be_written(path, monkeypatch, tmp_path):
    monkeypatch.setattr(board_lock, "lock_path", lambda: tmp_path / "none" / "board.lock")
    with pytest.raises(DeviceError, match=r"cannot lock the board with .*none/board\.lock: No such file.*sudo"):
        BoardLock()


@pytest.mark.parametrize("kind", ["model", "sim"])
def test_threads_share_a_device(kind):
    """The same model in four threads, with batches of two sizes, on one device: every result is right."""
    rng = np.random.default_rng(0)
    images = [rng.normal(size=(1 + i % 2, 3, 12, 12)).astype(np.float32) for i in range(4)]
    model = zeroskip.compile(residual_network(rng), "tiny", images[0])
    wanted = [model.reference(x) for x in images]

    def work(index):
        for turn in range(3):
            which = (index + turn) % 4
            np.testing.assert_array_equal(model.run(device, images[which]).outputs, wanted[which])

    with zeroskip.open_device(kind, "tiny") as device, futures.ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, index) for index in range(4)]:
            done.result(120)
