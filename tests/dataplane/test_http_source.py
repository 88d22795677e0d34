"""An HTTP API behind a contract: what reaches it and what comes back, counted, cut, sealed and accounted for."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.ports import free_port

from .conftest import VDX, Control, MakePlane, agreement, first_message, owner_only, when
from .test_transfer import FLOW
from .upstreams import KEY, Api, Got, Stall, api

CUT = (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)
PASSED: dict[str, Any] = {"proxyPath": True, "proxyQueryParams": True, "proxyMethod": True, "proxyBody": True}
LARGE = b"0123456789abcdef" * 131_072


@pytest.fixture
async def upstream() -> AsyncIterator[Api]:
    async with api() as here:
        yield here


@pytest.fixture
async def stall(make_plane: MakePlane, control: Control, upstream: Api) -> AsyncIterator[Stall]:
    plane = await make_plane(upstream.url.removeprefix("http://"))
    yield Stall(plane, control, upstream)
    await plane.close()
    assert KEY.encode() not in plane.log


async def test_a_request_reaches_the_source_with_its_credential_and_without_the_buyers(stall: Stall) -> None:
    await stall.publish(**PASSED, headers={"X-Tenant": "7"}, queryParams="a=1")
    await stall.begin()
    got = await stall.ask("/cars/C17?b=%202", Accept="application/json", Cookie="x=y", X_Api_Key="mine", X_Trace="t")
    assert (got.status, got.headers["carnet-source-status"]) == (200, "200")
    (heard,) = stall.api.heard
    assert (heard.method, heard.path, heard.body) == ("GET", "/v1/cars/C17?a=1&b=%202", b"")
    assert (heard.headers["x-api-key"], heard.headers["x-tenant"], heard.headers["accept"]) == (KEY, "7", "application/json")
    assert not {"authorization", "cookie", "x-trace"} & set(heard.headers)
    assert (got.headers["content-type"], got.headers["etag"]) == ("application/json; charset=utf-8", '"v1"')
    assert not {"set-cookie", "x-internal", "www-authenticate"} & set(got.headers)
    digest = hashlib.sha256(got.body).digest()
    assert got.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest).decode()}:"


async def test_without_flags_only_the_address_itself_is_had(stall: Stall) -> None:
    await stall.publish("/v1/cars", queryParams="a=1")
    await stall.begin()
    assert (await stall.ask()).status == 200
    assert (await stall.ask(method="HEAD")).status == 200
    assert (await stall.ask("/17")).status == 404
    assert (await stall.ask("?b=2")).status == 400
    assert (await stall.ask(method="GET", body=b"x")).status == 400
    refused = await stall.ask(method="POST", body=b"x")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    assert [(heard.method, heard.path) for heard in stall.api.heard] == [("GET", "/v1/cars?a=1"), ("HEAD", "/v1/cars?a=1")]
    assert (await stall.meters())["all"]["calls"] == 2


async def test_methods_and_bodies_are_passed_on_where_they_are_offered(stall: Stall) -> None:
    await stall.publish(**PASSED)
    await stall.begin()
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await stall.ask("/x", method=method, body=b'{"a": 1}', Content_Type="application/json")).status == 200
    assert [(heard.method, heard.body) for heard in stall.api.heard] == [
        (method, b'{"a": 1}') for method in ("POST", "PUT", "PATCH", "DELETE")
    ]
    assert stall.api.heard[0].headers["content-type"] == "application/json"
    assert (await stall.ask("/x", method="POST", body=b"x" * (1024 * 1024 + 1))).status == 413
    assert len(stall.api.heard) == 4


@pytest.mark.parametrize("tail", ["/../secret", "/%2e%2e/secret", "/a/..%2f..%2fsecret", "/%252e%252e/secret", "//x"])
async def test_no_path_leads_out_of_the_base(stall: Stall, tail: str) -> None:
    await stall.publish("/v1/cars", **PASSED)
    await stall.begin()
    assert (await stall.ask(tail)).status == 400
    assert stall.api.heard == []


async def test_the_status_is_the_sources_and_a_redirect_leads_nowhere(stall: Stall) -> None:
    await stall.publish(**PASSED)
    await stall.begin()
    for status in (201, 204, 302, 401, 404, 409, 429, 500, 503):
        got = await stall.ask(f"/{status}")
        assert (got.status, got.headers["carnet-source-status"]) == (status, str(status))
        assert "location" not in got.headers
        assert got.body == (b"" if status == 204 else f"status {status}".encode())
    assert (await stall.ask("/407")).status == 502


async def test_a_large_answer_passes_in_pieces_and_is_counted_and_digested(stall: Stall) -> None:
    await stall.publish(**PASSED)
    await stall.begin()
    got = await stall.ask("/large")
    assert (got.status, got.body == LARGE, got.headers["content-length"]) == (200, True, str(len(LARGE)))
    stall.api.release.set()
    assert (await stall.ask("/slow")).body == b"firstsecond"
    record = await stall.record()
    assert record["kind"] == "http"
    assert record["meters"] == {"calls": 2, "rows": 0, "bytes": len(LARGE) + 11, "vehicles": 0}
    assert (record["bytes"], record["sha256"]) == (11, hashlib.sha256(b"firstsecond").hexdigest())
    running = bytes(32)
    for body in (LARGE, b"firstsecond"):
        running = hashlib.sha256(running + hashlib.sha256(body).digest()).digest()
    assert (record["answered"], record["runningDigest"]) == (2, running.hex())
    readings = await stall.meters()
    assert {period["bytes"] for period in readings.values()} == {len(LARGE) + 11}


async def test_calls_are_counted_before_the_source_hears_of_them(stall: Stall) -> None:
    await stall.publish()
    stall.agree([when("odrl:count", "lteq", "2")])
    await stall.begin()
    got = await asyncio.gather(*(stall.ask() for _ in range(5)))
    assert sorted(each.status for each in got) == [200, 200, 429, 429, 429]
    assert len(stall.api.heard) == 2
    assert (await stall.meters())["all"]["calls"] == 2


async def test_intervals_hold_between_requests(stall: Stall) -> None:
    await stall.publish()
    stall.agree([when("odrl:timeInterval", "gteq", "P1D")])
    await stall.begin()
    assert [(await stall.ask()).status for _ in range(2)] == [200, 429]
    assert len(stall.api.heard) == 1


async def test_no_byte_leaves_beyond_the_limit_of_bytes(stall: Stall) -> None:
    await stall.publish(**PASSED)
    stall.agree([when(f"{VDX}bytes", "lteq", "3000000")])
    await stall.begin()
    assert (await stall.ask("/large")).status == 200
    assert (await stall.ask("/large")).status == 429
    assert (await stall.meters())["all"]["bytes"] == len(LARGE)
    with pytest.raises(CUT):
        await stall.ask("/endless")
    counted = (await stall.meters())["all"]["bytes"]
    assert len(LARGE) < counted <= 3_000_000
    stall.agree([when(f"{VDX}bytes", "lteq", str(counted))])
    heard = len(stall.api.heard)
    assert (await stall.ask("/x")).status == 429
    assert len(stall.api.heard) == heard


async def test_tiers_follow_each_other_by_calls_and_bytes(stall: Stall) -> None:
    await stall.publish(**PASSED)
    stall.agree(
        [when("odrl:count", "lteq", "1"), when(f"{VDX}bytes", "lteq", "10")],
        [when("odrl:count", "lteq", "3"), when(f"{VDX}bytes", "lteq", "3000000")],
    )
    await stall.begin()
    assert [(await stall.ask(tail)).status for tail in ("/200", "/large", "/200", "/200")] == [200, 200, 200, 429]
    asked = "agreement=urn:agreement:1&counterparty=did:web:two.example"
    uses = (await stall.plane.done("GET", f"/carnet/meters?{asked}"))["deliveries"]
    counted = [(use["permission"], use["meters"]["calls"], use["meters"]["bytes"]) for use in uses]
    assert counted == [(0, 1, 10), (1, 2, len(LARGE) + 10)]
    assert {use["transfer"] for use in uses} == {"f1"}


async def test_a_call_moves_to_the_tier_that_its_answer_needs(stall: Stall) -> None:
    await stall.publish(**PASSED)
    stall.agree(
        [when("odrl:count", "lteq", "5"), when(f"{VDX}bytes", "lteq", "10")],
        [when("odrl:count", "lteq", "1"), when(f"{VDX}bytes", "lteq", "3000000")],
    )
    await stall.begin()
    assert (await stall.ask("/large")).status == 200
    (use,) = (await stall.plane.done("GET", "/carnet/meters?agreement=urn:agreement:1&counterparty=did:web:two.example"))[
        "deliveries"
    ]
    assert (use["permission"], use["meters"]["calls"], use["meters"]["bytes"]) == (1, 1, len(LARGE))
    assert (await stall.ask("/large")).status == 429


async def test_revocation_cuts_what_runs_and_what_waits_for_the_source(stall: Stall) -> None:
    await stall.publish(**PASSED)
    await stall.begin()
    async with stall.plane.http.get(stall.url("/slow"), headers=stall.headers()) as reader:
        assert await reader.content.readexactly(5) == b"first"
        waiting = asyncio.create_task(stall.ask("/late"))
        await stall.api.waits.wait()
        await stall.plane.change("f1", "suspend", "p2")
        with pytest.raises(CUT):
            await reader.read()
        # A client may ask again by itself, and is refused then.
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(outcome, CUT) or (isinstance(outcome, Got) and outcome.status == 403)
    assert (await stall.ask()).status == 403
    resumed = await stall.plane.change("f1", "resume", "p3")
    stall.addresses["f1"] = resumed["dataAddress"]
    assert (await stall.ask()).status == 200
    assert (await stall.record())["answered"] == 1


async def test_the_purpose_of_a_transfer_is_decided_for_each_request(stall: Stall) -> None:
    await stall.publish()
    research = f"{VDX}Research"
    stall.agree(purpose=research)
    await stall.begin()
    assert (await stall.ask(Carnet_Purpose="vdx:Research")).status == 200
    assert (await stall.ask()).status == 200
    assert (await stall.ask("?purpose=vdx:Research")).status == 200
    assert (await stall.ask(Carnet_Purpose="vdx:Insurance")).status == 409
    assert stall.control.asked == [("f1", research)] * 3
    stall.control.decision = {"permitted": False, "reasons": ["the agreement has ended"]}
    assert (await stall.ask()).status == 403
    stall.control.away = True
    assert (await stall.ask()).status == 503
    assert len(stall.api.heard) == 3


async def test_a_source_that_is_not_there_costs_no_call(make_plane: MakePlane, control: Control) -> None:
    port = free_port()
    stall = Stall(await make_plane(f"127.0.0.1:{port}"), control, Api(f"http://127.0.0.1:{port}"))
    stall.agree([when("odrl:count", "lteq", "1"), when("odrl:timeInterval", "gteq", "P1D")])
    await stall.publish()
    await stall.begin()
    assert [(await stall.ask()).status for _ in range(2)] == [502, 502]
    assert (await stall.record())["meters"]["calls"] == 0
    assert (await stall.meters())["all"]["calls"] == 0


async def test_a_source_that_says_nothing_is_given_up_and_counted(make_plane: MakePlane, control: Control, upstream: Api) -> None:
    plane = await make_plane(upstream.url.removeprefix("http://"), source_idle_s=0.2)
    stall = Stall(plane, control, upstream)
    await stall.publish(**PASSED)
    await stall.begin()
    assert (await stall.ask("/late")).status == 504
    with pytest.raises(CUT):
        await stall.ask("/slow")
    assert (await stall.record())["meters"] == {"calls": 2, "rows": 0, "bytes": 5, "vehicles": 0}


async def test_an_answer_that_breaks_off_is_not_taken_for_the_whole(stall: Stall) -> None:
    await stall.publish(**PASSED)
    await stall.begin()
    async with stall.plane.http.get(stall.url("/short"), headers=stall.headers()) as reader:
        assert await reader.content.readexactly(1) == b"x"
        stall.api.release.set()
        with pytest.raises(CUT):
            await reader.read()
    record = await stall.record()
    assert (record["bytes"], record["sha256"], record["answered"]) == (None, None, 1)
    assert record["meters"]["bytes"] <= 500_000


async def test_a_buyer_that_reads_nothing_is_cut_and_the_source_waits(
    make_plane: MakePlane, control: Control, upstream: Api
) -> None:
    plane = await make_plane(upstream.url.removeprefix("http://"), stream_idle_s=0.2)
    stall = Stall(plane, control, upstream)
    await stall.publish(**PASSED)
    await stall.begin()
    host, _, port = plane.public_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    token = stall.headers()["Authorization"]
    writer.write(f"GET /public/f1/endless HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    assert plane.process is not None
    assert plane.process.stderr is not None
    async with asyncio.timeout(30):
        while b"reads nothing" not in plane.log:
            plane.log += await plane.process.stderr.readline()
    writer.close()


async def test_what_opens_the_source_is_sealed_and_never_shown(stall: Stall) -> None:
    shown = await stall.publish("/v1?secret=in-the-query", headers={"X-Other": "other-secret"})
    assert shown["kind"] == "http"
    assert shown["http"] == {
        "base": f"{stall.api.url}/v1",
        "methods": ["GET", "HEAD"],
        "headers": ["X-Other"],
        "credential": "X-Api-Key",
        "proxyPath": False,
        "proxyQueryParams": False,
        "proxyMethod": False,
        "proxyBody": False,
    }
    await stall.begin()
    assert (await stall.ask()).status == 200
    await stall.plane.kill()
    kept = b"".join(path.read_bytes() for path in stall.plane.folder.glob("data.db*"))
    assert not [secret for secret in (KEY, "other-secret", "in-the-query") if secret.encode() in kept]
    key = stall.plane.folder / "sources.key"
    assert owner_only(key)
    await stall.plane.start()
    assert (await stall.ask()).status == 200
    await stall.plane.kill()
    key.write_text("another-key-0123456789")
    await stall.plane.start()
    assert (await stall.ask()).status == 503
    assert await stall.publish()
    assert (await stall.ask()).status == 200


async def test_only_what_may_be_called_is_published(stall: Stall) -> None:
    async def refused(http: dict[str, Any], **more: Any) -> tuple[int, str]:
        status, problem = await stall.plane.call("PUT", "/carnet/sources/ds", {"http": http, **more})
        return status, problem["code"]

    for forbidden in (stall.control.url, "http://127.0.0.1:1/", "http://api.example/", "https://localhost/", "https://10.0.0.1/"):
        assert await refused({"baseUrl": forbidden}) == (403, "http-forbidden")
    assert await refused({"baseUrl": stall.api.url, "path": "../x"}) == (400, "http-path")
    assert await refused({"baseUrl": stall.api.url, "proxypath": True}) == (400, "message_invalid")
    assert await refused({"baseUrl": stall.api.url}, path="/etc/passwd") == (400, "message_invalid")


async def test_terms_that_nothing_keeps_are_not_declared_and_not_delivered_under(stall: Stall) -> None:
    published = await stall.publish()
    assert {iri.rpartition("/")[2].rpartition("#")[2] for iri in published["declares"]} == {"count", "bytes", "timeInterval"}
    shaped = [when(f"{VDX}releaseLevel", "eq", f"{VDX}L3"), when(f"{VDX}minGroupSize", "gteq", "5")]
    offer = agreement(shaped) | {"@type": "Offer"}
    released = await stall.plane.done("POST", "/carnet/releases", {"datasetId": "ds", "policies": [offer]})
    (release,) = released["releases"]
    assert release["form"] == "http"
    assert release["problems"][0]["code"] == "not-enforceable"
    stall.agree(shaped)
    await stall.begin()
    assert (await stall.ask()).status == 409
    assert stall.api.heard == []


async def test_a_dataset_that_becomes_a_file_begins_another_transfer(stall: Stall) -> None:
    await stall.publish()
    await stall.begin()
    assert (await stall.ask()).status == 200
    await stall.plane.publish("ds", b"a file")
    assert (await stall.ask()).status == 409
    await stall.begin("f2")
    assert (await stall.ask(flow="f2")).body == b"a file"
    assert (await stall.ask("/x", flow="f2")).status == 404
    assert (await stall.ask(flow="f2", method="PUT")).status == 405
    assert (await stall.plane.call("DELETE", "/carnet/sources/ds"))[0] == 204
    assert (await stall.ask(flow="f2")).status == 404


async def test_the_log_is_told_when_it_begins_and_what_it_came_to(stall: Stall) -> None:
    await stall.publish(**PASSED)
    await stall.begin()
    for tail in ("/200", "/404"):
        await stall.ask(tail)
    told = await stall.control.leaf_of("receipt", state="left")
    assert told["members"] == {"state": "left", "role": "provider", "rows": 0, "bytes": 0}
    await stall.plane.change("f1", "completed", "p2")
    ended = await stall.control.leaf_of("receipt", state="passed")
    assert ended["members"] == {"state": "passed", "role": "provider", "rows": 0, "bytes": 20}
    assert (ended["at"], ended["asset"]) == (told["at"], "ds")
    assert (await stall.control.leaf_of("meter", meter="calls"))["members"]["used"] == 2


@pytest.mark.parametrize("tail", ["/large", "/slow", "/200"])
async def test_an_answer_lands_as_a_file_whose_receipt_holds(
    stall: Stall, make_plane: MakePlane, control: Control, tail: str
) -> None:
    stall.api.release.set()
    consumer = await make_plane(stall.plane.public_url.removeprefix("http://"))
    await stall.publish("/v1" + tail)
    await consumer.done("POST", "/dataflows/prepare", first_message(FLOW, "c1", sink="cars.bin"))
    await stall.begin(FLOW)
    await consumer.change(FLOW, "started", "c2", dataAddress=stall.addresses[FLOW])
    _, event, told = await control.next()
    body = {"/large": LARGE, "/slow": b"firstsecond", "/200": b"status 200"}[tail]
    assert (event, told["bytes"], told["sha256"]) == ("completed", len(body), hashlib.sha256(body).hexdigest())
    assert (consumer.sinks / "cars.bin").read_bytes() == body
    record = await stall.record(FLOW)
    assert (record["bytes"], record["sha256"]) == (told["bytes"], told["sha256"])


async def test_a_refusal_of_the_source_is_no_refusal_of_the_token(stall: Stall, make_plane: MakePlane, control: Control) -> None:
    consumer = await make_plane(stall.plane.public_url.removeprefix("http://"), download_attempts=2)
    await stall.publish("/v1/404")
    await consumer.done("POST", "/dataflows/prepare", first_message(FLOW, "c1", sink="cars.bin"))
    await stall.begin(FLOW)
    await consumer.change(FLOW, "started", "c2", dataAddress=stall.addresses[FLOW])
    _, event, told = await control.next()
    assert (event, told["error"]) == ("errored", "the provider answered 404")
    await stall.publish("/v1/401")
    await consumer.done("POST", "/dataflows/prepare", first_message("flow-2", "c3", sink="more.bin"))
    await stall.begin("flow-2")
    await consumer.change("flow-2", "started", "c4", dataAddress=stall.addresses["flow-2"])
    _, event, told = await control.next()
    assert (event, "answered 401" in told["error"]) == ("errored", True)
    assert control.made == 0


async def test_a_download_that_is_cut_begins_again_and_the_receipt_is_of_what_came(
    make_plane: MakePlane, control: Control, upstream: Api
) -> None:
    provider = await make_plane(upstream.url.removeprefix("http://"), stream_bytes_per_s=1024 * 1024)
    consumer = await make_plane(provider.public_url.removeprefix("http://"), download_attempts=200)
    stall = Stall(provider, control, upstream)
    await stall.publish("/v1/large")
    await consumer.done("POST", "/dataflows/prepare", first_message(FLOW, "c1", sink="cars.bin"))
    await stall.begin(FLOW)
    await consumer.change(FLOW, "started", "c2", dataAddress=stall.addresses[FLOW])
    await consumer.until_bytes(FLOW, 1)
    await provider.kill()
    await provider.start()
    _, event, told = await control.next()
    assert (event, told["sha256"]) == ("completed", hashlib.sha256(LARGE).hexdigest())
    record = await stall.record(FLOW)
    assert (record["bytes"], record["sha256"]) == (len(LARGE), told["sha256"])
    assert record["meters"]["calls"] >= 2
    assert record["meters"]["bytes"] > len(LARGE)
