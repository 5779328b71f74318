"""The read master against a memory with latency, rate and stalls: order, rules of the bus, resets in bursts, faults."""

import re

import pytest

from benches import run_bench


@pytest.mark.parametrize("seed, depth", [(1, 128), (2, 32), (3, 64)])
def test_words_come_in_order(tmp_path, seed, depth):
    modules = ("memory/axi_read.v", "common/axis_fifo.v")
    said = run_bench(
        tmp_path, "axi_read_tb", *modules, also=["axi_read_memory"], SEED=seed, DEPTH=depth, RUNS=60, ZS_ASSERT=1
    )
    found = re.search(r"(\d+) requests, (\d+) words, (\d+) bursts, (\d+) resets, (\d+) faults, 0 errors", said)
    assert found and "ASSERT" not in said, said
    requests, words, bursts, resets, faults = map(int, found.groups())
    assert requests > 500 and words > 30_000 and bursts < words / 8 + 2 * requests and min(resets, faults) > 8
    # Cycles beyond one per word: latency and pipeline where the FIFO holds more than the latency.
    long, short = (int(re.search(rf"{kind}: (-?\d+)", said)[1]) for kind in ("long", "short"))
    if depth == 128:
        assert 60 < long < 66 and 25 < short < 35, said
