"""Tables of the documentation that scripts write."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from zeroskip.files import write_atomic

REPOSITORY = Path(__file__).resolve().parents[2]


def table(head: list[str], rows: list[list[str]], numbers: str = "---:") -> str:
    """A Markdown table; ``numbers``: the alignment of all columns but the first."""
    lines = [head, ["---"] + [numbers] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def fill(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks ``<!-- name: ... -->`` and ``<!-- /name -->`` of a page."""
    before = page.read_text(encoding="utf-8")
    marks = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- /{name} -->)"
    after, found = re.subn(marks, lambda mark: mark[1] + text + mark[2], before, flags=re.DOTALL)
    if found != 1:
        raise SystemExit(f"{page}: {found} places between <!-- {name}: ... --> and <!-- /{name} -->, one is expected")
    write_atomic(page, after)


def commit() -> str:
    """The last commit that figures can depend on, such as "commit 1a2b3c4"; says so if files have changed since."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(REPOSITORY), *arguments, "--", "rtl", "hls/*.h", "hls/*.cpp", "host/zeroskip"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return f"commit {git('log', '-1', '--format=%h', '--abbrev=7')}" + (", with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "an unknown commit"
