"""Numbers in sentences."""


def counted(number: int, what: str) -> str:
    """A number with its noun in singular or plural: 1 image, 2,000 images."""
    return f"{number:,} {what}{'s' * (number != 1)}"
