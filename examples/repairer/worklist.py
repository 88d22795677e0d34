"""What a garage makes of rows: a line for each fault that a vehicle shows, since when, and at how many kilometres."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from pathlib import Path

import pyarrow.parquet

from examples.repairer.terms import FAULTS, ODOMETER


@dataclass(frozen=True, slots=True)
class Job:
    """A fault to look at. ``since``, ``last``: when it was first and last seen; ``km``: on the car's clock in the newest row.

    ``code`` is empty for a vehicle without a fault: it was asked about, and there is nothing to repair.
    """

    request: str
    code: str
    since: str
    last: str
    km: float


def jobs(landed: Mapping[str, Path]) -> list[Job]:
    """The jobs of files by the request that they came under, each about one vehicle."""
    return [job for request, file in landed.items() for job in _jobs(request, pyarrow.parquet.read_table(file).to_pylist())]


def _jobs(request: str, rows: list[dict[str, object]]) -> Iterable[Job]:
    """Of one vehicle."""
    seen: dict[str, list[str]] = {}
    km = 0.0
    for row in sorted(rows, key=_moment):
        km = float(str(row[ODOMETER])) / 1000
        for code in str(row[FAULTS] or "").split():
            seen.setdefault(code, []).append(_moment(row))
    if not seen:
        yield Job(request, "", "", "", round(km, 1))
    for code, moments in sorted(seen.items()):
        yield Job(request, code, moments[0], moments[-1], round(km, 1))


def _moment(row: dict[str, object]) -> str:
    at = row["time"]
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(at, datetime) else str(at)


def write(path: Path, found: Iterable[Job]) -> None:
    """As CSV, for the people in the workshop."""
    with path.open("w", newline="", encoding="utf-8") as opened:
        lines = csv.writer(opened, lineterminator="\n")
        lines.writerow([field.name for field in fields(Job)])
        lines.writerows(astuple(job) for job in found)
