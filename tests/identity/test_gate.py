"""The gate: each known attack on signed tokens is refused, by the step that is made for it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import JWKRegistry
from jwt.algorithms import ECAlgorithm, RSAAlgorithm, get_default_algorithms

from connector.identity.gate import (
    Expected,
    KeyRefused,
    PublicKey,
    Token,
    TokenRefused,
    base64url,
    key_set,
    public_key,
    sight,
    verify,
)
from connector.identity.signing import new_signing_key, sign

NOW = 1_800_000_000
US, ISSUER, PEER = "https://us.example/dsp/2025-1", "https://us.example", "did:web:peer.example"
KEY, ED_KEY, OTHER = new_signing_key("ES256", "k1"), new_signing_key("EdDSA", "k2"), new_signing_key("ES256", "k1")
PUBLIC, ED_PUBLIC = public_key(KEY.public_jwk), public_key(ED_KEY.public_jwk)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
EXPECTED = Expected(
    types=frozenset({"at+jwt"}),
    algorithms=frozenset({"ES256", "EdDSA", "PS256"}),
    max_lifetime_s=300,
    issuer=ISSUER,
    audience=US,
)
CLAIMS = {"iss": ISSUER, "sub": PEER, "aud": US, "jti": "j1", "iat": NOW, "exp": NOW + 300, "scope": "catalog"}
HEADER = {"alg": "ES256", "kid": "k1", "typ": "at+jwt"}
VALID, ED_VALID = sign(KEY, "at+jwt", CLAIMS), sign(ED_KEY, "at+jwt", CLAIMS)


def encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def segment(value: Any) -> str:
    return encoded(value if isinstance(value, bytes) else json.dumps(value).encode())


def forged(header: Any = HEADER, claims: Any = CLAIMS, key: Any = KEY.private) -> str:
    """A token whose signature holds, whatever stands in it. Bytes are taken as they are."""
    signed = f"{segment(header)}.{segment(claims)}"
    return f"{signed}.{encoded(get_default_algorithms()['ES256'].sign(signed.encode(), key))}"


def resigned(change: Callable[[int, int], bytes]) -> str:
    """The valid token with another signature, made of the numbers of its own."""
    signed, _, signature = VALID.rpartition(".")
    octets = base64url(signature)
    return f"{signed}.{encoded(change(int.from_bytes(octets[:32]), int.from_bytes(octets[32:])))}"


def asked(raw: str, expected: Expected = EXPECTED, key: PublicKey = PUBLIC, now_s: int = NOW) -> Token:
    return verify(sight(raw, expected), key, expected, now_s)


def refusal(raw: str, expected: Expected = EXPECTED, key: PublicKey = PUBLIC, now_s: int = NOW) -> str:
    with pytest.raises(TokenRefused) as refused:
        asked(raw, expected, key, now_s)
    assert len(raw) < 16 or raw not in str(refused.value)
    return refused.value.code


def of_us(**changes: Any) -> str:
    """The code with which a token of these claims is refused; None takes a claim away."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return refusal(forged(claims=claims))


def test_a_valid_token_is_read() -> None:
    token = asked(VALID)
    assert token == Token(HEADER, CLAIMS, KEY.thumbprint)
    assert asked(ED_VALID, key=ED_PUBLIC).claims == CLAIMS
    assert asked(forged()) == token
    assert VALID not in repr(sight(VALID, EXPECTED))


def by_hmac(secret: bytes) -> str:
    signed = f"{segment({**HEADER, 'alg': 'HS256'})}.{segment(CLAIMS)}"
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


PEM = KEY.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DEEP = b'{"a":' + b"[" * 40 + b"]" * 40 + b"}"
VERY_DEEP = b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
ABYSS = b'{"a":' + b"[" * 60_000 + b"]" * 60_000 + b"}"
TWICE = json.dumps(CLAIMS)[:-1].encode() + b', "sub": "did:web:other.example"}'
TWICE_ESCAPED = json.dumps(CLAIMS)[:-1].encode() + rb', "s\u0075b": "did:web:other.example"}'
HEADER_TWICE = b'{"alg": "ES256", "typ": "at+jwt", "kid": "k1", "alg": "none"}'
PUBLIC_OF_OTHER = {name: OTHER.public_jwk[name] for name in ("kty", "crv", "x", "y")}
H, P, S = VALID.split(".")
# The last character of 64 bytes in base64url has four bits that say nothing.
S_OTHER_SPELLING = (
    S[:-1]
    + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(S[-1]) + 1
    ]
)

