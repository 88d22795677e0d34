"""Erasures between two connectors, from the order of the provider's data plane to the verified attestation; peers that lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from connector.flow import erasing, erasure, publish
from connector.flow.owed import OVERDUE_ALARM
from connector.flow.seals import TYPES
from connector.identity import seal
from connector.identity.signing import new_signing_key
from connector.protocol.errors import BadMessage, CallerError
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.store.evidence import Duty, EvidenceStore
from tests.flow.house import DATASET, OFFER, Fuse, House, Street
from tests.flow.test_receipts import CONSUMER, PROVIDER, message
from tests.flow.witnesses import Witnesses, fetched, lines, settled, started, transfer_of

PSEUDONYM = "5eed" * 8
REFERENCE = "policy-0815"
TRIP = "7e" * 16
DAY_MS = 86_400_000


@pytest.fixture
async def witnesses(street: Street) -> Witnesses:
    found = Witnesses(street)
    await found.move_in()
    return found


def order(ours: Process, **otherwise: Any) -> erasing.Order:
    delivery = erasing.Delivery(transfer=ours.id, pseudonyms=[PSEUDONYM], references=[REFERENCE])
    given: dict[str, Any] = {
        "id": "urn:order:1",
        "agreement_id": ours.subject,
        "counterparty": CONSUMER,
        "deliveries": [delivery],
    }
    return erasing.Order(**{**given, **otherwise}, ledger=9)


class Landing:
    """The consumer's data plane: what it was told, and what it answers."""

    def __init__(self, house: House, **answer: Any) -> None:
        self.told: list[Document] = []
        self.answer = answer
        house.erase = self

    def __call__(self, body: Document) -> Document:
        self.told.append(body)
        (transfer, *_) = body["transfers"]
        file = {"transfer": transfer, "file": "/some/folder/trips.parquet", "rows": 3, "sha256Before": "aa", "sha256After": "bb"}
        return {"erased": [file], "outside": [], **self.answer}


async def duty(house: House, number: int = 0) -> Duty:
    return (await EvidenceStore(house.store.engine).duties())[number]


