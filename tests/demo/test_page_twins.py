"""The ten commands as the page of the interface has them, run over HTTP against the two connectors that they are about."""

from __future__ import annotations

from functools import reduce
from typing import Any
from urllib.parse import quote

from aiohttp import ClientSession
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


async def test_the_ten_commands_work_as_the_page_has_them(houses: dict[str, Any]) -> None:  # the fixture
    known = {"$oem": houses["OEM"], "$city": houses["CITY"], "$file": houses["FLEET"], "$terms": houses["TERMS"]}
    for twin in TWINS:
        where, key = houses[twin.side]
        async with ClientSession(headers={"x-api-key": key}) as web:
            async with web.get(f"{where}/carnet/v1/openapi.json") as response:
                paths = (await response.json())["paths"]
            places = {one["operationId"]: (verb, path) for path, verbs in paths.items() for verb, one in verbs.items()}
            for step in twin.steps:
                await made(web, where, step, places, known)
    assert [each["content"]["rows"] > 0 for each in known["answer"]] == [True]
