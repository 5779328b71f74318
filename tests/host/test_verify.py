"""Files whose schedules compute other weights than the file says are refused by load(check=True) and info --verify."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import zeroskip as zs
from onnx_models import f32, residual_network
from zeroskip.errors import FileFormatError
from zeroskip.models.verify import verify

BUILDS = ["tiny", "gather_tiny", "zena_tiny"]


@pytest.fixture(scope="module", params=BUILDS)
def model(request):
    rng = np.random.default_rng(0)
    images = f32(np.random.default_rng(1), 4, 3, 12, 12)
    return zs.compile(residual_network(rng), request.param, images)


def changed(model, name, change):
    """The network with other weights in one layer and the old schedule."""
    nodes = []
    for node in model.nodes:
        if node.name == name:
            weights = node.plan.weights.copy()
            change(weights)
            assert not np.array_equal(weights, node.plan.weights)
            node = dataclasses.replace(node, plan=dataclasses.replace(node.plan, weights=weights))
        nodes.append(node)
    return dataclasses.replace(model, nodes=tuple(nodes))


def one_weight(weights):
    at = np.unravel_index(np.abs(weights).argmax(), weights.shape)
    weights[at] -= np.sign(weights[at])


def swapped(weights):
    """Two different weights of a filter change places."""
    row = weights[-1].reshape(-1)
    other = np.flatnonzero(row != row[0])[0]
    row[0], row[other] = row[other], row[0]


def exchanged(weights):
    weights[[0, 1]] = weights[[1, 0]]


@pytest.mark.parametrize("change", [one_weight, swapped, exchanged])
@pytest.mark.parametrize("layer", ["stem", "grouped", "strided", "logits"])
def test_another_weight_is_found(model, layer, change):
    with pytest.raises(FileFormatError, match=f"layer '{layer}': its schedule does not compute its weights: filter"):
        verify(changed(model, layer, change))


def test_load_checks_where_asked(model, tmp_path, capsys):
    from zeroskip.cli import main

    good, bad = tmp_path / "good.zsk", tmp_path / "bad.zsk"
    model.save(good)
    changed(model, "point", one_weight).save(bad)
    images = f32(np.random.default_rng(2), 2, 3, 12, 12)
    np.testing.assert_array_equal(zs.load(good, check=True).reference(images), model.reference(images))
    zs.load(bad)
    with pytest.raises(FileFormatError, match=r"bad\.zsk: layer 'point': its schedule does not compute"):
        zs.load(bad, check=True)
    assert main(["info", str(good), "--verify"]) in (0, None)
    assert "compute their weights, all 6 layers" in capsys.readouterr().out
    assert main(["info", str(bad), "--verify"]) != 0
    assert "layer 'point'" in capsys.readouterr().err
    assert main(["info", "tiny", "--verify"]) != 0
