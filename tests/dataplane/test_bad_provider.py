"""The consumer's download against providers that lie, break off, or change their mind."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.dataplane.conftest import HTTP_PULL, Control, MakePlane, Plane, content, first_message
from tests.ports import free_port

BODY = content(24 * 1024 * 1024)
# More than the client may lose of a connection that breaks off.
PIECE = 5 * 1024 * 1024
ETAG = '"' + hashlib.sha256(BODY).hexdigest() + '"'
DIGEST = f"sha-256=:{base64.b64encode(hashlib.sha256(BODY).digest()).decode()}:"

Answerer = Callable[[dict[str, str], asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def provider(port: int, answer: Answerer) -> AsyncIterator[None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            await answer({k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:])}, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield


def head(status: str, length: int, **more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def pull(make_plane: MakePlane, answer: Answerer, control: Control, **bounds: float) -> tuple[Plane, str, str]:
    port = free_port()
    plane = await make_plane(f"127.0.0.1:{port}", **bounds)
    await plane.done("POST", "/dataflows/prepare", first_message("flow", "m1", sink="trips.bin"))
    address = {
        "@type": "DataAddress",
        "endpointType": HTTP_PULL,
        "endpoint": f"http://127.0.0.1:{port}/data",
        "endpointProperties": [
            {"@type": "EndpointProperty", "name": "authorization", "value": "sesame"},
            {"@type": "EndpointProperty", "name": "authType", "value": "bearer"},
        ],
    }
    async with provider(port, answer):
        await plane.change("flow", "started", "m2", dataAddress=address)
        _, event, told = await control.next()
    return plane, event, str(told.get("error", ""))


def files(plane: Plane) -> list[str]:
    return sorted(path.name for path in plane.sinks.iterdir())


async def test_a_body_of_the_right_length_with_the_wrong_digest(make_plane: MakePlane, control: Control) -> None:
    async def answer(asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
        assert asked["authorization"] == "Bearer sesame"
        short = BODY[:1000]
        writer.write(head("200 OK", len(short), ETag=ETAG, Repr_Digest=DIGEST) + short)

    plane, event, error = await pull(make_plane, answer, control)
    assert event == "errored"
    assert "digest mismatch" in error
    assert files(plane) == []
    seen = await plane.seen("flow")
    assert (seen["state"], seen["sha256"]) == ("STARTED", None)
    assert "digest mismatch" in seen["error"]


async def test_a_body_that_breaks_off_every_time_is_resumed_each_time(make_plane: MakePlane, control: Control) -> None:
    offsets: list[int] = []

    async def answer(asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
        offset = 0
        if "range" in asked:
            assert asked["if-range"] == ETAG
            offset = int(asked["range"].removeprefix("bytes=").removesuffix("-"))
        offsets.append(offset)
        rest = len(BODY) - offset
        span = {"Content_Range": f"bytes {offset}-{len(BODY) - 1}/{len(BODY)}"} if offset else {}
        status = "206 Partial Content" if offset else "200 OK"
        writer.write(head(status, rest, ETag=ETAG, Repr_Digest=DIGEST, **span) + BODY[offset : offset + PIECE])

    plane, event, error = await pull(make_plane, answer, control)
    assert (event, error) == ("completed", "")
    assert (plane.sinks / "trips.bin").read_bytes() == BODY
    assert offsets == sorted(set(offsets))
    assert len(offsets) >= 5


async def test_a_wrong_resumed_part_is_begun_again_a_bounded_number_of_times(make_plane: MakePlane, control: Control) -> None:
    async def answer(asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
        if "range" in asked:
            offset = int(asked["range"].removeprefix("bytes=").removesuffix("-"))
            span = f"bytes {offset}-{len(BODY) - 1}/{len(BODY)}"
            writer.write(head("206 Partial Content", len(BODY) - offset, ETag=ETAG, Content_Range=span))
            writer.write(bytes(len(BODY) - offset))
        else:
            writer.write(head("200 OK", len(BODY), ETag=ETAG, Repr_Digest=DIGEST) + BODY[:PIECE])

    plane, event, error = await pull(make_plane, answer, control)
    assert event == "errored"
    assert "digest" in error
    assert "trips.bin" not in files(plane)


async def test_a_provider_without_digest_and_etag_is_believed_but_not_called_verified(
    make_plane: MakePlane, control: Control
) -> None:
    async def answer(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY)

    plane, event, _ = await pull(make_plane, answer, control)
    assert event == "completed"
    assert (plane.sinks / "trips.bin").read_bytes() == BODY
    assert (await plane.seen("flow"))["verified"] is False


async def test_refusals_redirects_and_size_end_the_download(make_plane: MakePlane, control: Control) -> None:
    answers = [
        head("410 Gone", 0),
        head("302 Found", 0, Location="http://127.0.0.1:1/"),
        head("200 OK", 2000) + bytes(2000),
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + bytes(2000),
    ]
    for given in answers:

        async def answer(_: dict[str, str], writer: asyncio.StreamWriter, given: bytes = given) -> None:
            writer.write(given)

        plane, event, error = await pull(make_plane, answer, control, max_download_bytes=1000)
        assert event == "errored", error
        assert "trips.bin" not in files(plane)


async def test_a_provider_that_only_refuses_is_given_up(make_plane: MakePlane, control: Control) -> None:
    asked = 0

    async def answer(_: dict[str, str], writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(head("403 Forbidden", 0))

    _, event, error = await pull(make_plane, answer, control, download_attempts=3)
    assert event == "errored"
    assert "403" in error
    assert asked == 4


async def test_an_address_inside_our_network_is_not_fetched(make_plane: MakePlane, control: Control) -> None:
    plane = await make_plane()
    await plane.done("POST", "/dataflows/prepare", first_message("flow", "m1", sink="trips.bin"))
    address = {"endpointType": HTTP_PULL, "endpoint": "https://169.254.169.254/latest", "endpointProperties": []}
    await plane.change("flow", "started", "m2", dataAddress=address)
    _, event, told = await control.next()
    assert event == "errored"
    assert "address" in told["error"]
