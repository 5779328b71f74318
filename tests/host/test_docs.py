"""The documentation points at what is there: links, headings, files, commands, make targets."""

import argparse
import re
from pathlib import Path

import pytest

from zeroskip.cli import parser

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for folder in (".", "bitstreams", "docs", "hls", "host", "vivado")
    for path in (ROOT / folder).glob("*.md" if folder in (".", "host") else "**/*.md")
)
PLACES = (ROOT, ROOT / "host" / "zeroskip")
"""Where a file that a page names may lie."""


def pages(function):
    return pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))(function)


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pages
def test_links(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"dead link: {link}"
        assert not anchor or anchor in anchors(target), f"no such heading: {link}"


@pages
def test_files(page):
    """Names such as `compiler/pack.py`, `rtl/dma/zs_dma.v`, `compiler/onnx_*.py`; what is built is not there yet."""
    for name in re.findall(r"`([\w.*-]+(?:/[\w.*-]+)+\.(?:py|vh|v|h|cpp|tcl|sh|md|json))`", prose(page)):
        if not name.startswith("build/"):
            assert any([*place.glob(name)] for place in (*PLACES, page.parent)), f"no such file: {name}"


def lines_of_code(page: Path) -> list[str]:
    """Fenced and indented lines, and code within a sentence, without a prompt."""
    text = page.read_text(encoding="utf-8")
    fenced = [line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    inline = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]
    indented = re.findall(r"^ {4}.*$", text, re.MULTILINE)
    return [re.sub(r"^ *(\$ |sudo -i )?", "", line) for line in (*fenced, *indented, *inline)]


@pages
def test_commands(page):
    """Every `zeroskip COMMAND --option` is in the command's grammar, every `make target` in the Makefile."""
    (commands,) = (action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in lines_of_code(page):
        if found := re.match(r"zeroskip ([a-z]+)(.*)", line):
            command, rest = found.groups()
            assert command in commands, line
            for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest.partition("#")[0]):
                assert option in commands[command]._option_string_actions, line
        if found := re.match(r"make ([a-z-]+)", line):
            assert found[1] in targets, line
