"""Participants written down, admitted, suspended, expelled, exported and imported; and what ends when one is shut out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from connector.flow import acts, begin, peer, publish, standing
from connector.flow.context import Context
from connector.identity.interface import Standing
from connector.identity.participants import Admission, Claims, Participant, Profile
from connector.identity.registry import Registry
from connector.identity.roster import ProfileChange
from connector.protocol.errors import CallerError, Conflict, NotFound, PolicyDenied
from connector.protocol.record import Process
from connector.protocol.states import FINAL, TABLES, Kind, Message, Next, Role, State, send
from connector.store import registry as rows
from connector.store import writes
from connector.store.engine import LostRace, Statement
from connector.store.registry import RegistryStore
from tests.flow.house import DATASET, LEASE_MS, OFFER, Fuse, House, Street
from tests.flow.test_crashes import FILE, SIDE_BY_SIDE, STORY, come_true, request_contract, request_transfer
from tests.identity.entries import CITY, PUBLIC_JWKS

CONSUMER, PROVIDER = "did:web:consumer", "did:web:provider"
WHY = "invoice 7 is open"
ROUNDS = 30
PUMPS = 26


def entry(participant_id: str = CITY, **more: object) -> Participant:
    return msgspec.structs.replace(Participant(id=participant_id, state=Admission.UNVERIFIED), **more)


async def state_of(context: Context, participant_id: str) -> Admission:
    return (await standing.find(context, participant_id)).state


async def processes(house: House) -> list[Process]:
    return [process for kind in Kind for process in await house.store.processes(kind)]


async def settled(street: Street) -> None:
    for _ in range(ROUNDS):
        if await street.quiet():
            return
        await street.pump()
    pytest.fail("it does not come to rest")


async def only_pumped(street: Street, house: House) -> None:
    """One side's messages are delivered, and what they cause waits."""
    street.now += LEASE_MS + 1
    await house.pump()


# -- the acts ---------------------------------------------------------------------------------------------------------

ACTS: dict[str, tuple[Admission, Callable[[Context], Awaitable[Participant]]]] = {
    "admit": (Admission.ADMITTED, lambda context: standing.admit(context, CITY, vouched_by="us")),
    "admit again": (Admission.ADMITTED, lambda context: standing.admit(context, CITY, vouched_by="us", again=True)),
    "suspend": (Admission.SUSPENDED, lambda context: standing.suspend(context, CITY, WHY)),
    "expel": (Admission.EXPELLED, lambda context: standing.expel(context, CITY, WHY)),
}
LEGAL = {
    Admission.UNVERIFIED: {"admit", "admit again", "suspend", "expel"},
    Admission.ADMITTED: {"suspend", "expel"},
    Admission.SUSPENDED: {"admit", "admit again", "expel"},
    Admission.EXPELLED: {"admit again"},
}


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("now", Admission)
async def test_an_act_moves_where_it_may_and_else_changes_nothing(street: Street, now: Admission, name: str) -> None:
    context = street.provider.context
    to, act = ACTS[name]
    before = entry(state=now, vouched_by="the board" if now is Admission.ADMITTED else None)
    await street.provider.store.commit([rows.insert_participant(before)])
    if name in LEGAL[now]:
        after = await act(context)
        assert (after.state, after.revision, after.updated_at > 0) == (to, 2, True)
        assert after.reason == (None if to is Admission.ADMITTED else WHY)
        assert await standing.find(context, CITY) == await context.registry.find(CITY) == after
        return
    with pytest.raises(Conflict):
        await act(context)
    assert await standing.find(context, CITY) == before


async def test_who_is_written_down_is_unverified_unless_somebody_vouches(street: Street) -> None:
    context = street.provider.context
    plain = await standing.add(context, entry(profile=Profile(addresses=("https://city.example",), keys=PUBLIC_JWKS)))
    vouched = await standing.add(context, entry("did:web:b.example", vouched_by="the board", claims=Claims(kind="sme")))
    assert (plain.state, plain.vouched_at) == (Admission.UNVERIFIED, None)
    assert (vouched.state, vouched.vouched_at) == (Admission.ADMITTED, vouched.created_at)
    assert await standing.find(context, CITY) == plain
    assert await context.directory.address(CITY) == "https://city.example"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (entry("did:web:provider"), "participant-self"),
        (entry("two words"), "entry-invalid"),
        (entry(claims=Claims(kind="sme")), "entry-invalid"),
        (entry(profile=Profile(keys=({"kty": "oct", "k": "AA"},))), "entry-invalid"),
    ],
)
async def test_what_cannot_be_written_down(street: Street, wrong: Participant, code: str) -> None:
    with pytest.raises(CallerError) as refused:
        await standing.add(street.provider.context, wrong)
    assert refused.value.code == code


