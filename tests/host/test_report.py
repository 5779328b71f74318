"""Reports: derived numbers, the table, JSON, and files that are no reports."""

import json
import re
from copy import deepcopy
from pathlib import Path

import pytest

from reports import report_data
from zeroskip.errors import FileFormatError, InputError
from zeroskip.report import build, load, render, save, side_by_side, table
from zeroskip.report.file import to_json


@pytest.fixture
def data():
    return report_data()


# -- numbers -----------------------------------------------------------------------------------------
def test_speedup_and_bound(data):
    report = build(data)
    combined, skip = report.run("combined", False), report.run("combined", True)
    assert report.best is skip and report.bound_run is combined
    assert [report.speedup(combined, i) for i in (0, 1, None)] == [4.0, 2.0, 3.0]
    assert report.speedup(skip) == 1200 / 250
    assert combined.layers[0].bound_share == 0.45
    assert combined.total.bound_share == 180 / 400
    assert combined.total.zero == pytest.approx((0.5 * 1000 + 0.7 * 3000) / 4000)
    assert combined.total.counters["stall_input"] == 40


def test_without_a_dense_run_the_baseline_is_the_dense_schedule(data):
    data["runs"] = data["runs"][2:3]
    report = build(data)
    assert report.speedup(report.runs[0]) == 1400 / 400
    assert "without any stall" in report.baseline_text
    assert "without any stall" in table(report) and "without any stall" in render(report)


def test_layer_names_may_repeat_or_be_total(data):
    for run in data["runs"]:
        for row in run["layers"]:
            row["name"] = "total"
    report = build(data)
    assert [report.speedup(report.runs[2], i) for i in (0, 1, None)] == [4.0, 2.0, 3.0]


def test_json_round_trip(data, tmp_path):
    save(build(data), tmp_path / "r.json")
    assert load(tmp_path / "r.json") == build(data)
    assert [run["cycles"] for run in json.loads((tmp_path / "r.json").read_text())["runs"]] == [1200, 650, 400, 250]


def test_documented_example():
    text = (Path(__file__).parents[2] / "docs" / "report.md").read_text()
    report = build(json.loads(re.search(r"```json\n(.*?)```", text, re.S)[1]))
    (run,) = report.runs
    assert run.total.cycles == 36000 and f"{report.speedup(run):.2f}" in table(report)


def test_every_field_is_documented(data):
    """The tables of docs/report.md list the fields that are written, and no others."""
    written = to_json(build(data))
    text = (Path(__file__).parents[2] / "docs" / "report.md").read_text()
    tables = [
        [name for row in re.findall(r"^\| (`.+?) \| ", table, re.M) for name in re.findall(r"`(\w+)`", row)]
        for table in re.split(r"\n\n", text[text.index("## Format") :])
    ]
    report, step, run, layer = (names for names in tables if names)
    assert {"format", "version", *report} == set(written)
    assert set(step) == set(written["graph"][0]) and set(run) == set(written["runs"][0])
    assert set(layer) == set(written["runs"][0]["layers"][0])
    assert set(written["runs"][0]["layers"][0]["bands"]) == {"useful", "dead", "input", "output"}


# -- table -------------------------------------------------------------------------------------------
def test_table_shows_every_number(data):
    text = table(build(data))
    (row,) = (line.split() for line in text.splitlines() if line.startswith("conv1"))
    wanted = "conv1 8x4x4 -> 8x4x4, 3x3 1 k 50.0 40.0 10.0 25.0 800 400 200 100 2.00 4.00 8.00 45"
    assert row == wanted.split()
    (total,) = (line.split() for line in text.splitlines() if line.startswith("total"))
    assert total[-8:] == ["1,200", "650", "400", "250", "1.85", "3.00", "4.80", "45"]
    for part in ("99.0 % (of 100 images)", "scale rule percentile", "ok   outputs equal", "cycle model", "16 MACs"):
        assert part in text


