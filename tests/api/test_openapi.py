"""The description of the interface: all of what is served is in it, it holds together, and what it shows is what is meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import jsonschema
import pytest

from catalog.templates import TEMPLATES
from connector.access.caller import SCOPES, Role
from connector.api.answers.catalogue import QUESTIONS, template_answers
from connector.api.answers.processes import HIDDEN, ProcessAnswer
from connector.api.examples import example
from connector.api.openapi import ALWAYS, document
from connector.api.operation import Operation
from connector.dataplane.consent import model, requests
from connector.dataplane.consent.routes import Withdrawal as LedgerWithdrawal
from connector.flow.described import TemplateAnswers
from connector.http import local_consents
from connector.http.local import LocalServer
from connector.http.local_keys import LocalKeys
from connector.metrics import Metrics
from connector.protocol.record import Detail


def served() -> list[Operation]:
    server = LocalServer(ANY, ANY, ANY, Metrics(), ANY, token=None, keys=LocalKeys(ANY))
    return [*server.operations(), *LocalKeys(ANY).operations()]


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return document(served(), version="1.2.3")


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(each)


def test_every_operation_is_described_once(whole: dict[str, Any]) -> None:
    found = {(method.upper(), path) for path, methods in whole["paths"].items() for method in methods}
    assert found == {(each.method, each.path) for each in served()}
    names = [operation["operationId"] for methods in whole["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere(whole: dict[str, Any]) -> None:
    for node in nodes(whole):
        reference = node.get("$ref")
        if reference is not None:
            place = whole
            for name in reference.removeprefix("#/").split("/"):
                place = place[name]


def test_every_type_is_a_schema_and_its_example_holds(whole: dict[str, Any]) -> None:
    for name, schema in whole["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        shown = example(schema, whole)
        entry = {"$ref": f"#/components/schemas/{name}", "components": whole["components"]}
        wrong = list(jsonschema.Draft202012Validator(entry).iter_errors(shown))
        # A text of a certain form is shown by its name.
        assert {each.validator for each in wrong} <= {"pattern", "maxLength", "minLength"}, (name, wrong)


def test_a_path_names_what_it_takes_and_nothing_else(whole: dict[str, Any]) -> None:
    for path, methods in whole["paths"].items():
        for operation in methods.values():
            named = {each["name"] for each in operation["parameters"] if each.get("in") == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))


def test_scope_and_roles_are_those_that_are_checked(whole: dict[str, Any]) -> None:
    for each in served():
        operation = whole["paths"][each.path][each.method.lower()]
        assert {"token": [each.scope]} in operation["security"]
        assert operation["x-carnet-roles"] == [role.value for role in Role if each.scope in SCOPES[role]]
    scopes = whole["components"]["securitySchemes"]["token"]["flows"]["clientCredentials"]["scopes"]
    assert set(scopes) == {each.scope for each in served()}


def test_what_may_go_wrong_is_said(whole: dict[str, Any]) -> None:
    for each in served():
        responses = whole["paths"][each.path][each.method.lower()]["responses"]
        assert {str(status) for status in (*ALWAYS, *each.errors, each.status)} <= set(responses)
        if "{id}" in each.path and each.method != "PUT":
            assert "404" in responses, each.name
        if each.method == "POST":
            assert {"409", "422"} <= set(responses)


def test_every_type_says_what_it_is(whole: dict[str, Any]) -> None:
    for name, schema in whole["components"]["schemas"].items():
        assert schema.get("description") or "enum" in schema, name
        assert "``" not in schema.get("description", "")


def test_no_name_of_a_module_is_shown(whole: dict[str, Any]) -> None:
    """Two types of one name would be told apart by their modules, which are nobody's business."""
    assert not [name for name in whole["components"]["schemas"] if "." in name or "connector_" in name]


def test_every_member_of_a_process_is_shown_or_kept_back_on_purpose() -> None:
    assert set(Detail.__struct_fields__) - HIDDEN <= set(ProcessAnswer.__struct_fields__)


@pytest.mark.parametrize(
    ("shown", "taken"),
    [
        (local_consents.ConsentDecision, model.Entry),
        (local_consents.VehicleReference, model.Enrolment),
        (local_consents.UserRequest, requests.Asked),
        (local_consents.Withdrawal, LedgerWithdrawal),
    ],
)
def test_what_is_shown_of_an_entry_is_what_the_ledger_takes(shown: Any, taken: Any) -> None:
    assert set(shown.__struct_fields__) == set(taken.__struct_fields__)
    assert len(shown.__struct_defaults__) == len(taken.__struct_defaults__)


def test_a_template_asks_for_what_the_answers_hold() -> None:
    optional = len(TemplateAnswers.__struct_defaults__)
    names = TemplateAnswers.__struct_fields__
    needed = set(names[: len(names) - optional])
    assert {(each.name, each.required) for each in QUESTIONS} == {(name, name in needed) for name in names}
    assert [each.id for each in template_answers()] == list(TEMPLATES)
    assert all(each.terms.get("permission") or "Offer" in str(each.terms) for each in template_answers())
