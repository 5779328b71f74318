"""The AXI4-Lite front end of all registers: orders, waiting responses, byte strobes, against a model in the bench."""

import re

import pytest

from benches import run_bench


@pytest.mark.parametrize("seed", [1, 2])
def test_registers_equal_the_model(tmp_path, seed):
    said = run_bench(tmp_path, "axil_slave_tb", "common/axil_slave.v", SEED=seed)
    found = re.search(r"2000 accesses, (\d+) early, (\d+) writes, 0 errors", said)
    assert found and int(found[1]) > 300 and int(found[2]) > 500, said
