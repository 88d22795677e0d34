"""ODRL 2.2 policies as frozen values: what a policy says, whatever document it came in.

A policy read from full ODRL JSON-LD (``policies/odrl.py``) and one read from DSP (``policies/dsp.py``) are equal here where they
say the same, but for what DSP has no place for. Terms are named by full IRIs. Nothing here judges anything. Imports nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ODRL: Final = "http://www.w3.org/ns/odrl/2/"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
DPV: Final = "https://w3id.org/dpv#"
CARNET: Final = "https://w3id.org/carnet/terms#"
PROFILE: Final = "https://w3id.org/carnet/terms/profile/1"


@dataclass(frozen=True, slots=True)
class Ref:
    """Something named by an IRI: a concept, a party, a place."""

    iri: str


@dataclass(frozen=True, slots=True)
class Lit:
    """A literal: its lexical form and its datatype's IRI (``xsd:string`` unless another is said)."""

    text: str
    datatype: str = f"{XSD}string"


Value = Ref | Lit


class Operator(StrEnum):
    """ODRL 2.2, section 2.5: the value is the local name."""

    EQ = "eq"
    NEQ = "neq"
    LT = "lt"
    LTEQ = "lteq"
    GT = "gt"
    GTEQ = "gteq"
    IS_A = "isA"
    IS_ANY_OF = "isAnyOf"
    IS_ALL_OF = "isAllOf"
    IS_NONE_OF = "isNoneOf"
    IS_PART_OF = "isPartOf"
    HAS_PART = "hasPart"


class Logic(StrEnum):
    """ODRL 2.2, section 2.5.2: operands of a logical constraint."""

    AND = "and"
    OR = "or"
    XONE = "xone"
    AND_SEQUENCE = "andSequence"


@dataclass(frozen=True, slots=True)
class Constraint:
    """``left operator right``. ``left`` is an IRI; ``operator`` an IRI that we know, or another, which nothing satisfies.

    ``right`` holds several values for the set operators, else one. ``reference`` (rightOperandReference) is the IRI of something
    that has the value; ``unit`` and ``datatype`` are IRIs; ``status`` a value that was recorded by somebody.
    """

    left: str
    operator: str
    right: tuple[Value, ...] = ()
    reference: str | None = None
    unit: str | None = None
    datatype: str | None = None
    status: Value | None = None
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class Compound:
    """A logical constraint over others, in order."""

    logic: Logic
    parts: tuple[AnyConstraint, ...]
    uid: str | None = None


AnyConstraint = Constraint | Compound


@dataclass(frozen=True, slots=True)
class Action:
    """What is done, by IRI, and how it is narrowed: all refinements hold together."""

    iri: str
    refinements: tuple[AnyConstraint, ...] = ()


@dataclass(frozen=True, slots=True)
class Party:
    """A party, or a collection of parties (``collection``) narrowed by refinements."""

    iri: str
    collection: bool = False
    refinements: tuple[AnyConstraint, ...] = ()


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset, or a collection of assets (``collection``) narrowed by refinements."""

    iri: str
    collection: bool = False
    refinements: tuple[AnyConstraint, ...] = ()


@dataclass(frozen=True, slots=True)
class Duty:
    """What must be done. ``consequences`` are owed when it was not done. Further roles (informedParty...) are in ``parties``."""

    action: Action
    constraints: tuple[AnyConstraint, ...] = ()
    target: Asset | None = None
    assigner: Party | None = None
    assignee: Party | None = None
    parties: tuple[tuple[str, Party], ...] = ()
    consequences: tuple[Duty, ...] = ()
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class Permission:
    """What may be done while all constraints hold, once all duties are fulfilled or promised."""

    action: Action
    constraints: tuple[AnyConstraint, ...] = ()
    duties: tuple[Duty, ...] = ()
    target: Asset | None = None
    assigner: Party | None = None
    assignee: Party | None = None
    parties: tuple[tuple[str, Party], ...] = ()
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class Prohibition:
    """What must not be done while all constraints hold; ``remedies`` are owed when it was done."""

    action: Action
    constraints: tuple[AnyConstraint, ...] = ()
    remedies: tuple[Duty, ...] = ()
    target: Asset | None = None
    assigner: Party | None = None
    assignee: Party | None = None
    parties: tuple[tuple[str, Party], ...] = ()
    uid: str | None = None


class Conflict(StrEnum):
    """ODRL 2.2, section 2.9: who wins where a permission and a prohibition meet. Absent means INVALID there; we let the
    prohibition win and say so."""

    PERM = "perm"
    PROHIBIT = "prohibit"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy. ``kind`` is Offer, Agreement, Set...; ``target``, ``assigner`` and ``assignee`` hold for rules that name none."""

    kind: str
    uid: str
    permissions: tuple[Permission, ...] = ()
    prohibitions: tuple[Prohibition, ...] = ()
    obligations: tuple[Duty, ...] = ()
    profiles: tuple[str, ...] = ()
    target: Asset | None = None
    assigner: Party | None = None
    assignee: Party | None = None
    conflict: Conflict | None = None
    inherits: tuple[str, ...] = ()
