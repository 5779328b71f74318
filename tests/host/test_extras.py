"""What a plain install lacks is named with the command that brings it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from zeroskip import extras
from zeroskip.errors import ToolError

PYPROJECT = (Path(__file__).parents[2] / "host/pyproject.toml").read_text()


@pytest.mark.parametrize("extra", extras.MODULES)
def test_missing_packages_are_named(extra, monkeypatch):
    extras.need(extra, "this test")
    absent = extras.MODULES[extra][0]
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ToolError, match=rf"this test needs {absent}; install with: pip install './host\[{extra}\]'"):
        extras.need(extra, "this test")


@pytest.mark.parametrize("extra", extras.MODULES)
def test_extras_bring_their_modules(extra):
    listed = re.search(rf"^{extra} = \[(.*?)\]$", PYPROJECT, re.MULTILINE | re.DOTALL)[1]
    for module in extras.MODULES[extra]:
        assert f'"{module}>' in listed or f'"{module}=' in listed
