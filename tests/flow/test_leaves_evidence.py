"""What the contract log is told of receipts and erasures: literal tables of each story, and what it is never told."""

from __future__ import annotations

import hashlib
from typing import Final

import orjson
import pytest

from connector.flow import answers, erasing, erasure
from connector.identity.signing import new_signing_key
from connector.log.leaf import LeafType, moment
from tests.flow.house import Street
from tests.flow.leaf_table import check
from tests.flow.recording import record, told
from tests.flow.test_deletions import agreed, with_deletion
from tests.flow.test_erasures import DAY_MS, PSEUDONYM, REFERENCE, Landing, attestation, duty, notice, order, sealed
from tests.flow.test_receipts import CONSUMER, PROVIDER, claimed, message, receipt, signed
from tests.flow.witnesses import REPORT, Witnesses, fetched, settled, started

TYPES: Final[tuple[LeafType, ...]] = ("receipt", "erasure")


@pytest.fixture
async def witnesses(street: Street) -> Witnesses:
    """Both sign, and keep a log."""
    found = Witnesses(street)
    await found.move_in()
    await record(street)
    return found


# -- receipts ---------------------------------------------------------------------------------------------------------


async def test_a_receipt_that_both_sign(street: Street, witnesses: Witnesses) -> None:
    index = {"sha256": "1d" * 32, "vehicles": 12}
    ours, theirs = await fetched(street, witnesses, vehicleIndex=index)
    await check(street, "a receipt that both sign", *TYPES)
    for house, process in ((street.provider, ours), (street.consumer, theirs)):
        last = (await told(house, "receipt"))[-1]
        kept = await receipt(house, process)
        assert (last.said["process"], last.said["rows"], last.said["bytes"]) == (process.id, 120, 4096)
        assert (last.payload["signed"], last.payload["answer"]) == (kept.signed, kept.answer)
        assert last.payload["content"] == orjson.loads(kept.content)
    # What a side has not counted itself stands in no leaf of its own.
    received, signed_by_both = await told(street.provider, "receipt")
    assert not {"rows", "bytes", "vehicles"} & received.said.keys()
    assert (signed_by_both.said["index"], signed_by_both.said["vehicles"]) == (index["sha256"], 12)
    assert signed_by_both.said["first"].endswith("Z")


async def test_a_receipt_that_is_disputed(street: Street, witnesses: Witnesses) -> None:
    await fetched(street, witnesses, rows=119)
    await check(street, "a receipt that is disputed", *TYPES)
    last = (await told(street.consumer, "receipt"))[-1]
    assert last.payload["findings"] == [{"member": "rows", "consumer": 120, "provider": 119}]


async def test_a_receipt_whose_key_is_away(street: Street, witnesses: Witnesses) -> None:
    witnesses.away = {CONSUMER}
    await fetched(street, witnesses)
    witnesses.away = set()
    street.now += 3_600_000
    await settled(street)
    await check(street, "a receipt whose key is away", *TYPES)


