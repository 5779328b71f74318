"""A stream with one bit turned at random is refused, by packet and reason, and the next layer is right.

``FLIPS`` bits per build; all of them in the tests that are marked ``slow``.
"""

from __future__ import annotations

import re
import time
from collections import Counter

import numpy as np
import pytest

import zeroskip as zs
from test_aborts import BUILDS, Layer
from zeroskip.errors import DeviceError, DeviceTimeout, InputError
from zeroskip.hardware.packets import (
    ACT_HEADER,
    FINISH_HEADER,
    GROUP,
    JOB_HEADER_0,
    KIND_ACT,
    KIND_ACTZ,
    KIND_FINISH,
    KIND_NAMES,
    KIND_RUN,
    RUN_HEADER_0,
    decode,
)
from zeroskip.hardware.registers import ERRORS
from zeroskip.models.zena import _popcounts
from zeroskip.models.zena_packets import AT, parse

FLIPS = 200


def packets_of(config, words: np.ndarray) -> list[tuple[int, str]]:
    """Where every packet of a stream begins, and its kind."""
    if config.engine == "zena":
        starts = parse(config, words, _popcounts())[0][:, AT]
        return [(int(at), KIND_NAMES[decode(JOB_HEADER_0, int(words[at]))["kind"]]) for at in starts]
    found, at = [], 0
    while at < len(words):
        word = int(words[at])
        kind = word & 15
        found.append((at, KIND_NAMES[kind]))
        head = decode(ACT_HEADER, word)
        body = head["count"] * head["wgs"] * config.column_beats(head["format"])
        if kind == KIND_ACT:
            at += 1 + body
        elif kind == KIND_ACTZ:
            at += 1
            for _ in range(-(-body // (GROUP // (4 if head["format"] else 8)))):
                sent = int(words[at]).bit_count()
                at += 1 + -(-sent // (4 if head["format"] else 8))
        elif kind == KIND_FINISH:
            at += 1 + 2 * decode(FINISH_HEADER, word)["filters"]
        else:
            assert kind == KIND_RUN
            head = decode(RUN_HEADER_0, word)
            near = head["near"] and config.engine == "gather"
            at += 2 + head["steps"] * (config.near_beats if near else config.step_beats)
    assert at == len(words)
    return found


def streams_of(device, layer, monkeypatch) -> list[tuple[np.ndarray, int, dict, np.ndarray]]:
    """The transfers of a layer, and their results; where there is glue, with activations compressed, too."""
    found, execute = [], device.execute

    def keep(words, beats, **most):
        results, counters = execute(words, beats, **most)
        found.append((words.copy(), beats, most, results))
        return results, counters

    with monkeypatch.context() as patch:
        patch.setattr(device, "execute", keep)
        for compress in (False, True) if device.glue else (False,):
            device.compress = compress
            layer.check("undamaged")
    device.compress = False
    return found


def turn_bits(device, flips: int, monkeypatch) -> Counter:
    """Turn so many bits, one at a time; what was said of how many."""
    layer, said = Layer(device), Counter()
    streams = streams_of(device, layer, monkeypatch)
    monkeypatch.setattr(device, "timeout", 1000.0)
    rng = np.random.default_rng(flips)
    for index in range(flips):
        words, beats, most, undamaged = streams[index % len(streams)]
        packets = packets_of(device.config, words)
        # Headers, whose every bit matters, are few: they get a third of the bits.
        if index % 3 == 0:
            at = packets[rng.integers(len(packets))][0]
        else:
            at = int(rng.integers(len(words)))
        bit = int(rng.integers(64))
        damaged = words.copy()
        damaged[at] ^= np.uint64(1 << bit)
        # The engine counts from 1, and has not seen the FINISH packets.
        before = [kind for start, kind in packets if start <= at]
        number = sum(kind != "FINISH" for kind in before) + (before[-1] == "FINISH")
        started = time.monotonic()
        where = f"bit {bit} of word {at}, in packet {number}, {before[-1]}"
        try:
            results, _ = device.execute(damaged, beats, **most)
        except DeviceError as found:
            error = found
        else:
            # What fills a group's last beat is the one thing in a stream that comes to nothing.
            assert before[-1] == "ACTZ" and np.array_equal(results, undamaged), where
            said["came to nothing"] += 1
            continue
        message = str(error)
        where += f": {message}"
        assert not isinstance(error, DeviceTimeout) and time.monotonic() - started < 100, where
        assert re.search(rf"packet {number}\b|ended after packet {number - 1}\b", message), where
        names = [text for code, text in ERRORS.items() if code]
        reason = re.search("|".join([*names, "stream ended"]), message)
        assert reason, where
        said[reason[0]] += 1
        if index % 10 == 0:
            layer.check(where)
    return said


@pytest.mark.parametrize("flips", [FLIPS // 8, pytest.param(FLIPS, marks=pytest.mark.slow)], ids=["some", "all"])
@pytest.mark.parametrize("build, glue", BUILDS)
def test_a_turned_bit_is_refused(build, glue, flips, monkeypatch, record_property):
    with zs.open_device("sim", build, glue=glue) as device:
        said = turn_bits(device, flips, monkeypatch)
    record_property("said", dict(said))
    print(build, "with glue" if glue else "", dict(said))
    assert said.total() == flips and said["wrong checksum"] > flips // 2
    assert said["came to nothing"] < flips // 10


@pytest.mark.parametrize("build, glue", BUILDS)
def test_the_model_refuses_it_too(build, glue, monkeypatch):
    with zs.open_device("model", build, glue=glue) as device:
        streams = streams_of(device, Layer(device), monkeypatch)
        rng = np.random.default_rng(3)
        said = Counter()
        for index in range(60):
            words, beats, most, undamaged = streams[index % len(streams)]
            damaged = words.copy()
            damaged[rng.integers(len(words))] ^= np.uint64(1 << int(rng.integers(64)))
            try:
                results, _ = device.execute(damaged, beats, **most)
            except InputError as error:
                said["wrong checksum" in str(error)] += 1
            else:
                assert most and np.array_equal(results, undamaged)
        assert said[True] > 40
        Layer(device).check("after the damage")


@pytest.mark.parametrize("build, glue", BUILDS)
def test_a_stream_that_ends_early_is_said_at_once(build, glue, monkeypatch):
    """Cut anywhere: within a packet, or between two of them."""
    with zs.open_device("sim", build, glue=glue) as device:
        layer = Layer(device)
        for words, beats, most, _ in streams_of(device, layer, monkeypatch):
            starts = [at for at, _ in packets_of(device.config, words)]
            for cut in (1, 2, starts[1], starts[1] + 1, starts[-1], len(words) - 1):
                with monkeypatch.context() as patch:
                    patch.setattr(device, "timeout", 1000.0)
                    with pytest.raises(DeviceError, match=r"the stream ended (within|after) packet \d+") as error:
                        device.execute(words[:cut], beats, **most)
                assert not isinstance(error.value, DeviceTimeout)
                layer.check(f"cut at {cut}")


@pytest.mark.parametrize("build, glue", BUILDS)
def test_nothing_is_computed_with_a_damaged_packet(build, glue, monkeypatch):
    """The last RUN or JOB, damaged in its last word: its sums, which would end the transfer, do not come."""
    with zs.open_device("sim", build, glue=glue) as device:
        layer = Layer(device)
        words, beats, most, _ = streams_of(device, layer, monkeypatch)[0]
        damaged = words.copy()
        damaged[-1] ^= np.uint64(1)
        with pytest.raises(DeviceError, match=r"wrong checksum.*DMA MM2S idle.*DMA S2MM busy"):
            device.execute(damaged, beats, **most)
        layer.check("after it")
