"""Single keys, made and written out: each a private JWK (RFC 7517), for a file of its own or a variable of the environment.

The JWK of the key that signs agreements carries its certificate (``x5c``), so that the text alone is the whole key. No error
repeats any part of a key. Opens no files; may import the settings' error and `connector.identity` only.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from connector.identity import certificate
from connector.identity.gate import KeyRefused, base64url
from connector.identity.keys import ALGORITHMS, SECRET_BYTES, Key, Use
from connector.identity.signing import SigningKey, new_signing_key, private_jwk, signing_key
from connector.settings.secret import SettingsError


@dataclass(frozen=True, slots=True)
class Held:
    """A key and its private part: a key that signs, or a secret, or neither where it is not kept any more."""

    key: Key
    signing: SigningKey | None = field(default=None, repr=False)
    secret: bytes | None = field(default=None, repr=False, compare=False)


def new_key(use: Use, participant_id: str, now_ms: int) -> tuple[Key, bytes]:
    """A new key for ``use``, and its private JWK as text."""
    kid = f"{use}-{secrets.token_hex(6)}"
    if use not in ALGORITHMS:
        octets = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
        return Key(use=use, kid=kid, made_at=now_ms), msgspec.json.encode({"kty": "oct", "kid": kid, "k": octets})
    made = new_signing_key(ALGORITHMS[use], kid)
    private: dict[str, Any] = private_jwk(made)
    pem = ""
    if use is Use.AGREEMENT and isinstance(made.private, EllipticCurvePrivateKey):
        pem = certificate.self_signed(made.private, participant_id, now_ms)
        private["x5c"] = [certificate.chain_member(pem)]
    return _described(made, use, now_ms, pem), msgspec.json.encode(private)


def open_key(key: Key, text: bytes) -> Held:
    """``key`` with the private part in ``text``. Raises ValueError when that is not the key's own."""
    held = _read(key.use, text, key.kid)
    if held.key.thumbprint != key.thumbprint or held.key.public != key.public or held.key.certificate != key.certificate:
        raise ValueError("the private part belongs to another key")
    return Held(key, held.signing, held.secret)


def environment_key(use: Use, name: str, text: str) -> Held:
    """The key in the variable ``name``. Raises SettingsError, which never repeats it."""
    try:
        return _read(use, text.encode("utf-8", "surrogateescape"), None)
    except (ValueError, RecursionError):
        what = f"on {'Ed25519' if use is Use.LOG else 'P-256'}" if use in ALGORITHMS else f"of kty oct with {SECRET_BYTES} bytes"
        more = " and with its certificate in x5c" if use is Use.AGREEMENT else ""
        reason = f"must hold one private JWK {what}{more}, as in a .jwk file of the folder that `carnet init` makes"
        raise SettingsError("key-invalid", name, reason) from None


def _read(use: Use, text: bytes, kid: str | None) -> Held:
    """A private JWK. Raises ValueError, which the gate's errors and msgspec's are, too."""
    jwk = msgspec.json.decode(text, type=dict[str, Any])
    if use not in ALGORITHMS:
        octets = base64url(str(jwk.get("k")))
        if jwk.get("kty") != "oct" or len(octets) != SECRET_BYTES:
            raise ValueError("no secret")
        name = kid or jwk.get("kid") or f"{use}-{hashlib.sha256(octets).hexdigest()[:12]}"
        return Held(msgspec.convert({"use": use, "kid": name, "madeAt": 0}, Key), secret=octets)
    chain = jwk.pop("x5c", None)
    key = signing_key({**jwk, **({} if kid is None else {"kid": kid})})
    if key.algorithm != ALGORITHMS[use]:
        raise KeyRefused("key-kind", "the key is of another kind")
    pem = ""
    if use is Use.AGREEMENT and isinstance(key.private, EllipticCurvePrivateKey):
        pem = certificate.from_chain(str(chain[0]) if isinstance(chain, list) and chain else "", key.private)
    return Held(_described(key, use, 0, pem), key)


def _described(key: SigningKey, use: Use, now_ms: int, pem: str) -> Key:
    return Key(use=use, kid=key.kid, made_at=now_ms, public=dict(key.public_jwk), thumbprint=key.thumbprint, certificate=pem)
