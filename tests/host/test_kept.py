"""What is computed once per layer: computed once indeed, and anew where it has to be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import zeroskip
from onnx_models import residual_network
from zeroskip.runtime import bounds, conv, glue, kept, program, stream


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(3)
    images = rng.normal(size=(4, 3, 12, 12)).astype(np.float32)
    return residual_network(rng), images


@pytest.mark.parametrize("config, finish", [("tiny", False), ("gather_tiny", True), ("zena_tiny", False)])
def test_a_second_run_computes_none_of_it_again(network, config, finish, monkeypatch):
    data, images = network
    model = zeroskip.compile(data, config, images)
    with zeroskip.open_device("model", config, glue=finish) as device:
        first = model.run(device, images)

        def again(*arguments, **options):
            raise AssertionError("computed again")

        for module, name in (
            (program, "weight_kinds"), (stream, "choose_tile"), (bounds, "_nonzero_weights"), (glue, "_packets"),
            (glue, "_in_one_part"), (conv, "_expected"), (conv, "_largest_share"),
        ):  # fmt: skip
            monkeypatch.setattr(module, name, again)
        second = model.run(device, images)
        np.testing.assert_array_equal(first.outputs, second.outputs)
        assert first.layers == second.layers


def test_packets_follow_the_numbers_they_are_made_of(network):
    """The same plan with another bias gives other results, and the first one's again."""
    data, images = network
    model = zeroskip.compile(data, "gather_tiny", images)
    other = [
        dataclasses.replace(node, arrays={**node.arrays, "bias": node.arrays["bias"] + 1000}) if node.plan else node
        for node in model.nodes
    ]
    other = dataclasses.replace(model, nodes=tuple(other))
    with zeroskip.open_device("model", "gather_tiny", glue=True) as device:
        for each in (model, other, model):
            np.testing.assert_array_equal(each.run(device, images).outputs, each.reference(images))
    assert (model.reference(images) != other.reference(images)).any()


def test_the_oldest_values_go_first(network):
    plan = zeroskip.compile(network[0], "tiny", network[1]).layers[0].plan
    for key in range(100):
        assert kept.kept(plan, ("test", key), lambda key=key: key) == key
    assert len(plan._kept) == kept._MOST and ("test", 99) in plan._kept and ("test", 10) not in plan._kept
    assert kept.kept(plan, ("test", 10), lambda: "anew") == "anew"
