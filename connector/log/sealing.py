"""How a payload stands beside the log: encrypted with a key of its own, which comes from its subject's key and its leaf's id.

Who destroys the subject's key destroys every payload of the subject; one payload is opened for somebody with its own key alone.
AES-256-GCM does not bind a ciphertext to one key, so the leaf commits to the key, too. Pure: no I/O, no clock, no chance. May
import `catalog.canonical` and the errors.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from catalog.canonical import canonical_bytes
from catalog.errors import DocumentError
from connector.log.leaf import SealedPayload
from connector.protocol.errors import CarnetError, InvariantBroken

KEY_BYTES: Final = 32
MAX_PAYLOAD_BYTES: Final = 67_108_864
MAX_DEPTH: Final = 300
"""Of what is opened: more than is ever taken from a peer, and less than would be too much for who reads it on."""
WITHOUT_FORM: Final = "withoutCanonicalForm"
"""The one member of what is sealed in place of a payload that RFC 8785 has no bytes for: the payload as JSON text."""
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16


class PayloadWrong(CarnetError):
    """A payload that its key does not open: ``payload-changed`` or ``payload-damaged``."""


def payload_key(subject_key: bytes, leaf_id: str) -> bytes:
    """The key (32 bytes) of the payload of this leaf."""
    return hmac.digest(subject_key, b"carnet payload\0" + leaf_id.encode(), "sha256")


def commitment(key: bytes) -> str:
    """What a leaf says of a payload's key: 64 hex digits that show nothing of it."""
    return sha256(b"carnet payload key" + key).hexdigest()


def sealed(payload: Mapping[str, Any], key: bytes, leaf_id: str) -> SealedPayload:
    """The payload (its RFC 8785 bytes) under the key, bound to the leaf's id. Raises InvariantBroken if it is too long.

    The nonce comes from key and content, so that two contents under one key never share one.
    """
    content = _content(payload)
    if len(content) > MAX_PAYLOAD_BYTES:
        raise InvariantBroken("payload-size", f"a payload is longer than {MAX_PAYLOAD_BYTES} bytes")
    nonce = hmac.digest(key, b"carnet nonce" + content, "sha256")[:_NONCE_BYTES]
    ciphertext = nonce + AESGCM(key).encrypt(nonce, content, leaf_id.encode())
    return SealedPayload(sha256(ciphertext).hexdigest(), commitment(key), ciphertext)


def opened(ciphertext: bytes, key: bytes, leaf_id: str) -> dict[str, Any]:
    """What was sealed. Raises PayloadWrong if key, leaf or bytes are not those of the sealing."""
    if len(key) != KEY_BYTES or len(ciphertext) < _NONCE_BYTES + _TAG_BYTES:
        raise PayloadWrong("payload-damaged", "the payload or its key is too short to be one")
    try:
        content = AESGCM(key).decrypt(ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:], leaf_id.encode())
    except InvalidTag:
        raise PayloadWrong(
            "payload-changed", "the key does not open the payload: another key, another leaf or a changed byte"
        ) from None
    try:
        # What we sealed is canonical: no half characters, no NaN, and no deeper than any reader goes.
        found = orjson.loads(content)
    except ValueError:
        raise PayloadWrong("payload-damaged", "the payload is no JSON") from None
    if not isinstance(found, dict):
        raise PayloadWrong("payload-damaged", "the payload is no JSON object")
    if content.count(b"[") + content.count(b"{") > MAX_DEPTH and _is_deeper(found):
        raise PayloadWrong("payload-damaged", f"the payload is nested deeper than {MAX_DEPTH} levels")
    return found


def _is_deeper(document: dict[str, Any]) -> bool:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if type(inner) in (dict, list)
        ]
    return bool(level)


def _content(payload: Mapping[str, Any]) -> bytes:
    try:
        return canonical_bytes(dict(payload))
    except DocumentError:
        # What a peer wrote is logged, also where it is not what JSON should be; json escapes half characters.
        return canonical_bytes({WITHOUT_FORM: json.dumps(payload)})
