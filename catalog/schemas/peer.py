"""The project's own peer messages: who is there, what it can do, and what was signed about deliveries and erasures."""

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
}
TYPES: Final = tuple(DEFINITIONS)
