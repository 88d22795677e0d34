"""Every operation of the management listener for every kind of caller: what really happens is what the table says.

The operations are those that a connector serves; a new one without a row fails.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from connector.access.caller import SCOPES, Role
from connector.api.operation import Operation
from connector.store.access import revoke_key
from tests.access.desk import US, Desk, opened
from tests.access.matrix import LETTERS, MATRIX
from tests.access.served import served

REACHED: Final = 299
# They change nothing that lasts: a proof for one request, and an act that has no meaning here.
WITHOUT_EFFECT: Final = {"transferAssertion", "v3-transfers-deprovision"}
OPERATIONS: Final = {each.name: each for each in served()}


async def reached(_: web.Request) -> web.Response:
    """In place of what an operation does."""
    return web.Response(status=REACHED)


@dataclass(frozen=True)
class Hall:
    """A listener with every operation, and a credential of every kind of caller."""

    desk: Desk
    roles: Mapping[Role, str]
    strangers: Mapping[str, str | None]


@pytest.fixture(scope="module")
def operations() -> Sequence[Operation]:
    """All, with nothing behind them."""
    return [replace(each, handle=reached, told=False) for each in OPERATIONS.values()]


@pytest.fixture
async def hall(tmp_path: Path, operations: Sequence[Operation]) -> AsyncIterator[Hall]:
    """Somebody of each kind."""
    async with opened(tmp_path, operations) as desk:
        roles = {role: await desk.key(role, vehicle=1 if role is Role.DRIVER else None) for role in Role}
        good = (await desk.key(*(set(Role) - {Role.DRIVER}))).split("_")[1]
        strangers: dict[str, str | None] = {
            "nobody": None,
            "expired": await desk.key(Role.OPERATOR, expires_at=desk.street.now + 1),
            "revoked": await desk.key(Role.OPERATOR),
            "wrong audience": desk.signed(sub=f"key:{good}", aud=US),
        }
        await desk.house.engine.commit([revoke_key(str(strangers["revoked"]).split("_")[1], desk.street.now)])
        desk.street.now += 1
        yield Hall(desk, roles, strangers)


def test_every_operation_has_a_row_and_every_row_an_operation() -> None:
    assert OPERATIONS.keys() == MATRIX.keys()


def test_every_write_is_told_to_the_contract_log() -> None:
    untold = {each.name for each in OPERATIONS.values() if each.verb == "write" and not each.told}
    assert untold == WITHOUT_EFFECT


@pytest.mark.parametrize("role", Role)
def test_no_role_has_a_scope_that_nothing_needs(role: Role) -> None:
    assert SCOPES[role] <= {each.scope for each in OPERATIONS.values()}


def test_an_auditor_reads_and_a_driver_has_only_his_own() -> None:
    assert {each.verb for each in OPERATIONS.values() if LETTERS[Role.AUDITOR] in MATRIX[each.name]} == {"read"}
    assert {each.resource for each in OPERATIONS.values() if LETTERS[Role.DRIVER] in MATRIX[each.name]} == {"own-consents"}


@pytest.mark.parametrize("role", Role)
async def test_a_role_does_what_the_table_says_and_nothing_else(hall: Hall, role: Role) -> None:
    for operation in OPERATIONS.values():
        row = MATRIX[operation.name]
        answer = await hall.desk.ask(operation.method, path_of(operation), hall.roles[role])
        expected = REACHED if row == "open" or LETTERS[role] in row else 403
        assert answer.status == expected, f"{operation.name} {role}: {answer.status} {await answer.text()}"


@pytest.mark.parametrize("kind", ["nobody", "expired", "revoked", "wrong audience"])
async def test_strangers_do_nothing(hall: Hall, kind: str) -> None:
    for operation in OPERATIONS.values():
        hall.desk.monotonic += 60
        answer = await hall.desk.ask(operation.method, path_of(operation), hall.strangers[kind])
        expected = REACHED if MATRIX[operation.name] == "open" else 401
        assert answer.status == expected, f"{operation.name} {kind}: {answer.status}"


def path_of(operation: Operation) -> str:
    """A path that is this operation's."""
    return re.sub(r"\{[^}]+\}", "1", operation.path)