async def test_a_receipt_of_another_key(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await started(street)
    forged = signed(witnesses, claimed(ours, theirs), key=new_signing_key("ES256"))
    await street.provider.listen(message("Receipt", CONSUMER, forged))
    await settled(street)
    await check(street, "a receipt of another key", *TYPES)


async def test_a_receipt_for_whom_takes_none(street: Street, witnesses: Witnesses) -> None:
    street.provider.seals = type(street.provider.seals)()
    await street.provider.engine.close()
    await street.provider.open()
    await fetched(street, witnesses)
    await check(street, "a receipt for whom takes none", *TYPES)


async def test_each_peer_message_has_its_leaves(street: Street, witnesses: Witnesses) -> None:
    _, theirs = await started(street)
    await answers.flow_reported(street.consumer.context, theirs.id, "completed", REPORT)
    await settled(street)
    for house, other in ((street.provider, street.consumer), (street.consumer, street.provider)):
        sent = [each for each in await told(house, "message") if each.said["channel"] == "peer"]
        came = [each for each in await told(other, "message") if each.said["channel"] == "peer"]
        queued = {each.payload["messageId"]: each.payload["document"] for each in sent if each.said["event"] == "queued"}
        taken = {each.payload["messageId"] for each in sent if each.said["event"] == "acknowledged"}
        received = {each.payload["messageId"]: each.payload["document"] for each in came if each.said["direction"] == "in"}
        assert queued
        assert taken == set(queued) == set(received)
        assert all(received[name]["@type"] == queued[name]["@type"] for name in queued)


# -- erasures ---------------------------------------------------------------------------------------------------------


async def test_an_erasure_that_is_attested(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses)
    Landing(street.consumer)
    (asked,) = await erasing.ordered(street.provider.context, order(ours))
    await settled(street)
    await check(street, "an erasure that is attested", *TYPES)
    ordered, _, _, attested = await told(street.provider, "erasure")
    assert (ordered.said["vehicles"], ordered.said["due"]) == (1, moment(asked.due_at or 0))
    assert (attested.said["vehicles"], attested.payload["files"]) == (1, {"erased": 1, "outside": 0})
    kept = await duty(street.provider)
    assert attested.payload["attestationSha256"] == hashlib.sha256(kept.attestation.encode()).hexdigest()


async def test_nothing_of_a_person_gets_into_the_log(street: Street, witnesses: Witnesses) -> None:
    """Neither its pseudonym nor a reference: in no leaf and in no payload, and no document that has one."""
    ours, _ = await fetched(street, witnesses)
    Landing(street.consumer)
    await erasing.ordered(street.provider.context, order(ours))
    await settled(street)
    for house in street.houses.values():
        everything = str(await told(house))
        for name in (PSEUDONYM, REFERENCE):
            assert name not in everything
        named = [each for each in await told(house, "message") if each.said["message"].startswith("Erasure")]
        documents = [each for each in named if "document" in each.payload]
        assert len(documents) == 2
        for each in documents:
            assert each.payload["removed"] == ["signed"]
            assert "signed" not in each.payload["document"]
            assert len(each.payload["signedSha256"]) == 64


async def test_an_erasure_that_is_overdue(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses)
    street.consumer.erase = lambda _: {"erased": "not a list"}
    await erasing.ordered(street.provider.context, order(ours))
    await settled(street)
    for _ in range(3):
        street.now += DAY_MS
        await settled(street)
    await check(street, "an erasure that is overdue", *TYPES)


async def test_an_erasure_that_is_told_when_the_buyer_takes_notices(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await started(street)
    Landing(street.consumer)
    await erasing.ordered(street.provider.context, order(ours))
    await settled(street)
    await check(street, "an erasure that is told later", *TYPES)


async def test_a_notice_of_another_key(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await fetched(street, witnesses)
    forged = sealed(witnesses, "ErasureNotice", PROVIDER, notice(ours, theirs), new_signing_key("ES256"))
    await street.consumer.listen(forged)
    await settled(street)
    await check(street, "a notice of another key", *TYPES)


async def test_an_attestation_of_another_key(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses)
    street.consumer.erase = lambda _: {"erased": 0}
    (asked,) = await erasing.ordered(street.provider.context, order(ours))
    forged = sealed(witnesses, "ErasureAttestation", CONSUMER, attestation(asked), new_signing_key("ES256"))
    await street.provider.listen(forged)
    await settled(street)
    await check(street, "an attestation of another key", *TYPES)


async def test_a_deletion_that_waited_for_its_event(street: Street, witnesses: Witnesses) -> None:
    await agreed(street, with_deletion())
    Landing(street.consumer)
    for house, other, role in ((street.consumer, PROVIDER, "consumer"), (street.provider, CONSUMER, "provider")):
        await erasure.happened(house.context, other, role, (await duty(house)).id)  # type: ignore[arg-type]  # one of two
    await settled(street)
    await check(street, "a deletion that waited for its event", *TYPES)
