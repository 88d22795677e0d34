"""The registers for an authority, and the files that hold them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connector.audit.asking import Log, Scope
from connector.audit.ceremony import Flaw
from connector.audit.opening import SubjectsKeys
from connector.audit.pack import CLOSED, Pack, make_pack
from connector.audit.packing import FILES, _cell, write_pack
from connector.audit.verifying import Surroundings
from connector.log.leaf import Draft
from tests.audit.books import AGREEMENT, CITY, Book, agreement, whole


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = whole(tmp_path / "log", extra=2)
    yield made
    made.close()


def pack_of(book: Book, scope: Scope | None = None, *, keys: bool = True) -> Pack:
    around = Surroundings(keys=SubjectsKeys(book.keys if keys else []))
    return make_pack(Log(book.folder, around=around), scope or Scope())


def test_the_register_of_processing(book: Book) -> None:
    (row,) = pack_of(book).register
    assert (row["agreement"], row["counterparty"], row["dataset"]) == (AGREEMENT, CITY, "urn:asset:mileage")
    assert (row["purposes"], row["retention"]) == ("UsageBasedInsurance", "delete: elapsedTime lteq P90D")
    assert (row["legalBases"], row["level"]) == ("not stated", "not stated")
    assert (row["recipients"], row["state"], row["deliveries"], row["rows"]) == (CITY, "ended", 1, 10)
    assert row["ended"] > row["made"]


def test_consents_by_numbers_and_recipients(book: Book) -> None:
    pack = pack_of(book)
    assert [(row["change"], row["ledger"], row["vehicles"]) for row in pack.consents] == [("withdrawn", 3, 1)]
    (recipient,) = pack.recipients
    assert (recipient["recipient"], recipient["agreements"], recipient["bytes"]) == (CITY, 1, 100)


def test_what_was_erased_is_said_to_be_closed(book: Book) -> None:
    assert book.subjects.erase(f"party:{CITY}", book.now_ms) is not None
    (row,) = pack_of(book).register
    assert (row["agreement"], row["purposes"], row["deliveries"]) == (CLOSED, CLOSED, 1)
    assert len(row["contract"]) == 32


def test_of_two_lines_about_a_delivery_the_fuller_counts(book: Book) -> None:
    transfer = book.new_id()
    said: dict[str, Any] = {"party": CITY, "agreement": AGREEMENT, "role": "provider"}
    again = Draft("receipt", {"state": "signed", "role": "provider"}, transfer, **said)
    book.write([book.receipt(transfer, "WVW1", state="left", **said), again])
    (row,) = pack_of(book).register
    assert (row["deliveries"], row["rows"]) == (2, 20)
    assert pack_of(book, Scope(party="did:web:other.example")).register == []


def test_the_files(book: Book, tmp_path: Path) -> None:
    hostile = agreement() | {"counterparty": "=cmd|' /C calc'!A0", "dataset": "<script>alert(1)</script>"}
    held: dict[str, Any] = {"party": hostile["counterparty"], "agreement": AGREEMENT, "role": "provider"}
    book.write([Draft("agreement", {"state": "held", "role": "provider"}, payload=hostile, **held)])
    pack = pack_of(book)
    write_pack(pack, tmp_path / "pack")
    assert {path.name for path in (tmp_path / "pack").iterdir()} == set(FILES)
    with (tmp_path / "pack" / "register.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["counterparty"] for row in rows] == [CITY, "'=cmd|' /C calc'!A0"]
    page = (tmp_path / "pack" / "index.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    document = json.loads((tmp_path / "pack" / "pack.json").read_text())
    assert document["register"] == pack.register
    assert document["log"]["checkpoint"] == (tmp_path / "pack" / "checkpoint").read_text() == book.log.checkpoint()


def test_terms_that_cannot_be_read(book: Book) -> None:
    odd = {"counterparty": CITY, "dataset": "d", "agreement": {"@id": "a", "permission": 7}}
    held: dict[str, Any] = {"party": CITY, "agreement": "a", "role": "consumer"}
    book.write([Draft("agreement", {"state": "held", "role": "consumer"}, payload=odd, **held)])
    row = pack_of(book).register[-1]
    assert (row["purposes"], row["recipients"]) == ("(not readable)", "us")


def test_the_times_of_a_pack_are_those_of_deliveries(book: Book) -> None:
    about: dict[str, Any] = {"party": CITY, "agreement": AGREEMENT, "role": "provider"}
    since = book.now_ms + 1
    assert pack_of(book, Scope(from_ms=since)).register == [], "it was over before"
    book.write([Draft("receipt", {"state": "countersigned", "role": "provider", "rows": 4, "bytes": 40}, book.new_id(), **about)])
    for scope in (Scope(from_ms=since), Scope(from_ms=since, asset="urn:asset:mileage")):
        pack = pack_of(book, scope)
        (row,), (recipient,) = pack.register, pack.recipients
        assert (row["counterparty"], row["deliveries"], row["rows"]) == (CITY, 1, 4)
        assert (recipient["recipient"], recipient["bytes"]) == (CITY, 40)
    assert pack_of(book, Scope(asset="urn:asset:other")).register == []
    assert pack_of(book, Scope(until_ms=since - 60_000)).register == []


@pytest.mark.parametrize("change", [{"counterparty": "did:web:x"}, {"dataset": "urn:asset:other"}, {"agreement": {"@id": "x"}}])
def test_what_stands_beside_a_line_cannot_be_about_something_else(change: dict[str, Any], book: Book) -> None:
    named: dict[str, Any] = {"party": CITY, "agreement": AGREEMENT[:-1] + "b", "role": "provider", "asset": "urn:asset:mileage"}
    said = agreement()
    said = {**said, "agreement": {**said["agreement"], "@id": named["agreement"]}}
    book.write([Draft("agreement", {"state": "held", "role": "provider"}, payload=said | change, **named)])
    with pytest.raises(Flaw) as raised:
        pack_of(book)
    assert (raised.value.code, raised.value.place.index) == ("payload-contradicts", book.edge.size - 1)


@pytest.mark.parametrize("said", [{"counterparty": {"a": 1}}, {"dataset": [1]}, {"counterparty": 7, "agreement": 8}, {}])
def test_a_payload_of_another_form_ends_no_program(said: dict[str, Any], book: Book, tmp_path: Path) -> None:
    book.write([Draft("agreement", {"state": "held", "role": "provider"}, payload=said, subject="own"), Draft("termination")])
    pack = pack_of(book)
    write_pack(pack, tmp_path / "pack")
    assert len(pack.register) == 2


def with_purposes(*conditions: tuple[str, str] | None) -> dict[str, Any]:
    """An agreement with one permission for each of these, as (operator, purpose)."""
    said = agreement()["agreement"]
    (rule,) = said["permission"]
    rules = [
        {name: value for name, value in rule.items() if name != "constraint"}
        | ({"constraint": [{"leftOperand": "purpose", "operator": each[0], "rightOperand": {"@id": each[1]}}]} if each else {})
        for each in conditions
    ]
    return {**said, "permission": rules}


@pytest.mark.parametrize(
    ("conditions", "purposes"),
    [
        ([("isA", "Marketing"), None], "Marketing; not limited"),
        ([("neq", "Marketing")], "neq Marketing"),
        ([None, None], "not stated"),
    ],
)
def test_a_purpose_is_what_is_permitted_and_nothing_else(
    conditions: list[tuple[str, str] | None], purposes: str, book: Book
) -> None:
    payload = agreement() | {"agreement": with_purposes(*conditions)}
    named: dict[str, Any] = {"party": CITY, "agreement": AGREEMENT, "role": "consumer"}
    book.write([Draft("agreement", {"state": "held", "role": "consumer"}, payload=payload, **named)])
    assert pack_of(book).register[-1]["purposes"] == purposes


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1", "'=1"),
        (" =1", "' =1"),
        ("a;=1", "a;'=1"),
        ("a\n@b", "a\n'@b"),
        ("\uff1d1", "'\uff1d1"),
        ("a\u202eb", "a\ufffdb"),
        ("did:web:a-b.example; 1+1", "did:web:a-b.example; 1+1"),
    ],
)
def test_a_cell_begins_no_formula(text: str, cell: str) -> None:
    assert _cell(text) == cell
