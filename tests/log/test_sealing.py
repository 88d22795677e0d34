"""Payloads beside the log: what is sealed comes back with its own key alone, and shows nothing of itself."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.log.sealing import PayloadWrong, commitment, opened, payload_key, sealed
from connector.protocol.errors import InvariantBroken

SUBJECT = bytes(range(32))
LEAF = "urn:uuid:00000000-0000-4000-8000-000000000001"
OTHER = "urn:uuid:00000000-0000-4000-8000-000000000002"
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(payload=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), values, max_size=4))
def test_what_was_sealed_comes_back(payload: dict[str, Any]) -> None:
    key = payload_key(SUBJECT, LEAF)
    made = sealed(payload, key, LEAF)
    assert opened(made.ciphertext, key, LEAF) == payload
    assert made.sha256 == sha256(made.ciphertext).hexdigest()
    assert made.key == commitment(key)


def test_every_leaf_has_a_key_of_its_own() -> None:
    assert payload_key(SUBJECT, LEAF) != payload_key(SUBJECT, OTHER)
    assert payload_key(SUBJECT, LEAF) != payload_key(bytes(32), LEAF)
    assert len(payload_key(SUBJECT, LEAF)) == 32


@given(place=st.integers(0, 10_000))
def test_a_changed_byte_is_refused(place: int) -> None:
    key = payload_key(SUBJECT, LEAF)
    changed = bytearray(sealed({"name": "somebody", "count": 3}, key, LEAF).ciphertext)
    changed[place % len(changed)] ^= 1
    with pytest.raises(PayloadWrong) as caught:
        opened(bytes(changed), key, LEAF)
    assert caught.value.code == "payload-changed"


def test_another_leaf_or_key_does_not_open_it() -> None:
    key = payload_key(SUBJECT, LEAF)
    made = sealed({"a": 1}, key, LEAF)
    for other_key, other_leaf in ((key, OTHER), (payload_key(SUBJECT, OTHER), LEAF)):
        with pytest.raises(PayloadWrong, match="payload-changed"):
            opened(made.ciphertext, other_key, other_leaf)


@pytest.mark.parametrize(("ciphertext", "key"), [(b"", bytes(32)), (bytes(27), bytes(32)), (bytes(100), b"short")])
def test_what_is_too_short_is_refused(ciphertext: bytes, key: bytes) -> None:
    with pytest.raises(PayloadWrong, match="payload-damaged"):
        opened(ciphertext, key, LEAF)


def test_two_contents_under_one_key_share_no_nonce() -> None:
    key = payload_key(SUBJECT, LEAF)
    assert sealed({"a": 1}, key, LEAF).ciphertext[:12] != sealed({"a": 2}, key, LEAF).ciphertext[:12]


@pytest.mark.parametrize("odd", [2**60, float("inf"), "\ud800", {"\udfff": 1}])
def test_what_has_no_canonical_form_is_kept_as_text(odd: Any) -> None:
    key = payload_key(SUBJECT, LEAF)
    found = opened(sealed({"said": odd}, key, LEAF).ciphertext, key, LEAF)
    assert list(found) == ["withoutCanonicalForm"]
    assert "said" in found["withoutCanonicalForm"]


def test_a_payload_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connector.log.sealing.MAX_PAYLOAD_BYTES", 10)
    with pytest.raises(InvariantBroken, match="payload-size"):
        sealed({"a": "0123456789"}, payload_key(SUBJECT, LEAF), LEAF)


def test_a_sealed_payload_does_not_show_its_bytes() -> None:
    assert "ciphertext" not in repr(sealed({"a": 1}, payload_key(SUBJECT, LEAF), LEAF))
