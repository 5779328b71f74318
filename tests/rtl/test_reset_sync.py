"""The reset of the board design: from power-up on, released three clocks after the processor's."""

from benches import run_bench


def test_begins_and_ends(tmp_path):
    said = run_bench(tmp_path, "reset_sync_tb", "board/reset_sync.v")
    assert said.strip() == "done, 0 errors", said
