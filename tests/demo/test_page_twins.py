"""The ten commands as the page of the interface has them, run over HTTP against the two connectors that they are about.

Then there is something of almost everything, and whatever is asked about it is answered as it is described.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import reduce
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest
from aiohttp import ClientResponse, ClientSession
from yarl import URL

from connector.api.twins import TWINS, Step
from tests.demo.test_twins import houses
from tests.demo.test_walkthrough import LONGEST_S

__all__ = ["houses"]


def filled(value: Any, known: dict[str, Any]) -> Any:
    """A body with what earlier answers have said."""
    if isinstance(value, dict):
        return {name: filled(each, known) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, known) for each in value]
    return known[value] if isinstance(value, str) and value.startswith("$") else value


def member(answer: Any, path: str) -> Any:
    """A member of an answer by its path."""
    return reduce(lambda found, name: found[int(name)] if name.isdigit() else found[name], path.split("."), answer)


async def made(web: ClientSession, where: str, step: Step, places: dict[str, tuple[str, str]], known: dict[str, Any]) -> None:
    """One step, again until it has come to its end."""
    method, path = places[step.operation]
    for name, value in step.places.items():
        path = path.replace(f"{{{name}}}", quote(known[value], safe=""))
    url = URL(f"{where}{path}{step.query}", encoded=True)
    answer: Any = None
    for _ in range(LONGEST_S):
        async with web.request(method, url, json=filled(step.body, known)) as response:
            answer = await response.json()
        assert response.status in (200, 201), (step.operation, answer)
        if not step.until or answer["state"] == step.until:
            break
        assert answer["state"] != "TERMINATED", answer
        url = url.update_query(version=str(answer["version"]))
    assert not step.until or answer["state"] == step.until, answer
    known |= {name: member(answer, at) for name, at in step.keep.items()}
    known["answer"] = answer


async def business(houses: dict[str, Any]) -> dict[str, Any]:
    """All ten; what was kept, and the last answer."""
    known = {"$oem": houses["OEM"], "$city": houses["CITY"], "$file": houses["FLEET"], "$terms": houses["TERMS"]}
    for twin in TWINS:
        where, key = houses[twin.side]
        async with ClientSession(headers={"x-api-key": key}) as web:
            places = places_of(await described(web, where))
            for step in twin.steps:
                await made(web, where, step, places, known)
    return known


async def described(web: ClientSession, where: str) -> dict[str, Any]:
    """The interface as it describes itself."""
    async with web.get(f"{where}/carnet/v1/openapi.json") as response:
        whole: dict[str, Any] = await response.json()
    return whole


def places_of(whole: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Method and path of each operation."""
    return {one["operationId"]: (verb, path) for path, verbs in whole["paths"].items() for verb, one in verbs.items()}


@pytest.fixture(scope="module")
def done(houses: dict[str, Any]) -> dict[str, Any]:  # the fixture
    """The houses after the ten commands."""
    return houses | asyncio.run(business(houses))


def test_the_ten_commands_work_as_the_page_has_them(done: dict[str, Any]) -> None:
    assert [each["content"]["rows"] > 0 for each in done["answer"]] == [True]


@pytest.mark.parametrize("side", ["oem", "city"])
async def test_every_answer_about_something_real_is_as_described(done: dict[str, Any], side: str) -> None:
    """Every GET, each with every id of its list; and what is asked by POST and changes nothing."""
    where, key = done[side]
    async with ClientSession(headers={"x-api-key": key}) as web:
        whole = await described(web, where)
        asked = list(await requests(web, where, whole, done))
        for method, template, path, body in asked:
            async with web.request(method, URL(f"{where}{path}", encoded=True), json=body) as response:
                await check(whole, method, template, response)
    reached = {template for _, template, _, _ in asked}
    expected = {path for path, verbs in whole["paths"].items() if "get" in verbs} - ENDLESS - NOT_HERE[side]
    assert expected <= reached, expected - reached


ENDLESS = {"/carnet/v1/events"}
# Nothing waits for people here, and the one has no datasets.
NOT_HERE = {
    "oem": {"/carnet/v1/approvals/{id}"},
    "city": {"/carnet/v1/approvals/{id}", "/carnet/v1/datasets/{id}", "/carnet/v1/offers/{id}"},
}


async def requests(
    web: ClientSession, where: str, whole: dict[str, Any], done: dict[str, Any]
) -> Iterator[tuple[str, str, str, Any]]:
    """Method, path as it is described, path, and body."""
    found: list[tuple[str, str, str, Any]] = []
    for template, verbs in whole["paths"].items():
        if "get" not in verbs or template in ENDLESS:
            continue
        for each in await ids(web, where, template) if "{id}" in template else [""]:
            found.append(("get", template, template.replace("{id}", quote(each, safe="")), None))
    about = {"what": done["$agreement"]}
    found.append(("post", "/carnet/v1/explain", "/carnet/v1/explain", about))
    found.append(("post", "/carnet/v1/explain", "/carnet/v1/explain", {**about, "redacted": True, "language": "de"}))
    found.append(("post", "/carnet/v1/simulate", "/carnet/v1/simulate", {"what": "urn:oem:flow", "participant": done["$city"]}))
    found.append(("post", "/carnet/v1/catalog", "/carnet/v1/catalog", {"counterparty": done["$oem"]}))
    found.append(("post", "/carnet/v1/subjects/name", "/carnet/v1/subjects/name", {"vehicle": "V1"}))
    return iter(found)


async def ids(web: ClientSession, where: str, template: str) -> list[str]:
    """The ids of everything in the list that a path is about."""
    place = template.split("/")[3]
    lists = ["negotiations", "transfers"] if place == "processes" else [place]
    found: list[str] = []
    for each in lists:
        async with web.get(f"{where}/carnet/v1/{each}") as response:
            found += [one.get("id") or one["@id"] for one in await response.json()]
    return found


async def check(whole: dict[str, Any], method: str, template: str, response: ClientResponse) -> None:
    """The status is a described one, and the body of its type."""
    described = whole["paths"][template][method]["responses"].get(str(response.status))
    assert described is not None, (template, response.status)
    known = whole["components"]["responses"][str(response.status)] if "$ref" in described else described
    assert response.content_type in known["content"], template
    schema = known["content"][response.content_type].get("schema")
    if schema is not None:
        entry = {**schema, "components": whole["components"]}
        jsonschema.Draft202012Validator(entry).validate(await response.json(content_type=None))
