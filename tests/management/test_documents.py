"""The door of the management interface: plain documents are read as a JSON-LD processor reads them, and nothing gets lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog import contexts
from catalog.errors import DocumentError
from connector.management import documents
from connector.management.documents import flat, plain, read, short, slow
from connector.management.model import EDC
from connector.protocol.errors import CallerError, Invalid

VOCABULARY = {"@vocab": EDC}
NAMES = st.sampled_from(["name", "baseUrl", "x", "id", "http://purl.org/dc/terms/title", "https://w3id.org/edc/v0.0.1/ns/kind"])
SCALARS = st.one_of(st.text(max_size=8), st.booleans(), st.integers(-1000, 1000), st.just("https://example.org/x"))
# Arrays of one are left out: a JSON-LD processor cannot tell them from what they hold.
VALUES = st.recursive(
    st.one_of(SCALARS, st.lists(SCALARS, min_size=2, max_size=3, unique_by=repr)),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    max_leaves=8,
)


def no_name_twice(value: Any) -> bool:
    """Two spellings of one member are an error of the document; what the two ways say of it differs."""
    if isinstance(value, dict):
        names = [name if "://" in name else EDC + name for name in value]
        return len(names) == len(set(names)) and all(no_name_twice(each) for each in value.values())
    return not isinstance(value, list) or all(no_name_twice(each) for each in value)


def sorted_lists(value: Any) -> Any:
    """Values of a member have no order in JSON-LD."""
    if isinstance(value, list):
        return sorted((sorted_lists(each) for each in value), key=repr)
    return {name: sorted_lists(each) for name, each in value.items()} if isinstance(value, dict) else value


@settings(max_examples=40)
@given(st.dictionaries(NAMES, VALUES, max_size=4).filter(no_name_twice), st.sampled_from([None, "thing-1"]))
async def test_a_plain_document_is_read_as_a_processor_reads_it(members: dict[str, Any], thing_id: str | None) -> None:
    document = {"@context": VOCABULARY, "@type": "Asset", **members, **({} if thing_id is None else {"@id": thing_id})}
    assert sorted_lists(await flat(document)) == sorted_lists(slow(document))


@pytest.mark.parametrize("raw", [b"", b"  \n", b"null", b" null "])
async def test_no_body_and_null_are_an_empty_document(raw: bytes) -> None:
    assert await read(raw) == {}


@pytest.mark.parametrize(
    "context",
    [
        VOCABULARY,
        None,
        {"@vocab": EDC, "edc": EDC, "odrl": "http://www.w3.org/ns/odrl/2/"},
        {"edc": EDC, "limit": "edc:limit"},
        {"edc": EDC, "odrl": "http://www.w3.org/ns/odrl/2/", "dct": "https://purl.org/dc/terms/"},
        {},
        [{"@vocab": EDC}],
        ["http://www.w3.org/ns/odrl.jsonld", {"@vocab": EDC}],
        ["https://w3id.org/edc/connector/management/v2"],
    ],
)
async def test_a_member_is_found_whatever_the_context(context: Any) -> None:
    document = {"@type": "QuerySpec", "limit": 3} | ({} if context is None else {"@context": context})
    assert (await flat(document))[f"{EDC}limit"] == 3


@pytest.mark.parametrize("name", ["edc:limit", f"{EDC}limit"])
async def test_a_member_may_have_a_prefix_that_everybody_uses(name: str) -> None:
    assert await flat({"@context": {"@vocab": EDC}, name: 3}) == {f"{EDC}limit": 3}


async def test_a_member_without_meaning_is_refused_by_its_name() -> None:
    with pytest.raises(DocumentError, match="limitt"):
        await flat({"@context": [contexts.EDC_MANAGEMENT, {"ex": "https://example.org/"}], "@type": "QuerySpec", "limitt": 3})


async def test_an_unknown_context_is_not_fetched() -> None:
    with pytest.raises(DocumentError) as refused:
        await flat({"@context": ["https://example.org/context.jsonld", VOCABULARY], "limit": 3})
    assert refused.value.code == "context-unknown"


@pytest.mark.parametrize("raw", [b"[]", b"3", b"{", b'{"a":1,"a":2}', b"[" * 100_000])
async def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(DocumentError):
        await read(raw)


async def test_text_that_no_database_keeps_is_refused() -> None:
    with pytest.raises(CallerError, match=r"U\+0000"):
        await read(b'{"a":"\\u0000"}')


async def test_json_literals_keep_their_form() -> None:
    metadata = {"@type": "DataplaneMetadata", "labels": ["a"], "properties": {"deep": {"x": [1]}}}
    document = {"@type": "Asset", "properties": {"name": "x"}, "dataplaneMetadata": metadata}
    for context in ([contexts.EDC_MANAGEMENT], [contexts.EDC_MANAGEMENT, {"ex": "https://example.org/"}]):
        found = await flat({"@context": context, **document})
        assert plain(found[f"{EDC}dataplaneMetadata"])["properties"] == {"deep": {"x": [1]}}


async def test_headers_of_a_data_address_have_no_namespace() -> None:
    found = await flat({"@context": VOCABULARY, "dataAddress": {"type": "HttpData", "header:Accept": "text/csv"}})
    assert found[f"{EDC}dataAddress"]["header:Accept"] == "text/csv"


@given(st.text(max_size=12))
async def test_a_short_name_is_read_back(name: str) -> None:
    iri = EDC + name
    shown = short(iri)
    if "://" in shown or shown.startswith("@"):
        assert shown == iri
        return
    assert json.loads(json.dumps(EDC + shown)) == iri


def test_errors_name_the_member() -> None:
    with pytest.raises(Invalid) as refused:
        documents.needed({}, "contractId")
    assert refused.value.violations[0].path == "contractId"
    with pytest.raises(Invalid):
        documents.text({f"{EDC}reason": 7}, "reason")
    with pytest.raises(Invalid):
        documents.inner({f"{EDC}properties": "x"}, "properties")
    assert documents.text({f"{EDC}reason": ["x"]}, "reason") == "x"
    assert documents.text({f"{EDC}reason": {"@id": "x"}}, "reason") == "x"
    assert documents.several({f"{EDC}a": "x"}, "a") == ["x"]
