"""What a contract allows of an HTTP source holds for many at once, in the middle of an answer, and across a power cut; what opens
the source stands in no file."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connector.dataplane.plan.declared import declared_for_http
from policies import dsp
from policies.compile import compile_agreement, needs_data_plane
from policies.delivery import Capabilities
from policies.errors import PolicyInvalid
from policies.terms import metering, time
from policies.terms.registry import REGISTRY

from .conftest import Control, MakePlane, agreement, owner_only, when
from .upstreams import KEY, Api, Stall, api

CUT = (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)
PASSED: dict[str, Any] = {"proxyPath": True, "proxyMethod": True, "proxyBody": True}
SHAPING = sorted(iri for iri, term in REGISTRY.items() if needs_data_plane(term) and iri not in declared_for_http())


@pytest.fixture
async def upstream() -> AsyncIterator[Api]:
    async with api() as here:
        yield here


@pytest.fixture
async def stall(make_plane: MakePlane, control: Control, upstream: Api) -> Stall:
    stall = Stall(await make_plane(upstream.url.removeprefix("http://")), control, upstream)
    await stall.publish(**PASSED)
    return stall


def test_what_passes_as_it_is_can_be_counted_and_not_shaped() -> None:
    assert declared_for_http() == {metering.COUNT, metering.BYTES, time.TIME_INTERVAL}
    assert len(SHAPING) > 15


@pytest.mark.parametrize("iri", SHAPING)
def test_a_term_that_nothing_keeps_here_is_never_delivered_under(iri: str) -> None:
    able = Capabilities(terms=declared_for_http())
    refused = 0
    for operator in ("eq", "lteq", "gteq"):
        for value in ("1", "true", "P1D", "https://w3id.org/carnet/terms#L3"):
            try:
                refused += not compile_agreement(dsp.read(agreement([when(iri, operator, value)])), able).under((0,)).deliverable
            except PolicyInvalid:
                refused += 1
    assert refused == 12


async def test_of_fifty_at_once_exactly_ten_are_let_through(stall: Stall) -> None:
    stall.agree([when("odrl:count", "lteq", "10")])
    for flow in ("f1", "f2"):
        await stall.begin(flow)
    got = await asyncio.gather(*(stall.ask("/200", flow=f"f{1 + number % 2}") for number in range(50)))
    assert Counter(each.status for each in got) == {200: 10, 429: 40}
    assert len(stall.api.heard) == 10
    assert {(each["calls"], each["bytes"]) for each in (await stall.meters()).values()} == {(10, 100)}


async def test_a_power_cut_in_the_middle_neither_doubles_nor_loses_a_call(stall: Stall) -> None:
    stall.agree([when("odrl:count", "lteq", "3")])
    await stall.begin()
    async with stall.plane.http.get(stall.url("/slow"), headers=stall.headers()) as reader:
        assert await reader.content.readexactly(5) == b"first"
        await stall.plane.kill()
        with pytest.raises(CUT):
            await reader.read()
    await stall.plane.start()
    assert {(each["calls"], each["bytes"]) for each in (await stall.meters()).values()} == {(1, 5)}
    assert [(await stall.ask("/200")).status for _ in range(3)] == [200, 200, 429]
    assert {(each["calls"], each["bytes"]) for each in (await stall.meters()).values()} == {(3, 25)}
    record = await stall.record()
    assert (record["meters"]["calls"], record["meters"]["bytes"], record["answered"]) == (3, 25, 2)


async def test_a_token_opens_its_own_transfer_as_long_as_that_runs(stall: Stall) -> None:
    for flow in ("f1", "f2"):
        await stall.begin(flow)
    own, other = stall.headers("f1")["Authorization"], stall.headers("f2")["Authorization"]
    for token, status in ((own, 200), (other, 404), (own[:-1], 403), (f"{own} {other}", 401), ("", 401)):
        assert (await stall.ask("/200", Authorization=token)).status == status
    await stall.plane.change("f1", "terminate", "p1")
    for method in ("GET", "POST", "DELETE"):
        assert (await stall.ask("/200", method=method)).status == 410
    assert (await stall.ask("/200", Authorization=other)).status == 404
    assert (await stall.ask("/200", flow="f2")).status == 200
    assert len(stall.api.heard) == 2


async def test_another_credential_is_used_from_the_next_request_on(stall: Stall) -> None:
    await stall.begin()
    running = asyncio.create_task(stall.ask("/late"))
    await stall.api.waits.wait()
    await stall.publish(**PASSED, credential={"header": "X-Api-Key", "value": "another-key-of-the-source"})
    assert (await stall.ask("/200")).status == 200
    stall.api.release.set()
    assert (await running).status == 200
    assert [heard.headers["x-api-key"] for heard in stall.api.heard] == [KEY, "another-key-of-the-source"]


async def test_what_opens_the_source_is_in_no_file_and_no_token_in_the_log(stall: Stall) -> None:
    await stall.begin()
    told = {each["name"]: each["value"] for each in stall.addresses["f1"]["endpointProperties"]}
    tokens = {KEY, told["authorization"].removeprefix("Bearer "), told["refreshToken"]}
    for tail in ("", "/404", "/500", "/../x", "/late/"):
        await stall.ask(tail)
    await stall.plane.call("PUT", "/carnet/sources/ds", {"http": {"baseUrl": stall.api.url, "credential": {"value": [KEY]}}})
    await stall.plane.call("PUT", "/carnet/sources/ds", {"http": {"baseUrl": f"https://u:{KEY}@api.example/"}})
    assert (await stall.plane.call("DELETE", "/carnet/sources/ds"))[0] == 204
    files = [path for path in stall.plane.folder.rglob("*") if path.is_file()]
    assert {"data.db", "sources.key"} <= {path.name for path in files}
    await stall.plane.close()
    assert not [path.name for path in files if path.exists() and KEY.encode() in path.read_bytes()]
    assert not [secret for secret in tokens if secret.encode() in stall.plane.log]
    assert not [path for path in files if path.exists() and _holds_secrets(path) and not owner_only(path)]


def _holds_secrets(path: Path) -> bool:
    return path.name.startswith("data.db") or path.name.endswith(("key", "token"))
