"""Hostile tokens whose algorithm, key, signature or header is the attack."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from tests.attacks.forge import DROP, P256_ORDER, Json, Key, Kind, Recipe, b64, changed, flat
from tests.attacks.rows import KEPT, PROOF, Attack, Forge, Step, head, head_of_stranger, row

ELSEWHERE: Final = "https://attacker.example/keys"


def rows() -> Iterator[Attack]:
    """All of them."""
    yield from _algorithms()
    yield from _foreign_keys()
    yield from _embedded_keys()
    yield from _kids()
    yield from _signatures()
    yield from _headers()


# -- algorithm ------------------------------------------------------------------------------------------------------------


def _unsigned(alg: object) -> Forge:
    return lambda it: f"{it.signed(flat(changed(it.header, {'alg': alg})))}."


def _hmac(secret: Callable[[Recipe], bytes]) -> Forge:
    def make(recipe: Recipe) -> str:
        signed = recipe.signed(flat({**recipe.header, "alg": "HS256"}))
        return f"{signed}.{b64(hmac.new(secret(recipe), signed.encode(), hashlib.sha256).digest())}"

    return make


def _algorithms() -> Iterator[Attack]:
    for alg in ("none", "nOnE", "None", "", None, ["ES256"], 256):
        yield row(f"alg {alg!r}, no signature", _unsigned(alg), Step.ALGORITHM, Step.HEADER, Step.SHAPE)
    yield row("alg missing, no signature", _unsigned(DROP), Step.ALGORITHM, Step.HEADER, Step.SHAPE)
    yield row("alg missing, good signature", head(alg=DROP), Step.ALGORITHM, Step.HEADER)
    for alg in ("none", "es256", "ES256 ", "ES384", "ES512", "ES256K", "EdDSA", "RS256", "PS256", "RS1", "ML-DSA-44"):
        yield row(f"alg {alg!r} over a signature of the P-256 key", head(alg=alg), Step.ALGORITHM, Step.KEY)
    yield row("HS256 with the public PEM as secret", _hmac(lambda it: it.key.pem), Step.ALGORITHM)
    yield row("HS256 with the public PEM, stripped", _hmac(lambda it: it.key.pem.strip()), Step.ALGORITHM)
    yield row("HS256 with the public JWK as secret", _hmac(lambda it: flat(it.key.jwk)), Step.ALGORITHM)
    yield row("HS256 with an empty secret", _hmac(lambda _: b""), Step.ALGORITHM)


# -- key ------------------------------------------------------------------------------------------------------------------


def _of_attacker(recipe: Recipe, alg: str, jwk: Json) -> bytes:
    """A header for a key of the attacker's: embedded in a proof, else behind the kid of the victim's."""
    return flat({**recipe.header, "alg": alg} | ({"jwk": jwk} if recipe.kind is Kind.PROOF else {}))


def _other_curve(recipe: Recipe) -> str:
    key = ec.generate_private_key(ec.SECP384R1())
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-384", "x": b64(numbers.x.to_bytes(48)), "y": b64(numbers.y.to_bytes(48))}
    signed = recipe.signed(_of_attacker(recipe, "ES256", jwk))
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(SHA384())))
    return f"{signed}.{b64(r.to_bytes(48) + s.to_bytes(48))}"


def _ed25519(recipe: Recipe) -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}
    signed = recipe.signed(_of_attacker(recipe, "ES256", jwk))
    return f"{signed}.{b64(key.sign(signed.encode()))}"


def _rsa_1024(recipe: Recipe) -> str:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - the weak key is the attack
    jwk = {"kty": "RSA", "n": b64(key.public_key().public_numbers().n.to_bytes(128)), "e": "AQAB"}
    signed = recipe.signed(_of_attacker(recipe, "RS256", jwk))
    return f"{signed}.{b64(key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def _symmetric(recipe: Recipe) -> str:
    secret = secrets.token_bytes(32)
    signed = recipe.signed(flat({**recipe.header, "alg": "HS256", "jwk": {"kty": "oct", "k": b64(secret)}}))
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def _foreign_keys() -> Iterator[Attack]:
    yield row("signed by somebody else", lambda it: it.compact(key=it.stranger), Step.SIGNATURE)
    for name, make in (("of another curve", _other_curve), ("of Ed25519", _ed25519)):
        yield row(f"ES256 with a key {name}", make, Step.KEY, Step.SIGNATURE, Step.ALGORITHM)
    yield row("RS256 with a key of 1024 bits", _rsa_1024, Step.KEY, Step.SIGNATURE, Step.ALGORITHM)


def _embedded_keys() -> Iterator[Attack]:
    def with_own(kid: str | None) -> Forge:
        return lambda it: it.with_header(it.stranger, jwk=it.stranger.jwk, kid=kid or it.header["kid"])

    yield row("embedded key of the attacker", with_own("attacker"), Step.HEADER, kinds=KEPT)
    yield row("embedded key of the attacker with the victim's kid", with_own(None), Step.HEADER, kinds=KEPT)
    yield row("embedded key, good signature", lambda it: it.with_header(jwk=it.key.jwk), Step.HEADER, kinds=KEPT)
    yield row("embedded symmetric key", _symmetric, Step.KEY, Step.ALGORITHM, Step.HEADER)
    yield row("embedded private key", lambda it: it.with_header(jwk=it.key.private_jwk), Step.KEY, kinds=PROOF)
    yield row("no embedded key", head(jwk=DROP), Step.KEY, Step.HEADER, kinds=PROOF)
    for odd in _NO_KEYS:
        yield row(f"embedded key {str(odd)[:15]!r}", head(jwk=odd), Step.KEY, Step.HEADER, kinds=PROOF)
    for name, members in _SPOILT.items():
        yield row(f"embedded key {name}", _spoilt(members), Step.KEY, Step.ALGORITHM, kinds=PROOF)


def _spoilt(members: Json) -> Forge:
    return lambda it: it.with_header(jwk={**it.key.jwk, **members})


_NO_KEYS: Final[tuple[object, ...]] = (
    None,
    "a",
    [],
    {},
    {"kty": "EC"},
    {"kty": ["EC"]},
    {"kty": "oct", "k": b64(b"k" * 32)},
)
_SPOILT: Final[dict[str, Json]] = {
    "with an empty private member": {"d": ""},
    "for encryption": {"use": "enc"},
    "that may only sign": {"key_ops": ["sign"]},
    "for another algorithm": {"alg": "ES384"},
    "that is a point off the curve": {"y": b64(bytes(31) + b"\1")},
    "that is no point": {"x": b64(bytes(32)), "y": b64(bytes(32))},
    "of an unknown curve": {"crv": "P-257"},
    "of a curve that is not taken": {"crv": "secp256k1"},
    "with a coordinate of 4 KiB": {"x": b64(bytes(4096))},
    "with a coordinate that is a number": {"x": 7},
}


def _kids() -> Iterator[Attack]:
    for odd in _NO_KIDS:
        yield row(f"kid {odd!r}", head(kid=odd), Step.HEADER, Step.KEY)
    for kid in ("../../dev/null", "key' OR '1'='1", "nobody's", "", "k" * 5000, "a\0b", "a\nb", "https://attacker.example#k"):
        forged = head_of_stranger(kid=kid)
        yield row(f"kid {kid[:24]!r} of nobody", forged, Step.KEY, Step.HEADER, Step.SIGNATURE, kinds=KEPT)


_NO_KIDS: Final[tuple[object, ...]] = ({"a": 1}, ["key"], 7, True)


# -- signature ------------------------------------------------------------------------------------------------------------


def _signature(change: Callable[[Key, bytes], bytes]) -> Forge:
    def make(recipe: Recipe) -> str:
        signed = recipe.signed()
        return f"{signed}.{b64(change(recipe.key, signed.encode()))}"

    return make


def _moved(recipe: Recipe) -> str:
    return f"{recipe.signed()}.{recipe.but(jti='other').good.rpartition('.')[2]}"


def _signatures() -> Iterator[Attack]:
    order = P256_ORDER.to_bytes(32)
    for name, change in _FORGED.items():
        yield row(f"signature {name}", _signature(change), Step.SIGNATURE)
    yield row("signature r = s = n", _signature(lambda _k, _m: order + order), Step.SIGNATURE)
    yield row("signature empty", lambda it: f"{it.signed()}.", Step.SIGNATURE, Step.SHAPE, Step.ENCODING)
    yield row("signature of another token of the same key", _moved, Step.SIGNATURE)
    # Whoever keys replay on the bytes of a token is fooled by this one; it is the same token, and must be taken once only.
    yield row("signature with the high s", _signature(lambda key, m: key.sign(m, high=True)), Step.TAKEN)


_FORGED: Final[dict[str, Callable[[Key, bytes], bytes]]] = {
    "r = s = 0": lambda _k, _m: bytes(64),
    "r = s = 1": lambda _k, _m: (1).to_bytes(32) * 2,
    "r = 0": lambda key, m: bytes(32) + key.sign(m)[32:],
    "in DER": lambda key, m: key.der(m),
    "cut short": lambda key, m: key.sign(m)[:63],
    "with a byte more": lambda key, m: key.sign(m) + b"\0",
    "turned round": lambda key, m: key.sign(m)[::-1],
    "of 8 KiB": lambda _k, _m: bytes(8192),
    "over other bytes": lambda key, m: key.sign(m + b" "),
}


# -- header ---------------------------------------------------------------------------------------------------------------


def _unencoded(recipe: Recipe) -> str:
    """RFC 7797: the claims are signed as they are."""
    header = b64(flat({**recipe.header, "b64": False, "crit": ["b64"]}))
    payload = flat(recipe.claims)
    return f"{header}.{b64(payload)}.{b64(recipe.key.sign(f'{header}.'.encode() + payload))}"


def _headers() -> Iterator[Attack]:
    for member in ("jku", "x5u"):
        yield row(f"{member} of the attacker", head_of_stranger(**{member: ELSEWHERE}), Step.HEADER)
        yield row(f"{member}, good signature", head(**{member: ELSEWHERE}), Step.HEADER)
    for name, members in _MEMBERS.items():
        yield row(name, head(**members), Step.HEADER)
    yield row("b64 false with crit", _unencoded, Step.HEADER)


_MEMBERS: Final[dict[str, Json]] = {
    "x5c, good signature": {"x5c": ["MIIB"]},
    "x5t, good signature": {"x5t": "AAAA"},
    "crit of an unknown extension": {"crit": ["urn:unknown"], "urn:unknown": 1},
    "crit of an absent member": {"crit": ["exp"]},
    "crit empty": {"crit": []},
    "crit null": {"crit": None},
    "crit b64, true": {"crit": ["b64"], "b64": True},
    "b64 false without crit": {"b64": False},
    "zip": {"zip": "DEF"},
    "enc": {"enc": "A256GCM"},
    "p2c": {"p2c": 20_000_000, "p2s": "AAAA"},
    "epk": {"epk": {"kty": "EC"}},
    "a member that nobody knows": {"urn:x": 1},
    "a nonce in the header": {"nonce": "n"},
}
