"""For each term that shapes what is delivered: an agreement in which it does, a check of the bytes, and the steps that keep it.

The checks know neither the data plane nor the compiler; the numbers in them are those of the agreement, written down again. The
steps are named by the functions of the query: each of them is made blind to what the plan says, one row at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.query import cells, population, rows, run, shape
from policies.model import CARNET, Action, Duty, Permission, Policy
from policies.terms.actions import USE
from policies.terms.duties import OBTAIN_CONSENT
from policies.terms.place import SPATIAL
from policies.terms.time import DELAY_PERIOD
from tests.acceptance import depot
from tests.acceptance.weighed import Row
from tests.governed import checks
from tests.governed.opened import LAT, LON, Opened, height

AGREEMENT: Final = "urn:agreement:shaped"
Check = Callable[[Opened, bytes], None]
"""Of the file that was delivered, and the key of the buyer's pseudonyms. Raises AssertionError."""


class Step(NamedTuple):
    """A function of the query, and what it is made to see in the plan, the consent or the population that it is given."""

    owner: Any
    function: str
    seen: dict[str, Any]


class Shaped(NamedTuple):
    """``terms``: the term is one of them, or ``duty`` is it. ``table`` is said of the table by its owner; ``fast``: it has speed.

    ``refused``: without the term there is no plan at all, so that nothing leaves; its steps are taken away all the same.
    """

    iri: str
    terms: tuple[Row, ...]
    check: Check
    steps: tuple[Step, ...]
    fast: bool = False
    duty: str | None = None
    table: dict[str, Any] = {}  # noqa: RUF012 - nobody writes to it
    refused: bool = False

    @property
    def agreement(self) -> Policy:
        """In full."""
        duties = (Duty(Action(self.duty)),) if self.duty else ()
        return Policy("Agreement", AGREEMENT, (Permission(Action(USE), tuple(row.constraint() for row in self.terms), duties),))


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
BARE: Final = {"form": "rows", "level": "L1", "step_s": None, "cell_level": None, "columns": (LAT, LON)}
"""A plan of rows as they are."""


def group(opened: Opened, least: int, **other: Any) -> None:
    """Cells and steps of so many vehicles: where nothing else is said, of level 7 and of an hour."""
    wanted = {"cell_level": 7, "step_s": 3_600, **other}
    checks.no_cell_under(opened, least, consented=depot.CONSENTED, least=2, **wanted)


def group_away_from_home(opened: Opened, key: bytes) -> None:
    """The same, counted without what lies near the sensitive place."""
    near = opened.one("SELECT count(*) FROM raw WHERE metres(lat, lon, ?, ?) < ?", *depot.HOME)
    assert near > 0, "nobody drives there"
    opened.base.execute("DELETE FROM raw WHERE metres(lat, lon, ?, ?) < ?", list(depot.HOME))
    group(opened, 5)


