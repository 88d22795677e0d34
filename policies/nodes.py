"""Parts of a JSON document that is being read: where each stands, what was taken of it, and how much of it there may be.

Knows JSON-LD's containers and scalars and nothing of policies. Imports ``policies.errors`` and the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from policies.errors import PolicyInvalid, below, excerpt
from policies.model import XSD

MAX_DEPTH: Final = 40
"""Deepest nesting of a document (levels of objects and arrays)."""
MAX_VALUES: Final = 20_000
"""Most members and items of a document, names and values alike."""
MAX_TEXT_CHARS: Final = 65_536
"""Longest literal (characters)."""
MAX_NAME_CHARS: Final = 2_048
"""Longest name or id (characters)."""
MAX_NUMBER_BITS: Final = 256


@dataclass(frozen=True, slots=True)
class Member:
    """The value of one member, where it stands, and what its strings are (see ``Names.coerced``)."""

    value: Any
    path: str
    coerced: str | None = None

    def items(self) -> Iterator[Member]:
        """Each value of it: of an array, of a list or set of JSON-LD in an array or alone, or the one value."""
        for each in self._parts():
            yield from each._parts() if isinstance(each.value, dict) else (each,)

    def _parts(self) -> Iterator[Member]:
        value = self.value
        if isinstance(value, dict) and value.keys() in ({"@list"}, {"@set"}):
            (value,) = value.values()
        if not isinstance(value, list):
            yield Member(value, self.path, self.coerced)
            return
        for index, item in enumerate(value):
            yield Member(item, below(self.path, index), self.coerced)

    def one(self) -> Member:
        """Its only value. Raises PolicyInvalid `value-invalid`."""
        found = list(self.items())
        if len(found) != 1:
            raise PolicyInvalid("value-invalid", self.path, f"one value belongs here, not {len(found)}")
        return found[0]


class Node:
    """The members of one object by their name in ODRL, else by IRI; what nobody takes is refused at the ``end``."""

    def __init__(self, members: dict[str, Member], path: str) -> None:
        self.members = members
        self.path = path

    def take(self, name: str) -> Member | None:
        """The member ``name``, if it is there."""
        return self.members.pop(name, None)

    def must(self, name: str) -> Member:
        """The member ``name``. Raises PolicyInvalid `member-missing`."""
        found = self.take(name)
        if found is None:
            raise PolicyInvalid("member-missing", self.path, f"{name.replace('@id', 'uid')} is missing here")
        return found

    def all(self, name: str) -> Iterator[Member]:
        """Each value of the member ``name``."""
        found = self.take(name)
        return iter(()) if found is None else found.items()

    def end(self) -> None:
        """Raises PolicyInvalid `member-unknown` for the first member that was not taken."""
        for name, member in self.members.items():
            raise PolicyInvalid("member-unknown", member.path, f"{excerpt(name)} is not understood here; leave it out")


def native(raw: Any, path: str) -> tuple[str, str]:
    """The lexical form of a JSON scalar and its datatype. Raises PolicyInvalid `value-invalid`."""
    if isinstance(raw, str):
        return raw, f"{XSD}string"
    if isinstance(raw, bool):
        return str(raw).lower(), f"{XSD}boolean"
    if isinstance(raw, int) and raw.bit_length() <= MAX_NUMBER_BITS:
        return str(raw), f"{XSD}integer"
    if isinstance(raw, float) and math.isfinite(raw):
        return f"{Decimal(repr(raw)):f}", f"{XSD}decimal"
    raise PolicyInvalid("value-invalid", path, "a string, a number, true or false belongs here")


def measure(document: Mapping[str, Any]) -> None:
    """Check depth, size and lengths without recursion. Raises PolicyInvalid `document-too-deep` or `document-too-large`."""
    seen = 0
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for value in level:
            seen += 1
            if isinstance(value, Mapping):
                inner += value.keys()
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str) and len(value) > MAX_TEXT_CHARS:
                raise PolicyInvalid("document-too-large", "", f"a string has more than {MAX_TEXT_CHARS} characters")
        if seen + len(inner) > MAX_VALUES:
            raise PolicyInvalid("document-too-large", "", f"a policy has at most {MAX_VALUES} members and items")
        if not inner:
            return
        level = inner
    raise PolicyInvalid("document-too-deep", "", f"a policy nests at most {MAX_DEPTH} levels")