ATTACKS: Mapping[str, tuple[str, str]] = {
    # Algorithm
    "alg none": (f"{segment({**HEADER, 'alg': 'none'})}.{P}.{S}", "token-algorithm"),
    "alg none, no signature": (f"{segment({**HEADER, 'alg': 'none'})}.{P}.", "token-form"),
    "alg nOnE": (f"{segment({**HEADER, 'alg': 'nOnE'})}.{P}.{S}", "token-algorithm"),
    "no alg": (forged({"typ": "at+jwt"}), "token-algorithm"),
    "alg is a list": (forged({**HEADER, "alg": ["ES256"]}), "token-header"),
    "alg is empty": (forged({**HEADER, "alg": ""}), "token-header"),
    "hmac with the public key": (by_hmac(PEM), "token-algorithm"),
    "hmac with an empty secret": (by_hmac(b""), "token-algorithm"),
    "alg of another key": (forged({**HEADER, "alg": "EdDSA"}), "token-key"),
    "alg of no key here": (forged({**HEADER, "alg": "ES384"}), "token-algorithm"),
    "alg of an RSA key": (forged({**HEADER, "alg": "PS256"}), "token-key"),
    # Key
    "key of the attacker": (forged(key=OTHER.private), "token-signature"),
    "embedded key of the attacker": (forged({**HEADER, "jwk": PUBLIC_OF_OTHER}, key=OTHER.private), "token-header"),
    "embedded key, no kid": (
        forged({"alg": "ES256", "typ": "at+jwt", "jwk": PUBLIC_OF_OTHER}, key=OTHER.private),
        "token-header",
    ),
    "jku": (forged({**HEADER, "jku": "https://evil.example/jwks"}), "token-header"),
    "x5u": (forged({**HEADER, "x5u": "https://evil.example/cert"}), "token-header"),
    "x5c": (forged({**HEADER, "x5c": ["MIIB"]}), "token-header"),
    "kid is an object": (forged({**HEADER, "kid": {"a": 1}}), "token-header"),
    "kid with a control character": (forged({**HEADER, "kid": "k1\n"}), "token-header"),
    # Signature
    "psychic signature, zeros": (resigned(lambda r, s: bytes(64)), "token-signature"),
    "psychic signature, order": (resigned(lambda r, s: ORDER.to_bytes(32) * 2), "token-signature"),
    "signature in DER": (resigned(encode_dss_signature), "token-signature"),
    "signature cut": (resigned(lambda r, s: r.to_bytes(32)), "token-signature"),
    "signature of other claims": (f"{H}.{segment({**CLAIMS, 'sub': 'x'})}.{S}", "token-signature"),
    # Form
    "another spelling of the signature": (f"{H}.{P}.{S_OTHER_SPELLING}", "token-encoding"),
    "a length no bytes have": (f"{H}.{P}.{S[:-1]}", "token-encoding"),
    "padding": (f"{H}.{P}.{S}==", "token-form"),
    "padding in the header": (f"{H}=.{P}.{S}", "token-form"),
    "blank at the end": (VALID + " ", "token-form"),
    "new line at the end": (VALID + "\n", "token-form"),
    "junk inside": (f"{H}.{P[:9]}!{P[9:]}.{S}", "token-form"),
    "standard base64": (f"{H}.{P[:8]}+/{P[10:]}.{S}", "token-form"),
    "not ASCII": (f"{H}.{P[:8]}é{P[9:]}.{S}", "token-form"),
    "serialised as JSON": (json.dumps({"protected": H, "payload": P, "signature": S}), "token-form"),
    "detached": (f"{H}..{S}", "token-form"),
    "five segments": (f"{H}.{P}.{S}.{P}.{S}", "token-form"),
    "two segments": (f"{H}.{P}", "token-form"),
    "empty": ("", "token-form"),
    "encrypted header in three segments": (forged({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}), "token-header"),
    "password based": (forged({"alg": "PBES2-HS256+A128KW", "p2c": 20_000_000}), "token-header"),
    # Header
    "crit unknown": (forged({**HEADER, "crit": ["exp"]}), "token-header"),
    "crit of a header that is not there": (forged({**HEADER, "crit": ["b64"]}), "token-header"),
    "crit empty": (forged({**HEADER, "crit": []}), "token-header"),
    "crit and b64 true": (forged({**HEADER, "crit": ["b64"], "b64": True}), "token-header"),
    "b64 false": (forged({**HEADER, "b64": False}), "token-header"),
    "typ of a proof": (forged({**HEADER, "typ": "dpop+jwt"}), "token-type"),
    "typ of anything": (forged({**HEADER, "typ": "JWT"}), "token-type"),
    "no typ": (forged({"alg": "ES256", "kid": "k1"}), "token-type"),
    # JSON
    "claim twice": (forged(claims=TWICE), "token-duplicate-member"),
    "claim twice, escaped": (forged(claims=TWICE_ESCAPED), "token-duplicate-member"),
    "header twice": (forged(HEADER_TWICE), "token-duplicate-member"),
    "claims are a list": (forged(claims=[CLAIMS]), "token-not-json"),
    "claims are a string": (forged(claims="claims"), "token-not-json"),
    "header is a list": (forged([HEADER]), "token-not-json"),
    "claims are no JSON": (forged(claims=b"\xff\xfe"), "token-not-json"),
    "claims and more": (forged(claims=json.dumps(CLAIMS).encode() + b"{}"), "token-not-json"),
    "exp is NaN": (forged(claims={**CLAIMS, "exp": float("nan")}), "token-not-json"),
    "exp is Infinity": (forged(claims={**CLAIMS, "exp": float("inf")}), "token-not-json"),
    "exp beyond what is exact": (forged(claims={**CLAIMS, "exp": 2**60}), "token-not-json"),
    "claims deep": (forged(claims=DEEP), "token-too-deep"),
    "claims very deep": (forged(claims=VERY_DEEP), "token-too-deep"),
    "header very deep": (forged(VERY_DEEP), "token-too-deep"),
    "claims 60000 deep": (forged(claims=ABYSS), "token-too-large"),
    "claims of 3 MiB": (forged(claims={**CLAIMS, "x": "a" * 3 * 2**20}), "token-too-large"),
    "header of 3 MiB": (forged({**HEADER, "kid": "a" * 3 * 2**20}), "token-too-large"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused(attack: str) -> None:
    raw, code = ATTACKS[attack]
    assert refusal(raw) == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": NOW - 30, "iat": NOW - 330}, "token-expired"),
        ({"exp": None}, "token-claim-missing"),
        ({"iat": None}, "token-claim-missing"),
        ({"jti": None}, "token-claim-missing"),
        ({"aud": None}, "token-claim-missing"),
        ({"iss": None, "sub": None}, "token-claim-missing"),
        ({"nbf": NOW + 31}, "token-not-yet"),
        ({"iat": NOW + 31, "exp": NOW + 300}, "token-not-yet"),
        ({"exp": str(NOW + 300)}, "token-claim-type"),
        ({"exp": NOW + 300.0}, "token-claim-type"),
        ({"exp": [NOW + 300]}, "token-claim-type"),
        ({"iat": True}, "token-claim-type"),
        ({"nbf": -1}, "token-claim-type"),
        ({"nbf": False}, "token-claim-type"),
        ({"exp": NOW + 10 * 365 * 86_400}, "token-lifetime"),
        ({"exp": NOW + 301}, "token-lifetime"),
        ({"exp": NOW}, "token-lifetime"),
        ({"exp": NOW - 1}, "token-lifetime"),
        ({"aud": "https://other.example"}, "token-audience"),
        ({"aud": US + "/"}, "token-audience"),
        ({"aud": [US]}, "token-claim-type"),
        ({"aud": [US, "https://other.example"]}, "token-claim-type"),
        ({"aud": {"a": US}}, "token-claim-type"),
        ({"iss": "https://other.example"}, "token-issuer"),
        ({"iss": [ISSUER]}, "token-claim-type"),
        ({"iss": ISSUER[:-1]}, "token-issuer"),
        ({"iss": "https"}, "token-issuer"),
        ({"sub": 7}, "token-claim-type"),
        ({"sub": ""}, "token-claim-type"),
        ({"sub": PEER + "\n"}, "token-claim-type"),
        ({"sub": PEER + "\0"}, "token-claim-type"),
        ({"jti": 1}, "token-claim-type"),
        ({"client_id": ["x"]}, "token-claim-type"),
        ({"scope": ["catalog"]}, "token-claim-type"),
    ],
)
def test_a_signed_token_of_other_claims_is_refused(changes: dict[str, Any], code: str) -> None:
    assert of_us(**changes) == code


