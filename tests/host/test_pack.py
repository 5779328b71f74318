"""Packed steps, read back field by field through the format's own table."""

import numpy as np
import pytest

from layers import random_weights
from zeroskip.compiler.pack import pack
from zeroskip.compiler.schedule import schedule
from zeroskip.hardware.config import Config
from zeroskip.hardware.packets import step_fields


@pytest.mark.parametrize("mux", [4, 8, 12, 16])
@pytest.mark.parametrize("lanes, filters, columns", [(4, 1, 32), (8, 1, 2048), (8, 8, 4096), (16, 2, 1024)])
def test_fields_read_back(mux, lanes, filters, columns):
    config = Config("t", mux=mux, lanes=lanes, filters=filters, columns=columns)
    rng = np.random.default_rng([mux, lanes])
    weights = random_weights(rng, (2, filters, 21, lanes), 0.4, 0.4)
    ids = np.tile(np.arange(21, dtype=np.int32), (2, 1))
    found = schedule(weights, ids, np.arange(21) % config.banks, config, "combined")
    words = pack(found, config)
    assert words.shape == (found.steps.sum(), config.step_beats) and words.dtype == np.uint64
    for row, record in enumerate(words):
        value = sum(int(word) << 64 * index for index, word in enumerate(record))
        for field in step_fields(config):
            got = value >> field.low & (1 << field.width) - 1
            name, *at = field.name.replace("]", "").split("[")
            at = tuple(map(int, at))
            expected = {
                "offset": lambda at=at: 0,
                "ref": lambda at=at, row=row: found.slots[row, at[0]] >= 0,
                "weight": lambda at=at, row=row: found.weight[row][at],
                "pair": lambda at=at, row=row: found.pair[row][at],
                "select0": lambda at=at, row=row: found.select[0, row][at],
                "select1": lambda at=at, row=row: found.select[1, row][at],
            }[name]()
            assert got == expected, field.name
        last = step_fields(config)[-1]
        assert value >> last.low + last.width == 0
