"""What a criterion means: the leaves of a document, which of them a path names, and which value meets an operator. Pure.

A leaf is a text, a number or a truth value at a path; arrays are passed through, so that a path may name many. A criterion is
met if there is a leaf at its path that meets it; ``!=`` and ``notIn`` ask for a path with leaves, none of which is one of the
values. ``=`` (and ``contains``, which is the same here) compares texts, a number being the shortest text of it. ``like`` and
``ilike`` look at texts only, where ``%`` is anything and ``_`` one character. ``<`` compares numbers with a number, and texts
with a text by their code points. The database keeps the same leaves (``store/definitions.py``) and asks them the same.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from connector.management.invalid import InvalidQuery
from connector.management.model import EDC, Asset, ContractDefinition, Criterion, PolicyDefinition, Scalar
from connector.management.queryspec import MAX_SEGMENTS, document_of

HEAD_BYTES: Final = 400
"""Texts that are longer are told apart by a digest, and ordered by their beginning."""
SOUGHT_CHARS: Final = 4096
"""How much of a text ``like`` looks at."""
PATH_BYTES: Final = 600
"""What is at a longer path cannot be asked for."""
MAX_LEAVES: Final = 1000
"""Most leaves of one document; what comes after them cannot be asked for."""

VOCABULARY: Final = frozenset({"contenttype", "description", "id", "name", "type", "version"})
"""What EDC's own vocabulary has for an asset."""
# What a data address may be asked for. Keys and headers are secrets, or may be.
_OF_ADDRESS: Final = frozenset(
    f"{EDC}{name}"
    for name in (
        *("baseUrl", "contentType", "method", "name", "path", "type"),
        *("proxyBody", "proxyMethod", "proxyPath", "proxyQueryParams"),
    )
)
_WHOLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|urn:|did:|tag:")

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value at a path. ``head`` tells values apart, ``rank`` orders them: numbers before texts before truth values."""

    path: Path
    head: str
    rank: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads in documents of a kind. ``assumed``: it was taken for a property, which may be a slip of the pen."""

    path: Path
    assumed: bool = False


