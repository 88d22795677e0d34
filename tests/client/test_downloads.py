"""Downloads to where the program runs: resumed, renewed, verified, refused; a provider breaks off as a test wants."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from connector.client import Carnet, Declined, Refused, Waited, downloads
from connector.client.local import LocalClient
from tests.client.speaking import listening, process

DATA = bytes(range(256)) * 40
TRANSFER = process(2, "STARTED", kind="transfer", id="urn:uuid:5", subject="urn:uuid:2")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "BACKOFF_S", 0)


class World:
    """A connector and, on the same port, its provider. ``breaks``: after how many bytes each answer breaks off."""

    def __init__(self) -> None:
        self.url = ""
        self.data = DATA
        self.breaks: list[int] = []
        self.refusals: list[tuple[int, dict[str, Any]]] = []
        self.unable: list[tuple[int, str]] = []
        self.spelled = ""
        self.making = 0
        self.token = self.given = "one"
        self.state = "STARTED"
        self.asked: list[str] = []
        self.queries: list[str] = []
        self.acts: list[str] = []
        self.there = 0
        self.took = asyncio.Event()
        self.announced: dict[str, str] = {"Carnet-Rows": "7", "Carnet-Suppressed": "2"}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path == "/data":
            return await self.served(request)
        name = path.rpartition("/")[2]
        if request.method == "POST":
            self.acts.append(name)
        match name:
            case "transfers":
                return _json({**TRANSFER, "state": "INITIAL", "version": 0}, 201)
            case "data-address":
                return _json(self.address())
            case "renewal":
                return self.renewed(orjson.loads(await request.read())["refused"])
            case _:
                return _json({**TRANSFER, "state": self.state})

    def progress(self, done: int, _: int | None) -> None:
        """For who downloads: so many bytes are there."""
        self.there = done
        self.took.set()

    def renewed(self, refused: str) -> web.Response:
        """The connector's answer to who was refused with a token."""
        if self.unable:
            return _json({"code": (problem := self.unable.pop(0))[1], "detail": "not now"}, problem[0])
        assert refused == self.given
        self.token = self.given = "two"
        return _json(self.address())

    def address(self) -> dict[str, Any]:
        known = {f"{self.spelled}authorization": self.given, f"{self.spelled}authType": "bearer"}
        properties = [{"name": name, "value": value} for name, value in known.items()]
        return {"endpoint": f"{self.url}/data", "endpointType": "HttpData", "endpointProperties": properties}

    async def served(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers.get("Range", "all"))
        self.queries.append(request.query_string)
        if self.making:
            self.making -= 1
            return web.Response(status=202, headers={"Retry-After": "0"})
        if request.headers["Authorization"] != f"Bearer {self.token}":
            return _json({"code": "token_expired", "detail": "the token is over"}, 401)
        if self.refusals:
            status, problem = self.refusals.pop(0)
            return _json(problem, status)
        digest = hashlib.sha256(self.data).digest()
        tag = f'"{digest.hex()}"'
        first = 0
        if request.headers.get("If-Range") == tag:
            first = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        headers = {"ETag": tag, "Repr-Digest": f"sha-256=:{base64.b64encode(digest).decode()}:", **self.announced}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(self.data) - 1}/{len(self.data)}"
        response = web.StreamResponse(status=206 if first else 200, headers=headers)
        response.content_length = len(self.data) - first
        await response.prepare(request)
        rest = self.data[first:]
        if self.breaks:
            cut = self.breaks.pop(0)
            await response.write(rest[:cut])
            # What is on its way when a connection breaks may be lost: only what was taken counts.
            while cut and self.there < first + cut:
                await self.took.wait()
                self.took.clear()
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(rest)
        return response


def _json(document: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(document))


@asynccontextmanager
async def between(world: World) -> AsyncIterator[Carnet]:
    """A client of the connector, which may call the provider."""
    async with listening(world.handle) as url:
        world.url = url
        async with Carnet.over(LocalClient(url=url), [url.removeprefix("http://")]) as carnet:
            yield carnet


async def test_what_comes_is_whole_and_says_what_it_is(tmp_path: Path) -> None:
    world, seen = World(), list[tuple[int, int | None]]()
    async with between(world) as carnet:
        came = await carnet.download(
            "urn:uuid:2", tmp_path / "rows", progress=lambda done, of: seen.append((done, of)), from_="2026-01-01", columns=None
        )
    assert (tmp_path / "rows").read_bytes() == DATA
    assert (came.bytes, came.sha256, came.rows, came.suppressed) == (len(DATA), hashlib.sha256(DATA).hexdigest(), 7, 2)
    assert (seen[-1], world.queries) == ((len(DATA), len(DATA)), ["from=2026-01-01"])
    assert world.acts == ["transfers", "complete"]
    assert os.listdir(tmp_path) == ["rows"]


