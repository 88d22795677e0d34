"""What every operation passes, whatever it is: the form of its errors, its body, and what the contract log is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from connector.access.caller import OWNER, Role
from connector.api.guard import OwnerGuard
from connector.api.operation import Operation
from connector.api.router import mount, operations_of
from connector.settings.secret import Secret
from tests.access.desk import Desk, things
from tests.flow.recording import told

THINGS = "/carnet/v1/things"
OWN, V3 = "/carnet/v1/failures", "/management/v3/failures"


@pytest.fixture
async def boss(desk: Desk) -> str:
    """An operator's key."""
    return await desk.key(Role.OPERATOR)


# -- errors -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [("conflict", 409, "thing-busy"), ("unknown", 404, "thing-unknown"), ("invalid", 400, "thing-invalid")],
)
async def test_our_own_errors_are_problem_documents(desk: Desk, boss: str, how: str, status: int, code: str) -> None:
    answer = await desk.ask("POST", OWN, boss, json={"how": how})
    assert (answer.status, answer.content_type) == (status, "application/problem+json")
    said = await answer.json()
    assert (said["code"], said["status"], said["type"]) == (code, status, f"urn:carnet:problem:{code}")
    assert ("violations" in said) == (how == "invalid")


@pytest.mark.parametrize(
    ("how", "status", "expected"),
    [
        (
            "conflict",
            409,
            {"code": "thing-busy", "message": "wait for it", "type": "ObjectConflict", "path": None, "invalidValue": None},
        ),
        (
            "unknown",
            404,
            {"code": "thing-unknown", "message": "there is none", "type": "ObjectNotFound", "path": None, "invalidValue": None},
        ),
        (
            "invalid",
            400,
            {
                "code": "thing-invalid",
                "message": "no blanks",
                "type": "ValidationFailure",
                "path": "properties.name",
                "invalidValue": "a b",
            },
        ),
    ],
)
async def test_errors_of_the_management_interface_are_lists(
    desk: Desk, boss: str, how: str, status: int, expected: dict[str, Any]
) -> None:
    answer = await desk.ask("POST", V3, boss, json={"how": how})
    assert (answer.status, answer.content_type) == (status, "application/json")
    assert await answer.json() == [expected]


async def test_a_parameter_that_there_is_not_is_told(desk: Desk, boss: str) -> None:
    answer = await desk.ask("GET", f"{THINGS}?limt=3", boss)
    said = await answer.json()
    assert (answer.status, said["code"]) == (400, "query-unknown")
    assert "limt" in said["detail"]


@pytest.mark.parametrize("path", [OWN, V3])
async def test_what_nobody_expected_says_nothing_but_a_number(desk: Desk, boss: str, path: str) -> None:
    answer = await desk.ask("POST", path, boss, json={"how": "else"})
    assert answer.status == 500
    assert "secret" not in await answer.text()
    assert "incident" in await answer.text()


async def test_refusals_before_the_handler_have_the_form_of_their_family(desk: Desk) -> None:
    nobody = await desk.ask("POST", V3)
    assert (await nobody.json())[0]["type"] == "AuthenticationFailed"
    narrow = await desk.ask("POST", V3, await desk.key(Role.AUDITOR))
    assert (narrow.status, (await narrow.json())[0]["type"]) == (403, "NotAuthorized")


# -- requests ---------------------------------------------------------------------------------------------------------------


async def test_a_body_that_is_too_large_is_not_taken(desk: Desk, boss: str) -> None:
    answer = await desk.ask("POST", THINGS, boss, data=b"x" * 5000)
    assert (answer.status, (await answer.json())["code"]) == (413, "document-too-large")
    assert desk.handled == []


async def test_nothing_of_a_body_is_read_for_nobody(desk: Desk) -> None:
    assert (await desk.ask("POST", THINGS, data=b"x" * 5000)).status == 401


async def test_a_packed_body_and_a_path_with_a_nul_are_refused(desk: Desk, boss: str) -> None:
    packed = await desk.ask("POST", THINGS, boss, data=b"x", headers={"Content-Encoding": "deflate"})
    assert (packed.status, (await packed.json())["code"]) == (400, "content-encoding")
    answer = await desk.ask("PUT", f"{THINGS}/a%00b", boss)
    assert (answer.status, (await answer.json())["code"]) == (400, "text-invalid")


async def test_an_answer_has_the_correlation_id_that_was_sent(desk: Desk, boss: str) -> None:
    answer = await desk.ask("GET", THINGS, boss, headers={"X-Correlation-ID": "deal-7"})
    assert answer.headers["X-Correlation-ID"] == "deal-7"
    made = await desk.ask("GET", "/carnet/v1/none", headers={"X-Correlation-ID": "bad id"})
    assert made.headers["X-Correlation-ID"] not in ("", "bad id")


async def test_the_owners_channel_needs_its_token_and_nothing_else(desk: Desk) -> None:
    guard = OwnerGuard(Secret("token-of-sixteen-chars"))
    app, handled = web.Application(), list[str]()
    mount(app, things(handled), guard)
    assert [each.name for each in operations_of(app)] == [each.name for each in things([])]
    assert await OwnerGuard().caller(None) == OWNER  # type: ignore[arg-type]  # without a token nothing of a request is looked at


@pytest.mark.parametrize("field", ["name", "path", "form"])
def test_an_operation_is_mounted_once_and_has_a_name(field: str) -> None:
    first = things([])[0]
    changes = {"name": "other", "path": "/carnet/v1/others"}
    second = Operation(
        first.method,
        first.path if field == "path" else changes["path"],
        first.name if field == "name" else "no name" if field == "form" else changes["name"],
        *(first.resource, first.verb, first.about, first.handle),
    )
    with pytest.raises(ValueError, match=r"mounted already|no name"):
        mount(web.Application(), [first, second], OwnerGuard())


# -- the contract log -------------------------------------------------------------------------------------------------------


async def test_the_log_is_told_what_was_done_and_who_did_it(desk: Desk, boss: str) -> None:
    await desk.ask("POST", THINGS, boss, json={})
    await desk.ask("PUT", f"{THINGS}/a", boss, json={})
    await desk.ask("POST", f"{THINGS}/a/approve", boss, json={})
    await desk.ask("GET", THINGS, boss)
    found = await told(desk.house, "management")
    assert [each.line for each in found] == [
        "management: made assets makeThing",
        "management: changed assets putThing",
        "management: approved assets approveThing",
    ]
    caller = f"key:{boss.split('_')[1]}"
    assert found[1].payload == {"caller": caller, "roles": ["operator"], "of": {"id": "a"}}
    assert caller not in str(found[1].said)


async def test_it_is_told_in_the_transaction_of_what_is_done(desk: Desk, boss: str) -> None:
    wanted = {"name": "Dashboard", "roles": ["auditor"]}
    before = desk.house.engine.fuse.count
    assert (await desk.ask("POST", "/carnet/v1/access/keys", boss, json=wanted)).status == 201
    assert desk.house.engine.fuse.count == before + 1
    assert [each.line for each in await told(desk.house, "management")] == ["management: made access makeApiKey"]


async def test_of_what_was_refused_it_is_told_nothing(desk: Desk, boss: str) -> None:
    await desk.ask("POST", OWN, boss, json={"how": "conflict"})
    await desk.ask("DELETE", "/carnet/v1/access/keys/none", boss)
    await desk.ask("POST", THINGS, await desk.key(Role.AUDITOR))
    assert await told(desk.house, "management") == []
