"""What whole networks are worth in integers, against float: the figures that docs/results states, held to aims."""

import numpy as np
import pytest

import accuracy
import zeroskip
import zoo

FLOAT = {"CIFAR-10 ResNet": 18, "MobileNetV1": 16, "EfficientNet-Lite0": 18}
"""Right answers of the float network, of foolbox's 20."""


def judge(name: str):
    """The network's judge; skips the test where it is not installed."""
    if missing := zoo.ALL[name].missing:
        pytest.skip(f"{name}: {', '.join(missing)} not installed; make networks installs them")
    return accuracy.judge(name)


def near(name: str, quality: accuracy.Quality) -> bool:
    """Whether the default weights keep the network: answers within one of float's, embeddings beside."""
    if name in FLOAT:
        return quality.values[0] >= FLOAT[name] - 1
    if name == "MobileNetV2":
        return quality.values[0] >= 0.99 and quality.values[1] >= 0.97
    if name == "thin ResNet-50":
        return quality.values[0] < 0.01
    return quality.sqnr >= 32  # VGG-16


@pytest.mark.parametrize(
    "name, layers, macs",
    [
        ("CIFAR-10 ResNet", 10, 12.5e6),
        pytest.param("EfficientNet-Lite0", 50, 385e6, marks=pytest.mark.slow),
        pytest.param("MobileNetV1", 28, 569e6, marks=pytest.mark.slow),
        pytest.param("MobileNetV2", 52, 299.5e6, marks=pytest.mark.slow),
        pytest.param("thin ResNet-50", 54, 1069e6, marks=pytest.mark.slow),
        pytest.param("VGG-16 at 112x112", 13, 15.35e9 / 4, marks=pytest.mark.slow),
    ],
)
def test_the_default_keeps_the_network(name, layers, macs):
    """Outputs meet the aim, and the model device's are the reference's, bit for bit."""
    found = judge(name)
    if name in FLOAT:
        assert found.quality(found.float).values == (FLOAT[name], 20)
    model = found.compile("z2")
    outputs = model.reference(found.test)
    quality = found.quality(outputs)
    print(f"{name}: {quality.text}, {quality.decibels} dB")
    assert near(name, quality), quality
    with zeroskip.open_device("model", model.config) as device:
        result = model.run(device, found.test[:1])
    np.testing.assert_array_equal(result.outputs, outputs[:1])
    assert result.cycles > 0 and len(result.layers) == layers
    assert sum(layer.macs for layer in result.layers) == pytest.approx(macs, rel=0.01)


@pytest.mark.parametrize(
    "found, text",
    [
        (accuracy.Quality("right", (17, 20), 23.0), "17 of 20"),
        (accuracy.Quality("right", (991, 1000), 30.0), "99.1 %"),
        (accuracy.Quality("cosine", (0.99214, 0.97), 17.0), "cosine 0.9921, smallest 0.9700"),
        (accuracy.Quality("difference", (0.00061, 0.0001), 40.0), "within 0.0006"),
        (accuracy.Quality("sqnr", (), 32.84), "32.8 dB"),
        (accuracy.Quality("sqnr", (), float("inf")), "∞ dB"),
    ],
)
def test_cells_of_tables(found, text):
    assert found.text == text


def test_the_measures_measure():
    """On outputs made up around the demo network's float ones."""
    demo = accuracy.judge("demo")
    exact = demo.float
    right, of = demo.quality(exact).values
    assert of == len(demo.test) == 1000 and right > 980 and np.isinf(demo.quality(exact).sqnr)
    wrong = exact.copy()
    wrong[:10] = np.roll(exact[:10], 1, axis=1)  # moves every one of ten answers to the next class
    assert right - demo.quality(wrong).values[0] == sum(
        top in accepted for top, accepted in zip(exact[:10].argmax(1), demo.labels, strict=False)
    )
    assert demo.quality(1.01 * exact).sqnr == pytest.approx(40, abs=1e-3)
