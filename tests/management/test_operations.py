"""Every operation of EDC's table is there, in both versions, with a name, a scope and a status of its own."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest
from aiohttp import web

from connector.access.caller import EVERY
from connector.api.guard import OwnerGuard
from connector.api.operation import Operation
from connector.api.router import mount
from connector.management.business import Business
from connector.management.operations import operations
from connector.management.v4.schemas import FORMS, schema

BOTH = """
POST /assets 200
PUT /assets 204
POST /assets/request 200
GET /assets/{id} 200
DELETE /assets/{id} 204
POST /policydefinitions 200
PUT /policydefinitions/{id} 204
POST /policydefinitions/request 200
GET /policydefinitions/{id} 200
DELETE /policydefinitions/{id} 204
POST /policydefinitions/{id}/validate 200
POST /policydefinitions/{id}/evaluationplan 200
POST /contractdefinitions 200
PUT /contractdefinitions 204
POST /contractdefinitions/request 200
GET /contractdefinitions/{id} 200
DELETE /contractdefinitions/{id} 204
POST /catalog/request 200
POST /catalog/dataset/request 200
POST /catalogs/request 200
POST /contractnegotiations 200
POST /contractnegotiations/request 200
GET /contractnegotiations/{id} 200
GET /contractnegotiations/{id}/state 200
GET /contractnegotiations/{id}/agreement 200
POST /contractnegotiations/{id}/terminate 204
DELETE /contractnegotiations/{id} 204
POST /contractagreements/request 200
GET /contractagreements/{id} 200
GET /contractagreements/{id}/negotiation 200
POST /transferprocesses 200
POST /transferprocesses/request 200
GET /transferprocesses/{id} 200
GET /transferprocesses/{id}/state 200
POST /transferprocesses/{id}/terminate 204
POST /transferprocesses/{id}/suspend 204
POST /transferprocesses/{id}/resume 204
POST /edrs 200
POST /edrs/request 200
GET /edrs/{id}/dataaddress 200
POST /edrs/{id}/refresh 200
DELETE /edrs/{id} 204
POST /secrets 200
PUT /secrets 204
GET /secrets/{id} 200
DELETE /secrets/{id} 204
GET /dataplanes 200
"""
ONE = {"v3": "POST /transferprocesses/{id}/deprovision 204\n", "v4": "PUT /dataplanes 200\nDELETE /dataplanes/{id} 200\n"}
CHECKS = [f"GET /check/{name} 200" for name in ("health", "readiness", "startup", "liveness")]


class _Parts:
    """Stands for the services, of which nothing is asked here."""

    def __getattr__(self, _: str) -> Any:
        return self


@pytest.fixture
def served() -> list[Operation]:
    """All operations, below a path of one's own."""
    return operations(cast("Business", _Parts()), "/api/mgmt")


def lines(served: list[Operation], base: str) -> list[str]:
    """The operations below a base, as the table says them."""
    found = [each for each in served if each.path.startswith(f"{base}/")]
    return sorted(f"{each.method} {each.path.removeprefix(base)} {each.status}" for each in found)


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_each_version_serves_the_table(served: list[Operation], version: str) -> None:
    assert lines(served, f"/api/mgmt/{version}") == sorted((BOTH + ONE[version]).strip().splitlines())


def test_checks_need_no_caller_and_nothing_else_does_without(served: list[Operation]) -> None:
    assert sorted(f"{each.method} {each.path.removeprefix('/api/mgmt')} 200" for each in served if each.open) == sorted(CHECKS)


def test_they_can_be_mounted_beside_each_other(served: list[Operation]) -> None:
    app = web.Application()
    mount(app, served, OwnerGuard())
    with pytest.raises(ValueError, match="mounted already"):
        mount(app, served[:1], OwnerGuard())


def test_whatever_changes_something_is_told_and_nothing_else(served: list[Operation]) -> None:
    reading = re.compile(r"/(request|validate|evaluationplan|deprovision)$")
    for each in served:
        changes = each.method != "GET" and reading.search(each.path) is None
        assert each.told is changes, each.name
        assert each.verb == ("write" if changes or each.path.endswith("deprovision") else "read"), each.name
        assert each.scope in EVERY


def test_schemas_stand_alone() -> None:
    for form in FORMS:
        assert "$ref" not in str({name: value for name, value in schema(form).items() if name == "$schema"})
        assert schema(form)["required"][:2] == ["@context", "@type"]
