"""What a document must not smuggle through, and what must not be lost of it: several things at once, one member in two spellings,
names that others read otherwise, values of any size, and conditions that nobody looks at."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import DocumentError
from connector.api.guard import OwnerGuard
from connector.api.router import mount, supervisor
from connector.flow.plane import Plane
from connector.http.client import GuardedClient
from connector.http.problems import REPEATED_CHARS
from connector.management import shapes
from connector.management.assets import check_id
from connector.management.documents import flat
from connector.management.model import EDC
from connector.management.operations import operations
from connector.metrics import Metrics
from connector.protocol.errors import CallerError, Invalid
from connector.settings.secret import Secret
from tests.management.scene import opened

CONTEXT = {"@vocab": EDC}
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of all operations; the data plane is away."""
    async with opened(tmp_path) as scene:
        object.__setattr__(scene.b.m, "plane", Plane(cast("GuardedClient", None), Secret("x" * 32)))
        app = web.Application(middlewares=[supervisor("management", Metrics())])
        mount(app, operations(scene.b, "/management"), OwnerGuard())
        async with TestClient(TestServer(app)) as opened_client:
            yield opened_client


async def sent(client: Client, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.request(method, f"/management/v3/{path}", json=body, headers=named) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if text else None


@pytest.mark.parametrize(
    "members",
    [
        {"@graph": [{"@id": "a", "properties": {"n": 1}}, {"@id": "b", "properties": {"n": 2}}]},
        {"@id": "a", "@graph": [{"@id": "b", "properties": {}}]},
        {"@id": "a", "properties": {"b": {"@graph": [{"@id": "c", "n": 1}]}}},
        {"@id": "a", "properties": {}, "@included": [{"@id": "b", "properties": {}}]},
        {"@id": "a", "properties": {"@reverse": {"n": {"@id": "b"}}}},
        {"@id": "a", "properties": {"@unknown": 1, "n": 1}},
        {"@id": "a", "@unknown": 1, "properties": {}},
    ],
)
async def test_nothing_of_a_document_is_left_out_in_silence(members: dict[str, Any]) -> None:
    with pytest.raises(DocumentError) as refusal:
        await flat({"@context": CONTEXT, **members})
    assert "None" not in refusal.value.reason


async def test_an_index_says_nothing() -> None:
    found = await flat({"@context": CONTEXT, "@id": "a", "@index": "xy", "properties": {"n": {"@index": "z", "m": 1}}})
    assert found == {"@id": "a", f"{EDC}properties": {f"{EDC}n": {f"{EDC}m": 1}}}


SPELLINGS = ("accessPolicyId", "edc:accessPolicyId", f"{EDC}accessPolicyId")


@given(st.permutations(SPELLINGS), st.integers(2, 3))
async def test_a_member_in_two_spellings_has_both_values(names: list[str], count: int) -> None:
    document = {"@context": CONTEXT, "@id": "d", "contractPolicyId": "p"}
    found = await flat({**document, **{name: f"p{place}" for place, name in enumerate(names[:count])}})
    assert set(found[f"{EDC}accessPolicyId"]) == {f"p{place}" for place in range(count)}
    with pytest.raises(Invalid):
        shapes.definition_of(found)


@pytest.mark.parametrize("other", ["b", 7, ["a", "b"], {"n": 1}, ""])
async def test_an_asset_has_one_id(other: Any) -> None:
    document = {"@context": CONTEXT, "@id": "a", "properties": {"id": other, "n": 1}}
    with pytest.raises(Invalid, match="id"):
        shapes.asset_of(await flat(document))
    asset = shapes.asset_of(await flat({**document, "properties": {"id": "a", "n": 1}}))
    assert (asset.id, asset.properties) == ("a", {f"{EDC}n": 1})


@pytest.mark.parametrize("name", ["_:b0", ".", "..", " a", "a\n", "\t", "a\x1b[31m", "a\u202eb", "x" * 513])
def test_a_name_that_others_read_otherwise_is_none(name: str) -> None:
    with pytest.raises(CallerError) as refusal:
        check_id(name)
    assert refusal.value.code == "id-invalid"


@pytest.mark.parametrize("name", ["a b", "urn:uuid:1", "a/b/../c", "'; DROP TABLE asset; --", "\U0001f600", "%2F", "..."])
def test_a_name_with_odd_characters_is_one(name: str) -> None:
    check_id(name)


async def test_what_is_repeated_of_a_wrong_value_has_an_end(client: Client) -> None:
    long = "x" * 100_000
    policy = {"@context": CONTEXT, "@id": long, "policy": {"@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Set"}}
    status, (said,) = await sent(client, "PUT", "policydefinitions/p", policy)
    assert (status, said["path"], len(said["invalidValue"])) == (400, "@id", REPEATED_CHARS + 3)
    status, (said,) = await sent(client, "POST", "contractdefinitions", {"@context": CONTEXT, "accessPolicyId": [1] * 10_000})
    assert (status, len(said["invalidValue"])) == (400, REPEATED_CHARS + 3)


POLICY = {"@context": CONTEXT, "@id": "p", "policy": {"@context": "http://www.w3.org/ns/odrl.jsonld", "@type": "Set"}}
DEFINITION = {"@context": CONTEXT, "@id": "d", "accessPolicyId": "p", "contractPolicyId": "p"}
KEPT = {
    "assets": ({"@context": CONTEXT, "@id": "a", "properties": {}}, "assets"),
    "policydefinitions": ({**POLICY, "@id": "q"}, "policydefinitions/q"),
    "contractdefinitions": (DEFINITION, "contractdefinitions"),
}


@pytest.mark.parametrize("kind", KEPT)
async def test_a_delete_heeds_the_version_that_was_seen(client: Client, kind: str) -> None:
    body, place = KEPT[kind]
    one = f"{kind}/{body['@id']}"
    assert (await sent(client, "POST", "policydefinitions", POLICY))[0] == 200
    assert (await sent(client, "POST", kind, body))[0] == 200
    assert (await sent(client, "PUT", place, body, If_Match='"1"'))[0] == 204
    assert (await sent(client, "DELETE", one, If_Match='"1"'))[0] == 412
    assert (await sent(client, "DELETE", one, If_Match='W/"2"'))[0] == 400
    assert (await sent(client, "GET", one))[0] == 200
    assert (await sent(client, "DELETE", one, If_Match='"2"'))[0] == 204
    assert (await sent(client, "GET", one))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "header"),
    [
        ("POST", "assets", "If-None-Match"),
        ("PUT", "assets", "If-None-Match"),
        ("PUT", "assets", "If-Unmodified-Since"),
        ("POST", "assets", "If-Match"),
        ("PUT", "secrets", "If-Match"),
        ("POST", "contractnegotiations/x/terminate", "If-Match"),
    ],
)
async def test_a_condition_that_nobody_looks_at_is_refused(client: Client, method: str, path: str, header: str) -> None:
    status, (said,) = await sent(client, method, path, {"@context": CONTEXT, "@id": "x"}, **{header.replace("-", "_"): "*"})
    assert (status, header in said["message"]) == (400, True)
    assert (await sent(client, "GET", "assets/x"))[0] == 404


async def test_two_conditions_are_not_one(client: Client) -> None:
    headers = [("If-Match", "*"), ("If-Match", '"7"')]
    body = {"@context": CONTEXT, "@id": "a", "properties": {}}
    assert (await sent(client, "POST", "assets", body))[0] == 200
    async with client.put("/management/v3/assets", json=body, headers=headers) as answer:
        assert answer.status == 400