async def test_who_is_known_is_not_added_again_and_who_is_not_cannot_be_moved(street: Street) -> None:
    context = street.provider.context
    with pytest.raises(Conflict) as known:
        await standing.add(context, entry(CONSUMER))
    assert known.value.code == "participant-known"
    for act in (
        standing.suspend(context, CITY, WHY),
        standing.admit(context, CITY, vouched_by="us"),
        standing.update(context, CITY, profile=ProfileChange()),
    ):
        with pytest.raises(NotFound):
            await act


async def test_admission_says_who_vouched_when_and_for_what(street: Street) -> None:
    context = street.provider.context
    await standing.add(context, entry())
    first = await standing.admit(context, CITY, vouched_by="the board", claims=Claims(kind="public-body", country="DE"))
    assert (first.vouched_by, first.vouched_at, first.claims.kind) == ("the board", first.updated_at, "public-body")
    await standing.suspend(context, CITY, WHY)
    again = await standing.admit(context, CITY, vouched_by="the mayor")
    assert (again.vouched_by, again.claims, again.reason) == ("the mayor", first.claims, None)


async def test_profile_and_claims_can_be_changed(street: Street) -> None:
    context = street.provider.context
    await standing.add(context, entry())
    moved = await standing.update(context, CITY, profile=ProfileChange(addresses=("https://new.example",)))
    assert moved.profile.addresses == ("https://new.example",)
    with pytest.raises(CallerError) as unvouched:
        await standing.update(context, CITY, claims=Claims(kind="sme"))
    assert "admit" in unvouched.value.reason or "vouched" in unvouched.value.reason
    await standing.admit(context, CITY, vouched_by="the board")
    same_word = await standing.update(context, CITY, claims=Claims(kind="sme"))
    new_word = await standing.update(context, CITY, claims=Claims(kind="research"), vouched_by="the mayor")
    assert (same_word.vouched_by, new_word.vouched_by, new_word.vouched_at) == ("the board", "the mayor", new_word.updated_at)
    assert new_word.profile == moved.profile


async def test_a_change_of_who_is_not_welcome_keeps_since_when(street: Street) -> None:
    context = street.provider.context
    out = await standing.suspend(context, CONSUMER, WHY)
    for changed in (
        await standing.update(context, CONSUMER, profile=ProfileChange(addresses=("https://new.example",))),
        await standing.update(context, CONSUMER, claims=Claims(kind="sme")),
    ):
        assert (changed.state, changed.updated_at) == (Admission.SUSPENDED, out.updated_at)
    assert changed.revision == out.revision + 2


async def test_changes_at_the_same_time_all_count(street: Street) -> None:
    context = street.provider.context
    await standing.add(context, entry(vouched_by="us"))
    profile, claims = ProfileChange(addresses=("https://new.example",)), Claims(sector="mobility")
    await asyncio.gather(
        standing.update(context, CITY, profile=profile),
        standing.update(context, CITY, claims=claims),
        standing.suspend(context, CITY, WHY),
    )
    found = await standing.find(context, CITY)
    assert (found.profile, found.claims, found.state, found.revision) == (profile.of(Profile()), claims, Admission.SUSPENDED, 4)


# -- what ends --------------------------------------------------------------------------------------------------------


async def story_until(street: Street, pumps: int) -> None:
    """The whole story of a contract, broken off after so many deliveries."""
    for step in STORY:
        house = street.houses[step.role]
        for _ in range(ROUNDS):
            if await come_true(street, step):
                break
            if await street.quiet():
                await step.act(house)
            if pumps == 0:
                return
            pumps -= 1
            await street.pump()


def open_now(process: Process) -> bool:
    return not process.state.final and process.awaiting is not Message.TERMINATION


@pytest.mark.parametrize("role", Role)
async def test_at_every_moment_of_a_contract_a_suspension_ends_it_on_both_sides(tmp_path: Path, role: Role) -> None:
    async def suspended_after(pumps: int) -> bool:
        street = Street(Fuse())
        await street.open(tmp_path, f"{role}-{pumps}")
        try:
            await publish.publish(street.provider.context, DATASET, title="Trips", source=FILE, offers=[OFFER])
            await story_until(street, pumps)
            return await check_suspension(street, street.houses[role])
        finally:
            await street.close()

    hit = 0
    for first in range(0, PUMPS, SIDE_BY_SIDE):
        hit += sum(await asyncio.gather(*(suspended_after(at) for at in range(first, min(first + SIDE_BY_SIDE, PUMPS)))))
    assert hit > PUMPS // 2, "the story was mostly over, so this test has proved little"


