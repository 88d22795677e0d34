"""What an agreement on data means, written down a second time: slow, obvious, over lists of dicts.

It imports nothing of what it judges. A raw row has ``vehicle``, ``trip``, ``at`` and ``local`` (epoch seconds) and its signals by
VSS path; ``local`` is what the clock in the car shows. The steps are those of the contract of a plan, in the same order.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Row = dict[str, Any]
LAT, LON, SPEED = "Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude", "Vehicle.Speed"
EDGES = [1_107_713, 418_677, 158_245, 59_811, 22_607, 8_545, 3_230, 1_221, 462, 175, 66, 25, 10, 4, 2, 1]
METRES_PER_DEGREE = 111_320
EARTH_M = 6_371_008.8


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """What was agreed. Areas are lists of boxes (west, south, east, north); places are (lat, lon, metres)."""

    form: str
    level: str
    columns: tuple[str, ...] = ()
    cut_m: float = 0
    cut_s: int = 0
    after_s: int | None = None
    before_s: int | None = None
    areas: tuple[tuple[tuple[float, float, float, float], ...], ...] = ()
    sensitive: str = "kept"
    places: tuple[tuple[float, float, float], ...] = ()
    enrolled: bool = False
    sample_s: int | None = None
    epoch: str | None = None
    step_s: int | None = None
    cell_level: int | None = None
    bands: bool = False
    least: int = 0


@dataclass(frozen=True)
class People:
    """Who said what: for each category, the sets of vehicles of which one must have the vehicle (None: no consent is needed);
    who used up their turns; the buyer's references; the key of its pseudonyms."""

    key: bytes
    granted: tuple[tuple[frozenset[str], ...], ...] | None = None
    left_out: frozenset[str] = frozenset()
    references: dict[str, str] = field(default_factory=dict)


def deliver(rows: list[Row], agreed: Agreed, people: People) -> list[Row]:
    """The rows that leave, in no order."""
    rows = [dict(row) for row in rows]
    rows = without_ends(rows, agreed)
    rows = [row for row in rows if in_period(row, agreed) and (agreed.form == "cells" or in_areas(row[LAT], row[LON], agreed))]
    rows = around_places(rows, agreed)
    rows = [row for row in rows if may_leave(row["vehicle"], agreed, people)]
    if agreed.sample_s:
        rows = sampled(rows, agreed.sample_s)
    form = {"rows": as_rows, "cells": as_cells, "features": as_features, "score": as_scores}[agreed.form]
    return form(rows, agreed, people)


def without_ends(rows: list[Row], agreed: Agreed) -> list[Row]:
    """Step 2. Where distance counts, a row without a place is dropped: nobody knows how far it was."""
    kept: list[Row] = []
    for trip in grouped(rows, lambda row: (row["vehicle"], row["trip"])).values():
        trip.sort(key=lambda row: row["at"])
        spots = [(row[LAT], row[LON]) for row in trip if placed(row)]
        for row in trip:
            if min(row["at"] - trip[0]["at"], trip[-1]["at"] - row["at"]) < agreed.cut_s:
                continue
            if agreed.cut_m > 0:
                if not placed(row):
                    continue
                if min(metres(row[LAT], row[LON], *spots[0]), metres(row[LAT], row[LON], *spots[-1])) < agreed.cut_m:
                    continue
            kept.append(row)
    return kept


def in_period(row: Row, agreed: Agreed) -> bool:
    """Step 3, time."""
    return (agreed.after_s is None or row["at"] >= agreed.after_s) and (agreed.before_s is None or row["at"] < agreed.before_s)


def in_areas(lat: float | None, lon: float | None, agreed: Agreed) -> bool:
    """Step 3, place: in one box of each area."""
    if not agreed.areas:
        return True
    if lat is None or lon is None:
        return False
    return all(any(w <= lon < e and s <= lat < n for w, s, e, n in area) for area in agreed.areas)


def around_places(rows: list[Row], agreed: Agreed) -> list[Row]:
    """Step 4."""
    if agreed.sensitive == "kept":
        return rows
    kept = []
    for row in rows:
        if placed(row) and any(metres(row[LAT], row[LON], lat, lon) < radius for lat, lon, radius in agreed.places):
            if agreed.sensitive == "removed":
                continue
            row[LAT], row[LON] = centre(cell(row[LAT], row[LON], 5), 5)
        kept.append(row)
    return kept


def may_leave(vehicle: str, agreed: Agreed, people: People) -> bool:
    """Step 5."""
    if vehicle in people.left_out or (agreed.enrolled and vehicle not in people.references):
        return False
    return people.granted is None or all(any(vehicle in one for one in category) for category in people.granted)


