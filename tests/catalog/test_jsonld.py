"""One normalised form, whichever way and in whatever spelling a document enters."""

from __future__ import annotations

import copy
import socket
from typing import Any, NoReturn

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyld import jsonld as pyld

from catalog import contexts, expansion, lane, schemas
from catalog.jsonld import DocumentError, fast, guard, normalise, normalise_message, parse, slow
from tests.catalog import messages as m

TYPES = sorted(m.EXAMPLES)


def refused(document: Any, **options: Any) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        normalise(document, **options)
    return caught.value


@pytest.mark.parametrize("name", TYPES)
def test_plain_messages_take_the_fast_way_and_stay_as_they_are(name: str) -> None:
    message = m.EXAMPLES[name]
    before = copy.deepcopy(message)
    assert fast(message) == message
    assert slow(message) == message
    assert message == before


@pytest.mark.parametrize("name", TYPES)
def test_prefixed_and_expanded_spellings_mean_the_same(name: str) -> None:
    message = m.EXAMPLES[name]
    spelled = m.prefixed(message)
    assert fast(spelled) is None
    assert normalise(spelled) == message
    expanded = expansion.expand(message)[0] | {"@context": [contexts.DSP]}
    assert normalise(expanded) == message


@pytest.mark.parametrize("name", TYPES)
def test_a_prefix_on_one_member_alone_changes_nothing(name: str) -> None:
    message = m.EXAMPLES[name]
    for member, value in message.items():
        if not member.startswith("@"):
            one = {key: other for key, other in message.items() if key != member}
            spelled = m.prefixed({"@type": name, "@context": [], member: value})
            full = {key: item for key, item in spelled.items() if not key.startswith("@")}
            prefixes = [*message["@context"], spelled["@context"]]
            assert normalise(one | full | {"@context": prefixes}) == message


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(m.messages())
def test_both_ways_give_the_same(message: m.Json) -> None:
    quick = fast(message)
    try:
        normal = slow(message)
    except DocumentError:
        assert quick is None
        return
    assert quick is None or quick == normal
    assert normalise(normal) == slow(normal) == normal


@pytest.mark.parametrize("name", sorted(set(m.EXAMPLES) - schemas.PEER_TYPES))
def test_both_ways_give_the_same_under_the_contexts_that_edc_sends(name: str) -> None:
    message = m.EXAMPLES[name] | {"@context": [contexts.DSP, contexts.EDC_DSPACE]}
    assert fast(message) == slow(message) == m.EXAMPLES[name]
    turned = message | {"@context": [contexts.EDC_DSPACE, contexts.DSP]}
    assert fast(turned) is None
    assert normalise(turned) == m.EXAMPLES[name]


def test_a_query_of_edc_is_kept() -> None:
    query = {"@type": "QuerySpec", "limit": 20, "offset": 0, "sortOrder": "ASC", "filterExpression": []}
    document = m.EXAMPLES["CatalogRequestMessage"] | {"filter": [query]}
    document["@context"] = [contexts.DSP, contexts.EDC_DSPACE]
    assert normalise(document)["filter"] == [query]
    full = slow(document)["filter"][0]
    assert full["@type"] == "edc:QuerySpec"
    assert full[f"{m.EDC_NS}limit"] == 20


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(m.messages())
def test_the_second_context_of_edc_changes_no_message(message: m.Json) -> None:
    quick = fast(message | {"@context": [contexts.DSP, contexts.EDC_DSPACE]})
    assert quick is None or quick == slow(message | {"@context": [contexts.DSP, contexts.EDC_DSPACE]})


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(m.messages(), st.dictionaries(m.ids, m.values, max_size=3), st.booleans())
def test_whatever_is_added_nothing_but_a_document_error_comes_out(message: m.Json, more: m.Json, with_edc: bool) -> None:
    document = message | more
    if with_edc and "@context" not in more:
        document["@context"] = [contexts.DSP, contexts.EDC_DSPACE]
    try:
        normal = normalise(document)
    except DocumentError:
        return
    assert normal["@context"] == [contexts.DSP]
    guard(normal)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(m.ids | st.sampled_from(["@context", "@type", "@id", "@graph"]), m.values, max_size=4))
