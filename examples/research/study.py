"""What the laboratories compute from the rows that they got: plain SQL over their own files. Knows nothing of the connector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

LAT, LON, SPEED = "Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude", "Vehicle.Speed"
LEAST: Final = 5
"""Hours with fewer vehicles are left out of what is kept."""
_BY_DAY: Final = (
    'SELECT count(DISTINCT pseudonym) FROM read_parquet(?) GROUP BY CAST("time" AS DATE) ORDER BY CAST("time" AS DATE)'
)
_SAME_NAME: Final = "SELECT count(*) FROM read_parquet(?) WHERE pseudonym IN (SELECT pseudonym FROM read_parquet(?))"
_SAME_TRIP: Final = "SELECT count(*) FROM read_parquet(?) WHERE trip IN (SELECT trip FROM read_parquet(?))"
_SAME_PLACE: Final = f"""
    SELECT count(*), count(DISTINCT pseudonym) FROM read_parquet(?) AS a
    SEMI JOIN read_parquet(?) AS b ON a."time" = b."time" AND a."{LAT}" = b."{LAT}" AND a."{LON}" = b."{LON}\""""  # noqa: S608 - constants
_ON_TWO_DAYS: Final = """
    SELECT count(*) FROM (
        SELECT pseudonym FROM read_parquet(?) GROUP BY pseudonym HAVING count(DISTINCT CAST("time" AS DATE)) > 1)"""
_STUDY: Final = f"""
    SELECT hour("time") AS hour, count(*) AS seconds,
           round(avg(CAST("{SPEED}" = '<50' AS INT)), 4) AS below_50, round(avg(CAST("{SPEED}" = '50-90' AS INT)), 4) AS to_90,
           round(avg(CAST("{SPEED}" = '90-130' AS INT)), 4) AS to_130, round(avg(CAST("{SPEED}" = '>130' AS INT)), 4) AS above_130
    FROM read_parquet(?) GROUP BY ALL HAVING count(DISTINCT pseudonym) >= {LEAST} ORDER BY ALL"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Meeting:
    """What two laboratories find when they lay their files side by side.

    ``rows_by_pseudonym``, ``rows_by_trip``, ``rows_by_place``: rows of the one that the other has too, by the name of the
    vehicle, by that of the trip, by second and position. ``paired``: pseudonyms of the one whose rows were found in the last way.
    ``on_two_days``: pseudonyms of either that are there on two days.
    """

    rows_by_pseudonym: int
    rows_by_trip: int
    rows_by_place: int
    paired: int
    on_two_days: int


def meeting(one: Path, other: Path) -> Meeting:
    """Try to join two files of rows."""
    both = [str(one), str(other)]
    rows_by_place, paired = _asked(_SAME_PLACE, both)[0]
    return Meeting(
        rows_by_pseudonym=_asked(_SAME_NAME, both)[0][0],
        rows_by_trip=_asked(_SAME_TRIP, both)[0][0],
        rows_by_place=rows_by_place,
        paired=paired,
        on_two_days=sum(_asked(_ON_TWO_DAYS, [file])[0][0] for file in both),
    )


def names_by_day(file: Path) -> tuple[int, ...]:
    """How many pseudonyms a file has on each day."""
    return tuple(number for (number,) in _asked(_BY_DAY, [str(file)]))


def studied(file: Path, study: Path) -> int:
    """Write the share of each band of speed by hour of the day as CSV, and give the number of hours."""
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        found = opened.sql(_STUDY, params=[str(file)])
        found.write_csv(str(study))
        return len(found)


def _asked(query: str, values: Sequence[str]) -> list[Any]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        return opened.execute(query, list(values)).fetchall()
