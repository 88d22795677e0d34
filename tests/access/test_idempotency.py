"""A request that comes twice is answered once, and one that only looks alike is not taken for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector.access.caller import Role
from connector.api.idempotency import CUT_OFF_MS, KEPT_MS
from connector.store.access import begin_answer
from connector.store.engine import LostRace, Statement
from tests.access.desk import Desk

THINGS, OWN = "/carnet/v1/things", "/carnet/v1/failures"


@pytest.fixture
async def boss(desk: Desk) -> str:
    """An operator's key."""
    return await desk.key(Role.OPERATOR)


async def post(desk: Desk, who: str, key: str, path: str = THINGS, **body: Any) -> tuple[int, Any, bool]:
    answer = await desk.ask("POST", path, who, json=body, headers={"Idempotency-Key": key})
    said = await answer.json() if answer.content_type.endswith("json") else None
    return answer.status, said, answer.headers.get("Idempotency-Replayed") == "true"


async def test_the_second_gets_the_answer_of_the_first(desk: Desk, boss: str) -> None:
    assert await post(desk, boss, "one", a=1) == (201, {"n": 1}, False)
    assert await post(desk, boss, "one", a=1) == (201, {"n": 1}, True)
    assert await post(desk, boss, "two", a=1) == (201, {"n": 2}, False)


async def test_a_key_is_of_one_caller_and_one_request(desk: Desk, boss: str) -> None:
    await post(desk, boss, "one", a=1)
    other = await desk.key(Role.OPERATOR)
    assert await post(desk, other, "one", a=2) == (201, {"n": 2}, False)
    for status, said, _ in (await post(desk, boss, "one", a=2), await post(desk, boss, "one", f"{THINGS}?b=1", a=1)):
        assert (status, said["code"]) == (422, "idempotency-key-reused")
    assert len(desk.handled) == 2


async def test_of_two_at_once_one_is_done(desk: Desk, boss: str) -> None:
    found = await asyncio.gather(*(post(desk, boss, "one", a=1) for _ in range(5)))
    assert len(desk.handled) == 1
    assert {status for status, _, _ in found} <= {201, 409}
    assert next(said for status, said, _ in found if status == 201) == {"n": 1}


async def test_what_was_refused_may_be_sent_again(desk: Desk, boss: str) -> None:
    assert (await post(desk, boss, "one", OWN, how="conflict"))[0] == 409
    assert (await post(desk, boss, "one", OWN, how="conflict"))[0] == 409
    assert (await post(desk, boss, "one", OWN, how="unknown"))[0] == 404
    assert len(desk.handled) == 3


async def test_what_nobody_knows_the_end_of_is_not_done_again(desk: Desk, boss: str) -> None:
    assert (await post(desk, boss, "one", OWN, how="else"))[0] == 500
    assert (await post(desk, boss, "one", OWN, how="else"))[1]["code"] == "idempotency-running"
    desk.street.now += CUT_OFF_MS
    status, said, _ = await post(desk, boss, "one", OWN, how="else")
    assert (status, said["code"]) == (409, "idempotency-cut-off")
    assert len(desk.handled) == 1


async def test_a_request_of_an_earlier_life_was_cut_off(desk: Desk, boss: str) -> None:
    assert (await post(desk, boss, "one", OWN, how="else"))[0] == 500
    await desk.house.engine.commit([Statement("UPDATE idempotency SET media = ?", ("an earlier life",))])
    status, said, _ = await post(desk, boss, "one", OWN, how="else")
    assert (status, said["code"], len(desk.handled)) == (409, "idempotency-cut-off", 1)


async def test_a_key_that_was_made_is_not_kept_for_a_second_answer(desk: Desk, boss: str) -> None:
    wanted = {"name": "Dashboard", "roles": ["auditor"]}
    path = "/carnet/v1/access/keys"
    status, said, _ = await post(desk, boss, "one", path, **wanted)
    assert status == 201
    rows = await desk.house.engine.fetch("SELECT * FROM idempotency")
    assert said["key"] not in str(rows)
    assert (await post(desk, boss, "one", path, **wanted))[1]["code"] == "idempotency-answer-gone"
    assert len(await (await desk.ask("GET", path, boss)).json()) == 2


async def test_answers_are_forgotten_after_a_day(desk: Desk, boss: str) -> None:
    await post(desk, boss, "one", a=1)
    desk.street.now += KEPT_MS + 1
    assert await post(desk, boss, "one", a=1) == (201, {"n": 2}, False)


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "é"])
async def test_keys_that_are_none(desk: Desk, boss: str, key: str) -> None:
    assert (await post(desk, boss, key, a=1))[1]["code"] == "idempotency-key-invalid"
    assert desk.handled == []


async def test_a_caller_has_so_many_keys_and_no_more(desk: Desk, boss: str) -> None:
    caller = f"key:{boss.split('_')[1]}"
    full = begin_answer(caller, "one", "digest", desk.street.now, most=1)
    await desk.house.engine.commit([full])
    with pytest.raises(LostRace):
        await desk.house.engine.commit([begin_answer(caller, "two", "digest", desk.street.now, most=1)])