def coarse_at_home(opened: Opened, key: bytes) -> None:
    """No row is missing, and what lies near the sensitive place is the centre of a cell of level 5."""
    assert opened.rows == ALL, f"{opened.rows} rows are there, and nothing was to be left out"
    high = height(5)
    precise = opened.one(
        """SELECT count(*) FROM out WHERE metres(o_lat, o_lon, ?, ?) < ? AND (abs(o_lat - middle_of(o_lat, ?)) < 1.1e-5
            AND abs(o_lon - centre_of(o_lat, o_lon, ?)) < 1.1e-5) IS NOT TRUE""",
        *depot.HOME,
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
    return lambda opened, key: checks.no_vehicle_without_consent(opened, depot.CONSENTED, key=key, epoch=epoch, least=MANY)


def named_for_a_day(opened: Opened, key: bytes) -> None:
    """No pseudonym on two days; each is that of a vehicle on its day."""
    linked = opened.one("SELECT count(*) FROM (SELECT 1 FROM out GROUP BY pseudonym HAVING count(DISTINCT at_s // 86400) > 1)")
    assert linked == 0, f"{linked} pseudonyms are the same on two days"
    checks.no_vehicle_without_consent(opened, depot.CONSENTED, key=key, epoch="day", least=MANY)


def enrolled(opened: Opened, key: bytes) -> None:
    """Only vehicles that the buyer enrolled, under its own references."""
    checks.no_reference_without_consent(opened, depot.REFERENCES, depot.CONSENTED, least=MANY)
    checks.no_vehicle_without_consent(opened, set(depot.REFERENCES) & set(depot.CONSENTED), key=key, least=MANY)


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


def _vdx(name: str) -> str:
    return CARNET + name


LEVEL_3: Final = Row("vdx:releaseLevel", "eq", "vdx:L3")
BY_CONSENT: Final = Row("vdx:legalBasis", "eq", "dpv:Consent")
ROUNDED: Final = Row("vdx:spatialResolution", "lteq", "7")
NO_OFFENCES: Final = Row("vdx:offenceData", "eq", "false")
CONSENT_OR_CONTRACT: Final = Row("vdx:legalBasis", "isAnyOf", ("dpv:Consent", "dpv:Contract"))
EVERYBODY: Final = {"granted": None, "consent": None}


def in_cells(**seen: Any) -> tuple[Step, ...]:
    """All that makes cells is blind to something."""
    return tuple(Step(cells, name, seen) for name in ("parts", "counted", "together", "projected"))


SHAPES: Final = (
    Shaped(
        DELAY_PERIOD,
        (Row("delayPeriod", "gteq", "P25DT13H55M"),),
        within(before_s=DELAYED_S),
        (Step(shape, "in_period", {"before_s": None}),),
    ),
    Shaped(
        SPATIAL,
        (Row("spatial", "eq", "http://publications.europa.eu/resource/authority/place/FRA_MPL"),),
        within(areas=(MONTPELLIER,)),
        (Step(shape, "shaped", {"areas": ()}),),
    ),
    Shaped(
        _vdx("boundingBox"),
        (Row("vdx:boundingBox", "isPartOf", "3.8,43.58,3.8603,43.62"),),
        within(areas=(((3.8, 43.58, 3.8603, 43.62),),)),
        (Step(shape, "shaped", {"areas": ()}),),
    ),
    Shaped(
        _vdx("releaseLevel"),
        (Row("vdx:releaseLevel", "eq", "vdx:L2"),),
        only("trip", "time", LAT, LON, depot.RPM, least=MANY),
        (Step(rows, "projected", {"level": "L1"}),),
    ),
    Shaped(_vdx("releaseLevel"), (LEVEL_3, BY_CONSENT), cells_of(), (Step(run, "_run", BARE),)),
    Shaped(
        _vdx("minGroupSize"),
        (LEVEL_3, BY_CONSENT, Row("vdx:minGroupSize", "gteq", "6")),
        lambda opened, key: group(opened, 6),
        (Step(cells, "counted", {"least": 1}),),
    ),
    Shaped(
        _vdx("spatialResolution"),
        (Row("vdx:spatialResolution", "lteq", "8"),),
        lambda opened, key: checks.cells_are_whole(opened, 8, least=MANY),
        (Step(rows, "projected", {"cell_level": None}),),
    ),
    Shaped(
        _vdx("temporalResolution"),
        (Row("vdx:temporalResolution", "gteq", "PT1M"),),
        lambda opened, key: checks.time_is_whole(opened, 60, least=MANY),
        (Step(rows, "projected", {"step_s": None}),),
    ),
    Shaped(
        _vdx("samplingInterval"),
        (Row("vdx:samplingInterval", "gteq", "PT5S"),),
        one_row_in_a_slot,
        (Step(shape, "shaped", {"sample_s": None}),),
    ),
    Shaped(_vdx("tripEndCut"), (Row("vdx:tripEndCut", "gteq", "300"),), cut(cut_m=300), (Step(shape, "_cut", {"cut_m": 0}),)),
    Shaped(
        _vdx("tripEndCutTime"), (Row("vdx:tripEndCutTime", "gteq", "PT1M"),), cut(cut_s=60), (Step(shape, "_cut", {"cut_s": 0}),)
    ),
    Shaped(
        _vdx("pseudonymEpoch"),
        (Row("vdx:pseudonymEpoch", "eq", "P1D"),),
        named_for_a_day,
        (Step(population, "_members_sql", {"epoch": None}),),
    ),
    Shaped(
        _vdx("enrolment"),
        (Row("vdx:enrolment", "eq", "true"),),
        enrolled,
        (Step(population, "_members_sql", {"enrolled": False}), Step(population, "allowed", {"references": None})),
    ),
    Shaped(
        _vdx("columns"),
        (Row("vdx:columns", "isAnyOf", (LAT, LON)),),
        only(*NAMES, LAT, LON, least=MANY),
        (Step(run, "paths_of", {"columns": (LAT, LON, depot.RPM)}), Step(rows, "projected", {"columns": (LAT, LON, depot.RPM)})),
    ),
    Shaped(
        _vdx("sensitivePlaces"),
        (LEVEL_3, BY_CONSENT, Row("vdx:sensitivePlaces", "eq", "vdx:Removed")),
        group_away_from_home,
        (Step(shape, "shaped", {"sensitive": "kept"}),),
        table={"sensitive": (depot.HOME,)},
    ),
    Shaped(
        _vdx("offenceData"),
        (LEVEL_3, Row("vdx:spatialResolution", "lteq", "8"), NO_OFFENCES),
        only(*CELL, depot.RPM, *SHARES, least=4),
        in_cells(bands=False),
        fast=True,
    ),
    Shaped(
        _vdx("offenceData"),
        (NO_OFFENCES,),
        lambda opened, key: checks.no_precise_speed(opened, least=MANY),
        (Step(rows, "projected", {"bands": False}),),
        fast=True,
        refused=True,
    ),
    Shaped(
        _vdx("detail"),
        (ROUNDED, Row("vdx:detail", "eq", "vdx:FeaturesOnly")),
        only(*FEATURES, least=5),
        (Step(run, "_run", BARE),),
        fast=True,
    ),
    Shaped(
        _vdx("detail"),
        (ROUNDED, Row("vdx:detail", "eq", "vdx:ScoreAndMileageOnly")),
        only(*SCORE, least=5),
        (Step(run, "_run", {**BARE, "form": "features"}),),
        fast=True,
    ),
    Shaped(
        _vdx("legalBasis"),
        (Row("vdx:legalBasis", "eq", "dpv:ExplicitConsent"),),
        of(*depot.EXPLICITLY),
        (Step(Ledger, "population", {"bases": (depot.CONSENT, depot.EXPLICIT)}),),
    ),
    Shaped(
        OBTAIN_CONSENT,
        (CONSENT_OR_CONTRACT,),
        of(*depot.CONSENTED),
        (Step(population, "members", EVERYBODY),),
        duty=OBTAIN_CONSENT,
        table={"bases": (depot.CONTRACT,)},
    ),
    Shaped(
        SPATIAL,
        (Row("spatial", "isNoneOf", ("http://publications.europa.eu/resource/authority/place/FRA_MPL",)),),
        nothing_in_montpellier,
        (Step(shape, "shaped", {"areas": ()}),),
    ),
    Shaped(
        _vdx("spatialResolution"),
        (LEVEL_3, BY_CONSENT, Row("vdx:spatialResolution", "lteq", "6")),
        cells_of(cell_level=6),
        in_cells(cell_level=7),
    ),
    Shaped(
        _vdx("temporalResolution"),
        (LEVEL_3, BY_CONSENT, Row("vdx:temporalResolution", "gteq", "P1D")),
        cells_of(step_s=86_400),
        in_cells(step_s=3_600),
    ),
    Shaped(
        _vdx("tripEndCut"),
        (LEVEL_3, BY_CONSENT, Row("vdx:tripEndCut", "gteq", "2500")),
        cells_of(cut_m=2_500),
        (Step(shape, "_cut", {"cut_m": 0}),),
    ),
    Shaped(
        _vdx("tripEndCutTime"),
        (LEVEL_3, BY_CONSENT, Row("vdx:tripEndCutTime", "gteq", "PT2M")),
        cells_of(cut_s=120),
        (Step(shape, "_cut", {"cut_s": 0}),),
    ),
    *(
        Shaped(
            _vdx("pseudonymEpoch"),
            (Row("vdx:pseudonymEpoch", "lteq", span),),
            named_for(epoch),
            (Step(population, "_members_sql", {"epoch": None}),),
        )
        for span, epoch in (("P1M", "month"), ("P1Y", "year"))
    ),
    Shaped(
        _vdx("columns"),
        (Row("vdx:columns", "isNoneOf", (depot.RPM,)),),
        only(*NAMES, LAT, LON, least=MANY),
        (Step(run, "paths_of", {"columns": (LAT, LON, depot.RPM)}), Step(rows, "projected", {"columns": (LAT, LON, depot.RPM)})),
    ),
    Shaped(
        _vdx("sensitivePlaces"),
        (Row("vdx:sensitivePlaces", "eq", "vdx:Coarsened"),),
        coarse_at_home,
        (Step(shape, "shaped", {"sensitive": "kept"}),),
        table={"sensitive": (depot.HOME,)},
    ),
)
"""Each term of the plan once in the order of the registry, and then once more where it works in another way."""
