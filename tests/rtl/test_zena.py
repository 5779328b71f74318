"""The Verilated zena engine against its functional model and its cycle model, on random legal streams.

Sums must be bit-identical and every counter equal, with and without stalls in memory and streams.
"""

from __future__ import annotations

import numpy as np
import pytest

from random_zena_stream import random_stream
from test_engine import MEMORIES
from variants import ZENA_VARIANTS
from zeroskip.devices import MemoryModel, open_device
from zeroskip.errors import DeviceError, InputError
from zeroskip.hardware import crc, packets
from zeroskip.models import zena
from zeroskip.models.cycles import simulate


def job(config, *, loop=(1, 1), chunks=5, kernels=None, **fields) -> list[int]:
    """A JOB over one pixel, all kernels the same: chunks of (mask, values)."""
    head = dict.fromkeys(("page", "first", "last", "final", "sub_wg", "relu", "psum"), 0)
    head |= {"kind": packets.KIND_JOB, "wgs": 1, "chunks": chunks, "undrained": 15, **fields}
    words = [
        packets.encode(packets.JOB_HEADER_0, **head),
        packets.encode(packets.JOB_HEADER_1, nx=loop[0], ny=loop[1], dx=1, dy=0, base=0),
    ]
    words += packets.lane_group([[(chunk, []) for chunk in range(lane, chunks, 4)] for lane in range(4)])
    kernels = kernels or [(0, [])] * chunks
    for _ in range(0, config.sub_filters, 4):
        words += packets.lane_group([kernels] * 4)
    return crc.sealed(words)


def columns(chunks, address=0) -> list[int]:
    """A ZACT for one work group."""
    head = packets.encode(
        packets.ZACT_HEADER, kind=packets.KIND_ZACT, page=0, wgs=1, address=address, count=len(chunks)
    )
    return crc.sealed([head, *packets.lane_group([chunks])])


def stream(*parts) -> np.ndarray:
    return np.array([word for part in parts for word in part], np.uint64)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("variant", ZENA_VARIANTS)
def test_random_streams(variant, memory):
    config = ZENA_VARIANTS[variant]
    pes = config.wgs * config.sub_filters
    products = empties = 0
    with open_device("sim", config, memory=MEMORIES[memory]) as device:
        for seed in range(8 if config.macs > 64 else 24):
            words, beats = random_stream(config, seed)
            sums, counters = device.execute(words, beats)
            expected, modelled = simulate(config, words, MEMORIES[memory])
            np.testing.assert_array_equal(sums, expected, err_msg=f"{variant}, seed {seed}")
            assert counters == modelled, f"{variant}, seed {seed}"
            assert counters.cycles == counters.busy + counters.stall_input + counters.stall_output
            computed = counters.multiplies + counters.empty_chunks
            assert (computed + counters.barrier_wait) % pes == 0
            assert computed >= counters.busy > 0
            products, empties = products + counters.multiplies, empties + counters.empty_chunks
    assert products > 0 and empties > 0


def test_runs_follow_without_reset():
    """What one transfer leaves in memories, pointers and pipelines must not reach the next."""
    config = ZENA_VARIANTS["zena_tiny"]
    with open_device("sim", config) as device:
        first = [device.execute(*random_stream(config, seed)) for seed in (1, 2, 3)]
        again = [device.execute(*random_stream(config, seed)) for seed in (1, 2, 3)]
    for (sums, counters), (sums_again, counters_again) in zip(first, again, strict=True):
        np.testing.assert_array_equal(sums, sums_again)
        assert counters == counters_again


