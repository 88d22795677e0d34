"""The keys of the gate: which of them check signatures, and which are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import JWKRegistry
from jwt.algorithms import ECAlgorithm, RSAAlgorithm, get_default_algorithms

from connector.identity.gate import KeyRefused, key_set, public_key
from tests.identity.test_gate import (
    CLAIMS,
    ED_KEY,
    EXPECTED,
    HEADER,
    KEY,
    OTHER,
    PEM,
    PUBLIC,
    asked,
    encoded,
    refusal,
    segment,
)


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
