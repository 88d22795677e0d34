"""Bytes are read strictly and within bounds, and written so that DSP's schemas accept them."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.jsonld import DocumentError, dumps, guard, normalise, parse
from catalog.wire import MAX_BYTES, MAX_EXACT

DEEP = 100_000


def refusal(raw: bytes, **bounds: int) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        parse(raw, **bounds)
    return caught.value


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "document-not-json"),
        (b"\xff\xfe", "document-not-json"),
        (b'{"a":"\xed\xa0\x80"}', "document-not-json"),
        (b'{"a":"\\ud800"}', "document-not-json"),
        (b'\xef\xbb\xbf{"a":1}', "document-not-json"),
        (b'{"a":NaN}', "document-not-json"),
        (b'{"a":-Infinity}', "document-not-json"),
        (b'{"a":1e999}', "document-not-json"),
        (b'{"a":1,}', "document-not-json"),
        (b'{"a":1} {"b":2}', "document-not-json"),
        (b"[]", "document-not-json"),
        (b'"text"', "document-not-json"),
        (b"null", "document-not-json"),
        (b'{"a":1,"a":1}', "document-duplicate-member"),
        (b'{"a":1,"\\u0061":2}', "document-duplicate-member"),
        (b'{"a":{"b":[{"c" :1,"c" :2}]}}', "document-duplicate-member"),
        (b'{"a":{"b":1,"b":2,"x":"\\":"}}', "document-duplicate-member"),
        (b'{"a":"\\":","b":1,"b" :2}', "document-duplicate-member"),
        (b'{"a":9007199254740992}', "member-invalid"),
        (b'{"a":123456789012345678901234567890}', "member-invalid"),
        (b'{"a":[-1e300]}', "member-invalid"),
        (b'{"a":' + b"9" * 100_000 + b"}", "document-not-json"),
        (b"[" * DEEP + b"]" * DEEP, "document-too-deep"),
        (b'{"a":' * (DEEP // 4) + b"1" + b"}" * (DEEP // 4), "document-too-deep"),
        (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "document-too-deep"),
        (b'{"a":"' + b"x" * 10_000_000 + b'"}', "document-too-large"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_not_strict_json_within_bounds_is_refused(raw: bytes, code: str) -> None:
    assert refusal(raw).code == code


def test_bounds_are_inclusive() -> None:
    nested = b'{"a":' + b"[" * 63 + b"]" * 63 + b"}"
    assert parse(nested)
    raw = b'{"a":"' + b"x" * (MAX_BYTES - 8) + b'"}'
    assert len(parse(raw)["a"]) == MAX_BYTES - 8
    assert refusal(raw + b" ").code == "document-too-large"
    assert len(parse(raw + b" ", max_bytes=MAX_BYTES + 1)["a"]) == MAX_BYTES - 8
    assert refusal(nested, max_depth=63).code == "document-too-deep"
    assert parse(b'{"a":[%d,-%d]}' % (MAX_EXACT, MAX_EXACT))


def test_brackets_and_colons_in_texts_do_not_count() -> None:
    document = {"a": "[{" * 200, '":': '":":', "b": '\\":\\\\":', "c\n:": " :"}
    assert parse(json.dumps(document).encode()) == document
    assert parse(json.dumps(document, indent=1, separators=(" ,", "\n:\t")).encode()) == document


def test_a_refusal_names_the_member_and_repeats_little() -> None:
    error = refusal(b'{"%s":1,"%s":2}' % (b"n" * 5000, b"n" * 5000))
    assert error.code == "document-duplicate-member"
    assert len(error.reason) < 200
    assert len(error.path) <= 81
    assert refusal(b'{"x":1,"y":{"b":1,"b":2}}').path == "/b"


def test_an_unterminated_text_of_escapes_is_refused_at_once() -> None:
    assert refusal(b'{"a":"' + b'\\"' * 120_000).code == "document-not-json"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_EXACT, MAX_EXACT) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(st.dictionaries(st.text('a":{[\\ \n\t', max_size=4), json_values), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_object_is_read_as_it_was_written(document: dict[str, Any], indent: Any, ascii_only: bool) -> None:
    raw = json.dumps(document, indent=indent, ensure_ascii=ascii_only, separators=(",", " : ") if indent else None)
    assert parse(raw.encode()) == document


@given(
    st.lists(st.tuples(st.text('a":\\', max_size=2), st.integers(0, 9)), max_size=5),
    st.sampled_from([":", " :", "\n:", ": "]),
)
def test_duplicates_are_refused_and_nothing_else_is(pairs: list[tuple[str, int]], colon: str) -> None:
    raw = "{" + ",".join(f"{json.dumps(name)}{colon}{value}" for name, value in pairs) + "}"
    if len(dict(pairs)) < len(pairs):
        assert refusal(raw.encode()).code == "document-duplicate-member"
    else:
        assert parse(raw.encode()) == dict(pairs)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        document = parse(raw)
    except DocumentError:
        return
    assert parse(dumps(document)) == document


def test_a_context_is_written_as_an_array() -> None:
    assert dumps({"a": "é", "@context": "urn:c"}) == '{"a":"é","@context":["urn:c"]}'.encode()
    assert dumps({"@context": ["urn:c"]}) == b'{"@context":["urn:c"]}'
    with pytest.raises(DocumentError, match="document-not-json"):
        dumps({"a": object()})


def test_values_that_did_not_come_as_bytes_are_bounded_too() -> None:
    deep: dict[str, Any] = {}
    for _ in range(DEEP):
        deep = {"a": deep}
    cases: list[tuple[Any, str]] = [
        (deep, "document-too-deep"),
        (parse(b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", max_depth=200), "document-too-deep"),
        ({"a": 1 << 70}, "document-not-json"),
        ({"a": "\ud800"}, "document-not-json"),
        ({1: "a"}, "document-not-json"),
        ({"a": {1, 2}}, "document-not-json"),
    ]
    for bad, code in cases:
        for door in (guard, normalise):
            with pytest.raises(DocumentError) as caught:
                door(bad)
            assert caught.value.code == code


def test_bombs_of_json_ld_are_small_change() -> None:
    blanks = [{"@id": f"_:b{i}", "urn:p:x": [{"@id": f"_:b{j}"} for j in range(40)]} for i in range(40)]
    linked = {"@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@id": "urn:x", "urn:p:y": blanks}
    with pytest.raises(DocumentError, match="member-missing"):
        normalise(parse(orjson.dumps(linked)))
    many = {**linked, "@context": {f"p{i}": f"https://example.org/{i}#" for i in range(1000)}}
    with pytest.raises(DocumentError, match="context-inline"):
        normalise(many)
    with pytest.raises(DocumentError, match="document-too-costly"):
        normalise({**linked, "urn:p:y": ["x"] * 60_000})
    typed = [{"@type": "Dataset"} for _ in range(4000)]
    with pytest.raises(DocumentError, match="document-too-costly"):
        normalise({**linked, "@type": "Dataset", "urn:p:y": typed})
    with pytest.raises(DocumentError, match="context-inline"):
        normalise({**linked, "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"] * 17})
    cycle = {**linked, "@context": [{"@import": "https://w3id.org/dspace/2025/1/context.jsonld"}]}
    with pytest.raises(DocumentError, match="context-inline"):
        normalise(cycle)


def test_the_member_that_stands_twice_is_named_among_very_many() -> None:
    """The object is as large as a message may be: naming it must not take more than reading it."""
    many = ",".join(f'"{number}":0' for number in range(20_000))
    raw = f'{{"twice":0,{many},"twice":1}}'.encode()
    assert MAX_BYTES * 0.7 < len(raw) < MAX_BYTES
    found = refusal(raw)
    assert (found.code, found.path) == ("document-duplicate-member", "/twice")
