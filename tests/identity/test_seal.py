"""What is signed for good: opened and verified step by step, and whose key it is verified with."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.canonical import canonical_bytes
from connector.identity.did import DidRefused
from connector.identity.gate import public_key
from connector.identity.participants import Admission, Participant, Profile
from connector.identity.registry import Registry
from connector.identity.seal import SealRefused, opened, seal, verify
from connector.identity.signers import KeyAway, Signers
from connector.identity.signing import new_signing_key, sign_bytes
from tests.identity.entries import KnownEntries

DID = "did:web:them.example"
KEY = new_signing_key("ES256", "a")
OTHER = new_signing_key("EdDSA", "b")
OTHER_RAW = base64.urlsafe_b64decode(OTHER.public_jwk["x"] + "=")
KID = f"{DID}#a"
TYP = "carnet-receipt+jws"
CONTENT = {"id": "urn:receipt:1", "rows": 7}
SEALED = seal(KEY, KID, TYP, CONTENT)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def with_header(**changes: Any) -> str:
    header = {"alg": "ES256", "kid": KID, "typ": TYP} | changes
    kept = {name: value for name, value in header.items() if value is not None}
    return f"{b64(json.dumps(kept).encode())}.{SEALED.split('.')[1]}.{SEALED.split('.')[2]}"


def with_payload(payload: bytes) -> str:
    return sign_bytes(KEY, TYP, payload, kid=KID)


@given(st.dictionaries(st.text("abc", min_size=1), st.one_of(st.integers(0, 2**50), st.text(max_size=5)), max_size=5))
def test_what_is_sealed_opens_to_what_it_was(content: dict[str, Any]) -> None:
    for key, name in ((KEY, "a"), (OTHER, "b")):
        found = opened(seal(key, f"{DID}#{name}", TYP, content), TYP, DID)
        assert (found.content, found.kid, found.algorithm) == (content, f"{DID}#{name}", key.algorithm)
        assert verify(found, public_key(dict(key.public_jwk))) == key.thumbprint


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("", "seal-form"),
        ("a.b", "seal-form"),
        (SEALED + "=", "seal-form"),
        ("a" * 200_000 + ".a.a", "seal-form"),
        (f"{SEALED.rpartition('.')[0]}.AB", "seal-encoding"),
        (f"{b64(b'[]')}.{b64(b'{}')}.AA", "seal-not-json"),
        (f"{SEALED.split('.')[0]}.{b64(b'7')}.AA", "seal-not-json"),
        (with_header(jku="https://evil.example"), "seal-header"),
        (with_header(kid=None), "seal-header"),
        (with_header(kid=7), "seal-header"),
        (with_header(kid="a\u0000"), "seal-header"),
        (with_header(alg="none"), "seal-type"),
        (with_header(typ="at+jwt"), "seal-type"),
        (with_payload(json.dumps(CONTENT).encode()), "seal-not-canonical"),
        (with_header(kid="did:web:else.example#a"), "seal-signer"),
    ],
)
def test_what_does_not_hold_is_refused_at_its_step(raw: str, code: str) -> None:
    with pytest.raises(SealRefused) as refused:
        opened(raw, TYP, DID)
    assert refused.value.code == code


def test_another_key_or_altered_bytes_do_not_verify() -> None:
    found = opened(SEALED, TYP, DID)
    with pytest.raises(SealRefused) as refused:
        verify(found, public_key(dict(OTHER.public_jwk)))
    assert refused.value.code == "seal-key"
    with pytest.raises(SealRefused) as refused:
        verify(found, public_key(dict(new_signing_key("ES256", "c").public_jwk)))
    assert refused.value.code == "seal-signature"
    head, _, signature = SEALED.split(".")
    altered = f"{head}.{b64(canonical_bytes({**CONTENT, 'rows': 8}))}.{signature}"
    with pytest.raises(SealRefused) as refused:
        verify(opened(altered, TYP, DID), public_key(dict(KEY.public_jwk)))
    assert refused.value.code == "seal-signature"


# -- whose key ---------------------------------------------------------------------------------------------------------


class Library:
    """DID documents, the newest last; each look takes the next."""

    def __init__(self, *documents: dict[str, Any]) -> None:
        self.documents = list(documents)
        self.asked: list[bool] = []

    async def document(self, url: str, *, fresh: bool = False, asked_by: str | None = None) -> Mapping[str, Any]:
        self.asked.append(fresh)
        if not self.documents:
            raise DidRefused("did-away", "nobody answers there")
        return self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]


def described(*names: str, use: str = "assertionMethod") -> dict[str, Any]:
    keys = {"a": KEY, "b": OTHER}
    methods = [
        {"id": f"{DID}#{name}", "type": "JsonWebKey2020", "controller": DID, "publicKeyJwk": dict(keys[name].public_jwk)}
        for name in names
    ]
    return {"id": DID, "verificationMethod": methods, use: [f"{DID}#{name}" for name in names]}


def signers(library: Library, *entries: Participant) -> Signers:
    return Signers(cast("Registry", KnownEntries(entries)), library, http_loopback=False)


def pinned(*jwks: dict[str, Any]) -> Participant:
    return Participant(id=DID, state=Admission.ADMITTED, profile=Profile(keys=jwks))


async def test_a_key_for_agreements_is_found_in_the_did_document() -> None:
    library = Library(described("a"))
    assert (await signers(library).key(DID, KID)).thumbprint == KEY.thumbprint
    assert library.asked == [False]


async def test_a_key_that_is_not_there_yet_is_looked_for_once_more() -> None:
    library = Library(described("b"), described("b", "a"))
    assert (await signers(library).key(DID, KID)).thumbprint == KEY.thumbprint
    assert library.asked == [False, True]


async def test_a_key_for_tokens_signs_no_receipts() -> None:
    with pytest.raises(KeyAway) as away:
        await signers(Library(described("a", use="authentication"))).key(DID, KID)
    assert away.value.code == "signer-key-away"


async def test_without_a_document_the_key_is_away() -> None:
    with pytest.raises(KeyAway):
        await signers(Library()).key(DID, KID)


@pytest.mark.parametrize("kid", [KID, "a"])
async def test_pinned_keys_are_the_only_ones_of_their_participant(kid: str) -> None:
    library = Library(described("a"))
    mine = pinned(dict(KEY.public_jwk), dict(OTHER.public_jwk))
    assert (await signers(library, mine).key(DID, kid)).thumbprint == KEY.thumbprint
    assert library.asked == []
    with pytest.raises(KeyAway) as away:
        await signers(library, pinned(dict(OTHER.public_jwk))).key(DID, kid)
    assert away.value.code == "signer-key-unknown"


async def test_a_pinned_key_that_is_none_is_away() -> None:
    with pytest.raises(KeyAway) as away:
        await signers(Library(), pinned({"kid": "a", "kty": "oct"})).key(DID, KID)
    assert away.value.code == "signer-key-unusable"


async def test_who_has_neither_pinned_keys_nor_a_did_has_no_key() -> None:
    with pytest.raises(KeyAway) as away:
        await signers(Library()).key("urn:example:them", "a")
    assert away.value.code == "signer-key-unknown"


# -- whose log ---------------------------------------------------------------------------------------------------------


async def test_the_keys_of_a_log_are_those_for_assertions_that_are_of_its_kind() -> None:
    library = Library(described("a", "b"))
    assert await signers(library).log_keys(DID) == (OTHER_RAW,)
    assert await signers(library).log_keys(DID, fresh=True) == (OTHER_RAW,)
    assert library.asked == [False, True]


async def test_a_key_for_tokens_signs_no_log() -> None:
    with pytest.raises(KeyAway) as away:
        await signers(Library(described("b", use="authentication"))).log_keys(DID)
    assert away.value.code == "log-key-unknown"


async def test_without_a_document_the_key_of_a_log_is_away() -> None:
    with pytest.raises(KeyAway) as away:
        await signers(Library()).log_keys(DID)
    assert away.value.code == "log-key-away"


async def test_of_pinned_keys_the_first_of_each_that_is_of_the_kind_of_a_log_counts() -> None:
    library = Library(described("b"))
    mine = pinned(dict(KEY.public_jwk), dict(OTHER.public_jwk), {"kid": "c", "kty": "oct"}, dict(OTHER.public_jwk))
    assert await signers(library, mine).log_keys(DID) == (OTHER_RAW,)
    with pytest.raises(KeyAway) as away:
        await signers(library, pinned(dict(KEY.public_jwk))).log_keys(DID)
    assert away.value.code == "log-key-unknown"
    assert library.asked == []


async def test_who_has_neither_pinned_keys_nor_a_did_has_no_key_of_a_log() -> None:
    with pytest.raises(KeyAway) as away:
        await signers(Library()).log_keys("urn:example:them")
    assert away.value.code == "log-key-unknown"
