"""The plan of a governed delivery, as data: everything that shapes the rows that leave, and nothing else. No I/O.

A plan is made from the terms of delivery, a table and what the buyer asks for (``plan/make.py``), shown to the provider before
publication, executed by ``query/``, and named by its digest in the receipt. What a plan does not say is not done, and there is no
other way for a row to leave. The steps, in this order:

1. Every row of the table as ``vehicle``, ``trip``, ``at`` (epoch seconds, UTC, floored), ``local`` (epoch seconds as the clock in
   the car shows them) and its signals by VSS path.
2. ``cut_m`` and ``cut_s``: a row is dropped that lies less than so many metres (in a straight line) or seconds from the first or
   the last row of its trip. Ends are those of the whole trip, before anything else is left out.
3. ``after_s``, ``before_s``: ``after_s <= at < before_s``. ``areas``: a row stays if, for each area, it lies in one of its boxes.
4. ``sensitive``: rows within a sensitive place are dropped, or their position becomes the centre of its cell of level 5.
5. ``consent``: rows stay of vehicles that the ledger has a grant for, of each of ``categories``, for one of ``purposes``, to
   ``recipient``, on one of ``bases``; or of vehicles that one of its ``requests`` is about. ``enrolled``: only vehicles enrolled
   by this buyer, whose own reference is given.
6. ``sample_s``: of each vehicle's trip one row in so many seconds stays, the first.
7. What leaves, by ``form``:

   - ``rows``: pseudonym (L1; one for each ``epoch``, or for the agreement) and pseudonym of the trip (L1 and L2), ``time``,
     ``columns``. L2 has no pseudonym of the vehicle. ``step_s`` floors the time; ``cell_level`` makes a position the centre of
     its cell; ``bands`` makes speed one of ``BANDS``.
   - ``cells`` (L3): a row for each cell and step of time with at least ``least`` distinct vehicles: the cell, its centre, the
     time, the number of vehicles, and for each column the mean over vehicles of each vehicle's own mean, so that every vehicle
     counts once; null where fewer than ``least`` vehicles measured it. ``bands``: shares of the time in each band in place of a
     mean of speed. Cells and steps are whole or absent, so that no two requests cut one in two: ``after_s`` and ``before_s`` are
     multiples of the step, and of areas a cell's centre is judged.
   - ``features``: a row for each vehicle and month of the local clock: see ``query/features.py``. ``score``: distance and score.

A cell of level n is square and its edge is at least that of a hexagon of H3's level n: see ``EDGES_M``. Cells are made with
integers: ``row = floor(lat / height)``, where the height in degrees is ``edge / 111320``; ``col = floor(lon / width)``, where
the width is ``height / cos(latitude of the middle of the row)``.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import msgspec

Level = Literal["L1", "L2", "L3"]
Form = Literal["rows", "cells", "features", "score"]
Epoch = Literal["day", "month", "year"]
Sensitive = Literal["kept", "removed", "coarsened"]
Format = Literal["parquet", "arrow", "ndjson", "csv"]

EDGES_M: Final = (
    1_107_713, 418_677, 158_245, 59_811, 22_607, 8_545, 3_230, 1_221, 462, 175, 66, 25, 10, 4, 2, 1,
)  # fmt: skip
"""Edge of a cell in metres, by level 0 to 15: the average edge of H3's hexagons, rounded up."""
METRES_PER_DEGREE: Final = 111_320
COARSE_LEVEL: Final = 5
"""To this level of cells a position near a sensitive place is coarsened."""
BANDS: Final = ("<50", "50-90", "90-130", ">130")
"""Bands of speed in km/h: below 50; from 50, below 90; from 90, up to and with 130; above 130."""


class Box(msgspec.Struct, frozen=True):
    """An area in degrees (WGS 84): ``west <= lon < east``, ``south <= lat < north``."""

    west: float
    south: float
    east: float
    north: float


class Circle(msgspec.Struct, frozen=True):
    """A sensitive place: a point in degrees and a distance in metres."""

    lat: float
    lon: float
    radius_m: float


class Consent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the ledger must have of each vehicle: a grant of each category, for any purpose, to the recipient, on any basis
    (IRIs); with ``requests`` (their ids) one of these requests of a user, which covers each category, for any purpose, to the
    recipient. A grant is needed beside it only if there are ``bases``.

    ``purposes`` are the purpose of the request and all broader ones: a grant for a broader purpose covers it.
    """

    categories: tuple[str, ...]
    purposes: tuple[str, ...]
    recipient: str
    bases: tuple[str, ...]
    requests: tuple[str, ...] = ()


class Ask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a buyer asks for, within the agreed terms; what it leaves out is all that it may have.

    ``after_s``, ``before_s``: epoch seconds, half open. ``columns``: VSS paths. ``purpose``: an IRI.
    """

    after_s: int | None = None
    before_s: int | None = None
    box: Box | None = None
    columns: tuple[str, ...] = ()
    format: Format = "parquet"
    purpose: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One governed delivery: see the module. ``table`` and ``schema`` name what it was made for; ``recipient`` is the buyer."""

    dataset: str
    table: str
    schema: str
    agreement: str
    recipient: str
    level: Level
    form: Form
    anonymous: bool = False
    columns: tuple[str, ...] = ()
    cut_m: float = 0
    cut_s: int = 0
    after_s: int | None = None
    before_s: int | None = None
    areas: tuple[tuple[Box, ...], ...] = ()
    sensitive: Sensitive = "kept"
    consent: Consent | None = None
    enrolled: bool = False
    sample_s: int | None = None
    epoch: Epoch | None = None
    step_s: int | None = None
    cell_level: int | None = None
    bands: bool = False
    least: int = 0
    format: Format = "parquet"

    @property
    def personal(self) -> bool:
        """Whether its rows are about single vehicles."""
        return self.form != "cells"

    @property
    def digest(self) -> str:
        """SHA-256 of the plan, in hex: what receipts name."""
        return hashlib.sha256(msgspec.json.encode(_as_read(self), order="sorted")).hexdigest()

    @property
    def grid(self) -> str:
        """What must stay the same for one buyer of one table, or its aggregates could be subtracted from each other."""
        plan = _as_read(self)
        shape = (plan.cell_level, plan.step_s, plan.least, plan.bands, plan.sensitive, plan.cut_m, plan.cut_s, plan.sample_s)
        return hashlib.sha256(msgspec.json.encode(shape)).hexdigest()


def _as_read(plan: Plan) -> Plan:
    """The plan as it comes out of JSON: there 300 and 300.0 metres are one number, and so they have one digest."""
    return msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
