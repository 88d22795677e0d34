"""The gate: everything that is asked of a signed token of somebody else, in one order, in one place.

`sight` is all that can be asked before there is a key, `verify` the rest; both raise, and what they return has passed. The
caller finds the key in between, by what the token says of itself. No I/O, no clock. What is single-use about a token is the
caller's to keep; its bytes are never the measure of that, as a second valid signature can be made of one (ECDSA, n - s).

JOSE is RFC 7515 to 7519, read as narrowly as RFC 8725 asks. PyJWT checks signatures and joserfc builds keys; neither sees a
token or key that has not passed the steps before. Imports the error tree and the strict JSON of `catalog.wire`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, NoReturn

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry
from jwt.algorithms import get_default_algorithms

from catalog.errors import DocumentError
from catalog.wire import parse
from connector.protocol.errors import NotAuthenticated

MAX_TOKEN_BYTES: Final = 16_384
"""Longest token that is looked at (bytes)."""
MAX_TOKEN_DEPTH: Final = 16
"""Deepest nesting of a header or of claims; the object itself is depth 1."""
MAX_SET_KEYS: Final = 100
"""Most keys that a key set may hold."""
RSA_BITS: Final = range(2048, 8193)
"""Sizes of RSA keys that are taken (bits): shorter ones are weak, longer ones slow to check."""
RSA_EXPONENTS: Final = range(65_537, 2**32)
"""Public exponents of RSA keys that are taken."""

_THREE_SEGMENTS: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
_HEADER_TEXTS: Final = frozenset({"alg", "kid", "typ", "cty", "x5t#S256"})
_TEXT_CLAIMS: Final = ("iss", "sub", "aud", "jti", "client_id", "scope", "htm", "htu", "ath", "nonce")
_TIME_CLAIMS: Final = ("iat", "nbf", "exp")
_JSON_CODES: Final = {"document-duplicate-member": "token-duplicate-member", "document-too-deep": "token-too-deep"}
_SECRET_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_ENGINES: Final = get_default_algorithms()


class TokenRefused(NotAuthenticated):
    """A token does not hold. ``code`` names the step, ``reason`` what would be accepted; neither repeats the token."""


class KeyRefused(ValueError):
    """A key is none that signatures are checked with. ``code`` is stable, ``reason`` a sentence without the key."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that checks signatures. ``algorithms`` follow from the key alone; ``thumbprint`` is that of RFC 7638, SHA-256."""

    kid: str | None
    algorithms: frozenset[str]
    key: EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey = field(compare=False, repr=False)
    thumbprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token must be here. ``types``: its `typ`, without `application/`. ``issuer``, ``audience``: None leaves the claim
    to the caller. ``max_lifetime_s`` runs from `iat` to `exp`, or to now where a token has no `exp`; ``leeway_s`` is how far
    the other clock may be off. ``required`` are the claims that it must have, `iat` or `exp` among them. ``embedded_key``:
    it brings its key along (DPoP).
    """

    types: frozenset[str]
    algorithms: frozenset[str]
    max_lifetime_s: int
    leeway_s: int = 30
    issuer: str | None
    audience: str | None
    required: frozenset[str] = frozenset({"iss", "sub", "aud", "exp", "iat", "jti"})
    embedded_key: bool = False

    def __post_init__(self) -> None:
        if not self.required & {"iat", "exp"}:
            raise ValueError("a token must have `iat` or `exp`: without either it would hold for ever")


@dataclass(frozen=True, slots=True)
class Sighted:
    """A token before its signature was checked. ``unverified_claims`` are for finding the key, and for nothing else."""

    header: Mapping[str, Any]
    unverified_claims: Mapping[str, Any]
    raw: str = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Token:
    """A token that holds. ``thumbprint`` (RFC 7638) is that of the key that signed it."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    thumbprint: str


def sight(raw: str, expected: Expected) -> Sighted:
    """All that is asked of a token before cryptography. Raises TokenRefused."""
    # 1. Size, before anything is split or decoded.
    if len(raw) > MAX_TOKEN_BYTES:
        _refuse("token-too-large", f"a token has at most {MAX_TOKEN_BYTES} bytes")
    # 2. Form: RFC 7515, 7.1, the compact serialisation and no other; no encryption, nothing detached, no padding, no blanks.
    if _THREE_SEGMENTS.fullmatch(raw) is None:
        _refuse("token-form", "a token is three segments of base64url without padding, joined by dots")
    # 3. Each segment is the one spelling of its bytes.
    header_bytes, claims_bytes, _ = (_segment(segment) for segment in raw.split("."))
    # 4. The header is JSON that every reader reads alike.
    header = _object(header_bytes)
    # 5. Nothing in it but what we act on: no jku or x5u (nothing is fetched for a token), no x5c, crit, b64, zip, enc or p2c.
    _check_header(header, expected)
    # 6. Algorithm: RFC 8725, 3.1; an allow-list of signatures with public keys. The key narrows it down to its own below.
    if header.get("alg") not in expected.algorithms:
        _refuse("token-algorithm", f"sign with {' or '.join(sorted(expected.algorithms))}")
    # 7. Type: RFC 8725, 3.11; what was signed to be one kind of token is never taken for another.
    if _media_type(header.get("typ", "")) not in {_media_type(name) for name in expected.types}:
        _refuse("token-type", f"the header's typ must be {' or '.join(sorted(expected.types))}")
    # 8. The claims are JSON of the same strictness.
    return Sighted(header, _object(claims_bytes), raw)


