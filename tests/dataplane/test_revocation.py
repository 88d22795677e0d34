"""A transfer that is revoked under fifty paced downloads and five stalled readers: from the answer on nothing leaves."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from .conftest import Control, MakePlane, Plane, content, first_message, token_of
from .drives import COARSE, RESEARCH_ONLY, Shop, drives

PACED, STALLED = 50, 5
PACE_BYTES = 64 * 1024
SMALL_BUFFER_BYTES = 4096


def left_over(connection: socket.socket) -> int:
    """What had been written to a connection that has ended. Raises BlockingIOError if it has not ended."""
    count = 0
    try:
        while piece := connection.recv(1 << 20):
            count += len(piece)
    except ConnectionError:
        pass
    return count


def at_work(plane: Plane) -> list[str]:
    """What the workers of a data plane have open of its spool, or of the tables that they read."""
    assert plane.process is not None
    children = Path(f"/proc/{plane.process.pid}/task/{plane.process.pid}/children").read_text().split()
    found = []
    for child in children:
        with suppress(OSError):
            found += [str(each.readlink()) for each in Path(f"/proc/{child}/fd").iterdir()]
    return [each for each in found if each.startswith((str(plane.folder / "spool"), str(plane.sources)))]


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
    target = f"{split.path}?{split.query}" if split.query else split.path
    head = f"GET {target} HTTP/1.1\r\nHost: {split.netloc}\r\nAuthorization: {token}\r\n\r\n"
    await loop.sock_sendall(connection, head.encode())
    got = b""
    while b"\r\n\r\n" not in got or got.endswith(b"\r\n\r\n"):
        got += await loop.sock_recv(connection, 1024)
    assert got.startswith(b"HTTP/1.1 200"), got[:200]
    return connection


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
    left = [left_over(connection) for connection in readers]
    for connection in readers:
        connection.close()
    # What comes was under way before the answer: of a pace of eight pieces a second, never as much as a second's worth.
    assert max(left[STALLED:]) < PACE_BYTES
    assert sum(left) < len(body)
    readings = await plane.done("GET", "/carnet/deliveries/f1")
    assert readings["meters"]["calls"] == 1


async def test_a_withdrawal_ends_every_reader_of_a_file_that_holds_the_vehicle(make_plane: MakePlane, control: Control) -> None:
    """Paced and stalled readers of one artifact: every connection has ended when the withdrawal is answered."""
    plane = await make_plane(stream_bytes_per_s=PACE_BYTES // 8, artifact_wait_s=60)
    shop = Shop(plane, control)
    shop.agree([RESEARCH_ONLY, *COARSE])
    await shop.publish(drives(4, rows=4000))
    await shop.consent(*range(4))
    assert (await shop.fetch("f1", Range="bytes=0-9")).status == 206
    url, token = shop.addresses["f1"]["endpoint"], token_of(shop.addresses["f1"])
    readers = await asyncio.gather(*(reader(url, token, stalled=number < STALLED) for number in range(PACED + STALLED)))
    await shop.consent(0, given=False)
    left = [left_over(connection) for connection in readers]
    assert max(left) < PACE_BYTES
    for connection in readers:
        connection.close()
    assert (await shop.record("f1"))["erased"] == 1
    readings = await shop.meters()
    assert readings["all"]["calls"] == 1


@pytest.mark.parametrize("change", ["suspend", "terminate"])
async def test_no_worker_is_left_once_a_revocation_is_answered(make_plane: MakePlane, control: Control, change: str) -> None:
    plane = await make_plane(artifact_wait_s=60)
    shop = Shop(plane, control)
    shop.agree([RESEARCH_ONLY, *COARSE])
    await shop.publish(drives(40, rows=4000))
    await shop.consent(*range(40))
    await shop.begin("f1")
    asking = asyncio.create_task(shop.get("f1", {"format": "csv"}))
    async with asyncio.timeout(60):
        while not at_work(plane):
            await plane.call("GET", "/health")
    await plane.change("f1", change, "stop")
    assert at_work(plane) == []
    assert (await asking).status in (403, 410)
