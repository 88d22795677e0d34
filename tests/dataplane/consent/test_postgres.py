"""The ledger's SQL in the other dialect: the same story with the same end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.consent.model import Enrolment
from connector.dataplane.consent.requesting import UserRequests
from connector.dataplane.consent.requests import Asked
from connector.dataplane.leaves import Leaves
from connector.dataplane.plan.model import Consent
from connector.dataplane.problems import Refusal
from connector.dataplane.process import MIGRATIONS
from connector.dataplane.readings import Readings
from connector.store.migrate import migrate
from connector.store.postgres import PostgresEngine
from tests.dataplane.consent.ledgers import INSURER, NOW, TEXT, UBI, VIN, asked, entry, let_through, row, write_csv


@pytest.mark.postgres
async def test_a_ledger_on_postgresql(tmp_path: Path, postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn)
    await migrate(engine, MIGRATIONS, 1)
    first, second = (Ledger(engine, tmp_path / "ledger", lambda: NOW, tail=2, recent=1) for _ in range(2))
    await first.open()
    await second.open()
    first.leaves = Leaves(Readings(engine), lambda: None, lambda: NOW)
    assert (await first.import_file(write_csv(tmp_path / "in.csv", [row("A"), row("B"), row("C")]))).number == 1
    assert await second.decide([entry(VIN), entry("A", given=False), entry("D")]) == 2
    assert await first.enrol([Enrolment(vehicle="B", recipient=INSURER, reference="7", text_sha256=TEXT)]) == 3
    assert await second.references(INSURER) == ((1, "7"),)
    done = await second.withdraw("B")
    assert (done.number, len(done.affected), await first.references(INSURER)) == (4, 1, ())
    with pytest.raises(Refusal, match="grant-late"):
        await first.decide([entry("B", at_ms=NOW)])
    again = await first.import_file(tmp_path / "in.csv")
    assert (again.late, again.number) == (2, 5)
    names = ["A", "B", "C", "D", VIN]
    seen = [await let_through(second, asked(), names, number, tmp_path) for number in range(6)]
    assert seen == [set(), {"A", "B", "C"}, {"B", "C", "D", VIN}, {"B", "C", "D", VIN}, {"C", "D", VIN}, {"C", "D", VIN}]
    assert await second.withdrawn_since(0) == [(2, 0), (4, 1)]
    assert [each.vehicles for each in await first.counts()] == [3]
    assert [each.number for each in await first.vehicle("A")] == [5, 2, 1]
    about = [set((await second.concerned(number)).tolist()) for number in range(1, 6)]
    assert [await second.vehicles(each) for each in (about[0], about[2])] == [{0: "A", 1: "B", 2: "C"}, {1: "B"}]
    assert (about[1] >= {0}, len(about[1]), about[3], about[4]) == (True, 3, {1}, {0, 1, 2})
    # What a commit tells the contract log waits beside it.
    told = [json.loads(str(body))["members"] for (body,) in await engine.fetch("SELECT body FROM callback WHERE event = 'leaf'")]
    assert sorted((each["ledger"], each["change"]) for each in told) == [(1, "imported"), (3, "enrolled"), (5, "imported")]
    key = await first.pseudonym_key(INSURER, "urn:agreement:1")
    assert await second.pseudonym_key(INSURER, "urn:agreement:1") == key
    await second.forget_key(INSURER, "urn:agreement:1")
    with pytest.raises(Refusal, match="key-forgotten"):
        await first.pseudonym_key(INSURER, "urn:agreement:1")
    await first.close()
    await second.close()
    await engine.close()


@pytest.mark.postgres
async def test_requests_of_users_on_postgresql(tmp_path: Path, postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn)
    await migrate(engine, MIGRATIONS, 1)
    first, second = (Ledger(engine, tmp_path / "ledger", lambda: NOW) for _ in range(2))
    await first.open()
    await second.open()
    about: dict[str, Any] = {"recipient": INSURER, "purpose": UBI, "categories": ("mileage",)}
    requests, others = UserRequests(first), UserRequests(second)
    assert await requests.add(Asked(vehicle="A", id="urn:request:1", text_sha256=TEXT, **about)) == ("urn:request:1", 1)
    assert (await others.add(Asked(vehicle="B", id="urn:request:2", **about)))[1] == 2
    with pytest.raises(Refusal, match="on record"):
        await others.add(Asked(vehicle="B", id="urn:request:1", **about))
    ground = Consent(("mileage",), (UBI,), INSURER, (), ("urn:request:1", "urn:request:2"))
    assert await others.withdraw("urn:request:1") == 3
    assert await requests.held(ground.requests, INSURER, UBI) == ["urn:request:2"]
    # A buyer may write what this database cannot read.
    assert await requests.held(("urn:request:2\x00", "urn:request:2"), INSURER, UBI) == ["urn:request:2"]
    assert [each.ended for each in await requests.all()] == [None, 3]
    assert await first.withdrawn_since(0) == [(3, 0)]
    seen = [await let_through(second, ground, ["A", "B"], number, tmp_path) for number in range(4)]
    assert seen == [set(), {"A"}, {"A", "B"}, {"B"}]
    assert ((await requests.one("urn:request:1"))[1], (await requests.of_vehicle("A"))[0].text_sha256) == ("A", TEXT)
    await first.close()
    await second.close()
    await engine.close()
