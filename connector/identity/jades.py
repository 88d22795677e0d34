"""An agreement signed by its parties: the agreement's canonical bytes as the payload of one JWS, a JAdES signature of each party.

The document is RFC 7515's JWS JSON Serialization, general; each signature is of level B-B of ETSI TS 119 182-1, so that tools for
signatures in law read it. A signature travels alone as the compact serialisation of the same bytes. `opened` is what can be asked
before there is a key, `verify` the rest; both raise. Whose the key is, its participant's DID document says: the certificate must
be of that key and vouches for nothing else. No I/O, no clock. Imports the gate, the certificate and the strict JSON of
`catalog.wire`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from jwt.algorithms import get_default_algorithms

from catalog.canonical import canonical_bytes
from catalog.errors import DocumentError
from catalog.wire import parse
from connector.identity.certificate import chain_member, from_chain
from connector.identity.gate import PublicKey, base64url
from connector.identity.signing import SigningKey
from connector.protocol.errors import BadMessage, InvariantBroken

MAX_DOCUMENT_BYTES: Final = 524_288
"""Longest document that is looked at (bytes)."""
MAX_HEADER_BYTES: Final = 16_384
MAX_DEPTH: Final = 64
MAX_SIGNATURES: Final = 2
"""An agreement has two parties."""
MAX_CHAIN: Final = 4
"""Most certificates in a header: the signer's own, and those of its authorities."""
LEEWAY_S: Final = 300
"""How far the signer's clock may be off (s)."""
ALGORITHM: Final = "ES256"
"""What tools for signatures in law know of our algorithms."""
TYP: Final = "carnet-agreement+jws"
CTY: Final = "json"
MEMBERS: Final = frozenset({"alg", "cty", "iat", "kid", "typ", "x5c", "x5t#S256"})
"""Those of the protected header, which is all the header there is."""
_TEXTS: Final = ("alg", "cty", "kid", "typ", "x5t#S256")
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_ENGINE: Final[Any] = get_default_algorithms()[ALGORITHM]


class SignatureRefused(BadMessage):
    """A signed agreement does not hold. ``code`` names the step; the reason repeats nothing of the document."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What one party adds: its protected header and its signature, both in base64url."""

    protected: str
    signature: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A signature before it was checked. ``kid`` is the full name of the key that is said to have signed, ``signed_at_s`` when
    (seconds since the epoch), as the signer says."""

    kid: str
    signed_at_s: int
    certificate: x509.Certificate = field(repr=False, compare=False)
    signature: Signature = field(repr=False)
    payload: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed agreement before its signatures were checked: the exact bytes, what they say, and who is said to have signed."""

    content: bytes = field(repr=False)
    agreement: dict[str, Any]
    claims: tuple[Claim, ...]

    def of(self, signer: str) -> tuple[Claim, ...]:
        """The signatures that may be those of a participant: by a key of its DID, or by a key with a bare name."""
        return tuple(claim for claim in self.claims if _may_be_of(claim.kid, signer))


def signed(content: bytes, key: SigningKey, kid: str, certificate: str, at_s: int) -> Signature:
    """Our signature of these bytes; ``certificate`` is the key's in PEM. Raises InvariantBroken for a key that is not ES256, or
    another key's certificate."""
    if key.algorithm != ALGORITHM or not isinstance(key.private, EllipticCurvePrivateKey):
        raise InvariantBroken("agreement-key", "agreements are signed with a key on P-256")
    try:
        member = chain_member(certificate)
        from_chain(member, key.private)
    except ValueError:
        raise InvariantBroken("agreement-certificate", "the certificate is none, or of another key") from None
    header = {
        "alg": ALGORITHM,
        "cty": CTY,
        "iat": at_s,
        "kid": kid,
        "typ": TYP,
        "x5c": [member],
        "x5t#S256": _thumbprint(base64.b64decode(member)),
    }
    protected = _text(json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode())
    return Signature(protected, _text(_ENGINE.sign(f"{protected}.{_text(content)}".encode(), key.private)))


