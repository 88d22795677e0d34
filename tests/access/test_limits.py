"""What one caller may ask for in a time, and that an answer which takes long ends with the right to read it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.access.caller import Role
from connector.api import events
from connector.api.events import Events
from connector.flow.watch import Watch
from connector.http.quota import Buckets
from connector.store.access import revoke_key
from tests.access.desk import SETTINGS, Desk, opened

THINGS, HEALTH, STREAM = "/carnet/v1/things", "/management/check/health", "/carnet/v1/events"
BURST = 3
DEADLINE_S = 20


@pytest.fixture
async def tight(tmp_path: Path) -> AsyncIterator[Desk]:
    """A listener of which one caller may ask little."""
    async with opened(tmp_path, settings=msgspec.structs.replace(SETTINGS, requests_per_s=2, burst=BURST)) as desk:
        yield desk


# -- requests ---------------------------------------------------------------------------------------------------------------


async def test_who_asks_too_much_waits_and_others_do_not(tight: Desk) -> None:
    key, other = await tight.key(Role.AUDITOR), await tight.key(Role.AUDITOR)
    for _ in range(BURST):
        assert await tight.status(key) == (200, "")
    answer = await tight.ask("GET", THINGS, key)
    assert (answer.status, (await answer.json())["code"], answer.headers["Retry-After"]) == (429, "too-many-requests", "1")
    assert await tight.status(other) == (200, "")
    tight.monotonic += 0.5
    assert await tight.status(key) == (200, "")
    assert await tight.status(key) == (429, "too-many-requests")


async def test_what_is_refused_counts_and_health_does_not(tight: Desk) -> None:
    key = await tight.key(Role.AUDITOR)
    for _ in range(BURST):
        assert (await tight.status(key, method="POST"))[0] == 403
    assert await tight.status(key) == (429, "too-many-requests")
    for _ in range(2 * BURST):
        assert (await tight.ask("GET", HEALTH, key)).status == 200


async def test_a_token_asks_for_its_key(tight: Desk) -> None:
    key = await tight.key(Role.AUDITOR)
    tokens = [(await tight.token(client_secret=key))[1]["access_token"] for _ in range(BURST)]
    for token in tokens:
        assert await tight.status(token) == (200, "")
    assert await tight.status(key) == (429, "too-many-requests")


async def test_clients_of_the_management_interface_read_it_in_their_own_form(tight: Desk) -> None:
    key = await tight.key(Role.AUDITOR)
    for _ in range(BURST):
        await tight.status(key)
    answer = await tight.ask("POST", "/management/v3/failures", key, json={"how": ""})
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert [each["type"] for each in await answer.json()] == ["InvalidRequest"]


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 3)), max_size=60))
def test_nobody_gets_more_than_rate_and_burst(asked: list[tuple[int, float]]) -> None:
    now = 0.0
    buckets = Buckets(2, BURST, 6, lambda: now)
    given: dict[str, int] = {}
    for who, later in asked:
        now += later
        if not buckets.take(str(who)):
            given[str(who)] = given.get(str(who), 0) + 1
    assert all(count <= BURST + 2 * now + 1e-6 for count in given.values())


def test_so_many_are_remembered_and_the_last_to_ask_is_forgotten_last() -> None:
    buckets = Buckets(1, 1, 2, lambda: 0.0)
    assert not buckets.take("a")
    assert not buckets.take("b")
    assert buckets.take("a") == 1
    assert not buckets.take("c")
    assert buckets.take("a") == 1
    assert not buckets.take("b")


# -- streams ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def streaming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """A listener with the stream of events, which asks at every turn whether its reader may read."""
    monkeypatch.setattr(events, "ASKED_S", 0.0)
    monkeypatch.setattr(events, "LOOK_AGAIN_S", 0.01)
    async with opened(tmp_path, more=lambda context: Events(context, Watch()).operations()) as desk:
        yield desk


@pytest.mark.parametrize("shown", ["key", "token", "external"])
@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_a_stream_ends_with_the_right_to_read_it(streaming: Desk, shown: str, end: str) -> None:
    desk = streaming
    key = await desk.key(Role.AUDITOR, expires_at=desk.street.now + 300_000)
    credential = {
        "key": key,
        "token": (await desk.token(client_secret=key))[1]["access_token"],
        "external": desk.external(exp=desk.now_s + 200),
    }[shown]
    async with asyncio.timeout(DEADLINE_S), desk.client.get(STREAM, headers={"X-Api-Key": credential}) as answer:
        assert answer.status == 200
        assert await answer.content.readline() == b"retry: 1000\n"
        if shown == "external" or end == "expired":
            desk.street.now += 300_000
        else:
            boss = await desk.key(Role.OPERATOR)
            revoked = await desk.ask("DELETE", f"/carnet/v1/access/keys/{key.split('_')[1]}", boss)
            assert revoked.status == 204
        assert await answer.content.read() == b"\n"
    assert (await desk.status(credential))[0] == 401


async def test_a_stream_ends_when_another_process_has_revoked_the_key(streaming: Desk) -> None:
    key = await streaming.key(Role.AUDITOR)
    async with asyncio.timeout(DEADLINE_S), streaming.client.get(STREAM, headers={"X-Api-Key": key}) as answer:
        assert await answer.content.readline() == b"retry: 1000\n"
        await streaming.house.engine.commit([revoke_key(key.split("_")[1], streaming.street.now)])
        streaming.street.now += 1000
        assert await answer.content.read() == b"\n"


async def test_streams_are_counted_by_caller_whatever_he_shows(streaming: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_OF_ONE", 1)
    key = await streaming.key(Role.AUDITOR)
    token = (await streaming.token(client_secret=key))[1]["access_token"]
    async with asyncio.timeout(DEADLINE_S), streaming.client.get(STREAM, headers={"X-Api-Key": key}) as answer:
        assert answer.status == 200
        refused = await streaming.ask("GET", STREAM, token)
        assert (refused.status, (await refused.json())["code"]) == (429, "too-many-streams")
        other = await streaming.key(Role.AUDITOR)
        async with streaming.client.get(STREAM, headers={"X-Api-Key": other}) as theirs:
            assert theirs.status == 200
