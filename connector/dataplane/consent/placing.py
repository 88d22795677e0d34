"""The second half of an import: checked rows get ordinals, a place in the history, and become bitmaps. Blocks; for threads.

Memory is bounded by the engine's, whose joins and sorts are of a slice of the rows each, and by a few sets. Nothing counts
before the caller commits the names of the files. Of several entries about one vehicle and key the latest holds, and a withdrawal
before a grant of the same millisecond; a grant that is not later than a withdrawal which the ledger has does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from connector.dataplane.consent import records as rec
from connector.dataplane.consent.bits import MAX_ORDINAL, Bytes, Whole, count, load, store, with_bits, without_bits
from connector.dataplane.consent.engine import OWN, exact, guarded, literal, opened, settle_file
from connector.dataplane.consent.model import BASIS_IRIS, CATEGORIES, PURPOSE_IRIS, Key
from connector.dataplane.consent.records import Bitmap, Enrolled
from connector.dataplane.consent.staging import Staged
from connector.dataplane.problems import Refusal
from connector.dataplane.query.job import Bits
from connector.store.engine import Statement

Longs = npt.NDArray[np.int64]
BATCH: Final = 500_000
SLICE: Final = 500_000
"""So many rows of an import are joined or sorted at once."""
ROW_GROUP: Final = 122_880
SETS_BYTES: Final = 32 * 1024 * 1024
"""Sets of one import that are in memory at once, or one set, if that is larger."""
_STEP: Final = 65_536
_SAMPLED: Final = 4_096
_VEHICLES: Final = pa.schema([("vehicle", pa.string()), ("ordinal", pa.uint32())])
_ENTRIES: Final = pa.schema(
    [
        ("number", pa.int64()),
        ("key_id", pa.int32()),
        ("ordinal", pa.uint32()),
        ("given", pa.bool_()),
        ("decided_by", pa.uint8()),
        ("text_sha256", pa.binary()),
        ("at_ms", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Placing:
    """What an import starts from, at the moment at which nobody else writes.

    ``keys`` are the ids of the staged keys, ``sets`` what each is now; ``withdrawals``: key, ordinal and time of those made one
    by one; ``first`` is the next free ordinal.
    """

    staged: Staged
    number: int
    first: int
    folder: Path
    scratch: Path
    stem: str
    vehicle_files: Sequence[Path]
    recent: Sequence[tuple[str, int]]
    history: Sequence[Path]
    keys: Mapping[Key, int]
    sets: Mapping[int, Bits]
    withdrawals: tuple[Longs, Longs, Longs]


@dataclass(slots=True)
class Placed:
    """What to commit: new files (the one of vehicles may be None) and how many vehicles are new, withdrawn and late."""

    vehicles: str | None
    entries: str
    new_vehicles: int
    bitmaps: list[Bitmap] = field(default_factory=list)
    withdrawn: int = 0
    late: int = 0


@guarded(OWN)
def place(work: Placing) -> Placed:
    """Write the files of an import. Raises Refusal."""
    with opened(work.scratch) as connection:
        _tables(connection, work)
        vehicles, new, pieces = _number(connection, work)
        entries, late = _history(connection, work, pieces)
        placed = Placed(vehicles, entries, new)
        _Sets(connection, work, placed, late=late).write(work.folder / entries)
    return placed


def _tables(connection: duckdb.DuckDBPyConnection, work: Placing) -> None:
    """What an import is joined with that is small, and the vehicles that the ledger knows."""
    connection.execute("CREATE TABLE recent (vehicle VARCHAR, ordinal UINTEGER)")
    names, ordinals = [each[0] for each in work.recent], [each[1] for each in work.recent]
    connection.execute("INSERT INTO recent SELECT unnest(?::VARCHAR[]), unnest(?::UINTEGER[])", [names, ordinals])
    more = f" UNION ALL SELECT vehicle, ordinal FROM read_parquet({_paths(work.vehicle_files)})" if work.vehicle_files else ""
    connection.execute(f"CREATE VIEW known AS SELECT vehicle, ordinal FROM recent{more}")
    connection.execute("CREATE TABLE keys (id INTEGER, category UTINYINT, purpose UTINYINT, recipient VARCHAR, basis UTINYINT)")
    rows = [
        (key_id, CATEGORIES.index(key.category), PURPOSE_IRIS.index(key.purpose), key.recipient, BASIS_IRIS.index(key.basis))
        for key, key_id in work.keys.items()
    ]
    connection.executemany("INSERT INTO keys VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("CREATE TABLE late (key_id INTEGER, ordinal UINTEGER, at_ms BIGINT)")
    connection.execute("CREATE TABLE taken (key_id INTEGER, ordinal UINTEGER, at_ms BIGINT)")
    for at in range(0, len(work.withdrawals[0]), BATCH):
        piece = [column[at : at + BATCH].tolist() for column in work.withdrawals]
        connection.execute("INSERT INTO taken SELECT unnest(?), unnest(?), unnest(?)", piece)


def _number(connection: duckdb.DuckDBPyConnection, work: Placing) -> tuple[str | None, int, list[Path]]:
    """A file of the vehicles that the ledger does not know, with ordinals in the order of their names, how many they are, and
    the rows with key and ordinal in place of words: slice by slice of names."""
    name, following = f"{work.stem}.vehicles.parquet", work.first
    file, pieces = work.folder / name, list[Path]()
    with pq.ParquetWriter(file, _VEHICLES, compression="zstd") as writer:
        for within in _slices_of_names(connection, work.staged.files):
            staged = f"(SELECT * FROM read_parquet({_paths(work.staged.files)}) WHERE {within})"
            connection.execute(f"CREATE OR REPLACE TABLE here AS SELECT DISTINCT vehicle FROM {staged}")
            connection.execute(
                f"CREATE OR REPLACE TABLE met AS SELECT vehicle, ordinal FROM known SEMI JOIN here USING (vehicle) WHERE {within}"
            )
            unmet = "SELECT vehicle FROM here ANTI JOIN met USING (vehicle)"
            new = _one(connection, f"SELECT count(*) FROM ({unmet})")
            if following + new - 1 > MAX_ORDINAL:
                raise Refusal(400, "vehicles-too-many", f"the ledger numbers at most {MAX_ORDINAL + 1} vehicles")
            connection.execute(
                f"INSERT INTO met SELECT vehicle, row_number() OVER (ORDER BY vehicle) - 1 + {following} FROM ({unmet})"
            )
            _append(connection, writer, f"SELECT vehicle, ordinal FROM met WHERE ordinal >= {following} ORDER BY vehicle")
            following += new
            pieces.append(work.scratch / f"{len(pieces)}.placed.parquet")
            connection.execute(
                "COPY (SELECT k.id AS key_id, v.ordinal, s.given, s.decided_by, s.text_sha256, s.at_ms"
                f" FROM {staged} AS s JOIN met AS v USING (vehicle) JOIN keys AS k ON k.category = s.category"
                " AND k.purpose = s.purpose AND k.recipient = s.recipient AND k.basis = s.basis)"
                f" TO {literal(pieces[-1])} (FORMAT parquet)"
            )
    connection.execute("DROP TABLE here; DROP TABLE met")
    if following == work.first:
        file.unlink()
        return None, 0, pieces
    settle_file(file)
    return name, following - work.first, pieces


def _slices_of_names(connection: duckdb.DuckDBPyConnection, staged: Sequence[Path]) -> list[str]:
    """Conditions on the name that each hold for about ``SLICE`` rows, in order; one of them for each row."""
    found = connection.execute(
        f"SELECT vehicle FROM read_parquet({_paths(staged)}, file_row_number = true)"
        f" WHERE file_row_number % {_SAMPLED} = 0 ORDER BY vehicle"
    ).fetchall()
    chosen = dict.fromkeys(str(vehicle) for (vehicle,) in found[:: SLICE // _SAMPLED])
    edges = ["'" + vehicle.replace("'", "''") + "'" for vehicle in chosen]
    inner = [f"vehicle >= {low} AND vehicle < {high}" for low, high in pairwise(edges)]
    return [*inner, f"vehicle >= {edges[-1]}"]


def _history(connection: duckdb.DuckDBPyConnection, work: Placing, pieces: Sequence[Path]) -> tuple[str, bool]:
    """What was imported, to be read again: slices of ordinals, each sorted by key, ordinal and what holds. Gives whether the
    ledger has overtaken some of it, too."""
    name = f"{work.stem}.import.parquet"
    rows = f"read_parquet({_paths(pieces)})"
    with pq.ParquetWriter(work.folder / name, _ENTRIES, compression="zstd") as writer:
        for low, high in _slices_of_ordinals(connection, rows):
            within = f"ordinal BETWEEN {low} AND {high}"
            _append(
                connection,
                writer,
                f"SELECT {work.number}::BIGINT, key_id, ordinal, given, decided_by, text_sha256, at_ms FROM {rows}"
                f" WHERE {within} ORDER BY key_id, ordinal, at_ms, NOT given",
            )
            if len(work.withdrawals[0]) or work.history:
                _overtake(connection, work, rows, within)
    settle_file(work.folder / name)
    return name, _one(connection, "SELECT count(*) FROM late") > 0


def _slices_of_ordinals(connection: duckdb.DuckDBPyConnection, rows: str) -> Iterator[tuple[int, int]]:
    """The first and the last ordinal of slices of about ``SLICE`` rows, in order."""
    found = connection.execute(f"SELECT ordinal // {_STEP} AS step, count(*) FROM {rows} GROUP BY step ORDER BY step").fetchall()
    low, many = 0, 0
    for step, count_of in found:
        many += count_of
        if many >= SLICE:
            yield low, int(step) * _STEP + _STEP - 1
            low, many = int(step) * _STEP + _STEP, 0
    if many:
        yield low, MAX_ORDINAL


def _overtake(connection: duckdb.DuckDBPyConnection, work: Placing, rows: str, within: str) -> None:
    """Note the grants of a slice that a withdrawal of the ledger has overtaken."""
    earlier = f"SELECT key_id, ordinal, at_ms FROM taken WHERE {within}"
    if work.history:
        earlier += (
            f" UNION ALL SELECT key_id, ordinal, at_ms FROM read_parquet({_paths(work.history)}) WHERE NOT given"
            f" AND {within} AND key_id IN (SELECT id FROM keys)"
        )
    connection.execute(
        "INSERT INTO late SELECT h.key_id, h.ordinal, max(w.at_ms)"
        f" FROM (SELECT * FROM {rows} WHERE given AND {within}) AS h JOIN ({earlier}) AS w USING (key_id, ordinal)"
        " WHERE h.at_ms <= w.at_ms GROUP BY h.key_id, h.ordinal ORDER BY h.ordinal"
    )


class _Sets:
    """Makes the bitmaps of an import, of as many keys at once as ``SETS_BYTES`` hold."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, work: Placing, placed: Placed, *, late: bool) -> None:
        self._connection = connection
        self._work = work
        self._placed = placed
        self._late = late
        self._bits: dict[int, Bytes] = {}

    def write(self, entries: Path) -> None:
        """From rows that are sorted, in slices of ordinals, by key, ordinal and what holds: the last of each vehicle holds."""
        keys = sorted(self._work.keys.values())
        whole = max(1, (self._work.first + self._placed.new_vehicles) // 8)
        at_once = max(1, SETS_BYTES // whole)
        for at in range(0, len(keys), at_once):
            some = keys[at : at + at_once]
            self._bits = {key: load(self._work.sets[key]) for key in some}
            for found, ordinals, ranks in _last_of_each(self._connection.cursor(), entries, some[0], some[-1]):
                edges = [
                    0,
                    *(np.flatnonzero(found[1:] != found[:-1]) + 1).tolist(),
                    len(found),
                ]
                for start, end in pairwise(edges):
                    if start < end:
                        self._add(int(found[start]), ordinals[start:end].astype(np.uint32), ranks[start:end])
            for key in some:
                self._finish(key, self._bits.pop(key))

    def _add(self, key: int, ordinals: Whole, ranks: Longs) -> None:
        given = ranks % 2 == 0
        late_ordinals, late_at = self._overtaken(key, ordinals)
        if len(late_ordinals):
            place = np.minimum(np.searchsorted(late_ordinals, ordinals), len(late_ordinals) - 1)
            late = given & (late_ordinals[place] == ordinals) & (ranks // 2 <= late_at[place])
            self._placed.late += int(late.sum())
            ordinals, given = ordinals[~late], given[~late]
        self._bits[key] = without_bits(with_bits(self._bits[key], ordinals[given]), ordinals[~given])

    def _overtaken(self, key: int, ordinals: Whole) -> tuple[Longs, Longs]:
        if not self._late:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        found = self._connection.execute(
            "SELECT ordinal, at_ms FROM late WHERE key_id = ? AND ordinal BETWEEN ? AND ? ORDER BY ordinal",
            [key, int(ordinals[0]), int(ordinals[-1])],
        ).fetchnumpy()
        return np.asarray(found["ordinal"], np.int64), np.asarray(found["at_ms"], np.int64)

    def _finish(self, key: int, bits: Bytes) -> None:
        before = load(self._work.sets[key])
        shared = min(len(before), len(bits))
        self._placed.withdrawn += count(before[:shared] & ~bits[:shared]) + count(before[shared:])
        name = f"{self._work.stem}.{key}.bits"
        vehicles = store(bits, self._work.folder / name)
        self._placed.bitmaps.append(Bitmap(key, self._work.number, name, vehicles))


def _last_of_each(
    connection: duckdb.DuckDBPyConnection, entries: Path, first_key: int, last_key: int
) -> Iterator[tuple[Longs, Longs, Longs]]:
    """Key, ordinal and rank (twice the time, odd for a withdrawal) of what holds of each vehicle and key, in batches."""
    reader = connection.sql(
        f"SELECT key_id::BIGINT, ordinal::BIGINT, at_ms * 2 + (NOT given)::BIGINT FROM read_parquet({_paths([entries])})"
        f" WHERE key_id BETWEEN {first_key} AND {last_key}"
    ).to_arrow_reader(BATCH)
    rest: list[Longs] = [np.zeros(0, np.int64)] * 3
    for batch in reader:
        keys, ordinals, ranks = (
            np.concatenate((kept, batch.column(place).to_numpy(zero_copy_only=False))) for place, kept in enumerate(rest)
        )
        ends = np.flatnonzero((keys[1:] != keys[:-1]) | (ordinals[1:] != ordinals[:-1]))
        yield keys[ends], ordinals[ends], ranks[ends]
        rest = [keys[-1:], ordinals[-1:], ranks[-1:]]
    yield rest[0], rest[1], rest[2]


def _append(connection: duckdb.DuckDBPyConnection, writer: pq.ParquetWriter, query: str) -> None:
    """Add the rows of a query to a file; the names of its columns are the file's."""
    for batch in connection.sql(query).to_arrow_reader(ROW_GROUP):
        writer.write_batch(pa.record_batch(batch.columns, schema=writer.schema))


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int((connection.execute(query).fetchone() or (0,))[0])


def _paths(files: Sequence[Path]) -> str:
    return "[" + ", ".join(literal(Path(each)) for each in exact(files)) + "]"


def commit_of(
    work: Placing, placed: Placed, new_keys: Iterable[tuple[int, Key]], ended: Iterable[Enrolled], now: int
) -> list[Statement]:
    """The one commit of an import."""
    vehicles = work.first + placed.new_vehicles
    withdrawn = placed.withdrawn > 0
    statements = [
        rec.insert_commit(work.number, "import", entries=work.staged.entries, withdrawn=withdrawn, vehicles=vehicles, at=now),
        *rec.insert_keys(new_keys),
        rec.insert_file(placed.entries, "import", work.number, work.staged.entries),
        *(rec.insert_bitmap(bitmap) for bitmap in placed.bitmaps),
        *(rec.end_enrolment(each, work.number) for each in ended),
    ]
    if placed.vehicles is not None:
        statements.append(rec.insert_file(placed.vehicles, "vehicles", work.number, placed.new_vehicles))
    return statements
