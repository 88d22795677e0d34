"""Keys of ours that sign, and the one place where a token is made.

No I/O: where keys are kept, and which is current, is `keys`' matter. A private part is in `SigningKey.private` and in what
`private_jwk` returns, and in no representation, comparison or error. Imports the gate, whose rules hold for our keys too.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, get_default_algorithms

from connector.identity.gate import KeyRefused, base64url, public_key

Algorithm = Literal["ES256", "EdDSA"]

MAX_HEADERS: Final = 64
"""Headers that are kept ready: our keys are few, and each signs thousands of tokens of a kind."""

# The engines alone, as in the gate: what PyJWT does around them costs as much as a signature, for each request of ours.
_ENGINES: Final[Mapping[str, Any]] = get_default_algorithms()
_json: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
# A kid becomes the fragment of a DID URL: RFC 3986, 2.3, what needs no escaping anywhere.
_KID: Final = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_KEY_MEMBERS: Final = ("kty", "crv", "x", "y")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs. ``public_jwk`` is what may be published of it (RFC 7517: the key, `kid`, `alg`, `use`), ``thumbprint``
    that of RFC 7638, SHA-256, base64url. Two are equal when their names and public parts are."""

    kid: str
    algorithm: Algorithm
    private: EllipticCurvePrivateKey | Ed25519PrivateKey = field(repr=False, compare=False)
    public_jwk: Mapping[str, str] = field(repr=False, compare=False)
    thumbprint: str


def signing_key(jwk: Mapping[str, Any]) -> SigningKey:
    """The key in a private JWK on P-256 or Ed25519. Without `kid` it is named by its thumbprint. Raises KeyRefused."""
    public = public_key({name: value for name, value in jwk.items() if name not in ("d", "key_ops")})
    algorithm = next(iter(public.algorithms))
    if algorithm not in ("ES256", "EdDSA"):
        raise KeyRefused("key-kind", "a key that signs must be on P-256 or Ed25519")
    try:
        octets = base64url(jwk["d"])
        private: EllipticCurvePrivateKey | Ed25519PrivateKey
        if algorithm == "ES256" and len(octets) == 32:
            private = derive_private_key(int.from_bytes(octets), SECP256R1())
        else:
            private = Ed25519PrivateKey.from_private_bytes(octets)
    except (KeyError, TypeError, ValueError):
        raise KeyRefused("key-malformed", "the JWK's d must be a private key: 32 bytes in base64url") from None
    if private.public_key() != public.key:
        raise KeyRefused("key-malformed", "the JWK's private part does not belong to its public part")
    return _signing_key(private, public.kid)


def new_signing_key(algorithm: Algorithm, kid: str | None = None) -> SigningKey:
    """A new key. Without ``kid`` it is named by its thumbprint. Raises KeyRefused if ``kid`` would not do in a URL."""
    return _signing_key(generate_private_key(SECP256R1()) if algorithm == "ES256" else Ed25519PrivateKey.generate(), kid)


def private_jwk(key: SigningKey) -> dict[str, str]:
    """The whole key as a JWK, private part and all, for `signing_key` to read back. Keep it where nobody else reads."""
    return {**key.public_jwk, "d": _jwk(key.private)["d"]}


def sign(key: SigningKey, typ: str, claims: Mapping[str, Any], *, kid: str | None = None, embed_key: bool = False) -> str:
    """A compact JWS of ``claims`` whose header has ``typ`` and the name of the key, which is ``kid`` or the key's own.

    ``embed_key`` puts the public key itself in the place of its name (RFC 9449, 4.2). Raises TypeError or ValueError for claims
    that JSON cannot carry.
    """
    members = tuple((name, key.public_jwk[name]) for name in _KEY_MEMBERS if name in key.public_jwk) if embed_key else ()
    header = _header(typ, key.algorithm, key.kid if kid is None else kid, members)
    return _signed(key, header, _json(dict(claims)).encode())


def sign_bytes(key: SigningKey, typ: str, payload: bytes, *, kid: str) -> str:
    """A compact JWS of these very bytes (a canonical document), whose header has ``typ`` and ``kid``."""
    return _signed(key, _header(typ, key.algorithm, kid, ()), payload)


def _signed(key: SigningKey, header: str, payload: bytes) -> str:
    signed = f"{header}.{_base64url(payload)}"
    return f"{signed}.{_base64url(_ENGINES[key.algorithm].sign(signed.encode(), key.private))}"


@lru_cache(maxsize=MAX_HEADERS)
def _header(typ: str, algorithm: Algorithm, kid: str, members: tuple[tuple[str, str], ...]) -> str:
    named: Mapping[str, Any] = {"jwk": dict(members)} if members else {"kid": kid}
    return _base64url(_json({"typ": typ, "alg": algorithm, **named}).encode())


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def _signing_key(private: EllipticCurvePrivateKey | Ed25519PrivateKey, kid: str | None) -> SigningKey:
    algorithm: Algorithm = "ES256" if isinstance(private, EllipticCurvePrivateKey) else "EdDSA"
    members = {name: value for name, value in _jwk(private).items() if name in _KEY_MEMBERS}
    thumbprint = public_key(members).thumbprint
    name = thumbprint if kid is None else kid
    if _KID.fullmatch(name) is None:
        raise KeyRefused("key-id", "the kid of a key of ours has 1 to 128 letters, digits, dots, dashes, tildes or underlines")
    published = {**members, "kid": name, "alg": algorithm, "use": "sig"}
    return SigningKey(name, algorithm, private, MappingProxyType(published), thumbprint)


def _jwk(private: EllipticCurvePrivateKey | Ed25519PrivateKey) -> dict[str, str]:
    if isinstance(private, EllipticCurvePrivateKey):
        return dict(ECAlgorithm.to_jwk(private, as_dict=True))
    return dict(OKPAlgorithm.to_jwk(private, as_dict=True))
