"""Program lists through program_fetch: the packet stream, its rate, resets in bursts, bad words and faults."""

import re

import pytest

from benches import run_bench

MODULES = ("memory/program_fetch.v", "memory/axi_read.v", "common/axis_fifo.v", "common/axis_register.v")


@pytest.mark.parametrize("seed, depth, words", [(1, 128, 64), (2, 32, 32)])
def test_pieces_come_in_order(tmp_path, seed, depth, words):
    said = run_bench(
        tmp_path, "program_fetch_tb", *MODULES, also=["axi_read_memory"], SEED=seed, DEPTH=depth, LIST=words, RUNS=32,
        ZS_ASSERT=1,
    )  # fmt: skip
    found = re.search(r"(\d+) programs, (\d+) beats, (\d+) resets, (\d+) bad, (\d+) faults, 0 errors", said)
    assert found and "ASSERT" not in said, said
    programs, beats, resets, bad, faults = map(int, found.groups())
    assert programs == 35 and beats > 30_000 and resets > 8 and bad > 2 and faults > 2
    # Cycles beyond one for every beat and list word.
    gaps = {int(n): int(cycles) for n, cycles in re.findall(r"pieces of (\d): (-?\d+)", said)}
    if depth == 128:
        assert gaps.keys() == {2, 4, 8} and all(25 < cycles < 60 for cycles in gaps.values()), gaps