@pytest.mark.parametrize("kind", ["model", "sim"])
def test_a_sum_by_hand(kind):
    """Two activations meet two weights in one of two common positions; a second job adds; ReLU clips the other PEs."""
    config = ZENA_VARIANTS["one"]
    words = stream(
        columns([(0b0110, [7, -9]), (0, []), (1 << 15, [-32767]), (0, []), (0, [])]),
        job(config, first=1, kernels=[(0b1010, [100, 5]), (0xFFFF, [1] * 16), (1 << 15, [-3]), (0, []), (0, [])]),
        job(config, final=1, last=1, relu=1, kernels=[(0b0100, [-32768])] + [(0, [])] * 4),
    )
    total = 7 * 100 + 32767 * 3 + 9 * 32768
    with open_device(kind, config) as device:
        received, counters = device.execute(words, config.sub_filters)
    assert received.tolist() == [total << 32 | 1] * 4
    # Chunks 0 and 2 of the first job and chunk 0 of the second have one product each; of the empty ones only the two at
    # the pixels' ends take a cycle.
    assert (counters.multiplies, counters.empty_chunks, counters.barrier_wait) == (4 * 3, 4 * 2, 0)
    assert counters.busy == 5


def test_job_takes_one_cycle_per_product():
    """No bubble between chunks, pixels and jobs, none for chunks without products."""
    config = ZENA_VARIANTS["one"]
    kernels = [(0xFFFF, [1] * 16), (0, []), (1, [1]), (0, []), (0x0011, [1, 1])]
    pixels = 4 * 2
    words = stream(
        columns([(0xFFFF, [1] * 16)] * 16),
        job(config, first=1, loop=(4, 2), kernels=kernels),
        job(config, final=1, last=1, loop=(4, 2), kernels=kernels),
    )
    with open_device("sim", config) as device:
        received, counters = device.execute(words, pixels * config.sub_filters)
    assert received.tolist() == [2 * 19] * (pixels * config.sub_filters)
    assert counters.busy == counters.span == 2 * pixels * 19


def test_pixels_without_products_take_five_cycles():
    """A pixel's end is a cycle of its own; the ends are five apart, even if earlier pixels kept many waiting."""
    config = ZENA_VARIANTS["one"]
    words = stream(
        columns([(0xFFFF, [1] * 16)] * 16),
        job(config, first=1, kernels=[(0xFFFF, [1] * 16)] * 5),
        job(config, first=1, final=1, last=1, loop=(4, 2), psum=1),
    )
    with open_device("sim", config) as device:
        received, counters = device.execute(words, 8 * config.sub_filters)
    assert not received.any()
    assert (counters.multiplies, counters.empty_chunks) == (4 * 80, 4 * 8)
    assert (counters.busy, counters.span) == (80 + 8, 80 + 5 * 8)


def test_an_idle_sub_wg_takes_jobs():
    """All jobs have the same home: with stealing both sub-WGs work, with the same sums, half as long."""
    found = {}
    for name in ("zena_tiny", "stealing"):
        config = ZENA_VARIANTS[name]
        kernels = [(0xFFFF, [3] * 16)] * 5
        jobs = [
            job(
                config,
                first=step == 0,
                final=step,
                last=step and place == 3,
                loop=(4, 2),
                psum=8 * place,
                kernels=kernels,
            )
            for step in (0, 1)
            for place in range(4)
        ]
        words = stream(columns([(0xFFFF, [2] * 16)] * 16), *jobs)
        with open_device("sim", config) as device:
            found[name] = device.execute(words, 4 * 8 * config.sub_filters)
    alone, together = found["zena_tiny"], found["stealing"]
    assert set(alone[0].tolist()) == {2 * 5 * 16 * 6} and together[0].tolist() == alone[0].tolist()
    assert together[1].multiplies == alone[1].multiplies
    assert alone[1].busy == 8 * 8 * 80
    assert 0.5 <= together[1].busy / alone[1].busy < 0.55