def joined(content: bytes, signatures: Sequence[Signature]) -> dict[str, Any]:
    """The document with these signatures: RFC 7515, 7.2.1."""
    each = [{"protected": one.protected, "signature": one.signature} for one in signatures]
    return {"payload": _text(content), "signatures": each}


def compact(content: bytes, signature: Signature) -> str:
    """One party's signature with what it signed, as it travels: RFC 7515, 7.1."""
    return f"{signature.protected}.{_text(content)}.{signature.signature}"


def opened_compact(raw: str) -> Signed:
    """What came as `compact` makes it. Raises SignatureRefused."""
    # 1. Form: three segments of base64url and no other serialisation.
    found = _COMPACT.fullmatch(raw)
    if found is None or len(raw) > MAX_DOCUMENT_BYTES:
        raise SignatureRefused("agreement-form", f"a signature travels as one compact JWS of at most {MAX_DOCUMENT_BYTES} bytes")
    protected, payload, signature = found.groups()
    return _opened(payload, (Signature(protected, signature),))


def opened(raw: bytes) -> Signed:
    """A document as `joined` makes it, in JSON. Raises SignatureRefused."""
    # 1. Size and form: the general serialisation, no member twice, no header without protection, nothing that we do not act on.
    try:
        document = parse(raw, max_bytes=MAX_DOCUMENT_BYTES, max_depth=4)
    except DocumentError as error:
        raise SignatureRefused("agreement-form", "a signed agreement is one JSON object: JWS, general serialisation") from error
    signatures = document.get("signatures")
    if document.keys() != {"payload", "signatures"} or not isinstance(signatures, list):
        raise SignatureRefused("agreement-form", "the document has payload and signatures, and nothing else")
    if not 1 <= len(signatures) <= MAX_SIGNATURES or not all(_is_signature(each) for each in signatures):
        raise SignatureRefused(
            "agreement-form", f"it has up to {MAX_SIGNATURES} signatures, each with protected and signature alone"
        )
    return _opened(document["payload"], tuple(Signature(each["protected"], each["signature"]) for each in signatures))


def verify(claim: Claim, signer: str, key: PublicKey, now_s: int) -> str:
    """The thumbprint (RFC 7638) of the key with which ``signer``, a participant id, signed; ``key`` is what the caller found
    under the claim's kid. ``now_s``: seconds since the epoch. Raises SignatureRefused."""
    # 8. The key is named as one of the signer's: its DID with a fragment, or for a pinned key its bare name.
    if not _may_be_of(claim.kid, signer):
        raise SignatureRefused("agreement-signer", "the kid must name a key of the party that signs")
    # 9. The key says how it signs, not the document: RFC 8725, 3.1.
    if ALGORITHM not in key.algorithms:
        raise SignatureRefused("agreement-key", f"the key that the kid names does not sign with {ALGORITHM}")
    # 10. The certificate is of this very key: it shows who signed, the participant's own document says it.
    if _public(claim.certificate) != key.key:
        raise SignatureRefused("agreement-certificate", "the certificate is not of the key that the kid names")
    # 11. Time: no later than now, and while the certificate was good.
    begins = claim.certificate.not_valid_before_utc.timestamp() - LEEWAY_S
    ends = claim.certificate.not_valid_after_utc.timestamp() + LEEWAY_S
    if not begins <= claim.signed_at_s <= min(ends, now_s + LEEWAY_S):
        raise SignatureRefused(
            "agreement-time", "iat must be when it was signed, while the certificate was good, and not to come"
        )
    # 12. Signature, over the protected header and the payload as they came: RFC 7515, 5.2.
    signing_input = f"{claim.signature.protected}.{claim.payload}".encode()
    if not _ENGINE.verify(signing_input, key.key, base64url(claim.signature.signature)):
        raise SignatureRefused("agreement-signature", "the signature does not hold with the key that the document names")
    # 13. Which agreement it is, and that its parties are these, is decided by the caller, with what it has on record.
    return key.thumbprint