def test_any_json_is_read_or_refused(document: m.Json) -> None:
    for wrapped in (document, document | {"@context": [contexts.DSP]}, document | {"@context": contexts.EDC_DSPACE}):
        with pytest.raises(DocumentError):
            normalise(wrapped)


def test_members_of_others_are_kept() -> None:
    plain = m.EXAMPLES["ContractNegotiation"] | {"note": {"from": ["us"]}}
    assert normalise(plain) == plain
    prefixes = [contexts.DSP, {"x": "https://example.org/x#"}]
    spelled = m.EXAMPLES["ContractNegotiation"] | {"x:note": "hello", "@context": prefixes}
    assert normalise(spelled)["https://example.org/x#note"] == "hello"
    again = normalise(normalise(spelled))
    assert again == normalise(spelled)


def test_asset_properties_of_edc_come_out_under_their_iri() -> None:
    dataset = m.DATASET | {"edc:name": "trips", "id": "trips-2026"}
    catalogue = m.EXAMPLES["Catalog"] | {"dataset": [dataset], "@context": [contexts.DSP, contexts.EDC_DSPACE]}
    quick = fast(catalogue)
    assert quick is not None
    assert quick["dataset"][0][f"{m.EDC_NS}name"] == slow(catalogue)["dataset"][0][f"{m.EDC_NS}name"] == "trips"
    assert quick["dataset"][0]["id"] == slow(catalogue)["dataset"][0][f"{m.EDC_NS}id"]
    assert "edc:name" in dataset


def test_one_member_in_two_spellings_is_refused() -> None:
    offer = m.OFFER | {"target": "t", "odrl:prohibition": [{"action": "use"}]}
    document = m.EXAMPLES["ContractRequestMessage"] | {"offer": offer}
    assert refused(document).code == "document-duplicate-member"
    both = m.EXAMPLES["Dataset"] | {"edc:name": "a", f"{m.EDC_NS}name": "b"}
    assert refused(both | {"@context": [contexts.DSP, contexts.EDC_DSPACE]}).code == "document-duplicate-member"


def test_a_prefixed_prohibition_is_not_overlooked() -> None:
    offer: m.Json = {"@id": "o", "@type": "Offer", "target": "t", "permission": [{"action": "use"}]}
    offer["odrl:prohibition"] = {"action": "odrl:distribute"}
    normal = normalise(m.EXAMPLES["ContractRequestMessage"] | {"offer": offer})
    assert normal["offer"]["prohibition"] == [{"action": "odrl:distribute"}]


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"@context": None}, "context-missing", "/@context"),
        ({"@context": []}, "context-missing", "/@context"),
        ({"@context": ["https://evil.example/context.jsonld"]}, "context-unknown", "/@context"),
        ({"@context": [contexts.DSP, {"@vocab": "https://example.org/"}]}, "context-inline", "/@context"),
        ({"@context": [contexts.DSP, {"@base": "https://example.org/"}]}, "context-inline", "/@context"),
        ({"@context": [contexts.DSP, {"stop": "http://www.w3.org/ns/odrl/2/permission"}]}, "context-inline", "/@context"),
        ({"@context": [contexts.DSP, {"a": {"@id": "urn:a:"}}]}, "context-inline", "/@context"),
        ({"@context": [contexts.DSP, [contexts.DSP]]}, "context-inline", "/@context"),
        ({"@context": [contexts.DSP, {"dspace": "https://w3id.org/dspace/v0.8/"}]}, "document-not-jsonld", ""),
        ({"@context": {"dspace": "https://w3id.org/dspace/v0.8/"}}, "member-lost", "/consumerPid"),
        ({"@type": "Nonsense"}, "type-unknown", "/@type"),
        ({"@type": "Offer"}, "type-unknown", "/@type"),
        ({"@type": ["Nonsense"]}, "member-lost", "/consumerPid"),
        ({"@type": None}, "member-missing", "/@type"),
        ({"dspace:note": "x", "note": "y"}, "member-lost", "/note"),
        ({"dspace:note": {"@context": [contexts.DSP]}}, "context-inline", "/@context"),
        ({"@graph": []}, "member-invalid", "/@graph"),
        ({"@reverse": {}}, "member-invalid", "/@reverse"),
        ({"providerPid": None}, "member-missing", "/providerPid"),
        ({"providerPid": ""}, "member-invalid", "/providerPid"),
        ({"providerPid": 7}, "member-invalid", "/providerPid"),
        ({"state": "MAYBE"}, "member-invalid", "/state"),
        ({"state": "STARTED"}, "member-invalid", "/state"),
    ],
)
def test_what_is_wrong_is_said(change: m.Json, code: str, path: str) -> None:
    error = refused(m.EXAMPLES["ContractNegotiation"] | change)
    assert (error.code, error.path) == (code, path)


