"""Checkers of delivered files, in plain SQL over the delivered rows and the raw table: see ``opened.py``.

Each proves one sentence of an agreement on the bytes that left, and raises AssertionError with the sentence that does not hold.
Each takes ``least``, the number of rows that must be there: a check over nothing fails. None imports what it checks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tests.governed.opened import SPEED, Opened, epochs_of, height, name_of

BAND_NAMES = ("<50", "50-90", "90-130", ">130")
Boxes = Sequence[tuple[float, float, float, float]]
"""Areas as (west, south, east, north), in degrees."""


def no_vehicle_without_consent(
    opened: Opened, consented: Collection[str], *, key: bytes, least: int, epoch: str | None = None, step_s: int = 1
) -> None:
    """Every pseudonym, of a vehicle or of a trip, is that of a consented vehicle, and the row is of a time at which it drove."""
    opened.at_least(least)
    assert consented, "nobody consented: nothing can be checked"
    _know(opened, key, epoch)
    opened.put("consented", [(vehicle,) for vehicle in consented], vehicle="VARCHAR")
    units = [unit for unit in ("pseudonym", "trip") if unit in opened.columns]
    assert units, "there is neither a pseudonym nor a trip to recompute"
    for unit in units:
        known, own = (f"known_{unit}", f'"{unit}"')
        strange = opened.one(f"SELECT count(*) FROM out WHERE {own} IS NULL OR {own} NOT IN (SELECT name FROM {known})")
        assert strange == 0, f"{strange} rows carry a {unit} that none of the table's vehicles has under this key"
        leaked = opened.one(f"""SELECT count(*) FROM out JOIN {known} k ON {own} = k.name
                                WHERE k.vehicle NOT IN (SELECT vehicle FROM consented)""")
        assert leaked == 0, f"{leaked} rows are of vehicles without consent (by their {unit})"
        if "time" in opened.columns:
            alien = opened.one(f"""SELECT count(*) FROM out JOIN {known} k ON {own} = k.name ANTI JOIN raw
                ON raw.vehicle = k.vehicle AND raw.at_s // {step_s} * {step_s} = out.at_s // {step_s} * {step_s}""")
            assert alien == 0, f"{alien} rows are of a time at which their vehicle did not drive"


def no_reference_without_consent(
    opened: Opened, references: Mapping[str, str], consented: Collection[str], *, least: int
) -> None:
    """Every reference is one that a consented vehicle was enrolled with, and no pseudonym has two."""
    opened.at_least(least)
    assert "reference" in opened.columns, "there is no column of references"
    allowed = [(reference,) for vehicle, reference in references.items() if vehicle in set(consented)]
    opened.put("allowed", allowed, reference="VARCHAR")
    leaked = opened.one("SELECT count(*) FROM out WHERE reference IS NULL OR reference NOT IN (SELECT reference FROM allowed)")
    assert leaked == 0, f"{leaked} rows carry a reference of a vehicle without consent or enrolment"
    if "pseudonym" in opened.columns:
        torn = opened.one("SELECT count(*) FROM (SELECT pseudonym FROM out GROUP BY 1 HAVING count(DISTINCT reference) > 1)")
        assert torn == 0, f"{torn} pseudonyms have several references"


def no_identifier_of_a_vehicle(opened: Opened, *, least: int) -> None:
    """No value of any column of text is or contains the identifier of a vehicle of the raw table."""
    opened.at_least(least)
    texts = [name for name, kind in opened.all("SELECT name, type FROM pragma_table_info('out')") if kind == "VARCHAR"]
    for name in texts:
        found = opened.one(
            f"""SELECT count(*) FROM (SELECT DISTINCT "{name}" AS value FROM out) o, (SELECT DISTINCT vehicle FROM raw) r
                WHERE contains(lower(o.value), lower(r.vehicle))"""
        )
        assert found == 0, f"{found} values of {name} contain the identifier of a vehicle"