async def check_suspension(street: Street, house: House) -> bool:
    """Suspend the other side; whether something was open."""
    before = {process.id: process for process in await processes(house) if open_now(process)}
    await standing.suspend(house.context, f"did:web:{house.peer_role.value}", WHY)

    for process in await processes(house):
        assert not open_now(process)
        if process.id in before:
            assert process.detail.ended is not None
            assert (process.detail.ended.code, process.detail.ended.reason) == ("participant-suspended", [WHY])
            if before[process.id].state is State.INITIAL:
                assert process.state is State.TERMINATED
    waiting = await house.engine.fetch("SELECT message FROM outbox WHERE channel = 'dsp'")
    assert set(waiting) <= {("TERMINATION",)}
    for _ in range(ROUNDS):
        await street.pump()
    assert await house.store.pending() == 0
    known = await processes(house)
    ended = {process.id: process for process in await processes(street.houses[house.peer_role])}
    assert all(process.state.final for process in known)
    assert all(ended[process.peer_pid].state.final for process in known if process.peer_pid is not None)
    transfer = await house.only(Kind.TRANSFER)
    if transfer is not None and house.commands:
        assert house.commands[-1] in ("terminate", "completed")
    return bool(before)


def test_whatever_is_open_can_be_terminated() -> None:
    for table in TABLES.values():
        for (state, awaiting), row in table.items():
            if state is not State.INITIAL and state not in FINAL and awaiting is not Message.TERMINATION:
                assert isinstance(row.get(send(Message.TERMINATION)), Next)


@pytest.mark.parametrize("after", [False, True], ids=["before-commits", "after-commits"])
async def test_a_suspension_that_is_cut_off_goes_on_at_the_next_start(tmp_path: Path, after: bool) -> None:
    async def run(at: int) -> bool:
        street = Street(Fuse())
        await street.open(tmp_path, f"cut-{at}")
        house = street.provider
        try:
            await publish.publish(house.context, DATASET, title="Trips", source=FILE, offers=[OFFER])
            await request_contract(street.consumer)
            await settled(street)
            await request_transfer(street.consumer)
            await settled(street)
            await begin.offer_contract(house.context, counterparty=CONSUMER, dataset=DATASET)
            house.engine.fuse = Fuse(at, after)
            whole = await house.surviving(lambda: standing.suspend(house.context, CONSUMER, WHY))
            await standing.finish(house.context)
            if await state_of(house.context, CONSUMER) is Admission.ADMITTED:
                assert at == 1
                assert not after
                await standing.suspend(house.context, CONSUMER, WHY)
            assert await standing.finish(house.context) == 0
            await settled(street)
            for each in street.houses.values():
                assert all(process.state.final for process in await processes(each))
            assert house.commands[-1] == "terminate"
        finally:
            await street.close()
        return whole

    assert not any([await run(at) for at in (1, 2, 3)])
    assert await run(4), "there are three commits: the entry, and two processes"


async def test_greetings_and_dead_letters_of_who_is_shut_out_are_dropped_with_it(street: Street) -> None:
    forgotten: list[str] = []
    context = replace(street.provider.context, forget=forgotten.append)
    store = street.provider.store
    await standing.add(context, entry(vouched_by="us", profile=Profile(addresses=("https://city.example",))))
    greeting, other = await peer.hello(context, CONSUMER), await peer.hello(context, CITY)
    letter = await peer.hello(context, CONSUMER)
    await store.commit([writes.bury_outgoing(letter, "no answer", 5)])

    await standing.expel(context, CONSUMER, WHY)

    assert sorted(forgotten) == sorted([greeting, letter])
    assert await store.outgoing(greeting) is None
    assert await store.outgoing(other) is not None
    assert await store.dead_letters() == []


async def test_a_termination_that_nobody_takes_is_kept_as_a_letter(street: Street) -> None:
    context, store = street.provider.context, street.provider.store
    await request_contract(street.consumer)
    await only_pumped(street, street.consumer)
    await standing.suspend(context, CONSUMER, WHY)
    street.now += LEASE_MS + 1
    (message,) = await store.claim("w", street.now_ms(), street.now, 10)
    await store.commit([writes.bury_outgoing(message.id, "no answer", street.now_ms())])

    assert await standing.finish(context) == 0
    assert [letter.message for letter in await store.dead_letters()] == ["TERMINATION"]


