"""Whom a person asks: all that is known of a vehicle, and what is left when its key, or that of a participant, is erased."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from connector.flow import begin, subjects
from connector.flow.context import Context
from connector.log.payloads import Payloads
from connector.log.persons import LogPersons
from connector.log.subjects import SubjectKeys
from connector.log.vehicle_index import subject_name
from connector.protocol.errors import CallerError, Conflict
from connector.protocol.messages import Document
from tests.flow.house import DATASET, OFFER, Street
from tests.flow.test_acceptance import rest
from tests.flow.test_told_leaves import PROCESS, Book

CONSUMER, VIN = "did:web:consumer", "WVWZZZ1JZXW000042"


@dataclass
class Plane:
    """A data plane that knows one vehicle, or none."""

    known: bool = True
    asked: list[tuple[str, Document | None]] = field(default_factory=list)

    async def ask(self, method: str, path: str, body: Document | None = None) -> Document:
        assert method == "POST"
        self.asked.append((path, body))
        if path == "/carnet/subjects":
            request = {"id": "urn:request:1", "endedAt": None}
            delivery = {"transfer": PROCESS, "agreementId": "urn:a", "counterparty": CONSUMER, "erased": []}
            ended = {"id": "urn:request:0", "endedAt": 5}
            more = {"requests": [request, ended], "enrolments": [{"ended": None}], "deliveries": [delivery]}
            return {"known": self.known, "number": 3} | ({"held": [], "entries": [], **more} if self.known else {})
        return {"withdrawn": [{}, {}], "number": 4}


@dataclass
class Desk:
    context: Context
    book: Book
    plane: Any
    persons: LogPersons
    forgotten: list[str]


@pytest.fixture
def desk(street: Street, tmp_path: Path) -> Desk:
    book, forgotten = Book(), list[str]()
    keys, payloads = SubjectKeys(tmp_path / "s.db", lambda: b"s" * 32), Payloads(tmp_path / "p.db")
    persons = LogPersons(keys, payloads, lambda: 7, forget=forgotten.append)
    return Desk(replace(street.provider.context, journal=book, persons=persons), book, Plane(), persons, forgotten)


async def test_an_erased_vehicle_has_nothing_in_force_and_no_key_and_the_log_says_so_once(desk: Desk) -> None:
    indexed = await desk.persons.index(PROCESS, [VIN])
    assert indexed is not None
    name = await desk.persons.named(VIN)
    before = await desk.persons.find(subject_name(name))
    assert before is not None
    done = await subjects.erase_vehicle(desk.context, desk.plane, VIN, "she asked for it")
    assert done["key"] == before.key_id
    assert [path for path, _ in desk.plane.asked] == [
        "/carnet/subjects",
        "/carnet/requests/withdraw",
        "/carnet/consents/withdraw",
    ]
    assert any("2 consents withdrawn" in each for each in done["done"])
    assert any(CONSUMER in each for each in done["done"])
    assert all(each["why"] for each in done["kept"])
    again = await subjects.erase_vehicle(desk.context, desk.plane, VIN, "she asked for it")
    assert again["key"] == before.key_id
    assert [draft.members for draft in desk.book.drafts[:1]] == [{"change": "erased", "key": before.key_id, "kind": "vehicle"}]
    rows = await desk.context.store.engine.fetch("SELECT 1 FROM greeted WHERE counterparty LIKE 'leaf %'")
    assert (len(rows), desk.book.woken) == (1, 1)
    assert VIN not in str(desk.book.drafts)
    assert desk.forgotten == [subject_name(name)] * 2
    assert await desk.persons.among(PROCESS, indexed.sha256, name) is None


async def test_of_a_vehicle_that_nobody_knows_nothing_is_erased(desk: Desk) -> None:
    desk.plane.known = False
    done = await subjects.erase_vehicle(desk.context, desk.plane, VIN, "why")
    assert (done["done"], done["key"], desk.book.drafts) == ([], None, [])


async def test_an_export_has_the_state_of_each_agreement_and_the_name_in_the_log(desk: Desk) -> None:
    told = await subjects.export(desk.context, desk.plane, VIN)
    assert (told["vehicle"], told["known"], told["log"]) == (VIN, True, [])
    assert told["pseudonym"] == await desk.persons.named(VIN)
    assert told["deliveries"][0]["agreementState"] is None


async def test_a_participant_with_agreements_in_force_is_erased_by_force_only(street: Street, desk: Desk) -> None:
    await begin.request_contract(street.consumer.context, counterparty="did:web:provider", dataset=DATASET, offer=OFFER)
    await rest(street)
    desk.persons.keys.keys([f"party:{CONSUMER}"], 1)
    with pytest.raises(Conflict, match="in force"):
        await subjects.erase_participant(desk.context, CONSUMER, "why")
    assert desk.book.drafts == []
    done = await subjects.erase_participant(desk.context, CONSUMER, "why", force=True)
    (draft,) = desk.book.drafts
    assert draft.members == {"change": "erased", "key": done["key"], "kind": "party"}
    assert (draft.party, draft.subject, draft.payload) == ("", "", {"reason": "why", "inForce": 1})
    other = await subjects.erase_participant(desk.context, "did:web:nobody", "why")
    assert (other["done"], other["key"]) == ([], None)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
async def test_a_reason_is_needed(desk: Desk, reason: str) -> None:
    with pytest.raises(CallerError, match="say why"):
        await subjects.erase_vehicle(desk.context, desk.plane, VIN, reason)


@pytest.mark.parametrize("vehicle", ["", "x" * 129, "a\nb"])
async def test_a_vehicle_that_cannot_be_one_is_refused(desk: Desk, vehicle: str) -> None:
    with pytest.raises(CallerError) as refused:
        await subjects.named(desk.context, vehicle)
    assert not vehicle or vehicle not in str(refused.value)
