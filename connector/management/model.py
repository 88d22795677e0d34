"""What the management interface is about, as its services see it: neither version 3 nor 4, and no JSON-LD.

Keys of properties and of data addresses are whole IRIs; a policy is normalised JSON in full ODRL. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

EDC: Final = "https://w3id.org/edc/v0.0.1/ns/"
Operator = Literal["=", "!=", "like", "ilike", "in", "notin", "contains", "<", "<=", ">", ">="]
Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Criterion:
    """A condition on one field. ``path`` is what ``left`` says, taken apart: quoted segments are whole keys."""

    left: str
    path: tuple[str, ...]
    operator: Operator
    right: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class QuerySpec:
    """What a list is narrowed to: every criterion, in this order, from ``offset``, at most ``limit``."""

    offset: int = 0
    limit: int = 50
    sort_path: tuple[str, ...] = ()
    descending: bool = False
    criteria: tuple[Criterion, ...] = ()


@dataclass(frozen=True, slots=True)
class Asset:
    """A thing of ours that may be offered. Times are in ms since the epoch."""

    id: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    private_properties: Mapping[str, Any] = field(default_factory=dict)
    data_address: Mapping[str, Any] | None = None
    created_at: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True)
class PolicyDefinition:
    """A policy with a name, to be used by contract definitions."""

    id: str
    policy: Mapping[str, Any]
    private_properties: Mapping[str, Any] = field(default_factory=dict)
    created_at: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True)
class ContractDefinition:
    """Which assets are offered (all criteria of ``selector``), who sees that, and on what terms they can be had."""

    id: str
    access_policy: str
    contract_policy: str
    selector: tuple[Criterion, ...] = ()
    private_properties: Mapping[str, Any] = field(default_factory=dict)
    created_at: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True)
class SecretEntry:
    """That a secret is there; its value is for the data plane alone."""

    id: str
    created_at: int
    updated_at: int
