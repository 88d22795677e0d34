"""Agreements signed by both parties: made, opened and verified step by step; every step refuses what it is there for."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from catalog.canonical import canonical_bytes
from connector.identity import jades
from connector.identity.certificate import chain_member, self_signed
from connector.identity.gate import PublicKey, public_key
from connector.identity.jades import Claim, Signature, SignatureRefused
from connector.identity.signing import SigningKey, new_signing_key
from connector.protocol.errors import InvariantBroken

PROVIDER, CONSUMER = "did:web:provider.example", "did:web:consumer.example"
NOW_S = 1_700_000_000
KEYS = {who: new_signing_key("ES256", "agreement-1") for who in (PROVIDER, CONSUMER)}
AGREEMENT = {"@id": "urn:agreement:1", "@type": "Agreement", "assigner": PROVIDER, "assignee": CONSUMER, "fee": "1,50 €"}
CONTENT = canonical_bytes(AGREEMENT)


def certificate_of(key: SigningKey, who: str, at_s: int = NOW_S) -> str:
    assert isinstance(key.private, EllipticCurvePrivateKey)
    return self_signed(key.private, who, at_s * 1000)


CERTIFICATES = {who: certificate_of(key, who) for who, key in KEYS.items()}


def by(who: str, content: bytes = CONTENT, at_s: int = NOW_S) -> Signature:
    return jades.signed(content, KEYS[who], f"{who}#agreement-1", CERTIFICATES[who], at_s)


def published(who: str) -> PublicKey:
    return public_key(dict(KEYS[who].public_jwk))


def text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def bytes_of(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


MINE = by(PROVIDER)
HEADER: dict[str, Any] = json.loads(bytes_of(MINE.protected))
COMPACT = jades.compact(CONTENT, MINE)
DOCUMENT = jades.joined(CONTENT, [MINE, by(CONSUMER)])


def claim() -> Claim:
    return jades.opened_compact(COMPACT).claims[0]


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.integers(0, 2**50), st.text(max_size=9)), max_size=5))
def test_what_both_sign_opens_to_the_exact_bytes(agreement: dict[str, Any]) -> None:
    content = canonical_bytes(agreement)
    document = jades.joined(content, [by(PROVIDER, content), by(CONSUMER, content)])
    found = jades.opened(json.dumps(document).encode())
    assert (found.content, found.agreement, len(found.claims)) == (content, agreement, 2)
    for who in (PROVIDER, CONSUMER):
        (one,) = found.of(who)
        assert (one.kid, one.signed_at_s) == (f"{who}#agreement-1", NOW_S)
        assert jades.verify(one, who, published(who), NOW_S) == KEYS[who].thumbprint


def test_a_signature_travels_alone_and_joins_the_other_again() -> None:
    found = jades.opened_compact(COMPACT)
    assert found.content == CONTENT
    assert jades.joined(found.content, [found.claims[0].signature]) == jades.joined(CONTENT, [MINE])


def test_the_header_is_what_jades_asks_for() -> None:
    assert HEADER.keys() == jades.MEMBERS
    assert (HEADER["alg"], HEADER["kid"], HEADER["iat"]) == ("ES256", f"{PROVIDER}#agreement-1", NOW_S)
    assert HEADER["x5c"] == [chain_member(CERTIFICATES[PROVIDER])]


def test_we_sign_with_a_key_on_p256_and_its_own_certificate_only() -> None:
    with pytest.raises(InvariantBroken) as broken:
        jades.signed(CONTENT, new_signing_key("EdDSA", "a"), "a", CERTIFICATES[PROVIDER], NOW_S)
    assert broken.value.code == "agreement-key"
    for pem in ("", CERTIFICATES[CONSUMER]):
        with pytest.raises(InvariantBroken) as broken:
            jades.signed(CONTENT, KEYS[PROVIDER], "a", pem, NOW_S)
        assert broken.value.code == "agreement-certificate"


# -- what is refused before there is a key ----------------------------------------------------------------------------


def without(*names: str, **changes: Any) -> str:
    """The compact form with another document in place of the header."""
    header = {name: value for name, value in (HEADER | changes).items() if name not in names}
    return under(json.dumps(header).encode())


def under(header: bytes) -> str:
    return jades.compact(CONTENT, replace(MINE, protected=text(header)))


def chained(*members: Any) -> str:
    return without(x5c=list(members))


OWN = HEADER["x5c"][0]


LONE: list[tuple[str, str]] = [
    ("", "agreement-form"),
    ("a.b", "agreement-form"),
    (COMPACT + "=", "agreement-form"),
    ("a" * jades.MAX_DOCUMENT_BYTES + ".a.a", "agreement-form"),
    (f"{COMPACT.rpartition('.')[0]}.AB", "agreement-encoding"),
    (f"AB.{COMPACT.partition('.')[2]}", "agreement-encoding"),
    (under(b"[]"), "agreement-not-json"),
    (under(b'{"alg":"ES256","alg":"none"}'), "agreement-not-json"),
    (jades.compact(b"7", MINE), "agreement-not-json"),
    (jades.compact(b'{"a":1,"a":2}', MINE), "agreement-not-json"),
    (jades.compact(json.dumps(AGREEMENT).encode(), MINE), "agreement-not-canonical"),
    *[(without(**{name: "https://evil.example"}), "agreement-header") for name in ("jku", "x5u", "jwk", "crit", "zip", "x5t")],
    (without(b64=False), "agreement-header"),
    *[(without(name), "agreement-header") for name in sorted(jades.MEMBERS)],
    (without(kid=7), "agreement-header"),
    (without(kid=""), "agreement-header"),
    (without(kid="a\u0000"), "agreement-header"),
    (without(alg="none"), "agreement-type"),
    (without(alg="EdDSA"), "agreement-type"),
    (without(typ="carnet-receipt+jws"), "agreement-type"),
    (without(cty="text"), "agreement-type"),
    (without(iat="now"), "agreement-time"),
    (without(iat=True), "agreement-time"),
    (without(iat=1.5), "agreement-time"),
    (without(iat=-1), "agreement-time"),
    (without(x5c=OWN), "agreement-certificate"),
    (chained(), "agreement-certificate"),
    (chained(*[OWN] * 5), "agreement-certificate"),
    (chained(7), "agreement-certificate"),
    (chained("*"), "agreement-certificate"),
    (chained("AAAA"), "agreement-certificate"),
    (chained(OWN, "AB=="), "agreement-certificate"),
    (chained(chain_member(CERTIFICATES[CONSUMER])), "agreement-certificate"),
    (without(**{"x5t#S256": "a"}), "agreement-certificate"),
]


@pytest.mark.parametrize(("raw", "code"), LONE, ids=[f"{number}-{code}" for number, (_, code) in enumerate(LONE)])
def test_a_lone_signature_that_does_not_hold_is_refused_at_its_step(raw: str, code: str) -> None:
    with pytest.raises(SignatureRefused) as refused:
        jades.opened_compact(raw)
    assert refused.value.code == code


ONE = DOCUMENT["signatures"][0]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ([], "agreement-form"),
        ({}, "agreement-form"),
        (DOCUMENT | {"header": {}}, "agreement-form"),
        (DOCUMENT | {"signatures": ONE}, "agreement-form"),
        (DOCUMENT | {"signatures": []}, "agreement-form"),
        (DOCUMENT | {"signatures": [ONE] * 3}, "agreement-form"),
        (DOCUMENT | {"signatures": ["a"]}, "agreement-form"),
        (DOCUMENT | {"signatures": [ONE | {"header": {"alg": "none"}}]}, "agreement-form"),
        (DOCUMENT | {"payload": 7}, "agreement-encoding"),
        (DOCUMENT | {"payload": "AB"}, "agreement-encoding"),
        (DOCUMENT | {"signatures": [{"protected": [], "signature": "AA"}]}, "agreement-encoding"),
        (DOCUMENT | {"signatures": [ONE, ONE | {"signature": "A="}]}, "agreement-encoding"),
    ],
)
def test_a_document_of_another_form_is_refused(document: Any, code: str) -> None:
    with pytest.raises(SignatureRefused) as refused:
        jades.opened(json.dumps(document).encode())
    assert refused.value.code == code


def test_no_member_twice_and_none_too_large() -> None:
    for raw in (json.dumps(DOCUMENT).encode().replace(b"{", b'{"payload":"AA",', 1), b" " * jades.MAX_DOCUMENT_BYTES + b"{}"):
        with pytest.raises(SignatureRefused) as refused:
            jades.opened(raw)
        assert refused.value.code == "agreement-form"


# -- what is refused with the key -------------------------------------------------------------------------------------


def refused_with(one: Claim, code: str, *, who: str = PROVIDER, key: PublicKey | None = None, now_s: int = NOW_S) -> None:
    with pytest.raises(SignatureRefused) as refused:
        jades.verify(one, who, key or published(PROVIDER), now_s)
    assert refused.value.code == code


def test_the_key_must_be_the_signers() -> None:
    refused_with(claim(), "agreement-signer", who=CONSUMER)
    refused_with(replace(claim(), kid=f"{PROVIDER}.evil.example#agreement-1"), "agreement-signer")
    bare = jades.signed(CONTENT, KEYS[PROVIDER], "agreement-1", CERTIFICATES[PROVIDER], NOW_S)
    found = jades.opened_compact(jades.compact(CONTENT, bare))
    assert found.of("urn:anybody") == found.claims
    assert jades.verify(found.claims[0], "urn:anybody", published(PROVIDER), NOW_S)


def test_the_key_says_how_it_signs() -> None:
    refused_with(claim(), "agreement-key", key=public_key(dict(new_signing_key("EdDSA", "a").public_jwk)))


def test_the_certificate_is_of_the_published_key() -> None:
    refused_with(claim(), "agreement-certificate", key=published(CONSUMER))


@pytest.mark.parametrize(
    ("at_s", "now_s"),
    [
        (NOW_S, NOW_S - jades.LEEWAY_S - 1),
        (NOW_S - jades.LEEWAY_S - 1, NOW_S),
        (NOW_S + 6 * 366 * 86_400, NOW_S + 7 * 366 * 86_400),
    ],
)
def test_it_was_signed_while_the_certificate_was_good_and_not_in_the_future(at_s: int, now_s: int) -> None:
    one = jades.opened_compact(jades.compact(CONTENT, by(PROVIDER, at_s=at_s))).claims[0]
    refused_with(one, "agreement-time", now_s=now_s)


def test_a_clock_may_be_a_little_off() -> None:
    for at_s in (NOW_S - jades.LEEWAY_S, NOW_S + jades.LEEWAY_S):
        one = jades.opened_compact(jades.compact(CONTENT, by(PROVIDER, at_s=at_s))).claims[0]
        assert jades.verify(one, PROVIDER, published(PROVIDER), NOW_S)


def test_altered_bytes_and_swapped_parts_do_not_verify() -> None:
    altered = jades.compact(canonical_bytes(AGREEMENT | {"fee": "0"}), MINE)
    swapped = jades.compact(CONTENT, replace(MINE, signature=by(PROVIDER, b"{}").signature))
    short = jades.compact(CONTENT, replace(MINE, signature="AA"))
    later = jades.compact(CONTENT, replace(MINE, protected=text(json.dumps(HEADER | {"iat": NOW_S + 1}).encode())))
    for raw in (altered, swapped, short, later):
        refused_with(jades.opened_compact(raw).claims[0], "agreement-signature")


def odd_key(change: Callable[[bytes], bytes]) -> str:
    """The provider's certificate with another public key's bytes in it; nobody checks its own signature."""
    der = x509.load_pem_x509_certificate(CERTIFICATES[PROVIDER].encode()).public_bytes(Encoding.DER)
    return base64.b64encode(change(der)).decode()


def test_a_certificate_whose_key_cannot_be_read_is_of_no_key() -> None:
    point = published(PROVIDER).key.public_numbers()  # type: ignore[union-attr]  # the provider's key is on a curve
    octets = point.y.to_bytes(32)  # type: ignore[union-attr]  # and has two coordinates
    member = odd_key(lambda der: der.replace(octets, bytes([octets[0] ^ 1]) + octets[1:]))
    print_of_it = jades._thumbprint(base64.b64decode(member))
    raw = without(x5c=[member], **{"x5t#S256": print_of_it})
    refused_with(jades.opened_compact(raw).claims[0], "agreement-certificate")


def test_a_certificate_of_another_kind_of_key_is_not_the_published_ones() -> None:
    other = Ed25519PrivateKey.generate()
    made = x509.load_pem_x509_certificate(CERTIFICATES[PROVIDER].encode())
    built = x509.CertificateBuilder(made.issuer, made.subject, other.public_key(), 1)
    built = built.not_valid_before(made.not_valid_before_utc).not_valid_after(made.not_valid_after_utc)
    der = built.sign(other, None).public_bytes(Encoding.DER)
    raw = without(x5c=[base64.b64encode(der).decode()], **{"x5t#S256": jades._thumbprint(der)})
    refused_with(jades.opened_compact(raw).claims[0], "agreement-certificate")
