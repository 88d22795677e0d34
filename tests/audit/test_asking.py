"""Questions to a log: filters, what was delivered after an end, and of which vehicle, each with proofs that others can check."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.audit.answering import agreements_of_vehicle, delivered_after_termination
from connector.audit.asking import Log, Scope, lines_in, proof_of, write_proofs
from connector.audit.ceremony import NotProven
from connector.audit.lines import at_ms
from connector.audit.opening import SubjectsKeys
from connector.audit.verifying import Surroundings
from connector.log.leaf import Draft, contract_name
from connector.log.proofs import check_tlog_proof
from connector.log.vehicle_index import subject_name
from connector.protocol.errors import Conflict, NotFound
from tests.audit.books import AGREEMENT, CITY, Book, whole


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = whole(tmp_path / "log", extra=5)
    yield made
    made.close()


def log_of(book: Book) -> Log:
    return Log(book.folder, around=Surroundings(keys=SubjectsKeys(book.keys)))


def types(log: Log, **scope: Any) -> list[str]:
    return [line.said["type"] for line in lines_in(log, Scope(**scope)).lines]


def test_lines_are_found_by_names_that_only_the_salt_opens(book: Book) -> None:
    log = log_of(book)
    assert types(log, party=CITY).count("message") == 5
    assert types(log, party="did:web:other.example") == []
    assert types(log, asset="urn:asset:mileage") == ["offer", "agreement", "receipt"]
    assert types(log, agreement=AGREEMENT) == ["agreement", "receipt", "termination"], "by the payload of the agreement"
    assert types(log, agreement=AGREEMENT, party=CITY) == types(log, agreement=AGREEMENT)
    assert types(log, events=frozenset({"consents"})) == ["consents"]
    (ended,) = lines_in(log, Scope(events=frozenset({"termination"}))).lines
    at = at_ms(ended.said["time"])
    assert types(log, from_ms=at) == ["termination", "consents"]
    assert "termination" not in types(log, until_ms=at)


def test_an_agreement_without_its_keys_needs_its_party(book: Book) -> None:
    closed = Log(book.folder)
    with pytest.raises(NotFound) as raised:
        types(closed, agreement=AGREEMENT)
    assert raised.value.code == "agreement-unknown"
    assert types(closed, agreement=AGREEMENT, party=CITY) == ["agreement", "receipt", "termination"]


def test_each_line_of_an_answer_has_a_proof(book: Book, tmp_path: Path) -> None:
    answer = lines_in(log_of(book), Scope(party=CITY))
    for line in answer.lines:
        index, head = check_tlog_proof(proof_of(answer, line), line.raw, answer.verified.verifiers)
        assert (index, head.checkpoint) == (line.number, answer.verified.checkpoint)
    written = write_proofs(answer, answer.lines, tmp_path / "proofs")
    assert len(list((tmp_path / "proofs").iterdir())) == 2 * written
    with pytest.raises(Conflict):
        write_proofs(answer, answer.lines, tmp_path / "proofs")


def test_nothing_is_answered_from_a_log_that_does_not_hold(book: Book) -> None:
    path = book.folder / "tile" / "entries" / "000.p" / str(book.edge.size)
    path.write_bytes(path.read_bytes().replace(b'"terminat', b'"Terminat'))
    with pytest.raises(NotProven):
        lines_in(log_of(book), Scope(party=CITY))


def about(role: str = "provider") -> dict[str, Any]:
    return {"party": CITY, "agreement": AGREEMENT, "role": role}


def test_nothing_was_delivered_after_the_end(book: Book) -> None:
    found = delivered_after_termination(log_of(book), Scope(agreement=AGREEMENT))
    assert (found.result, len(found.ends), len(found.deliveries), found.after) == ("no", 1, 1, ())
    assert [line.said["type"] for line in found.lines] == ["receipt", "termination"]
    assert delivered_after_termination(log_of(book), Scope(party="did:web:other.example")).result == "nothing-ended"


def test_a_delivery_that_begins_after_the_end_is_named(book: Book) -> None:
    book.write([book.receipt(book.new_id(), "WVW1", at=book.now_ms + 5000, **about())])
    found = delivered_after_termination(log_of(book), Scope(agreement=AGREEMENT))
    (late,) = found.after
    assert (found.result, late.end.said["type"], late.delivery.number) == ("yes", "termination", book.edge.size - 1)
    assert late.after_ms == 6000


def test_a_transfer_that_ended_ends_itself_alone(tmp_path: Path) -> None:
    book = Book(tmp_path / "log")
    one, two = book.new_id(), book.new_id()
    book.write([Draft("termination", {"kind": "transfer", "by": "us", "role": "provider"}, one, **about())])
    later = book.now_ms + 10_000
    book.write(
        [book.receipt(two, at=later, **about()), Draft("receipt", {"state": "signed", "role": "provider"}, one, **about())]
    )
    assert delivered_after_termination(log_of(book), Scope()).result == "no", "another transfer, and a late signature"
    book.write([book.receipt(one, at=later, state="left", **about())])
    assert delivered_after_termination(log_of(book), Scope()).result == "yes"
    book.close()


def test_the_times_and_the_asset_of_a_question_are_those_of_deliveries(book: Book) -> None:
    asset = "urn:asset:mileage"
    end = book.now_ms
    late = book.now_ms + 5000
    # The last line of a delivery does not name its dataset; that its agreement is about it counts.
    book.write([book.receipt(book.new_id(), "WVW1", at=late, state="countersigned", **about())])
    for scope in (
        Scope(from_ms=end + 1),
        Scope(asset=asset),
        Scope(party=CITY, asset=asset, from_ms=end + 1),
        Scope(events=frozenset({"receipt"})),
    ):
        assert delivered_after_termination(log_of(book), scope).result == "yes", scope
    assert delivered_after_termination(log_of(book), Scope(asset="urn:asset:other")).after == ()
    assert delivered_after_termination(log_of(book), Scope(until_ms=end)).after == ()


def test_a_delivery_is_counted_once_however_many_lines_tell_of_it(book: Book) -> None:
    transfer, late = book.new_id(), book.now_ms + 5000
    book.write([book.receipt(transfer, at=late, state=state, **about()) for state in ("left", "received", "countersigned")])
    book.write([Draft("receipt", {"state": "signed", "role": "provider"}, transfer, **about())])
    found = delivered_after_termination(log_of(book), Scope())
    assert ([each.delivery.said["state"] for each in found.after], found.across, found.undated) == (["left"], (), ())


def test_what_the_lines_do_not_tell_is_said(tmp_path: Path) -> None:
    book = Book(tmp_path / "log")
    spans, bare = book.new_id(), book.new_id()
    book.write([book.receipt(spans, state="left", **about())])
    book.write([Draft("termination", {"kind": "negotiation", "by": "us", "role": "provider"}, book.new_id(), **about())])
    begun = book.now_ms - 5000
    book.write([book.receipt(spans, at=begun, state="countersigned", **about())])
    book.write([Draft("receipt", {"state": "signed", "role": "provider"}, bare, **about())])
    found = delivered_after_termination(log_of(book), Scope())
    said = [[line.said["process"] for line in lines] for lines in (found.across, found.undated)]
    assert (found.result, said) == ("no", [[spans], [bare]])
    book.close()


def test_the_end_of_what_came_to_no_agreement_ends_nothing_else(tmp_path: Path) -> None:
    book = Book(tmp_path / "log")
    book.write([Draft("termination", {"kind": kind, "by": "us"}, party=CITY) for kind in ("negotiation", "transfer")])
    book.write([Draft("receipt", {"state": "left", "role": "provider"})])
    assert delivered_after_termination(log_of(book), Scope()).after == ()
    book.close()


def test_of_several_ends_the_earliest_counts(tmp_path: Path) -> None:
    book = Book(tmp_path / "log")
    start = book.now_ms
    ended: dict[str, Any] = {"members": {"kind": "negotiation", "by": "us", "role": "provider"}, **about()}
    book.write([Draft("termination", at=start + 9000, **ended), Draft("termination", at=start + 2000, **ended)])
    book.write([book.receipt(book.new_id(), at=start + 5000, state="left", **about())])
    (late,) = delivered_after_termination(log_of(book), Scope()).after
    assert late.after_ms == 3000
    book.close()


def test_agreements_of_a_vehicle_by_its_pseudonym(book: Book) -> None:
    other: dict[str, Any] = {
        "party": "did:web:other.example",
        "agreement": AGREEMENT[:-1] + "b",
        "role": "provider",
    }
    book.write([book.receipt(book.new_id(), "WVW2", "WVW3", **other)])
    _, (first, second, third, never) = book.vehicles("WVW1", "WVW2", "WVW3", "WVW4")
    mine = contract_name(book.salt, "provider", CITY, AGREEMENT)
    theirs = contract_name(book.salt, "provider", other["party"], other["agreement"])
    log = log_of(book)
    assert agreements_of_vehicle(log, book.subjects, first).contracts == (mine,)
    assert agreements_of_vehicle(log, book.subjects, second).contracts == (mine, theirs)
    assert agreements_of_vehicle(log, book.subjects, third).contracts == (theirs,)
    assert agreements_of_vehicle(log, book.subjects, never).result == "no"
    with pytest.raises(NotFound):
        agreements_of_vehicle(log, book.subjects, "0" * 32)


def test_erased_is_an_answer_that_is_proven(book: Book) -> None:
    _, (pseudonym,) = book.vehicles("WVW1")
    key_id = book.subjects.erase(subject_name(pseudonym), book.now_ms)
    assert key_id is not None
    assert agreements_of_vehicle(log_of(book), book.subjects, pseudonym).result == "unattested"
    book.write([Draft("subject", {"change": "erased", "key": key_id, "kind": "vehicle"})])
    found = agreements_of_vehicle(log_of(book), book.subjects, pseudonym)
    assert (found.result, [line.said["key"] for line in found.lines]) == ("erased", [key_id])
    check_tlog_proof(proof_of(found.answer, found.lines[0]), found.lines[0].raw, found.answer.verified.verifiers)


def test_the_database_changes_no_answer(book: Book, tmp_path: Path) -> None:
    database = tmp_path / "control.db"
    database.write_bytes(b"")
    around = Surroundings(keys=SubjectsKeys(book.keys), database=database)
    with_it = lines_in(Log(book.folder, around=around), Scope(party=CITY))
    database.unlink()
    without = lines_in(Log(book.folder, around=around), Scope(party=CITY))
    assert with_it.lines == without.lines
    shutil.copytree(book.folder, tmp_path / "elsewhere")
    assert lines_in(Log(tmp_path / "elsewhere"), Scope(party=CITY)).lines == without.lines
