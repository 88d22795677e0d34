"""Keys of ours that sign, and the one place where a token is made.

No I/O: where keys are kept, and which is current, is `keys`' matter. A private part is in `SigningKey.private` and in what
`private_jwk` returns, and in no representation, comparison or error. Imports the gate, whose rules hold for our keys too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import PyJWS
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from connector.identity.gate import KeyRefused, base64url, public_key

Algorithm = Literal["ES256", "EdDSA"]

_JWS: Final = PyJWS(algorithms=["ES256", "EdDSA"])
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
    if embed_key:
        named: dict[str, Any] = {"jwk": {name: key.public_jwk[name] for name in _KEY_MEMBERS if name in key.public_jwk}}
    else:
        named = {"kid": key.kid if kid is None else kid}
    payload = json.dumps(dict(claims), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    return _JWS.encode(payload, key.private, key.algorithm, headers={"typ": typ, **named})


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