def text_of(value: Scalar) -> str:
    """A value as equality sees it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        value = int(value)
    return str(value)


def head_of(text: str) -> str:
    """A text of any length as an index can hold it: equal texts have equal heads, and no others."""
    whole = text.encode()
    if len(whole) <= HEAD_BYTES:
        return text
    # Longer than HEAD_BYTES, so that no short text is taken for it.
    return f"{whole[:HEAD_BYTES].decode(errors='ignore')}#{hashlib.sha256(whole).hexdigest()}"


def rank_of(value: Scalar) -> str:
    """A text whose code points order values of a kind as they are ordered."""
    if isinstance(value, bool):
        return "2" + text_of(value)
    if isinstance(value, str):
        return "1" + head_of(value)
    bits = int.from_bytes(struct.pack(">d", float(value) + 0.0))
    ordered = bits ^ (0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else 0x8000_0000_0000_0000)
    return f"0{ordered:016x}"


def folded(text: str) -> str:
    """A text, or a pattern, for those to whom case is the same."""
    return text.casefold()


def leaves(document: Mapping[str, Any]) -> list[Leaf]:
    """The leaves of a document in its order, equal ones of a path once. What no database can keep is left out."""
    found: dict[tuple[Path, str], Leaf] = {}
    for path, value in _walk(document, ()):
        if len(found) >= MAX_LEAVES:
            break
        if (leaf := _leaf(path, value)) is not None:
            found.setdefault((path, leaf.head), leaf)
    return list(found.values())


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        if len(path) < MAX_SEGMENTS:
            for key, inner in value.items():
                yield from _walk(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for inner in value:
            # An array in an array is no value of a property.
            if not isinstance(inner, list | tuple):
                yield from _walk(inner, path)
    elif value is not None:
        yield path, value


def _leaf(path: Path, value: Any) -> Leaf | None:
    try:
        if sum(len(each.encode()) for each in path) > PATH_BYTES:
            return None
        if isinstance(value, str):
            if "\0" in value:
                return None
            return Leaf(path, head_of(value), rank_of(value), value[:SOUGHT_CHARS])
        if not isinstance(value, bool) and not math.isfinite(value):
            return None
        return Leaf(path, head_of(text_of(value)), rank_of(value), None)
    except (OverflowError, UnicodeEncodeError):
        return None


# -- documents --------------------------------------------------------------------------------------------------------------


def of_asset(asset: Asset) -> dict[str, Any]:
    """An asset as criteria see it."""
    address = {key: value for key, value in (asset.data_address or {}).items() if key in _OF_ADDRESS}
    return {
        "id": asset.id,
        "createdAt": asset.created_at,
        "properties": asset.properties,
        "privateProperties": asset.private_properties,
        "dataAddress": address,
    }


def of_policy(policy: PolicyDefinition) -> dict[str, Any]:
    """A policy definition as criteria see it: not what it says."""
    return {"id": policy.id, "createdAt": policy.created_at, "privateProperties": policy.private_properties}


def of_definition(definition: ContractDefinition) -> dict[str, Any]:
    """A contract definition as criteria see it."""
    return {
        "id": definition.id,
        "createdAt": definition.created_at,
        "accessPolicyId": definition.access_policy,
        "contractPolicyId": definition.contract_policy,
        "assetsSelector": [document_of(each) for each in definition.selector],
        "privateProperties": definition.private_properties,
    }


# -- paths ------------------------------------------------------------------------------------------------------------------


def asset_place(path: Path, place: str) -> Place:
    """Where a path leads in an asset. Raises InvalidQuery; ``place`` says where the path stood.

    Properties are free: under ``properties``, as a whole IRI, or by their name in EDC's namespace. A bare word that EDC's
    vocabulary does not have is taken for such a name, too, and is ``assumed``.
    """
    first, *rest = path
    name = first.removeprefix("@").removeprefix(EDC)
    if name in ("id", "createdAt"):
        return Place(_ended(name, rest, place))
    if name in ("properties", "privateProperties", "dataAddress"):
        return Place(_in_bag(name, rest, place))
    assumed = not (_WHOLE.match(first) or first.startswith("edc:") or (first in VOCABULARY and not rest))
    return Place(("properties", *(_key(each, place) for each in path)), assumed)


def policy_place(path: Path, place: str) -> Place:
    """Where a path leads in a policy definition. Raises InvalidQuery."""
    return _closed(path, place, ("id", "createdAt"))


def definition_place(path: Path, place: str) -> Place:
    """Where a path leads in a contract definition. Raises InvalidQuery."""
    names = [each.removeprefix(EDC) for each in path]
    if names[0] == "assetsSelector":
        if len(names) != 2 or names[1] not in ("operandLeft", "operator", "operandRight"):
            raise InvalidQuery("of a selector are known operandLeft, operator and operandRight", place, ".".join(path))
        return Place(tuple(names))
    return _closed(path, place, ("id", "createdAt", "accessPolicyId", "contractPolicyId"))


def _closed(path: Path, place: str, known: Sequence[str]) -> Place:
    first, *rest = path
    name = first.removeprefix("@").removeprefix(EDC)
    if name in known:
        return Place(_ended(name, rest, place))
    if name == "privateProperties":
        return Place(_in_bag(name, rest, place))
    raise InvalidQuery(
        f"nothing is known of {first!r:.100}; there are {', '.join(known)}, privateProperties", place, ".".join(path)
    )


def _ended(name: str, rest: Sequence[str], place: str) -> Path:
    if rest:
        raise InvalidQuery(f"{name} has no members", place, rest[0])
    return (name,)


def _in_bag(name: str, rest: Sequence[str], place: str) -> Path:
    if not rest:
        raise InvalidQuery(f"say which of {name}", place, name)
    keys = tuple(_key(each, place) for each in rest)
    if name == "properties" and keys == (f"{EDC}id",):
        return ("id",)
    if name == "dataAddress" and (len(keys) != 1 or keys[0] not in _OF_ADDRESS):
        known = ", ".join(sorted(each.removeprefix(EDC) for each in _OF_ADDRESS))
        raise InvalidQuery(f"a data address can be asked for {known}", place, rest[0])
    return (name, *keys)


def _key(segment: str, place: str) -> str:
    if segment.startswith("@") or _WHOLE.match(segment):
        return segment
    if segment.startswith("edc:"):
        return EDC + segment.removeprefix("edc:")
    if ":" in segment:
        raise InvalidQuery("write the whole IRI: prefixes are not known here", place, segment)
    return EDC + segment


# -- meaning ----------------------------------------------------------------------------------------------------------------


def selects(criteria: Sequence[Criterion], asset: Asset) -> bool:
    """Whether an asset meets every criterion of a selector, as every asset does if there are none.

    Raises InvalidQuery for an unknown path.
    """
    found = leaves(of_asset(asset))
    return all(_meets_at(each, found) for each in criteria)


def matches(criterion: Criterion, document: Mapping[str, Any]) -> bool:
    """Whether an asset's document (``of_asset``) meets a criterion. Raises InvalidQuery for an unknown path."""
    return _meets_at(criterion, leaves(document))


def _meets_at(criterion: Criterion, found: Sequence[Leaf]) -> bool:
    path = asset_place(criterion.path, criterion.left).path
    return meets(criterion, [leaf for leaf in found if leaf.path == path])


def meets(criterion: Criterion, found: Sequence[Leaf]) -> bool:
    """Whether the leaves at the path of a criterion meet it."""
    right = criterion.right
    values = right if isinstance(right, tuple) else (right,)
    match criterion.operator:
        case "=" | "contains" | "in":
            return any(leaf.head in _heads(values) for leaf in found)
        case "!=" | "notin":
            return bool(found) and not any(leaf.head in _heads(values) for leaf in found)
        case "like":
            return any(leaf.text is not None and like(leaf.text, text_of(values[0])) for leaf in found)
        case "ilike":
            pattern = folded(text_of(values[0]))
            return any(leaf.text is not None and like(folded(leaf.text), pattern) for leaf in found)
        case _:
            return any(_ordered(leaf.rank, criterion.operator, rank_of(values[0])) for leaf in found)


def _heads(values: Sequence[Scalar]) -> frozenset[str]:
    return frozenset(head_of(text_of(each)) for each in values)


def _ordered(rank: str, operator: str, bound: str) -> bool:
    if rank[0] != bound[0]:
        return False
    if rank == bound:
        return operator in ("<=", ">=")
    return (rank < bound) == (operator in ("<", "<="))


def like(text: str, pattern: str) -> bool:
    """SQL's LIKE without an escape character, by code points."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Lazy stars that are not given back once what follows them has been found: no text takes long.
    pieces = re.split(r"%+", pattern)
    bodies = ["".join("." if char == "_" else re.escape(char) for char in piece) for piece in pieces]
    if len(bodies) == 1:
        return re.compile(bodies[0], re.DOTALL)
    middle = "".join(f"(?>.*?{body})" for body in bodies[1:-1])
    return re.compile(f"{bodies[0]}{middle}.*{bodies[-1]}", re.DOTALL)
