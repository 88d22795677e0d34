"""Nothing that a peer or a person has written gets into a leaf: whatever it is, wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.flow import acts, begin, deciding, leaves_standing, publish
from connector.flow.context import Note
from connector.flow.leaves import held, letter_ended, letter_queued, letter_received, of_decision, of_note
from connector.flow.leaves_evidence import of_duty, of_receipt
from connector.identity.participants import Admission, Claims, Participant, Profile
from connector.log.leaf import MAX_LEAF_BYTES, Draft, SealedPayload, leaf_of
from connector.protocol import messages as dsp
from connector.protocol import process as core
from connector.protocol.errors import CarnetError
from connector.protocol.messages import Document
from connector.protocol.record import Decision, Detail, Ended, KeepAgreement, Process, Remark, SettleAgreement
from connector.protocol.states import Kind, Message, Role, State
from connector.store.evidence import Duty, Receipt
from connector.store.rows import Agreement, Outgoing, Published
from tests.flow.house import OFFER, Street
from tests.flow.recording import SALT, record, told
from tests.flow.test_acceptance import rest
from tests.flow.test_inbound import deciding as by_hand

MARK = "KANARI"
NUMBER = 4_915_112_345_678
ID = "urn:uuid:00000000-0000-4000-8000-000000000001"
PAYLOAD = SealedPayload("ab" * 32, "cd" * 32, b"")
# The mark stands in each of them, so that none is in a leaf by chance.
canaries = st.builds(lambda before, after: f"{before}{MARK}{after}", st.text(max_size=12), st.text(max_size=12))
reasons = st.lists(st.one_of(canaries, st.dictionaries(canaries, canaries, max_size=2)), max_size=3)
roles = st.sampled_from(Role)


def silent(drafts: Iterator[Draft] | list[Draft]) -> list[bytes]:
    """The leaves of these drafts; none of them has a mark in it."""
    made = [leaf_of(draft, ID, 1_700_000_000_000, SALT, PAYLOAD if draft.payload is not None else None) for draft in drafts]
    for leaf in made:
        assert MARK.encode() not in leaf.upper()
        assert str(NUMBER).encode() not in leaf
        assert len(leaf) < 2000 < MAX_LEAF_BYTES
    return made


@st.composite
def processes(draw: st.DrawFn, kind: Kind) -> Process:
    """A process of which everything that another has said has a mark in it."""
    offer: Document = {"@id": draw(canaries), "target": draw(canaries), "permission": [{"action": draw(canaries)}]}
    ended = Ended(by=draw(roles), code=draw(canaries), reason=draw(reasons))
    detail = Detail(
        offer=offer,
        agreement={**offer, "@id": draw(canaries)} if draw(st.booleans()) else None,
        redline=[{"sentence": draw(canaries)}],
        dataset=draw(canaries),
        ended=ended if draw(st.booleans()) else None,
        refusal=ended if draw(st.booleans()) else None,
    )
    return Process(
        id=ID,
        kind=kind,
        role=draw(roles),
        state=draw(st.sampled_from(State)),
        counterparty=draw(canaries),
        peer_address=draw(canaries),
        correlation_id=draw(canaries),
        subject=draw(canaries),
        created_at=1,
        updated_at=2,
        detail=detail,
        peer_pid=draw(canaries),
        awaiting=draw(st.one_of(st.none(), st.sampled_from(Message))),
        awaiting_id=ID,
    )


MESSAGES = {
    Kind.NEGOTIATION: (Message.REQUEST, Message.OFFER, Message.AGREEMENT, Message.VERIFICATION, Message.TERMINATION),
    Kind.TRANSFER: (Message.REQUEST, Message.START, Message.SUSPENSION, Message.COMPLETION, Message.TERMINATION),
}


@given(st.data(), st.sampled_from(Kind))
def test_of_any_message_and_what_follows_from_it(data: st.DataObject, kind: Kind) -> None:
    process, before = data.draw(processes(kind)), data.draw(processes(kind))
    document = {"@type": data.draw(canaries), data.draw(canaries): data.draw(canaries), "dataAddress": data.draw(canaries)}
    message = data.draw(st.sampled_from(MESSAGES[kind]))
    what = data.draw(st.sampled_from(["received", "refused", "acknowledged", "was refused", "was not answered", "sent"]))
    note = Note(what, message, data.draw(canaries), data.draw(canaries), document)
    said = data.draw(canaries)
    remark = Remark("approved", said, "approved", said, (said,))
    agreement = {"@id": data.draw(canaries), data.draw(canaries): data.draw(canaries)}
    effects = (remark, KeepAgreement(agreement), SettleAgreement(binding=data.draw(st.booleans())))
    made = silent([*of_decision(data.draw(st.sampled_from([None, before])), Decision(process, effects), note)])
    assert len(made) >= 3
    if what != "sent":
        silent([of_note(process, note)])


@given(st.data(), st.sampled_from(Kind), roles)
def test_of_what_the_table_lets_in(data: st.DataObject, kind: Kind, role: Role) -> None:
    """The way of a message through the core: a termination, whose words are the other side's own, in any state."""
    process = replace(data.draw(processes(kind)), role=role, awaiting=None, awaiting_id=None)
    make: Any = dsp.ContractNegotiationTerminationMessage if kind is Kind.NEGOTIATION else dsp.TransferTerminationMessage
    provider, consumer = process.pids
    code, why = data.draw(canaries), data.draw(reasons)
    message = make(id=data.draw(canaries), provider_pid=provider, consumer_pid=consumer, code=code, reason=why)
    try:
        decision = core.receive(process, message, "d", 3)
    except CarnetError:
        return
    note = Note("received", Message.TERMINATION, message.id, document=dsp.document_of(message))
    silent([*of_decision(process, decision, note)])


