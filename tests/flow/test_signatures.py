"""Agreements signed by both: exchanged when they bind, verified, disputed or labelled; and peers that lie or cannot sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from catalog.canonical import canonical_bytes
from connector.flow import acts, begin, envelope, peer, signatures, timers
from connector.flow.seals import SIGNATURES, Seals, signature_timer
from connector.identity import jades
from connector.identity.signing import SigningKey, new_signing_key
from connector.log.leaf import Draft
from connector.protocol.errors import BadMessage
from connector.protocol.messages import Document
from connector.protocol.states import Kind, Role
from connector.store import writes
from connector.store.engine import Statement
from connector.store.rows import Agreement
from connector.store.signatures import AgreementSignature, SignatureStore
from tests.flow.house import DATASET, OFFER, House, Street
from tests.flow.witnesses import Witnesses, settled

CONSUMER, PROVIDER = "did:web:consumer", "did:web:provider"


@pytest.fixture
async def witnesses(street: Street) -> Witnesses:
    found = Witnesses(street)
    await found.move_in(certified=True)
    return found


async def agreed(street: Street) -> str:
    """A contract between the two houses; its agreement's id."""
    negotiation = await begin.request_contract(street.consumer.context, counterparty=PROVIDER, dataset=DATASET, offer=OFFER)
    await settled(street)
    found = await street.consumer.store.agreement_of(negotiation.id)
    assert found is not None
    assert found.state == "binding"
    return found.id


async def agreement_in(house: House, agreement: str) -> Agreement:
    found = await house.store.agreement(agreement, f"did:web:{house.peer_role.value}", house.role)
    assert found is not None
    return found


async def row(house: House, agreement: str) -> AgreementSignature:
    found = await SignatureStore(house.store.engine).signature(agreement, f"did:web:{house.peer_role.value}", house.role.value)
    assert found is not None
    return found


async def told(house: House, agreement: str) -> list[str]:
    """What the timeline of the negotiation says of signatures."""
    kept = await agreement_in(house, agreement)
    return [line.what for line in await house.store.timeline(kept.negotiation_id) if line.what.startswith("agreement s")]


