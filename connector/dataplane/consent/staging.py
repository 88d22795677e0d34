"""The first half of an import: a file that somebody else wrote becomes one of ours, checked row by row. Blocks; for threads.

The file is read through one descriptor, so that nothing can be put in its place, and refused whole for one wrong row: by the
row's number and the column, never by the value. May import the values and the engine.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

from connector.dataplane.consent.engine import exact, guarded, literal, opened, settle_file
from connector.dataplane.consent.model import (
    AHEAD_MS,
    BASIS_IRIS,
    CATEGORIES,
    COLUMNS,
    CONSENT,
    DECIDERS,
    MAX_KEYS,
    NAME,
    PARTY,
    PURPOSE_IRIS,
    REMEDIES,
    SHA256,
    Key,
    short,
)
from connector.dataplane.problems import Refusal
from connector.dataplane.sources import identity_of, open_file

MAX_LINE_BYTES: Final = 65_536
SPACE: Final = 4
"""So many times its own size an import needs free on the disk."""
GROUPS_EACH: Final = 8
"""So many groups of 122,880 rows are sorted at once."""
GROUP: Final = 16_384
"""Rows of a group in a sorted file: small, for a slice of the names is read from every file."""
_PARQUET: Final = b"PAR1"
_WHAT: Final = "the file of consents"


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that was checked: its rows in ``files``, each sorted by vehicle, how many they are, and what they are for."""

    files: tuple[Path, ...]
    entries: int
    keys: tuple[Key, ...]


@guarded(_WHAT)
def stage(source: Path, folder: Path, now_ms: int) -> Staged:
    """Read and check a CSV or Parquet file into ``folder``. Raises Refusal."""
    descriptor = _opened(source)
    try:
        before = os.fstat(descriptor)
        disk = os.statvfs(folder)
        if disk.f_bavail * disk.f_frsize < SPACE * before.st_size:
            raise Refusal(409, "disk-full", f"importing needs {SPACE} times the size of the file free on the ledger's disk")
        with opened(folder) as connection:
            staged = _stage(connection, descriptor, folder, now_ms)
        if identity_of(os.fstat(descriptor)) != identity_of(before):
            raise Refusal(409, "source_changing", "the file changed while it was read; import it when it is complete")
        return staged
    finally:
        os.close(descriptor)


def _opened(source: Path) -> int:
    try:
        return open_file(source)
    except OSError:
        raise Refusal(400, "source_path", "not a readable regular file") from None


def _stage(connection: duckdb.DuckDBPyConnection, descriptor: int, folder: Path, now_ms: int) -> Staged:
    rows = _rows(connection, descriptor)
    _names(connection)
    files = _sorted(connection, _checked(rows, now_ms), folder)
    counts = ", ".join(f"count({column})" for column in COLUMNS)
    found = connection.execute(f"SELECT count(*), {counts} FROM read_parquet(?)", [exact(files)]).fetchone()
    entries, *whole = found or (0,)
    if any(count != entries for count in whole):
        raise _wrong(connection, rows, now_ms)
    if not entries:
        raise Refusal(400, "consents-empty", "the file has no rows; nothing was imported")
    keys = connection.execute(
        "SELECT c.name, p.name, recipient, b.name FROM"
        f" (SELECT DISTINCT category, purpose, recipient, basis FROM read_parquet(?) LIMIT {MAX_KEYS + 1}) AS s"
        " JOIN category AS c ON c.id = s.category JOIN purpose AS p ON p.id = s.purpose AND p.full"
        " JOIN basis AS b ON b.id = s.basis AND b.full",
        [exact(files)],
    ).fetchall()
    if len(keys) > MAX_KEYS:
        raise Refusal(400, "keys-too-many", f"more than {MAX_KEYS} combinations of category, purpose, recipient and basis")
    return Staged(files, int(entries), tuple(sorted(Key(*map(str, row)) for row in keys)))


def _sorted(connection: duckdb.DuckDBPyConnection, checked: str, folder: Path) -> tuple[Path, ...]:
    """The rows in files that are small enough to be sorted one by one, so that slices of the names can be read from them all."""
    unsorted = folder / "checked"
    # The order of the source is of no use in our files, and keeping it costs memory.
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(
        f"COPY ({checked}) TO {literal(unsorted)} (FORMAT parquet, ROW_GROUPS_PER_FILE {GROUPS_EACH}, OVERWRITE_OR_IGNORE true)"
    )
    files = []
    for nth, file in enumerate(sorted(unsorted.iterdir())):
        files.append(folder / f"{nth}.staged.parquet")
        connection.execute(
            f"COPY (SELECT * FROM read_parquet({literal(Path(*exact([file])))}) ORDER BY vehicle) TO {literal(files[-1])}"
            f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP})"
        )
        settle_file(files[-1])
        file.unlink()
    return tuple(files)