def _opened(payload: Any, signatures: Sequence[Signature]) -> Signed:
    # 2. Each part is the one spelling of its bytes.
    content = _bytes(payload)
    headers = [_bytes(each.protected) for each in signatures]
    for each in signatures:
        _bytes(each.signature)
    # 3. The payload is JSON that every reader reads alike, in its canonical form, so that both parties sign the same bytes.
    try:
        agreement = parse(content, max_bytes=MAX_DOCUMENT_BYTES, max_depth=MAX_DEPTH)
        canonical = canonical_bytes(agreement)
    except DocumentError as error:
        raise SignatureRefused("agreement-not-json", "what is signed must be one JSON object, no member twice") from error
    if canonical != content:
        raise SignatureRefused("agreement-not-canonical", "sign the canonical form of the agreement (RFC 8785)")
    claims = tuple(_claim(header, each, payload) for header, each in zip(headers, signatures, strict=True))
    return Signed(content, agreement, claims)


def _claim(octets: bytes, signature: Signature, payload: str) -> Claim:
    try:
        header = parse(octets, max_bytes=MAX_HEADER_BYTES, max_depth=2)
    except DocumentError as error:
        raise SignatureRefused("agreement-not-json", "each protected header must be one JSON object, no member twice") from error
    # 4. Nothing in the header but what we act on: no address of a key (jku, x5u), no key (jwk), nothing critical (crit, b64).
    if header.keys() != MEMBERS or not all(_is_text(header[name]) for name in _TEXTS):
        raise SignatureRefused("agreement-header", f"the header has {', '.join(sorted(MEMBERS))} and nothing else")
    # 5. Algorithm and type: RFC 8725, 3.1 and 3.11; what was signed as another kind of document is never taken for an agreement.
    if (header["alg"], header["typ"], header["cty"]) != (ALGORITHM, TYP, CTY):
        raise SignatureRefused("agreement-type", f"sign it as {TYP} of {CTY} with {ALGORITHM}")
    # 6. A moment: TS 119 182-1, 5.1.11, in whole seconds.
    if type(header["iat"]) is not int or header["iat"] < 0:
        raise SignatureRefused("agreement-time", "iat must be a moment in whole seconds since the epoch")
    # 7. The certificate, and that the header names this one: TS 119 182-1, 5.1.7 and 5.1.8.
    certificate = _certificate(header["x5c"], header["x5t#S256"])
    return Claim(header["kid"], header["iat"], certificate, signature, payload)


def _certificate(chain: Any, thumbprint: str) -> x509.Certificate:
    wrong = SignatureRefused(
        "agreement-certificate", f"x5c has 1 to {MAX_CHAIN} certificates, and x5t#S256 names the first of them"
    )
    if not isinstance(chain, list) or not 1 <= len(chain) <= MAX_CHAIN or not all(isinstance(each, str) for each in chain):
        raise wrong
    try:
        octets = [base64.b64decode(each, validate=True) for each in chain]
        found = x509.load_der_x509_certificate(octets[0])
    except ValueError:
        raise wrong from None
    spelled = [base64.b64encode(each).decode() for each in octets]
    if spelled != chain or _thumbprint(octets[0]) != thumbprint:
        raise wrong
    return found


def _public(certificate: x509.Certificate) -> object:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _is_signature(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == {"protected", "signature"}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and bool(value)


def _may_be_of(kid: str, signer: str) -> bool:
    return "#" not in kid or kid.startswith(f"{signer}#")


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            return base64url(value)
        except ValueError:
            pass
    raise SignatureRefused("agreement-encoding", "each part of a JWS must be the canonical base64url of its bytes")


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _thumbprint(der: bytes) -> str:
    return _text(hashlib.sha256(der).digest())
