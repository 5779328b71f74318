"""The reconfigurable MAC alone: all 512 weights (256 pairs of nibbles, 256 bytes) on corner and random activations."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RTL = HERE.parents[1] / "rtl"


@pytest.mark.parametrize("act_w", [9, 16])
def test_all_weights(act_w, tmp_path):
    program = tmp_path / "bench"
    sources = [HERE / "reconf_mac_tb.v", RTL / "scheduled/reconf_mac.v", RTL / "common/dsp_mac.v"]
    subprocess.run(
        ["iverilog", "-g2005", "-Wall", f"-Preconf_mac_tb.ACT_W={act_w}", "-o", program, *sources], check=True
    )
    printed = subprocess.run(["vvp", program], check=True, capture_output=True, text=True, timeout=120).stdout
    assert printed.splitlines()[-1] == "cases 51200 failures 0", printed