def no_cell_under(
    opened: Opened,
    k: int,
    *,
    cell_level: int,
    step_s: int,
    consented: Collection[str],
    least: int,
    cut_m: float = 0,
    cut_s: int = 0,
) -> None:
    """Every cell and step has at least ``k`` distinct consented vehicles in the raw table, and as many as it says.

    Counted from the raw rows that may take part: those of consented vehicles, not within the cut.
    """
    opened.at_least(least)
    assert k > 1, "a cell of one vehicle is always there"
    assert opened.placed, "these are no cells"
    assert {"time", "vehicles"} <= set(opened.columns), "these are no cells"
    _may_take_part(opened, consented, cut_m, cut_s)
    high = height(cell_level)
    opened.base.execute(
        f"""CREATE OR REPLACE TABLE recounted AS
            SELECT row_of(lat, {high}) AS r, col_of(lat, lon, {high}) AS c, at_s // {step_s} * {step_s} AS at_s,
                   count(DISTINCT vehicle) AS there
            FROM may WHERE lat IS NOT NULL AND lon IS NOT NULL GROUP BY 1, 2, 3"""
    )
    cells = opened.all(
        f"""SELECT o.vehicles, coalesce(n.there, 0) FROM out o LEFT JOIN recounted n
            ON row_of(o.o_lat, {high}) = n.r AND col_of(o.o_lat, o.o_lon, {high}) = n.c AND o.at_s = n.at_s"""
    )
    small = [there for _, there in cells if there < k]
    assert not small, f"{len(small)} cells have fewer than {k} vehicles; one has {min(small)}"
    wrong = sum(said != there for said, there in cells)
    assert wrong == 0, f"{wrong} cells say another number of vehicles than the raw table has for the whole cell"
    twice = opened.one(
        f"""SELECT count(*) FROM (SELECT 1 FROM out GROUP BY row_of(o_lat, {high}), col_of(o_lat, o_lon, {high}), at_s
            HAVING count(*) > 1)"""
    )
    assert twice == 0, f"{twice} cells are there twice"


def nothing_within_the_cut(
    opened: Opened, *, key: bytes, least: int, cut_m: float = 0, cut_s: int = 0, step_s: int = 1, exact: bool = True
) -> None:
    """Every row can come from a raw row that is far enough, in metres and seconds, from both ends of its whole trip.

    ``exact``: positions are as they were, so the raw row is the one of this place; otherwise of this time.
    """
    opened.at_least(least)
    assert cut_m > 0 or cut_s > 0, "nothing is cut"
    assert {"trip", "time"} <= set(opened.columns), "rows cannot be traced without trip and time"
    _know(opened, key, None)
    _mark_cut(opened, cut_m, cut_s)
    same = "AND abs(m.lat - out.o_lat) < 1e-7 AND abs(m.lon - out.o_lon) < 1e-7" if exact and opened.placed else ""
    near, lost = opened.all(
        f"""SELECT count(*) FILTER (hidden), count(*) FILTER (hidden IS NULL) FROM (
                SELECT bool_and(m.within) AS hidden FROM (SELECT *, row_number() OVER () AS nr FROM out) out
                LEFT JOIN known_trip k ON out.trip = k.name
                LEFT JOIN marked m ON m.vehicle = k.vehicle AND m.trip = k.raw_trip
                    AND m.at_s // {step_s} * {step_s} = out.at_s // {step_s} * {step_s} {same}
                GROUP BY out.nr)"""
    )[0]
    assert near == 0, f"{near} rows lie within {cut_m:g} m or {cut_s} s of an end of their trip"
    assert lost == 0, f"{lost} rows are of no row of the raw table"


def nothing_near_sensitive_places(opened: Opened, places: Sequence[tuple[float, float, float]], *, least: int) -> None:
    """No position lies within a sensitive place: (latitude, longitude, metres)."""
    opened.at_least(least)
    assert places, "no place is given"
    for lat, lon, radius_m in places:
        near = opened.one("SELECT count(*) FROM out WHERE metres(o_lat, o_lon, ?, ?) < ?", lat, lon, radius_m)
        assert near == 0, f"{near} rows lie within a sensitive place"


