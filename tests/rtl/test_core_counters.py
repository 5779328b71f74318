"""Counters stop at their largest value, which the driver reports as an overflow, and never start again from zero."""

from benches import run_bench


def test_saturation(tmp_path):
    modules = [f"common/{name}.v" for name in ("event_counter", "broadcast_reg")]
    said = run_bench(tmp_path, "core_counters_tb", "core/core_counters.v", *modules)
    assert said.strip() == "done, 0 errors", said
