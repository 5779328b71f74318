"""Files are written whole or not at all, and what is no file is not replaced by one."""

from __future__ import annotations

import os
import stat
from concurrent import futures

import pytest

from zeroskip.errors import InputError
from zeroskip.files import write_atomic


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with futures.ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        write_atomic(pipe, b"content")
        assert read.result(30) == b"content"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_file_is_replaced_whole_and_a_folder_is_refused(tmp_path):
    target = tmp_path / "file"
    for content in ("first", "second"):
        write_atomic(target, content)
        assert target.read_text() == content
    with pytest.raises(InputError, match="cannot be written"):
        write_atomic(tmp_path, "content")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
