"""Tables of the pages in docs/results."""


def table(head: list[str], rows: list[list[str]], numbers: str = "---:") -> str:
    """A Markdown table; ``numbers``: the alignment of all columns but the first."""
    lines = [head, ["---"] + [numbers] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