def verify(sighted: Sighted, key: PublicKey, expected: Expected, now_s: int) -> Token:
    """The rest, with the key that the caller found. ``now_s``: seconds since the epoch. Raises TokenRefused."""
    claims = sighted.unverified_claims
    # 9. The key says how it signs, not the token: RFC 8725, 3.1.
    if sighted.header["alg"] not in key.algorithms & expected.algorithms:
        _refuse("token-key", "the token's alg is not one of the key that its kid names")
    # 10. Signature.
    _check_signature(sighted, key)
    # 11. Claims: there, and of the type that RFC 7519 gives them, an audience being one string.
    _check_claims(claims, expected)
    # 12. Issuer and audience: the same string, character for character.
    if expected.issuer is not None and claims.get("iss") != expected.issuer:
        _refuse("token-issuer", "the token's iss is not the issuer that it must come from")
    if expected.audience is not None and claims.get("aud") != expected.audience:
        _refuse("token-audience", "the token's aud must be who it is sent to")
    # 13. Time.
    _check_times(claims, expected, now_s)
    # 14. Single use (jti) and binding (cnf) are decided by the caller, with what the token is for: RFC 9449 in `proof`,
    #     a unique row in the transaction of what the token causes.
    return Token(sighted.header, claims, key.thumbprint)


def public_key(jwk: Mapping[str, Any]) -> PublicKey:
    """The key in a public JWK (RFC 7517). Members that it does not know are passed over. Raises KeyRefused."""
    # 1. Nothing secret: a private key that stands in public is everybody's, a symmetric one signs for whoever can check.
    if not _SECRET_MEMBERS.isdisjoint(jwk):
        raise KeyRefused("key-not-public", "the JWK holds secret members; publish the public ones only, of a new key")
    # 2. Made for checking signatures.
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise KeyRefused("key-not-for-signatures", "the JWK's use must be sig and its key_ops, if any, must have verify")
    kid = jwk.get("kid")
    if not (kid is None or _is_text(kid)):
        raise KeyRefused("key-id", "the JWK's kid must be a printable string that is not empty")
    # 3. A kind that we know fixes the algorithms; `alg` can only narrow them.
    kind = _KINDS.get(f"{jwk.get('kty')} {jwk.get('crv', '')}")
    if kind is None:
        raise KeyRefused("key-kind", "the JWK must be on P-256, P-384 or Ed25519, or RSA")
    algorithms = kind.algorithms if "alg" not in jwk else kind.algorithms & {str(jwk["alg"])}
    if not algorithms:
        raise KeyRefused("key-algorithm", f"the JWK's alg must be {' or '.join(sorted(kind.algorithms))} or absent")
    # 4. One spelling for each number, so that one key has one thumbprint.
    _check_members(jwk, kind)
    # 5. A point of its curve, and members that do not contradict each other.
    try:
        built = JWKRegistry.import_key(dict(jwk))
    except (JoseError, ValueError):
        raise KeyRefused("key-malformed", "the JWK's members contradict each other or are no key") from None
    key: Any = built.public_key
    return PublicKey(kid, algorithms, key, built.thumbprint())


def key_set(document: Mapping[str, Any]) -> tuple[PublicKey, ...]:
    """The keys of a JWK set that check signatures. Raises KeyRefused for what is no set, or has one `kid` for two of them.

    RFC 7517, 5: a key that is not for this, or that `public_key` refuses, is left out and does not spoil the others.
    """
    jwks = document.get("keys")
    if not isinstance(jwks, list) or len(jwks) > MAX_SET_KEYS or not all(isinstance(jwk, dict) for jwk in jwks):
        raise KeyRefused("key-set-malformed", f"a key set has the member `keys`, at most {MAX_SET_KEYS} objects")
    found: list[PublicKey] = []
    for jwk in jwks:
        try:
            found.append(public_key(jwk))
        except KeyRefused:
            continue
    kids = [key.kid for key in found if key.kid is not None]
    if len(kids) != len(set(kids)):
        raise KeyRefused("key-id-twice", "each kid of a key set must name one key")
    return tuple(found)


def base64url(text: str) -> bytes:
    """The bytes behind ``text``, which must be their one spelling: RFC 7515, 2, without padding. Raises ValueError."""
    if _BASE64URL.fullmatch(text) is None:
        raise ValueError("not base64url")
    octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(octets).rstrip(b"=") != text.encode():
        raise ValueError("not the canonical base64url of its bytes")
    return octets


