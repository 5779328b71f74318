"""The report's page: whole, self-contained, every number there, every plot to scale."""

import re

import pytest

from report_page import Page
from reports import report_data
from zeroskip.report import build, render, table

NASTY = "<script>alert('x')</script>&\"é"


@pytest.fixture
def data():
    return report_data()


def test_page_is_whole_and_self_contained(data):
    text = render(build(data))
    page = Page(text)
    names = [tag for tag, _ in page.tags]
    assert names.count("table") == 5 and "viewport" in [attributes.get("name") for _, attributes in page.tags]
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
    data["graph"][0] |= dict.fromkeys(("name", "op", "where", "output"), NASTY)
    for run in data["runs"]:
        run["device"] = run["layers"][0]["shape"] = run["layers"][0]["name"] = run["layers"][0]["rule"] = NASTY
    data["runs"][0]["mode"] = NASTY
    page = Page(render(build(data)))
    assert "script" not in [tag for tag, _ in page.tags]
    assert sum(NASTY in text for text in page.text) > 15


def test_page_shows_every_layer(data):
    page = Page(render(build(data)))
    speed, cycles, weights = page.lines("conv1")
    assert speed[0] == "conv18x4x4 -> 8x4x4, 3x3"
    assert speed[2:] == ["2.00", "4.00", "8.00", "8.89", "45", "800", "400", "200", "100"] + ["1 k"]
    # 100 cycles: 70 busy, of them 35 useful, 20 + 10 stalled; 12,000 bytes in, 200 out; not busy nine of ten cycles.
    assert cycles[2:] == ["input", "100", "333", "35.0", "35.0", "20.0", "10.0", "12 k", "200"]
    assert weights[3:] == ["50.0", "40.0", "10.0", "31.2", "25.0", "max_abs per channel"]
    rows = [row for row in page.lines("") if row[0] in ("1", "2", "3")]
    assert rows[1:] == [
        ["2", "pool", "MaxPool", "host", "1", "8x4x4 uint8"], ["3", "conv2", "Conv", "engine", "2, 1", "8x4x4 int16"],
    ]  # fmt: skip


def widths(page, colour):
    return [
        float(re.search(r"width:([\d.]+)%", attributes["style"])[1])
        for _, attributes in page.tags
        if attributes.get("class") == colour and "width" in attributes.get("style", "")
    ]


def test_stacked_bars_are_to_scale_and_add_up(data):
    """Four runs, then two layers of the fastest: the bands cover the cycles, the longest bar the whole cell."""
    page = Page(render(build(data)))
    found = zip(*(widths(page, band) for band in ("useful", "dead", "input", "output")), strict=True)
    sums = [sum(parts) for parts in found]
    assert sums == pytest.approx(
        [100 * c / 1200 for c in (1200, 650, 400, 250)] + [100 * c / 150 for c in (100, 150)], abs=0.1
    )
    assert widths(page, "useful")[-2:] == pytest.approx([100 * 35 / 150, 100 * 60 / 150], abs=0.1)
    assert widths(page, "input")[-2:] == pytest.approx([100 * 20 / 150] * 2, abs=0.1)


def test_speedups_are_to_scale_and_bounds_beyond_it_have_an_arrow(data):
    """The scale is that of the speed-ups and the network's bound; a layer's bound may be far beyond."""
    for run in data["runs"]:
        run["layers"][1]["ideal_cycles"] = 4.0
    report = build(data)
    page = Page(render(report))
    top = 1.1 * max(report.ideal(), 8)
    assert widths(page, "run2") == pytest.approx([100 * s / top for s in (4, 2, 3)], abs=0.1)
    marks = [attributes for tag, attributes in page.tags if tag == "b" and attributes]
    (conv1,) = re.findall(r"[\d.]+", marks[0]["style"])
    assert float(conv1) == pytest.approx(100 * (800 / 90) / top, abs=0.1) and marks[1] == {"class": "beyond"}


def test_histogram_of_the_page(data):
    """All but zero to scale of the highest, coloured by kind."""
    page = Page(render(build(data)))
    columns = [a for _, a in page.tags if "weights" in a.get("title", "") and "height" in a["style"]]
    assert len(columns) == 3 * 16
    heights = [float(re.search(r"height:([\d.]+)%", a["style"])[1]) for a in columns[:16]]
    assert heights == [0, 0, 0, 20, 40, 60, 80, 100, 100, 100, 80, 60, 40, 20, 0, 0]
    kinds = [a["class"] for a in columns[:16]]
    assert kinds == ["outlier"] * 4 + ["nonoutlier"] * 4 + ["zero"] + ["nonoutlier"] * 3 + ["outlier"] * 4
    assert columns[4]["title"] == "-8 to -5: 2 weights"


def test_a_large_network_folds_its_graph_away(data):
    assert "<details open>" in render(build(data))
    data["graph"] = [data["graph"][0] | {"name": f"node{i}", "reads": [i - 1]} for i in range(90)]
    page = render(build(data))
    assert "<details>" in page and "node89" in page


def test_layers_without_cycles_or_macs(data):
    for run in data["runs"]:
        for row in run["layers"]:
            row["counters"] = dict.fromkeys(row["counters"], 0)
            row |= dict.fromkeys(("macs", "ideal_cycles", "dense_cycles", "useful_cycles", "predicted_cycles"), 0)
            row |= {"histogram": [0] * 16, "sqnr_db": None, "rule": ""}
    report = build(data)
    Page(render(report))
    assert report.speedup(report.runs[1]) == 0 and "total" in table(report)
