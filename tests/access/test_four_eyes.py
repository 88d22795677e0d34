"""Two people are two people: every way to be a second one, and to approve what one has proposed, with another key or token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from connector.access.caller import OWNER, Role
from connector.api.access import BASE as KEYS
from connector.api.approvals import BASE, Approvals
from connector.flow import deciding
from connector.flow.plane import Plane
from connector.listening import take_first_key
from connector.protocol.errors import Conflict
from connector.protocol.states import State
from connector.store.access import revoke_key
from tests.access.desk import Desk, forget_keys, opened
from tests.flow.deciders import asked, published
from tests.flow.test_acceptance import negotiation, rest
from tests.flow.test_by_terms import ACADEMIC, RESEARCH, allows

TWO: dict[str, Any] = {"roles": ("operator", "commercial"), "eyes": 2}
OPS = {"roles": ["ops"]}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A listener by which people decide."""
    async with opened(tmp_path, more=lambda context: Approvals(context, cast("Plane", None)).operations()) as found:
        yield found


async def made_by(desk: Desk, key: str, *roles: Role, status: int = 201, **more: Any) -> str:
    """A key that the holder of another key or token makes over the interface; with another status the code of the refusal."""
    answer = await desk.ask("POST", KEYS, key, json={"name": "A colleague", "roles": [*roles], **more})
    said = await answer.json()
    assert answer.status == status, said
    return str(said["key"] if status == 201 else said["code"])


async def token_of(desk: Desk, key: str, **form: str) -> str:
    """A token that is given for a key."""
    status, said = await desk.token(client_secret=key, **form)
    assert status == 200, said
    return str(said["access_token"])


async def waiting(desk: Desk) -> str:
    """A negotiation for which two people are asked."""
    return (await asked(desk.street, await published(desk.street, **TWO))).id


async def approved(desk: Desk, process: str, key: str) -> tuple[int, str]:
    """What is answered to an approval."""
    answer = await desk.ask("POST", f"{BASE}/{process}/approve", key, json={})
    return answer.status, "" if answer.status == 200 else (await answer.json())["code"]


async def finalized(desk: Desk) -> bool:
    """Whether it has been agreed."""
    await rest(desk.street)
    return (await negotiation(desk.street.provider)).state is State.FINALIZED


ONCE = (409, "approval-given")
YES = (200, "")


async def test_keys_that_one_makes_for_oneself_are_the_same_person(desk: Desk) -> None:
    first = await desk.key(Role.OPERATOR)
    second = await made_by(desk, first, Role.OPERATOR)
    third = await made_by(desk, second, Role.COMMERCIAL)
    process = await waiting(desk)
    assert await approved(desk, process, third) == YES
    for again in (first, second, third):
        assert await approved(desk, process, again) == ONCE
    assert not await finalized(desk)
    assert await approved(desk, process, await desk.key(Role.COMMERCIAL)) == YES
    assert await finalized(desk)


async def test_nor_is_one_another_when_the_first_key_is_gone(desk: Desk) -> None:
    first = await desk.key(Role.OPERATOR)
    second = await made_by(desk, first, Role.OPERATOR)
    process = await waiting(desk)
    assert await approved(desk, process, first) == YES
    await desk.house.engine.commit([revoke_key(first.split("_")[1], desk.street.now)])
    assert await approved(desk, process, second) == ONCE


async def test_tokens_are_whose_key_they_were_given_for(desk: Desk) -> None:
    key = await desk.key(Role.OPERATOR)
    other = await made_by(desk, key, Role.COMMERCIAL)
    process = await waiting(desk)
    assert await approved(desk, process, await token_of(desk, key)) == YES
    for again in (key, await token_of(desk, key), other, await token_of(desk, other)):
        assert await approved(desk, process, again) == ONCE
    # A key that is made with a token is made by whoever is behind the token.
    assert await approved(desk, process, await made_by(desk, await token_of(desk, key), Role.COMMERCIAL)) == ONCE


