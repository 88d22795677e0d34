"""The power goes off before and after every commit: what the contract log was told is what the states say, at every moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from connector.flow import publish
from connector.protocol.states import Kind, State
from connector.store.evidence import EvidenceStore
from tests.flow.house import DATASET, OFFER, Fuse, House, Street
from tests.flow.recording import Told, record, told
from tests.flow.test_crashes import FILE, SIDE_BY_SIDE
from tests.flow.test_crashes import told as story_told
from tests.flow.test_receipts import told as receipt_told
from tests.flow.witnesses import REPORT, Witnesses, started


def ids(messages: list[Told], direction: str, event: str, channel: str) -> list[str]:
    """The ids of the messages of which a log has been told that."""
    wanted = (direction, event, channel)
    found = [each for each in messages if tuple(each.said[name] for name in ("direction", "event", "channel")) == wanted]
    return sorted(each.payload["messageId"] for each in found)


async def rows(house: House, sql: str) -> list[Any]:
    return list(await house.store.engine.fetch(sql))


async def agree(house: House) -> None:
    """The log of a house and its tables say the same."""
    messages = await told(house, "message")
    for channel, ours in (("dsp", "process_id <> ''"), ("peer", "process_id = ''")):
        taken = [each for (each,) in await rows(house, f"SELECT message_id FROM inbox WHERE status < 400 AND {ours}")]  # noqa: S608
        assert ids(messages, "in", "received", channel) == sorted(taken)
        queued = ids(messages, "out", "queued", channel)
        assert len(queued) == len(set(queued))
        waiting = {each for (each,) in await rows(house, f"SELECT id FROM outbox WHERE channel = '{channel}'")}  # noqa: S608
        assert waiting <= set(queued)
        if channel == "peer":
            assert sorted(waiting) == sorted(set(queued) - set(ids(messages, "out", "acknowledged", "peer")))
    answered = await rows(house, "SELECT process_id FROM event WHERE what = 'acknowledged'")
    heard = [each for each in messages if (each.said["event"], each.said["channel"]) == ("acknowledged", "dsp")]
    assert Counter(each for (each,) in answered) == Counter(each.said["process"] for each in heard)
    await agree_on_states(house, messages)


async def agree_on_states(house: House, messages: list[Told]) -> None:
    """The last that was told of a process is the state that it has; so of its agreement, its end and its receipt."""
    for process in [each for kind in Kind for each in await house.store.processes(kind)]:
        states = [each.said["state"] for each in messages if each.said.get("process") == process.id and "state" in each.said]
        assert states[-1] == process.state.value
        sent = [each for each in messages if each.payload.get("messageId") == process.awaiting_id]
        assert process.awaiting_id is None or [each.said["event"] for each in sent] == ["queued"]
        ends = [each for each in await told(house, "termination") if each.said["process"] == process.id]
        assert len(ends) == (process.state is State.TERMINATED)
    agreements = [each.line for each in await told(house, "agreement")]
    wanted = {"pending": ["made"], "binding": ["made", "binding"], "void": ["made", "void"]}
    kept = [word for each in await house.store.agreements() for word in wanted[each.state]]
    assert agreements == [f"agreement: {word}" for word in kept]
    last: dict[str, str] = {each.said["process"]: each.said["state"] for each in await told(house, "receipt")}
    receipts = await EvidenceStore(house.store.engine).receipts()
    assert last == {each.transfer: each.state for each in receipts}


def watched(street: Street) -> None:
    """Whenever a house starts again after a cut, its log and its tables are held against each other."""
    for house in street.houses.values():
        watch(house, house.surviving)


def watch(house: House, surviving: Callable[[Callable[[], Awaitable[object]]], Awaitable[bool]]) -> None:
    async def and_agreeing(doing: Callable[[], Awaitable[object]]) -> bool:
        done = await surviving(doing)
        if not done:
            await agree(house)
        return done

    house.surviving = and_agreeing  # type: ignore[method-assign]  # for this test


async def ran(folder: Path, name: str, fuse: Fuse) -> Street:
    """The street after the whole story of a contract and its transfer."""
    street = Street(Fuse())
    await street.open(folder, name)
    await record(street)
    watched(street)
    await publish.publish(street.provider.context, DATASET, title="Trips", source=FILE, offers=[OFFER])
    street.fuse = fuse
    for house in street.houses.values():
        house.engine.fuse = fuse
    try:
        await story_told(street)
        for house in street.houses.values():
            await agree(house)
    finally:
        await street.close()
    return street


@pytest.mark.parametrize("after", [False, True], ids=["before-commits", "after-commits"])
async def test_a_cut_at_every_commit_of_a_contract(tmp_path: Path, after: bool) -> None:
    plain = Fuse()
    await ran(tmp_path, "plain", plain)

    async def cut(at: int) -> None:
        street = await ran(tmp_path, f"cut-{at}", Fuse(at, after))
        assert sum(house.cuts for house in street.houses.values()) == 1, f"commit {at}"

    for first in range(1, plain.count + 1, SIDE_BY_SIDE):
        await asyncio.gather(*(cut(at) for at in range(first, min(first + SIDE_BY_SIDE, plain.count + 1))))


async def delivered(folder: Path, name: str) -> tuple[Street, Witnesses]:
    """A transfer that runs, between houses that sign and keep a log."""
    street = Street(Fuse())
    await street.open(folder, name)
    witnesses = Witnesses(street)
    await witnesses.move_in()
    await record(street)
    watched(street)
    await publish.publish(street.provider.context, DATASET, title="Trips", source=FILE, offers=[OFFER])
    ours, _ = await started(street)
    record_of = {name: REPORT[name] for name in ("bytes", "sha256", "rows")}
    witnesses.records[ours.id] = {**record_of, "agreementId": ours.subject, "counterparty": "did:web:consumer"}
    return street, witnesses


@pytest.mark.parametrize("after", [False, True], ids=["before-commits", "after-commits"])
async def test_a_cut_at_every_commit_of_a_receipt(tmp_path: Path, after: bool) -> None:
    at, cuts = 0, 1
    while cuts:
        at += 1
        street, witnesses = await delivered(tmp_path, f"receipt-{at}")
        street.fuse.at, street.fuse.after = street.fuse.count + at, after
        await receipt_told(street, witnesses)
        for house in street.houses.values():
            await agree(house)
            (kept,) = await EvidenceStore(house.store.engine).receipts()
            last = (await told(house, "receipt"))[-1]
            assert last.payload["answer"] == kept.answer
            assert last.payload["content"] == orjson.loads(kept.content)
        cuts = sum(house.cuts for house in street.houses.values())
        await street.close()
    assert at > 8
