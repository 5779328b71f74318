"""One program at a time has the board: a second one would load its bitstream under the first one's transfers."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from ..errors import DeviceError

LOCK_NAME = "zeroskip-board.lock"


def lock_path() -> Path:
    """The lock file, the same for every user: in /run/lock, which is empty after a start, where there is one."""
    folder = Path("/run/lock")
    return (folder if os.access(folder, os.W_OK) else Path(tempfile.gettempdir())) / LOCK_NAME


class BoardLock:
    """The board, taken by this process until :meth:`release`, or until the process ends, however it does.

    Raises:
        DeviceError: another one has it; the message has its number, or the lock file cannot be written.
    """

    def __init__(self) -> None:
        path = lock_path()
        try:
            # Not truncated before it is locked: the number in it may be another process's.
            self._file = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+")  # noqa: SIM115
        except OSError as error:
            raise DeviceError(f"cannot lock the board with {path}: {error.strerror}; run as root: sudo -i") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            if owner == str(os.getpid()):
                raise DeviceError("this process has the board open already: close() that device first") from None
            raise DeviceError(
                f"the board is in use by process {owner} (lock {path}); wait for it, close its device, or end it"
            ) from None
        self._file.truncate()
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        """Let others have the board.  Releasing twice is harmless."""
        if not self._file.closed:
            # Closing is not enough: a process forked from this one shares the lock.
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._file.close()
