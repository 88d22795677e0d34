"""Keys of ours: read, made, shown without their private part; what they sign passes the gate."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import JWKRegistry

from connector.identity.gate import Expected, KeyRefused, public_key, sight, verify
from connector.identity.signing import new_signing_key, private_jwk, sign, signing_key

# RFC 8037, appendix A: the key, and its thumbprint.
ED_JWK = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
ED_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
EC = new_signing_key("ES256", "oauth-1")
ED = new_signing_key("EdDSA")
NOW = 1_800_000_000
EXPECTED = Expected(
    types=frozenset({"at+jwt"}),
    algorithms=frozenset({"ES256", "EdDSA"}),
    max_lifetime_s=300,
    issuer=None,
    audience=None,
    required=frozenset({"iat"}),
)


def test_the_thumbprint_is_that_of_the_specification() -> None:
    key = signing_key(ED_JWK)
    assert (key.kid, key.thumbprint, key.algorithm) == (ED_THUMBPRINT, ED_THUMBPRINT, "EdDSA")
    assert key.public_jwk == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": ED_JWK["x"],
        "kid": ED_THUMBPRINT,
        "alg": "EdDSA",
        "use": "sig",
    }


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_a_new_key_is_read_back_as_it_was(algorithm: Literal["ES256", "EdDSA"]) -> None:
    key = new_signing_key(algorithm, "a-1")
    again = signing_key(private_jwk(key))
    assert again == key
    assert hash(again) == hash(key)
    assert again.public_jwk == key.public_jwk
    assert again.private.public_key() == key.private.public_key()
    assert new_signing_key(algorithm, "a-1") != key


@pytest.mark.parametrize("key", [EC, ED])
def test_no_private_part_is_shown(key: Any) -> None:
    secret = private_jwk(key)["d"]
    assert secret not in repr(key)
    assert "private" not in repr(key)
    assert "d" not in key.public_jwk
    assert public_key(key.public_jwk).thumbprint == key.thumbprint


def test_key_operations_of_a_private_key_do_not_matter() -> None:
    assert signing_key({**private_jwk(EC), "key_ops": ["sign"]}) == EC


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"d": None}, "key-malformed"),
        ({"d": "AAAA"}, "key-malformed"),
        ({"d": "A" * 43}, "key-malformed"),
        ({"d": private_jwk(new_signing_key("ES256"))["d"]}, "key-malformed"),
        ({"d": "not base64url"}, "key-malformed"),
        ({"alg": "RS256"}, "key-algorithm"),
        ({"use": "enc"}, "key-not-for-signatures"),
        ({"kid": "with#fragment"}, "key-id"),
        ({"kid": "a" * 129}, "key-id"),
        ({"x": ED_JWK["x"]}, "key-malformed"),
        ({"kty": "oct", "k": "AAAA"}, "key-not-public"),
    ],
)
def test_a_key_that_does_not_fit_is_refused(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(KeyRefused) as refusal:
        signing_key({**private_jwk(EC), **changed})
    assert refusal.value.code == code
    assert private_jwk(EC)["d"] not in str(refusal.value)


def test_a_public_key_does_not_sign() -> None:
    with pytest.raises(KeyRefused, match="32 bytes"):
        signing_key(EC.public_jwk)


def test_a_longer_curve_does_not_sign_here() -> None:
    jwk = dict(JWKRegistry.generate_key("EC", "P-384").as_dict(private=True))
    with pytest.raises(KeyRefused) as refusal:
        signing_key(jwk)
    assert refusal.value.code == "key-kind"


def test_an_ed25519_key_of_another_public_part_is_refused() -> None:
    with pytest.raises(KeyRefused, match="does not belong"):
        signing_key({**ED_JWK, "x": ED.public_jwk["x"]})


# joserfc would have Ed25519 named as RFC 9864 does; most readers still know EdDSA only.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("key", [EC, ED])
def test_an_independent_reader_accepts_what_we_sign(key: Any) -> None:
    token = sign(key, "at+jwt", {"iat": NOW, "name": "Zoë"}, kid="did:web:a.example#k")
    read = jws.deserialize_compact(token, JWKRegistry.import_key(dict(key.public_jwk)), algorithms=[key.algorithm])
    assert read.headers() == {"alg": key.algorithm, "kid": "did:web:a.example#k", "typ": "at+jwt"}
    assert json.loads(read.payload) == {"iat": NOW, "name": "Zoë"}


def test_the_header_names_the_key_or_has_it() -> None:
    assert sight(sign(EC, "at+jwt", {"iat": NOW}), EXPECTED).header["kid"] == "oauth-1"
    with_key = Expected(
        types=EXPECTED.types, algorithms=EXPECTED.algorithms, max_lifetime_s=1, issuer=None, audience=None, embedded_key=True
    )
    header = sight(sign(EC, "at+jwt", {"iat": NOW}, embed_key=True), with_key).header
    assert set(header) == {"alg", "typ", "jwk"}
    assert set(header["jwk"]) == {"kty", "crv", "x", "y"}
    assert set(sight(sign(ED, "at+jwt", {}, embed_key=True), with_key).header["jwk"]) == {"kty", "crv", "x"}


def test_what_json_cannot_carry_is_not_signed() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        sign(EC, "at+jwt", {"iat": float("nan")})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.from_regex(r"x_[a-z]{1,8}", fullmatch=True), VALUES, max_size=4), st.sampled_from([EC, ED]))
@settings(max_examples=80, deadline=None)
def test_what_is_signed_is_read_back(claims: dict[str, Any], key: Any) -> None:
    claims = {**claims, "iat": NOW}
    token = verify(sight(sign(key, "at+jwt", claims), EXPECTED), public_key(key.public_jwk), EXPECTED, NOW)
    assert token.claims == claims
    assert token.thumbprint == key.thumbprint
