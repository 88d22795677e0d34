"""What a line of the contract log may say: its types, their members, and the one form of each member.

The table is closed. A member is an id of ours, a name out of a list, a number, a moment or a digest under the salt of the log;
nothing that a peer or a person has written gets into a leaf, so that no personal data can. What was written stands in the
payload, encrypted beside the log. Pure: no I/O, no clock. May import `catalog.canonical` and the errors.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal

from catalog.canonical import canonical_bytes
from connector.protocol.errors import InvariantBroken

VERSION: Final = 1
MAX_LEAF_BYTES: Final = 65_535
"""C2SP tlog-tiles, entry bundles: the length of an entry is a 16-bit number."""

LeafType = Literal[
    "log",
    "log-key",
    "key",
    "participant",
    "offer",
    "message",
    "decision",
    "agreement",
    "signature",
    "receipt",
    "meter",
    "consents",
    "erasure",
    "termination",
    "subject",
    "witness",
    "management",
]

OWN_ID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
SALTED: Final = re.compile(r"[0-9a-f]{32}")
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
VKEY: Final = re.compile(r"[\x21-\x2a\x2c-\x7e]{1,512}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}")
MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
COUNT: Final = int

Form = re.Pattern[str] | type[int] | frozenset[str]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ROLES: Final = _names("provider consumer")
TYPES: Final[Mapping[LeafType, Mapping[str, Form]]] = MappingProxyType(
    {
        "log": {"vkey": VKEY, "salt": DIGEST},
        "log-key": {"vkey": VKEY},
        "key": {"change": _names("made rotated revoked"), "use": NAME, "thumbprint": re.compile(r"[A-Za-z0-9_-]{43}")},
        "participant": {
            "state": _names("unverified admitted suspended expelled"),
            "change": _names("entered moved vouched profile"),
        },
        "offer": {"change": _names("published changed withdrawn"), "offers": COUNT},
        "message": {
            "direction": _names("in out"),
            "channel": _names("dsp peer"),
            "message": NAME,
            "event": _names("queued acknowledged received refused given-up"),
            "state": NAME,
            "role": _ROLES,
        },
        "decision": {
            "outcome": _names("permitted refused waiting approved countered"),
            "step": NAME,
            "code": NAME,
            "role": _ROLES,
        },
        "agreement": {"state": _names("made binding void held"), "role": _ROLES},
        "signature": {
            "by": _ROLES,
            "role": _ROLES,
            "evidence": _names("signed countersigned own-only disputed"),
            "thumbprint": re.compile(r"[A-Za-z0-9_-]{43}"),
        },
        "receipt": {
            "state": NAME,
            "role": _ROLES,
            "rows": COUNT,
            "bytes": COUNT,
            "first": MOMENT,
            "vehicles": COUNT,
            "index": DIGEST,
        },
        "meter": {"meter": NAME, "used": COUNT, "closed": MOMENT},
        "consents": {"change": NAME, "ledger": COUNT, "vehicles": COUNT, "index": DIGEST},
        "erasure": {
            "stage": _names("ordered told received erased attested overdue refused"),
            "kind": NAME,
            "role": _ROLES,
            "vehicles": COUNT,
            "due": MOMENT,
            "index": DIGEST,
        },
        "termination": {"kind": _names("negotiation transfer"), "by": _names("us them"), "code": NAME, "role": _ROLES},
        "subject": {"change": _names("erased"), "key": DIGEST, "kind": _names("party vehicle")},
        "witness": {"event": _names("seen cosigned split-view accepted"), "size": COUNT},
        "management": {
            "change": _names("made changed deleted approved rejected decided"),
            "resource": NAME,
            "operation": NAME,
        },
    }
)
"""The members of each type beside those that every leaf may have. None of them must be there."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a use case has to say; the journal makes a leaf of it.

    ``process`` is an id of ours. ``party`` (a participant id), ``agreement`` (an agreement's id, with the ``role`` that we have
    in it) and ``asset`` (a dataset's id) stand in the leaf under the salt alone. ``payload`` is what was written, as JSON;
    ``subject`` names whose key encrypts it: the party's, unless said otherwise. ``at`` is in ms since the epoch; 0: now.
    """

    type: LeafType
    members: Mapping[str, str | int] = field(default_factory=dict)
    process: str = ""
    party: str = ""
    agreement: str = ""
    role: str = ""
    asset: str = ""
    payload: Mapping[str, Any] | None = None
    subject: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class SealedPayload:
    """A payload as it stands beside the log. ``sha256`` (hex) is of ``ciphertext``; ``key`` (hex) commits to the key that opens
    it, so that nobody shows another content with another key."""

    sha256: str
    key: str
    ciphertext: bytes = field(repr=False)


def salted(salt: bytes, kind: str, *texts: str) -> str:
    """The name of something in this log: 32 hex digits that say nothing to who has not the salt."""
    return hmac.digest(salt, "\0".join((kind, *texts)).encode(), "sha256")[:16].hex()


def contract_name(salt: bytes, role: str, party: str, agreement: str) -> str:
    """The name of an agreement in this log."""
    return salted(salt, "agreement", role, party, agreement)


def moment(at_ms: int) -> str:
    """A moment (ms since the epoch) as leaves have it: ISO 8601, UTC, with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def leaf_of(draft: Draft, leaf_id: str, at_ms: int, salt: bytes, payload: SealedPayload | None) -> bytes:
    """The canonical bytes (RFC 8785) of a leaf. Raises InvariantBroken for a member that the table does not have."""
    said: dict[str, Any] = {"v": VERSION, "id": leaf_id, "type": draft.type, "time": moment(draft.at or at_ms)}
    if draft.process:
        said["process"] = draft.process
    if draft.party:
        said["party"] = salted(salt, "party", draft.party)
    if draft.agreement:
        said["contract"] = contract_name(salt, draft.role, draft.party, draft.agreement)
    if draft.asset:
        said["asset"] = salted(salt, "asset", draft.asset)
    said |= draft.members
    if payload is not None:
        said["payload"] = {"sha256": payload.sha256, "key": payload.key}
    wrong = unfit(said)
    if wrong is not None:
        raise InvariantBroken("leaf-member", f"a leaf of type {draft.type} cannot say {wrong}")
    made = canonical_bytes(said)
    if len(made) > MAX_LEAF_BYTES:
        raise InvariantBroken("leaf-size", f"a leaf of type {draft.type} is longer than {MAX_LEAF_BYTES} bytes")
    return made


_COMMON: Final[Mapping[str, Form]] = MappingProxyType(
    {"id": OWN_ID, "time": MOMENT, "process": OWN_ID, "party": SALTED, "contract": SALTED, "asset": SALTED}
)


def unfit(said: Mapping[str, Any]) -> str | None:
    """The first member of a leaf that the table does not allow, or None."""
    if said.get("v") != VERSION or said.get("type") not in TYPES:
        return "v or type"
    forms = {**_COMMON, **TYPES[said["type"]]}
    for name in ("id", "time"):
        if name not in said:
            return name
    for name, value in said.items():
        if name in ("v", "type"):
            continue
        fits = _is_payload(value) if name == "payload" else name in forms and _fits(forms[name], value)
        if not fits:
            return name
    return None


def _fits(form: Form, value: object) -> bool:
    if isinstance(form, re.Pattern):
        return isinstance(value, str) and form.fullmatch(value) is not None
    if isinstance(form, frozenset):
        return isinstance(value, str) and value in form
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_payload(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"sha256", "key"}
        and all(isinstance(text, str) and DIGEST.fullmatch(text) for text in value.values())
    )
