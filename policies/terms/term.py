"""What a term declares: its values, where it is decided, where it is enforced, and its sentence. The shape of the registry.

A term is an operand of constraints, an action, or a duty. A policy that uses anything else says something that nobody here can
keep: unknown terms are never satisfied in a permission and always block in a prohibition. Imports the model only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from policies.model import Operator, Value

Language = Literal["en", "de", "fr"]


class Scope(StrEnum):
    """When a policy is asked: who sees an offer, who gets the contract, who gets the data, and whether that goes on."""

    CATALOGUE = "catalogue"
    NEGOTIATION = "negotiation"
    TRANSFER = "transfer"
    ONGOING = "ongoing"


class Point(StrEnum):
    """A named point where a term is enforced. The last three are the data plane's: a deployment declares which it has."""

    CATALOGUE = "catalogue"
    NEGOTIATION = "negotiation"
    PUBLICATION = "publication"
    AGREEMENT = "agreement"
    TRANSFER = "transfer"
    CLOCK = "clock"
    DATA_REQUEST = "data request"
    QUERY = "query plan"
    METER = "meter"

    @property
    def of_data_plane(self) -> bool:
        """Whether only a data plane can enforce here."""
        return self in (Point.DATA_REQUEST, Point.QUERY, Point.METER)


class Bucket(StrEnum):
    """Where a term goes when an agreement is compiled; each goes to exactly one."""

    GATE = "gate"
    SHAPE = "shape"
    METER = "meter"
    CLOCK = "clock"
    DUTY = "duty"
    LEGAL = "legal only"


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks to do what with what, and when in the life of a contract.

    ``claims`` are verified, never the caller's own. ``action`` and ``purpose`` are IRIs; ``purpose`` is what the buyer narrowed
    the purpose to, None where it did not say yet. ``recipients`` are whom the caller would pass the data on to.
    """

    scope: Scope
    action: str
    target: str
    assignee: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    purpose: str | None = None
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """What is the case, as far as a policy may ask.

    ``now_ms``: ms since the epoch. ``facts``: by operand IRI, what counters, clocks and records say now (the time a contract was
    made, how often it was used). ``enforced``: IRIs of the terms that the data plane of this deployment declares to enforce.
    """

    now_ms: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    enforced: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Unknown:
    """The world does not say: the constraint is not satisfied, and ``remedy`` says what would have to be known."""

    remedy: str


@dataclass(frozen=True, slots=True)
class Enforced:
    """The term is a parameter of what is done later (a shape, a meter): satisfied because it will be enforced there."""


Given = tuple[Value, ...] | Unknown | Enforced
"""What a constraint's left operand is now."""


@dataclass(frozen=True, slots=True)
class Term:
    """One term. ``kind``: an operand of constraints, an action of rules, or an action of duties.

    ``values`` checks a right operand and says what is wrong with it (None: nothing); ``given`` reads what the operand is now;
    ``compare`` holds the two together, and gives None where they cannot be compared: that is unknown.
    ``scopes``: where it is decided; elsewhere it waits and neither permits nor refuses, as what is legal only does everywhere.
    Exactly one of ``points`` (enforced there), ``evidence`` (what stands for it) and ``legal_only`` says how it is kept.
    ``sentence`` by language: of an operand a sentence with ``{operator}`` and ``{value}`` to fill in, of an action or duty the
    words for doing it. ``remedy`` says what would satisfy it, None where nothing would.
    """

    iri: str
    kind: Literal["operand", "action", "duty"]
    bucket: Bucket
    sentence: Mapping[Language, str]
    operators: frozenset[Operator] = frozenset()
    scopes: frozenset[Scope] = frozenset()
    points: tuple[Point, ...] = ()
    evidence: str | None = None
    legal_only: bool = False
    values: Callable[[tuple[Value, ...]], str | None] | None = None
    compare: Callable[[tuple[Value, ...], Operator, tuple[Value, ...]], bool | None] | None = None
    given: Callable[[Request, World], Given] | None = None
    remedy: str | None = None
    units: frozenset[str] = frozenset()
    """IRIs of the units that a constraint may name; where it names another, its value means nothing here."""
    moment: bool = False
    """Whether its values are moments: less than one is said as before it."""
    included_in: str | None = None
    """For actions: the action that includes this one (ODRL 2.2, section 2.4): a permission of that is a permission of this."""
