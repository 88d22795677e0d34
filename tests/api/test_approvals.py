"""``/carnet/v1/approvals``: what waits, what somebody sees who decides, and what comes of a decision."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connector.access.caller import OWNER, Caller
from connector.api.answers.approvals import ReviewAnswer, WaitingAnswer
from connector.api.answers.processes import ProcessAnswer
from connector.api.approvals import BASE, Approvals
from connector.api.diary import LogDiary
from connector.api.router import mount
from connector.flow.plane import Plane
from connector.protocol.errors import CarnetError, NotAuthenticated, Unavailable
from connector.protocol.messages import Document
from tests.flow.deciders import ANNA, AUDITOR, BERT, CARO, DRIVER, asked, published
from tests.flow.house import Fuse, House, Street
from tests.flow.recording import lines, record
from tests.flow.test_acceptance import negotiation, rest
from tests.flow.test_by_terms import ACADEMIC, RESEARCH, allows

PEOPLE = {each.id: each for each in (ANNA, BERT, CARO, AUDITOR, DRIVER, OWNER)}
Http = TestClient[web.Request, web.Application]


class ByHeader:
    """A guard that believes what it is told."""

    async def caller(self, request: web.Request) -> Caller:
        """See Guard."""
        found = PEOPLE.get(request.headers.get("X-Who", ""))
        if found is None:
            raise NotAuthenticated("nobody", "say who you are")
        return found

    async def still(self, request: web.Request) -> Caller:
        """See Guard."""
        return await self.caller(request)

    def challenge(self, request: web.Request, error: CarnetError) -> Mapping[str, str]:
        """See Guard."""
        del request, error
        return {}


class Measured:
    """A data plane that says what would leave, or is away."""

    def __init__(self) -> None:
        self.away = False
        self.seen: list[Document] = []

    async def releases(self, dataset_id: str, policies: list[Document], preview: str | None = None) -> list[Document]:
        """See Plane."""
        del dataset_id, preview
        if self.away:
            raise Unavailable("data-plane-away", "the data plane is not running yet; try again in a moment")
        self.seen += policies
        return [{"policy": 0, "permission": 0, "level": "L2", "sentences": ["Level L2: rows."], "problems": []}]


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    """Two houses whose logs are kept."""
    street = Street(Fuse())
    await street.open(tmp_path, "street")
    await record(street)
    yield street
    await street.close()


@pytest.fixture
def plane() -> Measured:
    return Measured()


@pytest.fixture
async def desks(street: Street, plane: Measured) -> AsyncIterator[dict[House, Http]]:
    """The interface of each house."""
    found: dict[House, Http] = {}
    for house in street.houses.values():
        app = web.Application()
        operations = Approvals(house.context, cast("Plane", plane)).operations()
        mount(app, operations, ByHeader(), diary=LogDiary(house.context))
        found[house] = TestClient(TestServer(app))
        await found[house].start_server()
    yield found
    for desk in found.values():
        await desk.close()


async def said(desk: Http, method: str, path: str, who: str, body: object = None, status: int = 200) -> Any:
    """What is answered to somebody."""
    answer = await desk.request(method, f"{BASE}{path}", headers={"X-Who": who}, json=body)
    text = await answer.read()
    assert answer.status == status, text
    return msgspec.json.decode(text)


async def test_what_waits_is_seen_with_who_may_decide_until_when(street: Street, desks: dict[House, Http]) -> None:
    ours = await asked(street, await published(street, roles=("commercial",), eyes=2, deadline_s=3600))
    desk = desks[street.provider]
    (found,) = await said(desk, "GET", "", "key:anna")
    waiting = msgspec.convert(found, WaitingAnswer)
    assert (waiting.id, waiting.step, waiting.state) == (ours.id, "decide-request", "REQUESTED")
    assert (waiting.rule.roles, waiting.rule.eyes, waiting.decide_by) == (("commercial",), 2, ours.detail.decide_by)
    assert (waiting.proposed_by, waiting.approvals, waiting.may.approve) == (None, [], True)
    (found,) = await said(desk, "GET", "", "key:audit")
    assert (found["may"]["approve"], found["may"]["code"]) == (False, "approval-role")
    await said(desk, "POST", f"/{ours.id}/approve", "key:anna", {"comment": "yes", "version": ours.version})
    (found,) = await said(desk, "GET", "", "key:anna")
    assert [each["caller"] for each in found["approvals"]] == ["key:anna"]
    assert found["may"]["code"] == "approval-given"
    done = await said(desk, "POST", f"/{ours.id}/approve", "key:bert", {})
    assert msgspec.convert(done, ProcessAnswer).pending is None
    assert await said(desk, "GET", "", "key:anna") == []


async def test_an_approver_sees_the_redline_the_risk_and_what_the_terms_say(
    street: Street, desks: dict[House, Http], plane: Measured
) -> None:
    offer = await published(street, allows(RESEARCH), roles=("commercial",))
    ours = await asked(street, {**offer, **allows(ACADEMIC), "obligation": [{"action": "http://www.w3.org/ns/odrl/2/delete"}]})
    desk = desks[street.provider]
    found = msgspec.convert(await said(desk, "GET", f"/{ours.id}?language=de", "key:audit"), ReviewAnswer)
    assert found.against == "published"
    assert found.published is not None
    assert [change.term for change in found.redline]
    assert found.risk.releases is not None
    assert found.risk.releases[0]["level"] == "L2"
    assert plane.seen[0]["permission"] == found.terms["permission"]
    assert found.explanation is not None
    assert found.explanation.language == "de"
    assert found.explanation.sentences
    plane.away = True
    found = msgspec.convert(await said(desk, "GET", f"/{ours.id}", "key:audit"), ReviewAnswer)
    assert (found.risk.releases, "not running" in (found.risk.unmeasured or "")) == (None, True)


async def test_terms_that_nobody_can_read_are_shown_as_a_problem(street: Street, desks: dict[House, Http]) -> None:
    offer = await published(street, allows(RESEARCH), roles=("commercial",))
    broken = {"permission": [{"action": "use", "constraint": [{"leftOperand": "odrl:purpose"}]}]}
    ours = await asked(street, {**offer, **broken})
    found = msgspec.convert(await said(desks[street.provider], "GET", f"/{ours.id}", "owner"), ReviewAnswer)
    assert found.explanation is None
    assert found.risk.problems


async def test_both_sides_counter_with_a_redline(street: Street, desks: dict[House, Http]) -> None:
    offer = await published(street, allows(RESEARCH), roles=("commercial",))
    ours = await asked(street, {**offer, **allows()})
    provider, consumer = desks[street.provider], desks[street.consumer]
    body = {"offer": allows(ACADEMIC), "comment": "science only", "version": ours.version}
    countered = await said(provider, "POST", f"/{ours.id}/counter", "key:anna", body)
    assert (countered["proposed_by"], countered["awaiting"]) == ("key:anna", "OFFER")
    await rest(street)
    (waits,) = await said(consumer, "GET", "", "owner")
    assert (waits["step"], waits["proposedBy"], waits["changes"]) == ("decide-offer", "owner", 1)
    found = msgspec.convert(await said(consumer, "GET", f"/{waits['id']}", "owner"), ReviewAnswer)
    assert (found.against, [each.kind for each in found.redline]) == ("before", ["added"])
    assert (found.risk.releases, found.published) == (None, None)
    await said(consumer, "POST", f"/{waits['id']}/approve", "owner")
    await rest(street)
    refused = await said(provider, "POST", f"/{ours.id}/approve", "key:anna", {}, 403)
    assert refused["code"] == "approval-own"
    await said(provider, "POST", f"/{ours.id}/approve", "key:bert", {})
    await rest(street)
    assert (await negotiation(street.consumer)).state.on_wire == "FINALIZED"
    found = msgspec.convert(await said(provider, "GET", f"/{ours.id}", "key:audit"), ReviewAnswer)
    assert [(each.caller, each.verdict, each.comment) for each in found.said] == [
        ("key:anna", "countered", "science only"),
        ("key:bert", "approved", ""),
    ]


async def test_the_log_says_that_and_by_whom_it_was_decided(street: Street, desks: dict[House, Http]) -> None:
    ours = await asked(street, await published(street, roles=("commercial",)))
    before = len(await lines(street.provider))
    await said(desks[street.provider], "POST", f"/{ours.id}/reject", "key:anna", {"reason": "no capacity"})
    assert (await lines(street.provider))[before:] == [
        "decision: refused decide-request rejected",
        "message: out dsp ContractNegotiationTerminationMessage queued",
        "termination: negotiation us rejected",
        "management: rejected approvals rejectWaiting",
    ]


@pytest.mark.parametrize(
    ("method", "act", "body", "status", "code"),
    [
        ("GET", "", None, 404, "process-unknown"),
        ("POST", "/approve", {}, 404, "process-unknown"),
        ("POST", "/reject", {}, 400, "body-invalid"),
        ("POST", "/reject", {"reason": ""}, 400, "body-invalid"),
        ("POST", "/counter", {"offer": {}}, 404, "process-unknown"),
        ("POST", "/approve", {"comment": "x" * 1001}, 400, "body-invalid"),
        ("POST", "/approve", {"unknown": 1}, 400, "body-invalid"),
    ],
)
async def test_what_cannot_be_is_said(
    street: Street, desks: dict[House, Http], method: str, act: str, body: object, status: int, code: str
) -> None:
    answer = await said(desks[street.provider], method, f"/urn:uuid:none{act}", "owner", body, status)
    assert answer["code"] == code


async def test_what_is_decided_or_has_changed_is_a_conflict(street: Street, desks: dict[House, Http]) -> None:
    ours = await asked(street, await published(street, allows(RESEARCH), roles=("commercial",)))
    desk = desks[street.provider]
    changed = await said(desk, "POST", f"/{ours.id}/approve", "key:anna", {"version": ours.version + 1}, 409)
    assert changed["code"] == "changed-meanwhile"
    empty = await said(desk, "POST", f"/{ours.id}/counter", "key:anna", {"offer": {}}, 400)
    assert empty["code"] == "offer-empty"
    await said(desk, "POST", f"/{ours.id}/approve", "key:anna", {})
    done = await said(desk, "POST", f"/{ours.id}/approve", "key:bert", {}, 409)
    assert done["code"] == "nothing-pending"


async def test_pages_follow_each_other(street: Street, desks: dict[House, Http]) -> None:
    ours = await asked(street, await published(street, roles=("commercial",)))
    desk = desks[street.provider]
    answer = await desk.get(f"{BASE}?limit=1", headers={"X-Who": "owner"})
    assert [each["id"] for each in await answer.json()] == [ours.id]
    following = answer.headers["Link"].split(";")[0].strip("<>")
    answer = await desk.get(following, headers={"X-Who": "owner"})
    assert await answer.json() == []
    assert "Link" not in answer.headers
    for query in ("after=x", "language=xx"):
        place = f"{BASE}/{ours.id}?{query}" if query.startswith("language") else f"{BASE}?{query}"
        assert (await desk.get(place, headers={"X-Who": "owner"})).status == 400


async def test_who_has_not_the_scope_sees_and_decides_nothing(street: Street, desks: dict[House, Http]) -> None:
    ours = await asked(street, await published(street, roles=("commercial",)))
    desk = desks[street.provider]
    await said(desk, "GET", "", "key:driver", None, 403)
    await said(desk, "GET", "", "nobody", None, 401)
    assert (await said(desk, "POST", f"/{ours.id}/approve", "key:audit", {}, 403))["code"] == "scope-missing"
    assert (await said(desk, "POST", f"/{ours.id}/approve", "key:caro", {}, 403))["code"] == "approval-role"
