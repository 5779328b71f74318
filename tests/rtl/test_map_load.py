"""LOADs of every kind: what they mean against the golden model, and every write of the Verilog against that."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from benches import run_bench
from random_load import BASE, BYTES, expected, random_load
from zeroskip.errors import InputError
from zeroskip.hardware import packets
from zeroskip.hardware.maps import Grid, Load, Map, Pool
from zeroskip.models import map_load, map_load_cycles

MODULES = [
    f"memory/{name}.v" for name in ("map_load", "load_walk", "load_clip", "load_pixels", "load_columns", "axi_read")
]
MODULES += ["common/axis_fifo.v"]


def random_memory(rng):
    """Bytes of which many are alike, so that zeros and equal ones occur."""
    return np.where(rng.random(BYTES) < 0.5, rng.integers(0, 256, BYTES), rng.choice([0, 7, 128, 255], BYTES)).astype(
        np.uint8
    )


def words_of(load):
    return np.array(load.beats(), np.uint64)


@pytest.mark.parametrize("seed", range(3))
def test_model_does_what_a_load_means(seed):
    rng = np.random.default_rng(seed)
    memory = random_memory(rng)
    for _ in range(150):
        load, images = random_load(rng, wgs=16)
        done = map_load.execute(words_of(load), memory, BASE)
        wanted = expected(load, images, memory)
        found = {(wg, int(a)): done.data[wg, i] for wg in range(load.wgs) for i, a in enumerate(done.address)}
        assert found.keys() == wanted.keys(), load
        assert all(np.array_equal(found[key], wanted[key]) for key in wanted), load
        assert len(found) == done.data.shape[0] * done.data.shape[1], "every column once"
        assert np.array_equal(done.flags, (done.data != 0).any(axis=0))


def run(folder, memory, loads, **options):
    """The loads through the Verilog; what the bench says at its end."""
    options = {"WGS": 5, "ADDR_W": 12, "DEPTH": 128, "LATENCY": 30, "RATE": 1024, "STALL": 0, "GAP": 0, "SEED": 1,
               "RESETS": 0, "TIMES": 0, "ZS_ASSERT": 1} | options  # fmt: skip
    rows, begins = [], [0]
    for load in loads:
        done = map_load.execute(words_of(load), memory, BASE)
        for wg in range(load.wgs):
            for i, address in enumerate(done.address):
                row = load.after << 4 | load.page << 3 | load.buffer << 2
                flag = (wg == load.wgs - 1) and not load.buffer
                row = (row | flag) << 16 | int(np.packbits(done.flags[i], bitorder="little").view(np.uint16)[0])
                row = (row << 8 | wg) << 16 | int(address)
                for value in done.data[wg, i, ::-1]:
                    row = row << 9 | int(value) & 511
                rows.append(row)
        begins.append(len(rows))
    np.savetxt(folder / "memory.hex", memory.view(np.uint64), "%016x")
    (folder / "packets.hex").write_text("\n".join(f"{word:016x}" for load in loads for word in load.beats()))
    (folder / "begins.hex").write_text("\n".join(f"{n:08x}" for n in begins))
    (folder / "wanted.hex").write_text("\n".join(f"{row:052x}" for row in [*rows, 0]))
    said = run_bench(
        folder, "map_load_tb", *MODULES, also=["axi_read_memory"], cwd=folder, LOADS=len(loads), WRITES=len(rows),
        WORDS=BYTES // 8, **options,
    )  # fmt: skip
    assert re.search(r" 0 errors", said) and "ASSERT" not in said, said[-3000:]
    return said


@pytest.mark.parametrize(
    "seed, options",
    [
        (1, {"GAP": 0}),
        (2, {"GAP": 200, "STALL": 100, "LATENCY": 80, "RATE": 700, "DEPTH": 64}),
        (3, {"RESETS": 1, "GAP": 30}),
        (4, {"LATENCY": 1, "DEPTH": 32, "WGS": 16}),
    ],
)
def test_verilog_writes_what_the_model_writes(tmp_path, seed, options):
    rng = np.random.default_rng(seed)
    memory = random_memory(rng)
    base = int(rng.integers(0, 1 << 16))
    loads = [random_load(rng, options.get("WGS", 5), (base + i) % (1 << 16))[0] for i in range(120)]
    said = run(tmp_path, memory, loads, SEED=seed, **options)
    if options.get("RESETS"):
        assert int(re.search(r"(\d+) resets", said)[1]) > 5


def test_rows_follow_without_a_gap(tmp_path):
    """Between rows, blocks and rectangles no cycle is lost: two a pixel, and eleven between two LOADs."""
    memory = random_memory(np.random.default_rng(5))
    source = Map(BASE + 64, 60, 40, 60 * 40 * 16, 0)
    plain = Load(source, Grid(0, 6, 8, 10, 5, -1, -1, 12, 7), 5, 2, 0, 84, 12, 1)
    narrow = dataclasses.replace(plain, grid=Grid(0, 20, 20, 3, 2, 0, 0, 3, 3), blocks=3, row_step=3, block_step=9)
    pooled = dataclasses.replace(
        plain, grid=Grid(0, 6, 5, 5, 4, 0, 0, 5, 4), row_step=5, block_step=20, pool=Pool(2, 2, 0, 0, 30, 20)
    )
    loads = [plain, plain, narrow, narrow, pooled, pooled]
    said = run(tmp_path, memory, loads, TIMES=1, LATENCY=25)
    times = [int(cycle) for cycle in re.findall(r"done (\d+)", said)]
    took = np.diff(times)
    # Cycles of the second of two like ones: zeros and pixels; of a pooled row, the two rows of its windows.
    assert took[0] == 2 * 5 * 2 * 12 * 7 + 11
    assert took[2] == 2 * 5 * 3 * 3 * 3 + 11
    assert took[4] == 2 * 5 * 2 * 2 * 4 * 10 + 11


FIELDS = {
    "wgs": 0, "blocks": 0, "rect_width": 0, "rect_height": 0, "width": 0, "height": 0, "source_width": 0,
    "source_height": 0, "grid_width": 0, "grid_height": 0, "left_x": 0, "left_y": 0, "pool": 0, "kind": 6,
    "map": BASE + 4, "block_pitch": 1, "rect_pitch": 2, "image_pitch": 4,
}  # fmt: skip
LEGAL = Load(Map(BASE, 8, 8, 1024, 1024), Grid(0, 2, 2, 4, 4, 0, 0, 4, 4), 2, 1, 0, 16, 4, 1)


@pytest.fixture(scope="module")
def illegal():
    """What the bench says of illegal packets: index -> whether the second of two LOADs is refused and nothing read."""
    cases = [{name: value} for name, value in FIELDS.items()]
    cases += [{"wgs": 6}, {"pool": 2, "rect_width": 33}, {"pair": 1, "rect_width": 5}, {"source_width": 2, "x": 4}]
    return cases


def packet(values):
    found = map_load.fields_of(words_of(LEGAL)) | values
    return [
        sum((found[field.name] % (1 << field.width)) << field.low for field in fields) for fields in packets.LOAD_HEADER
    ]


def test_illegal_packets_stop_it(tmp_path, illegal):
    """Each after a legal one, which is still executed; then a reset, and the legal one again."""
    words = [word for values in illegal for word in [*LEGAL.beats(), *packet(values)]]
    (tmp_path / "packets.hex").write_text("\n".join(f"{word:016x}" for word in words))
    said = run_bench(
        tmp_path,
        "map_load_errors_tb",
        *MODULES,
        also=["axi_read_memory"],
        cwd=tmp_path,
        CASES=len(illegal),
        ZS_ASSERT=1,
    )
    assert said.split() == [str(n) for n in range(len(illegal))] + ["faults", "done"], said


def test_model_and_encoder_refuse(illegal):
    memory = np.zeros(BYTES, np.uint8)
    for values in illegal:
        if values.keys() & {"map", "block_pitch", "rect_pitch", "image_pitch"} or values == {"wgs": 6}:
            continue  # the encoder's, and a build's
        with pytest.raises(InputError):
            map_load.execute(np.array(packet(values), np.uint64), memory, BASE)
    with pytest.raises(InputError, match="reads outside"):
        map_load.execute(words_of(LEGAL), memory, BASE + 16)
    for change, message in [
        ({"source": dataclasses.replace(LEGAL.source, address=BASE + 8)}, "address = 268435464"),
        ({"source": dataclasses.replace(LEGAL.source, width=4096)}, "width = 4096"),
        ({"wgs": 256}, "256 work groups"),
        ({"upsample": True, "pool": Pool(2, 2, 0, 0, 4, 4)}, "pools and upsamples"),
        ({"pool": Pool(4, 2, 0, 0, 4, 4)}, "pools 4 x 4"),
        ({"pool": Pool(2, 2, 2, 0, 4, 4)}, "padding 2, 0"),
        ({"pool": Pool(2, 2, 0, 0, 5, 4)}, "5 columns"),
        ({"pool": Pool(2, 2, 0, 0, 4, 4), "grid": dataclasses.replace(LEGAL.grid, width=33)}, "33 pixels a row"),
        ({"pair": True, "grid": dataclasses.replace(LEGAL.grid, width=3)}, "3 pixels a row"),
        ({"grid": dataclasses.replace(LEGAL.grid, x0=-4097)}, "x = -4097"),
        ({"zero_point": 256}, "zero_point = 256"),
    ]:
        with pytest.raises(InputError, match=message):
            dataclasses.replace(LEGAL, **change).beats()


@pytest.mark.parametrize(
    "seed, latency, rate, stall",
    [(1, 30, 1024, 0), (2, 1, 1024, 0), (3, 90, 300, 0), (4, 50, 960, 120), (5, 200, 1024, 0)],
)
def test_cycle_model_equals_the_verilog(tmp_path, seed, latency, rate, stall):
    rng = np.random.default_rng(100 + seed)
    loads = [random_load(rng, 5)[0] for _ in range(60)]
    said = run(tmp_path, random_memory(rng), loads, TIMES=1, LATENCY=latency, RATE=rate, STALL=stall, SEED=seed)
    found = [int(cycle) for cycle in re.findall(r"done (\d+)", said)]
    state = map_load_cycles.start(latency, rate, stall, seed)
    table = map_load_cycles.table(np.concatenate([words_of(load) for load in loads]))
    expected = map_load_cycles.run(*state, table, 0, 10_000_000)
    assert found == expected.tolist()
