"""What the public listener gives to whom: tokens, ranges, revocation, changed and forbidden sources."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane.problems import Refusal
from connector.dataplane.public import byte_range, presented_token

from .conftest import Control, MakePlane, Plane, content, first_message, token_of

FLOW = "flow-1"


async def started(plane: Plane, body: bytes, flow: str = FLOW) -> dict[str, Any]:
    await plane.publish("ds", body)
    answer = await plane.done("POST", "/dataflows/start", first_message(flow, f"start-{flow}"))
    address: dict[str, Any] = answer["dataAddress"]
    return address


async def get(plane: Plane, url: str, authorization: str | None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if authorization is not None:
        sent["Authorization"] = authorization
    async with plane.http.get(url, headers=sent) as answer:
        return answer.status, await answer.read(), {name.lower(): value for name, value in answer.headers.items()}


async def code(plane: Plane, url: str, authorization: str | None) -> tuple[int, str]:
    async with plane.http.get(url, headers={"Authorization": authorization} if authorization else {}) as answer:
        assert answer.content_type == "application/problem+json"
        return answer.status, (await answer.json(content_type=None))["code"]


async def test_the_file_with_its_digest_whole_and_in_ranges(make_plane: MakePlane) -> None:
    plane = await make_plane()
    body = content(3_000_000)
    address = await started(plane, body)
    url, token = address["endpoint"], token_of(address)
    digest = hashlib.sha256(body)
    for authorization in (f"bearer {token}", token):
        assert (await get(plane, url, authorization))[:2] == (200, body)
    status, got, headers = await get(plane, url, f"Bearer {token}")
    assert (status, got == body) == (200, True)
    assert headers["etag"] == f'"{digest.hexdigest()}"'
    assert headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    status, got, headers = await get(plane, url, token, Range="bytes=2999990-")
    assert (status, got, headers["content-range"]) == (206, body[-10:], "bytes 2999990-2999999/3000000")
    status, got, _ = await get(plane, url, token, Range="bytes=5-9", If_Range=f'"{digest.hexdigest()}"')
    assert (status, got) == (206, body[5:10])
    status, got, _ = await get(plane, url, token, Range="bytes=5-9", If_Range='"another"')
    assert (status, len(got)) == (200, len(body))
    status, _, headers = await get(plane, url, token, Range="bytes=3000000-")
    assert (status, headers["content-range"]) == (416, "bytes */3000000")
    async with plane.http.head(url, headers={"Authorization": token}) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, "3000000")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-", (0, 10)),
        ("bytes=3-5", (3, 6)),
        ("bytes=3-99", (3, 10)),
        ("bytes=-4", (6, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=5-3", None),
        ("bytes=0-1,4-5", None),
        ("items=0-1", None),
        ("bytes=-", None),
        ("bytes=" + "9" * 40 + "-", None),
    ],
)
def test_ranges(header: str | None, expected: tuple[int, int] | None) -> None:
    assert byte_range(header, 10) == expected


@given(st.integers(0, 40), st.integers(0, 50), st.integers(0, 50))
def test_a_range_is_what_slicing_gives(size: int, first: int, last: int) -> None:
    whole = bytes(range(size))
    if last < first:
        assert byte_range(f"bytes={first}-{last}", size) is None
    for header, expected in (
        (f"bytes={first}-{first + last}", whole[first : first + last + 1]),
        (f"bytes={first}-", whole[first:]),
        (f"bytes=-{last}", whole[-last:] if last else b""),
    ):
        if expected:
            found = byte_range(header, size)
            assert found is not None
            assert whole[slice(*found)] == expected
        else:
            with pytest.raises(Refusal, match="range"):
                byte_range(header, size)


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=-0"])
def test_unsatisfiable_ranges(header: str) -> None:
    with pytest.raises(Refusal, match="range"):
        byte_range(header, 10)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc def", "Bearer a b", "x" * 5000])
def test_headers_without_a_token(header: str | None) -> None:
    with pytest.raises(Refusal, match="token_missing"):
        presented_token(header)


async def test_wrong_tokens(make_plane: MakePlane) -> None:
    plane = await make_plane()
    one = await started(plane, b"first")
    two = await started(plane, b"first", "flow-2")
    assert await code(plane, one["endpoint"], None) == (401, "token_missing")
    assert await code(plane, one["endpoint"], "Bearer guess") == (403, "token_unknown")
    assert await code(plane, one["endpoint"], f"Bearer {token_of(two)}") == (404, "flow_unknown")
    assert await code(plane, one["endpoint"] + "x", f"Bearer {token_of(one)}") == (404, "flow_unknown")
    assert len(base64.urlsafe_b64decode(token_of(one) + "=")) == 32
    assert token_of(one) != token_of(two)


async def test_revocation_is_done_when_it_is_answered(make_plane: MakePlane) -> None:
    plane = await make_plane()
    body = content(64 * 1024 * 1024)
    address = await started(plane, body)
    url, old = address["endpoint"], token_of(address)
    readers = [await plane.http.get(url, headers={"Authorization": old}) for _ in range(3)]
    for reader in readers:
        assert await reader.content.readexactly(1000)
    await plane.change(FLOW, "suspend", "p2")
    for reader in readers:
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
            await reader.read()
        reader.close()
    assert await code(plane, url, old) == (403, "flow_suspended")
    resumed = await plane.change(FLOW, "resume", "p3")
    new = token_of(resumed["dataAddress"])
    assert await code(plane, url, old) == (403, "token_revoked")
    assert (await get(plane, url, new, Range="bytes=0-3"))[1] == body[:4]
    async with plane.http.get(url, headers={"Authorization": new}) as reader:
        await reader.content.readexactly(1000)
        await plane.change(FLOW, "terminate", "p4", reason="policy ended")
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
            await reader.read()
    assert await code(plane, url, new) == (410, "flow_ended")
    assert await code(plane, url, old) == (410, "flow_ended")
    await plane.kill()
    await plane.start()
    assert await code(plane, url, new) == (410, "flow_ended")


async def test_streams_are_bounded(make_plane: MakePlane) -> None:
    plane = await make_plane(max_streams=1)
    address = await started(plane, content(64 * 1024 * 1024))
    async with plane.http.get(address["endpoint"], headers={"Authorization": token_of(address)}) as reader:
        await reader.content.readexactly(1)
        assert await code(plane, address["endpoint"], token_of(address)) == (503, "busy")


async def test_a_consumer_that_reads_nothing_is_cut(make_plane: MakePlane) -> None:
    plane = await make_plane(stream_idle_s=0.2)
    address = await started(plane, content(64 * 1024 * 1024))
    host, _, port = plane.public_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(f"GET /public/{FLOW} HTTP/1.1\r\nHost: x\r\nAuthorization: {token_of(address)}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    assert plane.process is not None
    assert plane.process.stderr is not None
    async with asyncio.timeout(30):
        while b"reads nothing" not in plane.log:
            plane.log += await plane.process.stderr.readline()
    writer.close()


async def test_a_changed_source_stops_deliveries_and_is_named_to_the_operator(make_plane: MakePlane, control: Control) -> None:
    plane = await make_plane()
    address = await started(plane, b"as published")
    (plane.sources / "ds.bin").write_bytes(b"as PUBLISHED")
    assert await code(plane, address["endpoint"], token_of(address)) == (409, "source_changed")
    process, event, told = await control.next()
    assert (process, event) == (FLOW, "errored")
    assert "ds.bin" in told["error"]
    assert "ds.bin" in (await plane.seen(FLOW))["error"]
    await plane.publish("ds", b"as published again")
    assert (await get(plane, address["endpoint"], token_of(address)))[1] == b"as published again"
    (plane.sources / "ds.bin").unlink()
    assert await code(plane, address["endpoint"], token_of(address)) == (409, "source_changed")
    assert (await plane.call("DELETE", "/carnet/sources/ds"))[0] == 204
    assert await code(plane, address["endpoint"], token_of(address)) == (404, "dataset_unknown")


async def test_a_source_that_is_written_to_during_delivery_is_cut(make_plane: MakePlane) -> None:
    plane = await make_plane()
    address = await started(plane, content(64 * 1024 * 1024))
    async with plane.http.get(address["endpoint"], headers={"Authorization": token_of(address)}) as reader:
        await reader.content.readexactly(1)
        with (plane.sources / "ds.bin").open("r+b") as changed:
            changed.write(b"another beginning")
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
            await reader.read()


async def test_only_regular_files_inside_the_roots_are_published(make_plane: MakePlane) -> None:
    plane = await make_plane()
    outside = plane.folder / "secret.txt"
    outside.write_text("secret")
    (plane.sources / "link").symlink_to(outside)
    (plane.sources / "folder").symlink_to(plane.folder)
    os.mkfifo(plane.sources / "fifo")

    async def refused(path: str) -> str:
        status, problem = await plane.call("PUT", "/carnet/sources/ds", {"path": path})
        assert 400 <= status < 500
        return str(problem["code"])

    root = str(plane.sources)
    assert await refused(f"{root}/link") == "source_outside"
    assert await refused(f"{root}/folder/secret.txt") == "source_outside"
    assert await refused(f"{root}/../secret.txt") == "source_outside"
    assert await refused("/etc/passwd") == "source_outside"
    assert await refused(f"{root}/none") == "source_missing"
    assert await refused("ds.bin") == "source_path"
    assert await refused(root) == "source_path"
    assert await refused(f"{root}/fifo") == "source_path"
    assert await refused(f"{root}/a\0b") == "source_path"
    (plane.sources / "inside").symlink_to(plane.sources / "real")
    (plane.sources / "real").write_bytes(b"1")
    assert (await plane.done("PUT", "/carnet/sources/ds", {"path": f"{root}/inside"}))["bytes"] == 1


async def test_a_file_replaced_by_a_link_is_not_delivered(make_plane: MakePlane) -> None:
    plane = await make_plane()
    address = await started(plane, b"12345")
    secret = plane.folder / "secret.txt"
    secret.write_bytes(b"54321")
    (plane.sources / "ds.bin").unlink()
    (plane.sources / "ds.bin").symlink_to(secret)
    assert await code(plane, address["endpoint"], token_of(address)) == (409, "source_changed")
