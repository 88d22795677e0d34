"""Both engines judge alike, nothing is fetched, and every refusal is a sentence to act on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import schemas
from catalog.findings import MAX_FINDINGS, check, compiled, validate
from catalog.jsonld import DocumentError
from tests.catalog import messages as m

NAMES = sorted(m.EXAMPLES)
VERSIONS: m.Json = {
    "protocolVersions": [
        {"version": "2025-1", "path": "/dsp/2025-1", "binding": "HTTPS"},
        {"version": "2025-1", "path": "/2025-1", "binding": "HTTPS", "serviceId": "urn:s", "identifierType": "did:web"}
        | {"auth": {"protocol": "DCP", "version": "1.0", "profile": ["vc11-sl2021/jwt"]}},
    ]
}


def test_every_schema_refers_to_itself_alone() -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(references, value))
        if isinstance(value, dict):
            own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
            return own.union(*map(references, value.values()))
        return set()

    for name in schemas.NAMES:
        table = schemas.schema(name)
        assert references(table) <= {f"#/$defs/{other}" for other in table["$defs"]}
        compiled(name)
    with pytest.raises(KeyError):
        schemas.schema("Nonsense")


def test_every_message_type_has_an_example() -> None:
    assert m.EXAMPLES.keys() == schemas.MESSAGE_TYPES | schemas.PEER_TYPES


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_right(name: str) -> None:
    check(m.EXAMPLES[name], name)
    assert validate(m.EXAMPLES[name], name) == []


@pytest.mark.parametrize("name", NAMES)
def test_each_missing_member_is_named(name: str) -> None:
    required = schemas.schema(name)["$defs"][name]["required"]
    for member in required:
        document = {key: value for key, value in m.EXAMPLES[name].items() if key != member}
        with pytest.raises(DocumentError) as caught:
            check(document, name)
        assert caught.value.code == "member-missing"
        assert caught.value.path == f"/{member}"
        assert validate(document, name)[0] == (f"/{member}", "member-missing", caught.value.reason)


@st.composite
def spoiled(draw: st.DrawFn) -> tuple[str, Any]:
    """A schema's name and an example of it with one or two places changed at random."""
    name = draw(st.sampled_from(NAMES))

    def spoil(value: Any, depth: int) -> Any:
        choice = draw(st.integers(0, 9))
        if choice == 0 or not isinstance(value, dict | list) or not value or depth == 0:
            return draw(m.values | st.just("") | st.just([]) | st.just("2026-02-30T25:00:00Z"))
        if isinstance(value, list):
            index = draw(st.integers(0, len(value) - 1))
            return [*value[:index], spoil(value[index], depth - 1), *value[index + 1 :]]
        key = draw(st.sampled_from(sorted(value)))
        if choice == 1:
            return {other: item for other, item in value.items() if other != key}
        return value | {key: spoil(value[key], depth - 1)}

    document = m.EXAMPLES[name]
    for _ in range(draw(st.integers(1, 2))):
        document = spoil(document, 8)
    return name, document


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(spoiled())
def test_both_engines_judge_alike(case: tuple[str, Any]) -> None:
    name, document = case
    findings = validate(document, name)
    assert compiled(name).is_valid(document) == (not findings)
    if findings:
        with pytest.raises(DocumentError) as caught:
            check(document, name)
        error = caught.value
        assert (error.path, error.code, error.reason) == findings[0]


@pytest.mark.parametrize(
    ("stamp", "right"),
    [
        ("2026-03-01T09:30:00Z", True),
        ("2026-03-01T09:30:00.123456789Z", True),
        ("2026-03-01T09:30:00+01:00", True),
        ("2026-03-01T09:30:00", True),
        ("2026-03-01T09:30:00Z\n", False),
        ("2026-03-01 09:30:00Z", False),
        ("2026-13-01T09:30:00Z", False),
        ("٢٠٢٦-03-01T09:30:00Z", False),
        ("", False),
    ],
)
def test_time_stamps(stamp: str, right: bool) -> None:
    agreement = m.EXAMPLES["ContractAgreementMessage"]["agreement"] | {"timestamp": stamp}
    assert compiled("Agreement").is_valid(agreement) is right
    assert (not validate(agreement, "Agreement")) is right


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("ContractRequestMessage", {"providerPid": "p"}, "Send either callbackAddress"),
        ("ContractOfferMessage", {"callbackAddress": "http://x"}, "Send either callbackAddress"),
        ("Catalog", {"dataset": []}, "leave it out when it is empty"),
        ("Catalog", {"hasPolicy": [m.OFFER]}, "no policy of its own"),
        ("Dataset", {"hasPolicy": [m.OFFER | {"target": "t"}]}, "has no target"),
        ("ContractNegotiation", {"state": "STARTED"}, "state must be REQUESTED or OFFERED"),
        ("ContractNegotiation", {"consumerPid": 3}, "consumerPid must be a string"),
        ("ContractNegotiation", {"@type": "X"}, "@type must be ContractNegotiation"),
    ],
)
def test_reasons_can_be_acted_on(name: str, change: m.Json, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        check(m.EXAMPLES[name] | change, name)
    assert words in caught.value.reason
    assert words in str(caught.value)


def test_rules_of_constraints_are_said() -> None:
    for constraint, words in (
        ({"leftOperand": "count", "operator": "lt", "rightOperand": 5}, "write numbers as strings"),
        ({"leftOperand": "count"}, "The member operator"),
        ({"note": "x"}, "either leftOperand"),
        ({"and": [{"or": []}]}, "leave it out when it is empty"),
    ):
        offer = m.OFFER | {"permission": [{"action": "use", "constraint": [constraint]}]}
        assert any(words in finding.reason for finding in validate(offer, "MessageOffer")), constraint


def test_lenient_where_peers_differ() -> None:
    for name, member in (
        ("ContractNegotiationError", "providerPid"),
        ("TransferError", "consumerPid"),
        ("TransferStartMessage", "dataAddress"),
        ("Catalog", "service"),
    ):
        check({key: value for key, value in m.EXAMPLES[name].items() if key != member}, name)
    request = m.EXAMPLES["ContractRequestMessage"]
    check(request | {"offer": {key: value for key, value in request["offer"].items() if key != "target"}}, request["@type"])
    agreement = m.EXAMPLES["ContractAgreementMessage"]["agreement"]
    check({key: value for key, value in agreement.items() if key != "timestamp"}, "Agreement")
    check(m.EXAMPLES["TransferError"] | {"reason": [{"message": "no"}]}, "TransferError")


def test_a_version_document_is_plain_json() -> None:
    check(VERSIONS, "VersionResponse")
    with pytest.raises(DocumentError, match="member-missing"):
        check({"protocolVersions": [{"version": "2025-1"}]}, "VersionResponse")


def test_findings_are_bounded() -> None:
    many = m.EXAMPLES["Catalog"] | {"service": [{}] * 200}
    assert len(validate(many, "Catalog")) <= MAX_FINDINGS


def test_an_error_has_a_known_code_and_says_where() -> None:
    assert str(DocumentError("member-lost", "Gone.")) == "member-lost: Gone."
    with pytest.raises(ValueError, match="nonsense"):
        DocumentError("nonsense", "")
