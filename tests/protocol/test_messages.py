"""Messages as structs and as documents: what is sent is what the other side's door lets in, and means the same there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import jsonld
from connector.protocol import messages as dsp
from connector.protocol.messages import AnyMessage
from connector.protocol.states import Kind, Message, Role, State
from connector.protocol.versions import PEER_MESSAGES, Endpoint, choose, version_document
from tests.protocol import samples

IDS = st.from_regex(r"(urn:uuid:|did:web:|)[A-Za-z][A-Za-z0-9._-]{0,30}", fullmatch=True)
ADDRESSES = st.from_regex(r"https://[a-z]{1,12}\.example(/[a-z]{1,8}){0,3}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
CONSTRAINTS = st.fixed_dictionaries(
    {"leftOperand": st.just("dateTime"), "operator": st.sampled_from(["lt", "gteq"]), "rightOperand": TEXTS}
)
RULES = st.fixed_dictionaries({"action": st.just("use")}, optional={"constraint": st.lists(CONSTRAINTS, min_size=1, max_size=2)})
TERMS = {"permission": st.lists(RULES, min_size=1, max_size=2)}
OFFERS = st.fixed_dictionaries({"@id": IDS, "@type": st.just("Offer"), "target": IDS, **TERMS})
AGREEMENTS = st.fixed_dictionaries(
    {
        "@id": IDS,
        "@type": st.just("Agreement"),
        "target": IDS,
        "assigner": IDS,
        "assignee": IDS,
        "timestamp": st.just("2026-01-01T00:00:00.000Z"),
        **TERMS,
    }
)
REASONS = st.lists(TEXTS | st.fixed_dictionaries({"message": TEXTS}), max_size=3)
BOTH: dict[str, Any] = {"id": IDS, "provider_pid": IDS, "consumer_pid": IDS}
ENDED: dict[str, Any] = {**BOTH, "code": st.none() | TEXTS, "reason": REASONS}
FIRST: dict[str, Any] = {"id": IDS, "callback_address": ADDRESSES}
PROPERTIES = st.fixed_dictionaries({"@type": st.just("EndpointProperty"), "name": IDS, "value": TEXTS})
DATA_ADDRESSES = st.fixed_dictionaries(
    {"@type": st.just("DataAddress"), "endpointType": ADDRESSES, "endpoint": ADDRESSES},
    optional={"endpointProperties": st.lists(PROPERTIES, min_size=1, max_size=2)},
)
NEGOTIATION: st.SearchStrategy[AnyMessage] = st.one_of(
    st.builds(dsp.ContractRequestMessage, **FIRST, consumer_pid=IDS, offer=OFFERS),
    st.builds(dsp.ContractRequestMessage, **BOTH, offer=OFFERS),
    st.builds(dsp.ContractOfferMessage, **FIRST, provider_pid=IDS, offer=OFFERS),
    st.builds(dsp.ContractOfferMessage, **BOTH, offer=OFFERS),
    st.builds(dsp.ContractAgreementMessage, **BOTH, agreement=AGREEMENTS),
    st.builds(dsp.ContractAgreementVerificationMessage, **BOTH),
    st.builds(dsp.ContractNegotiationEventMessage, **BOTH, event_type=st.sampled_from(["ACCEPTED", "FINALIZED"])),
    st.builds(dsp.ContractNegotiationTerminationMessage, **ENDED),
)
TRANSFER: st.SearchStrategy[AnyMessage] = st.one_of(
    st.builds(
        dsp.TransferRequestMessage,
        **FIRST,
        consumer_pid=IDS,
        agreement_id=IDS,
        format=st.just("HttpData-PULL"),
        data_address=st.none() | DATA_ADDRESSES,
    ),
    st.builds(dsp.TransferStartMessage, **BOTH, data_address=st.none() | DATA_ADDRESSES),
    st.builds(dsp.TransferCompletionMessage, **BOTH),
    st.builds(dsp.TransferSuspensionMessage, **ENDED),
    st.builds(dsp.TransferTerminationMessage, **ENDED),
)


@pytest.mark.parametrize("kind", Kind)
@given(data=st.data())
def test_a_message_comes_through_the_door_as_it_was_sent(kind: Kind, data: st.DataObject) -> None:
    sent = data.draw(NEGOTIATION if kind is Kind.NEGOTIATION else TRANSFER)
    arrived = jsonld.normalise(jsonld.parse(jsonld.dumps(dsp.document_of(sent))))
    assert dsp.message_of(kind, arrived) == sent
    assert dsp.meaning(dsp.message_of(kind, arrived)) is dsp.meaning(sent)


@pytest.mark.parametrize(("kind", "what"), [(kind, what) for kind in Kind for what in samples.MESSAGES[kind]])
def test_the_meaning_of_each_message(kind: Kind, what: Message) -> None:
    message = samples.message(kind, what)
    assert dsp.meaning(message) is what
    assert dsp.message_of(kind, dsp.document_of(message)) == message


def test_a_message_of_the_other_kind_is_none_of_this_kind() -> None:
    document = dsp.document_of(samples.message(Kind.TRANSFER, Message.START))
    with pytest.raises(msgspec.ValidationError):
        dsp.message_of(Kind.NEGOTIATION, document)


def test_paths_are_those_of_the_https_binding() -> None:
    assert dsp.path_of(Kind.NEGOTIATION, Message.REQUEST, None) == "/negotiations/request"
    assert dsp.path_of(Kind.NEGOTIATION, Message.REQUEST, "p") == "/negotiations/p/request"
    assert dsp.path_of(Kind.NEGOTIATION, Message.OFFER, None) == "/negotiations/offers"
    assert dsp.path_of(Kind.NEGOTIATION, Message.VERIFICATION, "p") == "/negotiations/p/agreement/verification"
    assert dsp.path_of(Kind.TRANSFER, Message.REQUEST, None) == "/transfers/request"
    assert dsp.path_of(Kind.TRANSFER, Message.SUSPENSION, "p") == "/transfers/p/suspension"
    assert set(dsp.PATHS) == {(kind, what) for kind in Kind for what in samples.MESSAGES[kind]}


@pytest.mark.parametrize("kind", Kind)
def test_acknowledgements_and_errors_are_valid_documents(kind: Kind) -> None:
    document = dsp.acknowledgement(kind, "p", "c", State.REQUESTED.on_wire)
    assert jsonld.normalise(document) == document
    name = "ContractNegotiationError" if kind is Kind.NEGOTIATION else "TransferError"
    for error in (
        dsp.error_document(name, "illegal-transition", "not now", "p", "c"),
        dsp.error_document(name, "not-found", "no such process"),
        dsp.error_document("CatalogError", "not-found", "no such dataset"),
    ):
        assert jsonld.normalise(error) == error


def test_a_resumed_transfer_is_started_on_the_wire() -> None:
    assert State.RESUMED.on_wire == "STARTED"
    assert {state for state in State if state.final} == {State.FINALIZED, State.COMPLETED, State.TERMINATED}


def test_pids_of_either_side() -> None:
    assert dsp.pids(Role.PROVIDER, "own", "peer") == ("own", "peer")
    assert dsp.pids(Role.CONSUMER, "own", "peer") == ("peer", "own")
    assert dsp.pids(Role.CONSUMER, "own", None) == ("", "own")


def test_the_version_document_and_the_choice_from_one() -> None:
    document = version_document(
        [Endpoint("2024-1", "/old", "s"), Endpoint("2025-1", "/dsp/2025-1", "s", {"protocol": "OAuth"})], "/peer"
    )
    assert document["protocolVersions"][0] == {"version": "2024-1", "path": "/old", "binding": "HTTPS", "serviceId": "s"}
    assert document["protocolVersions"][1]["auth"] == {"protocol": "OAuth"}
    assert document["extensions"] == [{"profile": PEER_MESSAGES, "path": "/peer"}]
    assert choose(document) == "/dsp/2025-1"


@pytest.mark.parametrize(
    "document",
    [{}, {"protocolVersions": {}}, {"protocolVersions": ["2025-1", {"version": "2025-1"}, {"version": "2024-1", "path": "/"}]}],
)
def test_a_peer_without_our_version_is_not_talked_to(document: dict[str, Any]) -> None:
    assert choose(document) is None
