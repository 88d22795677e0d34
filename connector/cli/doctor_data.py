"""What the doctor finds of deliveries: the spool, published sources, what should have been erased, receipts that do not hold.

The databases are read as they are, whether the connector runs or not; nothing is changed.
"""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from connector.cli.findings import Finding
from connector.dataplane.sources import identity_of
from connector.settings import Settings
from connector.store.engine import StoreMisuse, StoreUnavailable

SOURCES_MOST: Final = 10_000
"""Published sources that are looked at."""
NAMED_MOST: Final = 20
"""Sources that are named; of more only their number is said."""
_SOURCES: Final = "SELECT dataset_id, path, identity, kind, changed FROM source WHERE kind <> 'http' ORDER BY dataset_id LIMIT ?"
_OVERDUE: Final = (
    "SELECT count(*) FROM duty WHERE fulfilled_at IS NULL AND state <> 'refused' AND due_at IS NOT NULL AND due_at < ?"
)
_RECEIPTS: Final = "SELECT state, count(*) FROM receipt WHERE state IN ('disputed', 'unverified', 'invalid') GROUP BY state"
_WITNESS: Final = (
    "SELECT counterparty, split_code, refused, refusal FROM witness WHERE split_code <> '' OR refused <> '' OR refusal <> '' "
    "ORDER BY split_code DESC, counterparty LIMIT ?"
)
_WITNESSED: Final = "SELECT count(*) FROM witness WHERE cosigned_size > 0"
_SAID: Final = {
    "disputed": "say something else than the provider's own record",
    "unverified": "are signed with a key that could not be found",
    "invalid": "are signed by somebody else than they say",
}


def deliveries(settings: Settings, now_ms: int) -> Iterator[Finding]:
    """Every finding about what is delivered and was delivered."""
    if settings.data.managed:
        yield _spool(settings)
    yield from _sources(settings)
    yield from _evidence(settings, now_ms)
    yield from _logs(settings)


def _spool(settings: Settings) -> Finding:
    folder, least = settings.data.spool_dir, settings.data.min_free_bytes
    try:
        present = next(each for each in (folder, *folder.parents) if each.exists())
        free = shutil.disk_usage(present).free
    except OSError as error:
        return Finding("problem", "spool", f"{folder} cannot be looked at: {error.strerror}", "correct [data] spool_dir")
    if not present.is_dir() or not os.access(present, os.W_OK | os.X_OK):
        return Finding("problem", "spool", f"{present} cannot be written to", "let the connector write there, or move spool_dir")
    what = f"{free >> 20} MiB are free in {present}"
    if free < least:
        remedy = "make room, or move [data] spool_dir to a larger disk"
        return Finding("problem", "spool", f"{what}, less than the {least >> 20} MiB of min_free_bytes: nothing is made", remedy)
    return Finding("fine", "spool", what)


def _sources(settings: Settings) -> Iterator[Finding]:
    database = settings.data.database
    if not database.exists():
        return
    try:
        rows = _read(database, _SOURCES, SOURCES_MOST)
    except sqlite3.Error:
        return  # the finding about the database says it
    wrong = [(str(row[0]), why) for row in rows if (why := _why(*row[1:])) is not None]
    for dataset, why in wrong[:NAMED_MOST]:
        yield Finding("problem", f"source of {dataset}", why, "put it back, or publish it again: carnet publish")
    if len(wrong) > NAMED_MOST:
        yield Finding("problem", "sources", f"{len(wrong) - NAMED_MOST} more are gone or changed", "publish them again")
    if rows and not wrong:
        yield Finding("fine", "sources", f"{len(rows)} are as they were published")


def _why(path: str, identity: str, kind: str, changed: str | None) -> str | None:
    """Why nothing is delivered of a source; of a table whose rows are others now, something is."""
    if changed is not None:
        return f"nothing is delivered of {path}: {changed}"
    try:
        found = os.stat(path)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if kind == "file" and identity_of(found) != identity:
        return f"{path} is not the file that was published"
    return None


def _evidence(settings: Settings, now_ms: int) -> Iterator[Finding]:
    control = settings.control_database
    where = settings.store.url if control is None else control
    if isinstance(where, Path) and not where.exists():
        return
    try:
        overdue = _read(where, _OVERDUE, now_ms)[0][0]
        receipts = _read(where, _RECEIPTS)
    except (sqlite3.Error, StoreMisuse, StoreUnavailable):
        return  # the finding about the database says it
    if overdue:
        yield Finding("problem", "duties", f"{overdue} are overdue", "see what should have been erased: carnet duties --overdue")
    for state, number in sorted(receipts):
        yield Finding("warning", f"receipts {state}", f"{number} {_SAID[state]}", "look at them: carnet receipts")
    if not overdue and not receipts:
        yield Finding("fine", "evidence", "no duty is overdue, no receipt is disputed or unverified")


def _logs(settings: Settings) -> Iterator[Finding]:
    """How it stands with the logs of others and with ours at others."""
    control = settings.control_database
    where = settings.store.url if control is None else control
    if isinstance(where, Path) and not where.exists():
        return
    try:
        wrong = _read(where, _WITNESS, NAMED_MOST)
        number = _read(where, _WITNESSED)[0][0]
    except (sqlite3.Error, StoreMisuse, StoreUnavailable):
        return  # the finding about the database says it
    for party, split, refused, refusal in wrong:
        about = f"log of {party}"
        if split:
            remedy = "see carnet peers show, talk to its operator, then: carnet peers accept-log"
            yield Finding("problem", about, f"it contradicts itself ({split}), so nothing new is agreed with its owner", remedy)
        elif refused:
            yield Finding(
                "warning", about, f"its owner does not cosign ours: {refused}", "ask its operator what its log says of that"
            )
        else:
            yield Finding("warning", about, f"we do not cosign it: {refusal}", "tell its operator; the connector's log says why")
    if not wrong:
        yield Finding("fine", "logs", f"{number} counterparties cosign our log" if number else "nobody cosigns our log yet")


def _read(where: Path | str, sql: str, *params: Any) -> list[Any]:
    """The rows of a query. Raises sqlite3.Error, StoreMisuse or StoreUnavailable."""
    if isinstance(where, Path):
        with closing(sqlite3.connect(f"{where.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, params).fetchall()
    return asyncio.run(_served(where, sql, params))


async def _served(dsn: str, sql: str, params: tuple[Any, ...]) -> list[Any]:
    from connector.store.postgres import PostgresEngine  # the driver is an extra

    engine = await PostgresEngine.open(dsn, pool_size=1)
    try:
        return list(await engine.fetch(sql, params))
    finally:
        await engine.close()
