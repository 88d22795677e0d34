"""The registry on both engines: entries, guarded changes, and keys that may be used a single time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace as replace_process

import pytest
from hypothesis import given
from msgspec.structs import replace

from connector.app import MIGRATIONS
from connector.flow import answers, begin, peer, publish, standing
from connector.flow.context import Context
from connector.identity.interface import Standing
from connector.identity.participants import Admission, Claims, Participant, Profile, Recognised
from connector.protocol.errors import PolicyDenied
from connector.protocol.record import Process
from connector.protocol.states import Message, State
from connector.store import registry, writes
from connector.store.control import ControlStore
from connector.store.engine import LostRace, Statement
from connector.store.migrate import migrate
from connector.store.registry import RegistryStore
from connector.store.rows import Channel, Outgoing
from tests.conformance.walk import PEER, surroundings
from tests.identity.entries import participants
from tests.store.conftest import open_engine
from tests.store.keep_release import NEGOTIATION

CITY = Participant(
    id="did:web:city.example",
    state=Admission.ADMITTED,
    profile=Profile(addresses=("https://city.example/dsp/2025-1",), keys=({"kty": "EC", "crv": "P-256", "x": "x", "y": "y"},)),
    claims=Claims(kind="public-body", sector="mobility", membership=("north", "south"), country="DE", gatekeeper=True),
    vouched_by="settings",
    vouched_at=900,
    created_at=1000,
    updated_at=1000,
)
SEEN = Recognised(assurance="private-key-jwt", key="thumb", at=2000)


@pytest.fixture
async def store(database: str) -> AsyncIterator[RegistryStore]:
    engine = await open_engine(database)
    await migrate(engine, MIGRATIONS, 1)
    yield RegistryStore(engine)
    await engine.close()


def recheck(store: RegistryStore, standing: Standing, participant_id: str = CITY.id) -> Statement:
    return registry.recheck(participant_id, standing, shared=store.shared)


async def test_an_entry_is_read_as_it_was_written(store: RegistryStore) -> None:
    full = replace(CITY, id="did:web:full.example", state=Admission.EXPELLED, reason="did not pay", recognised=SEEN, revision=7)
    bare = Participant(id="bare", state=Admission.UNVERIFIED)
    await store.engine.commit([registry.insert_participant(each) for each in (CITY, full, bare)])

    assert [await store.participant(each.id) for each in (CITY, full, bare)] == [CITY, full, bare]
    assert await store.participant("did:web:nobody.example") is None


async def test_there_is_one_entry_of_an_id(store: RegistryStore) -> None:
    await store.engine.commit([registry.insert_participant(CITY)])
    with pytest.raises(LostRace):
        await store.engine.commit([registry.insert_participant(replace(CITY, state=Admission.EXPELLED))])


async def test_pages_follow_the_ids_and_show_one_state_where_asked(store: RegistryStore) -> None:
    states = list(Admission)
    everybody = [Participant(id=f"did:web:{number}.example", state=states[number % 4]) for number in range(9)]
    await store.engine.commit([registry.insert_participant(each) for each in reversed(everybody)])

    seen: list[Participant] = []
    while page := await store.participants(after=seen[-1].id if seen else "", limit=4):
        seen += page
    assert seen == everybody
    assert [each.id for each in await store.participants(state=Admission.UNVERIFIED)] == [each.id for each in everybody[::4]]
    assert [await store.count(state) for state in states] == [3, 2, 2, 2]


async def test_a_change_counts_and_a_stale_one_loses(store: RegistryStore) -> None:
    await store.engine.commit([registry.insert_participant(CITY)])
    changed = replace(
        CITY,
        state=Admission.SUSPENDED,
        reason="late",
        claims=Claims(),
        profile=Profile(),
        vouched_by=None,
        vouched_at=None,
        updated_at=5000,
    )

    await store.engine.commit([registry.update_participant(changed)])
    with pytest.raises(LostRace):
        await store.engine.commit([registry.update_participant(CITY)])

    assert await store.participant(CITY.id) == replace(changed, revision=2)


async def test_to_be_recognised_is_no_change_and_survives_one(store: RegistryStore) -> None:
    await store.engine.commit([registry.insert_participant(CITY)])

    await store.engine.commit([registry.note_recognised(CITY.id, SEEN)])
    await store.engine.commit([registry.update_participant(replace(CITY, reason="x"))])

    assert await store.participant(CITY.id) == replace(CITY, recognised=SEEN, reason="x", revision=2)
    with pytest.raises(LostRace):
        await store.engine.commit([registry.note_recognised("nobody", SEEN)])


async def test_a_key_is_used_once_until_its_time_is_over(store: RegistryStore) -> None:
    await store.engine.commit([registry.use_once("a", 1000), registry.use_once("b", 2000)])
    with pytest.raises(LostRace):
        await store.engine.commit([registry.use_once("a", 9000)])

    await store.engine.commit([registry.forget_used(1000)])
    assert [await store.used(key) for key in ("a", "b", "c")] == [True, True, False]
    await store.engine.commit([registry.forget_used(1001)])
    assert [await store.used(key) for key in ("a", "b")] == [False, True]


async def test_what_is_forgotten_at_once_is_bounded_and_the_oldest(store: RegistryStore) -> None:
    more = registry.MAX_FORGOTTEN + 5
    await store.engine.commit([registry.use_once(str(number), number) for number in range(more)])

    await store.engine.commit([registry.forget_used(10**6)])

    assert await store.engine.fetch("SELECT key FROM used_once ORDER BY expires_at") == [(str(n),) for n in range(more - 5, more)]


@pytest.mark.parametrize("once", [None, "proof"])
@pytest.mark.parametrize("state", Admission)
async def test_a_message_counts_only_for_who_is_welcome(store: RegistryStore, state: Admission, once: str | None) -> None:
    await store.engine.commit([registry.insert_participant(replace(CITY, state=state))])
    standing = Standing(1, once, 9000)

    if state.welcome:
        await store.engine.commit([recheck(store, standing)])
    else:
        with pytest.raises(LostRace):
            await store.engine.commit([recheck(store, standing)])

    assert await store.used("proof") is (state.welcome and once is not None)


@pytest.mark.parametrize("once", [None, "proof"])
async def test_a_message_of_an_entry_that_has_changed_does_not_count(store: RegistryStore, once: str | None) -> None:
    await store.engine.commit([registry.insert_participant(CITY)])
    await store.engine.commit([registry.update_participant(CITY)])

    with pytest.raises(LostRace):
        await store.engine.commit([registry.use_once("with it", 1), recheck(store, Standing(1, once))])
    with pytest.raises(LostRace):
        await store.engine.commit([recheck(store, Standing(2, once), "did:web:nobody.example")])

    assert not await store.used("with it")
    await store.engine.commit([recheck(store, Standing(2, once))])


async def test_a_proof_counts_once_and_its_message_with_it(store: RegistryStore) -> None:
    await store.engine.commit([registry.insert_participant(CITY)])
    await store.engine.commit([recheck(store, Standing(1, "proof", 9000)), registry.use_once("first", 1)])

    with pytest.raises(LostRace):
        await store.engine.commit([registry.use_once("second", 1), recheck(store, Standing(1, "proof", 9000))])

    assert (await store.used("first"), await store.used("second")) == (True, False)


async def test_of_many_at_once_a_proof_counts_once_and_messages_without_do_not_hinder_each_other(store: RegistryStore) -> None:
    await store.engine.commit([registry.insert_participant(CITY)])

    proofs = [[recheck(store, Standing(1, "proof", 9000)), registry.use_once(f"p{number}", 1)] for number in range(20)]
    plain = [[recheck(store, Standing(1)), registry.use_once(f"m{number}", 1)] for number in range(20)]
    results = await asyncio.gather(*(store.engine.commit(each) for each in [*proofs, *plain]), return_exceptions=True)

    assert sorted(str(type(result)) for result in results[:20]) == sorted([str(type(None)), *[str(LostRace)] * 19])
    assert results[20:] == [None] * 20


async def test_a_message_comes_before_a_suspension_or_not_at_all(store: RegistryStore) -> None:
    await store.engine.commit([registry.insert_participant(CITY)])
    suspended = replace(CITY, state=Admission.SUSPENDED)

    messages = [[recheck(store, Standing(1)), registry.use_once(f"m{number}", 1)] for number in range(20)]
    work = [*messages[:10], [registry.update_participant(suspended)], *messages[10:]]
    results = await asyncio.gather(*(store.engine.commit(each) for each in work), return_exceptions=True)

    assert results[10] is None
    assert {type(result) for result in results} <= {type(None), LostRace}
    with pytest.raises(LostRace):
        await store.engine.commit([recheck(store, Standing(2))])


@given(participants())
def test_whatever_an_entry_holds_is_kept_as_text(participant: Participant) -> None:
    statement = registry.insert_participant(participant)
    assert registry._participant(statement.params) == participant


async def test_what_waits_for_who_was_shut_out_now_is_dropped(store: RegistryStore) -> None:
    control = ControlStore(store.engine)
    others = [replace(CITY, id="a", state=Admission.SUSPENDED, updated_at=4000), replace(CITY, id="b", updated_at=5000)]
    await store.engine.commit([registry.insert_participant(each) for each in (CITY, *others)])
    for to in (CITY.id, "a", "b"):
        await control.commit([writes.insert_outgoing(outgoing(f"{to} {channel}", to, channel)) for channel in ("dsp", "peer")])
        await control.commit(
            [writes.insert_outgoing(outgoing(f"{to} dead", to, "dsp")), writes.bury_outgoing(f"{to} dead", "", 1)]
        )

    out = replace(CITY, state=Admission.EXPELLED, updated_at=5000)
    dropped = await store.engine.commit_returning([registry.update_participant(out), registry.withdraw_extras(5000)])

    assert sorted(dropped) == [(f"{CITY.id} dead",), (f"{CITY.id} peer",)]
    assert await control.outgoing(f"{CITY.id} dsp") is not None
    assert (await control.pending(), len(await control.dead_letters())) == (5, 2)


@pytest.mark.parametrize("state", Admission)
async def test_a_process_is_ended_only_while_its_counterparty_is_shut_out(store: RegistryStore, state: Admission) -> None:
    await store.engine.commit([registry.insert_participant(replace(CITY, state=state))])
    if not state.welcome:
        await store.engine.commit([registry.shut_out(CITY.id)])
    else:
        with pytest.raises(LostRace):
            await store.engine.commit([registry.shut_out(CITY.id)])
    assert await store.participant(CITY.id) == replace(CITY, state=state)


async def test_what_is_open_with_a_participant_comes_in_pages(store: RegistryStore) -> None:
    control, ended = ControlStore(store.engine), {State.FINALIZED, State.COMPLETED, State.TERMINATED}
    states = [(state, awaiting) for state in State for awaiting in (None, Message.TERMINATION, Message.SUSPENSION)]
    begun = [
        replace_process(NEGOTIATION, id=f"p{number:02}", state=state, awaiting=awaiting, peer_pid=None, created_at=number // 3)
        for number, (state, awaiting) in enumerate(states)
    ]
    for process in [*begun, replace_process(NEGOTIATION, id="other", counterparty="somebody else", peer_pid=None)]:
        await control.commit([writes.insert_process(process)])

    seen: list[Process] = []
    while page := await control.open_with(
        begun[0].counterparty, after=(seen[-1].created_at, seen[-1].id) if seen else (0, ""), limit=4
    ):
        seen += page
    assert seen == [each for each in begun if each.state not in ended and each.awaiting is not Message.TERMINATION]


async def test_a_suspension_ends_what_is_open(database: str) -> None:
    leaving: list[Outgoing] = []
    async with surroundings(database, leaving) as context:
        await publish.publish(
            context, "trips", title="", source="t.csv", offers=[{"@id": "offer-1", "permission": [{"action": "use"}]}]
        )
        dropped = await begin.offer_contract(context, counterparty=PEER, dataset="trips")
        told = await begin.offer_contract(context, counterparty=PEER, dataset="trips")
        awaited = (await control_process(context, told.id)).awaiting_id
        first = next(message for message in leaving if message.id == awaited)
        await answers.answered(context, first, {"providerPid": told.id, "consumerPid": "urn:theirs:1"})
        await peer.hello(context, PEER)

        await standing.suspend(context, PEER, "late")

        states = [(await control_process(context, each.id)) for each in (dropped, told)]
        assert [(each.state, each.awaiting) for each in states] == [
            (State.TERMINATED, None),
            (State.OFFERED, Message.TERMINATION),
        ]
        assert await context.store.pending() == 1
        with pytest.raises(PolicyDenied):
            await begin.offer_contract(context, counterparty=PEER, dataset="trips")
        documents = await standing.export(context)
        assert await standing.import_(context, documents) == []
        (back,) = await standing.import_(context, [{**documents[0], "state": "admitted"}])
        assert (back.state, back.revision) == (Admission.ADMITTED, 3)


async def control_process(context: Context, process_id: str) -> Process:
    found = await context.store.process(process_id)
    assert found is not None
    return found


def outgoing(message_id: str, to: str, channel: Channel) -> Outgoing:
    return Outgoing(message_id, f"lane {message_id}", channel, to, "", "m", "https://x.example", "{}", "c", 1, 2, 1)
