"""One measured piece of work in a process of its own: a governed delivery, its floor, a look, a fleet, an import of consents.

`python -m tests.bench.deliveries FILE`, where FILE is a JSON file of a `Piece`; prints a `Spent`. CPU and seconds are those of
the work alone, without what it takes to start Python and to import; the memory is that of the whole process at its highest.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from connector.dataplane.plan.model import Consent
from connector.dataplane.query.job import Failed, Job, Population
from connector.dataplane.query.lean import without_pandas
from connector.dataplane.tables.model import Table

ROOT: Final = Path(__file__).resolve().parents[2]


class Govern(msgspec.Struct, frozen=True, tag="govern"):
    """Run a job as a worker does."""

    job: Job


class Plain(msgspec.Struct, frozen=True, tag="plain"):
    """Have DuckDB write the result of a query over files of ``readable``, with the limits that a job has."""

    sql: str
    output: str
    scratch: str
    readable: tuple[str, ...]


class Look(msgspec.Struct, frozen=True, tag="look"):
    """Look at a table, as publication does."""

    path: str


class Fleet(msgspec.Struct, frozen=True, tag="fleet"):
    """Simulate a fleet of 1 Hz."""

    path: str
    vehicles: int
    days: int


class Consents(msgspec.Struct, frozen=True, tag="consents"):
    """Import a file of consents into the ledger in ``folder``."""

    folder: str
    file: str


class Build(msgspec.Struct, frozen=True, tag="build"):
    """Read the population of a delivery from the ledger in ``folder``."""

    folder: str
    consent: Consent


Piece = Govern | Plain | Look | Fleet | Consents | Build


class Spent(msgspec.Struct, frozen=True):
    """What it took; ``rows`` that came out, and what else came of it. ``start_s``: CPU before the work began."""

    cpu_s: float
    wall_s: float
    peak_mib: float
    start_s: float
    rows: int = 0
    bytes: int = 0
    vehicles: int = 0
    table: Table | None = None
    population: Population | None = None


class Failure(Exception):
    """A piece of work was not done."""


def spent(folder: Path, piece: Piece) -> Spent:
    """What a piece of work takes in a process of its own. Raises Failure."""
    file = folder / "piece.json"
    file.write_bytes(msgspec.json.encode(piece))
    words = [sys.executable, "-m", "tests.bench.deliveries", str(file)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False)
    if done.returncode:
        raise Failure(done.stderr.decode())
    return msgspec.json.decode(done.stdout, type=Spent)


class _Clock:
    """What was spent since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def read(self, **more: Any) -> Spent:
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        return Spent(cpu, wall, peak_mib(), self._cpu, **more)


def peak_mib() -> float:
    """The highest resident memory of this process. (``ru_maxrss`` is no good: it begins with that of the process before.)"""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def work(piece: Piece) -> Spent:
    """Do it. Imports come before the clock."""
    match piece:
        case Govern():
            return _govern(piece)
        case Plain():
            return _plain(piece)
        case Look():
            return _look(piece)
        case Fleet():
            return _fleet(piece)
        case Consents():
            return asyncio.run(_consents(piece))
        case Build():
            return asyncio.run(_build(piece))


def _govern(piece: Govern) -> Spent:
    from connector.dataplane.query.run import run

    clock = _Clock()
    made = run(piece.job)
    if isinstance(made, Failed):
        raise Failure(f"{made.code}: {made.reason}")
    return clock.read(rows=made.rows, bytes=made.bytes, vehicles=made.vehicles)


def _plain(piece: Plain) -> Spent:
    from connector.dataplane.query.engine import open_engine, rows_of, text, write_parquet
    from connector.dataplane.query.job import Limits

    clock = _Clock()
    backend = open_engine(Limits(), piece.scratch, piece.readable)
    write_parquet(backend, piece.sql, piece.output)
    found = clock.read()
    ((rows,),) = rows_of(backend, f"SELECT count(*) FROM read_parquet({text(piece.output)})")  # noqa: S608 - a path of our own
    backend.disconnect()
    return msgspec.structs.replace(found, rows=rows, bytes=Path(piece.output).stat().st_size)


def _look(piece: Look) -> Spent:
    from connector.dataplane.tables.look import examine

    clock = _Clock()
    table = examine(Path(piece.path)).table
    return clock.read(rows=table.rows, vehicles=table.vehicles, table=table)


def _fleet(piece: Fleet) -> Spent:
    from connector.demo.fleet.profiles import KIT
    from connector.demo.fleet.writing import write_parquet

    clock = _Clock()
    written = write_parquet(Path(piece.path), KIT, piece.vehicles, piece.days, 1)
    return clock.read(rows=written.rows, vehicles=written.vehicles)


async def _consents(piece: Consents) -> Spent:
    from tests.dataplane.consent.ledgers import ledger_in

    async with ledger_in(Path(piece.folder)) as ledger:
        clock = _Clock()
        done = await ledger.import_file(Path(piece.file))
        return clock.read(rows=done.entries, vehicles=done.new_vehicles)


async def _build(piece: Build) -> Spent:
    from tests.dataplane.consent.ledgers import ledger_in

    async with ledger_in(Path(piece.folder)) as ledger:
        clock = _Clock()
        population = await ledger.population(piece.consent)
        return clock.read(population=population)


def main() -> None:
    """Read the work, do it, say what it took."""
    without_pandas()
    piece = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Piece)
    sys.stdout.buffer.write(msgspec.json.encode(work(piece)))


if __name__ == "__main__":
    main()
