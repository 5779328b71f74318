"""Reports: derived numbers, the table, the page, and files that are no reports."""

import json
import re
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path

import pytest

from zeroskip.errors import FileFormatError, InputError
from zeroskip.hardware.registers import COUNTER_NAMES
from zeroskip.report import build, load, render, save, side_by_side, table
from zeroskip.report.svg import Bar, Group, Part, bars, ticks

CYCLES = {("dense", False): (800, 400), ("zero_skip", False): (400, 250), ("combined", False): (200, 200)}
CYCLES[("combined", True)] = (100, 150)
NASTY = "<script>alert('x')</script>&\"é"


def layer(name, cycles, **fields):
    counters = dict.fromkeys(COUNTER_NAMES, 0) | {"cycles": cycles, "busy": cycles - 30}
    counters |= {"stall_input": 20, "stall_output": 10}
    base = {"name": name, "op": "Conv", "shape": "8x4x4 -> 8x4x4, 3x3", "macs": 1000, "zero": 0.5, "non_outlier": 0.4}
    base |= {"outlier": 0.1, "act_zeros": 0.25, "ideal_cycles": 90.0, "dense_cycles": 700.0, "counters": counters}
    return base | fields


@pytest.fixture
def data():
    runs = [
        {
            "mode": mode,
            "activation_skip": skip,
            "device": "cycle model",
            "layers": [layer("conv1", first), layer("conv2", second, macs=3000, zero=0.7, non_outlier=0.2)],
        }
        for (mode, skip), (first, second) in CYCLES.items()
    ]
    return {
        "format": "zeroskip-report",
        "version": 1,
        "title": "a network",
        "images": 2,
        "config": {"name": "tiny", "hash": "00000000", "macs": 16, "lanes": 8, "filters": 1, "wgs": 2, "mux": 8},
        "conditions": {"weights": "scale rule percentile"},
        "accuracy": {"accuracy": "99.0 % (of 100 images)"},
        "checks": [{"check": "outputs equal", "ok": True}],
        "runs": runs,
    }


class Page(HTMLParser):
    """Collects tags and text, and fails on tags that are not closed in order."""

    VOID = ("meta", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text.append(text)


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


# -- page --------------------------------------------------------------------------------------------
def test_page_is_whole_and_self_contained(data):
    text = render(build(data))
    page = Page(text)
    names = [tag for tag, _ in page.tags]
    assert names.count("svg") == 5 and "viewport" in [attributes.get("name") for _, attributes in page.tags]
    assert not {"script", "link", "img", "iframe", "object"} & set(names)
    assert not [a for _, a in page.tags if {"src", "href", "srcset", "onload", "onclick"} & set(a)]
    assert "http" not in text and "url(" not in text and "@import" not in text
    shown = " ".join(page.text)
    for part in ("a network", "conv2", "4.80×", "1,200", "percentile", "99.0 %", "measured", "cycle model"):
        assert part in shown


def test_every_text_is_escaped(data):
    data["title"] = NASTY
    data["conditions"] = {NASTY: NASTY}
    data["accuracy"] = {NASTY: NASTY}
    data["checks"] = [{"check": NASTY, "ok": True}]
    data["config"]["name"] = NASTY
    for run in data["runs"]:
        run["device"] = run["layers"][0]["shape"] = run["layers"][0]["name"] = NASTY
    data["runs"][0]["mode"] = NASTY
    page = Page(render(build(data)))
    assert "script" not in [tag for tag, _ in page.tags]
    assert sum(NASTY in text for text in page.text) > 10


def test_stacked_bars_add_up(data):
    """The pieces of a layer's bar cover busy, stall_input and stall_output of the total, to scale."""
    page = Page(render(build(data)))
    titles = [text for text in page.text if text.startswith("combined + activation skip, ")]
    cycles = [int(re.search(r"([\d,]+) cycles", text)[1].replace(",", "")) for text in titles]
    assert cycles == [250 - 60, 40, 20]


def test_bars_stay_inside():
    svg = bars([Group("a", [Bar([Part(3.0, "c", "t"), Part(7.0, "d", "u")], "10", mark=12.0)])], "label", str)
    boxes = re.findall(r'<rect class="(\w)" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    assert [name for name, _, _ in boxes] == ["c", "d"]
    (_, x0, w0), (_, x1, w1) = boxes
    assert float(x0) + float(w0) == pytest.approx(float(x1), abs=0.2)
    assert float(w1) / float(w0) == pytest.approx(7 / 3, rel=0.02)
    width = float(re.search(r'viewBox="0 0 (\d+)', svg)[1])
    assert float(x1) + float(w1) < width


@pytest.mark.parametrize("top", [0, 1e-9, 0.3, 1, 7, 9.99, 10, 123456789])
def test_ticks_cover_the_data(top):
    marks = ticks(top)
    assert marks[0] == 0 and marks[-1] >= top * (1 - 1e-9) and 2 <= len(marks) <= 7


def test_layers_without_cycles_or_macs(data):
    for run in data["runs"]:
        for row in run["layers"]:
            row["counters"] = dict.fromkeys(row["counters"], 0)
            row |= {"macs": 0, "ideal_cycles": 0, "dense_cycles": 0}
    report = build(data)
    Page(render(report))
    assert report.speedup(report.runs[1]) == 0 and "total" in table(report)


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
        (("version",), 2, "version 2, this release reads 1"),
        (("title",), KeyError, "'title' is missing"),
        (("runs",), [], "no run"),
        (("runs",), None, "wrong type"),
        (("runs", 0, "layers"), [], "no run with a layer|different layers"),
        ((*FIRST, "macs"), "many", "wrong type"),
        ((*FIRST, "macs"), -1, "negative"),
        ((*FIRST, "ideal_cycles"), float("nan"), "infinite"),
        ((*FIRST, "counters", "busy"), KeyError, "'busy' is missing"),
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
