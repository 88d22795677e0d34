"""Canonical bytes are RFC 8785's, and a digest is of them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from catalog.canonical import canonical_bytes, digest
from catalog.errors import DocumentError

scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
trees = st.recursive(
    scalars | st.text(), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


def test_members_are_sorted_by_utf_16_and_numbers_are_written_as_in_ecmascript() -> None:
    value = {"\ufb33": 1, "\U0001f600": 2.0, "a": [1e21, 1e-7, -0.0], "\r": '"'}
    assert canonical_bytes(value) == '{"\\r":"\\"","a":[1e+21,1e-7,0],"\U0001f600":2,"\ufb33":1}'.encode()


def test_a_digest_is_sha_256_of_the_canonical_bytes() -> None:
    assert digest({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


@given(trees)
def test_the_order_in_which_members_were_written_does_not_count(value: Any) -> None:
    def reversed_members(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {name: reversed_members(tree[name]) for name in reversed(list(tree))}
        return [reversed_members(item) for item in tree] if isinstance(tree, list) else tree

    raw = canonical_bytes(value)
    assert canonical_bytes(reversed_members(value)) == raw
    assert canonical_bytes(json.loads(raw)) == raw


@given(trees)
def test_the_fast_way_writes_what_the_reference_writes(value: Any) -> None:
    assert canonical_bytes(value) == rfc8785.dumps(value)


def test_every_character_is_written_as_the_reference_writes_it() -> None:
    for start in range(0, 0x110000, 0x1000):
        text = "".join(chr(point) for point in range(start, start + 0x1000) if not 0xD800 <= point < 0xE000)
        assert canonical_bytes([text]) == rfc8785.dumps([text])
    names = {chr(point): point for point in range(0x80)}
    assert canonical_bytes(names) == rfc8785.dumps(names)


@pytest.mark.parametrize("depth", [99, 100, 101, 200])
def test_nesting_does_not_change_the_bytes(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]}
    assert canonical_bytes(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), "\ud800", {1: 2}, {"a": {1}}, {"\ud800": 1}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(DocumentError) as caught:
        canonical_bytes(value)
    assert caught.value.code == "member-invalid"


def test_depth_is_an_error_and_no_crash() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(DocumentError, match="document-too-deep"):
        digest(deep)
