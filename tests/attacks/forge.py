"""Tokens made by hand: bytes, base64url and a signature of `cryptography`, never the libraries that judge them.

A :class:`Recipe` is a token that would be taken as it stands, of one of three kinds. Whatever is changed in it is signed again
with the right key unless the change says otherwise, so that a refusal can only be for the change.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

Json = dict[str, Any]
DROP: Final = object()
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SCOPES: Final = "catalog negotiation transfer messages"


class Kind(StrEnum):
    """What a token is for."""

    ACCESS = "access token"
    PROOF = "DPoP proof"
    ASSERTION = "client assertion"


TYPES: Final = {Kind.ACCESS: "at+jwt", Kind.PROOF: "dpop+jwt", Kind.ASSERTION: "client-authentication+jwt"}


def b64(raw: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def flat(value: object) -> bytes:
    """JSON without spaces, NaN and Infinity as they come."""
    return json.dumps(value, separators=(",", ":")).encode()


def digest(text: str) -> str:
    """SHA-256 in base64url: a token's `ath` (RFC 9449 section 4.2)."""
    return b64(hashlib.sha256(text.encode()).digest())


def changed(members: Mapping[str, Any], changes: Mapping[str, Any]) -> Json:
    """The members with changes; ``DROP`` takes one out."""
    return {name: value for name, value in {**members, **changes}.items() if value is not DROP}


@dataclass(frozen=True, eq=False)
class Key:
    """A P-256 key pair."""

    kid: str
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False)

    @cached_property
    def jwk(self) -> Json:
        """The public half (RFC 7517), without a kid."""
        numbers = self.private.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32)), "y": b64(numbers.y.to_bytes(32))}

    @cached_property
    def private_jwk(self) -> Json:
        """Both halves."""
        return {**self.jwk, "d": b64(self.private.private_numbers().private_value.to_bytes(32))}

    @cached_property
    def thumbprint(self) -> str:
        """RFC 7638."""
        return b64(hashlib.sha256(json.dumps(self.jwk, separators=(",", ":"), sort_keys=True).encode()).digest())

    @cached_property
    def pem(self) -> bytes:
        """The public half as everybody may have it."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, form)

    def der(self, signed: bytes) -> bytes:
        """An ES256 signature in DER, which JWS does not take."""
        return self.private.sign(signed, ec.ECDSA(hashes.SHA256()))

    def sign(self, signed: bytes, *, high: bool | None = False) -> bytes:
        """An ES256 signature (RFC 7518 section 3.4) with the low or the high of the two values of s that are good."""
        r, s = decode_dss_signature(self.der(signed))
        if high is not None:
            s = max(s, P256_ORDER - s) if high else min(s, P256_ORDER - s)
        return r.to_bytes(32) + s.to_bytes(32)


@dataclass(frozen=True)
class Recipe:
    """A token that would be taken; ``stranger`` is a key that nobody has reason to believe."""

    kind: Kind
    key: Key
    header: Json
    claims: Json
    stranger: Key = field(default_factory=lambda: Key("stranger"))

    @property
    def good(self) -> str:
        """The token as it should be."""
        return self.compact()

    @property
    def now_s(self) -> int:
        """When it was made."""
        made: int = self.claims["iat"]
        return made

    def compact(self, header: bytes | None = None, payload: bytes | None = None, *, key: Key | None = None) -> str:
        """A signature over exactly these bytes, with the right key unless another is given."""
        signed = self.signed(header, payload)
        return f"{signed}.{b64((key or self.key).sign(signed.encode()))}"

    def signed(self, header: bytes | None = None, payload: bytes | None = None) -> str:
        """The two segments that a signature covers."""
        first = flat(self.header) if header is None else header
        second = flat(self.claims) if payload is None else payload
        return f"{b64(first)}.{b64(second)}"

    def with_header(self, key: Key | None = None, /, **changes: Any) -> str:
        """The token with other header members."""
        return self.compact(flat(changed(self.header, changes)), key=key)

    def with_claims(self, key: Key | None = None, /, **changes: Any) -> str:
        """The token with other claims."""
        return self.compact(payload=flat(changed(self.claims, changes)), key=key)

    def but(self, **changes: Any) -> Recipe:
        """Another recipe: the same with other claims."""
        return replace(self, claims=changed(self.claims, changes))


def access_token(
    key: Key, holder: Key | None, *, issuer: str, audience: str, participant: str, now_s: int, **claims: Any
) -> Recipe:
    """RFC 9068, bound to the holder's key (RFC 9449 section 6), or to nobody's."""
    confirmed = {} if holder is None else {"cnf": {"jkt": holder.thumbprint}}
    members: Json = {"iss": issuer, "aud": audience, "sub": participant, "client_id": participant, "participant_id": participant}
    members |= {"scope": SCOPES, "jti": fresh(), "iat": now_s, "exp": now_s + 300, **confirmed}
    return Recipe(Kind.ACCESS, key, _header(Kind.ACCESS, kid=key.kid), changed(members, claims))


def proof(
    key: Key, method: str, url: str, *, now_s: int, token: str | None = None, nonce: str | None = None, **claims: Any
) -> Recipe:
    """RFC 9449 section 4.2."""
    members: Json = {"jti": fresh(), "htm": method, "htu": url, "iat": now_s}
    members |= {} if token is None else {"ath": digest(token)}
    members |= {} if nonce is None else {"nonce": nonce}
    return Recipe(Kind.PROOF, key, _header(Kind.PROOF, jwk=key.jwk), changed(members, claims))


def assertion(key: Key, *, client: str, audience: str, now_s: int, kid: str | None = None, **claims: Any) -> Recipe:
    """RFC 7523 with the audience of RFC 10070."""
    members: Json = {"iss": client, "sub": client, "aud": audience, "jti": fresh(), "iat": now_s, "exp": now_s + 60}
    return Recipe(Kind.ASSERTION, key, _header(Kind.ASSERTION, kid=kid or key.kid), changed(members, claims))


def fresh() -> str:
    """An identifier of a single use."""
    return secrets.token_urlsafe(16)


def _header(kind: Kind, **more: Any) -> Json:
    return {"alg": "ES256", "typ": TYPES[kind], **more}
