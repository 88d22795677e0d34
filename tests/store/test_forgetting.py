"""What is deleted from an embedded database is in no byte of its files any more, while it is open and after it was closed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connector.store import sqlite_threads
from connector.store.engine import Statement
from connector.store.sqlite import SqliteEngine

PATIENCE_S = 30.0
SECRET = "WVWZZZ1JZXW000042"


def found(folder: Path) -> list[str]:
    """The files in which the secret stands."""
    return sorted(path.name for path in folder.iterdir() if SECRET.encode() in path.read_bytes())


async def gone(folder: Path) -> None:
    async with asyncio.timeout(PATIENCE_S):
        for _ in iter(int, 1):
            if not await asyncio.to_thread(found, folder):
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("length", [1, 500])
@pytest.mark.parametrize("change", ["DELETE FROM kept WHERE id <> 3", "UPDATE kept SET said = 'x' WHERE id <> 3"])
async def test_what_is_deleted_or_overwritten_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str, length: int
) -> None:
    """Short rows share a page; long ones have pages of their own, which become free."""
    monkeypatch.setattr(sqlite_threads, "IDLE_S", 0.01)
    engine = await SqliteEngine.open(tmp_path / "some.db")
    try:
        await engine.commit([Statement("CREATE TABLE kept (id INTEGER PRIMARY KEY, said TEXT) STRICT", expect=None)])
        for number in range(40):
            said = "harmless" if number == 3 else SECRET * length
            await engine.commit([Statement("INSERT INTO kept VALUES (?, ?)", (number, said))])
        assert await asyncio.to_thread(found, tmp_path)
        await engine.commit([Statement(change, expect=39)])
        await gone(tmp_path)
        assert await engine.fetch("SELECT said FROM kept WHERE id = 3") == [("harmless",)]
    finally:
        await engine.close()
    assert await asyncio.to_thread(found, tmp_path) == []


async def test_it_goes_on_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_threads, "KEPT_S", 0.0)
    monkeypatch.setattr(sqlite_threads, "IDLE_S", PATIENCE_S)
    engine = await SqliteEngine.open(tmp_path / "some.db")
    try:
        await engine.commit([Statement("CREATE TABLE kept (id INTEGER PRIMARY KEY, said TEXT) STRICT", expect=None)])
        await engine.commit([Statement("INSERT INTO kept VALUES (1, ?)", (SECRET,))])
        await engine.commit([Statement("DELETE FROM kept")])
        await engine.commit([Statement("INSERT INTO kept VALUES (2, 'next')")])
        await gone(tmp_path)
    finally:
        await engine.close()
