"""API keys: whom they make a caller, and when they do not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.access.caller import Role
from connector.access.keys import MAX_NAME_CHARS, REMEMBERED_MS, new_key, parted
from connector.protocol.errors import CallerError
from connector.store.access import revoke_key
from tests.access.desk import Desk

DAY_MS = 86_400_000


async def test_a_key_makes_its_holder_a_caller_with_its_roles(desk: Desk) -> None:
    text = await desk.key(Role.AUDITOR, Role.COMMERCIAL)
    caller = await desk.keys.caller(text)
    assert caller.roles == {Role.AUDITOR, Role.COMMERCIAL}
    assert caller.id == f"key:{text.split('_')[1]}"
    assert caller.may("letters:read")
    assert caller.may("offers:write")
    assert not caller.may("access:write")


async def test_the_store_has_nothing_that_opens(desk: Desk) -> None:
    text = await desk.key(Role.OPERATOR)
    secret = text.split("_", 2)[2]
    rows = await desk.house.engine.fetch("SELECT * FROM api_key")
    assert secret not in str(rows)


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key", "x-api-key"])
async def test_a_key_is_shown_in_either_header(desk: Desk, header: str) -> None:
    text = await desk.key(Role.AUDITOR)
    value = f"Bearer {text}" if header == "Authorization" else text
    assert (await desk.ask("GET", "/carnet/v1/things", headers={header: value})).status == 200


async def test_keys_that_do_not_hold(desk: Desk) -> None:
    good, other = await desk.key(Role.OPERATOR), await desk.key(Role.OPERATOR)
    prefix, key_id, secret = good.split("_", 2)
    for wrong, code in (
        (f"{prefix}_{key_id}_{other.split('_', 2)[2]}", "key-unknown"),
        (f"{prefix}_{'0' * 16}_{secret}", "key-unknown"),
        (good[:-1], "key-form"),
        (f"{good}A", "key-form"),
        (f"{prefix}_{key_id.upper()}_{secret}", "key-form"),
    ):
        desk.monotonic += 60
        assert await desk.status(wrong) == (401, code), wrong


async def test_a_key_that_is_revoked_opens_nothing_at_once(desk: Desk) -> None:
    boss, text = await desk.key(Role.OPERATOR), await desk.key(Role.AUDITOR)
    assert await desk.status(text) == (200, "")
    key_id = text.split("_")[1]
    assert (await desk.ask("DELETE", f"/carnet/v1/access/keys/{key_id}", boss)).status == 204
    assert await desk.status(text) == (401, "key-revoked")
    assert (await desk.ask("DELETE", f"/carnet/v1/access/keys/{key_id}", boss)).status == 409
    assert (await desk.ask("DELETE", "/carnet/v1/access/keys/none", boss)).status == 404


async def test_what_another_process_revokes_is_seen_within_a_second(desk: Desk) -> None:
    text = await desk.key(Role.AUDITOR)
    assert await desk.status(text) == (200, "")
    await desk.house.engine.commit([revoke_key(text.split("_")[1], desk.street.now)])
    desk.street.now += REMEMBERED_MS
    assert await desk.status(text) == (401, "key-revoked")


async def test_a_key_ends(desk: Desk) -> None:
    text = await desk.key(Role.AUDITOR, expires_at=desk.street.now + DAY_MS)
    assert await desk.status(text) == (200, "")
    desk.street.now += DAY_MS
    assert await desk.status(text) == (401, "key-expired")


async def test_what_no_key_can_be() -> None:
    rows: list[tuple[str, str, list[Role], dict[str, Any]]] = [
        ("key-name", "", [Role.OPERATOR], {}),
        ("key-name", "a\nb", [Role.OPERATOR], {}),
        ("key-name", "a" * (MAX_NAME_CHARS + 1), [Role.OPERATOR], {}),
        ("key-roles", "a", [], {}),
        ("key-vehicle", "a", [Role.DRIVER], {}),
        ("key-vehicle", "a", [Role.OPERATOR], {"vehicle": 1}),
        ("key-expiry", "a", [Role.OPERATOR], {"expires_at": 5}),
        ("key-person", "a", [Role.OPERATOR], {"person": "a b"}),
    ]
    for code, name, roles, more in rows:
        with pytest.raises(CallerError) as refused:
            new_key(name, roles, now_ms=5, by="owner", **more)
        assert refused.value.code == code


def test_a_new_key_hides_itself_and_is_read_again() -> None:
    made = new_key("a", [Role.OPERATOR], now_ms=0, by="owner")
    assert made.text not in repr(made)
    parts = parted(made.text)
    assert parts is not None
    assert parts[0] == made.entry.id


@given(st.text(max_size=100))
def test_what_is_no_key_has_no_parts(text: str) -> None:
    found = parted(text)
    assert found is None or text == f"carnet_{found[0]}_{found[1]}"


async def test_keys_are_made_shown_once_and_listed_without_their_secret(desk: Desk) -> None:
    boss = await desk.key(Role.OPERATOR)
    wanted = {"name": "Dashboard", "roles": ["auditor"], "expiresAt": desk.street.now + DAY_MS}
    answer = await desk.ask("POST", "/carnet/v1/access/keys", boss, json=wanted)
    made = await answer.json()
    assert answer.status == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert await desk.status(made["key"]) == (200, "")
    assert made["entry"]["createdBy"] == f"key:{boss.split('_')[1]}"
    listed = await (await desk.ask("GET", "/carnet/v1/access/keys", boss)).json()
    assert [row["name"] for row in listed] == ["somebody", "Dashboard"]
    assert made["entry"] == listed[1]
    assert made["key"].split("_", 2)[2] not in str(listed)
    first = await desk.ask("GET", "/carnet/v1/access/keys?limit=1", boss)
    assert len(await first.json()) == 1
    assert 'rel="next"' in first.headers["Link"]


@pytest.mark.parametrize("role", [Role.PROTECTION, Role.DRIVER])
async def test_an_operator_gives_nobody_what_is_the_owners_to_give(desk: Desk, role: Role) -> None:
    boss = await desk.key(Role.OPERATOR)
    wanted = {"name": "More", "roles": [role], "vehicle": 1 if role is Role.DRIVER else None}
    answer = await desk.ask("POST", "/carnet/v1/access/keys", boss, json=wanted)
    assert (answer.status, (await answer.json())["code"]) == (403, "role-not-yours")


async def test_a_caller_can_ask_who_it_is(desk: Desk) -> None:
    text = await desk.key(Role.AUDITOR)
    said = await (await desk.ask("GET", "/carnet/v1/access/self", text)).json()
    assert (said["id"], said["roles"], said["vehicle"]) == (f"key:{text.split('_')[1]}", ["auditor"], None)
    assert "letters:read" in said["scopes"]
