"""What is done with a received file on disk: count and digest its rows, put them into a DuckDB table, erase some of them. Blocks.

The file comes from a peer, so all this runs in a process of its own (``landing/worker.py``): a file that breaks a reader
breaks that process. Erasing writes a new file and puts it in the place of the old one, so that a kill leaves one of the two.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

TRANSFER: Final = "carnet_transfer"
"""The column that tells the rows of one transfer from those of others, in a table."""
BATCH_ROWS: Final = 65_536
MEMORY: Final = "200MB"
_NAMES: Final = ("pseudonym", "reference", "trip")
"""The columns that tell vehicles apart, or their trips."""
_READERS: Final = {"parquet": "read_parquet(?)", "csv": "read_csv(?, header = true)", "ndjson": "read_json_auto(?)"}


Given = Mapping[str, Collection[str]]
"""What is to be erased: values by the name of their column (``pseudonym``, ``reference``, ``trip``)."""
UNREADABLE: Final = (OSError, duckdb.Error, pa.ArrowException, ValueError)
"""What a reader raises for a file that it cannot read. The text may quote the data."""


class Unusable(Exception):
    """The file or table is not what it should be; ``code`` is stable, the text has no data in it."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def connect(database: Path | None, scratch: Path) -> duckdb.DuckDBPyConnection:
    """A connection with bounded memory that loads nothing from anywhere."""
    connection = duckdb.connect(
        str(database) if database else ":memory:",
        config={
            "memory_limit": MEMORY,
            "threads": 2,
            "temp_directory": str(scratch),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute("SET enable_progress_bar = false")
    return connection


def insert(file: Path, form: str, database: Path, table: str, transfer: str) -> int:
    """Put the rows of a file into a table, with the transfer beside them; repeated it changes nothing. Gives the rows."""
    scratch = database.parent
    with connect(database, scratch) as connection:
        source: list[Any] = [str(file)]
        if form == "arrow":
            # The name is found in this frame by the engine (replacement scan), and nothing else is.
            received = pa.ipc.open_file(str(file)).read_all()
            connection.register("received", received)
            reader, source = "received", []
        elif form in _READERS:
            reader = _READERS[form]
        else:
            raise Unusable("format-unknown", "the provider did not say in which format the file is; land it as a file")
        connection.execute("BEGIN")
        rows = f"SELECT *, CAST(? AS VARCHAR) AS {TRANSFER} FROM {reader}"  # noqa: S608 - constants
        connection.execute(f'CREATE TABLE IF NOT EXISTS "{table}" AS {rows} LIMIT 0', [transfer, *source])
        connection.execute(f'DELETE FROM "{table}" WHERE {TRANSFER} = ?', [transfer])  # noqa: S608 - checked name
        try:
            connection.execute(f'INSERT INTO "{table}" BY NAME {rows}', [transfer, *source])
        except (duckdb.BinderException, duckdb.ConversionException) as error:
            raise Unusable("columns-differ", "the table has other columns; land it in a new table") from error
        count = connection.execute(f'SELECT count(*) FROM "{table}" WHERE {TRANSFER} = ?', [transfer]).fetchall()  # noqa: S608
        connection.execute("COMMIT")
    return int(count[0][0])


def erase_in_table(database: Path, table: str, transfer: str, named: Given, *, whole: bool) -> int:
    """Delete the rows of a transfer, or those of it that have one of the values ``named`` by column. Gives how many there were.

    The database is copied without them and replaced, since the engine leaves what it deleted in its file.
    """
    if not database.is_file():
        raise Unusable("landing-gone", "the database is not where the rows were landed")
    fresh = database.with_name(f"{database.name}.erasing")
    fresh.unlink(missing_ok=True)
    try:
        with connect(None, database.parent) as connection:
            connection.execute(f"ATTACH '{_quoted(database)}' AS landed")
            count = _delete(connection, f'landed."{table}"', transfer, named, whole)
            connection.execute(f"ATTACH '{_quoted(fresh)}' AS fresh")
            connection.execute("COPY FROM DATABASE landed TO fresh")
        fresh.replace(database)
    finally:
        fresh.unlink(missing_ok=True)
    return count


def _delete(connection: duckdb.DuckDBPyConnection, table: str, transfer: str, named: Given, whole: bool) -> int:
    condition, values = f"{TRANSFER} = ?", list[Any]([transfer])
    if not whole:
        columns = {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}
        found = [name for name in _NAMES if name in columns and named.get(name)]
        if not found:
            raise Unusable("column-gone", "the table has no column that tells vehicles apart any more")
        condition += " AND (" + " OR ".join(f"{name} IN (SELECT unnest(?))" for name in found) + ")"
        values += [list(named[name]) for name in found]
    count = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}", values).fetchall()  # noqa: S608 - checked name
    connection.execute(f"DELETE FROM {table} WHERE {condition}", values)  # noqa: S608 - checked name, constant columns
    return int(count[0][0])


def _quoted(path: Path) -> str:
    """ATTACH takes no parameters."""
    return str(path).replace("'", "''")


def erase_rows(file: Path, form: str, given: Given) -> tuple[int, str, str]:
    """Rewrite a file without the rows that have one of the values given by column: how many there were, and its SHA-256 before
    and after."""
    if not file.is_file():
        raise Unusable("landing-gone", "the file is not where it landed")
    before = sha256_of(file)
    part = file.with_name(f"{file.name}.erasing")
    named = {name: frozenset(given[name]) for name in _NAMES if given.get(name)}
    erase = _ERASERS.get(form)
    if erase is None:
        raise Unusable("format-unknown", "nobody said in which format the file is, so single rows cannot be erased")
    try:
        gone = erase(file, part, named)
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return gone, before, sha256_of(file)


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, in hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


Named = dict[str, frozenset[str]]


def _keeps(batch: Any, named: Named) -> Any:
    """Which rows of a batch stay. Raises Unusable if it has no column that tells vehicles apart."""
    found = [name for name in named if name in batch.schema.names]
    if not found:
        raise Unusable("column-gone", "the file has no column that tells vehicles apart any more")
    gone = pa.array([False] * batch.num_rows)
    for name in found:
        hits = pc.is_in(batch.column(name), value_set=pa.array(sorted(named[name]), pa.string()))
        gone = pc.or_(gone, pc.fill_null(hits, False))
    return pc.invert(gone)


def _batches(batches: Iterator[Any], write: Callable[[Any], None], named: Named) -> int:
    gone = 0
    for batch in batches:
        kept = batch.filter(_keeps(batch, named))
        gone += batch.num_rows - kept.num_rows
        write(kept)
    return gone


def _parquet(file: Path, part: Path, named: Named) -> int:
    with pq.ParquetFile(file) as reader, pq.ParquetWriter(part, reader.schema_arrow, compression="zstd") as writer:
        return _batches(reader.iter_batches(BATCH_ROWS), writer.write_batch, named)


def _arrow(file: Path, part: Path, named: Named) -> int:
    with pa.OSFile(str(file)) as opened, pa.ipc.open_file(opened) as reader, pa.ipc.new_file(str(part), reader.schema) as writer:
        batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
        return _batches(batches, writer.write_batch, named)


def _csv(file: Path, part: Path, named: Named) -> int:
    gone = 0
    with file.open(encoding="utf-8", newline="") as opened, part.open("w", encoding="utf-8", newline="") as written:
        reader, writer = csv.reader(opened), csv.writer(written, lineterminator="\n")
        head = next(reader, [])
        places = [(head.index(name), values) for name, values in named.items() if name in head]
        if not places:
            raise Unusable("column-gone", "the file has no column that tells vehicles apart any more")
        writer.writerow(head)
        for row in reader:
            if any(place < len(row) and row[place] in vehicles for place, vehicles in places):
                gone += 1
            else:
                writer.writerow(row)
    return gone


def _ndjson(file: Path, part: Path, named: Named) -> int:
    gone = 0
    with file.open(encoding="utf-8") as opened, part.open("w", encoding="utf-8") as written:
        for line in opened:
            row = json.loads(line)
            if not row.keys() & named.keys():
                raise Unusable("column-gone", "the file has no column that tells vehicles apart any more")
            if any(row.get(name) in values for name, values in named.items()):
                gone += 1
            else:
                written.write(line)
    return gone


_ERASERS: Final = {"parquet": _parquet, "arrow": _arrow, "csv": _csv, "ndjson": _ndjson}