def test_types_are_checked() -> None:
    assert refused({"@context": [contexts.DSP], "@id": "x"}).code == "member-missing"
    assert refused({"@context": [contexts.DSP], "@type": "Nonsense"}).code == "type-unknown"
    assert refused({"@context": [contexts.DSP], "@type": ["Catalog", "Dataset"]}).code == "type-unknown"
    error = refused(m.EXAMPLES["ContractNegotiation"], expected=frozenset({"TransferProcess"}))
    assert (error.code, error.path) == ("type-unexpected", "/@type")
    spelled = m.prefixed(m.EXAMPLES["ContractNegotiation"])
    assert refused(spelled, expected=frozenset({"TransferProcess"})).code == "type-unexpected"


def test_an_offer_by_its_id_alone_is_refused_with_the_reason() -> None:
    for offer in ("urn:offer:1", {"@id": "urn:offer:1"}):
        error = refused(m.EXAMPLES["ContractRequestMessage"] | {"offer": offer})
        assert (error.code, error.path) == ("member-invalid", "/offer")
        assert "whole offer" in error.reason
    bare = {"@id": "urn:offer:1", "@type": "Offer"}
    assert "at least one permission" in refused(m.EXAMPLES["ContractRequestMessage"] | {"offer": bare}).reason


def test_an_operator_may_write_inline_contexts_and_a_peer_may_not() -> None:
    mine = {"@context": [contexts.DSP, {"pid": {"@id": "dspace:providerPid", "@type": "@id"}}]}
    body = {"@type": "ContractNegotiation", "pid": "p", "consumerPid": "c", "state": "AGREED"}
    assert normalise(mine | body, trusted=True)["providerPid"] == "p"
    assert refused(mine | body).code == "context-inline"
    assert refused({"@context": ["https://evil.example/"]} | body, trusted=True).code == "context-unknown"
    deep = body | {"dspace:x": {"@context": "https://evil.example/", "y": 1}}
    assert refused(deep | {"@context": [contexts.DSP, {"pid": "dspace:providerPid"}]}, trusted=True).code == "context-unknown"


def test_peer_messages_may_carry_both_contexts() -> None:
    hello = m.EXAMPLES["Hello"]
    assert fast(hello | {"@context": [contexts.DSP, contexts.PEER]}) == hello
    assert normalise(hello | {"@context": [contexts.PEER, contexts.DSP]}) == hello


def test_no_socket_is_ever_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> NoReturn:
        pytest.fail("a socket was opened")

    monkeypatch.setattr(socket, "socket", stop)
    monkeypatch.setattr(socket, "getaddrinfo", stop)
    monkeypatch.setattr(socket, "create_connection", stop)
    body = {"@type": "ContractNegotiation", "providerPid": "p", "consumerPid": "c", "state": "AGREED"}
    for context in ("https://w3id.org/dspace/2024/1/context.json", "http://127.0.0.1:9/x", "//h/x", "x", "file:///etc/passwd"):
        for trusted in (False, True):
            for spelled in (context, [context], [contexts.DSP, context]):
                assert refused(body | {"@context": spelled}, trusted=trusted).code == "context-unknown"
        imported = {"@context": [contexts.DSP, {"@import": context}]}
        assert refused(body | imported).code == "context-inline"
        assert refused(body | imported, trusted=True).code in ("context-unknown", "document-not-jsonld")
    assert normalise(m.prefixed(m.EXAMPLES["Catalog"])) == m.EXAMPLES["Catalog"]


