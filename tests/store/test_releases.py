"""Whoever ran an earlier release upgrades in place: its database, as it was, on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector.app import MIGRATIONS
from connector.dataplane.process import MIGRATIONS as DATA_MIGRATIONS
from connector.protocol.states import Kind, Role
from connector.store.control import ControlStore
from connector.store.engine import Statement
from connector.store.migrate import load, migrate
from connector.store.sql import postgres_ddl, split_script
from connector.store.sqlite import SqliteEngine
from tests.store.conftest import open_engine
from tests.store.keep_release import AGREEMENT, NEGOTIATION, RELEASES, START, TRANSFER

KEPT = sorted(RELEASES.glob("*.control.sql"))
KEPT_DATA = sorted(RELEASES.glob("*.data.sql"))


def _statements(release: Path) -> list[str]:
    return split_script(release.read_text())


def test_every_release_in_the_changelog_is_kept() -> None:
    changelog = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
    versions = {line.split("[")[1].split("]")[0] for line in changelog.splitlines() if line.startswith("## [")} - {"Unreleased"}
    assert {path.name.removesuffix(".control.sql") for path in KEPT} == versions
    assert {path.name.removesuffix(".data.sql") for path in KEPT_DATA} == versions


@pytest.mark.parametrize("release", KEPT_DATA, ids=lambda path: path.name)
async def test_an_earlier_data_plane_is_upgraded(release: Path, tmp_path: Path) -> None:
    engine = await SqliteEngine.open(tmp_path / "data.db")
    fresh = await SqliteEngine.open(tmp_path / "fresh.db")
    try:
        for sql in _statements(release):
            await engine.commit([Statement(sql, (), None)])
        for each in (engine, fresh):
            await migrate(each, DATA_MIGRATIONS, 5_000)
        schema = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
        assert await engine.fetch(schema) == await fresh.fetch(schema)
    finally:
        await engine.close()
        await fresh.close()


@pytest.mark.parametrize("release", KEPT, ids=lambda path: path.name)
async def test_an_earlier_database_is_upgraded_and_read(release: Path, database: str) -> None:
    engine = await open_engine(database)
    try:
        for sql in _statements(release):
            text = sql if engine.dialect == "sqlite" or not sql.lstrip().startswith("CREATE") else postgres_ddl(sql)
            await engine.commit([Statement(text, (), None)])
        await migrate(engine, MIGRATIONS, 5_000)
        rows = await engine.fetch("SELECT max(version) FROM schema_migration")
        assert rows[0][0] == max(migration.version for migration in load(MIGRATIONS))
        store = ControlStore(engine)
        assert await store.process(NEGOTIATION.id) == NEGOTIATION
        assert (
            await store.process_of_peer(Kind.TRANSFER, Role.PROVIDER, TRANSFER.counterparty, "urn:uuid:their-transfer")
            == TRANSFER
        )
        assert await store.agreement(AGREEMENT.id, AGREEMENT.counterparty, Role.PROVIDER) == AGREEMENT
        claimed = await store.claim("worker", START.due_at, START.due_at + 1, 10)
        assert [message.id for message in claimed] == [START.id]
        assert (await store.timers_due(9_000_000_000_000))[0].process_id == TRANSFER.id
        assert (await store.dataset("trips")) is not None
        assert await store.dataset_of_offer("urn:offer:1") == "trips"
        assert len(await store.timeline(TRANSFER.id)) == 1
    finally:
        await engine.close()
