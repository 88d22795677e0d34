"""What stands in the ledger of consents, as values, and what may be written into it. No I/O.

Nothing here puts the name of a vehicle into an error: a refusal names the entry by its place and the member that is wrong.
May import the terms, the purposes and the refusals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, get_args

import msgspec

from connector.dataplane.consent.bits import Ordinals
from connector.dataplane.problems import Refusal
from connector.dataplane.tables.model import Category
from policies.model import CARNET, DPV
from policies.purposes import PURPOSES
from policies.terms.consent import BASES

CATEGORIES: Final[tuple[str, ...]] = get_args(Category)
PURPOSE_IRIS: Final = tuple(sorted(PURPOSES))
BASIS_IRIS: Final = tuple(sorted(BASES))
DECIDERS: Final = ("driver", "owner", "renter")
CONSENT: Final = f"{DPV}Consent"
MAX_ENTRIES: Final = 10_000
MAX_KEYS: Final = 10_000
MAX_NAME: Final = 128
MAX_PARTY: Final = 512
AHEAD_MS: Final = 300_000
"""So far may the clock of whoever noted a decision be ahead of ours."""
NAME: Final = f"[^\\x00-\\x1f\\x7f]{{1,{MAX_NAME}}}"
PARTY: Final = f"[^\\x00-\\x20\\x7f]{{1,{MAX_PARTY}}}"
SHA256: Final = "[0-9a-f]{64}"
COLUMNS: Final = ("vehicle", "category", "purpose", "recipient", "basis", "decided_by", "text_sha256", "at_ms", "given")
REMEDIES: Final = {
    "vehicle": f"1 to {MAX_NAME} characters without control characters",
    "category": f"one of {', '.join(CATEGORIES)}",
    "purpose": "a purpose of the tree, as an IRI or as vdx:... or dpv:...",
    "recipient": f"the participant id of the buyer, at most {MAX_PARTY} characters without blanks",
    "basis": "a legal basis such as dpv:Consent, or empty for that",
    "decided_by": f"one of {', '.join(DECIDERS)}",
    "text_sha256": "the SHA-256, in lower-case hex, of the text that was shown; only a withdrawal may be without",
    "at_ms": "milliseconds since 1970 (UTC), not in the future",
    "given": "true or false",
    "reference": f"1 to {MAX_NAME} characters without control characters",
}
_PREFIXES: Final = {"dpv:": DPV, "vdx:": CARNET}


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision about one vehicle. ``at_ms``: when it was made, if that was not now."""

    vehicle: str
    category: str
    purpose: str
    recipient: str
    given: bool
    decided_by: str
    basis: str = CONSENT
    text_sha256: str | None = None
    at_ms: int | None = None


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A vehicle is the buyer's ``reference``, such as an insurance contract; ``text_sha256``: of what the driver agreed to."""

    vehicle: str
    recipient: str
    reference: str
    text_sha256: str
    decided_by: str = "driver"


class Key(msgspec.Struct, frozen=True, order=True):
    """What a consent is for: data of a category, for a purpose, to a participant, on a basis (purpose and basis as IRIs)."""

    category: str
    purpose: str
    recipient: str
    basis: str


class Noted(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An entry as its subject may read it. ``at``: ms since the epoch."""

    number: int
    category: str
    purpose: str
    recipient: str
    basis: str
    given: bool
    decided_by: str
    text_sha256: str | None
    at: int


class Counted(msgspec.Struct, frozen=True):
    """How many vehicles agreed to a key."""

    category: str
    purpose: str
    recipient: str
    basis: str
    vehicles: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """By the commit ``number`` none of ``affected`` holds any more for any of these vehicles. ``affected`` may be empty."""

    number: int
    affected: tuple[Key, ...]
    ordinals: Ordinals


class Imported(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of a file. ``late``: grants in it that a later withdrawal of the ledger had already overtaken."""

    number: int
    entries: int
    new_vehicles: int
    withdrawn: int
    late: int


def iri(short: str) -> str:
    """``vdx:`` and ``dpv:`` written out."""
    return _PREFIXES[short[:4]] + short[4:] if short[:4] in _PREFIXES else short


def short(full: str) -> str:
    """An IRI of ours or of DPV with its prefix."""
    return next((name + full[len(base) :] for name, base in _PREFIXES.items() if full.startswith(base)), full)


def checked(entry: Entry, place: int, now_ms: int) -> Entry:
    """The entry with its IRIs written out. Raises Refusal 400 naming ``place`` (from 1) and the member."""
    whole = msgspec.structs.replace(entry, purpose=iri(entry.purpose), basis=iri(entry.basis or CONSENT))
    tests: tuple[tuple[str, bool], ...] = (
        ("vehicle", written(NAME, entry.vehicle)),
        ("category", entry.category in CATEGORIES),
        ("purpose", whole.purpose in PURPOSES),
        ("recipient", written(PARTY, entry.recipient)),
        ("basis", whole.basis in BASES),
        ("decided_by", entry.decided_by in DECIDERS),
        ("text_sha256", written(SHA256, entry.text_sha256) if entry.text_sha256 is not None else not entry.given),
        ("at_ms", entry.at_ms is None or 0 <= entry.at_ms <= now_ms + AHEAD_MS),
    )
    _first_wrong(place, tests, "consent-entry")
    return whole


def checked_enrolment(entry: Enrolment, place: int) -> Enrolment:
    """The enrolment. Raises Refusal 400."""
    tests = (
        ("vehicle", written(NAME, entry.vehicle)),
        ("recipient", written(PARTY, entry.recipient)),
        ("reference", written(NAME, entry.reference)),
        ("decided_by", entry.decided_by in DECIDERS),
        ("text_sha256", written(SHA256, entry.text_sha256)),
    )
    _first_wrong(place, tests, "enrolment-entry")
    return entry


def once(entries: Sequence[object], identity: Callable[[object], object], code: str) -> None:
    """Raises Refusal 400 if there are none, too many, or two of one identity."""
    if not 1 <= len(entries) <= MAX_ENTRIES:
        raise Refusal(400, code, f"between 1 and {MAX_ENTRIES} entries at once; import a file for more")
    seen: dict[object, int] = {}
    for place, entry in enumerate(entries, 1):
        first = seen.setdefault(identity(entry), place)
        if first != place:
            raise Refusal(400, code, f"entries {first} and {place} are about the same; keep one of them")


def key_of(entry: Entry) -> Key:
    """What an entry (with its IRIs written out) is for."""
    return Key(entry.category, entry.purpose, entry.recipient, entry.basis)


def written(pattern: str, text: str) -> bool:
    """Whether a text is of this form, and can be written."""
    # What cannot be written as UTF-8 cannot be kept either.
    return re.fullmatch(pattern, text) is not None and not any("\ud800" <= each <= "\udfff" for each in text)


def _first_wrong(place: int, tests: Sequence[tuple[str, bool]], code: str) -> None:
    wrong = next((member for member, holds in tests if not holds), None)
    if wrong is not None:
        raise Refusal(400, code, f"entry {place}: {wrong} must be {REMEDIES[wrong]}; nothing was written")
