"""Every term is enforced where the registry says that the connector enforces it: take its decision away, and a test here fails.

The tests of the first part are run for every term at each of its points: what the buyer does not satisfy is refused there. The
second part runs each of them again with the term taken away (it is satisfied whatever is the case), and once more with the
decision at that point taken away; the test has to fail. `weighed.py` has the table: term -> policy, point -> test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from connector.flow import agreeing, offers, shelf, sight, using
from connector.flow.offers import PublicationRefused
from connector.protocol.errors import BadMessage, NotFound
from connector.protocol.record import Process
from connector.protocol.states import State
from policies import evaluate
from policies.decision import Decision, Reason
from policies.document import evaluate_document
from policies.terms import registry
from policies.terms.actions import READ, USE
from policies.terms.exclusivity import EXCLUSIVE
from policies.terms.term import Enforced, Point, Scope
from policies.terms.time import EVENT
from tests.acceptance.shop import BUYING, DATASET, LATE, Shop, open_shop
from tests.acceptance.weighed import BEGIN_MS, CONNECTOR, LATER_MS, POLICIES, TESTS, enforced, written

Story = Callable[[Shop, str], Awaitable[None]]
PERMIT: Final = Decision("permit", (Reason("permitted", "", "nothing was decided"),))


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as opened:
        yield opened


def at(point: Point) -> pytest.MarkDecorator:
    """For every term that is enforced at `point`."""
    return pytest.mark.parametrize("iri", [iri for iri, where in enforced() if where is point])


# --- what is enforced where ------------------------------------------------------------------------------------------


@at(Point.CATALOGUE)
async def test_an_offer_is_not_shown(shop: Shop, iri: str) -> None:
    shop.now_ms = LATER_MS
    await shop.offer(written(iri))
    assert await shop.shown() == []
    with pytest.raises(NotFound):
        await shelf.dataset_document(shop.context, BUYING, DATASET)
    (looked,) = await shelf.why_not(shop.context, BUYING, DATASET)
    assert looked.decision.reasons


@at(Point.NEGOTIATION)
async def test_a_negotiation_is_refused(shop: Shop, iri: str) -> None:
    shop.now_ms = LATER_MS
    await shop.offer(written(iri))
    refused(await shop.asked(written(iri)), "policy-denied")


@at(Point.PUBLICATION)
async def test_a_publication_is_refused(shop: Shop, iri: str) -> None:
    with pytest.raises(PublicationRefused, match="exclusive") as why:
        await shop.offer(written(iri), written(iri, **{"@id": "urn:offer:other"}))
    assert {finding.term for finding in why.value.findings} == {iri}
    assert all(finding.path and finding.remedy for finding in why.value.findings)


@at(Point.AGREEMENT)
async def test_an_agreement_is_refused(shop: Shop, iri: str) -> None:
    await shop.offer(written(iri))
    assert (await shop.asked(written(iri))).state is State.AGREED
    refused(await shop.asked(written(iri), LATE), "exclusivity-conflict")


@at(Point.TRANSFER)
async def test_a_transfer_is_refused(shop: Shop, iri: str) -> None:
    await shop.agreed(written(iri))
    shop.now_ms = LATER_MS
    with pytest.raises(BadMessage) as why:
        await shop.used()
    assert why.value.code == "policy-denied"
    assert why.value.reason


@at(Point.CLOCK)
async def test_a_running_transfer_is_ended(shop: Shop, iri: str) -> None:
    await shop.agreed(written(iri))
    with satisfied(iri) if iri == EVENT else nullcontext():
        process = await shop.used()
    assert process.state is State.STARTED
    shop.now_ms = BEGIN_MS + 1000
    await shop.ring()
    assert (await shop.again(process.id)).state is State.STARTED
    shop.now_ms = LATER_MS
    await shop.ring()
    assert (await shop.again(process.id)).state is State.TERMINATED


def refused(process: Process, code: str) -> None:
    """The negotiation is over, and the buyer was told why."""
    assert process.state is State.TERMINATED
    ended = process.detail.ended
    assert ended is not None
    assert ended.code == code
    assert ended.reason


@contextmanager
def satisfied(iri: str) -> Iterator[None]:
    """A term is satisfied for a while: of events nothing is recorded yet."""
    with pytest.MonkeyPatch.context() as patching:
        take_away_term(patching, iri)
        yield


# --- without it ------------------------------------------------------------------------------------------------------


def test_every_term_and_every_point_has_its_test() -> None:
    assert {iri for iri, _ in enforced()} == set(POLICIES)
    assert set(TESTS) == CONNECTOR == {point for _, point in enforced()}
    assert all(callable(globals()[name]) for name in TESTS.values())


@pytest.mark.parametrize(("iri", "point"), enforced())
async def test_without_the_term_its_test_fails(shop: Shop, monkeypatch: pytest.MonkeyPatch, iri: str, point: Point) -> None:
    take_away_term(monkeypatch, iri)
    await fails(shop, iri, point)


@pytest.mark.parametrize(("iri", "point"), enforced())
async def test_without_the_decision_its_test_fails(shop: Shop, monkeypatch: pytest.MonkeyPatch, iri: str, point: Point) -> None:
    take_away_decision(monkeypatch, point)
    await fails(shop, iri, point)


async def fails(shop: Shop, iri: str, point: Point) -> None:
    story: Story = globals()[TESTS[point]]
    # `pytest.raises` that did not see what it waits for fails with an exception of its own.
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await story(shop, iri)


def take_away_term(monkeypatch: pytest.MonkeyPatch, iri: str) -> None:
    """The term is there, and is satisfied whatever is the case; an action is prohibited by nothing."""
    if iri in (USE, READ):
        looked = evaluate._action
        other = Reason("action-other", "", "")
        monkeypatch.setattr(
            evaluate, "_action", lambda path, *rest: other if path.startswith("/prohibition") else looked(path, *rest)
        )
        return
    always = replace(registry.REGISTRY[iri], given=lambda request, world: Enforced())
    monkeypatch.setitem(registry._terms, iri, always)
    if iri == EXCLUSIVE:
        monkeypatch.setattr(offers, "overlap", lambda *_: None)
        monkeypatch.setattr(agreeing, "overlap", lambda *_: None)


def take_away_decision(monkeypatch: pytest.MonkeyPatch, point: Point) -> None:
    """Nobody asks the decision point there."""

    def only(scope: Scope) -> Callable[..., Decision]:
        return lambda document, request, world: PERMIT if request.scope is scope else evaluate_document(document, request, world)

    match point:
        case Point.CATALOGUE:
            monkeypatch.setattr(sight, "decide", lambda *_: PERMIT)
        case Point.NEGOTIATION:
            monkeypatch.setattr(agreeing, "evaluate", lambda *_: PERMIT)
        case Point.PUBLICATION:
            monkeypatch.setattr(offers, "overlap", lambda *_: None)
        case Point.AGREEMENT:
            monkeypatch.setattr(agreeing, "overlap", lambda *_: None)
        case Point.TRANSFER:
            monkeypatch.setattr(using, "evaluate_document", only(Scope.TRANSFER))
        case _:
            monkeypatch.setattr(using, "evaluate_document", only(Scope.ONGOING))
