"""Numbers and names in sentences."""


def counted(number: int, what: str) -> str:
    """A number with its noun in singular or plural: 1 image, 2,000 images."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def printable(text: str) -> str:
    """A name from outside, with a question mark for each character that a terminal could take for a command."""
    return "".join(c if c.isprintable() else "?" for c in text)