@given(st.data(), roles)
def test_of_receipts_and_erasures(data: st.DataObject, role: Role) -> None:
    drawn = {name: data.draw(canaries) for name in ("id", "counterparty", "agreement", "signed", "answer", "thumbprint", "why")}
    content = {"rows": NUMBER, "bytes": drawn["why"], "meters": {"vehicles": NUMBER}, "vehicleIndex": {"sha256": drawn["why"]}}
    receipt = Receipt(
        transfer=ID,
        id=drawn["id"],
        role="provider",
        counterparty=drawn["counterparty"],
        agreement=drawn["agreement"],
        state=data.draw(st.sampled_from(["received", "unverified", "invalid", "countersigned", "disputed"])),
        content=orjson.dumps(content).decode(),
        signed=drawn["signed"],
        created_at=1,
        updated_at=2,
        answer=drawn["answer"],
        thumbprint=drawn["thumbprint"],
    )
    silent([of_receipt(receipt), of_receipt(receipt, keys=[{"kid": drawn["why"]}])])
    duty = Duty(
        counterparty=drawn["counterparty"],
        role=role.value,
        id=drawn["id"],
        kind=data.draw(st.sampled_from(["erase", "delete"])),
        agreement=drawn["agreement"],
        state="pending",
        digest=drawn["why"],
        content=orjson.dumps({"pseudonyms": [drawn["why"]], "references": [drawn["id"]], "reason": drawn["why"]}).decode(),
        due_at=5,
        created_at=1,
        updated_at=2,
        notice=drawn["signed"],
        attestation=drawn["answer"],
        outcome=orjson.dumps({"erased": [{"file": drawn["why"]}], "outside": []}).decode(),
    )
    silent([of_duty(duty, stage, 3, drawn["why"]) for stage in ("ordered", "received", "refused")])


@given(st.data())
def test_of_letters_participants_offers_and_keys(data: st.DataObject) -> None:
    texts = data.draw(st.lists(canaries, min_size=4, max_size=4))
    body = orjson.dumps({"@type": "Hello", "messageId": texts[0], "features": texts}).decode()
    letter = Outgoing(texts[0], texts[1], "peer", texts[2], "", "Hello", texts[3], body, texts[0], 1, 2, 3)
    silent([letter_queued(letter), letter_ended(letter, "refused", 5, texts[1])])
    silent([letter_received(texts[0], {"@type": "Hello", "messageId": texts[1], texts[2]: texts[3]}, 1)])
    profile = Profile(addresses=(texts[0],), keys=({"kid": texts[1]},))
    claims = Claims(sector=texts[2], membership=(texts[3],))
    entry = Participant(
        id=texts[0], state=Admission.EXPELLED, profile=profile, claims=claims, vouched_by=texts[1], reason=texts[2]
    )
    silent([leaves_standing.of_participant(None, entry)])
    dataset = Published(texts[0], orjson.dumps({"hasPolicy": [{"@id": texts[1]}]}).decode(), texts[2], 1)
    silent([leaves_standing.of_offer(dataset, "published", 1)])
    silent([held(Agreement(texts[0], texts[1], "provider", texts[2], texts[3], orjson.dumps(texts).decode(), "binding", 1, 1))])
    key = {"use": "oauth", "kid": texts[0], "thumbprint": "A" * 43, "algorithm": "ES256", "since": 1, "rotatedAt": 2}
    key |= {"revokedAt": 3, "reason": texts[1], "certificate": texts[2]}
    silent([draft for _, draft in leaves_standing.of_keys([key])])


@pytest.mark.parametrize("ends", ["approved", "rejected", "terminated"])
async def test_of_a_whole_story(street: Street, ends: str) -> None:
    """Everything that anybody can choose has the mark."""
    dataset, offer = f"urn:dataset:{MARK}", {**OFFER, "@id": f"urn:offer:{MARK}"}
    await publish.publish(street.provider.context, dataset, title=MARK, source=f"{MARK}.csv", offers=[offer])
    await record(street)
    by_hand(street.provider, decide=False)
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset=dataset, offer=offer)
    await rest(street)
    process = await street.provider.only(Kind.NEGOTIATION)
    assert process is not None
    context = street.provider.context
    if ends == "approved":
        await deciding.approve(context, process.id, MARK)
    elif ends == "rejected":
        await deciding.reject(context, process.id, MARK)
    else:
        await acts.terminate(context, process.id, MARK, [{MARK: MARK}])
    await rest(street)
    for house in street.houses.values():
        found = await told(house)
        assert any(MARK in str(each.payload) for each in found)
        for each in found:
            text = str(each.said)
            assert MARK not in text
            assert "did:web" not in text
            assert process.peer_pid is None or house is street.consumer or process.peer_pid not in text