@pytest.mark.parametrize(
    ("changes", "now_s"),
    [
        ({"nbf": NOW}, NOW),
        ({"nbf": NOW + 30}, NOW),
        ({}, NOW - 30),
        ({}, NOW + 329),
        ({"scope": ""}, NOW),
        ({"typ_of_ours": [1.5, {"a": None}]}, NOW),
    ],
)
def test_a_token_holds_for_its_time_and_the_leeway(changes: dict[str, Any], now_s: int) -> None:
    assert asked(forged(claims={**CLAIMS, **changes}), now_s=now_s).claims == {**CLAIMS, **changes}


def test_without_an_end_a_token_holds_from_when_it_was_made() -> None:
    expected = replace(EXPECTED, required=frozenset({"iat"}))
    raw = forged(claims={"iss": ISSUER, "aud": US, "iat": NOW})
    assert asked(raw, expected, now_s=NOW + 329).claims["iat"] == NOW
    assert refusal(raw, expected, now_s=NOW + 330) == "token-expired"


def test_without_a_beginning_a_token_was_made_by_now() -> None:
    expected = replace(EXPECTED, required=frozenset({"exp"}))
    raw = forged(claims={"iss": ISSUER, "aud": US, "exp": NOW + 10})
    assert asked(raw, expected).claims["exp"] == NOW + 10
    assert refusal(raw, expected, now_s=NOW + 40) == "token-expired"
    assert refusal(raw, expected, now_s=NOW - 321) == "token-lifetime"