def test_jobs_with_the_same_sums_wait_for_each_other():
    """Stealing: four jobs add to the same partial sums: no two at a time, in the order of the stream."""
    config = ZENA_VARIANTS["stealing"]
    kernels = [(1, [1])] * 5
    jobs = [
        job(config, first=step in (0, 2), final=step == 3, last=step == 3, loop=(2, 2), kernels=kernels)
        for step in range(4)
    ]
    words = stream(columns([(0xFFFF, [1] * 16)] * 16), *jobs)
    for kind in ("sim", "model"):
        with open_device(kind, config) as device:
            received, counters = device.execute(words, 4 * config.sub_filters)
        assert set(received.tolist()) == {10}
        assert counters.busy == counters.multiplies / config.sub_filters


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chunks": 4}, "4 chunks; accepted: 5 to 8"),
        ({"wgs": 2}, "2 work groups; accepted: 1 to 1"),
        ({"psum": 32}, "32 as last partial sum; accepted: 0 to 31"),
        ({"first": 0}, "no JOB flagged first has begun"),
        ({"final": 0}, "flagged last that is not final"),
        ({"last": 0}, "does not end with a JOB flagged last"),
    ],
)
def test_illegal_jobs_are_refused(change, message):
    config = ZENA_VARIANTS["one"]
    with pytest.raises(InputError, match=message):
        zena.execute(config, stream(job(config, **{"first": 1, "final": 1, "last": 1} | change)))


def test_sums_that_may_not_be_sent_are_not_overwritten():
    config = ZENA_VARIANTS["one"]
    first, second = {"first": 1, "final": 1}, {"first": 1, "final": 1, "last": 1}
    with pytest.raises(InputError, match="may not have been sent yet; give this JOB a smaller `undrained` than 1"):
        zena.execute(config, stream(job(config, **first), job(config, undrained=1, **second)))
    for fields in ({"undrained": 0}, {"undrained": 15, "psum": 1}):
        zena.execute(config, stream(job(config, **first), job(config, **fields, **second)))


def test_stealing_refuses_what_sub_wgs_could_disturb():
    config = ZENA_VARIANTS["stealing"]
    first, last = {"first": 1, "final": 1}, {"first": 1, "final": 1, "last": 1}
    with pytest.raises(InputError, match="partial sum 1 belongs to jobs that begin at 0"):
        zena.execute(config, stream(job(config, loop=(2, 1), **first), job(config, psum=1, undrained=0, **last)))
    with pytest.raises(InputError, match="of a partial sum"):
        zena.execute(config, stream(job(config, psum=8, first=1), job(config, **last)))
    # That another job waited for these sums says nothing about this one.
    words = stream(job(config, **first), job(config, psum=8, undrained=0, **first), job(config, undrained=2, **last))
    with pytest.raises(InputError, match="smaller `undrained` than 2"):
        zena.execute(config, words)


@pytest.mark.parametrize("memory", [MemoryModel(), MemoryModel(read_latency=1, rate=1024, stream_stall=230, seed=3)])
def test_more_final_jobs_than_the_drain_can_note(memory):
    """120 jobs of one pixel with a single product: the drain, five cycles a sum, falls behind, its queue fills up."""
    config, jobs = ZENA_VARIANTS["zena_tiny"], 120
    chunks = [(0, [])] * 4 + [(1, [1])]
    parts = [
        job(config, kernels=chunks, first=1, final=1, last=index == jobs - 1, sub_wg=index % 2, psum=index // 2)
        for index in range(jobs)
    ]
    words = stream(columns([(1, [3])] * 6), *parts)
    expected, modelled = simulate(config, words, memory)
    with open_device("sim", config, memory=memory, timeout=1) as device:
        received, counters = device.execute(words, jobs * config.sub_filters)
    np.testing.assert_array_equal(received, expected)
    assert set(received.tolist()) == {3} and counters == modelled


@pytest.mark.parametrize(("change", "error"), [({"chunks": 4}, 6), ({"sub_wg": 5}, 7), ({"wgs": 2}, 2)])
def test_the_hardware_stops_at_an_illegal_header(change, error):
    config = ZENA_VARIANTS["one"]
    words = stream(job(config, **{"first": 1, "final": 1, "last": 1} | change))
    with open_device("sim", config, timeout=0.2) as device:
        with pytest.raises(DeviceError, match=f"engine error {error} "):
            device.execute(words, 4)
        legal = stream(job(config, first=1, final=1, last=1))
        received, _ = device.execute(legal, config.sub_filters)
        assert received.tolist() == [0] * 4
