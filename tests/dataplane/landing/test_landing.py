"""A consumer's data plane against a provider that makes files: what it asks, where it lands, what it believes, what it erases."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from aiohttp import web

from connector.dataplane.landing.announced import refusal
from connector.dataplane.query.output import digest_of_file
from tests.dataplane.conftest import HTTP_PULL, Control, MakePlane, Plane, first_message
from tests.dataplane.landing.test_disk import ROWS, write
from tests.ports import free_port

CSV = "text/csv"


@dataclass
class Provider:
    """Answers with ``queue`` first, status by status, then with the file."""

    body: bytes
    headers: dict[str, str]
    queue: list[web.Response] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.query))
        if self.queue:
            return self.queue.pop(0)
        return web.Response(body=self.body, headers={"ETag": '"x"', "Content-Type": CSV, **self.headers})


@asynccontextmanager
async def serving(provider: Provider, port: int) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_get("/data", provider.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    file = write(tmp_path, "csv")
    rows, digest = digest_of_file(file, "csv")
    told = {"Carnet-Rows": str(rows), "Carnet-Rows-Digest": digest, "Carnet-Plan": "ab" * 32, "Carnet-Ledger": "7"}
    return Provider(file.read_bytes(), told)


async def fetched(make_plane: MakePlane, control: Control, provider: Provider, **metadata: Any) -> tuple[Plane, str, Any]:
    port = free_port()
    plane = await make_plane(f"127.0.0.1:{port}")
    await plane.done("POST", "/dataflows/prepare", first_message("flow", "m1", **metadata))
    properties = [{"@type": "EndpointProperty", "name": "authorization", "value": "sesame"}]
    address = {"endpointType": HTTP_PULL, "endpoint": f"http://127.0.0.1:{port}/data", "endpointProperties": properties}
    async with serving(provider, port):
        await plane.change("flow", "started", "m2", dataAddress=address)
        _, event, told = await control.next()
    return plane, event, told


def busy(status: int, **headers: str) -> web.Response:
    return web.Response(status=status, headers=headers)


async def test_the_request_goes_along_and_a_file_still_being_made_is_waited_for(
    make_plane: MakePlane, control: Control, provider: Provider
) -> None:
    provider.queue = [busy(202, **{"Retry-After": "0"}) for _ in range(20)]
    ask = {"from": "2026-11-01T00:00:00Z", "box": "8,49,9,50", "columns": "Vehicle.Speed,a b"}
    plane, event, told = await fetched(make_plane, control, provider, sink="november/trips.csv", ask=ask)
    assert event == "completed"
    assert provider.asked == [ask] * 21
    assert (plane.sinks / "november" / "trips.csv").read_bytes() == provider.body
    assert told["sha256"] == hashlib.sha256(provider.body).hexdigest()
    said = {name: told[name] for name in ("rows", "rowsDigest", "planDigest", "ledger", "format")}
    digest = provider.headers["Carnet-Rows-Digest"]
    assert said == {"rows": 4, "rowsDigest": digest, "planDigest": "ab" * 32, "ledger": 7, "format": "csv"}


async def test_rows_that_are_not_those_announced_do_not_land(make_plane: MakePlane, control: Control, provider: Provider) -> None:
    provider.body += b"dd,90.0\n"
    plane, event, told = await fetched(make_plane, control, provider, sink="trips.csv")
    assert event == "errored"
    assert "not the 4 rows" in told["error"]
    assert not (plane.sinks / "trips.csv").exists()


async def test_a_refusal_ends_the_download_with_its_reason(make_plane: MakePlane, control: Control, provider: Provider) -> None:
    problem = {"code": "not-permitted", "detail": "The purpose is a kind of research."}
    provider.queue = [busy(503), web.json_response(problem, status=403)]
    _, event, told = await fetched(make_plane, control, provider, sink="trips.csv")
    assert (event, len(provider.asked)) == ("errored", 2)
    assert "not-permitted" in told["error"]
    assert "The purpose is a kind of research." in told["error"]


async def test_rows_land_in_a_table_and_are_erased_there(make_plane: MakePlane, control: Control, provider: Provider) -> None:
    plane, event, told = await fetched(make_plane, control, provider, sink="trips.csv", into="bought.duckdb:trips")
    assert (event, told["into"]) == ("completed", "bought.duckdb:trips")
    assert rows_of(plane) == sorted(ROWS)
    order = {"id": "o1", "transfers": ["flow"], "pseudonyms": ["aa"]}
    report = await plane.done("POST", "/carnet/erasures", order)
    assert report == {"erased": [{"transfer": "flow", "file": "bought.duckdb:trips", "rows": 2}], "outside": []}
    assert rows_of(plane) == [("bb", 60.0), ("cc", 80.25)]


def rows_of(plane: Plane) -> list[Any]:
    with duckdb.connect(str(plane.sinks / "bought.duckdb")) as connection:
        return sorted(connection.execute('SELECT pseudonym, "Vehicle.Speed" FROM trips').fetchall())


async def test_an_order_to_erase_is_done_once_and_says_what_it_could_not_reach(
    make_plane: MakePlane, control: Control, provider: Provider
) -> None:
    plane, _, told = await fetched(make_plane, control, provider, sink="trips.csv")
    await plane.done("POST", "/dataflows/prepare", first_message("elsewhere", "m3"))
    order = {"id": "o1", "transfers": ["flow", "elsewhere", "unknown"], "pseudonyms": ["aa"], "references": []}
    report = await plane.done("POST", "/carnet/erasures", order)
    (done,) = report["erased"]
    after = hashlib.sha256((plane.sinks / "trips.csv").read_bytes()).hexdigest()
    assert done == {"transfer": "flow", "file": "trips.csv", "rows": 2, "sha256Before": told["sha256"], "sha256After": after}
    assert [each["transfer"] for each in report["outside"]] == ["elsewhere", "unknown"]
    assert all(each["why"] for each in report["outside"])
    await plane.kill()
    await plane.start()
    assert await plane.done("POST", "/carnet/erasures", order) == report
    whole = await plane.done("POST", "/carnet/erasures", {"id": "o2", "transfers": ["flow"], "whole": True})
    assert [each["transfer"] for each in whole["erased"]] == ["flow"]
    assert not (plane.sinks / "trips.csv").exists()
    again = await plane.done("POST", "/carnet/erasures", {"id": "o3", "transfers": ["flow"], "whole": True})
    assert "landing-gone" in again["outside"][0]["why"]


async def test_a_file_that_was_changed_since_is_erased_and_that_is_said(
    make_plane: MakePlane, control: Control, provider: Provider
) -> None:
    plane, _, _ = await fetched(make_plane, control, provider, sink="trips.csv")
    with (plane.sinks / "trips.csv").open("a") as landed:
        landed.write("aa,99.0\n")
    report = await plane.done("POST", "/carnet/erasures", {"id": "o1", "transfers": ["flow"], "pseudonyms": ["aa"]})
    assert report["erased"][0]["rows"] == 3
    assert "changed since it landed" in report["outside"][0]["why"]


@pytest.mark.parametrize(
    "metadata",
    [{"ask": {"From": "x"}}, {"ask": {"from": 7}}, {"ask": ["from"]}, {"ask": {"from": "a\nb"}}, {"into": "../x.duckdb:t"},
     {"into": "x.duckdb:t; DROP TABLE t"}, {"into": "x.db:t"}, {"into": 7}],
)  # fmt: skip
async def test_what_cannot_be_asked_or_landed_is_refused_at_once(make_plane: MakePlane, metadata: dict[str, Any]) -> None:
    plane = await make_plane()
    status, problem = await plane.call("POST", "/dataflows/prepare", first_message("flow", "m1", sink="x", **metadata))
    assert (status, problem["code"]) == (400, next(iter(metadata)))
    assert (await plane.call("GET", "/dataflows/flow/status"))[0] == 404


@pytest.mark.parametrize(
    ("status", "body", "passing"),
    [
        (500, b"", True), (503, b"{}", True), (408, b"", True), (403, b"no", True), (404, b"", False), (410, b"{}", False),
        (403, b'{"code": "flow_suspended"}', True), (403, b'{"code": "not-permitted"}', False),
        (429, b'{"code": "limit-reached", "detail": "all used"}', False), (429, b'"slow down"', True),
        (401, b'{"code": "token_expired"}', True), (400, b"\xff\xfe", False),
    ],
)  # fmt: skip
def test_which_refusals_pass(status: int, body: bytes, passing: bool) -> None:
    said, again = refusal(status, body)
    assert again is passing
    assert str(status) in said
