"""Files from a stranger: whatever a .zsk holds, info and run end in a result or in one message, within bounds."""

import numpy as np
import pytest

import zsk_mutations
from zsk_mutations import MEMORY, Unbounded, bounded, mutated, networks, used

SEED, MUTATIONS = 10, 40
"""Mutations of each network."""


@pytest.fixture(scope="module")
def files():
    return networks()


@pytest.mark.parametrize("name", ["tiny", "tiny residual", "gather_tiny", "gather_tiny residual", "zena_tiny"])
def test_mutated_files(name, files, tmp_path):
    assert used(files[name], tmp_path) == "ran"
    outcomes = []
    for number in range(MUTATIONS):
        print(f"seed ({SEED}, {number})")  # shown where it fails
        what, content = mutated(files[name], np.random.default_rng((SEED, number)))
        print(what)
        outcomes.append(used(content, tmp_path))
    assert outcomes.count("refused") > MUTATIONS // 3 and outcomes.count("ran") > 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", [11, 12])
def test_many_mutated_files(seed):
    assert zsk_mutations.main(seed, 4000) == 0


def test_the_bounds_hold():
    """What the tests above rely on: too much memory is an error here, not a slow machine."""
    with pytest.raises(Unbounded, match="bytes allocated"), bounded():
        np.zeros(MEMORY, np.uint8)