async def test_other_participants_go_on(street: Street) -> None:
    await request_contract(street.consumer)
    await only_pumped(street, street.consumer)
    await standing.add(street.provider.context, entry())
    await standing.suspend(street.provider.context, CITY, WHY)
    await settled(street)
    negotiation = await street.provider.only(Kind.NEGOTIATION)
    assert negotiation is not None
    assert negotiation.state is State.FINALIZED


async def test_who_is_admitted_again_in_the_middle_keeps_what_is_left(street: Street) -> None:
    context = street.provider.context
    for _ in range(2):
        await begin.offer_contract(context, counterparty=CONSUMER, dataset=DATASET)

    class Returning(RegistryStore):
        """Between the first and the second process somebody admits the participant again."""

        looks = 0

        async def participant(self, participant_id: str) -> Participant | None:
            self.looks += 1
            if self.looks == 3:
                await standing.admit(context, participant_id, vouched_by="the mayor")
            return await super().participant(participant_id)

    registry = Registry(Returning(context.store.engine), context.now_ms, lambda: 0.0)
    await standing.suspend(replace(context, registry=registry), CONSUMER, WHY)

    assert [process.state for process in await processes(street.provider)] == [State.TERMINATED, State.INITIAL]


async def test_a_readmission_between_look_and_commit_wins(street: Street) -> None:
    context, engine = street.provider.context, street.provider.engine
    await begin.offer_contract(context, counterparty=CONSUMER, dataset=DATASET)
    await street.provider.store.commit([rows.update_participant(
        msgspec.structs.replace(await standing.find(context, CONSUMER), state=Admission.SUSPENDED, reason=WHY)
    )])  # fmt: skip
    with pytest.raises(LostRace):
        await engine.commit([rows.shut_out(CITY)])
    await engine.commit([rows.shut_out(CONSUMER)])
    await standing.admit(context, CONSUMER, vouched_by="us")
    with pytest.raises(LostRace):
        await engine.commit([rows.shut_out(CONSUMER)])
    assert await standing.finish(context) == 0


async def test_a_process_that_ends_by_itself_meanwhile_is_left_alone(street: Street) -> None:
    context = street.provider.context
    process = await begin.offer_contract(context, counterparty=CONSUMER, dataset=DATASET)
    await standing.suspend(context, CONSUMER, WHY)
    assert not await standing._end(context, process.id)


# -- what is not begun ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stale", [False, True], ids=["known-here", "changed-by-another-worker"])
async def test_nothing_is_begun_with_who_is_not_welcome(street: Street, stale: bool) -> None:
    context = street.provider.context
    frozen = Registry(RegistryStore(street.provider.engine), street.now_ms, lambda: 0.0)
    if stale:
        await frozen.find(CONSUMER)
    await standing.suspend(context, CONSUMER, WHY)
    worker = replace(context, registry=frozen)
    for beginning in (
        lambda: begin.offer_contract(worker, counterparty=CONSUMER, dataset=DATASET),
        lambda: peer.hello(worker, CONSUMER),
    ):
        if stale:
            frozen._kept[CONSUMER] = (
                0.0,
                msgspec.structs.replace(await standing.find(context, CONSUMER), state=Admission.ADMITTED, revision=1),
            )
        with pytest.raises(PolicyDenied) as refused:
            await beginning()
        assert refused.value.code == "participant-suspended"
        assert WHY in refused.value.reason
    assert await processes(street.provider) == []
    assert await street.quiet()


async def test_what_the_registry_does_not_know_has_no_standing_to_lose(street: Street) -> None:
    given: list[int] = []

    async def commit(guard: list[Statement]) -> None:
        given.append(len(guard))

    await standing.beginning(street.provider.context, CITY, commit)
    await standing.beginning(street.provider.context, CONSUMER, commit)
    assert given == [0, 1]
    assert await street.provider.context.registry.standing_of(CONSUMER) == Standing(1)


async def test_a_transfer_is_not_requested_of_who_is_suspended(street: Street) -> None:
    await request_contract(street.consumer)
    await settled(street)
    await standing.suspend(street.consumer.context, PROVIDER, WHY)
    with pytest.raises(PolicyDenied):
        await request_transfer(street.consumer)
    assert await street.consumer.only(Kind.TRANSFER) is None
    negotiation = await street.consumer.only(Kind.NEGOTIATION)
    assert negotiation is not None
    with pytest.raises(Conflict):
        await acts.terminate(street.consumer.context, negotiation.id)
