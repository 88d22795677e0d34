"""Callers of our own interfaces: their roles, and the scopes that each role has. The one table of who may do what.

Pure. May import nothing of the connector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

Verb = Literal["read", "write"]
Resource = Literal[
    "access",
    "agreements",
    "approvals",
    "assets",
    "catalog",
    "consents",
    "dataplanes",
    "definitions",
    "edrs",
    "events",
    "evidence",
    "keys",
    "letters",
    "negotiations",
    "offers",
    "own-consents",
    "participants",
    "policies",
    "receipts",
    "secrets",
    "status",
    "subjects",
    "terms",
    "transfers",
]


class Role(StrEnum):
    """What somebody is to the owner of the connector."""

    OPERATOR = "operator"
    COMMERCIAL = "commercial"
    PROTECTION = "data-protection-officer"
    AUDITOR = "auditor"
    DRIVER = "driver"


def scope(resource: Resource, verb: Verb) -> str:
    """The OAuth scope of a verb on a resource."""
    return f"{resource}:{verb}"


def _scopes(read: str = "", write: str = "") -> frozenset[str]:
    """``write`` is read as well."""
    return frozenset([*(f"{each}:read" for each in f"{read} {write}".split()), *(f"{each}:write" for each in write.split())])


SCOPES: Final[Mapping[Role, frozenset[str]]] = MappingProxyType(
    {
        Role.OPERATOR: _scopes(
            "catalog consents events evidence receipts status terms",
            "access agreements approvals assets dataplanes definitions edrs letters negotiations offers participants policies "
            "secrets transfers",
        ),
        Role.COMMERCIAL: _scopes(
            "catalog dataplanes events evidence participants receipts status terms",
            "agreements approvals assets definitions edrs negotiations offers policies transfers",
        ),
        Role.PROTECTION: _scopes(
            "agreements assets definitions events evidence negotiations offers participants policies receipts status terms "
            "transfers",
            "approvals consents subjects",
        ),
        Role.AUDITOR: _scopes(
            "access agreements approvals assets consents dataplanes definitions events evidence letters negotiations offers "
            "participants policies receipts status terms transfers",
        ),
        Role.DRIVER: _scopes("", "own-consents"),
    }
)
"""An auditor writes nothing, and asks nobody else in our name (``catalog``). What takes no part in business (secrets, who may do
what) is the operator's alone. ``consents`` are numbers; what is said of one vehicle, by name, is a matter of ``subjects``, which
the data-protection officer alone has; a driver has his own."""
EVERY: Final = frozenset().union(*SCOPES.values()) | _scopes("", "keys")
"""What the owner may do on the owner's channel: everything, the connector's own keys too."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A recognised caller of our own interfaces.

    ``id`` is stable and says nothing about a person: ``owner`` on the owner's channel, ``key:`` and the id of an API key, or a
    digest of issuer and subject of a token. ``roles`` decide what may be approved; ``scopes`` are what the roles have, or the
    smaller part that a token was issued for. ``vehicle`` is the ledger's own number of a driver's vehicle. ``person`` is who is
    behind a key, whoever's name it has: as many keys as somebody may make, he is one; empty: the caller is one of its own.
    """

    id: str
    roles: frozenset[Role]
    scopes: frozenset[str]
    vehicle: int | None = None
    person: str = ""

    @property
    def behind(self) -> str:
        """Who counts where people are counted."""
        return self.person or self.id

    def may(self, wanted: str) -> bool:
        """Whether the caller has this scope."""
        return wanted in self.scopes


OWNER: Final = Caller("owner", frozenset(Role), EVERY)
"""Whoever can open the owner's channel, which the file's mode or its token guards."""


def scopes_of(roles: Iterable[Role]) -> frozenset[str]:
    """All that these roles may do."""
    return frozenset().union(*(SCOPES[each] for each in roles))
