"""What a field of a file's JSON may hold: its type and its range, declared once and checked before anything reads it.

A description is made of the classes below; :meth:`Kind.read` returns the value (lists as tuples) or says which field
is wrong, what it holds and what is accepted.  A value that has passed is of exactly that type: no ``true`` for 1, no
NaN, no text that a terminal would execute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import FileFormatError


class Kind:
    """A kind of value; ``accepted`` describes it in a message."""

    accepted = ""

    def read(self, value: Any, where: str) -> Any:
        """The value.

        Raises:
            FileFormatError: it is of another kind; ``where`` names the field.
        """
        raise NotImplementedError

    def refuse(self, value: Any, where: str):
        shown = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else "a huge number"
        raise FileFormatError(
            f"{where} is {shown if len(shown) < 60 else shown[:56] + ' ...'}; accepted: {self.accepted}"
        )


@dataclass(frozen=True)
class Whole(Kind):
    """An integer from ``low`` to ``high``."""

    low: int
    high: int

    @property
    def accepted(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def read(self, value: Any, where: str) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            self.refuse(value, where)
        return value


@dataclass(frozen=True)
class Real(Kind):
    """A finite number from ``low`` to ``high``."""

    low: float
    high: float

    @property
    def accepted(self) -> str:
        return f"a number from {self.low:.4g} to {self.high:.4g}"

    def read(self, value: Any, where: str) -> int | float:
        if type(value) not in (int, float) or not self.low <= value <= self.high:
            self.refuse(value, where)
        return value


@dataclass(frozen=True)
class Text(Kind):
    """Printable text; of ``words``, if there are any."""

    words: tuple[str, ...] = ()
    longest: int = 1000

    @property
    def accepted(self) -> str:
        return ", ".join(self.words) or f"printable text of at most {self.longest} characters"

    def read(self, value: Any, where: str) -> str:
        good = type(value) is str and len(value) <= self.longest and value.isprintable()
        if not good or (self.words and value not in self.words):
            self.refuse(value, where)
        return value


@dataclass(frozen=True)
class Flag(Kind):
    """true or false."""

    accepted = "true or false"

    def read(self, value: Any, where: str) -> bool:
        if type(value) is not bool:
            self.refuse(value, where)
        return value


@dataclass(frozen=True)
class Listed(Kind):
    """A list of ``least`` to ``most`` values of one kind."""

    item: Kind
    least: int = 0
    most: float = math.inf

    @property
    def accepted(self) -> str:
        count = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
        return f"a list of {count} values"

    def read(self, value: Any, where: str) -> tuple:
        if type(value) is not list or not self.least <= len(value) <= self.most:
            self.refuse(value, where)
        return tuple(self.item.read(one, f"{where}[{place}]") for place, one in enumerate(value))


@dataclass(frozen=True)
class Table(Kind):
    """Names of any number, each with a value of one kind."""

    item: Kind
    key: Kind = Text()
    accepted = "an object"

    def read(self, value: Any, where: str) -> dict[str, Any]:
        if type(value) is not dict:
            self.refuse(value, where)
        return {self.key.read(k, f"a name in {where}"): self.item.read(v, f"{where}.{k}") for k, v in value.items()}


@dataclass(frozen=True)
class Record(Kind):
    """Fields with a kind each: all of ``fields``, any of ``optional``, and of ``rest`` any others; None: no others."""

    fields: Mapping[str, Kind]
    optional: Mapping[str, Kind] = field(default_factory=dict)
    rest: Kind | None = None

    @property
    def accepted(self) -> str:
        return f"an object of {', '.join(self.fields)}"

    def read(self, value: Any, where: str) -> dict[str, Any]:
        if type(value) is not dict:
            self.refuse(value, where)
        kinds, found = {**self.fields, **self.optional}, {}
        for key, one in value.items():
            kind = kinds.get(key, self.rest)
            if kind is None:
                self.refuse({key: one}, where)
            found[key] = kind.read(one, f"{where}.{key}")
        for key in self.fields:
            if key not in found:
                raise FileFormatError(f"{where} has no {key!r}; accepted: {self.accepted}")
        return found


@dataclass(frozen=True)
class Row(Kind):
    """A list of as many values as there are kinds."""

    kinds: tuple[Kind, ...]

    @property
    def accepted(self) -> str:
        return f"a list of {len(self.kinds)} values"

    def read(self, value: Any, where: str) -> tuple:
        if type(value) is not list or len(value) != len(self.kinds):
            self.refuse(value, where)
        return tuple(
            kind.read(one, f"{where}[{i}]") for i, (kind, one) in enumerate(zip(self.kinds, value, strict=True))
        )


@dataclass(frozen=True)
class OneOf(Kind):
    """A value of the first kind that takes it; kinds differ in their JSON type."""

    kinds: tuple[Kind, ...]

    @property
    def accepted(self) -> str:
        return ", or ".join(kind.accepted for kind in self.kinds)

    def read(self, value: Any, where: str) -> Any:
        for kind in self.kinds[:-1]:
            try:
                return kind.read(value, where)
            except FileFormatError:
                continue
        return self.kinds[-1].read(value, where)


@dataclass(frozen=True)
class Anything(Kind):
    """Whatever JSON holds: what this release does not look at."""

    def read(self, value: Any, where: str) -> Any:
        return value


@dataclass(frozen=True)
class Nothing(Kind):
    """null."""

    accepted = "null"

    def read(self, value: Any, where: str) -> None:
        if value is not None:
            self.refuse(value, where)
