"""No document shows the cycles of a trained network without saying what its answers are worth.

A fast network that answers wrongly is no result.  So a table row, a paragraph or a printed screen that has a network's
cycles has its accuracy, too, and what several documents say of a network is the same.
"""

import re
from pathlib import Path

import pytest

import zoo

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for folder in (".", "docs", "docs/results", "hls", "host", "host/benchmarks", "host/zeroskip/examples", "vivado")
    for path in (ROOT / folder).glob("**/*.md" if folder.endswith("examples") else "*.md")
)
CYCLES = re.compile(r"^\d{1,3}(,\d{3})+$")
"""A cell with cycles: a whole number with thousands apart.  (Nothing else in a network's row is that large.)"""
WORTH = re.compile(r"\d+ of \d+|\d %|cosine \d|within \d|\d dB|^-?\d+\.\d+$")
"""A cell or a sentence with accuracy, cosine, difference or SQNR."""
NAMES = "|".join(sorted(map(re.escape, zoo.ALL), key=len, reverse=True))
HEADS = ("accuracy", "cosine", "difference", "SQNR")


def tables(text: str) -> list[tuple[str, list[str], list[list[str]]]]:
    """(title of the last heading above, head, rows) of a page's tables, cells stripped."""
    found, title, block = [], "", []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            block.append([cell.strip() for cell in line.strip().strip("|").split("|")])
        else:
            if len(block) > 2:
                found.append((title, block[0], block[2:]))
            block = []
            title = line.lstrip("# ") if line.startswith("#") else title
    return found


def faults(text: str) -> list[str]:
    """What a page says of a network's cycles without its accuracy."""
    wrong = []
    for title, head, rows in tables(text):
        worth = [i for i, cell in enumerate(head) if cell.startswith(HEADS)]
        total = any("cycles" in cell for cell in head)
        for row in rows:
            named = re.match(rf"\*?\*?({NAMES})\b(?! →)", row[0]) or (title in zoo.ALL and total)
            counted = [cell for cell in row[1:] if CYCLES.match(cell)]
            if named and counted and not any(WORTH.search(row[i]) for i in worth):
                wrong.append(f"table row without accuracy: {' | '.join(row)}")
    prose = re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n|^[-*] ", prose, flags=re.MULTILINE):
        figure = re.search(r"\d[\d,.]* (?:[MGk] |million |thousand )?cycles", block)
        named = re.search(NAMES.replace("demo|", ""), block)
        if figure and named and not WORTH.search(block) and "per second" not in block:
            wrong.append(f"sentence without accuracy: {' '.join(block.split())}")
    for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL):
        if re.search(r"^total\b.*\d,\d{3}", block, re.MULTILINE) and not WORTH.search(block):
            wrong.append(f"screen without accuracy: {block[:80]}")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_cycles_stand_beside_accuracy(page):
    text = page.read_text(encoding="utf-8")
    assert not (wrong := faults(text)), "\n".join(wrong)


GOOD = """## MobileNetV2

| weights | cosine, mean | cycles |
| --- | ---: | ---: |
| default | 0.9911 | 5,012,345 |

| network | accuracy | float | cycles |
| --- | ---: | ---: | ---: |
| MobileNetV1, default | 16 of 20 | 16 of 20 | 5,000,000 |

MobileNetV1 takes 5.0 M cycles with 16 of 20 right.
"""


@pytest.mark.parametrize(
    "old, new",
    [
        ("cosine, mean", "zero %"),
        ("| 0.9911 |", "|  |"),
        ("| accuracy | float |", "| float | zero % |"),
        ("| 16 of 20 | 16 of 20 |", "|  | 16 of 20 |"),
        (" with 16 of 20 right", ""),
    ],
)
def test_a_page_without_accuracy_is_found(old, new):
    assert not faults(GOOD)
    assert GOOD.count(old) == 1 and faults(GOOD.replace(old, new))


def rows(page: str, first: str, *others: str) -> dict[str, dict[str, str]]:
    """First cell -> cells by their heads, of the table of a page that has these columns."""
    text = (ROOT / page).read_text(encoding="utf-8")
    head, found = next((head, rows) for _, head, rows in tables(text) if head[0] == first and {*others} <= {*head})
    return {row[0]: dict(zip(head, row, strict=True)) for row in found}


RESULTS = rows("docs/results/gather.md", "network, weights", "with glue: trident")
"""The whole networks of the results."""
WITHOUT = {"z2": "trident `z2`, cycles", "gather": "gather, cycles"}


def test_readme_says_what_the_results_say():
    """The default weights of every network, which keep its answers: at most one of twenty less than float has."""
    readme = rows("README.md", "network", "accuracy", "float")
    assert [f"{name}, default" for name in readme] == [name for name in RESULTS if name.endswith(", default")]
    assert set(zoo.NETWORKS) - {"VGG-16"} <= set(readme)
    for name, row in readme.items():
        result = RESULTS[f"{name}, default"]
        assert (row["accuracy"], row["float"]) == (result["accuracy"], result["float"]), name
        cycles = [cell for cell in row.values() if CYCLES.match(cell)]
        assert cycles[:2] == [result[WITHOUT[build]] for build in ("z2", "gather")], name
        assert cycles[2] in result.values() and len(cycles) == 3, name
        right, exact = (
            float(re.match(r"[\d.]+", row[head] or "0")[0]) if row["float"] else 0 for head in ("accuracy", "float")
        )
        assert right >= exact - 1, f"{name}: the default loses answers"


def test_the_glue_takes_the_same_networks():
    """hls/README.md's figures are those of docs/results/gather.md."""
    glue = rows("hls/README.md", "network, build", "glue, cycles")
    assert len(glue) >= 8
    for name, row in glue.items():
        network, _, build = name.replace("`", "").rpartition(", ")
        result = RESULTS[f"{network}, default"]
        expected = result["accuracy"], result["float"], result[WITHOUT[build]]
        assert (row["accuracy"], row["float"], row["without glue, cycles"]) == expected, name
        assert row["glue, cycles"] in result.values(), name
