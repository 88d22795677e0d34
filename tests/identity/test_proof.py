"""Proofs of possession: RFC 9449, check by check."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import JWKRegistry
from jwt import encode

from connector.identity import proof as proof_module
from connector.identity.gate import TokenRefused, base64url
from connector.identity.proof import PROOF_KEYS, Proof, check_proof, confirm, make_proof
from connector.identity.signing import SigningKey, new_signing_key, private_jwk, sign

NOW = 1_800_000_000
URL, TOKEN = "https://us.example/dsp/2025-1/catalog/request", "the.access.token"
KEY, ED_KEY = new_signing_key("ES256"), new_signing_key("EdDSA")
CLAIMS = {"jti": "j1", "htm": "POST", "htu": URL, "iat": NOW}
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def proof(key: SigningKey = KEY, **changes: Any) -> str:
    """A signed proof of these claims; None takes a claim away."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return sign(key, "dpop+jwt", claims, embed_key=True)


def checked(raw: str, *, method: str = "POST", url: str = URL, token: str | None = None, now_s: int = NOW) -> Proof:
    return check_proof(raw, method=method, url=url, token=token, now_s=now_s, leeway_s=30)


def refusal(raw: str, **request: Any) -> str:
    with pytest.raises(TokenRefused) as refused:
        checked(raw, **request)
    assert raw not in str(refused.value)
    return refused.value.code


def with_key(jwk: Mapping[str, Any], alg: str = "ES256", signer: Any = KEY.private) -> str:
    """A proof that brings ``jwk`` along, whoever signs it."""
    return encode(dict(CLAIMS), signer, algorithm=alg, headers={"typ": "dpop+jwt", "jwk": dict(jwk)})


@pytest.mark.parametrize("key", [KEY, ED_KEY])
def test_a_proof_is_made_and_checked(key: SigningKey) -> None:
    raw = make_proof(key, "POST", URL + "?page=2#top", jti="j1", now_s=NOW, token=TOKEN, nonce="n1")
    assert checked(raw, token=TOKEN) == Proof(key.thumbprint, "j1", NOW, "n1")
    assert checked(raw).nonce == "n1"
    assert checked(proof(key)) == Proof(key.thumbprint, "j1", NOW, None)


def test_the_specification_s_own_proof() -> None:
    # RFC 9449, figure 12: with an access token, whose hash it carries.
    raw = (
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR"
        "nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHR"
        "tIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0"
        "RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
    )
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
    read = check_proof(
        raw, method="GET", url="https://resource.example.org/protectedresource", token=token, now_s=1_562_262_618, leeway_s=0
    )
    assert read.thumbprint == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    assert read.jti == "e1j3V_bKic8-LAEB"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"jti": None}, "token-claim-missing"),
        ({"htm": None}, "token-claim-missing"),
        ({"htu": None}, "token-claim-missing"),
        ({"iat": None}, "token-claim-missing"),
        ({"iat": str(NOW)}, "token-claim-type"),
        ({"jti": 7}, "token-claim-type"),
        ({"nonce": 7}, "token-claim-type"),
        ({"nonce": ""}, "token-claim-type"),
        ({"iat": NOW - 90}, "token-expired"),
        ({"iat": NOW + 31}, "token-not-yet"),
        ({"exp": NOW + 86_400}, "token-lifetime"),
        ({"htm": "GET"}, "proof-method"),
        ({"htm": "post"}, "proof-method"),
        ({"htu": "https://us.example/dsp/2025-1/catalog"}, "proof-url"),
        ({"htu": "https://other.example/dsp/2025-1/catalog/request"}, "proof-url"),
        ({"htu": "http://us.example/dsp/2025-1/catalog/request"}, "proof-url"),
        ({"htu": "https://us.example:8443/dsp/2025-1/catalog/request"}, "proof-url"),
        ({"htu": "https://us.example@other.example/dsp/2025-1/catalog/request"}, "proof-url"),
        ({"htu": "https://u@us.example/dsp/2025-1/catalog/request"}, "proof-url"),
        ({"htu": "https://us.example:99999/dsp/2025-1/catalog/request"}, "proof-url"),
        ({"htu": "https://[us.example/dsp"}, "proof-url"),
        ({"htu": "/dsp/2025-1/catalog/request"}, "proof-url"),
        ({"htu": "https:///dsp/2025-1/catalog/request"}, "proof-url"),
        ({"htu": "https://us.example/dsp/2025-1/catalog%2Frequest"}, "proof-url"),
    ],
)
def test_a_proof_of_something_else_is_refused(changes: dict[str, Any], code: str) -> None:
    assert refusal(proof(**changes)) == code


def test_a_proof_holds_for_its_minute_and_the_leeway() -> None:
    assert checked(proof(), now_s=NOW + 89) == checked(proof(), now_s=NOW - 30)
    assert refusal(proof(), now_s=NOW + 90) == "token-expired"
    assert refusal(proof(), now_s=NOW - 31) == "token-not-yet"
    assert check_proof(proof(), method="POST", url=URL, token=None, now_s=NOW + 5, leeway_s=0, max_age_s=6).iat == NOW


