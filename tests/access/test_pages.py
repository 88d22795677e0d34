"""Pages of a browser (Fetch, CORS protocol): those of the list may call and read whatever is answered, others neither."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict

from connector.access.caller import Role
from connector.api.events import Events
from connector.flow.watch import Watch
from tests.access.desk import DASHBOARD, SETTINGS, Desk, opened

THINGS, FAILURES, EDC_FAILURES = "/carnet/v1/things", "/carnet/v1/failures", "/management/v3/failures"
EXPOSED = ("ETag", "Link", "Location", "Retry-After", "X-Total-Count", "Carnet-Unanswered", "Idempotency-Replayed")
STRANGERS = [
    "https://evil.example",
    f"{DASHBOARD}.evil.example",
    f"https://evil.example/{DASHBOARD}",
    f"{DASHBOARD}:8443",
    f"{DASHBOARD}/",
    DASHBOARD.replace("https", "http"),
    DASHBOARD.upper(),
    "null",
    "*",
    "",
]
# What is asked, who asks, and what is answered.
ANSWERS: list[tuple[str, str, str, dict[str, Any], int]] = [
    ("GET", THINGS, "auditor", {}, 200),
    ("POST", THINGS, "operator", {}, 201),
    ("POST", FAILURES, "operator", {"json": {"how": "invalid"}}, 400),
    ("GET", THINGS, "nobody", {}, 401),
    ("GET", THINGS, "wrong", {}, 401),
    ("POST", THINGS, "auditor", {}, 403),
    ("GET", "/carnet/v1/none", "operator", {}, 404),
    ("GET", "/nothing", "nobody", {}, 404),
    ("POST", EDC_FAILURES, "operator", {"json": {"how": "unknown"}}, 404),
    ("DELETE", THINGS, "operator", {}, 405),
    ("POST", FAILURES, "operator", {"json": {"how": "conflict"}}, 409),
    ("POST", FAILURES, "operator", {"data": "x" * 5000}, 413),
    ("POST", FAILURES, "operator", {"json": {"how": "?"}}, 500),
    ("POST", EDC_FAILURES, "operator", {"json": {"how": "?"}}, 500),
    ("GET", "/management/check/health", "nobody", {}, 200),
    ("GET", "/.well-known/oauth-authorization-server", "nobody", {}, 200),
    ("POST", "/oauth/token", "nobody", {"data": {"grant_type": "password"}}, 400),
]


def shared(headers: Mapping[str, str]) -> set[str]:
    """What is said about other origins."""
    return {name.lower() for name in headers if name.lower().startswith("access-control-")}


async def answered(desk: Desk, row: tuple[str, str, str, dict[str, Any], int], origin: str) -> Mapping[str, str]:
    """The headers of an answer, whose status is that of the row."""
    method, path, who, more, status = row
    keys = {"nobody": None, "wrong": "carnet_wrong"}
    key = keys[who] if who in keys else await desk.key(Role(who))
    answer = await desk.ask(method, path, key, headers={"Origin": origin}, **more)
    assert answer.status == status, await answer.text()
    return answer.headers


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: f"{row[0]} {row[1]} {row[4]}")
async def test_a_page_of_the_list_reads_every_answer(desk: Desk, row: tuple[str, str, str, dict[str, Any], int]) -> None:
    headers = await answered(desk, row, DASHBOARD)
    assert shared(headers) == {"access-control-allow-origin", "access-control-expose-headers"}
    assert headers["Access-Control-Allow-Origin"] == DASHBOARD
    assert set(EXPOSED) <= set(headers["Access-Control-Expose-Headers"].split(", "))
    assert headers["Vary"] == "Origin"


@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: f"{row[0]} {row[1]} {row[4]}")
async def test_another_page_reads_none(desk: Desk, row: tuple[str, str, str, dict[str, Any], int]) -> None:
    headers = await answered(desk, row, "https://evil.example")
    assert shared(headers) == set()
    assert headers["Vary"] == "Origin"


async def test_who_waits_for_too_many_requests_can_read_how_long(tmp_path: Path) -> None:
    async with opened(tmp_path, settings=msgspec.structs.replace(SETTINGS, requests_per_s=1, burst=1)) as desk:
        key = await desk.key(Role.AUDITOR)
        assert await desk.status(key) == (200, "")
        answer = await desk.ask("GET", THINGS, key, headers={"Origin": DASHBOARD})
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (429, DASHBOARD)
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


async def test_a_stream_is_read_by_a_page_of_the_list(tmp_path: Path) -> None:
    async with opened(tmp_path, more=lambda context: Events(context, Watch()).operations()) as desk:
        headers = {"Origin": DASHBOARD, "X-Api-Key": await desk.key(Role.AUDITOR)}
        async with asyncio.timeout(20), desk.client.get("/carnet/v1/events", headers=headers) as answer:
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, DASHBOARD)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [THINGS, "/management/v3/assets/1", "/oauth/token", "/none"])
async def test_the_question_before_a_request_is_answered_without_a_key(desk: Desk, method: str, path: str) -> None:
    asked = {"Origin": DASHBOARD, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "x-api-key"}
    before = await desk.client.options(path, headers=asked)
    assert (before.status, await before.read()) == (204, b"")
    assert before.headers["Access-Control-Allow-Origin"] == DASHBOARD
    assert method in before.headers["Access-Control-Allow-Methods"].split(", ")
    allowed = before.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Content-Type", "X-Api-Key", "Idempotency-Key", "If-Match", "Last-Event-ID"} <= set(allowed)
    assert "Access-Control-Allow-Credentials" not in before.headers
    assert "*" not in " ".join(before.headers.values())
    assert before.headers["Vary"] == "Origin"
    assert desk.handled == []


@pytest.mark.parametrize("origin", STRANGERS)
async def test_other_pages_may_not(desk: Desk, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    before = await desk.client.options(THINGS, headers=asked)
    assert (before.status, shared(before.headers), before.headers["Vary"]) == (403, set(), "Origin")
    answer = await desk.ask("GET", THINGS, await desk.key(Role.AUDITOR), headers={"Origin": origin})
    assert shared(answer.headers) == set()


async def test_whose_page_it_is_is_said_once(desk: Desk) -> None:
    both = CIMultiDict([("Origin", DASHBOARD), ("Origin", "https://evil.example"), ("Access-Control-Request-Method", "GET")])
    before = await desk.client.options(THINGS, headers=both)
    assert before.status in (400, 403)
    assert shared(before.headers) == set()


async def test_without_a_list_no_page_may_call(tmp_path: Path) -> None:
    async with opened(tmp_path, settings=msgspec.structs.replace(SETTINGS, allow_origins=())) as desk:
        asked = {"Origin": DASHBOARD, "Access-Control-Request-Method": "GET"}
        before = await desk.client.options(THINGS, headers=asked)
        assert (before.status, shared(before.headers)) == (403, set())
        answer = await desk.ask("GET", THINGS, await desk.key(Role.AUDITOR), headers={"Origin": DASHBOARD})
        assert (answer.status, shared(answer.headers)) == (200, set())


async def test_options_that_ask_about_no_request_are_no_operation(desk: Desk) -> None:
    answer = await desk.client.options(THINGS, headers={"Origin": DASHBOARD})
    assert answer.status == 405
