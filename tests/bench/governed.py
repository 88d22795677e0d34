"""What governing costs: `python -m tests.bench.governed [--smoke | --full]`.

A delivery of rows (L1: consent by the row, pseudonyms, the first and last 400 m of trips cut off, positions and cells of level 7)
and one of cells (L3: an hour, k = 10), each beside DuckDB reading the same columns of the same file and writing as many rows of
the same columns with nothing governed (`jobs.py`). CPU is what counts: seconds per million rows of the source, without the start
of the process. Memory is the highest of the whole process. The fleet is simulated; nine in ten of its vehicles agreed.

Consents: a file with a row for each vehicle is imported into an empty ledger, the population of a delivery is read from it, and
a table with a row for each of its vehicles, of a million at most, is delivered. Waiting: for a query's process, and for the first
byte of a small delivery.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click
import duckdb
import msgspec

from connector.dataplane.query.job import Job
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED
from tests.bench import jobs, waiting
from tests.bench.deliveries import Build, Consents, Fleet, Govern, Look, Plain, Spent, spent
from tests.bench.waiting import Waits
from tests.dataplane.consent.ledgers import INSURER, TEXT

CPU_AIM: Final = 2.0
MEMORY_AIM_MIB: Final = 400.0
ROWS_EACH: Final = 6_926
"""A vehicle of the fleet makes so many rows on a day, on average."""
MOST: Final = 1_000_000
"""So many vehicles of a ledger have a row in the table that is delivered."""


class Amount(msgspec.Struct, frozen=True):
    """How much of everything: millions of rows, vehicles in the ledger, and how often the small things are done."""

    millions: tuple[int, ...]
    vehicles: tuple[int, ...]
    rounds: int


SMOKE: Final = Amount((1,), (1_000_000,), 1)
USUAL: Final = Amount((1,), (1_000_000,), 5)
FULL: Final = Amount((1, 10, 50), (1_000_000, 34_000_000), 5)


class Compared(msgspec.Struct, frozen=True):
    """A delivery and its floor over so many rows of a source."""

    what: str
    source_rows: int
    ours: Spent
    floor: Spent

    @property
    def ratio(self) -> float:
        """CPU of the delivery over that of the floor."""
        return self.ours.cpu_s / self.floor.cpu_s

    def line(self) -> str:
        """For people, in Markdown."""
        millions, ours, floor = self.source_rows / 1e6, self.ours, self.floor
        cells = [
            f"{self.what}, {millions:.1f} M rows in, {ours.rows} out",
            f"{ours.cpu_s / millions:.3f} s",
            f"{floor.cpu_s / millions:.3f} s",
            f"{self.ratio:.2f}",
            f"{millions / ours.wall_s:.2f} M/s",
            f"{ours.peak_mib:.0f} MiB",
            f"{floor.peak_mib:.0f} MiB",
        ]
        return f"| {' | '.join(cells)} |"


class Joined(msgspec.Struct, frozen=True):
    """A ledger of so many vehicles: its import, its population, and a delivery of a row for each of some of them."""

    vehicles: int
    steps: tuple[tuple[str, Spent], ...]

    def lines(self) -> list[str]:
        """For people, in Markdown."""
        ledger = f"{self.vehicles / 1e6:.1f} M vehicles"
        return [
            f"| {ledger}: {what} | {each.cpu_s:.2f} s | {each.wall_s:.2f} s | {each.peak_mib:.0f} MiB |"
            for what, each in self.steps
        ]


class Report(msgspec.Struct, frozen=True):
    """Everything of one run."""

    compared: tuple[Compared, ...]
    joined: tuple[Joined, ...]
    waits: Waits
    load: tuple[float, float]

    def lines(self) -> list[str]:
        """For people, in Markdown."""
        worst = max(each.ratio for each in self.compared)
        peak = max(each.ours.peak_mib for each in self.compared)
        join = max(step.peak_mib for each in self.joined for _, step in each.steps)
        return [
            f"- load average: {self.load[0]:.1f} before, {self.load[1]:.1f} after",
            "",
            "| CPU for a million rows of the source | governed | floor | ratio | rows in | memory | of the floor |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
            *(each.line() for each in self.compared),
            "",
            "| consents | CPU | time | memory |",
            "| --- | ---: | ---: | ---: |",
            *(line for each in self.joined for line in each.lines()),
            "",
            *self.waits.lines(),
            "",
            f"- CPU within {CPU_AIM:g} x the floor: {worst:.2f} x: {_verdict(worst <= CPU_AIM)}",
            f"- deliveries below {MEMORY_AIM_MIB:.0f} MiB: {peak:.0f} MiB: {_verdict(peak < MEMORY_AIM_MIB)}",
            f"- consents below {MEMORY_AIM_MIB:.0f} MiB: {join:.0f} MiB: {_verdict(join < MEMORY_AIM_MIB)}",
        ]


def _verdict(reached: bool) -> str:
    return "ok" if reached else "missed"


def compared(folder: Path, millions: int, rounds: int) -> list[Compared]:
    """Rows and cells of a fleet. Where ``rounds`` says so both are done in turns and the least counts."""
    source = folder / "fleet.parquet"
    spent(folder, Fleet(str(source), *_fleet(millions)))
    table = spent(folder, Look(str(source))).table
    if table is None:
        raise AssertionError("the table was not looked at")
    rows, cells = jobs.rows_job(folder, table, jobs.people(folder, source)), jobs.cells_job(folder, table)
    return [
        _least("rows", rows, source, rounds, lambda out: jobs.rows_floor(source, out / table.rows)),
        _least("cells", cells, source, rounds, lambda out: jobs.cells_floor(source)),
    ]


def _least(what: str, job: Job, source: Path, rounds: int, floor_of: Callable[[int], str]) -> Compared:
    folder, pairs = Path(job.output).parent, []
    for _ in range(rounds):
        ours = spent(folder, Govern(job))
        plain = Plain(floor_of(ours.rows), str(folder / "plain.parquet"), job.scratch, (str(source), str(folder)))
        floor = spent(folder, plain)
        if not ours.rows or abs(ours.rows - floor.rows) > max(10, ours.rows / 100):
            raise AssertionError(f"{what}: the floor writes {floor.rows} rows in place of {ours.rows}")
        pairs.append((ours, floor))
    return Compared(what, job.table.rows, min((pair[0] for pair in pairs), key=_cpu), min((pair[1] for pair in pairs), key=_cpu))


def _cpu(each: Spent) -> float:
    return each.cpu_s


def _fleet(millions: int) -> tuple[int, int]:
    """How many vehicles for how many days."""
    vehicles = -(-millions * 1_000_000 // ROWS_EACH)
    days = 1 if millions < 10 else 5
    return -(-vehicles // days), days


def joined(folder: Path, vehicles: int) -> Joined:
    """A ledger of so many vehicles, all of whom agreed."""
    file, source, ledger = folder / "consents.parquet", folder / "each.parquet", folder / "ledger"
    _write(file, vehicles, _consent_columns())
    imported = spent(folder, Consents(str(ledger), str(file)))
    file.unlink()
    built = spent(folder, Build(str(ledger), jobs.CONSENT))
    some = min(vehicles, MOST)
    _write(source, vehicles, _row_columns(), some)
    looked = spent(folder, Look(str(source)))
    if imported.rows != vehicles or built.population is None or looked.table is None:
        raise AssertionError("the ledger is not what is measured")
    population = msgspec.structs.replace(built.population, key=jobs.KEY)
    delivered = spent(folder, Govern(jobs.rows_job(folder, looked.table, population, cut_m=0)))
    if delivered.vehicles != some:
        raise AssertionError(f"{delivered.vehicles} of {some} vehicles were delivered")
    steps = (("import", imported), ("population", built), (f"delivery of a row of {some} vehicles", delivered))
    return Joined(vehicles, steps)


def _write(path: Path, vehicles: int, columns: str, some: int | None = None) -> None:
    """A row for each vehicle, or for some of them, in no order, written as it is made."""
    with duckdb.connect(config={"memory_limit": "512MB", "threads": 2, "preserve_insertion_order": False}) as connection:
        name = f"'WVWZZZ' || lpad((range * 7919 % {vehicles})::VARCHAR, 11, '0') AS"
        connection.execute(
            f"COPY (SELECT {name} {columns} FROM range({some or vehicles})) TO '{path}'"  # noqa: S608 - values of our own
            " (FORMAT parquet, COMPRESSION zstd)"
        )


def _consent_columns() -> str:
    return (
        "vehicle, 'driving-behaviour' AS category, 'vdx:UsageBasedInsurance' AS purpose,"
        f" '{INSURER}' AS recipient, 'dpv:Consent' AS basis, 'driver' AS decided_by, '{TEXT}' AS text_sha256,"
        " 1_700_000_000_000 + range AS at_ms, true AS given"
    )


def _row_columns() -> str:
    return (
        f'"{jobs.VIN}", \'t0\' AS trip, to_timestamp(1_772_409_600 + range % 86_400) AS time, (range % 130)::FLOAT AS "{SPEED}",'
        f' 48 + (range % 100_000) / 1e5 AS "{LATITUDE}", 8 + (range % 77_777) / 1e5 AS "{LONGITUDE}"'
    )


def measured(amount: Amount) -> Report:
    """One whole run. Raises AssertionError or ``Failure`` where something did not come out, never for a figure."""
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="carnet-bench-") as name:
        folder = Path(name)
        pairs, ledgers = [], []
        for millions in amount.millions:
            pairs += compared(_empty(folder), millions, amount.rounds if millions == 1 else 1)
        for vehicles in amount.vehicles:
            ledgers.append(joined(_empty(folder), vehicles))
        waits = asyncio.run(waiting.measured(_empty(folder), amount.rounds))
    return Report(tuple(pairs), tuple(ledgers), waits, (before, os.getloadavg()[0]))


def _empty(folder: Path) -> Path:
    inside = folder / "one"
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir()
    return inside


@click.command()
@click.option("--smoke", is_flag=True, help="A short run that only shows that everything works.")
@click.option("--full", is_flag=True, help="Also 10 and 50 million rows, and 34 million vehicles: some minutes, 10 GB of disk.")
def main(smoke: bool, full: bool) -> None:
    """Measure governed deliveries and their floors."""
    click.echo("\n".join(measured(SMOKE if smoke else FULL if full else USUAL).lines()))


if __name__ == "__main__":
    main()
