"""What each term of delivery comes to on the bytes that left, for the fleet of ``cars.py``: one check for each, or made of one.

The numbers are those of the agreements, written down again. Nothing here comes from the data plane or the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from tests.governed import checks
from tests.governed.cars import CONSENTED, HOME, REFERENCES
from tests.governed.opened import Opened, height

Check = Callable[[Opened, bytes], None]
"""Of the file that was delivered, and the key of the buyer's pseudonyms. Raises AssertionError."""
MANY: Final = 1_000
"""So many rows at least are in a file of rows."""
ALL: Final = 7_214
"""As many as the vehicles that consented have."""
MONTPELLIER: Final = ((3.8, 43.56, 3.95, 43.66),)
DELAYED_S: Final = int(datetime(2026, 1, 15, 10, 5, tzinfo=UTC).timestamp())
"""25 days, 13 hours and 55 minutes before now: in the middle of the second day's drives."""
NAMES: Final = ("pseudonym", "trip", "time")
CELL: Final = ("cell", "latitude", "longitude", "time", "vehicles")
FEATURES: Final = (
    "pseudonym", "month", "km", "hours", "trips", "days", "share_below_50", "share_50_90", "share_90_130", "share_above_130",
    "night_km_share", "harsh_brakings", "harsh_braking_per_100km", "harsh_acceleration_per_100km",
)  # fmt: skip
SCORE: Final = ("pseudonym", "first_month", "last_month", "km", "score", "why")
SHARES: Final = tuple(f"share {band}" for band in checks.BAND_NAMES)


def group(opened: Opened, least: int, **other: Any) -> None:
    """Cells and steps of so many vehicles: where nothing else is said, of level 7 and of an hour."""
    wanted = {"cell_level": 7, "step_s": 3_600, **other}
    checks.no_cell_under(opened, least, consented=CONSENTED, least=2, **wanted)


def group_away_from_home(opened: Opened, key: bytes) -> None:
    """The same, counted without what lies near the sensitive place."""
    near = opened.one("SELECT count(*) FROM raw WHERE metres(lat, lon, ?, ?) < ?", *HOME)
    assert near > 0, "nobody drives there"
    opened.base.execute("DELETE FROM raw WHERE metres(lat, lon, ?, ?) < ?", list(HOME))
    group(opened, 5)


def coarse_at_home(opened: Opened, key: bytes) -> None:
    """No row is missing, and what lies near the sensitive place is the centre of a cell of level 5."""
    assert opened.rows == ALL, f"{opened.rows} rows are there, and nothing was to be left out"
    high = height(5)
    precise = opened.one(
        """SELECT count(*) FROM out WHERE metres(o_lat, o_lon, ?, ?) < ? AND (abs(o_lat - middle_of(o_lat, ?)) < 1.1e-5
            AND abs(o_lon - centre_of(o_lat, o_lon, ?)) < 1.1e-5) IS NOT TRUE""",
        *HOME,
        high,
        high,
    )
    assert precise == 0, f"{precise} positions near a sensitive place are precise"


def nothing_in_montpellier(opened: Opened, key: bytes) -> None:
    """All rows lie outside of the box around the town."""
    opened.at_least(100)
    west, south, east, north = MONTPELLIER[0]
    inside = opened.one(
        "SELECT count(*) FROM out WHERE o_lat >= ? AND o_lat < ? AND o_lon >= ? AND o_lon < ?", south, north, west, east
    )
    assert inside == 0, f"{inside} rows lie within the area"


def one_row_in_a_slot(opened: Opened, key: bytes) -> None:
    """Of each trip at most one row in five seconds."""
    opened.at_least(MANY)
    twice = opened.one("SELECT count(*) FROM (SELECT 1 FROM out GROUP BY trip, at_s // 5 HAVING count(*) > 1)")
    assert twice == 0, f"{twice} times there are several rows of a trip in 5 s"


def named_for(epoch: str) -> Check:
    """Each pseudonym is that of a vehicle in its month, or year."""
    return lambda opened, key: checks.no_vehicle_without_consent(opened, CONSENTED, key=key, epoch=epoch, least=MANY)


def named_for_a_day(opened: Opened, key: bytes) -> None:
    """No pseudonym on two days; each is that of a vehicle on its day."""
    linked = opened.one("SELECT count(*) FROM (SELECT 1 FROM out GROUP BY pseudonym HAVING count(DISTINCT at_s // 86400) > 1)")
    assert linked == 0, f"{linked} pseudonyms are the same on two days"
    checks.no_vehicle_without_consent(opened, CONSENTED, key=key, epoch="day", least=MANY)


def enrolled(opened: Opened, key: bytes) -> None:
    """Only vehicles that the buyer enrolled, under its own references."""
    checks.no_reference_without_consent(opened, REFERENCES, CONSENTED, least=MANY)
    checks.no_vehicle_without_consent(opened, set(REFERENCES) & set(CONSENTED), key=key, least=MANY)


def cells_of(**wanted: Any) -> Check:
    """Cells and steps of at least five vehicles."""
    return lambda opened, key: group(opened, 5, **wanted)


def of(*cars: str) -> Check:
    """Only these vehicles."""
    return lambda opened, key: checks.no_vehicle_without_consent(opened, cars, key=key, least=MANY)


def only(*columns: str, least: int) -> Check:
    """Only these columns."""
    return lambda opened, key: checks.no_column_outside(opened, columns, least=least)


def within(**wanted: Any) -> Check:
    """Only rows of this period or area."""
    return lambda opened, key: checks.no_row_outside(opened, least=MANY, **wanted)


def cut(**wanted: Any) -> Check:
    """Nothing within the cut."""
    return lambda opened, key: checks.nothing_within_the_cut(opened, key=key, least=MANY, **wanted)
