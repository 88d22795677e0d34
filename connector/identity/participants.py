"""The entries of the participant registry: who is known, what is verified about it, and who vouched. No I/O.

A claim here was verified by somebody (``vouched_by``); what a caller says of itself in a request never comes here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Address = Annotated[str, Meta(pattern=r"^https?://[^?#@\s\\]+$", max_length=2048)]
Text = Annotated[str, Meta(min_length=1, max_length=256)]


class Admission(StrEnum):
    """Where a participant stands with us.

    UNVERIFIED has shown who it is and nobody vouched for it; ADMITTED was vouched for; SUSPENDED may come back; EXPELLED not.
    """

    UNVERIFIED = "unverified"
    ADMITTED = "admitted"
    SUSPENDED = "suspended"
    EXPELLED = "expelled"

    @property
    def welcome(self) -> bool:
        """Whether its requests are answered at all."""
        return self in (Admission.UNVERIFIED, Admission.ADMITTED)


class Claims(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is verified about a participant. ``country`` is ISO 3166-1 alpha-2; ``gatekeeper`` as named under the DMA."""

    kind: Literal["company", "public-body", "research", "sme"] | None = None
    sector: Text | None = None
    membership: tuple[Text, ...] = ()
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")] | None = None
    gatekeeper: bool = False


class Profile(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a participant is reached and recognised.

    ``addresses`` are DSP base URLs that the operator wrote down; ``announced`` those of its DID document, used where there are no
    others. ``keys`` are pinned public JWKs: where there are any, its DID document is not asked. ``issuer`` is the external
    authorization server that speaks for it: then nobody else does. ``tokens``: ``bearer`` for a client without DPoP.
    """

    addresses: Annotated[tuple[Address, ...], Meta(max_length=16)] = ()
    announced: Annotated[tuple[Address, ...], Meta(max_length=16)] = ()
    keys: Annotated[tuple[dict[str, Any], ...], Meta(max_length=16)] = ()
    issuer: Address | None = None
    tokens: Literal["dpop", "bearer"] = "dpop"

    @property
    def reached_at(self) -> tuple[str, ...]:
        """Its DSP base URLs, without a slash at the end."""
        return tuple(address.rstrip("/") for address in self.addresses or self.announced)


class Recognised(Struct, frozen=True, kw_only=True):
    """How a participant was last recognised when it asked for a token: ``key`` is the key's thumbprint (RFC 7638), ``at`` ms."""

    assurance: str
    key: str
    at: int


class Participant(Struct, frozen=True, kw_only=True):
    """One entry. ``revision`` grows with every change, so that what was cached before is known to be stale."""

    id: str
    state: Admission
    revision: int = 1
    profile: Profile = field(default_factory=Profile)
    claims: Claims = field(default_factory=Claims)
    vouched_by: str | None = None
    vouched_at: int | None = None
    reason: str | None = None
    recognised: Recognised | None = None
    created_at: int = 0
    updated_at: int = 0