async def test_who_signs_on_elsewhere_is_one_person_with_all_tokens_and_keys(desk: Desk) -> None:
    token = desk.external(realm_access=OPS)
    key = await made_by(desk, token, Role.OPERATOR)
    process = await waiting(desk)
    assert await approved(desk, process, token) == YES
    for again in (desk.external(realm_access=OPS, jti="2"), key, await token_of(desk, key)):
        assert await approved(desk, process, again) == ONCE
    assert await approved(desk, process, desk.external(realm_access=OPS, sub="person-2")) == YES
    assert await finalized(desk)


@pytest.mark.parametrize("way", ["key", "token", "external"])
async def test_nobody_approves_his_own_counter_offer_with_another_key(desk: Desk, way: str) -> None:
    street = desk.street
    mine = desk.external(realm_access=OPS) if way == "external" else await desk.key(Role.OPERATOR)
    mine = await token_of(desk, mine) if way == "token" else mine
    other = await made_by(desk, mine, Role.COMMERCIAL)
    offer = await published(street, allows(RESEARCH), roles=("operator", "commercial"))
    process = (await asked(street, {**offer, **allows()})).id
    answer = await desk.ask("POST", f"{BASE}/{process}/counter", mine, json={"offer": allows(ACADEMIC)})
    assert answer.status == 200
    await rest(street)
    await deciding.approve(street.consumer.context, (await negotiation(street.consumer)).id)
    await rest(street)
    for again in (mine, other, await token_of(desk, other), await made_by(desk, mine, Role.OPERATOR)):
        assert await approved(desk, process, again) == (403, "approval-own")
    seen = await (await desk.ask("GET", BASE, other)).json()
    assert [each["may"]["code"] for each in seen] == ["approval-own"]
    assert await approved(desk, process, await desk.key(Role.COMMERCIAL)) == YES
    assert await finalized(desk)


async def test_the_first_key_is_the_owners_other_hand(desk: Desk, tmp_path: Path) -> None:
    key = await desk.key(Role.OPERATOR)
    await forget_keys(desk)
    file = tmp_path / "operator.key"
    file.write_text(key)
    file.chmod(0o600)
    await take_first_key(file, desk.keys, desk.street.now)
    process = await waiting(desk)
    assert await approved(desk, process, await made_by(desk, key, Role.COMMERCIAL)) == YES
    with pytest.raises(Conflict) as refusal:
        await deciding.approve(desk.house.context, process, by=OWNER)
    assert refusal.value.code == "approval-given"


async def test_the_owner_says_which_keys_are_one_person(desk: Desk) -> None:
    laptop, phone = [await desk.key(Role.COMMERCIAL, person="anna") for _ in range(2)]
    process = await waiting(desk)
    assert await approved(desk, process, laptop) == YES
    assert await approved(desk, process, phone) == ONCE


async def test_the_owner_says_whose_key_it_is_who_signs_on_elsewhere(desk: Desk) -> None:
    token = desk.external(realm_access=OPS)
    said = await (await desk.ask("GET", f"{KEYS.removesuffix('/keys')}/self", token)).json()
    process = await waiting(desk)
    assert await approved(desk, process, token) == YES
    assert await approved(desk, process, await desk.key(Role.COMMERCIAL, person=said["person"])) == ONCE


async def test_nobody_else_says_who_somebody_is(desk: Desk) -> None:
    boss = await desk.key(Role.OPERATOR)
    assert await made_by(desk, boss, Role.COMMERCIAL, person="somebody-else", status=403) == "person-not-yours"
    key = await made_by(desk, boss, Role.COMMERCIAL)
    (_, listed) = await (await desk.ask("GET", KEYS, boss)).json()
    assert (listed["id"], listed["person"]) == (key.split("_")[1], f"key:{boss.split('_')[1]}")


async def test_a_narrowed_token_makes_no_key_that_does_more(desk: Desk) -> None:
    narrow = await token_of(desk, await desk.key(Role.OPERATOR), scope="access:write")
    assert await made_by(desk, narrow, Role.OPERATOR, status=403) == "scope-not-yours"


async def test_a_narrowed_token_decides_nothing(desk: Desk) -> None:
    process = await waiting(desk)
    narrow = await token_of(desk, await desk.key(Role.OPERATOR), scope="approvals:read negotiations:write")
    (seen,) = await (await desk.ask("GET", BASE, narrow)).json()
    assert (seen["id"], seen["may"]["code"]) == (process, "scope-missing")
