"""What parties sign for good: canonical documents as compact JWS, and the ceremony that believes one.

Signed with the key of the use `agreement`, which our DID document lists under ``assertionMethod``. A seal has no time of its own
and no single use: when it came and what it is for, the content says, and who keeps it decides. `opened` is what can be asked
before there is a key, `verify` the rest; both raise. No I/O, no clock. Imports the gate's reading of keys and the strict JSON of
`catalog.wire`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from jwt.algorithms import get_default_algorithms

from catalog.canonical import canonical_bytes, digest
from catalog.errors import DocumentError
from catalog.wire import parse
from connector.identity.gate import PublicKey, base64url
from connector.identity.signing import SigningKey, sign_bytes
from connector.protocol.errors import BadMessage

MAX_SEAL_BYTES: Final = 196_608
"""Longest JWS that is looked at (bytes)."""
MAX_HEADER_BYTES: Final = 8192
MAX_DEPTH: Final = 16
ALGORITHMS: Final = frozenset({"ES256", "EdDSA"})
MEMBERS: Final = frozenset({"alg", "kid", "typ"})
_FORM: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_ENGINES: Final[Mapping[str, Any]] = get_default_algorithms()


class SealRefused(BadMessage):
    """A signed document does not hold. ``code`` names the step; the reason repeats nothing of the document."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A signed document before its signature was checked. ``content`` is what was signed, ``digest`` the SHA-256 of its canonical
    bytes in hex, ``kid`` the full name of the key that is said to have signed."""

    content: dict[str, Any]
    digest: str
    kid: str
    algorithm: str
    raw: str = field(repr=False, compare=False)


def seal(key: SigningKey, kid: str, typ: str, content: Mapping[str, Any]) -> str:
    """``content`` in its canonical form (RFC 8785), signed. Raises DocumentError for what has none."""
    return sign_bytes(key, typ, canonical_bytes(dict(content)), kid=kid)


def opened(raw: str, typ: str, signer: str) -> Sealed:
    """A document that is said to be signed by ``signer``, a participant id, as a ``typ``. Raises SealRefused."""
    # 1. Size and form: RFC 7515, 7.1, the compact serialisation and no other.
    if len(raw) > MAX_SEAL_BYTES or _FORM.fullmatch(raw) is None:
        raise SealRefused("seal-form", f"what is signed is one compact JWS of at most {MAX_SEAL_BYTES} bytes")
    # 2. Each segment is the one spelling of its bytes.
    try:
        header_bytes, payload, _ = (base64url(segment) for segment in raw.split("."))
    except ValueError:
        raise SealRefused("seal-encoding", "each segment of a JWS must be the canonical base64url of its bytes") from None
    # 3. Header and content are JSON that every reader reads alike.
    try:
        header = parse(header_bytes, max_bytes=MAX_HEADER_BYTES, max_depth=2)
        content = parse(payload, max_bytes=MAX_SEAL_BYTES, max_depth=MAX_DEPTH)
        canonical = canonical_bytes(content)
    except DocumentError as error:
        raise SealRefused("seal-not-json", "header and content of what is signed must each be one JSON object") from error
    # 4. Nothing in the header but what we act on: no key, no address of a key, nothing critical (RFC 7515, 4.1).
    if header.keys() != MEMBERS or not all(isinstance(value, str) and value.isprintable() for value in header.values()):
        raise SealRefused("seal-header", f"the header has {', '.join(sorted(MEMBERS))} and nothing else")
    # 5. Algorithm and type: RFC 8725, 3.1 and 3.11; what was signed as one kind of document is never taken for another.
    if header["alg"] not in ALGORITHMS or header["typ"] != typ:
        raise SealRefused("seal-type", f"sign it as {typ} with {' or '.join(sorted(ALGORITHMS))}")
    # 6. The content is in its canonical form, so that it has one digest.
    if canonical != payload:
        raise SealRefused("seal-not-canonical", "sign the canonical form of the document (RFC 8785)")
    # 7. The key is named as one of the signer's: its DID with a fragment, or for a pinned key its bare name.
    kid = header["kid"]
    if "#" in kid and not kid.startswith(f"{signer}#"):
        raise SealRefused("seal-signer", "the kid must name a key of the participant that sends it")
    return Sealed(content, digest(content), kid, header["alg"], raw)


def verify(sealed: Sealed, key: PublicKey) -> str:
    """The thumbprint (RFC 7638) of the key that signed, with the key that the caller found. Raises SealRefused."""
    # 8. The key says how it signs, not the document: RFC 8725, 3.1.
    if sealed.algorithm not in key.algorithms:
        raise SealRefused("seal-key", "the alg is not one of the key that the kid names")
    # 9. Signature.
    signed, _, signature = sealed.raw.rpartition(".")
    if not _ENGINES[sealed.algorithm].verify(signed.encode(), key.key, base64url(signature)):
        raise SealRefused("seal-signature", "the signature does not hold with the key that the document names")
    # 10. Parties, subject and repetition are decided by the caller, with what it has on record.
    return key.thumbprint