async def test_what_breaks_off_goes_on_where_it_was(tmp_path: Path) -> None:
    world = World()
    world.breaks = [1000, 0, 3000]
    async with between(world) as carnet:
        await carnet.download("urn:uuid:2", tmp_path / "rows", progress=world.progress)
    assert (tmp_path / "rows").read_bytes() == DATA
    assert world.asked == ["all", "bytes=1000-", "bytes=1000-", "bytes=4000-"]


async def test_a_program_that_was_killed_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """As of a signal."""

    world = World()

    def kill(done: int, of: int | None) -> None:
        world.progress(done, of)
        if done >= 1000:
            raise Killed

    world.breaks = [1000]
    async with between(world) as carnet:
        with pytest.raises(Killed):
            await carnet.download("urn:uuid:2", tmp_path / "rows", progress=kill)
        assert sorted(os.listdir(tmp_path)) == ["rows.part", "rows.part.json"]
        assert {os.stat(tmp_path / name).st_mode & 0o777 for name in os.listdir(tmp_path)} == {0o600}
        world.breaks = []
        await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert (tmp_path / "rows").read_bytes() == DATA
    assert world.asked == ["all", "bytes=1000-"]
    assert world.acts.count("transfers") == 1


@pytest.mark.parametrize("change", ["ask", "agreement", "state"])
async def test_what_is_left_of_something_else_is_thrown_away(tmp_path: Path, change: str) -> None:
    world = World()
    world.breaks = [1000] * downloads.ATTEMPTS
    (tmp_path / "rows.part").write_bytes(b"x" * 50)
    kept: dict[str, Any] = {"agreement": "urn:uuid:2", "ask": {}, "transfer": "urn:uuid:5", "etag": '"x"', "total": 60}
    others: dict[str, dict[str, Any]] = {"ask": {"ask": {"box": "1"}}, "agreement": {"agreement": "urn:uuid:3"}, "state": {}}
    kept |= others[change]
    (tmp_path / "rows.part.json").write_bytes(orjson.dumps(kept))
    world.breaks = []
    async with between(world) as carnet:
        if change == "state":
            world.state = "TERMINATED"
            with pytest.raises(Declined):
                await carnet.download("urn:uuid:2", tmp_path / "rows")
            assert os.listdir(tmp_path) == []
            return
        await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert (tmp_path / "rows").read_bytes() == DATA
    assert world.asked == ["all"]


async def test_another_file_of_the_provider_is_begun_anew(tmp_path: Path) -> None:
    world = World()
    world.breaks = [1000]
    async with between(world) as carnet:

        def change(done: int, of: int | None) -> None:
            world.data = DATA[::-1]
            world.progress(done, of)

        await carnet.download("urn:uuid:2", tmp_path / "rows", progress=change)
    assert (tmp_path / "rows").read_bytes() == DATA[::-1]


async def test_a_token_that_is_over_is_renewed_by_the_connector(tmp_path: Path) -> None:
    world = World()
    world.token = "two"
    async with between(world) as carnet:
        await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert (tmp_path / "rows").read_bytes() == DATA
    assert world.acts == ["transfers", "renewal", "complete"]


async def test_a_connector_that_cannot_renew_it_just_now_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "BACKOFF_S", 0.0)
    world = World()
    world.token, world.unable = "two", [(503, "peer-unreachable")]
    async with between(world) as carnet:
        await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert world.acts == ["transfers", "renewal", "renewal", "complete"]


@pytest.mark.parametrize("said", [(503, "token-not-renewed"), (409, "reference-not-renewable"), (404, "reference-none")])
async def test_a_token_that_cannot_be_renewed_ends_it(tmp_path: Path, said: tuple[int, str]) -> None:
    world = World()
    world.token, world.unable = "two", [said]
    async with between(world) as carnet:
        with pytest.raises(Declined, match="token-refused"):
            await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert world.acts == ["transfers", "renewal", "terminate"]


async def test_an_address_in_the_words_of_edc_is_read(tmp_path: Path) -> None:
    world = World()
    world.spelled = "https://w3id.org/edc/v0.0.1/ns/"
    async with between(world) as carnet:
        await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert (tmp_path / "rows").read_bytes() == DATA


async def test_a_token_that_stays_refused_ends_it(tmp_path: Path) -> None:
    world = World()
    world.refusals = [(401, {"code": "token_expired", "detail": "over"})] * 9
    async with between(world) as carnet:
        with pytest.raises(Declined, match="token-refused"):
            await carnet.download("urn:uuid:2", tmp_path / "rows")


async def test_the_provider_is_waited_for_while_it_makes_the_file(tmp_path: Path) -> None:
    world = World()
    world.making = downloads.ATTEMPTS + 2
    async with between(world) as carnet:
        await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert len(world.asked) == downloads.ATTEMPTS + 3