def test_a_token_that_would_never_end_cannot_be_expected() -> None:
    with pytest.raises(ValueError, match="for ever"):
        replace(EXPECTED, required=frozenset({"sub"}))


def test_issuer_and_audience_may_be_left_to_the_caller() -> None:
    expected = replace(EXPECTED, issuer=None, audience=None)
    assert asked(forged(claims={**CLAIMS, "iss": "a", "aud": "b"}), expected).claims["aud"] == "b"


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_a_media_type_may_be_spelt_in_full(typ: str) -> None:
    assert asked(forged({**HEADER, "typ": typ})).header["typ"] == typ
    assert asked(VALID, replace(EXPECTED, types=frozenset({typ}))).claims == CLAIMS


def test_an_embedded_key_is_demanded_where_it_belongs() -> None:
    expected = replace(EXPECTED, embedded_key=True)
    assert refusal(VALID, expected) == "token-header"
    assert refusal(forged({**HEADER, "jwk": "key"}), expected) == "token-header"
    assert sight(forged({**HEADER, "jwk": PUBLIC_OF_OTHER}), expected).header["jwk"] == PUBLIC_OF_OTHER


def test_the_second_signature_of_a_token_is_the_same_token() -> None:
    second = resigned(lambda r, s: r.to_bytes(32) + (ORDER - s).to_bytes(32))
    assert second != VALID
    # Both hold. So nothing that may happen once is kept by the bytes of a token, but by the claims, which are the same.
    assert asked(second) == asked(VALID)


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n\0é"


@given(st.sampled_from([(VALID, PUBLIC), (ED_VALID, ED_PUBLIC)]), st.integers(0, 10_000), st.sampled_from(ALPHABET))
@settings(max_examples=500, deadline=None)
def test_one_changed_character_is_refused(token: tuple[str, PublicKey], place: int, character: str) -> None:
    raw, key = token
    place %= len(raw)
    changed = raw[:place] + character + raw[place + 1 :]
    try:
        read = asked(changed, key=key)
    except TokenRefused:
        assert changed != raw
    else:
        assert read.claims == CLAIMS
        assert changed == raw


