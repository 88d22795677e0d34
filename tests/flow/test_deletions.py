"""Duties of an agreement to delete: whole files go in time or at their event, both sides know it, and use has ended then."""

from __future__ import annotations

import orjson
import pytest

from connector.flow import begin, erasure, publish
from connector.flow.data_requests import decide_request
from connector.flow.owed import OVERDUE_ALARM, deletions
from connector.protocol.errors import Conflict
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind, State
from connector.store.evidence import EvidenceStore
from tests.flow.house import DATASET, OFFER, Street
from tests.flow.test_erasures import DAY_MS, Landing, duty
from tests.flow.test_receipts import CONSUMER, PROVIDER
from tests.flow.witnesses import Witnesses, settled, started, transfer_of


@pytest.fixture
async def witnesses(street: Street) -> Witnesses:
    found = Witnesses(street)
    await found.move_in()
    return found


def with_deletion(*constraints: Document) -> Document:
    rule: Document = {"action": "odrl:delete", **({"constraint": list(constraints)} if constraints else {})}
    return {**OFFER, "permission": [{"action": "use", "duty": [rule]}]}


AFTER_A_DAY: Document = {
    "leftOperand": "odrl:elapsedTime",
    "operator": "lteq",
    "rightOperand": {"@value": "P1D", "@type": "xsd:duration"},
}


async def agreed(street: Street, offer: Document) -> tuple[Process, Process]:
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[offer])
    return await started(street, offer)


async def test_what_an_agreement_says_is_deleted_whole_and_attested_in_time(street: Street, witnesses: Witnesses) -> None:
    _, theirs = await agreed(street, with_deletion(AFTER_A_DAY))
    landing = Landing(street.consumer)
    owed, expected = await duty(street.consumer), await duty(street.provider)
    assert (owed.kind, owed.state, owed.id, owed.due_at) == ("delete", "pending", expected.id, expected.due_at)
    street.now += DAY_MS - 4_000_000
    await settled(street)
    assert landing.told == []
    street.now = (owed.due_at or 0) - 3_500_000
    await settled(street)
    (told,) = landing.told
    assert (told["transfers"], told["whole"]) == ([theirs.id], True)
    assert [(await duty(house)).state for house in street.houses.values()] == ["fulfilled", "fulfilled"]
    left = await street.provider.store.timers_due(street.now + 9 * DAY_MS)
    assert [timer.kind for timer in left if timer.kind.startswith("duty")] == []


async def test_a_deletion_without_a_moment_waits_for_its_event(street: Street, witnesses: Witnesses) -> None:
    await agreed(street, with_deletion())
    Landing(street.consumer)
    waiting = await duty(street.consumer)
    assert (waiting.state, waiting.due_at, waiting.overdue(street.now + DAY_MS)) == ("waiting", None, False)
    await erasure.happened(street.consumer.context, PROVIDER, "consumer", waiting.id)
    await settled(street)
    assert (await duty(street.provider)).state == "fulfilled"


async def test_what_was_deleted_is_not_delivered_again(street: Street, witnesses: Witnesses) -> None:
    ours, _ = await agreed(street, with_deletion())
    Landing(street.consumer)
    assert (await decide_request(street.provider.context, ours.id, None)).permitted
    await erasure.happened(street.consumer.context, PROVIDER, "consumer", (await duty(street.consumer)).id)
    await settled(street)
    after = await transfer_of(street.provider)
    assert (after.id, after.state) == (ours.id, State.TERMINATED)
    await begin.request_transfer(street.consumer.context, agreement_id=ours.subject)
    await settled(street)
    refused = (await street.consumer.store.processes(Kind.TRANSFER))[-1]
    assert refused.detail.refusal is not None
    assert (refused.state, refused.detail.refusal.code) == (State.TERMINATED, "use-ended")
    assert "as you have attested" in str(refused.detail.refusal.reason)


async def test_a_provider_expects_a_deletion_after_its_event(street: Street, witnesses: Witnesses) -> None:
    await agreed(street, with_deletion())
    expected = await duty(street.provider)
    said = await erasure.happened(street.provider.context, CONSUMER, "provider", expected.id)
    assert (said.state, orjson.loads(said.content)) == ("pending", {"happenedAt": said.updated_at})
    (timer,) = [each for each in await street.provider.store.timers_due(street.now + DAY_MS) if each.kind == OVERDUE_ALARM]
    assert timer.due_at == (said.due_at or 0) + 1
    with pytest.raises(Conflict):
        await erasure.happened(street.provider.context, CONSUMER, "provider", expected.id)


async def test_a_deletion_that_is_not_attested_is_overdue(street: Street, witnesses: Witnesses) -> None:
    await agreed(street, with_deletion(AFTER_A_DAY))
    street.consumer.erase = lambda _: {"erased": 0}
    street.now += 2 * DAY_MS
    await settled(street)
    found = await EvidenceStore(street.provider.store.engine).duties(overdue_at=street.now)
    assert [each.kind for each in found] == ["delete"]


@pytest.mark.parametrize(
    ("constraint", "due_at"),
    [
        (AFTER_A_DAY, 1_767_225_600_000 + DAY_MS),
        ({**AFTER_A_DAY, "leftOperand": "odrl:delayPeriod"}, 1_767_225_600_000 + DAY_MS),
        (
            {
                "leftOperand": "odrl:dateTime",
                "operator": "lt",
                "rightOperand": {"@value": "2026-02-01T00:00:00Z", "@type": "xsd:dateTime"},
            },
            1_769_904_000_000,
        ),
        ({"leftOperand": "odrl:event", "operator": "lt", "rightOperand": "urn:event:end"}, None),
    ],
)
def test_the_moment_of_a_deletion_is_the_one_that_its_terms_name(constraint: Document, due_at: int | None) -> None:
    terms = {name: value for name, value in with_deletion(constraint).items() if name != "@id"}
    agreement = {"@id": "urn:a", "@type": "Agreement", "target": "urn:d", "timestamp": "2026-01-01T00:00:00Z", **terms}
    assert list(deletions(agreement)) == [("/permission/0/duty/0", due_at)]
