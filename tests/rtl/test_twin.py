"""The twin engine: its functional model against NumPy, its multiplier, and model and Verilog at their limits.

What it has in common with the other engines that replay schedules is in ``test_engine.py``.
"""

from __future__ import annotations

import numpy as np
import pytest

from packet_words import act_words, run_words
from twin_stream import random_step, sums_of
from variants import TWIN_VARIANTS
from zeroskip.devices import open_device
from zeroskip.errors import ConfigError, InputError
from zeroskip.hardware.config import Config
from zeroskip.models import twin
from zeroskip.models.cycles import simulate

TINY = TWIN_VARIANTS["twin_tiny"]


def words_of(sums: np.ndarray) -> np.ndarray:
    """Sums (rows, wgs) as the words of the output stream."""
    padded = np.zeros((len(sums), sums.shape[1] + sums.shape[1] % 2), "<u4")
    padded[:, : sums.shape[1]] = sums & 0xFFFF_FFFF
    return padded.view("<u8").ravel()


@pytest.mark.parametrize("near", [0, 1])
@pytest.mark.parametrize("variant", TWIN_VARIANTS)
def test_functional_model_is_the_documented_one(variant, near):
    """Against NumPy: both formats, any offset, an odd number of work groups in use, live and dead steps."""
    config = TWIN_VARIANTS[variant]
    rng = np.random.default_rng([near, len(variant)])
    values = rng.integers(-255, 256, (config.columns, config.wgs, config.acts))
    values[rng.random((config.columns, 1, config.acts)).repeat(config.wgs, 1) < 0.6] = 0
    words = act_words(values)
    memory, expected = values.transpose(1, 0, 2).astype(np.int64), []
    for index in range(6):
        steps = [random_step(config, rng, near, config.columns, rng.random()) for _ in range(min(12, config.steps))]
        wgs, base = int(rng.integers(1, config.wgs + 1)), int(rng.integers(2**16))
        words += run_words(
            config, steps, (3, 2), (7, 1), near=near, skip=index % 2, wgs=wgs, base=base, last=index == 5
        )
        y, x = np.divmod(np.arange(6), 2)
        expected.append(words_of(sums_of(config, steps, base + 7 * y + x, memory)[:, :wgs]))
    done = twin.execute(config, np.array(words, np.uint64))
    np.testing.assert_array_equal(done.out, np.concatenate(expected))
    assert done.counters["outliers"] > 0 == done.counters["pairs"] == done.counters["singles"]
    assert done.counters["dead_steps"] > 0 or config.lanes == 16


def test_two_lanes_for_one_bank_are_refused():
    act = act_words(np.zeros((1, 1, TINY.acts)))
    for first, second in ((0, 7), (3, 2)):
        step = {f"weight[{first}]": 1, f"route[{first}]": 0, f"weight[{second}]": 1, f"route[{second}]": 2}
        words = np.array(act + run_words(TINY, [{}, step], last=1), np.uint64)
        with pytest.raises(InputError, match=f"beat {len(act)}: two lanes of a step refer to one bank"):
            twin.execute(TINY, words)


def test_every_weight_meets_the_largest_activations():
    """All 256 weights, and activations at their limits in both work groups of a pair: neither disturbs the other."""
    limits = np.array([-255, -254, -1, 0, 1, 254, 255])
    pairs = np.stack(np.meshgrid(limits, limits, indexing="ij"), -1).reshape(-1, 2)  # column -> both work groups
    values = np.zeros((len(pairs), TINY.wgs, TINY.acts), int)
    values[:, :2, :] = pairs[:, :, None]
    values[:, 2:, :] = pairs[:, ::-1, None]
    words, expected = act_words(values), []
    for weight in range(-128, 128):  # a sum is one product
        lane, route = weight % TINY.lanes, weight // 8 % 4
        step = {f"weight[{lane}]": weight, f"route[{lane}]": route}
        words += run_words(TINY, [step], (1, len(pairs)), (0, 1), wgs=TINY.wgs, last=weight == 127)
        expected.append(words_of(weight * values[:, :, 0].astype(np.int64)))
    words, expected = np.array(words, np.uint64), np.concatenate(expected)
    np.testing.assert_array_equal(twin.execute(TINY, words).out, expected)
    with open_device("sim", TINY) as device:
        sums, counters = device.execute(words, len(expected))
    np.testing.assert_array_equal(sums, expected)
    assert counters == simulate(TINY, words)[1]


@pytest.mark.parametrize(
    ("field", "value", "accepted"), [("wgs", 3, "even, 2 to 64"), ("act_w", 16, "9"), ("filters", 2, "1")]
)
def test_builds_that_there_are_not(field, value, accepted):
    with pytest.raises(ConfigError, match=f"{field} = {value}; accepted: {accepted}$"):
        Config("t", "twin", **{"wgs": 4, field: value})
