"""Two connectors that witness each other's logs: when they show them, what comes of it, and what happens when one lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.flow import acts, begin, envelope, peer, showing, standing, witnessing
from connector.log.note import NoteSigner, Verifier, opened, origin_of, signed
from connector.log.witness import packed, timed, witness_name
from connector.protocol.errors import BadMessage, Conflict
from connector.protocol.messages import Document
from connector.protocol.states import Kind, State
from connector.store.engine import Statement
from tests.flow.house import DATASET, LEASE_MS, OFFER, House, Street
from tests.flow.ledgers import CONSUMER, PROVIDER, Logs, agreed, row, sent, settled_now
from tests.flow.witnesses import lines, settled, started
from tests.log.test_witness import announced


@pytest.fixture
async def logs(street: Street, tmp_path: Path) -> Logs:
    found = Logs(street, tmp_path / "logs")
    await found.move_in()
    return found


# -- when -------------------------------------------------------------------------------------------------------------


async def test_after_an_agreement_each_has_cosigned_the_log_of_the_other(street: Street, logs: Logs) -> None:
    await agreed(street)
    for name in (CONSUMER, PROVIDER):
        house, ledger = logs.house(name), logs.logs[name]
        theirs = f"did:web:{house.peer_role.value}"
        kept = await row(house)
        assert (kept.told_size, kept.cosigned_size, kept.seen_size, kept.refused, kept.refusal) == (3, 3, 3, "", "")
        witness = Verifier(witness_name(origin_of(theirs)), 4, logs.logs[theirs].public)
        found = opened(kept.cosigned_note, [ledger.signer.verifier, witness])
        assert [each.verifier.name for each in found.verified] == [ledger.origin, witness.name]
        assert found.verified[1].time_s == pytest.approx(street.now // 1000, abs=60)
        (file,) = (ledger.path / "cosigned").iterdir()
        assert file.read_text() == kept.cosigned_note
        (seen,) = (ledger.path / "seen").rglob("3")
        assert seen.read_text() == kept.seen_note
        assert await house.store.dead_letters() == []


async def test_a_log_that_grows_is_shown_every_hour_and_one_that_does_not_is_not(street: Street, logs: Logs) -> None:
    await agreed(street)
    ours = logs.logs[PROVIDER]
    await logs.hour()
    assert (await row(street.consumer)).seen_size == 3
    version = (await row(street.consumer)).version
    for size in (4, 300, 1000):
        ours.fill(size - ours.edge.size)
        await logs.hour()
        assert ((await row(street.provider)).cosigned_size, (await row(street.consumer)).seen_size) == (size, size)
    assert (await row(street.consumer)).version == version + 3
    assert sorted(path.name for path in (logs.logs[CONSUMER].path / "seen").rglob("*") if path.is_file()) == [
        "1000",
        "3",
        "300",
        "4",
    ]


async def test_a_termination_is_shown_without_waiting_for_the_hour(street: Street, logs: Logs) -> None:
    _, theirs = await started(street)
    await settled_now(street)
    for ledger in logs.logs.values():
        ledger.fill(2)
    await acts.terminate(street.consumer.context, theirs.id)
    await settled_now(street)
    for house in street.houses.values():
        assert (await row(house)).cosigned_size == 5


async def test_who_has_no_such_feature_is_left_alone(street: Street, tmp_path: Path) -> None:
    logs = Logs(street, tmp_path / "logs")
    await logs.move_in()
    street.provider.witnessing = type(street.provider.witnessing)()
    await street.provider.engine.close()
    await street.provider.open()
    await agreed(street)
    await logs.hour()
    for house in street.houses.values():
        assert (await row(house)).cosigned_size == 0
        assert await house.store.dead_letters() == []
    # It is upgraded: asked again after a day, and witnessed from then on.
    await logs.reopen(PROVIDER)
    street.now += showing.ASK_AGAIN_MS
    await logs.hour()
    await logs.hour()
    assert (await row(street.consumer)).cosigned_size == 3
    await showing.begin(street.provider.context)
    await settled_now(street)
    assert (await row(street.provider)).cosigned_size == 3


async def test_agreements_of_an_earlier_release_are_shown_from_the_start(street: Street, tmp_path: Path) -> None:
    await agreed(street)
    logs = Logs(street, tmp_path / "logs")
    await logs.move_in()
    for _ in range(2):
        for house in street.houses.values():
            await showing.begin(house.context)
    await settled_now(street)
    street.now += showing.ASK_AGAIN_MS
    await logs.hour(2)
    for house in street.houses.values():
        assert (await row(house)).cosigned_size == 3
        timers = await house.store.engine.fetch("SELECT count(*) FROM timer WHERE kind = 'witness-show'")
        assert timers[0][0] == 1


async def test_after_a_loss_of_the_network_the_newest_is_shown_and_nothing_has_piled_up(street: Street, logs: Logs) -> None:
    await agreed(street)
    before = street.provider.pump

    async def lost() -> None:
        return

    street.provider.pump = lost  # type: ignore[method-assign]
    for _ in range(5):
        logs.logs[PROVIDER].fill(10)
        street.now += logs.interval_ms + 5000
        for timer in await street.provider.store.timers_due(street.now_ms()):
            await showing.show(street.provider.context, timer)
        (waiting,) = await sent(street.provider, "CheckpointShown")
        assert f"\n{logs.logs[PROVIDER].edge.size}\n" in waiting["note"]
    street.provider.pump = before  # type: ignore[method-assign]
    await settled_now(street)
    assert (await row(street.provider)).cosigned_size == 53
    assert (await row(street.consumer)).seen_size == 53


async def test_answers_that_get_lost_change_nothing(street: Street, logs: Logs) -> None:
    known: set[str] = set()

    def once(message: Any) -> bool:
        first = message.id not in known
        known.add(message.id)
        return first

    street.consumer.lost = street.provider.lost = once
    await agreed(street)
    for house in street.houses.values():
        kept = await row(house)
        assert (kept.cosigned_size, kept.seen_size) == (3, 3)


async def test_who_forgot_what_it_saw_is_shown_everything_again(street: Street, logs: Logs) -> None:
    await agreed(street)
    logs.logs[PROVIDER].fill(4)
    await street.consumer.store.commit([Statement("DELETE FROM witness")])
    await logs.hour()
    assert (await row(street.provider)).cosigned_size == 7
    assert (await row(street.consumer)).seen_size == 7


async def test_a_key_that_cannot_be_found_delays_and_is_then_given_up(street: Street, logs: Logs) -> None:
    logs.away = {PROVIDER}
    await agreed(street)
    assert (await row(street.consumer)).seen_size == 0
    logs.away = set()
    street.now += 120_000
    await settled_now(street)
    assert (await row(street.consumer)).seen_size == 3
    logs.away = {PROVIDER}
    logs.logs[PROVIDER].fill(1)
    await logs.hour()
    for _ in range(34):
        street.now += 60_000
        await settled(street)
    assert (await row(street.provider)).refused == "log-key-unknown"


# -- keys -------------------------------------------------------------------------------------------------------------


async def test_a_new_key_is_believed_when_it_is_published(street: Street, logs: Logs) -> None:
    await agreed(street)
    ledger = logs.logs[PROVIDER]
    ledger.key = Ed25519PrivateKey.generate()
    ledger.fill(1)
    await logs.hour()
    assert ((await row(street.provider)).refused, (await row(street.consumer)).seen_size) == ("checkpoint-signature", 3)
    assert logs.asked[-1] == (PROVIDER, True)
    logs.published[PROVIDER].append(ledger.public)
    await logs.hour()
    assert (await row(street.consumer)).seen_size == 4


async def test_a_new_key_is_believed_when_the_old_one_announced_it(street: Street, logs: Logs) -> None:
    await agreed(street)
    ledger = logs.logs[PROVIDER]
    new = Ed25519PrivateKey.generate()
    announced(ledger, new, [ledger.signer, NoteSigner(ledger.origin, new)])
    ledger.key = new
    ledger.fill(2)
    await logs.hour()
    assert (await row(street.consumer)).seen_size == 8
    assert (await row(street.consumer)).handed == new.public_key().public_bytes_raw().hex()
    ledger.fill(2)
    await logs.hour()
    assert (await row(street.consumer)).seen_size == 10


# -- a log that lies --------------------------------------------------------------------------------------------------


async def convicted(street: Street, logs: Logs, code: str) -> None:
    """The consumer has caught the provider: what is kept, what is said, and what is stopped in both roles."""
    kept = await row(street.consumer)
    assert kept.split_code == code
    (file,) = (logs.logs[CONSUMER].path / "split").rglob("*.json")
    evidence = orjson.loads(file.read_bytes())
    assert (evidence["code"], evidence["seen"], evidence["shown"]) == (code, kept.seen_note, kept.split_note)
    assert (await row(street.provider)).refused == "split-view"
    (negotiation,) = await street.consumer.store.processes(Kind.NEGOTIATION)
    assert "its log contradicts itself" in await lines(street.consumer, negotiation)
    with pytest.raises(Conflict, match=r"log-split-view.*accept-log"):
        await begin.request_contract(street.consumer.context, counterparty=PROVIDER, dataset=DATASET, offer=OFFER)
    # What was agreed goes on.
    (agreement,) = await street.consumer.store.agreements()
    await begin.request_transfer(street.consumer.context, agreement_id=agreement.id)
    await settled(street)
    transfer = await street.consumer.only(Kind.TRANSFER)
    assert transfer is not None
    assert transfer.state is State.STARTED


@pytest.mark.parametrize("size", [4, 8, 300])
async def test_a_rewritten_history_is_caught(street: Street, logs: Logs, size: int) -> None:
    await agreed(street)
    await logs.another_history(PROVIDER, size)
    await logs.hour()
    await convicted(street, logs, "rewritten")


async def test_a_second_tree_of_the_same_size_is_caught(street: Street, logs: Logs) -> None:
    await agreed(street)
    await logs.another_history(PROVIDER, 3)
    await street.consumer.listen(shown(logs, street, 3))
    await settled(street)
    await convicted_of(street, logs, "same-size")


async def test_a_cut_tail_is_caught_and_a_replay_convicts_nobody(street: Street, logs: Logs, tmp_path: Path) -> None:
    await agreed(street)
    logs.logs[PROVIDER].fill(5)
    early = (await row(street.consumer)).seen_note
    await logs.hour()
    assert (await row(street.consumer)).seen_size == 8
    await street.consumer.listen(message("CheckpointShown", PROVIDER, 77, note=early, oldSize=0, proof=""))
    await settled(street)
    assert ((await row(street.consumer)).refusal, (await row(street.consumer)).split_code) == ("checkpoint-stale", "")
    late = timed(early, logs.logs[PROVIDER].signer, street.now // 1000 + 1)
    await street.consumer.listen(message("CheckpointShown", PROVIDER, 78, note=late, oldSize=0, proof=""))
    await settled(street)
    await convicted_of(street, logs, "smaller-later")


async def test_another_origin_is_caught(street: Street, logs: Logs) -> None:
    await agreed(street)
    logs.logs[PROVIDER].origin = "provider/other/log"
    await logs.another_history(PROVIDER, 5)
    await street.consumer.listen(shown(logs, street, 3))
    await settled(street)
    await convicted_of(street, logs, "origin-changed")


async def convicted_of(street: Street, logs: Logs, code: str) -> None:
    kept = await row(street.consumer)
    assert kept.split_code == code
    assert orjson.loads(next((logs.logs[CONSUMER].path / "split").rglob("*.json")).read_bytes())["shown"] == kept.split_note


def message(name: str, sender: str, number: int, **members: Any) -> Document:
    head = {"@context": [envelope.CONTEXT], "@type": name, "messageId": f"urn:lie:{number}", "participantId": sender}
    return {**head, "protocol": "2025-1", "issuedAt": "2026-01-01T00:00:00Z", **members}


def shown(logs: Logs, street: Street, old_size: int, who: str = PROVIDER) -> Document:
    """The checkpoint of somebody's log as it is now, as a message."""
    ledger = logs.logs[who]
    made = ledger.shown(old_size, street.now // 1000 + 1)
    told = {"note": made.note, "oldSize": old_size, "oldRoot": packed([made.old_root]), "proof": packed(made.proof)}
    return message("CheckpointShown", who, 1, **told)


@pytest.mark.parametrize(
    ("lie", "step"),
    [
        ({"proof": packed([b"x" * 32])}, "proof"),
        ({"proof": ""}, "proof"),
        ({"proof": "AAAA"}, "proof"),
        ({"proof": packed([b"x" * 32] * 90)}, "proof"),
        ({"oldSize": 2}, "old-size"),
        ({"oldSize": 2**53 - 1}, "old-size"),
        ({"note": "nothing"}, "checkpoint-signature"),
        ({"note": "\n\n\n"}, "checkpoint-signature"),
        ({"note": "x" * 16_000}, "checkpoint-signature"),
    ],
)
async def test_garbage_is_refused_with_its_step_and_convicts_nobody(
    street: Street, logs: Logs, lie: dict[str, Any], step: str
) -> None:
    await agreed(street)
    logs.logs[PROVIDER].fill(4)
    await street.consumer.listen({**shown(logs, street, 3), **lie})
    await settled(street)
    kept = await row(street.consumer)
    assert (kept.refusal, kept.split_code, kept.seen_size) == (step, "", 3)
    assert (await row(street.provider)).refused in (step, "")
    await logs.hour()
    assert (await row(street.consumer)).seen_size == 7


async def test_a_note_of_another_signer_is_refused(street: Street, logs: Logs) -> None:
    await agreed(street)
    ledger = logs.logs[PROVIDER]
    ledger.fill(2)
    stranger = NoteSigner(ledger.origin, Ed25519PrivateKey.generate())
    note = timed(signed(ledger.checkpoint, [stranger]), stranger, street.now // 1000)
    await street.consumer.listen({**shown(logs, street, 3), "note": note})
    await settled(street)
    assert (await row(street.consumer)).refusal == "checkpoint-signature"


async def test_messages_that_are_too_large_or_of_strangers_are_not_taken(street: Street, logs: Logs) -> None:
    await agreed(street)
    whole = shown(logs, street, 3)
    for odd in ({"note": "x" * 20_000}, {"proof": "A" * 5000}, {"oldSize": -1}, {"oldRoot": "AA=="}, {"proof": "ä"}):
        with pytest.raises(Exception, match="member"):
            await street.consumer.listen({**whole, **odd})
    street.consumer.witnessing = type(street.consumer.witnessing)()
    await street.consumer.engine.close()
    await street.consumer.open()
    with pytest.raises(BadMessage, match="witness-off"):
        await street.consumer.listen(whole)


async def test_cosignatures_and_refusals_that_nobody_asked_for_change_nothing(street: Street, logs: Logs) -> None:
    await agreed(street)
    before = await row(street.consumer)
    line = "— consumer/log/witness AAAA"
    await street.consumer.listen(message("CheckpointCosigned", PROVIDER, 1, size=99, cosignature=line))
    await settled(street)
    assert await row(street.consumer) == before
    await street.consumer.listen(message("CheckpointCosigned", PROVIDER, 2, size=3, cosignature=line))
    await settled(street)
    assert (await row(street.consumer)).refused == "cosignature-invalid"
    # A witness that always wants another proof is shown a few, then no more until the hour.
    for number in range(3, 20):
        await street.consumer.listen(
            message("CheckpointRefused", PROVIDER, number, size=number % 3, step="old-size", why="again")
        )
        await settled_now(street)
    assert (await row(street.consumer)).retries <= showing.MAX_RETRIES
    assert await street.consumer.store.dead_letters() == []


# -- what follows -----------------------------------------------------------------------------------------------------


async def test_no_new_agreement_with_it_in_either_role_until_its_log_is_accepted(street: Street, logs: Logs) -> None:
    """The consumer lies, the provider catches it; then the consumer's request ends with the reason."""
    await agreed(street)
    await logs.another_history(CONSUMER, 9)
    await logs.hour()
    assert (await row(street.provider)).split_code == "rewritten"
    await begin.request_contract(street.consumer.context, counterparty=PROVIDER, dataset=DATASET, offer=OFFER)
    await settled(street)
    ended = (await street.consumer.store.processes(Kind.NEGOTIATION))[-1]
    assert ended.state is State.TERMINATED
    assert ended.detail.ended is not None
    assert ended.detail.ended.code == "log-split-view"
    with pytest.raises(Conflict, match="log-split-view"):
        await begin.offer_contract(street.provider.context, counterparty=CONSUMER, dataset=DATASET)
    with pytest.raises(Conflict, match="log-not-split"):
        await witnessing.accept(street.consumer.context, PROVIDER, "why not")
    accepted = await witnessing.accept(street.provider.context, CONSUMER, "their disk was lost; seen with the auditor")
    assert (accepted.split_code, accepted.seen_size) == ("", 0)
    await logs.hour(2)
    assert (await row(street.provider)).seen_size == 9
    assert (await row(street.consumer)).cosigned_size == 9
    assert list((logs.logs[PROVIDER].path / "split").rglob("*.json"))
    await begin.request_contract(street.consumer.context, counterparty=PROVIDER, dataset=DATASET, offer=OFFER)
    await settled(street)
    assert (await street.consumer.store.processes(Kind.NEGOTIATION))[-1].state is State.FINALIZED


async def test_a_negotiation_that_was_open_when_the_log_split_ends(street: Street, logs: Logs) -> None:
    await agreed(street)
    await begin.request_contract(street.consumer.context, counterparty=PROVIDER, dataset=DATASET, offer=OFFER)
    await until(street, State.AGREED, street.provider)
    await logs.another_history(CONSUMER, 9)
    await street.provider.listen(shown(logs, street, 3, CONSUMER))
    for timer in await street.provider.store.timers_due(street.now_ms()):
        if timer.kind == "witness-check":
            await witnessing.check(street.provider.context, timer)
    assert (await row(street.provider)).split_code == "rewritten"
    await settled(street)
    states = [process.state for process in await street.consumer.store.processes(Kind.NEGOTIATION)]
    assert sorted(state.value for state in states) == ["FINALIZED", "TERMINATED"]


async def until(street: Street, state: State, house: House) -> None:
    """One delivery at a time until a negotiation of a house is in a state."""
    for turn in range(20):
        if any(process.state is state for process in await house.store.processes(Kind.NEGOTIATION)):
            return
        street.now += LEASE_MS + 1
        await street.houses[house.peer_role if turn % 2 else house.role].pump()
    raise AssertionError(state)


async def test_nothing_is_witnessed_of_who_is_not_vouched_for(street: Street, logs: Logs) -> None:
    await agreed(street)
    await standing.suspend(street.consumer.context, PROVIDER, "for a while")
    logs.logs[CONSUMER].fill(1)
    street.now += logs.interval_ms + 5000
    for timer in await street.consumer.store.timers_due(street.now_ms()):
        await showing.show(street.consumer.context, timer)
    assert await sent(street.consumer, "CheckpointShown") == []


def test_every_message_of_witnessing_is_taken() -> None:
    assert {"CheckpointShown", "CheckpointCosigned", "CheckpointRefused"} <= peer.TYPES
