"""Column order: every window of consecutive columns lies in different banks."""

import numpy as np
import pytest

from zeroskip.compiler.columns import DUMMY, arrange, choose_layout
from zeroskip.hardware.config import Config


def order_of(bank, alive, banks, window):
    out = np.empty(max(1, window * len(bank)), np.int64)
    return out[: arrange(np.asarray(bank, np.int64), np.asarray(alive, bool), banks, window, out)]


@pytest.mark.parametrize("banks, window", [(2, 2), (4, 3), (4, 4), (8, 5)])
@pytest.mark.parametrize("seed", range(20))
def test_windows_have_distinct_banks_and_columns_come_once(banks, window, seed):
    rng = np.random.default_rng([seed, banks, window])
    bank = rng.integers(0, rng.integers(1, banks + 1), rng.integers(0, 60))
    alive = rng.random(len(bank)) < rng.choice([0, 0.5, 1])
    order = order_of(bank, alive, banks, window)
    assert sorted(order[order != DUMMY]) == list(np.flatnonzero(alive))
    for at in range(len(order)):
        seen = [bank[column] for column in order[at : at + window] if column != DUMMY]
        assert len(set(seen)) == len(seen)
    # No order can be shorter: the fullest banks need ``window`` places from column to column.
    counts = np.bincount(bank[alive], minlength=banks)
    full = int(counts.max())
    shortest = max(counts.sum(), (full - 1) * window + np.count_nonzero(counts == full)) if full else 0
    assert len(order) == shortest


@pytest.mark.parametrize("banks, window", [(2, 2), (4, 3), (8, 5)])
def test_interleaved_columns_keep_their_order(banks, window):
    count = 5 * banks + 1
    assert list(order_of(np.arange(count) % banks, np.ones(count), banks, window)) == list(range(count))


@pytest.mark.parametrize("mux", [4, 8, 12, 16])
@pytest.mark.parametrize(
    "blocks, used, kernel, dilation",
    [
        (1, 1, (3, 3), (1, 1)),
        (2, 2, (3, 3), (1, 1)),
        (8, 8, (3, 3), (1, 1)),
        (8, 8, (1, 1), (1, 1)),
        (3, 3, (5, 5), (2, 2)),
        (16, 1, (3, 3), (1, 1)),  # depthwise: neighbours must not all share a bank
        (16, 1, (1, 3), (1, 4)),
        (4, 1, (7, 1), (1, 1)),
        (1, 1, (11, 11), (1, 1)),
    ],
)
def test_layout_balances_the_banks(mux, blocks, used, kernel, dilation):
    config = Config("t", mux=mux, columns=2048)
    layout = choose_layout(config, blocks, used, kernel, dilation)
    for width in (kernel[1] * dilation[1] + 3, kernel[1] * dilation[1] + 6):
        pitch = layout.pitch(width)
        assert pitch >= width * layout.step and pitch % layout.period == layout.residue
        offsets = layout._replace(blocks=used).offsets(kernel, dilation, pitch)
        assert len(set(offsets.tolist())) == len(offsets)  # no two columns share an address
        order = order_of(offsets % config.banks, np.ones(len(offsets)), config.banks, config.window)
        # A layout can do little about taps whose distance shares a factor with BANKS.
        if dilation[1] % 2:
            assert np.count_nonzero(order == DUMMY) <= max(2, 0.2 * len(offsets))


def test_no_layout_where_one_kernel_position_does_not_fit():
    config = Config("t", columns=32, steps=64)
    assert choose_layout(config, 1, 1, (7, 7), (1, 1)) is None
    assert choose_layout(config, 33, 33, (1, 1), (1, 1)) is None
    assert choose_layout(config, 32, 32, (1, 1), (1, 1)).blocks == 32