def no_precise_speed(opened: Opened, *, least: int, cell_level: int | None = None) -> None:
    """Where a position is precise (finer than cells of level 7), speed is a band, if it is there at all."""
    opened.at_least(least)
    assert opened.placed, "there is no position: nothing to check"
    assert SPEED in opened.columns, "there is no speed: nothing to check"
    if cell_level is not None and cell_level <= 7 and _whole(opened, cell_level) == 0:
        return
    other = opened.all(f'SELECT DISTINCT CAST("{SPEED}" AS VARCHAR) FROM out WHERE "{SPEED}" IS NOT NULL')
    precise = [speed for (speed,) in other if speed not in BAND_NAMES]
    assert not precise, f"{len(precise)} speeds are no bands where positions are precise"
    assert other, "no row has a speed: nothing was checked"


def no_column_outside(opened: Opened, allowed: Collection[str], *, least: int) -> None:
    """The columns are of the list."""
    opened.at_least(least)
    outside = sorted(set(opened.columns) - set(allowed))
    assert not outside, f"columns outside the list: {', '.join(outside)}"


def no_row_outside(
    opened: Opened,
    *,
    least: int,
    after_s: int | None = None,
    before_s: int | None = None,
    areas: Sequence[Boxes] = (),
    step_s: int = 1,
    cell_level: int | None = None,
) -> None:
    """Every row is of the period (its step may begin before it) and, for each area, of one of its boxes (of rows in cells,
    whose centre stands for them: within half a cell)."""
    opened.at_least(least)
    assert after_s is not None or before_s is not None or areas, "neither a period nor an area is given"
    early = opened.one("SELECT count(*) FROM out WHERE at_s < ?", (after_s or -(2**60)) // step_s * step_s)
    late = opened.one("SELECT count(*) FROM out WHERE at_s >= ?", 2**60 if before_s is None else before_s)
    undated = 0 if after_s is None and before_s is None else opened.one("SELECT count(*) FROM out WHERE at_s IS NULL")
    assert early + late + undated == 0, f"{early + late + undated} rows lie outside the period"
    slack = 0.0 if cell_level is None else height(cell_level) / 2 + 1e-5
    for area in areas:
        inside = " OR ".join(
            f"""(o_lat >= {south - slack} AND o_lat < {north + slack}
                 AND o_lon >= {west} - wide AND o_lon < {east} + wide)"""
            for west, south, east, north in area
        )
        wide = slack if cell_level is None else f"width_of(o_lat, {height(cell_level)}) / 2 + 1e-5"
        outside = opened.one(f"SELECT count(*) FROM (SELECT *, {wide} AS wide FROM out) WHERE ({inside}) IS NOT TRUE")
        assert outside == 0, f"{outside} rows lie outside the area"


def no_pseudonym_in_common(one: Opened, other: Opened, *, least: int) -> None:
    """No pseudonym of a vehicle or trip of one buyer is one of the other's."""
    checked = 0
    for unit in ("pseudonym", "trip"):
        names = [
            {name for (name,) in opened.all(f'SELECT DISTINCT "{unit}" FROM out WHERE "{unit}" IS NOT NULL')}
            for opened in (one, other)
            if unit in opened.columns
        ]
        if len(names) == 2:
            assert min(map(len, names)) >= least, f"fewer than {least} names of a {unit}"
            common = len(names[0] & names[1])
            assert common == 0, f"{common} names of a {unit} are the same for both buyers"
            checked += 1
    assert checked, "the two files have no names that could be compared"


def time_is_whole(opened: Opened, step_s: int, *, least: int) -> None:
    """Every time is a multiple of the step."""
    opened.at_least(least)
    assert step_s > 1, "every second is whole"
    broken = opened.one("SELECT count(*) FROM out WHERE at_s IS NULL OR at_s % ? <> 0", step_s)
    assert broken == 0, f"{broken} times are finer than {step_s} s"
    fine = opened.one('SELECT count(*) FROM out WHERE epoch(CAST("time" AS TIMESTAMP)) <> at_s')
    assert fine == 0, f"{fine} times have parts of a second"


def cells_are_whole(opened: Opened, cell_level: int, *, least: int) -> None:
    """Every position is the centre of its cell, to five digits."""
    opened.at_least(least)
    assert opened.placed, "there is no position"
    off = _whole(opened, cell_level)
    assert off == 0, f"{off} positions are not centres of cells of level {cell_level}"


def _whole(opened: Opened, cell_level: int) -> int:
    """How many positions are not the centre of their cell."""
    high = height(cell_level)
    off: int = opened.one(
        f"""SELECT count(*) FROM out WHERE (abs(o_lat - middle_of(o_lat, {high})) <= 1.1e-5
            AND abs(o_lon - centre_of(o_lat, o_lon, {high})) <= 1.1e-5) IS NOT TRUE"""
    )
    return off


def _know(opened: Opened, key: bytes, epoch: str | None) -> None:
    """The pseudonyms that the raw table's vehicles and trips have under a key: ``known_pseudonym``, ``known_trip``."""
    names: set[tuple[str, str]] = set()
    days = "at_s // 86400 * 86400" if epoch else "0"
    for vehicle, at in opened.all(f"SELECT DISTINCT vehicle, {days} FROM raw"):
        names |= {(vehicle, name_of(key, before + vehicle)) for before in epochs_of([at], epoch)}
    opened.put("known_pseudonym", sorted(names), vehicle="VARCHAR", name="VARCHAR")
    trips = opened.all("SELECT DISTINCT vehicle, trip FROM raw WHERE trip IS NOT NULL")
    named = [(vehicle, trip, name_of(key, f"trip|{vehicle}|{trip}")) for vehicle, trip in trips]
    opened.put("known_trip", named, vehicle="VARCHAR", raw_trip="VARCHAR", name="VARCHAR")


def _mark_cut(opened: Opened, cut_m: float, cut_s: int) -> None:
    """``marked``: the raw rows, and whether each lies within the cut of its trip. Ends are those of the whole trip."""
    opened.base.execute(
        f"""CREATE OR REPLACE TABLE marked AS SELECT raw.*,
                raw.at_s - first_s < {cut_s} OR last_s - raw.at_s < {cut_s} OR ({cut_m} > 0 AND coalesce(least(
                    metres(lat, lon, first_lat, first_lon), metres(lat, lon, last_lat, last_lon)), 0) < {cut_m}) AS within
            FROM raw JOIN (
                SELECT vehicle, trip, min(at_s) AS first_s, max(at_s) AS last_s,
                    arg_min(lat, at_s) FILTER (lat IS NOT NULL AND lon IS NOT NULL) AS first_lat,
                    arg_min(lon, at_s) FILTER (lat IS NOT NULL AND lon IS NOT NULL) AS first_lon,
                    arg_max(lat, at_s) FILTER (lat IS NOT NULL AND lon IS NOT NULL) AS last_lat,
                    arg_max(lon, at_s) FILTER (lat IS NOT NULL AND lon IS NOT NULL) AS last_lon
                FROM raw GROUP BY vehicle, trip
            ) USING (vehicle, trip)"""
    )


def _may_take_part(opened: Opened, consented: Collection[str], cut_m: float, cut_s: int) -> None:
    """``may``: the raw rows of consented vehicles that do not lie within the cut."""
    _mark_cut(opened, cut_m, cut_s)
    opened.put("consented", [(vehicle,) for vehicle in consented], vehicle="VARCHAR")
    opened.base.execute(
        "CREATE OR REPLACE TABLE may AS SELECT * FROM marked WHERE NOT within AND vehicle IN (SELECT vehicle FROM consented)"
    )
