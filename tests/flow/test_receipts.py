"""Receipts between two connectors: signed with the completion, compared, countersigned or disputed; and peers that lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from connector.flow import answers, envelope, publish
from connector.flow.receipts import differences
from connector.flow.seals import TYPES
from connector.identity import seal
from connector.identity.seal import SealRefused, opened
from connector.identity.signing import new_signing_key
from connector.protocol.errors import BadMessage
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import State
from connector.store.evidence import EvidenceStore, Receipt
from tests.flow.house import DATASET, OFFER, Fuse, House, Street
from tests.flow.witnesses import REPORT, Witnesses, fetched, lines, settled, started, transfer_of

CONSUMER, PROVIDER = "did:web:consumer", "did:web:provider"


@pytest.fixture
async def witnesses(street: Street) -> Witnesses:
    found = Witnesses(street)
    await found.move_in()
    return found


async def receipt(house: House, process: Process) -> Receipt:
    found = await EvidenceStore(house.store.engine).receipt(process.id)
    assert found is not None
    return found


async def test_what_was_delivered_is_signed_by_both(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await fetched(street, witnesses)
    for house, process in ((street.provider, ours), (street.consumer, theirs)):
        kept = await receipt(house, process)
        assert (kept.state, kept.findings) == ("countersigned", "[]")
        assert kept.thumbprint
        assert (await transfer_of(house)).state is State.COMPLETED
        assert "receipt countersigned" in await lines(house, process)
        assert await house.store.dead_letters() == []
    content = orjson.loads((await receipt(street.provider, ours)).content)
    names = ("agreementId", "providerPid", "consumerPid", "planDigest", "rows", "bytes", "sha256", "rowsDigest", "ledger")
    assert [content[name] for name in names] == [ours.subject, ours.id, theirs.id, *(REPORT[name] for name in names[3:])]
    assert content["interval"].keys() == {"from", "to"}
    answer = opened((await receipt(street.consumer, theirs)).answer, TYPES["ReceiptAnswer"], PROVIDER).content
    assert (answer["verdict"], answer["record"]["meters"]) == ("countersigned", {"calls": 1, "rows": 120})


@pytest.mark.parametrize(
    ("member", "value"), [("rows", 119), ("sha256", "00" * 32), ("bytes", 4095), ("planDigest", "11" * 32), ("ledger", 8)]
)
async def test_a_mismatch_is_disputed_and_seen_on_both_sides(
    street: Street, witnesses: Witnesses, member: str, value: Any
) -> None:
    ours, theirs = await fetched(street, witnesses, **{member: value})
    for house, process in ((street.provider, ours), (street.consumer, theirs)):
        kept = await receipt(house, process)
        assert kept.state == "disputed"
        assert orjson.loads(kept.findings) == [{"member": member, "consumer": REPORT[member], "provider": value}]
        told = [line for line in await house.store.timeline(process.id) if line.what == "receipt disputed"]
        assert [line.note for line in told] == [f"{member}: {REPORT[member]} / {value}"]


async def test_a_delivery_that_the_provider_knows_nothing_of_is_disputed(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await started(street)
    await answers.flow_reported(street.consumer.context, theirs.id, "completed", REPORT)
    await settled(street)
    assert (await receipt(street.consumer, theirs)).state == "disputed"
    assert (await receipt(street.provider, ours)).state == "disputed"


async def test_a_provider_that_was_never_met_is_greeted_once_and_gets_what_waited(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await started(street)
    await answers.flow_reported(street.consumer.context, theirs.id, "completed", REPORT)
    assert (await receipt(street.consumer, theirs)).state == "signed"
    assert await street.consumer.store.waiting_in(envelope.lane(PROVIDER)) == ["Hello"]
    await settled(street)
    assert (await receipt(street.provider, ours)).state == "disputed"


async def test_a_provider_without_receipts_gets_none(street: Street, witnesses: Witnesses) -> None:
    street.provider.seals = type(street.provider.seals)()
    await street.provider.engine.close()
    await street.provider.open()
    _, theirs = await fetched(street, witnesses)
    assert (await receipt(street.consumer, theirs)).state == "signed"
    assert (await transfer_of(street.consumer)).state is State.COMPLETED
    assert await street.consumer.store.dead_letters() == []


async def test_a_key_that_cannot_be_found_now_delays_and_drops_nothing(street: Street, witnesses: Witnesses) -> None:
    witnesses.away = {CONSUMER, PROVIDER}
    ours, theirs = await fetched(street, witnesses)
    assert (await receipt(street.provider, ours)).state == "unverified"
    witnesses.away = set()
    street.now += 3_600_000
    await settled(street)
    assert (await receipt(street.provider, ours)).state == "countersigned"
    assert (await receipt(street.consumer, theirs)).state == "countersigned"


async def test_a_data_plane_that_is_away_is_asked_again(street: Street, witnesses: Witnesses) -> None:
    witnesses.plane_away = True
    ours, _ = await fetched(street, witnesses)
    assert (await receipt(street.provider, ours)).state == "received"
    witnesses.plane_away = False
    street.now += 3_600_000
    await settled(street)
    assert (await receipt(street.provider, ours)).state == "countersigned"


async def test_answers_that_get_lost_change_nothing(street: Street, witnesses: Witnesses) -> None:
    sent: set[str] = set()

    def once(message: Any) -> bool:
        first = message.id not in sent
        sent.add(message.id)
        return first

    street.consumer.lost = street.provider.lost = once
    ours, theirs = await fetched(street, witnesses)
    assert (await receipt(street.provider, ours)).state == (await receipt(street.consumer, theirs)).state == "countersigned"
    assert (await lines(street.provider, ours)).count("receipt received") == 1


# -- peers that lie ---------------------------------------------------------------------------------------------------


def message(name: str, sender: str, signed: str, number: int = 1) -> Document:
    """A peer message as it is sent."""
    head = {"@context": [envelope.CONTEXT], "@type": name, "messageId": f"urn:lie:{number}", "participantId": sender}
    return {**head, "protocol": "2025-1", "issuedAt": "2026-01-01T00:00:00Z", "signed": signed}


def claimed(ours: Process, theirs: Process, **otherwise: Any) -> Document:
    """What a consumer signs."""
    names = {"provider": PROVIDER, "consumer": CONSUMER, "providerPid": ours.id, "consumerPid": theirs.id}
    facts = {name: REPORT[name] for name in ("bytes", "sha256", "rows")}
    return {"type": "Receipt", "id": "urn:receipt:1", "agreementId": ours.subject, **names, **facts, **otherwise}


def signed(witnesses: Witnesses, content: Document, *, key: Any = None, name: str = "Receipt", who: str = CONSUMER) -> str:
    return seal.seal(key or witnesses.keys[who], f"{who}#agreement-1", TYPES[name], content)


async def test_a_receipt_of_another_key_proves_nothing_and_shuts_nobody_out(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await started(street)
    forged = signed(witnesses, claimed(ours, theirs), key=new_signing_key("ES256"))
    await street.provider.listen(message("Receipt", CONSUMER, forged))
    await settled(street)
    assert (await receipt(street.provider, ours)).state == "invalid"
    assert "receipt refused" in await lines(street.provider, ours)
    await fetched_now(street, witnesses, ours, theirs)
    assert (await receipt(street.provider, ours)).state == "countersigned"


async def fetched_now(street: Street, witnesses: Witnesses, ours: Process, theirs: Process) -> None:
    parties = {"agreementId": ours.subject, "counterparty": CONSUMER}
    witnesses.records[ours.id] = {**{name: REPORT[name] for name in ("bytes", "sha256", "rows")}, **parties}
    await answers.flow_reported(street.consumer.context, theirs.id, "completed", REPORT)
    await settled(street)


async def test_altered_bytes_do_not_verify(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await started(street)
    header, _, signature = signed(witnesses, claimed(ours, theirs)).split(".")
    payload = signed(witnesses, claimed(ours, theirs, rows=1)).split(".")[1]
    await street.provider.listen(message("Receipt", CONSUMER, f"{header}.{payload}.{signature}"))
    await settled(street)
    assert (await receipt(street.provider, ours)).state == "invalid"


async def test_a_replay_changes_nothing_and_a_second_receipt_is_refused(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await fetched(street, witnesses)
    before = await receipt(street.provider, ours)
    await street.provider.listen(message("Receipt", CONSUMER, before.signed))
    await settled(street)
    assert await receipt(street.provider, ours) == before
    with pytest.raises(BadMessage, match="receipt-known"):
        await street.provider.listen(message("Receipt", CONSUMER, signed(witnesses, claimed(ours, theirs)), 2))
    answer = await receipt(street.consumer, theirs)
    await street.consumer.listen(message("ReceiptAnswer", PROVIDER, answer.answer, 3))
    assert await receipt(street.consumer, theirs) == answer
    other = opened(answer.answer, TYPES["ReceiptAnswer"], PROVIDER).content | {"verdict": "disputed"}
    again = signed(witnesses, other, name="ReceiptAnswer", who=PROVIDER)
    with pytest.raises(BadMessage, match="receipt-answered"):
        await street.consumer.listen(message("ReceiptAnswer", PROVIDER, again, 4))


@pytest.mark.parametrize(
    "otherwise",
    [
        {"providerPid": "urn:nobody"},
        {"consumerPid": "urn:nobody"},
        {"consumer": "did:web:other"},
        {"provider": "did:web:other"},
        {"agreementId": "urn:other"},
    ],
    ids=lambda otherwise: next(iter(otherwise)),
)
async def test_a_receipt_for_somebody_elses_transfer_is_refused(
    street: Street, witnesses: Witnesses, otherwise: Document
) -> None:
    ours, theirs = await started(street)
    with pytest.raises(BadMessage, match="transfer-unknown"):
        await street.provider.listen(message("Receipt", CONSUMER, signed(witnesses, claimed(ours, theirs, **otherwise))))
    assert await EvidenceStore(street.provider.store.engine).receipt(ours.id) is None


@pytest.mark.parametrize("broken", ["a.b.c", "eyJ0.eyJh.c2ln"])
async def test_what_is_no_signed_document_is_refused(street: Street, witnesses: Witnesses, broken: str) -> None:
    with pytest.raises(BadMessage, match="seal-"):
        await street.provider.listen(message("Receipt", CONSUMER, broken))


async def test_what_was_signed_as_another_kind_or_in_anothers_name_is_refused(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await started(street)
    notice = signed(witnesses, claimed(ours, theirs), name="ErasureNotice")
    foreign = seal.seal(witnesses.keys[PROVIDER], f"{PROVIDER}#agreement-1", TYPES["Receipt"], claimed(ours, theirs))
    for raw, code in ((notice, "seal-type"), (foreign, "seal-signer")):
        with pytest.raises(SealRefused, match=code):
            await street.provider.listen(message("Receipt", CONSUMER, raw))


async def test_an_answer_to_no_receipt_of_ours_is_refused(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await started(street)
    content = claimed(ours, theirs, receipt="urn:receipt:1", receiptDigest="00", verdict="countersigned", type="ReceiptAnswer")
    raw = signed(witnesses, content, name="ReceiptAnswer", who=PROVIDER)
    with pytest.raises(BadMessage, match="receipt-unknown"):
        await street.consumer.listen(message("ReceiptAnswer", PROVIDER, raw))


def test_members_that_only_one_side_has_count_where_they_identify_the_data() -> None:
    receipt = {"agreementId": "a", "consumer": "c", "bytes": 1, "sha256": "x"}
    assert differences(receipt, {**receipt, "counterparty": "c", "rows": 5, "planDigest": "p"}) == []
    assert differences(receipt, {"agreementId": "a", "counterparty": "c", "bytes": 1}) == [
        {"member": "sha256", "consumer": "x", "provider": None}
    ]
    assert [each["member"] for each in differences(receipt, {**receipt, "counterparty": "d"})] == ["consumer"]


# -- the power goes off -----------------------------------------------------------------------------------------------


async def told(street: Street, witnesses: Witnesses) -> None:
    """A receipt from the report to the answer; a report is made again until the control plane has it, as the data plane does."""
    ours, theirs = await transfer_of(street.provider), await transfer_of(street.consumer)
    consumer = street.consumer
    while not await consumer.surviving(lambda: answers.flow_reported(consumer.context, theirs.id, "completed", REPORT)):
        pass
    while (await receipt(consumer, theirs)).state != "countersigned":
        await settled(street)
        street.now += 600_000
    await settled(street)
    for house, process in ((street.provider, ours), (street.consumer, theirs)):
        assert (await receipt(house, process)).state == "countersigned"
        assert (await lines(house, process)).count("receipt countersigned") == 1
        assert await house.store.dead_letters() == []
        assert await house.store.next_timer() is None


async def opened_street(folder: Path, name: str) -> tuple[Street, Witnesses]:
    street = Street(Fuse())
    await street.open(folder, name)
    witnesses = Witnesses(street)
    await witnesses.move_in()
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[OFFER])
    ours, _ = await started(street)
    record = {name: REPORT[name] for name in ("bytes", "sha256", "rows")}
    witnesses.records[ours.id] = {**record, "agreementId": ours.subject, "counterparty": CONSUMER}
    return street, witnesses


async def test_the_power_goes_off_around_every_commit_of_a_receipt(tmp_path: Path) -> None:
    street, witnesses = await opened_street(tmp_path, "whole")
    before = street.fuse.count
    await told(street, witnesses)
    commits = street.fuse.count - before
    await street.close()
    assert commits > 8
    for at in range(1, commits + 1):
        for after in (False, True):
            street, witnesses = await opened_street(tmp_path, f"{at}-{after}")
            street.fuse.at, street.fuse.after = street.fuse.count + at, after
            await told(street, witnesses)
            assert sum(house.cuts for house in street.houses.values()) == 1
            await street.close()