def test_narrow_table_leaves_out_shapes(data):
    report = build(data)
    wide = [line for line in table(report).splitlines() if line.startswith("conv1")]
    narrow = [line for line in table(report, 100).splitlines() if line.startswith("conv1")]
    assert "8x4x4" in wide[0] and "8x4x4" not in narrow[0]


def test_failed_check_is_seen(data):
    data["checks"] = [{"check": "outputs equal", "ok": False}]
    assert "FAIL outputs equal" in table(build(data))
    page = render(build(data))
    assert "✗ FAILED: outputs equal" in page and "0 / 1" in page


# -- not a report ------------------------------------------------------------------------------------
def damage(data, path, value):
    data = deepcopy(data)
    at = data
    for key in path[:-1]:
        at = at[key]
    if value is KeyError:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return data


FIRST = ("runs", 0, "layers", 0)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), "zeroskip-result", "not a zeroskip report"),
        (("version",), 1, "version 1, this release reads 2"),
        (("title",), KeyError, "'title' is missing"),
        (("runs",), [], "no run"),
        (("runs",), None, "wrong type"),
        (("runs", 0, "layers"), [], "no run with a layer|different layers"),
        ((*FIRST, "macs"), "many", "wrong type"),
        ((*FIRST, "macs"), -1, "negative"),
        ((*FIRST, "ideal_cycles"), float("nan"), "infinite"),
        ((*FIRST, "counters", "busy"), KeyError, "'busy' is missing"),
        ((*FIRST, "counters", "beats_in"), KeyError, "'beats_in' is missing"),
        ((*FIRST, "counters", "stall_input"), 30, "do not add up"),
        ((*FIRST, "useful_cycles"), 771, "more useful than busy"),
        ((*FIRST, "sqnr_db"), float("inf"), "infinite"),
        ((*FIRST, "histogram"), [1, 2], "different lengths"),
        ((*FIRST, "histogram"), [1], "not two per bit"),
        (("graph", 1, "reads"), [1], "not computed before"),
        (("graph", 1, "where"), KeyError, "'where' is missing"),
        ((*FIRST, "counters"), [1], "wrong type"),
        ((*FIRST, "name"), "other", "different layers"),
        (("conditions",), [1], "wrong type"),
        (("images",), float("inf"), "wrong type"),
    ],
)
def test_refused(data, path, value, message):
    with pytest.raises(FileFormatError, match=message):
        build(damage(data, path, value))


def test_files_that_are_no_reports(tmp_path):
    with pytest.raises(FileFormatError, match="No such file"):
        load(tmp_path / "none.json")
    for content, message in ((b"{", "not JSON"), (b"\xff\xfe", "not JSON"), (b"[1]", "not a zeroskip report")):
        (tmp_path / "r.json").write_bytes(content)
        with pytest.raises(FileFormatError, match=message):
            load(tmp_path / "r.json")


def test_save_leaves_the_old_file(data, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        save(build(data), tmp_path / "no" / "folder.json")
    assert not list(tmp_path.iterdir())


def test_builds_side_by_side(data):
    other = deepcopy(data)
    other["config"] |= {"name": "zena_tiny", "macs": 32}
    for run in other["runs"]:
        run |= {"mode": "WAZ" if run["mode"] == "combined" else run["mode"], "activation_skip": False}
    text = side_by_side([build(data), build(other)])
    lines = [line.split() for line in text.splitlines() if line.startswith(("conv1", "total"))]
    # 1000 MACs in 100 cycles of 16 multipliers; 4000 in 250; the other build has twice as many multipliers.
    assert lines[0] == ["conv1", "1", "k", "100", "0.62", "100", "0.31"]
    assert lines[1] == ["total", "4", "k", "250", "1.00", "250", "0.50"]
    assert "zena_tiny: 32 multipliers" in text and "tiny combined + activation skip: cycles" in text
    for change in ({"images": 3}, {"runs": [run | {"layers": run["layers"][:1]} for run in other["runs"]]}):
        with pytest.raises(FileFormatError, match="one network on the same images"):
            side_by_side([build(data), build(other | change)])
