"""Answers about participants: the entries of the registry, and what is known of their logs.

Keys are shown by their thumbprints; where whole entries are needed there is the export.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from connector.flow.halted import SAID
from connector.identity.gate import KeyRefused, public_key
from connector.identity.participants import Admission, Claims, Participant, Recognised
from connector.store.witness import Witness


class PinnedKey(msgspec.Struct, frozen=True):
    """A pinned key; ``refused`` where it cannot be used."""

    kid: str | None
    thumbprint: str | None
    refused: str | UnsetType = UNSET


class SplitAnswer(msgspec.Struct, frozen=True):
    """How a log contradicted itself, in a code and in words, and both notes that show it."""

    code: str
    said: str
    at: int
    seen: str
    shown: str


class AcceptedAnswer(msgspec.Struct, frozen=True):
    """When and why a log was accepted although it contradicted itself."""

    at: int
    reason: str


class WitnessAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A participant's log and ours: how much of ours it has cosigned, how much of its own we have seen. Without a log in common
    only ``state``."""

    state: Literal["witnessed", "not-witnessed", "refused", "split-view"]
    cosigned_size: int | UnsetType = UNSET
    cosigned_at: int | UnsetType | None = UNSET
    seen_size: int | UnsetType = UNSET
    seen_at: int | UnsetType | None = UNSET
    refused: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    split: SplitAnswer | UnsetType | None = UNSET
    accepted: AcceptedAnswer | UnsetType | None = UNSET


class ParticipantAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A participant. ``claims`` are what ``vouchedBy`` has verified; ``revision`` grows with every change."""

    id: str
    state: Admission
    addresses: tuple[str, ...]
    announced: tuple[str, ...]
    keys: list[PinnedKey]
    issuer: str | None
    tokens: str
    claims: Claims
    vouched_by: str | None
    vouched_at: int | None
    reason: str | None
    recognised: Recognised | None
    created_at: int
    updated_at: int
    revision: int
    log: WitnessAnswer


class HelloAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The message that was put on its way."""

    message_id: str


def participant_answer(entry: Participant, witness: Witness | None) -> ParticipantAnswer:
    """An entry with what is known of its log."""
    profile = entry.profile
    return ParticipantAnswer(
        id=entry.id,
        state=entry.state,
        addresses=profile.addresses,
        announced=profile.announced,
        keys=[_key(jwk) for jwk in profile.keys],
        issuer=profile.issuer,
        tokens=profile.tokens,
        claims=entry.claims,
        vouched_by=entry.vouched_by,
        vouched_at=entry.vouched_at,
        reason=entry.reason,
        recognised=entry.recognised,
        created_at=entry.created_at,
        updated_at=entry.updated_at,
        revision=entry.revision,
        log=witness_answer(witness),
    )


def _key(jwk: dict[str, Any]) -> PinnedKey:
    try:
        thumbprint = public_key(jwk).thumbprint
    except KeyRefused as error:
        # Only an entry that was not written by these use cases can have it; it verifies nothing.
        return PinnedKey(jwk.get("kid"), None, error.code)
    return PinnedKey(jwk.get("kid"), thumbprint)


def witness_answer(row: Witness | None) -> WitnessAnswer:
    """What is known of a participant's log, and it of ours."""
    if row is None:
        return WitnessAnswer(state="not-witnessed")
    split = accepted = None
    if row.split_code:
        said = SAID.get(row.split_code, "contradicted itself")
        split = SplitAnswer(row.split_code, said, row.split_at, row.seen_note, row.split_note)
    if row.accepted_at:
        accepted = AcceptedAnswer(row.accepted_at, row.accepted_reason)
    return WitnessAnswer(
        state=_state(row),
        cosigned_size=row.cosigned_size,
        cosigned_at=row.cosigned_at or None,
        seen_size=row.seen_size,
        seen_at=row.seen_at or None,
        refused=row.refused or None,
        refusal=row.refusal or None,
        split=split,
        accepted=accepted,
    )


def _state(row: Witness) -> Literal["witnessed", "not-witnessed", "refused", "split-view"]:
    if row.split_code:
        return "split-view"
    if row.refused or row.refusal:
        return "refused"
    return "witnessed" if row.cosigned_size or row.seen_size else "not-witnessed"
