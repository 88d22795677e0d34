"""Terms of delivery: what an agreement comes to where data leave, every term in exactly one bucket.

``policies/compile.py`` makes them, a data plane and the clocks keep them, ``policies/explain.py`` says them. Imports the
model, errors and the shape of terms only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace
from typing import Final, Literal

from policies.errors import Problem
from policies.model import Operator, Value
from policies.terms.term import Bucket, Point

Kind = Literal["constraint", "logic", "action", "prohibition", "duty"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a deployment can do with an asset.

    ``terms``: IRIs of the terms that its data plane declares to enforce. ``columns``: what the asset holds, by signal path;
    ``sampling_interval_ms``: how often it was measured; ``formats``: the transfer formats in which it can be had;
    ``unicity``: of how many vehicles it was measured which share is unique at four points of what leaves. None where that is not
    known, and then nothing is said about it. ``rule_sets``: names of the sets of rules that are examined besides
    those that always hold.
    """

    terms: frozenset[str] = frozenset()
    columns: frozenset[str] | None = None
    sampling_interval_ms: int | None = None
    formats: frozenset[str] | None = None
    rule_sets: frozenset[str] = frozenset()
    unicity: tuple[int, float] | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One term of an agreement and how it is kept.

    ``term`` is the IRI of an operand, an action or, for a logical constraint, of its logic. ``bucket`` is None where nobody here
    knows how to keep it. ``parts`` hang on it and are kept with it: the conditions of a prohibition, the refinements of a
    duty, what a choice is between. Exactly one of ``points``, ``evidence`` and ``legal_only`` says how a known term is kept;
    a logical constraint is kept as its parts are.
    """

    path: str
    kind: Kind
    term: str
    bucket: Bucket | None
    operator: Operator | None = None
    values: tuple[Value, ...] = ()
    unit: str | None = None
    points: tuple[Point, ...] = ()
    evidence: str | None = None
    legal_only: bool = False
    parts: tuple[Item, ...] = ()

    def walk(self) -> Iterator[Item]:
        """This item and all that hang on it, however deep."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass(frozen=True, slots=True)
class Delivery:
    """The compiled agreement: the permissions (by index) that it was compiled for, and its items by bucket.

    ``gates`` are decided when somebody asks; ``shape`` are the parameters of what is delivered; ``meters`` count; ``clocks``
    end or start something; ``duties`` are owed, with evidence; ``legal`` binds in law and is enforced by nobody here.
    ``unkept`` are items that fit none: nothing is delivered under an agreement with ``problems``.
    """

    permissions: tuple[int, ...]
    gates: tuple[Item, ...] = ()
    shape: tuple[Item, ...] = ()
    meters: tuple[Item, ...] = ()
    clocks: tuple[Item, ...] = ()
    duties: tuple[Item, ...] = ()
    legal: tuple[Item, ...] = ()
    unkept: tuple[Item, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def deliverable(self) -> bool:
        """Whether every term can be kept."""
        return not self.problems

    def items(self) -> Iterator[Item]:
        """All items, bucket by bucket."""
        for name in _BUCKETS:
            found: tuple[Item, ...] = getattr(self, name)
            yield from found

    def under(self, permissions: Collection[int]) -> Delivery:
        """What holds where only these permissions apply: the items and problems of the others are left out."""
        left_out = tuple(f"/permission/{index}/" for index in self.permissions if index not in permissions)
        kept = {
            name: tuple(found for found in getattr(self, name) if not f"{found.path}/".startswith(left_out))
            for name in (*_BUCKETS, "problems")
        }
        return replace(self, permissions=tuple(index for index in self.permissions if index in permissions), **kept)


_BUCKETS: Final = tuple(field.name for field in fields(Delivery) if field.name not in ("permissions", "problems"))
