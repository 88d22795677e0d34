"""Proof of possession: DPoP, RFC 9449. A caller shows, for this one request, that it holds the key a token is bound to.

The gate asks of a proof what it asks of every token; here is what a proof has besides. That a proof is used once is the
caller's to keep, by `Proof.once`: in the transaction of what the request changes, or in memory with a nonce. No I/O, no clock.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, urlsplit

from connector.identity.gate import Expected, KeyRefused, PublicKey, TokenRefused, public_key, sight, verify
from connector.identity.signing import SigningKey, sign

ALGORITHMS: Final = frozenset({"ES256", "ES384", "EdDSA"})
"""Signatures of proofs that are taken. No RSA: its keys and signatures would make each request's header three times as long."""
PROOF_KEYS: Final = 512
"""Public keys of callers that are kept ready, so that the next proof of each is checked quickly."""

_TYPE: Final = "dpop+jwt"
_REQUIRED: Final = frozenset({"jti", "htm", "htu", "iat"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}")
# RFC 3986, 3.3: what a path may have unescaped, besides letters and digits.
_PATH_CHARACTERS: Final = "-._~!$&'()*+,;=:@"

_OTHER_BINDINGS: Final = frozenset({"jwk", "jwe", "kid", "jku", "x5t#S256"})


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that holds. ``thumbprint`` (RFC 7638) is that of its key, ``iat`` in seconds since the epoch.

    It is accepted no more after ``iat`` + ``max_age_s`` + ``leeway_s``: as long ``once`` must be remembered.
    """

    thumbprint: str
    jti: str
    iat: int
    nonce: str | None

    @property
    def once(self) -> str:
        """What may be seen a single time: of the key and the jti. A proof's bytes can be varied, this cannot."""
        return f"dpop:{_hash(f'{self.thumbprint}.{self.jti}')}"


def make_proof(
    key: SigningKey, method: str, url: str, *, jti: str, now_s: int, token: str | None = None, nonce: str | None = None
) -> str:
    """The value of the DPoP header of one request (RFC 9449, 4.2). ``token`` is the access token that goes with it, ``nonce``
    the one that the server asked for. Raises ValueError for a ``url`` that is not absolute."""
    claims: dict[str, Any] = {"jti": jti, "htm": method, "htu": _target(url), "iat": now_s}
    if token is not None:
        claims["ath"] = _hash(token)
    if nonce is not None:
        claims["nonce"] = nonce
    return sign(key, _TYPE, claims, embed_key=True)


def check_proof(raw: str, *, method: str, url: str, token: str | None, now_s: int, leeway_s: int, max_age_s: int = 60) -> Proof:
    """The proof in a DPoP header of a request to ``url`` with the access token ``token``. Raises TokenRefused.

    The numbers are the checks of RFC 9449, 4.3. Its first, that there is one such header, is the caller's.
    """
    expected = _expected(leeway_s, max_age_s)
    # 2. One well-formed JWT. 4. The type. 5. An algorithm with public keys that we take.
    sighted = sight(raw, expected)
    # 7. The key in its header is a public one.
    key = _own_key(sighted.header["jwk"])
    # 6. The signature holds with that key. 3. Each claim is there. 11. It was made just now.
    proved = verify(sighted, key, expected, now_s)
    claims = proved.claims
    # 8. The method, in the same letters: RFC 9110, 9.1.
    if claims["htm"] != method:
        raise TokenRefused("proof-method", "the proof's htm must be the method of this request")
    # 9. The address, without query and fragment.
    if not _same_target(claims["htu"], url):
        raise TokenRefused("proof-url", "the proof's htu must be the address of this request, as it is known outside")
    # 12. The access token that it goes with. Its binding to the key is `confirm`.
    if token is not None and claims.get("ath") != _hash(token):
        raise TokenRefused("proof-token", "the proof's ath must be the base64url of the SHA-256 of the access token")
    # 10. The nonce: whether it is one of ours is the caller's to say, who made it.
    return Proof(key.thumbprint, claims["jti"], claims["iat"], claims.get("nonce"))


def bound_to(claims: Mapping[str, Any]) -> str | None:
    """The thumbprint of the DPoP key that a token is bound to (RFC 9449, 6.1); None for a token that is bound to nothing.

    Members of ``cnf`` that nobody knows are ignored (RFC 7800, 3.1). Raises TokenRefused for another way to bind, which we
    cannot check.
    """
    cnf = claims.get("cnf")
    if cnf is None:
        return None
    thumbprint = cnf.get("jkt") if isinstance(cnf, dict) and _OTHER_BINDINGS.isdisjoint(cnf) else None
    if not isinstance(thumbprint, str):
        raise TokenRefused("token-binding", "cnf must hold jkt, the thumbprint of a DPoP key, and no other binding")
    return thumbprint


def confirm(proof: Proof, claims: Mapping[str, Any]) -> None:
    """The token is bound to the key that signed the proof (RFC 9449, 7.1 step 12). Raises TokenRefused."""
    if bound_to(claims) != proof.thumbprint:
        raise TokenRefused("token-binding", "the token's cnf must have the jkt of the key that signs the proof")


def _expected(leeway_s: int, max_age_s: int) -> Expected:
    return Expected(
        types=frozenset({_TYPE}),
        algorithms=ALGORITHMS,
        max_lifetime_s=max_age_s,
        leeway_s=leeway_s,
        issuer=None,
        audience=None,
        required=_REQUIRED,
        embedded_key=True,
    )


def _own_key(jwk: Mapping[str, Any]) -> PublicKey:
    try:
        return _parsed(json.dumps(jwk, sort_keys=True))
    except KeyRefused as error:
        raise TokenRefused("proof-key", error.reason) from None


@lru_cache(maxsize=PROOF_KEYS)
def _parsed(jwk: str) -> PublicKey:
    # By all that the header says of the key, so that what is refused of it stays refused.
    return public_key(json.loads(jwk))


def _same_target(claimed: str, url: str) -> bool:
    try:
        return claimed == url or _target(claimed) == _target(url)
    except ValueError:
        return False


def _target(url: str) -> str:
    """``url`` without query and fragment, in its normal form (RFC 3986, 6.2.2 and 6.2.3). Raises ValueError."""
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port
    if parts.scheme not in _DEFAULT_PORTS or not host or "@" in parts.netloc:
        raise ValueError("not the address of a request")
    if ":" in host:
        host = f"[{host}]"
    authority = host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"
    path = _ESCAPE.sub(_unescaped, quote(parts.path, safe=f"/%{_PATH_CHARACTERS}"))
    return f"{parts.scheme}://{authority}{path or '/'}"


def _unescaped(escape: re.Match[str]) -> str:
    # What a path may have as it is, is often escaped by one side and not by the other: the colons of `urn:uuid:...`.
    character = chr(int(escape[0][1:], 16))
    plain = character.isascii() and (character.isalnum() or character in _PATH_CHARACTERS)
    return character if plain else escape[0].upper()


def _hash(text: str) -> str:
    # A header may hold bytes that are no UTF-8; a token of such bytes is refused elsewhere, and is no mistake of ours.
    return urlsafe_b64encode(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()).rstrip(b"=").decode()
