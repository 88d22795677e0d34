"""An HTTP source that lies, or does not end: its buyer is never told more than came, and the meters say what left."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from .conftest import Control, MakePlane
from .upstreams import KEY, Api, Stall

CUT = (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)
PASSED: dict[str, Any] = {"proxyPath": True, "proxyQueryParams": True, "proxyMethod": True, "proxyBody": True}
LARGE = 600_000
OK = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(8_000_000))


def chunked(*pieces: str) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece.encode()) for piece in (*pieces, ""))


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


class Liar:
    """Answers each path with bytes as they are; then closes, or says nothing more."""

    def __init__(self) -> None:
        self.url = ""
        self.heard: list[bytes] = []
        self.release = asyncio.Event()
        self.said: dict[str, tuple[bytes, ...]] = {}
        self.pause_s = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                self.heard.append(asked)
                path = asked.split(b" ")[1].decode().partition("?")[0]
                what = path.rpartition("/")[2]
                if what == "flood":
                    while True:
                        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
                        await writer.drain()
                if what == "drip":
                    writer.write(OK + b"X-A: ")
                    while not self.release.is_set():
                        writer.write(b"a")
                        await writer.drain()
                        await asyncio.sleep(0.02)
                for piece in self.said[what]:
                    writer.write(piece)
                    await writer.drain()
                    if self.pause_s:
                        await asyncio.sleep(self.pause_s)
                break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    here = Liar()
    server = await asyncio.start_server(here.serve, "127.0.0.1", 0)
    here.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield here
    here.release.set()
    server.close()


@pytest.fixture
async def stall(make_plane: MakePlane, control: Control, liar: Liar) -> AsyncIterator[Stall]:
    plane = await make_plane(liar.url.removeprefix("http://"), source_idle_s=0.5)
    stall = Stall(plane, control, Api(liar.url))
    await stall.publish(**PASSED)
    await stall.begin()
    yield stall
    await plane.close()
    assert KEY.encode() not in plane.log


REFUSED: dict[str, tuple[bytes, ...]] = {
    "nothing": (),
    "garbage": (b"\x16\x03\x01 not HTTP at all\r\n\r\n",),
    "no-head": (b"<html>",),
    "long-header": (OK + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n",),
    "many-headers": (OK + b"X-A: 1\r\n" * 100_000 + b"\r\n",),
    "two-lengths": (head("Content-Length: 5", "Content-Length: 6") + b"123456",),
    "length-and-chunks": (head("Content-Length: 5", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",),
    "negative": (head("Content-Length: -5") + b"12345",),
    "shorter": (head("Content-Length: 50") + b"x" * 10,),
    "no-chunk": (head("Transfer-Encoding: chunked") + b"zz\r\nabc",),
    "bomb": (head("Content-Encoding: gzip", f"Content-Length: {len(BOMB)}") + BOMB,),
    "coded-chunks": (head("Transfer-Encoding: gzip, chunked") + b"3\r\nabc\r\n0\r\n\r\n",),
    "part": (head("Content-Length: 3", "Content-Range: bytes 0-2/10", status="206 Partial Content") + b"abc",),
    "upgrade": (head("Connection: Upgrade", "Upgrade: websocket", status="101 Switching Protocols") + b"abc",),
    "status-042": (head("Content-Length: 2", status="042 Odd") + b"ok",),
    "bare-cr": (OK + b"Content-Type: text/plain\rX-Evil: 1\r\nContent-Length: 2\r\n\r\nok",),
    "echo": (head(f"Content-Length: {len(KEY) + 4}", status="401 Unauthorized") + b"key=" + KEY.encode(),),
    "echo-in-chunks": (head("Transfer-Encoding: chunked") + chunked(f"key={KEY[:10]}", KEY[10:]),),
}
PASSED_ON: dict[str, tuple[bytes, int, bytes]] = {
    "interim": (head(status="100 Continue") + head("Content-Length: 2") + b"ok", 200, b"ok"),
    "status-999": (head("Content-Length: 2", status="999 Odd") + b"ok", 999, b"ok"),
    "no-part": (head("Content-Length: 2", status="416 Range Not Satisfiable") + b"no", 416, b"no"),
    "not-modified": (head('ETag: "x"', status="304 Not Modified"), 304, b""),
    "longer": (head("Content-Length: 5") + b"12345" + head("Content-Length: 4") + b"evil", 200, b"12345"),
    "much-longer": (head(f"Content-Length: {LARGE}") + b"x" * LARGE + b"evil" * 1000, 200, b"x" * LARGE),
    "until-it-ends": (head() + b"until it ends", 200, b"until it ends"),
    "control-in-header": (OK + b"Content-Type: text/\x01plain\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    "nearly-echo": (head("Transfer-Encoding: chunked") + chunked(KEY[:-1], KEY[:-1]), 200, KEY[:-1].encode() * 2),
    "echo-in-header": (head(f'ETag: "{KEY}"', "Content-Length: 2") + b"ok", 200, b"ok"),
}


async def test_what_is_no_answer_is_not_passed_on(stall: Stall, liar: Liar) -> None:
    liar.said = REFUSED
    for name in REFUSED:
        got = await stall.ask(f"/{name}")
        assert (name, got.status) == (name, 502)
        assert KEY not in f"{got.headers}{got.body!r}"
    assert (await stall.record())["meters"] == {"calls": len(REFUSED), "rows": 0, "bytes": 0, "vehicles": 0}


async def test_what_is_one_is_passed_on_as_far_as_it_was_announced(stall: Stall, liar: Liar) -> None:
    liar.said = {name: (said,) for name, (said, _, _) in PASSED_ON.items()}
    for name, (_, status, body) in PASSED_ON.items():
        got = await stall.ask(f"/{name}")
        assert (name, got.status, got.body) == (name, status, body)
        assert KEY not in f"{got.headers}"
        assert "\x01" not in got.headers.get("content-type", "")
    meters = {"calls": len(PASSED_ON), "rows": 0, "bytes": sum(len(body) for _, _, body in PASSED_ON.values()), "vehicles": 0}
    record = await stall.record()
    assert (record["meters"], record["answered"]) == (meters, len(PASSED_ON))


async def test_what_breaks_off_is_reset_and_counted_as_far_as_it_went(stall: Stall, liar: Liar) -> None:
    liar.said = {
        "cut": (head(f"Content-Length: {LARGE}"), b"x" * (LARGE - 1)),
        "cut-chunks": (head("Transfer-Encoding: chunked"), b"3\r\nabc\r\n"),
        "echo": (head("Transfer-Encoding: chunked"), b"3\r\nabc\r\n", chunked(KEY)),
    }
    liar.pause_s = 0.1
    for name in liar.said:
        with pytest.raises(CUT):
            await stall.ask(f"/{name}")
    record = await stall.record()
    assert (record["answered"], record["bytes"], record["sha256"]) == (3, None, None)
    assert record["meters"]["calls"] == 3
    assert record["meters"]["bytes"] <= LARGE - 1 + 6


@pytest.mark.parametrize("way", ["drip", "flood"])
async def test_a_head_that_does_not_end_is_given_up(stall: Stall, liar: Liar, way: str) -> None:
    assert (await stall.ask(f"/{way}")).status == 504
    assert (await stall.record())["meters"]["calls"] == 1


async def test_a_source_that_leads_back_to_itself_is_called_once(make_plane: MakePlane, control: Control) -> None:
    plane = await make_plane()
    await plane.kill()
    config = plane.folder / "data.toml"
    config.write_text(config.read_text().replace("egress_allow = []", f'egress_allow = ["{plane.public_url[7:]}"]'))
    await plane.start()
    stall = Stall(plane, control, Api(plane.public_url))
    await stall.publish("/public/f1")
    await stall.begin()
    opened = {"header": "Authorization", "value": stall.headers()["Authorization"]}
    await stall.publish("/public/f1", credential=opened)
    got = await stall.ask()
    assert (got.status, got.headers["carnet-source-status"]) == (508, "508")
    assert (await stall.record())["meters"]["calls"] == 1
    hops = ", ".join(f"1.1 carnet-{number:016x}" for number in range(8))
    assert (await stall.ask(Via=hops)).status == 508
    assert (await stall.record())["meters"]["calls"] == 1
