"""The second half of an import: checked rows get ordinals, a place in the history, and become bitmaps. Blocks; for threads.

Memory is bounded by the engine's and two sets of one key. Nothing counts before the caller commits the names of the files. Of
several entries about one vehicle and key the latest holds, and a withdrawal before a grant of the same millisecond; a grant that
is not later than a withdrawal which the ledger has does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt

from connector.dataplane.consent.bits import MAX_ORDINAL, Bytes, Whole, count, load, store, with_bits, without_bits
from connector.dataplane.consent.engine import OWN, exact, guarded, literal, opened, settle_file
from connector.dataplane.consent.model import BASIS_IRIS, CATEGORIES, PURPOSE_IRIS, Key
from connector.dataplane.consent.records import Bitmap
from connector.dataplane.consent.staging import Staged
from connector.dataplane.problems import Refusal
from connector.dataplane.query.job import Bits

Longs = npt.NDArray[np.int64]
BATCH: Final = 500_000


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
        vehicles, new = _new_vehicles(connection, work)
        entries = _history(connection, work, vehicles)
        placed = Placed(vehicles, entries, new)
        if len(work.withdrawals[0]) or work.history:
            _late(connection, work, work.folder / entries)
        _Sets(connection, work, placed).write(work.folder / entries)
    return placed


def _new_vehicles(connection: duckdb.DuckDBPyConnection, work: Placing) -> tuple[str | None, int]:
    """A file of the vehicles that the ledger does not know, with ordinals in the order of their names."""
    connection.execute("CREATE TABLE recent (vehicle VARCHAR, ordinal UINTEGER)")
    names, ordinals = [each[0] for each in work.recent], [each[1] for each in work.recent]
    connection.execute("INSERT INTO recent SELECT unnest(?::VARCHAR[]), unnest(?::UINTEGER[])", [names, ordinals])
    _view(connection, "known", work.vehicle_files)
    sorted_names = work.scratch / "names.parquet"
    connection.execute(
        "COPY (SELECT vehicle FROM (SELECT DISTINCT vehicle FROM read_parquet("
        f"{_paths([work.staged.file])})) ANTI JOIN known USING (vehicle) ORDER BY vehicle)"
        f" TO {literal(sorted_names)} (FORMAT parquet, COMPRESSION zstd)"
    )
    counted = connection.execute("SELECT count(*) FROM read_parquet(?)", [exact([sorted_names])]).fetchone()
    new = int((counted or (0,))[0])
    if not new:
        return None, 0
    if work.first + new - 1 > MAX_ORDINAL:
        raise Refusal(400, "vehicles-too-many", f"the ledger numbers at most {MAX_ORDINAL + 1} vehicles")
    name = f"{work.stem}.vehicles.parquet"
    connection.execute(
        f"COPY (SELECT vehicle, (file_row_number + {work.first})::UINTEGER AS ordinal FROM read_parquet("
        f"{_paths([sorted_names])}, file_row_number = true)) TO {literal(work.folder / name)} (FORMAT parquet, COMPRESSION zstd)"
    )
    settle_file(work.folder / name)
    return name, new


def _history(connection: duckdb.DuckDBPyConnection, work: Placing, vehicles: str | None) -> str:
    """The rows with key and ordinal in place of words, in that order: what was imported, to be read again."""
    _view(connection, "vehicles", [*work.vehicle_files, *([work.folder / vehicles] if vehicles else [])])
    connection.execute("CREATE TABLE keys (id INTEGER, category UTINYINT, purpose UTINYINT, recipient VARCHAR, basis UTINYINT)")
    rows = [
        (key_id, CATEGORIES.index(key.category), PURPOSE_IRIS.index(key.purpose), key.recipient, BASIS_IRIS.index(key.basis))
        for key, key_id in work.keys.items()
    ]
    connection.executemany("INSERT INTO keys VALUES (?, ?, ?, ?, ?)", rows)
    name = f"{work.stem}.import.parquet"
    connection.execute(
        f"COPY (SELECT {work.number}::BIGINT AS number, k.id AS key_id, v.ordinal, s.given, s.decided_by, s.text_sha256, s.at_ms"
        f" FROM read_parquet({_paths([work.staged.file])}) AS s JOIN vehicles AS v USING (vehicle)"
        " JOIN keys AS k ON k.category = s.category AND k.purpose = s.purpose AND k.recipient = s.recipient AND k.basis = s.basis"
        f" ORDER BY k.id, v.ordinal, s.at_ms, NOT s.given) TO {literal(work.folder / name)} (FORMAT parquet, COMPRESSION zstd)"
    )
    settle_file(work.folder / name)
    return name


def _late(connection: duckdb.DuckDBPyConnection, work: Placing, entries: Path) -> None:
    """The grants that a withdrawal of the ledger has overtaken, in a table."""
    connection.execute("CREATE TABLE taken (key_id INTEGER, ordinal UINTEGER, at_ms BIGINT)")
    for at in range(0, len(work.withdrawals[0]), BATCH):
        piece = [column[at : at + BATCH].tolist() for column in work.withdrawals]
        connection.execute("INSERT INTO taken SELECT unnest(?), unnest(?), unnest(?)", piece)
    earlier = ""
    if work.history:
        earlier = (
            f" UNION ALL SELECT key_id, ordinal, at_ms FROM read_parquet({_paths(work.history)}) WHERE NOT given"
            " AND key_id IN (SELECT id FROM keys)"
        )
    connection.execute(
        "CREATE TABLE late AS SELECT h.key_id, h.ordinal, max(w.at_ms) AS at_ms"
        f" FROM read_parquet({_paths([entries])}) AS h JOIN (SELECT * FROM taken{earlier}) AS w USING (key_id, ordinal)"
        " WHERE h.given AND h.at_ms <= w.at_ms GROUP BY h.key_id, h.ordinal"
    )


class _Sets:
    """Makes the bitmaps of an import, one key after the other."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, work: Placing, placed: Placed) -> None:
        self._connection = connection
        self._work = work
        self._placed = placed
        self._key = -1
        self._bits: Bytes = np.zeros(0, np.uint8)
        self._late: tuple[Longs, Longs] = (np.zeros(0, np.int64), np.zeros(0, np.int64))

    def write(self, entries: Path) -> None:
        """From rows that are sorted by key, ordinal and what holds: the last of each vehicle holds."""
        for keys, ordinals, ranks in _last_of_each(self._connection.cursor(), entries):
            edges = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist(), len(keys)]
            for start, end in pairwise(edges):
                if start < end:
                    self._add(int(keys[start]), ordinals[start:end].astype(np.uint32), ranks[start:end])
        self._finish()

    def _add(self, key: int, ordinals: Whole, ranks: Longs) -> None:
        if key != self._key:
            self._finish()
            self._key, self._bits, self._late = key, load(self._work.sets[key]), self._overtaken(key)
        given = ranks % 2 == 0
        late_ordinals, late_at = self._late
        if len(late_ordinals):
            place = np.minimum(np.searchsorted(late_ordinals, ordinals), len(late_ordinals) - 1)
            late = given & (late_ordinals[place] == ordinals) & (ranks // 2 <= late_at[place])
            self._placed.late += int(late.sum())
            ordinals, given = ordinals[~late], given[~late]
        self._bits = without_bits(with_bits(self._bits, ordinals[given]), ordinals[~given])

    def _overtaken(self, key: int) -> tuple[Longs, Longs]:
        exists = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'late'"
        if not (self._connection.execute(exists).fetchone() or (0,))[0]:
            return self._late
        found = self._connection.execute("SELECT ordinal, at_ms FROM late WHERE key_id = ? ORDER BY ordinal", [key]).fetchnumpy()
        return np.asarray(found["ordinal"], np.int64), np.asarray(found["at_ms"], np.int64)

    def _finish(self) -> None:
        if self._key < 0:
            return
        before = load(self._work.sets[self._key])
        shared = min(len(before), len(self._bits))
        self._placed.withdrawn += count(before[:shared] & ~self._bits[:shared]) + count(before[shared:])
        name = f"{self._work.stem}.{self._key}.bits"
        vehicles = store(self._bits, self._work.folder / name)
        self._placed.bitmaps.append(Bitmap(self._key, self._work.number, name, vehicles))


def _last_of_each(connection: duckdb.DuckDBPyConnection, entries: Path) -> Iterator[tuple[Longs, Longs, Longs]]:
    """Key, ordinal and rank (twice the time, odd for a withdrawal) of what holds of each vehicle and key, in batches."""
    reader = connection.sql(
        f"SELECT key_id::BIGINT, ordinal::BIGINT, at_ms * 2 + (NOT given)::BIGINT FROM read_parquet({_paths([entries])})"
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


def _view(connection: duckdb.DuckDBPyConnection, name: str, files: Sequence[Path]) -> None:
    more = f" UNION ALL SELECT vehicle, ordinal FROM read_parquet({_paths(files)})" if files else ""
    connection.execute(f"CREATE VIEW {name} AS SELECT vehicle, ordinal FROM recent{more}")


def _paths(files: Sequence[Path]) -> str:
    return "[" + ", ".join(literal(Path(each)) for each in exact(files)) + "]"