async def test_both_sign_the_same_bytes_when_the_agreement_binds(street: Street, witnesses: Witnesses) -> None:
    agreement = await agreed(street)
    documents = []
    for house in street.houses.values():
        kept = await row(house, agreement)
        assert (kept.state, kept.disputed, kept.refused) == ("countersigned", "", "")
        assert await told(house, agreement) == ["agreement signed by us", "agreement signed by both"]
        assert await house.store.dead_letters() == []
        documents.append(signatures.document_of(kept))
    assert documents[0] == documents[1]
    found = jades.opened(orjson.dumps(documents[0]))
    assert found.content == (await agreement_in(street.consumer, agreement)).document.encode()
    assert [claim.kid for claim in found.claims] == [f"{PROVIDER}#agreement-1", f"{CONSUMER}#agreement-1"]
    for who in (PROVIDER, CONSUMER):
        (claim,) = found.of(who)
        key = await witnesses.key_of(who, claim.kid)
        assert jades.verify(claim, who, key, street.now // 1000) == witnesses.keys[who].thumbprint


async def test_messages_that_come_twice_and_timers_that_fire_again_change_nothing(street: Street, witnesses: Witnesses) -> None:
    sent: set[str] = set()

    def once(message: Any) -> bool:
        first = message.id not in sent
        sent.add(message.id)
        return first

    street.consumer.lost = street.provider.lost = once
    agreement = await agreed(street)
    before = [await row(house, agreement) for house in street.houses.values()]
    for house in street.houses.values():
        timer = signature_timer("urn:again", f"did:web:{house.peer_role.value}", house.role.value, agreement, street.now)
        await house.store.commit([writes.insert_timer(timer)])
    await settled(street)
    assert [await row(house, agreement) for house in street.houses.values()] == before
    assert await told(street.provider, agreement) == ["agreement signed by us", "agreement signed by both"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(20, 56, 3))
async def test_a_power_cut_between_any_two_commits_leaves_both_signatures(street: Street, at: int, *, after: bool) -> None:
    await Witnesses(street).move_in(certified=True)
    await begin.request_contract(street.consumer.context, counterparty=PROVIDER, dataset=DATASET, offer=OFFER)
    street.fuse.count, street.fuse.at, street.fuse.after = 0, at, after
    await settled(street)
    street.now += timers.ASIDE_MS
    await settled(street)
    (kept,) = await street.consumer.store.agreements()
    assert {(await row(house, kept.id)).state for house in street.houses.values()} == {"countersigned"}


async def test_a_key_that_cannot_be_found_now_delays_and_drops_nothing(street: Street, witnesses: Witnesses) -> None:
    witnesses.away = {CONSUMER}
    agreement = await agreed(street)
    kept = await row(street.provider, agreement)
    assert (kept.state, kept.tries) == ("unverified", 1)
    assert len(signatures.document_of(kept)["signatures"]) == 1
    assert (await row(street.consumer, agreement)).state == "countersigned"
    witnesses.away = set()
    street.now += 3_600_000
    await settled(street)
    assert (await row(street.provider, agreement)).state == "countersigned"


async def test_who_never_has_a_key_stays_unverified(
    street: Street, witnesses: Witnesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signatures, "MAX_TRIES", 2)
    witnesses.away = {CONSUMER}
    agreement = await agreed(street)
    for _ in range(3):
        street.now += 30_000_000
        await settled(street)
    assert ((await row(street.provider, agreement)).state, (await row(street.provider, agreement)).tries) == ("unverified", 2)
    assert await street.provider.store.timers_due(street.now + 10**12) == []


# -- peers that cannot sign -------------------------------------------------------------------------------------------


async def without_signatures(house: House) -> None:
    house.seals = replace(house.seals, certificate=lambda: "")
    await house.engine.close()
    await house.open()


async def test_a_peer_that_signs_nothing_is_not_disturbed_and_the_evidence_is_called_weaker(
    street: Street, witnesses: Witnesses
) -> None:
    await without_signatures(street.provider)
    agreement = await agreed(street)
    kept = await row(street.consumer, agreement)
    assert (kept.state, kept.told_at) == ("own-only", None)
    assert await told(street.consumer, agreement) == ["agreement signed by us"]
    assert await street.consumer.store.dead_letters() == []
    assert await SignatureStore(street.provider.store.engine).signatures([agreement]) == []
    again = await agreed(street)
    assert (await row(street.consumer, again)).state == "own-only"


async def test_what_waited_is_sent_when_a_peer_learns_to_sign(street: Street, witnesses: Witnesses) -> None:
    before = street.provider.seals
    await without_signatures(street.provider)
    agreement = await agreed(street)
    street.provider.seals = before
    await street.provider.engine.close()
    await street.provider.open()
    await peer.hello(street.provider.context, CONSUMER)
    await settled(street)
    # The provider signs when it is shown ours: the agreement binds it as it binds us.
    for house in street.houses.values():
        assert (await row(house, agreement)).state == "countersigned"


async def test_a_signature_that_is_too_long_to_be_sent_is_kept(
    street: Street, witnesses: Witnesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signatures, "SIGNED_MAX_CHARS", 100)
    agreement = await agreed(street)
    for house in street.houses.values():
        kept = await row(house, agreement)
        assert kept.state == "own-only"
        assert len(signatures.document_of(kept)["signatures"]) == 1
        assert await house.store.dead_letters() == []


# -- peers that lie ---------------------------------------------------------------------------------------------------


def message(signed: str, number: int = 1, sender: str = CONSUMER) -> Document:
    """A peer message as it is sent."""
    head = {
        "@context": [envelope.CONTEXT],
        "@type": signatures.MESSAGE,
        "messageId": f"urn:lie:{number}",
        "participantId": sender,
    }
    return {**head, "protocol": "2025-1", "issuedAt": "2026-01-01T00:00:00Z", "signed": signed}


async def lied(street: Street, signed: str, number: int = 1) -> str:
    """What the provider answers to such a message of the consumer: the code of the refusal, or nothing."""
    try:
        await street.provider.listen(message(signed, number))
    except BadMessage as refused:
        return refused.code
    await settled(street)
    return ""


def by(witnesses: Witnesses, content: bytes, at_ms: int, key: SigningKey | None = None, who: str = CONSUMER) -> str:
    """A signature of the consumer's."""
    key, kid = key or witnesses.keys[who], f"{who}#agreement-1"
    pem = witnesses.certificate(key, who) if key is not witnesses.keys[who] else witnesses.certificates[who]
    return jades.compact(content, jades.signed(content, key, kid, pem, at_ms // 1000))


async def alone(street: Street, witnesses: Witnesses) -> tuple[str, bytes]:
    """An agreement that only the provider has signed so far, and its bytes."""
    await without_signatures(street.consumer)
    agreement = await agreed(street)
    return agreement, (await agreement_in(street.provider, agreement)).document.encode()


async def test_other_words_are_a_dispute_and_a_good_signature_ends_it(street: Street, witnesses: Witnesses) -> None:
    agreement, content = await alone(street, witnesses)
    other = canonical_bytes({**orjson.loads(content), "timestamp": "2030-01-01T00:00:00Z"})
    lie = by(witnesses, other, street.now)
    assert await lied(street, lie, 1) == ""
    kept = await row(street.provider, agreement)
    assert (kept.state, kept.theirs, kept.disputed) == ("disputed", "", lie)
    assert (await told(street.provider, agreement))[-1] == "agreement signature disputed"
    assert jades.opened(orjson.dumps(signatures.dispute_of(kept))).content == other
    assert len(signatures.document_of(kept)["signatures"]) == 1
    assert await lied(street, lie, 2) == ""
    more = by(witnesses, canonical_bytes({**orjson.loads(content), "timestamp": "2031"}), street.now)
    assert await lied(street, more, 3) == "agreement-disputed"
    assert await lied(street, by(witnesses, content, street.now, new_signing_key("ES256", "x")), 4) == ""
    assert (await row(street.provider, agreement)).state == "disputed"
    assert await lied(street, by(witnesses, content, street.now), 5) == ""
    kept = await row(street.provider, agreement)
    assert (kept.state, kept.disputed) == ("countersigned", lie)


async def test_a_good_signature_is_never_overwritten(street: Street, witnesses: Witnesses) -> None:
    agreement = await agreed(street)
    before = await row(street.provider, agreement)
    content = (await agreement_in(street.provider, agreement)).document.encode()
    assert await lied(street, by(witnesses, content, street.now), 1) == ""
    assert (
        await lied(street, by(witnesses, canonical_bytes({**orjson.loads(content), "x": 1}), street.now), 2) == "agreement-signed"
    )
    assert await row(street.provider, agreement) == before


async def test_a_signature_that_does_not_hold_changes_nothing_but_the_timeline(street: Street, witnesses: Witnesses) -> None:
    agreement, content = await alone(street, witnesses)
    stranger = new_signing_key("ES256", "stranger")
    for number in (1, 2):
        assert await lied(street, by(witnesses, content, street.now, stranger), number) == ""
        kept = await row(street.provider, agreement)
        assert (kept.state, kept.theirs, kept.refused) == ("signed", "", "agreement-certificate")
    assert (await told(street.provider, agreement)).count("agreement signature refused") == 1


async def test_what_is_about_no_agreement_of_theirs_is_refused(street: Street, witnesses: Witnesses) -> None:
    agreement, content = await alone(street, witnesses)
    said = orjson.loads(content)
    unknown = canonical_bytes({**said, "@id": "urn:else"})
    assert await lied(street, by(witnesses, unknown, street.now), 1) == "agreement-unknown"
    assert await lied(street, by(witnesses, b"{}", street.now), 2) == "agreement-unknown"
    assert await lied(street, by(witnesses, content, street.now, who=PROVIDER), 3) == "agreement-signer"
    assert await lied(street, by(witnesses, canonical_bytes({**said, "@id": "a\0"}), street.now), 4) == "text-invalid"
    assert await lied(street, "a.b.c", 5) == "agreement-encoding"
    assert await lied(street, "e30.e30.AA", 6) == "agreement-header"
    assert (await row(street.provider, agreement)).theirs == ""
    await without_signatures(street.provider)
    assert await lied(street, by(witnesses, content, street.now), 7) == "agreement-unknown"


async def test_a_signature_that_comes_before_the_agreement_binds_waits_for_that(street: Street, witnesses: Witnesses) -> None:
    street.provider.context = replace(street.provider.context, choices=replace(street.provider.context.choices, decide=False))
    await begin.request_contract(street.consumer.context, counterparty=PROVIDER, dataset=DATASET, offer=OFFER)
    await settled(street)
    negotiation = await street.provider.only(Kind.NEGOTIATION)
    assert negotiation is not None
    await acts.agree(street.provider.context, negotiation.id)
    await settled(street)
    (pending,) = await street.provider.store.agreements()
    assert pending.state == "pending"
    assert await lied(street, by(witnesses, pending.document.encode(), street.now)) == ""
    kept = await row(street.provider, pending.id)
    assert (kept.state, kept.own, signatures.document_of(kept)) == ("unverified", "", {})
    await acts.finalize(street.provider.context, negotiation.id)
    await settled(street)
    for house in street.houses.values():
        assert (await row(house, pending.id)).state == "countersigned"


# -- the log ----------------------------------------------------------------------------------------------------------


class Notebook:
    """A journal that keeps what it is told."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []

    async def leaves(self, drafts: Sequence[Draft]) -> list[Statement]:
        self.drafts += [each for each in drafts if each.type == "signature"]
        return []

    def queued(self) -> None:
        """Nothing."""


async def test_the_log_is_told_of_each_signature_with_the_document(street: Street, witnesses: Witnesses) -> None:
    book = Notebook()
    street.provider.context = replace(street.provider.context, journal=book)
    agreement = await agreed(street)
    kept = await row(street.provider, agreement)
    ours, both = book.drafts
    assert ours.members == {
        "by": "provider",
        "role": "provider",
        "evidence": "signed",
        "thumbprint": witnesses.keys[PROVIDER].thumbprint,
    }
    assert both.members == {
        "by": "consumer",
        "role": "provider",
        "evidence": "countersigned",
        "thumbprint": witnesses.keys[CONSUMER].thumbprint,
    }
    for draft in (ours, both):
        assert (draft.party, draft.agreement, draft.asset) == (CONSUMER, agreement, DATASET)
    assert both.payload is not None
    assert both.payload["jws"] == signatures.document_of(kept)


async def test_an_agreement_that_is_held_without_a_negotiation_is_signed_when_its_other_party_does(
    street: Street, witnesses: Witnesses
) -> None:
    book, held = Notebook(), "urn:agreement:held"
    street.provider.context = replace(street.provider.context, journal=book)
    await begin.hold_agreement(
        street.provider.context, agreement_id=held, dataset=DATASET, counterparty=CONSUMER, role=Role.PROVIDER
    )
    content = canonical_bytes(orjson.loads((await agreement_in(street.provider, held)).document))
    assert await lied(street, by(witnesses, content, street.now)) == ""
    assert (await row(street.provider, held)).state == "countersigned"
    assert [draft.process for draft in book.drafts] == ["", ""]


def test_only_who_has_a_certified_key_says_that_it_signs() -> None:
    key = new_signing_key("ES256", "a")
    assert SIGNATURES not in Seals(own=lambda: (key, "a")).features()
    assert SIGNATURES in Seals(own=lambda: (key, "a"), certificate=lambda: "pem").features()
    assert Seals(certificate=lambda: "pem").features() == []