async def test_a_provider_that_never_sends_is_given_up(tmp_path: Path) -> None:
    world = World()
    world.breaks = [0] * 20
    async with between(world) as carnet:
        with pytest.raises(Declined, match="provider-unreachable"):
            await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert len(world.asked) == downloads.ATTEMPTS


async def test_a_refusal_is_told_in_the_providers_words_and_ends_the_transfer(tmp_path: Path) -> None:
    world = World()
    world.refusals = [(403, {"code": "policy-denied", "detail": "not for\x1b this"})]
    async with between(world) as carnet:
        with pytest.raises(Declined) as caught:
            await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert (caught.value.code, caught.value.reason) == ("policy-denied", "not for this")
    assert world.acts == ["transfers", "terminate"]
    assert os.listdir(tmp_path) == []


async def test_bytes_that_were_not_announced_are_not_kept(tmp_path: Path) -> None:
    world = World()
    world.announced["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"
    async with between(world) as carnet:
        with pytest.raises(Declined, match="digest-mismatch"):
            await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert os.listdir(tmp_path) == []


async def test_nothing_that_is_there_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("mine")
    async with between(World()) as carnet:
        with pytest.raises(FileExistsError):
            await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert (tmp_path / "rows").read_text() == "mine"


async def test_two_programs_do_not_write_the_same_file(tmp_path: Path) -> None:
    world = World()
    async with between(world) as carnet:

        async def second() -> None:
            with pytest.raises(FileExistsError, match="another program"):
                await carnet.download("urn:uuid:2", tmp_path / "rows")
            world.progress(1000, None)

        world.breaks = [1000]
        first = asyncio.create_task(carnet.download("urn:uuid:2", tmp_path / "rows"))
        while not world.asked:
            await asyncio.wait({first}, timeout=0.01)
        await asyncio.gather(first, second())
    assert (tmp_path / "rows").read_bytes() == DATA
    assert world.acts.count("transfers") == 1


async def test_a_file_system_without_hard_links_does_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    async with between(World()) as carnet:
        await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert (tmp_path / "rows").read_bytes() == DATA
    assert os.listdir(tmp_path) == ["rows"]


async def test_a_transfer_that_does_not_start_in_time_is_gone_on_with(tmp_path: Path) -> None:
    world = World()
    world.state = "SUSPENDED"
    async with between(world) as carnet:
        with pytest.raises(Waited):
            await carnet.download("urn:uuid:2", tmp_path / "rows", within_s=0)
        world.state = "STARTED"
        await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert world.acts.count("transfers") == 1


async def test_a_transfer_that_was_refused_leaves_nothing(tmp_path: Path) -> None:
    world = World()
    world.state = "TERMINATED"
    async with between(world) as carnet:
        with pytest.raises(Declined):
            await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert os.listdir(tmp_path) == []


async def test_a_file_that_is_larger_than_was_said_is_not_taken(tmp_path: Path) -> None:
    world = World()
    async with between(world) as carnet:
        with pytest.raises(Declined, match="too-large"):
            await carnet.download("urn:uuid:2", tmp_path / "rows", max_bytes=len(DATA) - 1)
    assert os.listdir(tmp_path) == []


async def test_who_makes_a_file_for_ever_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "MAKING_S", 0)
    world = World()
    world.making = 100
    async with between(world) as carnet:
        with pytest.raises(Waited, match="still making"):
            await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert world.making > 90


async def test_places_that_were_not_named_are_not_called(tmp_path: Path) -> None:
    world = World()
    async with listening(world.handle) as url:
        world.url = url
        async with Carnet.over(LocalClient(url=url)) as carnet:
            with pytest.raises(Declined) as caught:
                await carnet.download("urn:uuid:2", tmp_path / "rows")
    assert (caught.value.code, world.asked) == ("scheme", [])


async def test_rows_become_a_table_and_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    world = World()
    world.data = b"trip,speed\na,1\nb,2\n"
    async with between(world) as carnet:
        with duckdb.connect() as connection:
            assert await carnet.duckdb("urn:uuid:2", connection, "rows") == 2
        assert list((await carnet.pandas("urn:uuid:2"))["speed"]) == [1, 2]
    assert os.listdir(tmp_path) == []


async def test_what_the_connector_refuses_is_raised(tmp_path: Path) -> None:
    async def handle(_: web.Request) -> web.Response:
        return _json({"code": "agreement-unknown", "detail": "there is no such agreement"}, 404)

    async with listening(handle) as url, Carnet.over(LocalClient(url=url)) as carnet:
        with pytest.raises(Refused, match="agreement-unknown"):
            await carnet.download("urn:uuid:2", tmp_path / "rows")
