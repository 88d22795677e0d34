"""What version 4 takes, and how it says what it does not take."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.contexts import EDC_MANAGEMENT
from catalog.errors import DocumentError
from connector.management import shapes
from connector.management.model import EDC, QuerySpec
from connector.management.v3 import V3
from connector.management.v4 import V4
from connector.management.v4.schemas import FORMS, check
from connector.protocol.errors import CallerError, Invalid

ROOT: dict[str, Any] = {"@context": [EDC_MANAGEMENT]}
PARTY = {"counterPartyAddress": "https://p/dsp", "counterPartyId": "did:web:p", "protocol": "dataspace-protocol-http:2025-1"}
OFFER = {"@type": "Offer", "@id": "o", "assigner": "did:web:p", "target": "trips", "permission": [{"action": "use"}]}
RIGHT: dict[str, dict[str, Any]] = {
    "Asset": {"properties": {"name": "Trips"}, "dataAddress": {"type": "HttpData", "baseUrl": "https://p"}},
    "PolicyDefinition": {"policy": {"@type": "Set", "permission": [{"action": "use"}]}},
    "PolicyEvaluationPlanRequest": {"policyScope": "catalog"},
    "ContractDefinition": {"accessPolicyId": "a", "contractPolicyId": "b", "assetsSelector": []},
    "QuerySpec": {
        "limit": 3,
        "filterExpression": [{"@type": "Criterion", "operandLeft": "id", "operator": "=", "operandRight": "x"}],
    },
    "CatalogRequest": {**PARTY, "querySpec": {"@type": "QuerySpec", "limit": 3}},
    "DatasetRequest": {"@id": "trips", **PARTY},
    "ContractRequest": {**PARTY, "policy": OFFER, "callbackAddresses": []},
    "TransferRequest": {**PARTY, "contractId": "c", "transferType": "HttpData-PULL"},
    "TerminateNegotiation": {"reason": "enough"},
    "TerminateTransfer": {"reason": "enough"},
    "SuspendTransfer": {"reason": "a moment"},
    "Secret": {"value": "hidden-value"},
}


def document(form: str, **more: Any) -> dict[str, Any]:
    """A right document of a form, and what is to be otherwise."""
    return {**ROOT, "@type": form, **RIGHT[form], **more}


def violations(wrong: dict[str, Any], form: str) -> dict[str, str]:
    """What is said to be wrong, by path."""
    with pytest.raises(Invalid) as refused:
        check(wrong, form)
    return {each.path: each.message for each in refused.value.violations}


def test_there_is_an_example_of_every_form() -> None:
    assert set(RIGHT) == FORMS


@pytest.mark.parametrize("form", sorted(FORMS))
async def test_right_documents_are_taken(form: str) -> None:
    assert await V4().read(json.dumps(document(form)).encode(), form)


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize("member", ["@context", "@type"])
def test_context_and_type_must_be_there(form: str, member: str) -> None:
    assert violations({name: value for name, value in document(form).items() if name != member}, form)
    assert violations(document(form, **{member: "Something"}), form)


@pytest.mark.parametrize("form", sorted(FORMS - {"Secret"}))
def test_members_that_are_needed_are_named(form: str) -> None:
    for member in set(RIGHT[form]) - {"protocol", "querySpec", "callbackAddresses", "assetsSelector", "dataAddress", "limit"}:
        if form in ("ContractRequest", "TransferRequest") and member == "counterPartyId":
            continue
        if form == "QuerySpec":
            continue
        wrong = {name: value for name, value in document(form).items() if name != member}
        assert any(member in said for said in violations(wrong, form).values())


@pytest.mark.parametrize("form", sorted(FORMS - {"Secret"}))
def test_an_unknown_member_is_refused_and_one_of_a_vocabulary_is_not(form: str) -> None:
    assert any("limitt" in said for said in violations(document(form, limitt=1), form).values())
    check(document(form, **{"https://example.org/x": 1}), form)


@pytest.mark.parametrize("raw", [b"", b"null"])
async def test_a_query_may_be_left_out_and_nothing_else(raw: bytes) -> None:
    assert shapes.query_of(await V4().read(raw, "QuerySpec")) == QuerySpec()
    for form in FORMS - {"QuerySpec"}:
        with pytest.raises(Invalid):
            await V4().read(raw, form)


@pytest.mark.parametrize(
    "wrong", [{"value": ""}, {"value": {"x": "hidden-value"}}, {"value": ["hidden-value"]}, {"hidden-value": 1}]
)
def test_nothing_of_a_secret_is_repeated(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        check(document("Secret", **wrong), "Secret")
    assert "hidden-value" not in str(refused.value.violations)
    assert all(each.value is None for each in refused.value.violations)


async def test_an_address_may_stand_in_the_metadata_of_the_data_plane() -> None:
    metadata = {
        "@type": "DataplaneMetadata",
        "labels": ["x"],
        "properties": {"type": "HttpData", "baseUrl": "https://p", "header:Accept": "text/csv"},
    }
    right = {name: value for name, value in document("Asset", dataplaneMetadata=metadata).items() if name != "dataAddress"}
    asset = shapes.asset_of(await V4().read(json.dumps(right).encode(), "Asset"))
    assert {name.removeprefix(EDC): value for name, value in (asset.data_address or {}).items()} == metadata["properties"]
    shown = V4().shown(shapes.asset_shown(asset))
    assert shown["dataplaneMetadata"] == metadata
    assert "privateProperties" not in shown


@settings(max_examples=60)
@given(st.sampled_from(sorted(FORMS)), st.data())
async def test_no_document_is_an_incident(form: str, data: st.DataObject) -> None:
    """Whatever comes, it is read, or refused as the caller's mistake."""
    value = data.draw(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.sampled_from([*RIGHT[form], "@id", "@type", "@value"]), inner, max_size=3)
            ),
            max_leaves=6,
        )
    )
    whole = document(form, **{data.draw(st.sampled_from(sorted(RIGHT[form]))): value})
    read = {
        "Asset": shapes.asset_of,
        "PolicyDefinition": shapes.policy_of,
        "ContractDefinition": shapes.definition_of,
        "QuerySpec": shapes.query_of,
        "CatalogRequest": shapes.catalog_query_of,
        "ContractRequest": shapes.contract_request_of,
        "TransferRequest": shapes.transfer_request_of,
        "Secret": shapes.secret_of,
    }.get(form, shapes.reason_of)
    for dialect in (V4(), V3()):
        try:
            read(await dialect.read(json.dumps(whole).encode(), form))  # type: ignore[operator]
        except (CallerError, DocumentError):
            continue