@given(st.integers(0, 10_000), st.sampled_from(["cut", "doubled", *ALPHABET]))
@settings(max_examples=300, deadline=None)
def test_one_character_more_or_less_is_refused(place: int, what: str) -> None:
    place %= len(VALID)
    inserted = {"cut": "", "doubled": VALID[place] * 2}.get(what, what + VALID[place])
    assert refusal(VALID[:place] + inserted + VALID[place + 1 :]).startswith("token-")


@given(st.text(max_size=80) | st.lists(st.text(ALPHABET, max_size=30), min_size=3, max_size=3).map(".".join))
@settings(max_examples=200, deadline=None)
def test_any_text_is_refused_cleanly(raw: str) -> None:
    assert refusal(raw) in {"token-form", "token-encoding", "token-not-json", "token-duplicate-member"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    ),
    st.sampled_from([*HEADER, *CLAIMS, "nbf", "x5t#S256", "cty", "client_id"]),
)
@settings(max_examples=300, deadline=None)
def test_a_value_of_any_type_is_refused_cleanly_or_read(value: Any, name: str) -> None:
    header, claims = dict(HEADER), dict(CLAIMS)
    (header if name in (*HEADER, "x5t#S256", "cty") else claims)[name] = value
    try:
        token = asked(forged(header, claims))
    except TokenRefused:
        return
    assert {**token.header, **token.claims}[name] == value


# Keys


def rsa_jwk(bits: int = 2048) -> dict[str, Any]:
    return dict(RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, bits).public_key(), as_dict=True))


RSA_JWK = rsa_jwk()
P384_JWK = dict(JWKRegistry.generate_key("EC", "P-384", private=False).as_dict())


@pytest.mark.parametrize(
    ("jwk", "algorithms"),
    [
        (KEY.public_jwk, {"ES256"}),
        (ED_KEY.public_jwk, {"EdDSA"}),
        (P384_JWK, {"ES384"}),
        (RSA_JWK, {"RS256", "PS256"}),
        ({**RSA_JWK, "alg": "PS256"}, {"PS256"}),
        ({**RSA_JWK, "use": "sig", "key_ops": ["verify"], "x-other": [1]}, {"RS256", "PS256"}),
    ],
)
def test_a_key_fixes_its_algorithms(jwk: Mapping[str, Any], algorithms: set[str]) -> None:
    key = public_key(jwk)
    assert key.algorithms == algorithms
    assert key.kid == jwk.get("kid")
    assert key.thumbprint == JWKRegistry.import_key(dict(jwk)).thumbprint()