def test_expansion_keeps_every_part_of_an_agreement_and_a_catalogue() -> None:
    """Old releases of the JSON-LD library lose these without a word."""
    agreement = orjson.dumps(expansion.expand(m.EXAMPLES["ContractAgreementMessage"]))
    catalogue = orjson.dumps(expansion.expand(m.EXAMPLES["Catalog"]))
    assert agreement.count(b"odrl/2/rightOperand") == 3
    assert catalogue.count(b"dcat#accessService") == 4


def test_what_a_processor_loses_without_a_word_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    true_expand = pyld.expand

    def forgetful(document: m.Json, *args: Any, **options: Any) -> Any:
        return true_expand({key: value for key, value in document.items() if key != "agreement"}, *args, **options)

    monkeypatch.setattr(pyld, "expand", forgetful)
    with pytest.raises(DocumentError) as caught:
        slow(m.EXAMPLES["ContractAgreementMessage"])
    assert (caught.value.code, caught.value.path) == ("member-lost", "/agreement")


def test_relative_ids_are_never_resolved() -> None:
    document = m.prefixed(m.EXAMPLES["ContractAgreementMessage"])
    assert b"example.org/base" not in orjson.dumps(expansion.expand(document))


def test_contexts_cannot_be_spoiled_by_their_readers() -> None:
    contexts.load(contexts.DSP)["@context"].clear()
    assert normalise(m.prefixed(m.EXAMPLES["Catalog"])) == m.EXAMPLES["Catalog"]
    assert contexts.load(contexts.DSP)["@context"]


def test_inline_prefixes_of_one_document_are_unknown_to_the_next() -> None:
    first = m.EXAMPLES["ContractNegotiation"] | {"@context": [contexts.DSP, {"zz": "https://example.org/zz#"}]}
    assert "https://example.org/zz#a" in normalise(first | {"zz:a": "1"})
    assert "zz:a" in normalise(m.EXAMPLES["ContractNegotiation"] | {"zz:a": "1"})


async def test_messages_go_through_the_lane_only_when_they_must() -> None:
    own = lane.SlowLane(queue_max=1)
    try:
        plain = m.EXAMPLES["ContractAgreementMessage"]
        expected = frozenset({"ContractAgreementMessage"})
        assert await normalise_message(orjson.dumps(plain), expected, lane=own) == plain
        assert await normalise_message(orjson.dumps(m.prefixed(plain)), expected, lane=own) == plain
        with pytest.raises(DocumentError, match="type-unexpected"):
            await normalise_message(orjson.dumps(plain), frozenset({"Catalog"}), lane=own)
    finally:
        own.close()
    assert await normalise_message(orjson.dumps(m.prefixed(plain))) == plain


@settings(max_examples=100, deadline=None)
@given(m.messages())
def test_wire_and_back(message: m.Json) -> None:
    assert parse(orjson.dumps(message)) == message


def test_values_of_any_form_survive_the_slow_way() -> None:
    """Lists, languages, references and words in operands; literals where references are meant, and the reverse."""
    operands = [{"@list": ["a", {"@id": "urn:b"}]}, {"@value": "hei", "@language": "fi"}, {"@id": "urn:c"}, 7]
    request = m.prefixed(m.EXAMPLES["ContractRequestMessage"])
    atom = {"odrl:leftOperand": {"@id": "odrl:purpose"}, "odrl:operator": "odrl:isAnyOf", "odrl:rightOperand": operands}
    request["dspace:offer"]["odrl:permission"] = {"odrl:action": {"@id": "odrl:use"}, "odrl:constraint": atom}
    request["dspace:callbackAddress"] = {"@id": "https://insurer.example/callback"}
    (permission,) = normalise(request)["offer"]["permission"]
    constraint = {"leftOperand": "odrl:purpose", "operator": "isAnyOf", "rightOperand": operands}
    assert permission == {"action": "use", "constraint": [constraint]}
    assert normalise(request)["callbackAddress"] == "https://insurer.example/callback"


def test_two_members_that_mean_the_same_name_are_refused() -> None:
    document = m.EXAMPLES["DatasetRequestMessage"] | {"dcat:dataset": {"@id": "urn:other"}}
    assert refused(document).code == "document-duplicate-member"
