"""The search finds what it is for: a search that finds nothing proves nothing."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.privacy.marks import Search

MARKS = ("WVWZZZ1JZXW000042", "Jörg Quitzow-Ährenfels", "48.77586131")


@pytest.mark.parametrize("mark", MARKS)
@given(before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_a_mark_is_found_in_each_form_wherever_it_stands(mark: str, before: bytes, after: bytes) -> None:
    plain, digest = mark.encode(), sha256(mark.encode()).digest()
    search = Search(MARKS)
    for content in (plain, digest):
        whole = before + content + after
        for text in (whole, whole.hex().encode(), whole.hex().upper().encode(), b64encode(whole), urlsafe_b64encode(whole)):
            assert mark in {found for found, _ in search.found(text)}
    assert mark in {found for found, _ in search.found(before + quote(mark).encode() + after)}
    assert mark in {found for found, _ in search.found(json.dumps({"x": mark}).encode())}


def test_nothing_is_found_where_nothing_is() -> None:
    assert Search(MARKS).found(bytes(range(256)) * 100) == set()
