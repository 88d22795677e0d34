"""The gate: each known attack on signed tokens is refused, by the step that is made for it."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jwt.algorithms import get_default_algorithms

from connector.identity.gate import (
    Expected,
    PublicKey,
    Token,
    TokenRefused,
    base64url,
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
