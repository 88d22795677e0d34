"""Requests written byte by byte by a buyer who holds a good token: the source hears one request for each, or none."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from .conftest import PATIENCE_S, Control, MakePlane, Plane
from .upstreams import KEY, Api, Stall, api

PASSED: dict[str, Any] = {"proxyPath": True, "proxyQueryParams": True, "proxyMethod": True, "proxyBody": True}
TOLD = {"accept", "accept-encoding", "content-length", "content-type", "host", "user-agent", "via", "x-api-key", "x-tenant"}
GET, POST = b"GET /public/f1/x HTTP/1.1", b"POST /public/f1/x HTTP/1.1"
INNER = b"GET /admin HTTP/1.1\r\nHost: internal\r\n\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\nX-Tenant: 8\r\n\r\n"
BOMB = zlib.compress(bytes(8_000_000))


@pytest.fixture
async def upstream() -> AsyncIterator[Api]:
    async with api() as here:
        yield here


@pytest.fixture
async def stall(make_plane: MakePlane, control: Control, upstream: Api) -> AsyncIterator[Stall]:
    plane = await make_plane(upstream.url.removeprefix("http://"), stream_idle_s=1)
    stall = Stall(plane, control, upstream)
    await stall.publish("/v1/cars", headers={"X-Tenant": "7"}, queryParams="tenant=7", **PASSED)
    await stall.begin()
    yield stall
    await plane.close()
    assert KEY.encode() not in plane.log
    assert stall.headers()["Authorization"].removeprefix("Bearer ").encode() not in plane.log


async def raw(plane: Plane, request: bytes) -> bytes:
    """Everything that comes back until the other side closes."""
    host, _, port = plane.public_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    found = b""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while piece := await reader.read(65_536):
                found += piece
    except ConnectionError:
        pass
    finally:
        writer.close()
    return found


REFUSED = {
    "connect": (b"CONNECT 127.0.0.1:22 HTTP/1.1", b"", 404),
    "connect-path": (b"CONNECT /public/f1/x HTTP/1.1", b"", 404),
    "trace": (b"TRACE /public/f1/x HTTP/1.1", b"", 405),
    "purge": (b"PURGE /public/f1/x HTTP/1.1", b"", 405),
    "small-letters": (b"get /public/f1/x HTTP/1.1", b"", 400),
    "length-and-chunks": (POST, b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400),
    "chunks-and-length": (POST, b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n1\r\na\r\n0\r\n\r\n", 400),
    "two-codings": (POST, b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n1\r\na\r\n0\r\n\r\n", 400),
    "odd-coding": (POST, b"Transfer-Encoding: xchunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 400),
    "two-lengths": (POST, b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "blank-before-colon": (POST, b"Content-Length : 1\r\n\r\na", 400),
    "odd-expectation": (POST, b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\na", 417),
    "dots-in-absolute-form": (b"GET http://evil.example/public/f1/../../x HTTP/1.1", b"", 400),
    "two-hosts": (GET, b"Host: y\r\n", 400),
    "blank-in-path": (b"GET /public/f1/x y HTTP/1.1", b"", 400),
    "line-break-in-path": (b"GET /public/f1/x%0d%0aX-Tenant:%208 HTTP/1.1", b"", 404),
    "backslashes": (b"GET /public/f1/..\\..\\x HTTP/1.1", b"", 400),
    "dots": (b"GET /public/f1/../f1/x HTTP/1.1", b"", 400),
    "slash-in-flow": (b"GET /public/f1%2fx/y HTTP/1.1", b"", 404),
    "control-in-type": (POST, b"Content-Type: a/b\x01\r\nContent-Length: 1\r\n\r\na", 400),
    "long-header": (GET, b"Accept: " + b"a" * 9000 + b"\r\n", 400),
    "many-headers": (GET, b"X-A: 1\r\n" * 5000, 400),
    "two-purposes": (GET, b"Carnet-Purpose: vdx:Research\r\nCarnet-Purpose: vdx:Insurance\r\n", 400),
    "body-that-does-not-come": (POST, b"Content-Length: 40\r\n\r\nabc", 408),
    "body-that-is-no-gzip": (POST, b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 415),
    "bomb": (POST, b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB, 415),
    "broken-chunks": (POST, b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "fixed-parameter": (b"GET /public/f1/x?TENANT=8 HTTP/1.1", b"", 400),
}
PASSED_ON = {
    "override": (GET, b"X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /admin\r\n", ("GET", "/x?tenant=7", b"")),
    "upgrade": (GET, b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n", ("GET", "/x?tenant=7", b"")),
    "chunks": (
        POST,
        CHUNKS,
        ("POST", "/x?tenant=7", b"abc"),
    ),
    "expectation": (POST, b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\na", ("POST", "/x?tenant=7", b"a")),
    "absolute-form": (b"GET http://evil.example/public/f1/x HTTP/1.1", b"", ("GET", "/x?tenant=7", b"")),
    "forwarded": (GET, b"X-Forwarded-Host: evil\r\nForwarded: for=1\r\nX-Tenant: 8\r\n", ("GET", "/x?tenant=7", b"")),
    "line-break-in-query": (b"GET /public/f1/x?a=%0d%0aB:%201 HTTP/1.1", b"", ("GET", "/x?tenant=7&a=%0d%0aB:%201", b"")),
    "fragment": (b"GET /public/f1/x?a=1#y HTTP/1.1", b"", ("GET", "/x?tenant=7&a=1", b"")),
    "range": (GET, b"Range: bytes=0-1\r\nIf-Range: x\r\n", ("GET", "/x?tenant=7", b"")),
    "request-in-a-body": (POST, b"Content-Length: %d\r\n\r\n" % len(INNER) + INNER, ("POST", "/x?tenant=7", INNER)),
    "dots-in-query": (b"GET /public/f1/x?/../..//../ HTTP/1.1", b"", ("GET", "/x?tenant=7&/../..//../", b"")),
}


def written(stall: Stall, line: bytes, more: bytes) -> bytes:
    auth = f"Host: x\r\nConnection: close\r\nAuthorization: {stall.headers()['Authorization']}\r\n".encode()
    return line + b"\r\n" + auth + more + (b"" if b"\r\n\r\n" in more else b"\r\n")


async def test_what_is_not_one_plain_request_reaches_nobody(stall: Stall) -> None:
    for name, (line, more, status) in REFUSED.items():
        answer = await raw(stall.plane, written(stall, line, more))
        assert (name, answer.split(b" ")[1]) == (name, b"%d" % status)
    assert stall.api.heard == []


async def test_what_is_passed_on_says_nothing_but_what_is_offered(stall: Stall) -> None:
    for name, (line, more, expected) in PASSED_ON.items():
        stall.api.heard.clear()
        answer = await raw(stall.plane, written(stall, line, more))
        assert b"HTTP/1.1 200 OK" in answer, name
        (heard,) = stall.api.heard
        assert (name, heard.method, heard.path, heard.body) == (name, expected[0], f"/v1/cars{expected[1]}", expected[2])
        allowed = {
            "accept",
            "accept-encoding",
            "content-length",
            "content-type",
            "host",
            "user-agent",
            "via",
            "x-api-key",
            "x-tenant",
        }
        assert set(heard.headers) <= allowed
        assert (heard.headers["x-tenant"], heard.headers["host"]) == ("7", stall.api.url.removeprefix("http://"))


async def test_a_body_that_breaks_renews_no_token_and_is_no_incident(stall: Stall) -> None:
    line = b"POST /public/f1/token HTTP/1.1"
    for more in (REFUSED["body-that-is-no-gzip"][1], REFUSED["broken-chunks"][1]):
        jwt = b"Authorization: Bearer a.b.c\r\n"
        answer = await raw(stall.plane, line + b"\r\nHost: x\r\nConnection: close\r\n" + jwt + more)
        assert answer.split(b" ")[1] in (b"400", b"415")