@pytest.mark.parametrize(
    ("htu", "url"),
    [
        ("HTTPS://US.example:443/a", "https://us.example/a"),
        ("https://us.example/a?b=c", "https://us.example/a"),
        ("https://us.example/a#b", "https://us.example/a?c=d"),
        ("https://us.example", "https://us.example/"),
        ("https://us.example:/a", "https://us.example/a"),
        ("http://127.0.0.1:80/a", "http://127.0.0.1/a"),
        ("http://[::1]:8080/a", "HTTP://[::1]:8080/a"),
        ("https://us.example/a/urn%3Auuid%3a1", "https://us.example/a/urn:uuid:1"),
        ("https://us.example/%7ea%2fb", "https://us.example/~a%2Fb"),
        ("https://us.example/caf%c3%a9%20x", "https://us.example/café x"),
    ],
)
def test_one_address_in_two_spellings(htu: str, url: str) -> None:
    assert checked(proof(htu=htu), url=url).jti == "j1"
    assert checked(make_proof(KEY, "POST", htu, jti="j1", now_s=NOW), url=url).jti == "j1"


def test_a_proof_needs_an_address() -> None:
    with pytest.raises(ValueError, match="not the address"):
        make_proof(KEY, "POST", "/catalog", jti="j1", now_s=NOW)


def test_a_proof_goes_with_its_access_token() -> None:
    assert refusal(proof(), token=TOKEN) == "proof-token"
    raw = make_proof(KEY, "POST", URL, jti="j1", now_s=NOW, token="another.access.token")
    assert refusal(raw, token=TOKEN) == "proof-token"
    assert refusal(raw, token="not\udcff utf-8") == "proof-token"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (sign(KEY, "dpop+jwt", CLAIMS), "token-header"),
        (sign(KEY, "at+jwt", CLAIMS, embed_key=True), "token-type"),
        (sign(KEY, "JWT", CLAIMS, embed_key=True), "token-type"),
        (with_key({**private_jwk(KEY)}), "proof-key"),
        (with_key({"kty": "oct", "k": "AAAA"}), "proof-key"),
        (with_key({"kty": "oct", "k": "AAAA"}, "HS256", b"k" * 32), "token-algorithm"),
        (with_key({**KEY.public_jwk, "use": "enc"}), "proof-key"),
        (with_key({}), "proof-key"),
        (with_key(dict(ED_KEY.public_jwk)), "token-key"),
        (with_key(dict(new_signing_key("ES256").public_jwk)), "token-signature"),
        ("no-proof", "token-form"),
        (proof() + "," + proof(), "token-form"),
    ],
)
def test_a_proof_brings_the_public_key_that_signed_it(raw: str, code: str) -> None:
    assert refusal(raw) == code
    # The key's being kept ready changes nothing.
    assert refusal(raw) == code


def test_a_key_of_others_may_have_a_name_and_a_longer_curve() -> None:
    assert checked(with_key(dict(KEY.public_jwk))).thumbprint == KEY.thumbprint
    pair = JWKRegistry.generate_key("EC", "P-384")
    raw = with_key(dict(pair.as_dict()), "ES384", pair.private_key)
    assert checked(raw).thumbprint == pair.thumbprint()


def test_a_proof_is_single_use_however_it_is_spelt() -> None:
    raw = proof()
    signed, _, signature = raw.rpartition(".")
    octets = base64url(signature)
    malleated = octets[:32] + (ORDER - int.from_bytes(octets[32:])).to_bytes(32)
    second = f"{signed}.{base64.urlsafe_b64encode(malleated).rstrip(b'=').decode()}"
    assert second != raw
    assert checked(second).once == checked(raw).once
    assert checked(proof(nonce="n", iat=NOW + 1)).once == checked(raw).once
    assert checked(proof(jti="j2")).once != checked(raw).once
    assert checked(proof(ED_KEY)).once != checked(raw).once
    assert len(checked(proof(jti="j" * 4000)).once) == len(checked(raw).once) == 48


def test_a_token_is_bound_to_the_key_of_the_proof() -> None:
    confirm(checked(proof()), {"cnf": {"jkt": KEY.thumbprint}})


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"cnf": None},
        {"cnf": KEY.thumbprint},
        {"cnf": {}},
        {"cnf": {"jkt": ED_KEY.thumbprint}},
        {"cnf": {"jkt": [KEY.thumbprint]}},
        {"cnf": {"jkt": KEY.thumbprint, "x5t#S256": "of a certificate that nobody checks"}},
    ],
)
def test_a_token_that_is_not_bound_to_this_key_alone_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused) as refused:
        confirm(checked(proof()), claims)
    assert refused.value.code == "token-binding"


def test_few_keys_are_kept_ready() -> None:
    assert proof_module._parsed.cache_parameters()["maxsize"] == PROOF_KEYS


SEGMENT = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="%?#/\\"), min_size=1, max_size=12)


@given(
    st.lists(SEGMENT, max_size=4),
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=40),
    st.none() | st.text(st.characters(codec="ascii"), max_size=40),
    st.none() | st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True),
    st.sampled_from([KEY, ED_KEY]),
)
@settings(max_examples=150, deadline=None)
def test_what_is_made_is_accepted(
    path: list[str], method: str, jti: str, token: str | None, nonce: str | None, key: SigningKey
) -> None:
    url = "https://us.example:8443/" + "/".join(path)
    raw = make_proof(key, method, url, jti=jti, now_s=NOW, token=token, nonce=nonce)
    assert checked(raw, method=method, url=url, token=token) == Proof(key.thumbprint, jti, NOW, nonce)


VALID = make_proof(KEY, "POST", URL, jti="j1", now_s=NOW, token=TOKEN)


@given(st.integers(0, 10_000), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= "))
@settings(max_examples=300, deadline=None)
def test_one_changed_character_is_refused(place: int, character: str) -> None:
    place %= len(VALID)
    changed = VALID[:place] + character + VALID[place + 1 :]
    if changed != VALID:
        assert refusal(changed, token=TOKEN)
