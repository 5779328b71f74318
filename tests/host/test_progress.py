"""Progress lines: rewritten on a terminal, few elsewhere."""

import io

import pytest

from zeroskip.progress import step


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_terminal_rewrites_one_line():
    stream = Terminal()
    with step("work", stream) as progress:
        progress(1, 3, "a layer with a long name")
        progress(3, 3)
    text = stream.getvalue()
    assert text.count("\n") == 1 and text.endswith("s" + " " * (len(text) - len(text.rstrip()) - 1) + "\n")
    states = [part.rstrip() for part in text.split("\r")[1:]]
    assert states[:3] == ["work ...", "work: 1 of 3  a layer with a long name", "work: 3 of 3"]
    assert len(text.split("\r")[3].rstrip("\n")) >= len(states[1])  # covers what was there


def test_log_gets_one_line_per_step():
    stream = io.StringIO()
    with step("work", stream) as progress:
        for i in range(1000):
            progress(i, 1000, "x")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_failure_ends_the_line():
    stream = Terminal()
    with pytest.raises(ValueError, match="broken"), step("work", stream):
        raise ValueError("broken")
    assert stream.getvalue().rstrip(" \n").endswith("work: stopped")
