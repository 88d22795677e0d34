"""A transfer that is revoked under fifty paced downloads and five stalled readers: from the answer on nothing leaves."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from .conftest import Control, MakePlane, content, first_message, token_of

PACED, STALLED = 50, 5
PACE_BYTES = 64 * 1024
SMALL_BUFFER_BYTES = 4096
PATIENCE_S = 30


async def reader(url: str, token: str, *, stalled: bool) -> socket.socket:
    """A connection on which the head of the answer, and some of its body, has arrived."""
    split = urlsplit(url)
    assert split.port is not None
    loop = asyncio.get_running_loop()
    connection = socket.socket()
    connection.setblocking(False)
    if stalled:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
    await loop.sock_connect(connection, ("127.0.0.1", split.port))
    head = f"GET {split.path} HTTP/1.1\r\nHost: {split.netloc}\r\nAuthorization: {token}\r\n\r\n"
    await loop.sock_sendall(connection, head.encode())
    got = b""
    while b"\r\n\r\n" not in got or got.endswith(b"\r\n\r\n"):
        got += await loop.sock_recv(connection, 1024)
    assert got.startswith(b"HTTP/1.1 200"), got[:200]
    return connection


async def rest_of(connection: socket.socket) -> int:
    """Bytes until the connection ends."""
    loop, count = asyncio.get_running_loop(), 0
    try:
        while piece := await loop.sock_recv(connection, 1 << 20):
            count += len(piece)
    except ConnectionError:
        pass
    return count


@pytest.mark.parametrize("change", ["suspend", "terminate"])
async def test_nothing_more_is_written_once_a_revocation_is_answered(
    make_plane: MakePlane, control: Control, change: str
) -> None:
    plane = await make_plane(stream_bytes_per_s=PACE_BYTES)
    body = content(16 * 1024 * 1024)
    await plane.publish("ds", body)
    address = (await plane.done("POST", "/dataflows/start", first_message("f1", "s1")))["dataAddress"]
    url, token = address["endpoint"], token_of(address)
    readers = await asyncio.gather(*(reader(url, token, stalled=number < STALLED) for number in range(PACED + STALLED)))
    await plane.change("f1", change, "stop")
    async with asyncio.timeout(PATIENCE_S):
        left = await asyncio.gather(*map(rest_of, readers))
    for connection in readers:
        with closing(connection):
            pass
    # What comes was under way before the answer: of a pace of eight pieces a second, never as much as a second's worth.
    assert max(left[STALLED:]) < PACE_BYTES
    assert sum(left) < len(body)
    readings = await plane.done("GET", "/carnet/deliveries/f1")
    assert readings["meters"]["calls"] == 1
