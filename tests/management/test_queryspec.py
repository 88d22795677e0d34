"""What is taken as a QuerySpec, and what is refused with its place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from connector.management.invalid import InvalidQuery
from connector.management.model import EDC, Criterion, QuerySpec
from connector.management.queryspec import (
    MAX_CRITERIA,
    MAX_LIMIT,
    MAX_PATH_CHARS,
    MAX_SEGMENTS,
    MAX_TEXT_CHARS,
    MAX_VALUES,
    criteria,
    document_of,
    parse,
    split,
)

TYPE = "http://purl.org/dc/terms/type"


def criterion(left: Any = "id", operator: Any = "=", right: Any = "a") -> dict[str, Any]:
    return {"@type": "Criterion", "operandLeft": left, "operator": operator, "operandRight": right}


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"@context": {"@vocab": EDC}, "@type": "QuerySpec"},
        {"offset": None, "limit": None, "sortField": None, "sortOrder": None, "filterExpression": None},
        {"filterExpression": [], "sortField": ""},
    ],
)
def test_nothing_said_is_everything(document: dict[str, Any] | None) -> None:
    assert parse(document) == QuerySpec()


def test_everything_that_can_be_said() -> None:
    spec = parse(
        {
            "offset": 3,
            "limit": 7.0,
            "sortField": "createdAt",
            "sortOrder": "desc",
            "filterExpression": [criterion(f"'{TYPE}'.'@id'", "ILIKE", "a%"), criterion("id", "notIn", ["a", 1])],
        }
    )
    assert (spec.offset, spec.limit, spec.sort_path, spec.descending) == (3, 7, ("createdAt",), True)
    assert spec.criteria == (
        Criterion(f"'{TYPE}'.'@id'", (TYPE, "@id"), "ilike", "a%"),
        Criterion("id", ("id",), "notin", ("a", 1)),
    )


def test_what_compaction_leaves_of_an_array_is_taken() -> None:
    assert parse({"filterExpression": criterion()}).criteria == parse({"filterExpression": [criterion()]}).criteria
    assert criteria([criterion(operator="IN", right="a")], "")[0].right == ("a",)
    assert criteria([criterion(operator="=", right=["a"])], "")[0].right == "a"


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([], ""),
        ({"sort": "id"}, "sort"),
        ({"offset": -1}, "offset"),
        ({"offset": True}, "offset"),
        ({"offset": 1.5}, "offset"),
        ({"limit": 0}, "limit"),
        ({"limit": MAX_LIMIT + 1}, "limit"),
        ({"limit": "50"}, "limit"),
        ({"sortOrder": "UP"}, "sortOrder"),
        ({"sortOrder": 1}, "sortOrder"),
        ({"sortField": 1}, "sortField"),
        ({"sortField": "a..b"}, "sortField"),
        ({"filterExpression": "id = a"}, "filterExpression"),
        ({"filterExpression": [criterion()] * (MAX_CRITERIA + 1)}, "filterExpression"),
        ({"filterExpression": ["id"]}, "filterExpression[0]"),
        ({"filterExpression": [{**criterion(), "operand": 1}]}, "filterExpression[0].operand"),
        ({"filterExpression": [criterion(), criterion(operator="equals")]}, "filterExpression[1].operator"),
        ({"filterExpression": [criterion(operator=None)]}, "filterExpression[0].operator"),
        ({"filterExpression": [criterion(left="")]}, "filterExpression[0].operandLeft"),
        ({"filterExpression": [criterion(left=1)]}, "filterExpression[0].operandLeft"),
        ({"filterExpression": [criterion(right=None)]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(right={})]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(right=["a", "b"])]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(right="a\0")]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(right="\ud800")]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(right=float("nan"))]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(right=1 << 60)]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(right="a" * (MAX_TEXT_CHARS + 1))]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(operator="in", right=[])]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(operator="in", right=[1] * (MAX_VALUES + 1))]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(operator="like", right=1)]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(operator="like", right="%a" * 33)]}, "filterExpression[0].operandRight"),
        ({"filterExpression": [criterion(operator="<", right=True)]}, "filterExpression[0].operandRight"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_place(document: Any, path: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        parse(document)
    assert (refused.value.path, refused.value.status) == (path, 400)


def test_what_is_shown_of_a_wrong_value_is_short() -> None:
    with pytest.raises(InvalidQuery) as refused:
        parse({"filterExpression": [criterion(right="a" * (MAX_TEXT_CHARS + 1))]})
    assert len(str(refused.value.value)) == 200


@pytest.mark.parametrize(
    ("left", "segments"),
    [
        ("id", ("id",)),
        ("@id", ("@id",)),
        ("contractAgreement.assetId", ("contractAgreement", "assetId")),
        ("https://w3id.org/edc/v0.0.1/ns/id", (f"{EDC}id",)),
        ("edc:name", ("edc:name",)),
        (f"'{TYPE}'.'@id'", (TYPE, "@id")),
        (f"{TYPE}.'@id'", (TYPE, "@id")),
        (f"properties.'{TYPE}'.'@id'", ("properties", TYPE, "@id")),
        (f"properties.{TYPE}", ("properties", TYPE)),
        ("'it''s'.b", ("it's", "b")),
        ("a.urn:b.c", ("a", "urn:b.c")),
    ],
)
def test_paths_are_taken_apart(left: str, segments: tuple[str, ...]) -> None:
    assert split(left, "") == segments


@pytest.mark.parametrize("left", [".", "a.", ".a", "a..b", "'a", "a'b", "'a'b", "''", "a.'b", "x" * (MAX_PATH_CHARS + 1), "a\0"])
def test_paths_that_are_none_are_refused(left: str) -> None:
    with pytest.raises(InvalidQuery):
        split(left, "")


def test_a_path_is_not_endless() -> None:
    assert len(split(".".join("a" * MAX_SEGMENTS), "")) == MAX_SEGMENTS
    with pytest.raises(InvalidQuery):
        split(".".join("a" * (MAX_SEGMENTS + 1)), "")


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=MAX_SEGMENTS))
def test_quoted_segments_come_back(segments: list[str]) -> None:
    left = ".".join("'" + segment.replace("'", "''") + "'" for segment in segments)
    assume(len(left) <= MAX_PATH_CHARS)
    assert split(left, "") == tuple(segments)


SCALARS = TEXTS | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.booleans()


@given(
    st.sampled_from(["=", "!=", "contains"]).flatmap(lambda operator: st.tuples(st.just(operator), SCALARS))
    | st.sampled_from(["in", "notIn"]).flatmap(lambda operator: st.tuples(st.just(operator), st.lists(SCALARS, min_size=1)))
)
def test_a_criterion_is_written_as_it_was_read(said: tuple[str, Any]) -> None:
    document = {"operandLeft": "a.b", "operator": said[0], "operandRight": said[1]}
    read = criteria([document], "")[0]
    assert document_of(read) == document
    assert criteria([document_of(read)], "") == (read,)
