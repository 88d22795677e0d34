"""What the contract log is told of participants, offers, our own keys, and dead letters."""

from __future__ import annotations

from pathlib import Path

from connector.flow import key_changes, letters, peer, publish, standing
from connector.identity import keyfiles
from connector.identity.keys import Use
from connector.identity.participants import Claims
from connector.identity.roster import ProfileChange
from connector.settings.model import PeerSettings
from tests.flow.house import DATASET, LEASE_MS, OFFER, Street
from tests.flow.leaf_table import check
from tests.flow.recording import lines, record, told
from tests.flow.test_acceptance import rest
from tests.flow.test_standing import entry
from tests.identity.entries import CITY

OTHER = {"@id": "urn:offer:other", "permission": [{"action": "odrl:read"}]}


async def test_a_participant_comes_and_goes(street: Street) -> None:
    await record(street)
    context = street.provider.context
    await standing.add(context, entry())
    await standing.admit(context, CITY, vouched_by="the board", claims=Claims(kind="sme"))
    await standing.update(context, CITY, claims=Claims(kind="public-body"), vouched_by="the mayor")
    await standing.update(context, CITY, profile=ProfileChange(addresses=("https://city.example",)))
    await standing.suspend(context, CITY, "invoice 7 is open")
    await standing.expel(context, CITY, "invoice 8 is open")
    documents = await standing.export(context)
    await standing.import_(context, documents)
    await standing.admit(context, CITY, vouched_by="us", again=True)
    await check(street, "a participant comes and goes")
    found = await told(street.provider)
    assert [each.payload["claims"] for each in found[:3]] == [{}, {"kind": "sme"}, {"kind": "public-body"}]
    assert (found[4].payload["reason"], found[2].payload["vouchedBy"]) == ("invoice 7 is open", "the mayor")
    assert len({each.said["party"] for each in found}) == 1


async def test_whom_the_settings_name_is_entered_once(street: Street) -> None:
    await record(street)
    context = street.provider.context
    peers = [PeerSettings(id=CITY, addresses=("https://city.example",))]
    for _ in range(2):
        await standing.settle(context, lambda tell: context.registry.settle(peers, None, tell))
    moved = [PeerSettings(id=CITY, addresses=("https://elsewhere.example",))]
    await standing.settle(context, lambda tell: context.registry.settle(moved, None, tell))
    await check(street, "whom the settings name is entered once")


async def test_what_is_on_offer(street: Street) -> None:
    await record(street)
    context = street.provider.context
    for offers in ([OFFER], [OFFER, OTHER], [OFFER, OTHER]):
        await publish.publish(context, DATASET, title="Trips", source="trips.csv", offers=offers)
    await publish.withdraw(context, DATASET)
    await publish.publish(context, DATASET, title="Trips", source="trips.csv", offers=[OFFER])
    await publish.publish(context, "urn:dataset:2", title="More", source="more.csv", offers=[OTHER | {"@id": "urn:offer:2"}])
    await check(street, "what is on offer")
    found = await told(street.provider)
    assert [each.said["offers"] for each in found] == [2, 2, 1, 1]
    assert [offer["@id"] for offer in found[0].payload["offers"]] == ["urn:offer:trips", "urn:offer:other"]
    assert len({each.said["asset"] for each in found}) == 2


async def test_our_keys_are_told_once(street: Street, tmp_path: Path) -> None:
    await record(street)
    context, folder = street.provider.context, tmp_path / "keys"
    ring = keyfiles.ensure_keys(folder, context.participant_id, {}, 24, street.now)
    for _ in range(2):
        await key_changes.tell(context, ring.listing())
    old = ring.current(Use.OAUTH)
    made = keyfiles.rotate(folder, Use.OAUTH, street.now_ms())
    keyfiles.revoke(folder, old.kid, street.now_ms(), "it was shown in a talk")
    await key_changes.tell(context, keyfiles.load_keys(folder, {}, 24).listing())
    await check(street, "our keys are told once")
    found = await told(street.provider)
    assert {each.said.get("thumbprint") for each in found} == {None, *ring.thumbprints.values(), made.thumbprint}
    (revoked,) = [each for each in found if each.said["change"] == "revoked"]
    assert (revoked.said["thumbprint"], revoked.payload["reason"]) == (old.thumbprint, "it was shown in a talk")


async def test_without_a_log_no_key_counts_as_told(street: Street, tmp_path: Path) -> None:
    listing = keyfiles.ensure_keys(tmp_path / "keys", "did:web:provider", {}, 24, street.now).listing()
    await key_changes.tell(street.provider.context, listing)
    await record(street)
    await key_changes.tell(street.provider.context, listing)
    assert len(await lines(street.provider, "key")) == len(Use)


async def test_a_dead_letter(street: Street) -> None:
    await record(street)
    context, store = street.consumer.context, street.consumer.store
    message_id = await peer.hello(context, "did:web:provider")
    (message,) = await store.claim("wire", street.now_ms() + LEASE_MS, street.now + 2 * LEASE_MS, 1)
    for _ in range(2):
        await letters.buried(context, message, "given-up", "no answer")
    await letters.retry(context, message_id)
    for _ in range(2):
        await letters.buried(context, message, "refused", "not here")
    await letters.give_up(context, message_id)
    await letters.delivered(context, message)
    await check(street, "a dead letter")
    assert [each.payload.get("note") for each in await told(street.consumer)] == [
        None,
        "no answer",
        letters.AGAIN,
        "not here",
        letters.GIVEN_UP,
    ]


async def test_a_greeting(street: Street) -> None:
    await record(street)
    await peer.hello(street.consumer.context, "did:web:provider")
    await rest(street)
    await check(street, "a greeting")
