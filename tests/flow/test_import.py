"""A whole registry exported and imported: as text, all or nothing, with the effects of the acts."""

from __future__ import annotations

import json

import pytest

from connector.flow import peer, standing
from connector.identity.participants import Admission, Claims
from connector.identity.roster import RosterRefused
from connector.protocol.states import State
from tests.flow.house import Cut, Fuse, Street
from tests.flow.test_crashes import request_contract
from tests.flow.test_standing import CONSUMER, PROVIDER, WHY, entry, only_pumped, processes, settled, state_of
from tests.identity.entries import CITY


async def test_a_registry_is_carried_over_as_text(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "PAGE", 2)
    here, there = street.provider.context, street.consumer.context
    for number in range(4):
        await standing.add(here, entry(f"did:web:{number}.example", vouched_by="us", claims=Claims(kind="sme")))
    await standing.expel(here, "did:web:2.example", WHY)
    text = json.dumps([document for document in await standing.export(here) if document["id"] != CONSUMER])

    changed = await standing.import_(there, json.loads(text))

    assert len(changed) == 4
    assert [document for document in await standing.export(there) if document["id"] != PROVIDER] == json.loads(text)
    assert await standing.import_(there, json.loads(text)) == []


async def test_an_import_shuts_out_as_the_act_does(street: Street) -> None:
    await request_contract(street.consumer)
    await only_pumped(street, street.consumer)
    context = street.provider.context
    await peer.hello(context, CONSUMER)

    await standing.import_(context, [{"id": CONSUMER, "state": "suspended", "reason": WHY}])
    await settled(street)

    assert [process.state for each in street.houses.values() for process in await processes(each)] == [State.TERMINATED] * 2
    with pytest.raises(RosterRefused):
        await standing.import_(context, [{"id": CONSUMER, "state": "unverified"}])
    await standing.import_(context, [{"id": CONSUMER, "state": "expelled"}])
    with pytest.raises(RosterRefused):
        await standing.import_(context, [{"id": CONSUMER, "state": "admitted", "vouchedBy": "us"}])
    await standing.import_(context, [{"id": CONSUMER, "state": "admitted", "vouchedBy": "us"}], again=True)
    assert await state_of(context, CONSUMER) is Admission.ADMITTED


async def test_one_mistake_and_nothing_is_imported(street: Street) -> None:
    context = street.provider.context
    before = await standing.export(context)
    with pytest.raises(RosterRefused) as refused:
        await standing.import_(context, [{"id": CITY, "state": "unverified"}, {"id": CONSUMER, "state": "friend", "x": 1}])
    assert [(problem.index, problem.field) for problem in refused.value.problems] == [(1, "x"), (1, "state")]
    assert await standing.export(context) == before


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_an_import_that_is_cut_off_is_whole_or_not_at_all(street: Street, after: bool) -> None:
    house = street.provider
    house.engine.fuse = Fuse(1, after)
    documents = [{"id": f"did:web:{number}.example", "state": "unverified"} for number in range(5)]
    with pytest.raises(Cut):
        await standing.import_(house.context, documents)
    assert len(await standing.export(house.context)) == (6 if after else 1)
