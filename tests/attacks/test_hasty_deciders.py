"""Who decides too late, twice, or while the other side goes: one answer holds, and it is the same on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.flow import acts, deciding
from connector.protocol.errors import CarnetError, Conflict
from connector.protocol.messages import Document
from connector.protocol.states import State
from tests.flow.deciders import ANNA, BERT, DORA, asked, published
from tests.flow.house import Fuse, Street
from tests.flow.test_acceptance import negotiation, rest
from tests.flow.test_by_terms import ACADEMIC, allows, fire

ROLES = ("commercial", "operator")


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    """Two connectors."""
    street = Street(Fuse())
    await street.open(tmp_path, "street")
    yield street
    await street.close()


@pytest.mark.parametrize("late_ms", [0, 1, 60_000])
async def test_who_is_late_decides_nothing_even_before_the_other_side_is_told(street: Street, late_ms: int) -> None:
    ours = await asked(street, await published(street, roles=ROLES, deadline_s=600))
    assert ours.detail.decide_by is not None
    street.now += ours.detail.decide_by - street.now_ms() + late_ms
    context = street.provider.context
    for late in (
        deciding.approve(context, ours.id, by=ANNA),
        deciding.counter(context, ours.id, allows(ACADEMIC), by=ANNA),
        acts.agree(context, ours.id, by=ANNA),
        acts.offer(context, ours.id, allows(ACADEMIC), by=ANNA),
    ):
        with pytest.raises(Conflict) as refusal:
            await late
        assert refusal.value.code == "decision-late"
    await fire(street, street.provider)
    for house in street.houses.values():
        ended = (await negotiation(house)).detail.ended
        assert ended is not None
        assert ended.code == "decision-deadline"


async def test_who_is_not_late_yet_decides(street: Street) -> None:
    ours = await asked(street, await published(street, roles=ROLES, deadline_s=600))
    street.now += (ours.detail.decide_by or 0) - street.now_ms() - 1
    await deciding.approve(street.provider.context, ours.id, by=ANNA)
    await rest(street)
    assert (await negotiation(street.consumer)).state is State.FINALIZED


WORDS = ("approve", "reject", "counter", "agree", "terminate", "peer terminates")


async def say(street: Street, word: str, place: int) -> int:
    """The status of what comes of it."""
    context, by = street.provider.context, (ANNA, BERT, DORA)[place % 3]
    ours, theirs = await negotiation(street.provider), await negotiation(street.consumer)
    offer: Document = allows(ACADEMIC)
    try:
        match word:
            case "approve":
                await deciding.approve(context, ours.id, by=by)
            case "reject":
                await deciding.reject(context, ours.id, "no", by=by)
            case "counter":
                await deciding.counter(context, ours.id, offer, by=by)
            case "agree":
                await acts.agree(context, ours.id, by=by)
            case "terminate":
                await acts.terminate(context, ours.id, "over", by=by)
            case _:
                await acts.terminate(street.consumer.context, theirs.id, "over")
    except CarnetError as error:
        return error.status
    return 200


async def both(folder: Path, words: list[str], eyes: int) -> None:
    """All of them at the same moment, about one negotiation."""
    street = Street(Fuse())
    await street.open(folder, "street")
    try:
        await asked(street, await published(street, roles=ROLES, eyes=eyes))
        said = asyncio.gather(*(say(street, word, place) for place, word in enumerate(words)))
        await asyncio.gather(said, rest(street))
        assert set(await said) <= {200, 403, 409}
        await rest(street)
        ours, theirs = await negotiation(street.provider), await negotiation(street.consumer)
        assert ours.awaiting is theirs.awaiting is None
        assert ours.state is theirs.state
        agreements = [await house.store.agreement_of((await negotiation(house)).id) for house in street.houses.values()]
        binding = [each is not None and each.state == "binding" for each in agreements]
        assert binding == [ours.state is State.FINALIZED] * 2
        if eyes > 1 and ours.state is State.FINALIZED:
            assert words.count("approve") > 1
    finally:
        await street.close()


@settings(max_examples=25, deadline=None)
@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=5), eyes=st.sampled_from([1, 2]))
def test_of_many_answers_at_once_one_holds(tmp_path_factory: pytest.TempPathFactory, words: list[str], eyes: int) -> None:
    asyncio.run(both(tmp_path_factory.mktemp("deciders"), words, eyes))
