"""Good tokens that chance has changed: nothing but the change decides, and nothing but a refusal comes out."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.identity.gate import TokenRefused
from tests.attacks.forge import Kind, b64, flat
from tests.attacks.test_token_table import JUDGES, recipe
from tests.conformance.spoiling import junk

LETTERS = "ABCXYZabcxyz0189-_.=+/ \n\0é%,\"'"
# What says what a token is for. With any other value it must be refused.
DECISIVE = {
    Kind.ACCESS: ("iss", "aud", "exp", "iat"),
    Kind.PROOF: ("htm", "htu", "iat", "ath"),
    Kind.ASSERTION: ("iss", "aud", "exp", "iat"),
}


def taken(kind: Kind, raw: str) -> bool:
    """Whether the gate takes it. Anything but a refusal of its own is an error of ours."""
    try:
        JUDGES[kind](raw)
    except TokenRefused:
        return False
    return True


@given(
    kind=st.sampled_from(Kind), place=st.floats(0, 1, exclude_max=True), letter=st.sampled_from(LETTERS), how=st.integers(0, 3)
)
def test_a_letter_more_less_or_other_is_refused(kind: Kind, place: float, letter: str, how: int) -> None:
    raw = recipe(kind).good
    at = int(place * len(raw))
    changed = (
        raw[:at] + letter + raw[at + 1 :],
        raw[:at] + letter + raw[at:],
        raw[:at] + raw[at + 1 :],
        raw[:at] + raw[at:][::-1],
    )[how]
    assert not taken(kind, changed) or changed == raw


@given(kind=st.sampled_from(Kind), raw=st.one_of(st.text(max_size=300), st.from_regex(r"[\w-]{1,40}\.[\w-]{1,40}\.[\w-]{1,40}")))
def test_what_is_no_token_is_refused(kind: Kind, raw: str) -> None:
    assert not taken(kind, raw)


@given(kind=st.sampled_from(Kind), header=st.binary(max_size=200), claims=st.binary(max_size=200))
def test_bytes_of_any_kind_with_a_good_signature_are_refused(kind: Kind, header: bytes, claims: bytes) -> None:
    made = recipe(kind)
    assert not taken(kind, made.compact(payload=claims))
    assert not taken(kind, made.compact(header))


@given(kind=st.sampled_from(Kind), seed=st.integers(0, 2**32), name=st.integers(0, 3))
def test_a_decisive_claim_of_any_other_value_is_refused(kind: Kind, seed: int, name: int) -> None:
    """Well signed: only what the claim says is wrong."""
    claim, made = DECISIVE[kind][name], recipe(kind)
    value = junk(random.Random(seed))  # noqa: S311 - chance by a seed
    assert not taken(kind, made.with_claims(**{claim: value}))


@given(kind=st.sampled_from(Kind), seed=st.integers(0, 2**32))
def test_a_header_member_of_any_value_is_no_failure(kind: Kind, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - chance by a seed
    name = chance.choice(["alg", "typ", "kid", "jwk", "cty", "x5t#S256", "crit", "x"])
    raw = recipe(kind).with_header(**{name: junk(chance)})
    # A name of a key, or what the content is, may be any text; the signature is good.
    assert not taken(kind, raw) or name in ("kid", "cty", "x5t#S256")


@given(kind=st.sampled_from(Kind), seed=st.integers(0, 2**32))
def test_a_member_of_an_embedded_key_of_any_value_is_no_failure(kind: Kind, seed: int) -> None:
    chance, made = random.Random(seed), recipe(kind)  # noqa: S311 - chance by a seed
    name = chance.choice(["kty", "crv", "x", "y", "d", "k", "n", "e", "use", "alg", "key_ops", "kid", "oth", "ext"])
    value: Any = junk(chance)
    raw = made.with_header(jwk={**made.key.jwk, name: value})
    # RFC 7517, 4: members that nobody knows are passed over.
    assert not taken(kind, raw) or (kind is Kind.PROOF and name in ("kid", "n", "e", "ext"))


@pytest.mark.parametrize("kind", Kind)
def test_an_order_of_members_makes_no_difference(kind: Kind) -> None:
    made = recipe(kind)
    turned = [json.dumps(dict(reversed(members.items()))).encode() for members in (made.header, made.claims)]
    assert taken(kind, made.compact(*turned))
    assert not taken(kind, f"{b64(turned[0])}.{b64(flat(made.claims))}.{made.good.rpartition('.')[2]}")