def test_the_thumbprint_of_the_specification() -> None:
    # RFC 7638, 3.1
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
        "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1"
        "n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert public_key(jwk).thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize(
    ("jwk", "code"),
    [
        ({**KEY.public_jwk, "d": "AAAA"}, "key-not-public"),
        ({"kty": "oct", "k": "AAAA"}, "key-not-public"),
        ({"kty": "oct"}, "key-kind"),
        ({**RSA_JWK, "qi": None}, "key-not-public"),
        ({**KEY.public_jwk, "use": "enc"}, "key-not-for-signatures"),
        ({**KEY.public_jwk, "use": ["sig"]}, "key-not-for-signatures"),
        ({**KEY.public_jwk, "key_ops": ["encrypt"]}, "key-not-for-signatures"),
        ({**KEY.public_jwk, "key_ops": "verify"}, "key-not-for-signatures"),
        ({**KEY.public_jwk, "key_ops": ["verify", "encrypt"]}, "key-malformed"),
        ({**KEY.public_jwk, "kid": 1}, "key-id"),
        ({**KEY.public_jwk, "kid": ""}, "key-id"),
        ({**KEY.public_jwk, "kty": ["EC"]}, "key-kind"),
        ({**KEY.public_jwk, "crv": "P-521"}, "key-kind"),
        ({**KEY.public_jwk, "crv": "secp256k1"}, "key-kind"),
        ({**ED_KEY.public_jwk, "crv": "X25519"}, "key-kind"),
        ({**ED_KEY.public_jwk, "crv": "Ed448"}, "key-kind"),
        ({}, "key-kind"),
        ({**KEY.public_jwk, "alg": "HS256"}, "key-algorithm"),
        ({**KEY.public_jwk, "alg": None}, "key-algorithm"),
        ({**RSA_JWK, "alg": "RSA-OAEP"}, "key-algorithm"),
        ({**KEY.public_jwk, "x": KEY.public_jwk["y"]}, "key-malformed"),
        ({**KEY.public_jwk, "x": KEY.public_jwk["x"] + "="}, "key-malformed"),
        ({**KEY.public_jwk, "x": 7}, "key-malformed"),
        ({**KEY.public_jwk, "x": "AAAA"}, "key-malformed"),
        ({"kty": "EC", "crv": "P-256", "x": KEY.public_jwk["x"]}, "key-malformed"),
        ({**RSA_JWK, "n": "AA" + RSA_JWK["n"]}, "key-malformed"),
        ({**RSA_JWK, "n": encoded((2**2046 + 1).to_bytes(256))}, "key-weak"),
        ({**RSA_JWK, "n": encoded((2**9000 + 1).to_bytes(1126))}, "key-weak"),
        ({**RSA_JWK, "e": "Aw"}, "key-weak"),
        ({**RSA_JWK, "e": encoded((2**32 + 1).to_bytes(5))}, "key-weak"),
        ({**RSA_JWK, "e": encoded((65_538).to_bytes(3))}, "key-malformed"),
    ],
)
def test_a_key_that_checks_no_signatures_is_refused(jwk: Mapping[str, Any], code: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        public_key(jwk)
    assert refused.value.code == code


@pytest.mark.parametrize("algorithm", ["PS256", "RS256"])
def test_rsa_signatures_are_checked(algorithm: str) -> None:
    private = rsa.generate_private_key(65_537, 2048)
    key = public_key(dict(RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)))
    signed = f"{segment({**HEADER, 'alg': algorithm})}.{segment(CLAIMS)}"
    raw = f"{signed}.{encoded(get_default_algorithms()[algorithm].sign(signed.encode(), private))}"
    expected = replace(EXPECTED, algorithms=frozenset({algorithm}))
    assert asked(raw, expected, key).claims == CLAIMS
    assert refusal(raw[:-8] + "AAAAAAAA", expected, key) == "token-signature"


def test_p384_signatures_are_checked() -> None:
    pair = JWKRegistry.generate_key("EC", "P-384")
    private: Any = pair.private_key
    signed = f"{segment({**HEADER, 'alg': 'ES384'})}.{segment(CLAIMS)}"
    raw = f"{signed}.{encoded(ECAlgorithm(ECAlgorithm.SHA384).sign(signed.encode(), private))}"
    expected = replace(EXPECTED, algorithms=frozenset({"ES384"}))
    assert asked(raw, expected, public_key(pair.as_dict())).thumbprint == pair.thumbprint()


def test_keys_of_a_set_that_are_for_something_else_are_left_out() -> None:
    # As a key set of Keycloak: a key for signatures next to one for encryption.
    jwks = [KEY.public_jwk, {**RSA_JWK, "use": "enc", "kid": "e"}, {"kty": "AKP"}, {"kty": "oct", "k": "AA"}, P384_JWK]
    document = {"keys": [dict(jwk) for jwk in jwks]}
    assert key_set(document) == (PUBLIC, public_key(P384_JWK))
    assert key_set({"keys": []}) == ()


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({}, "key-set-malformed"),
        ({"keys": {"k1": dict(KEY.public_jwk)}}, "key-set-malformed"),
        ({"keys": ["k1"]}, "key-set-malformed"),
        ({"keys": [{}] * 101}, "key-set-malformed"),
        ({"keys": [dict(KEY.public_jwk), dict(OTHER.public_jwk)]}, "key-id-twice"),
    ],
)
def test_what_is_no_key_set_is_refused(document: dict[str, Any], code: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        key_set(document)
    assert refused.value.code == code


def test_a_key_does_not_show_more_than_its_name() -> None:
    assert hashlib.sha256(PEM).hexdigest() not in repr(PUBLIC)
    assert KEY.public_jwk["x"] not in repr(PUBLIC)
    assert PUBLIC.thumbprint in repr(PUBLIC)
    assert public_key(KEY.public_jwk) == PUBLIC
