"""The project's own peer messages: who is there, what it can do, and what was signed about deliveries and erasures;
and what the logs of both look like to the other."""

from __future__ import annotations

from typing import Any, Final

from catalog.schemas.parts import DATE_TIME, ID, message, some

SIGNED_MAX_CHARS: Final = 196_608
"""Longest JWS in a message: with the rest of the message around it, less than the largest body that is taken."""

# RFC 7515, 7.1. What is signed is judged by who reads it: the schema says no more than that it may be a JWS.
_JWS: Final[dict[str, Any]] = {
    "type": "string",
    "maxLength": SIGNED_MAX_CHARS,
    "pattern": "^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$",
    "not": {"pattern": "\n"},
}
NOTE_MAX_CHARS: Final = 16_384
"""Longest checkpoint in a message: three lines and a few signatures."""
PROOF_MAX_CHARS: Final = 4096
"""Longest proof of consistency in a message: more than 64 hashes of 32 bytes, in base64."""
_SIZE: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": 2**53 - 1}
_BASE64: Final[dict[str, Any]] = {"type": "string", "pattern": "^[A-Za-z0-9+/]*={0,2}$", "not": {"pattern": "\n"}}
_WITNESS: Final[dict[str, Any]] = {
    "note": {"type": "string", "maxLength": NOTE_MAX_CHARS},
    "oldSize": _SIZE,
    "oldRoot": {**_BASE64, "minLength": 44, "maxLength": 44},
    "proof": {**_BASE64, "maxLength": PROOF_MAX_CHARS},
    "handover": {"type": "string", "maxLength": SIGNED_MAX_CHARS},
    "size": _SIZE,
    "cosignature": {"type": "string", "maxLength": NOTE_MAX_CHARS},
    "step": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$", "not": {"pattern": "\n"}},
    "why": {"type": "string", "maxLength": 2000},
}
_MEMBERS: Final[dict[str, Any]] = {
    "messageId": ID,
    "participantId": ID,
    "protocol": ID,
    "software": ID,
    "issuedAt": DATE_TIME,
    "features": some(ID),
    "signed": _JWS,
}
_ALL: Final = "messageId participantId protocol issuedAt"
SIGNED_TYPES: Final = ("Receipt", "ReceiptAnswer", "ErasureNotice", "ErasureAttestation", "AgreementSignature")
DEFINITIONS: Final[dict[str, dict[str, Any]]] = {
    **message("Hello", _ALL, _MEMBERS),
    **message("Capabilities", f"{_ALL} features", _MEMBERS),
    **{name: message(name, f"{_ALL} signed", _MEMBERS)[name] for name in SIGNED_TYPES},
    # `proof` is the hashes behind each other, in their order: one text, so that no reader can sort them.
    **message("CheckpointShown", f"{_ALL} note oldSize proof", {**_MEMBERS, **_WITNESS}),
    **message("CheckpointCosigned", f"{_ALL} size cosignature", {**_MEMBERS, **_WITNESS}),
    **message("CheckpointRefused", f"{_ALL} size step why", {**_MEMBERS, **_WITNESS}),
}
TYPES: Final = tuple(DEFINITIONS)
