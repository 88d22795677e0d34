"""What a criterion means, and where paths lead."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.management.invalid import InvalidQuery
from connector.management.leaves import (
    HEAD_BYTES,
    MAX_LEAVES,
    asset_place,
    definition_place,
    head_of,
    leaves,
    like,
    matches,
    of_asset,
    of_definition,
    policy_place,
    rank_of,
    selects,
)
from connector.management.model import EDC, Asset, ContractDefinition
from connector.management.queryspec import criteria, split

TYPE = "http://purl.org/dc/terms/type"
ASSET = Asset(
    "a.1",
    properties={
        f"{EDC}name": "Trips of Ärzte",
        f"{EDC}rows": 10,
        f"{EDC}open": True,
        f"{EDC}tags": ["x", "y", 1],
        TYPE: {"@id": "urn:type:trips"},
        "urn:parts": [{"@id": "p1"}, {"@id": "p2"}],
    },
    private_properties={f"{EDC}place": "Berlin"},
    data_address={f"{EDC}type": "HttpData", f"{EDC}baseUrl": "https://api.example/", f"{EDC}authCode": "secret"},
    created_at=1000,
)


def meets(left: str, operator: str, right: Any) -> bool:
    [criterion] = criteria([{"operandLeft": left, "operator": operator, "operandRight": right}], "")
    return matches(criterion, of_asset(ASSET))


@pytest.mark.parametrize(
    ("left", "operator", "right", "met"),
    [
        ("id", "=", "a.1", True),
        (f"{EDC}id", "=", "a.1", True),
        ("properties.id", "=", "a.1", True),
        ("@id", "in", ["b", "a.1"], True),
        ("createdAt", ">=", 1000, True),
        ("createdAt", ">", 1000, False),
        ("name", "like", "%of Ä_zte", True),
        ("name", "like", "trips%", False),
        ("name", "ilike", "TRIPS%ÄRZTE", True),
        ("properties.name", "!=", "Trips", True),
        (f"properties.'{EDC}name'", "=", "Trips of Ärzte", True),
        ("rows", "=", 10, True),
        ("rows", "=", 10.0, True),
        ("rows", "=", "10", True),
        ("rows", "<", 9, False),
        ("rows", "<", "9", False),  # a text orders texts only
        ("rows", "like", "1%", False),
        ("open", "=", True, True),
        ("open", "=", "true", True),
        ("open", "=", 1, False),
        ("tags", "contains", "y", True),
        ("tags", "=", "x", True),
        ("tags", "notIn", ["z"], True),
        ("tags", "notIn", ["z", "x"], False),
        (f"'{TYPE}'.'@id'", "=", "urn:type:trips", True),
        (f"{TYPE}.'@id'", "=", "urn:type:trips", True),
        (TYPE, "=", "urn:type:trips", False),
        ("'urn:parts'.'@id'", "contains", "p2", True),
        ("privateProperties.place", "=", "Berlin", True),
        ("place", "=", "Berlin", False),
        ("dataAddress.type", "=", "HttpData", True),
        ("nothing", "!=", "x", False),
        ("nothing", "notIn", ["x"], False),
        ("nothing", "=", "x", False),
    ],
)
def test_an_asset_meets_a_criterion_or_not(left: str, operator: str, right: Any, met: bool) -> None:
    assert meets(left, operator, right) is met


def test_a_selector_needs_every_criterion_and_an_empty_one_has_everything() -> None:
    both = criteria(
        [
            {"operandLeft": "id", "operator": "=", "operandRight": "a.1"},
            {"operandLeft": "rows", "operator": "<", "operandRight": 5},
        ],
        "",
    )
    assert selects((), ASSET)
    assert selects(both[:1], ASSET)
    assert not selects(both, ASSET)


@pytest.mark.parametrize(
    "left",
    ["dct:title", "id.x", "createdAt.x", "properties", "dataAddress", "dataAddress.authCode", "dataAddress.'header:x'"],
)
def test_what_leads_nowhere_in_an_asset_is_refused(left: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        asset_place(split(left, ""), "here")
    assert refused.value.path == "here"


def test_credentials_of_a_data_address_are_no_leaves() -> None:
    assert "secret" not in str(leaves(of_asset(ASSET)))


@pytest.mark.parametrize(
    ("left", "assumed"),
    [("name", False), ("rows", True), ("name.x", True), ("properties.rows", False), (f"{EDC}rows", False), ("edc:rows", False)],
)
def test_a_word_that_may_be_a_slip_is_told_from_a_property(left: str, assumed: bool) -> None:
    assert asset_place(split(left, ""), "").assumed is assumed


@pytest.mark.parametrize("left", ["id", "@id", "createdAt", f"{EDC}createdAt", "privateProperties.a"])
def test_policies_and_definitions_have_few_fields(left: str) -> None:
    assert policy_place(split(left, ""), "") == definition_place(split(left, ""), "")
    for place in (policy_place, definition_place):
        with pytest.raises(InvalidQuery):
            place(("policy", "target"), "")
        with pytest.raises(InvalidQuery):
            place(("privateProperties",), "")


def test_a_definition_is_found_by_its_policies_and_its_selector() -> None:
    selector = criteria([{"operandLeft": "id", "operator": "IN", "operandRight": ["a", "b"]}], "")
    found = leaves(of_definition(ContractDefinition("d", "p", "q", selector)))
    for left, text in [
        ("accessPolicyId", "p"),
        ("contractPolicyId", "q"),
        ("assetsSelector.operandLeft", "id"),
        ("assetsSelector.operandRight", "b"),
    ]:
        path = definition_place(split(left, ""), "").path
        assert text in [leaf.text for leaf in found if leaf.path == path]
    with pytest.raises(InvalidQuery):
        definition_place(("assetsSelector", "x"), "")


def test_leaves_hold_what_a_database_can_keep() -> None:
    document = {
        "null": None, "nan": float("nan"), "zero": "a\0", "half": "\ud800", "huge": 10**400, "nested": [[1]],
        "long" * 200: 1, "\ud800": 1,
        "ok": ["a", "a", 1, "1", 1.0, False],
    }  # fmt: skip
    assert [(leaf.path, leaf.head) for leaf in leaves(document)] == [(("ok",), "a"), (("ok",), "1"), (("ok",), "false")]
    assert len(leaves({"a": list(range(MAX_LEAVES + 5))})) == MAX_LEAVES
    deep: dict[str, Any] = {"a": 1}
    for _ in range(20):
        deep = {"a": deep}
    assert leaves(deep) == []


NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)


@given(NUMBERS, NUMBERS)
def test_ranks_order_numbers(one: float, other: float) -> None:
    assert (rank_of(one) < rank_of(other)) == (float(one) < float(other))
    assert (rank_of(one) == rank_of(other)) == (float(one) == float(other))


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS, TEXTS)
def test_ranks_order_texts_by_their_code_points(one: str, other: str) -> None:
    assert (rank_of(one) < rank_of(other)) == (one < other)


@given(st.integers(0, 9), st.sampled_from(["a", "ä", "🙂"]))
def test_long_texts_are_told_apart(more: int, char: str) -> None:
    text = char * HEAD_BYTES
    heads = {head_of(text + end) for end in ("", "b" * more, "b" * more + "c", "c")}
    assert len(heads) == len({text, text + "b" * more, text + "b" * more + "c", text + "c"})
    assert head_of(head_of(text + "x")) != head_of(text + "x")
    assert all(len(each.encode()) <= HEAD_BYTES + 65 for each in heads)


PATTERN = st.text(st.sampled_from("ab%_.*\n"), max_size=8)


@given(st.text(st.sampled_from("ab%_.*\n"), max_size=8), PATTERN)
def test_like_is_what_the_plain_expression_says(text: str, pattern: str) -> None:
    plain = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in pattern)
    assert like(text, pattern) == (re.fullmatch(plain, text, re.DOTALL) is not None)


def test_no_pattern_takes_long() -> None:
    assert not like("a" * 4000, "%a" * 2000 + "b")