class _Kind(NamedTuple):
    """A kind of key: its algorithms, its numbers and how many bytes each has (None: as many as it needs)."""

    algorithms: frozenset[str]
    members: Mapping[str, int | None]


_KINDS: Final = {
    "EC P-256": _Kind(frozenset({"ES256"}), {"x": 32, "y": 32}),
    "EC P-384": _Kind(frozenset({"ES384"}), {"x": 48, "y": 48}),
    "OKP Ed25519": _Kind(frozenset({"EdDSA"}), {"x": 32}),
    "RSA ": _Kind(frozenset({"PS256", "RS256"}), {"n": None, "e": None}),
}


def _refuse(code: str, reason: str) -> NoReturn:
    raise TokenRefused(code, reason) from None


def _segment(segment: str) -> bytes:
    try:
        return base64url(segment)
    except ValueError:
        _refuse("token-encoding", "each segment of a token must be the canonical base64url of its bytes")


def _object(octets: bytes) -> dict[str, Any]:
    try:
        return parse(octets, max_bytes=MAX_TOKEN_BYTES, max_depth=MAX_TOKEN_DEPTH)
    except DocumentError as error:
        code = _JSON_CODES.get(error.code, "token-not-json")
        _refuse(code, f"header and claims must each be one JSON object, no member twice, at most {MAX_TOKEN_DEPTH} levels deep")


def _check_header(header: Mapping[str, Any], expected: Expected) -> None:
    allowed = _HEADER_TEXTS | {"jwk"} if expected.embedded_key else _HEADER_TEXTS
    if not header.keys() <= allowed:
        _refuse("token-header", f"the header may have only {', '.join(sorted(allowed))}")
    if not all(_is_text(value) for name, value in header.items() if name != "jwk"):
        _refuse("token-header", "what the header has must be printable strings that are not empty")
    if expected.embedded_key and not isinstance(header.get("jwk"), dict):
        _refuse("token-header", "the header must have the public key that signed, as the object jwk")


def _check_signature(sighted: Sighted, key: PublicKey) -> None:
    signed, _, signature = sighted.raw.rpartition(".")
    engine = _ENGINES[sighted.header["alg"]]
    # The engine alone, and not PyJWT's decoder: its own steps would repeat, more loosely, what has been done.
    if not engine.verify(signed.encode(), key.key, base64url(signature)):
        _refuse("token-signature", "the signature does not hold with the key that the token names")


def _check_claims(claims: Mapping[str, Any], expected: Expected) -> None:
    missing = expected.required - claims.keys()
    if missing:
        _refuse("token-claim-missing", f"the token must have {', '.join(sorted(missing))}")
    for name in _TEXT_CLAIMS:
        # A scope may be empty; of the others an empty one names nobody and nothing.
        if name in claims and not _is_text(claims[name]) and not (name == "scope" and claims[name] == ""):
            _refuse("token-claim-type", f"{name} must be a single printable string that is not empty")
    for name in _TIME_CLAIMS:
        # `type`: to Python True is an integer too.
        if name in claims and (type(claims[name]) is not int or claims[name] < 0):
            _refuse("token-claim-type", f"{name} must be a whole number of seconds since the epoch")


def _check_times(claims: Mapping[str, Any], expected: Expected, now_s: int) -> None:
    earliest, latest = now_s - expected.leeway_s, now_s + expected.leeway_s
    if claims.get("nbf", 0) > latest or claims.get("iat", 0) > latest:
        _refuse("token-not-yet", "the token is not valid yet; check the clocks")
    # One of the two is there: Expected sees to it. A token without `iat` was made by now, one without `exp` lives its time.
    made = claims.get("iat", latest)
    ends = claims.get("exp", made + expected.max_lifetime_s)
    if ends <= earliest:
        _refuse("token-expired", "the token has expired; get a new one")
    if ends - made > expected.max_lifetime_s or ends <= claims.get("iat", -1):
        _refuse("token-lifetime", f"a token may live at most {expected.max_lifetime_s} seconds, and some time")


def _check_members(jwk: Mapping[str, Any], kind: _Kind) -> None:
    for name, size in kind.members.items():
        value = jwk.get(name)
        try:
            octets = base64url(value) if isinstance(value, str) else b""
        except ValueError:
            octets = b""
        if not octets or (len(octets) != size if size is not None else octets[0] == 0):
            raise KeyRefused("key-malformed", f"the JWK's {name} must be the canonical base64url of a number of the right size")
        if name == "n" and int.from_bytes(octets).bit_length() not in RSA_BITS:
            raise KeyRefused("key-weak", f"an RSA key must have {RSA_BITS.start} to {RSA_BITS.stop - 1} bits")
        if name == "e" and int.from_bytes(octets) not in RSA_EXPONENTS:
            raise KeyRefused("key-weak", f"an RSA key's exponent must be at least {RSA_EXPONENTS.start}, in four bytes")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _media_type(name: str) -> str:
    # RFC 7515, 4.1.9: `application/` may be left out; media types are the same in any case.
    return name.lower().removeprefix("application/")