async def test_what_was_withdrawn_is_erased_and_attested(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await fetched(street, witnesses)
    landing = Landing(street.consumer)
    (expected,) = await erasing.ordered(street.provider.context, order(ours))
    assert (expected.state, expected.due_at) == ("pending", expected.created_at + 3_600_000)
    await settled(street)
    (told,) = landing.told
    assert (told["transfers"], told["pseudonyms"], told["references"], told["whole"]) == (
        [theirs.id],
        [PSEUDONYM],
        [REFERENCE],
        False,
    )
    done = await duty(street.provider)
    assert (done.state, done.overdue(street.now + DAY_MS)) == ("fulfilled", False)
    file = {"transfer": theirs.id, "file": "trips.parquet", "rows": 3, "sha256Before": "aa", "sha256After": "bb"}
    assert orjson.loads(done.outcome) == {"erased": [file], "outside": []}
    assert (await duty(street.consumer)).state == "fulfilled"
    assert "erasure attested" in await lines(street.provider, ours)
    assert "erased" in await lines(street.consumer, theirs)


async def test_nothing_of_a_person_stays_once_it_is_erased(street: Street, witnesses: Witnesses, capsys: Any) -> None:
    ours, _ = await fetched(street, witnesses)
    Landing(street.consumer)
    await erasing.ordered(street.provider.context, order(ours))
    await settled(street)
    for house in street.houses.values():
        for table in ("duty", "event", "outbox", "inbox", "timer", "receipt", "process"):
            rows = await house.store.engine.fetch(f"SELECT * FROM {table}")  # noqa: S608  # a name of this test's own
            assert PSEUDONYM not in str(rows)
            assert REFERENCE not in str(rows)
    printed = capsys.readouterr()
    assert PSEUDONYM not in printed.out + printed.err


async def test_the_same_order_said_again_is_the_same(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses)
    landing = Landing(street.consumer)
    first = await erasing.ordered(street.provider.context, order(ours))
    assert await erasing.ordered(street.provider.context, order(ours)) == first
    await settled(street)
    assert len(landing.told) == 1
    assert [each.state for each in await erasing.ordered(street.provider.context, order(ours))] == ["fulfilled"]


async def test_many_values_become_several_notices(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses)
    landing = Landing(street.consumer)
    many = [f"{number:032x}" for number in range(erasing.NOTICE_VALUES + 1)]
    found = await erasing.ordered(
        street.provider.context, order(ours, deliveries=[erasing.Delivery(transfer=ours.id, pseudonyms=many)])
    )
    await settled(street)
    assert [each.id for each in found] == ["urn:order:1", "urn:order:1#2"]
    assert sorted(value for told in landing.told for value in told["pseudonyms"]) == many
    assert [(await duty(street.provider, number)).state for number in range(2)] == ["fulfilled", "fulfilled"]


async def test_trips_are_named_to_the_deliveries_that_have_them_alone(street: Street, witnesses: Witnesses) -> None:
    """Rows that are linked within a trip only have nothing else to be found by; nothing of them stays either."""
    first, theirs = await fetched(street, witnesses)
    landing = Landing(street.consumer)
    (made,) = await erasing.ordered(
        street.provider.context, order(first, deliveries=[erasing.Delivery(transfer=first.id, trips=[TRIP])])
    )
    assert orjson.loads(made.content)["trips"] == [TRIP]
    await settled(street)
    (told,) = landing.told
    assert (told["transfers"], told["pseudonyms"], told["references"], told["trips"]) == ([theirs.id], [], [], [TRIP])
    for house in street.houses.values():
        kept = await duty(house)
        assert (kept.state, orjson.loads(kept.content)["trips"]) == ("fulfilled", 1)
        assert TRIP not in str(kept)


def test_names_of_one_kind_go_to_the_transfers_of_that_kind() -> None:
    deliveries = [
        erasing.Delivery(transfer="a", pseudonyms=["p"]),
        erasing.Delivery(transfer="b", trips=["t2", "t1"]),
        erasing.Delivery(transfer="c", pseudonyms=["p", "q"]),
        erasing.Delivery(transfer="d"),
    ]
    whole = erasing.Order(id="urn:o", agreement_id="urn:a", counterparty=CONSUMER, deliveries=deliveries)
    parts = list(erasing._parts(whole, {name: name.upper() for name in "abcd"}))
    assert parts == [
        (["A", "C"], [("pseudonyms", "p"), ("pseudonyms", "q")]),
        (["B"], [("trips", "t1"), ("trips", "t2")]),
    ]


@pytest.mark.parametrize("wrong", [{"counterparty": "did:web:other"}, {"agreement_id": "urn:other"}])
async def test_an_order_about_what_was_not_delivered_to_the_buyer_is_refused(
    street: Street, witnesses: Witnesses, wrong: Document
) -> None:
    ours, _ = await fetched(street, witnesses)
    with pytest.raises(CallerError):
        await erasing.ordered(street.provider.context, order(ours, **wrong))
    assert await EvidenceStore(street.provider.store.engine).duties() == []


async def test_an_order_that_names_nobody_asks_for_nothing(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses)
    nobody = order(ours, deliveries=[erasing.Delivery(transfer=ours.id)])
    assert await erasing.ordered(street.provider.context, nobody) == []
    assert await EvidenceStore(street.provider.store.engine).duties() == []


async def test_what_was_fetched_elsewhere_is_out_of_reach_and_said_so(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await started(street, sink=None)
    landing = Landing(street.consumer)
    await erasing.ordered(street.provider.context, order(ours))
    await settled(street)
    assert landing.told == []
    outcome = orjson.loads((await duty(street.provider)).outcome)
    assert outcome == {"erased": [], "outside": [{"transfer": theirs.id, "why": erasure.OUTSIDE}]}


async def test_a_buyer_that_was_never_met_is_greeted_and_told(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await started(street)
    Landing(street.consumer)
    (untold,) = await erasing.ordered(street.provider.context, order(ours))
    assert untold.told_at is None
    await settled(street)
    assert (await duty(street.provider)).state == "fulfilled"


async def test_what_is_not_attested_in_time_is_overdue_and_told_again(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses)
    street.consumer.erase = lambda _: {"erased": "not a list"}
    await erasing.ordered(street.provider.context, order(ours))
    await settled(street)
    store = EvidenceStore(street.provider.store.engine)
    assert await store.duties(overdue_at=street.now) == []
    street.now += 3_700_000
    assert [each.id for each in await store.duties(overdue_at=street.now)] == ["urn:order:1"]
    await settled(street)
    assert (await duty(street.provider)).state == "pending"
    Landing(street.consumer)
    street.now += DAY_MS
    await settled(street)
    done = await duty(street.provider)
    assert done.state == "fulfilled"
    assert (done.fulfilled_at or 0) > (done.due_at or 0)
    assert await store.duties(overdue_at=street.now) == []


async def test_an_attestation_is_verified_when_the_key_is_found(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses)
    Landing(street.consumer)
    witnesses.away = {CONSUMER, PROVIDER}
    await erasing.ordered(street.provider.context, order(ours))
    await settled(street)
    assert (await duty(street.provider)).state == "unverified"
    # Nobody's data are kept longer because the provider's key cannot be found.
    assert ((await duty(street.consumer)).state, (await duty(street.consumer)).thumbprint) == ("fulfilled", "unverified")
    witnesses.away = set()
    street.now += 120_000
    await settled(street)
    assert (await duty(street.provider)).state == "fulfilled"


# -- peers that lie ---------------------------------------------------------------------------------------------------


def sealed(witnesses: Witnesses, name: str, who: str, content: Document, key: Any = None) -> Document:
    raw = seal.seal(key or witnesses.keys[who], f"{who}#agreement-1", TYPES[name], content)
    return message(name, who, raw, hash(raw))


def notice(ours: Process, theirs: Process, **otherwise: Any) -> Document:
    names = {"agreementId": ours.subject, "provider": PROVIDER, "consumer": CONSUMER, "transfers": [theirs.id]}
    content = {"type": "ErasureNotice", "id": "urn:n:1", **names, "pseudonyms": ["x"], "deadline": "2030-01-01T00:00:00Z"}
    return {**content, **otherwise}


def attestation(asked: Duty, **otherwise: Any) -> Document:
    names = {"agreementId": asked.agreement, "provider": PROVIDER, "consumer": CONSUMER, "noticeDigest": asked.digest}
    return {"type": "ErasureAttestation", "id": "urn:t:1", "notice": asked.id, **names, "erased": [], "outside": [], **otherwise}


async def test_an_attestation_for_a_notice_never_sent_is_refused(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await started(street)
    (untold,) = await erasing.ordered(street.provider.context, order(ours))
    for asked in (Duty(**{**{name: getattr(untold, name) for name in untold.__slots__}, "id": "urn:order:2"}), untold):
        with pytest.raises(BadMessage, match="notice-unknown"):
            await street.provider.listen(sealed(witnesses, "ErasureAttestation", CONSUMER, attestation(asked)))
    assert (await duty(street.provider)).state == "pending"


@pytest.mark.parametrize("otherwise", [{"noticeDigest": "00"}, {"consumer": "did:web:other"}, {"agreementId": "urn:other"}])
async def test_an_attestation_about_something_else_is_refused(street: Street, witnesses: Witnesses, otherwise: Document) -> None:
    ours, _ = await fetched(street, witnesses)
    (asked,) = await erasing.ordered(street.provider.context, order(ours))
    with pytest.raises(BadMessage):
        await street.provider.listen(sealed(witnesses, "ErasureAttestation", CONSUMER, attestation(asked, **otherwise)))


async def test_an_attestation_of_another_key_fulfils_nothing(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses)
    street.consumer.erase = lambda _: {"erased": 0}
    (asked,) = await erasing.ordered(street.provider.context, order(ours))
    forged = sealed(witnesses, "ErasureAttestation", CONSUMER, attestation(asked), new_signing_key("ES256"))
    await street.provider.listen(forged)
    await settled(street)
    assert (await duty(street.provider)).state == "pending"
    assert "attestation refused" in await lines(street.provider, ours)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"transfers": ["urn:nobody"]},
        {"consumer": "did:web:other"},
        {"agreementId": "urn:other"},
        {"deadline": "soon"},
        {"transfers": []},
    ],
    ids=str,
)
async def test_a_notice_about_what_is_not_the_providers_is_refused(
    street: Street, witnesses: Witnesses, otherwise: Document
) -> None:
    ours, theirs = await fetched(street, witnesses)
    landing = Landing(street.consumer)
    with pytest.raises(BadMessage):
        await street.consumer.listen(sealed(witnesses, "ErasureNotice", PROVIDER, notice(ours, theirs, **otherwise)))
    await settled(street)
    assert landing.told == []


async def test_a_notice_of_another_key_erases_nothing(street: Street, witnesses: Witnesses) -> None:
    ours, theirs = await fetched(street, witnesses)
    landing = Landing(street.consumer)
    forged = sealed(witnesses, "ErasureNotice", PROVIDER, notice(ours, theirs), new_signing_key("ES256"))
    await street.consumer.listen(forged)
    await settled(street)
    assert landing.told == []
    assert (await duty(street.consumer)).state == "refused"


# -- the power goes off -----------------------------------------------------------------------------------------------


async def told(street: Street) -> None:
    """An order until it is attested; the data plane says it again until the control plane has it."""
    ours = await transfer_of(street.provider)
    provider = street.provider
    while not await provider.surviving(lambda: erasing.ordered(provider.context, order(ours))):
        pass
    while (await duty(provider)).state != "fulfilled":
        await settled(street)
        street.now += 130_000
    await settled(street)
    for house in street.houses.values():
        assert [each.state for each in await EvidenceStore(house.store.engine).duties()] == ["fulfilled"]
        assert await house.store.dead_letters() == []
        assert await house.store.next_timer() is None
    assert (await lines(provider, ours)).count("erasure attested") == 1


async def opened_street(folder: Path, name: str) -> Street:
    street = Street(Fuse())
    await street.open(folder, name)
    witnesses = Witnesses(street)
    await witnesses.move_in()
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[OFFER])
    await fetched(street, witnesses)
    Landing(street.consumer)
    return street


async def test_the_power_goes_off_around_every_commit_of_an_erasure(tmp_path: Path) -> None:
    street = await opened_street(tmp_path, "whole")
    before = street.fuse.count
    await told(street)
    commits = street.fuse.count - before
    await street.close()
    assert commits > 8
    for at in range(1, commits + 1):
        for after in (False, True):
            street = await opened_street(tmp_path, f"{at}-{after}")
            street.fuse.at, street.fuse.after = street.fuse.count + at, after
            await told(street)
            assert sum(house.cuts for house in street.houses.values()) == 1
            await street.close()


async def test_a_data_plane_that_refuses_is_told_again(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await fetched(street, witnesses)
    answer: Document = {"erased": 0}
    street.consumer.erase = lambda _: answer
    await erasing.ordered(street.provider.context, order(ours))
    await settled(street)
    assert ((await duty(street.consumer)).state, (await duty(street.consumer)).tries) == ("pending", 1)
    assert OVERDUE_ALARM in [timer.kind for timer in await street.provider.store.timers_due(street.now + DAY_MS)]
    answer = {"erased": [], "outside": [{"transfer": "x", "why": "moved away"}]}
    street.now += 120_000
    await settled(street)
    assert (await duty(street.provider)).state == "fulfilled"