def _rows(connection: duckdb.DuckDBPyConnection, descriptor: int) -> str:
    """The rows of the source, every column as text, as a query."""
    path = f"/proc/self/fd/{descriptor}"
    if os.pread(descriptor, len(_PARQUET), 0) == _PARQUET:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()
        kinds = {str(row[0]): str(row[1]) for row in described}
        _all_there(list(kinds))
        texts = ", ".join(
            f"lower(hex({name})) AS {name}" if kinds[name] == "BLOB" else f"CAST({name} AS VARCHAR) AS {name}" for name in COLUMNS
        )
        return f"SELECT {texts} FROM read_parquet('{path}')"
    header = _header(os.pread(descriptor, MAX_LINE_BYTES, 0))
    _all_there(header)
    columns = ", ".join(f"'{name}': 'VARCHAR'" for name in header)
    return (
        f"SELECT {', '.join(COLUMNS)} FROM read_csv('{path}', columns = {{{columns}}}, header = true, auto_detect = false,"
        f" delim = ',', quote = '\"', escape = '\"', compression = 'none', max_line_size = {MAX_LINE_BYTES}, strict_mode = true)"
    )


def _header(beginning: bytes) -> list[str]:
    line = beginning.removeprefix(b"\xef\xbb\xbf").splitlines()[:1]
    try:
        return next(csv.reader([line[0].decode()])) if line else []
    except (UnicodeDecodeError, csv.Error):
        return []


def _all_there(header: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in header]
    if missing or len(header) != len(COLUMNS):
        lacks = f"it lacks {', '.join(missing)}" if missing else "it has others"
        raise Refusal(400, "consents-columns", f"the columns must be {', '.join(COLUMNS)}: {lacks}")


def _names(connection: duckdb.DuckDBPyConnection) -> None:
    """Tables of the words that may stand in a column, each with its number: the same words in the same order give the same."""
    for table, words in (("category", CATEGORIES), ("purpose", PURPOSE_IRIS), ("basis", BASIS_IRIS), ("decider", DECIDERS)):
        rows = [(number, word, True) for number, word in enumerate(words)]
        rows += [(number, short(word), False) for number, word in enumerate(words) if short(word) != word]
        if table == "basis":
            rows.append((words.index(CONSENT), "", False))
        connection.execute(f'CREATE TABLE {table} (id UTINYINT, name VARCHAR, "full" BOOLEAN)')
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)


def _checked(rows: str, now_ms: int, *, numbered: bool = False) -> str:
    """Each value, or NULL where it is wrong. ``numbered``: with the number of the row, which costs time."""
    given = "CASE lower(r.given) WHEN 'true' THEN true WHEN '1' THEN true WHEN 'false' THEN false WHEN '0' THEN false END"
    number = "r.row, " if numbered else ""
    rows = f"SELECT *, row_number() OVER () AS row FROM ({rows})" if numbered else rows
    return (
        f"SELECT {number}CASE WHEN regexp_full_match(r.vehicle, '{NAME}') THEN r.vehicle END AS vehicle,"
        " c.id AS category, p.id AS purpose,"
        f" CASE WHEN regexp_full_match(r.recipient, '{PARTY}') THEN r.recipient END AS recipient,"
        " b.id AS basis, d.id AS decided_by,"
        f" CASE WHEN regexp_full_match(r.text_sha256, '{SHA256}') THEN unhex(r.text_sha256)"
        f" WHEN coalesce(r.text_sha256, '') = '' AND NOT ({given}) THEN ''::BLOB END AS text_sha256,"
        f" CASE WHEN TRY_CAST(r.at_ms AS BIGINT) BETWEEN 0 AND {now_ms + AHEAD_MS} THEN TRY_CAST(r.at_ms AS BIGINT) END"
        f" AS at_ms, {given} AS given FROM ({rows}) AS r LEFT JOIN category AS c ON c.name = r.category"
        " LEFT JOIN purpose AS p ON p.name = r.purpose LEFT JOIN basis AS b ON b.name = coalesce(r.basis, '')"
        " LEFT JOIN decider AS d ON d.name = r.decided_by"
    )


def _wrong(connection: duckdb.DuckDBPyConnection, rows: str, now_ms: int) -> Refusal:
    """The first row with something wrong in it."""
    connection.execute("SET preserve_insertion_order = true")
    lacking = ", ".join(f"WHEN {column} IS NULL THEN '{column}'" for column in COLUMNS).replace(", WHEN", " WHEN")
    anything = " OR ".join(f"{column} IS NULL" for column in COLUMNS)
    found = connection.execute(
        f"SELECT row, CASE {lacking} END FROM ({_checked(rows, now_ms, numbered=True)}) WHERE {anything} ORDER BY row LIMIT 1"
    ).fetchone()
    row, column = found or (0, COLUMNS[0])
    return Refusal(400, "consents-row", f"row {row}: {column} must be {REMEDIES[str(column)]}; nothing was imported")
