"""`carnet doctor` on deliveries: spool, sources, duties and receipts. Each finding has a remedy."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from connector.cli.databases import CONTROL_MIGRATIONS, DATA_MIGRATIONS
from connector.dataplane import records
from connector.dataplane.sources import Source, identity_of
from connector.store.engine import Statement
from connector.store.evidence import Duty, Receipt, insert_duty, insert_receipt
from connector.store.migrate import migrate
from connector.store.sqlite import SqliteEngine
from tests.cli.sites import Make, found


def wrote(database: Path, migrations: Path, *statements: Statement) -> None:
    """The database as its process leaves it, with these rows."""

    async def write() -> None:
        engine = await SqliteEngine.open(database)
        try:
            await migrate(engine, migrations, 1)
            await engine.commit(list(statements))
        finally:
            await engine.close()

    asyncio.run(write())


def test_a_spool_can_be_written_to(make: Make) -> None:
    assert found(make())["spool"].level == "fine"


def test_a_spool_has_room(make: Make) -> None:
    house = make(chosen=(f"data.min_free_bytes={1 << 50}",))
    finding = found(house)["spool"]
    assert (finding.level, "min_free_bytes" in finding.what) == ("problem", True)


def test_a_spool_that_is_a_file_is_a_problem(make: Make) -> None:
    house = make()
    (house / "spool").write_text("not a folder")
    assert found(house)["spool"].level == "problem"


def test_sources_that_are_gone_or_changed_are_named(make: Make) -> None:
    house = make()
    file = house / "trips.csv"
    file.write_text("a")
    kept = Source("kept", str(file), 1, "00", identity_of(file.stat()))
    other = replace(kept, dataset_id="other", identity="0:0:0:0:0")
    gone = replace(kept, dataset_id="gone", path=str(house / "gone.csv"))
    stopped = replace(kept, dataset_id="stopped", kind="table")
    table = replace(kept, dataset_id="table", kind="table", identity="of a snapshot")
    wrote(house / "data.db", DATA_MIGRATIONS, records.put_source(kept), records.put_source(table))
    assert found(house)["sources"].what == "2 are as they were published"
    late = [records.put_source(each) for each in (other, gone, stopped)]
    wrote(house / "data.db", DATA_MIGRATIONS, *late, records.stop_source("stopped", "a column is missing", "Vehicle.Speed"))
    findings = {about: finding.what for about, finding in found(house).items() if about.startswith("source")}
    assert set(findings) == {"source of other", "source of gone", "source of stopped"}
    assert "is not the file that was published" in findings["source of other"]
    assert "cannot be read" in findings["source of gone"]
    assert "a column is missing" in findings["source of stopped"]


def test_overdue_duties_and_receipts_that_do_not_hold_are_said(make: Make) -> None:
    house = make()
    receipt = Receipt("t1", "r1", "provider", "them", "a", "countersigned", "{}", "a.b.c", 1, 1)
    duty = Duty("them", "provider", "d1", "delete", "a", "fulfilled", "00", "{}", 5, 1, 1, fulfilled_at=9)
    wrote(house / "control.db", CONTROL_MIGRATIONS, insert_receipt(receipt), insert_duty(duty))
    assert found(house)["evidence"].level == "fine"
    doubtful = [insert_receipt(replace(receipt, transfer=state, state=state)) for state in ("disputed", "unverified", "invalid")]
    wrote(
        house / "control.db",
        CONTROL_MIGRATIONS,
        *doubtful,
        insert_duty(replace(duty, id="d2", state="pending", fulfilled_at=None)),
    )
    findings = found(house)
    assert (findings["duties"].level, findings["duties"].what) == ("problem", "1 are overdue")
    assert {about for about in findings if about.startswith("receipts")} == {
        "receipts disputed",
        "receipts unverified",
        "receipts invalid",
    }
    assert "carnet duties --overdue" in findings["duties"].remedy


def test_a_database_without_these_tables_is_left_to_its_own_finding(make: Make) -> None:
    house = make()
    for name in ("control.db", "data.db"):
        with closing(sqlite3.connect(house / name)) as database:
            database.execute("CREATE TABLE something (one)")
    findings = found(house)
    assert {about for about in findings if about.startswith(("source", "evidence"))} == set()