def sampled(rows: list[Row], sample_s: int) -> list[Row]:
    """Step 6."""
    slots = grouped(rows, lambda row: (row["vehicle"], row["trip"], row["at"] // sample_s))
    return [min(slot, key=lambda row: row["at"]) for slot in slots.values()]


def as_rows(rows: list[Row], agreed: Agreed, people: People) -> list[Row]:
    """Step 7, single rows."""
    made = []
    for row in rows:
        out: Row = {}
        if agreed.level == "L1":
            out["pseudonym"] = pseudonym(row, agreed, people)
        if agreed.enrolled:
            out["reference"] = people.references[row["vehicle"]]
        out["trip"] = secret(people, f"trip|{row['vehicle']}|{row['trip']}")
        out["time"] = row["at"] // agreed.step_s * agreed.step_s if agreed.step_s else row["at"]
        out |= {path: row[path] for path in agreed.columns}
        if agreed.bands and SPEED in out:
            out[SPEED] = band(row[SPEED])
        if agreed.cell_level is not None and {LAT, LON} & set(agreed.columns):
            where = cell(row[LAT], row[LON], agreed.cell_level) if placed(row) else None
            lat, lon = centre(where, agreed.cell_level) if where else (None, None)
            out |= {path: value for path, value in ((LAT, lat), (LON, lon)) if path in agreed.columns}
            out["cell"] = f"{agreed.cell_level}/{where[0]}/{where[1]}" if where else None
        made.append(out)
    return made


def as_cells(rows: list[Row], agreed: Agreed, people: People) -> list[Row]:
    """Step 7, aggregates."""
    del people
    level, step, made = agreed.cell_level or 0, agreed.step_s or 1, []
    there = [row for row in rows if placed(row)]
    cells = grouped(there, lambda row: (cell(row[LAT], row[LON], level), row["at"] // step * step))
    for (where, time), members in cells.items():
        lat, lon = centre(where, level)
        vehicles = grouped(members, lambda row: row["vehicle"])
        if len(vehicles) < agreed.least or not in_areas(lat, lon, agreed):
            continue
        out: Row = {
            "cell": f"{level}/{where[0]}/{where[1]}",
            "latitude": lat,
            "longitude": lon,
            "time": time,
            "vehicles": len(vehicles),
        }
        for path in agreed.columns:
            if path in (LAT, LON):
                continue
            if path == SPEED and agreed.bands:
                for name in ("<50", "50-90", "90-130", ">130"):
                    out[f"share {name}"] = mean_of_means(
                        [[share(row[SPEED], name) for row in own] for own in vehicles.values()], agreed.least
                    )
            else:
                out[path] = mean_of_means([[row[path] for row in own] for own in vehicles.values()], agreed.least)
        made.append(out)
    return made


def mean_of_means(vehicles: list[list[float | None]], least: int) -> float | None:
    """Every vehicle counts once, and too few of them have no mean."""
    own_means = [mean(own) for own in vehicles]
    return mean(own_means) if sum(value is not None for value in own_means) >= least else None


def mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def share(speed: float | None, name: str) -> float | None:
    return None if speed is None else float(band(speed) == name)


def band(speed: float | None) -> str | None:
    if speed is None:
        return None
    if speed < 50:
        return "<50"
    if speed < 90:
        return "50-90"
    return "90-130" if speed <= 130 else ">130"


def months_of(rows: list[Row], agreed: Agreed, people: People) -> dict[tuple[str, str, str], Row]:
    """Sums by vehicle, pseudonym and month."""
    made: dict[tuple[str, str, str], Row] = {}
    for trip in grouped(rows, lambda row: (row["vehicle"], row["trip"])).values():
        seconds = grouped([row for row in trip if row[SPEED] is not None], lambda row: row["at"])
        line = [max(same, key=lambda row: row[SPEED]) for _, same in sorted(seconds.items())]
        braking = accelerating = False
        for before, row in zip([None, *line], line, strict=False):
            shown = datetime.fromtimestamp(row["local"], UTC)
            key = (row["vehicle"], pseudonym(row, agreed, people), f"{shown:%Y-%m}")
            sums = made.setdefault(key, {"trips": set(), "days": set(), **dict.fromkeys(SUMS, 0.0)})
            sums["trips"].add(row["trip"])
            sums["days"].add(shown.date())
            step = row["at"] - before["at"] if before else math.inf
            change = row[SPEED] - before[SPEED] if before else 0
            if step <= 5 and before:
                km = (row[SPEED] + before[SPEED]) / 2 * step / 3600
                sums["km"] += km
                sums["night_km"] += km if shown.hour >= 22 or shown.hour < 5 else 0
                sums["seconds"] += step
                sums[str(band(row[SPEED]))] += step
            falls, rises = step <= 1.5 and -change / 3.6 >= 3.0 * step, step <= 1.5 and change / 3.6 >= 2.5 * step
            sums["brakings"] += falls and not braking
            sums["accelerations"] += rises and not accelerating
            braking, accelerating = falls, rises
    return made


SUMS = ("km", "night_km", "seconds", "<50", "50-90", "90-130", ">130", "brakings", "accelerations")


def as_features(rows: list[Row], agreed: Agreed, people: People) -> list[Row]:
    """Step 7, features."""
    made = []
    for (vehicle, name, month), sums in months_of(rows, agreed, people).items():
        km, seconds = sums["km"], sums["seconds"]
        out: Row = {"pseudonym": name} | ({"reference": people.references[vehicle]} if agreed.enrolled else {})
        out |= {"month": month, "km": km, "hours": seconds / 3600, "trips": len(sums["trips"]), "days": len(sums["days"])}
        out["harsh_brakings"] = sums["brakings"]
        out["harsh_braking_per_100km"] = sums["brakings"] / km * 100 if km else None
        out["harsh_acceleration_per_100km"] = sums["accelerations"] / km * 100 if km else None
        out["night_km_share"] = sums["night_km"] / km if km else None
        names = {"share_below_50": "<50", "share_50_90": "50-90", "share_90_130": "90-130", "share_above_130": ">130"}
        out |= {column: sums[name] / seconds if seconds else None for column, name in names.items()}
        made.append(out)
    return made


def as_scores(rows: list[Row], agreed: Agreed, people: People) -> list[Row]:
    """Step 7, scores."""
    made = []
    found = months_of(rows, agreed, people)
    for vehicle, name in {(vehicle, name) for vehicle, name, _ in found}:
        mine = {month: sums for (other, theirs, month), sums in found.items() if (other, theirs) == (vehicle, name)}
        all_in_all = {part: sum(sums[part] for sums in mine.values()) for part in SUMS}
        km = all_in_all["km"]
        out: Row = {"pseudonym": name} | ({"reference": people.references[vehicle]} if agreed.enrolled else {})
        out |= {"first_month": min(mine), "last_month": max(mine), "km": km, "score": None, "why": "fewer than 300 km"}
        if km >= 300:
            lost = 30 * min(1, all_in_all["brakings"] / km * 100 / 20) + 15 * min(1, all_in_all["accelerations"] / km * 100 / 30)
            lost += 15 * min(1, all_in_all["night_km"] / km / 0.3) + 20 * min(1, all_in_all[">130"] / all_in_all["seconds"] / 0.1)
            out |= {"score": 100 - lost - 20 * min(1, km / len(mine) / 2000), "why": None}
        made.append(out)
    return made


def pseudonym(row: Row, agreed: Agreed, people: People) -> str:
    form = {"day": "%Y-%m-%d|", "month": "%Y-%m|", "year": "%Y|", None: ""}[agreed.epoch]
    return secret(people, datetime.fromtimestamp(row["at"], UTC).strftime(form) + row["vehicle"])


def secret(people: People, text: str) -> str:
    return hmac.new(people.key, text.encode(), hashlib.sha256).hexdigest()[:32]


def grouped(rows: Iterable[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def placed(row: Row) -> bool:
    return row.get(LAT) is not None and row.get(LON) is not None


def metres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Along the great circle (haversine)."""
    north, east = math.radians(other_lat - lat), math.radians(other_lon - lon)
    half = math.sin(north / 2) ** 2 + math.cos(math.radians(lat)) * math.cos(math.radians(other_lat)) * math.sin(east / 2) ** 2
    return 2 * EARTH_M * math.asin(min(1, math.sqrt(half)))


def cell(lat: float, lon: float, level: int) -> tuple[int, int]:
    high = EDGES[level] / METRES_PER_DEGREE
    row = math.floor(lat / high)
    return row, math.floor(lon / wide(row, level))


def wide(row: int, level: int) -> float:
    high = EDGES[level] / METRES_PER_DEGREE
    return high / math.cos(math.radians((row + 0.5) * high))


def centre(where: tuple[int, int], level: int) -> tuple[float, float]:
    high = EDGES[level] / METRES_PER_DEGREE
    return round((where[0] + 0.5) * high, 5), round((where[1] + 0.5) * wide(where[0], level), 5)
