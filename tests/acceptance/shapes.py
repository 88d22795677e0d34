"""For each term that shapes what is delivered: an agreement in which it does, a check of the bytes, and the steps that keep it.

The checks know neither the data plane nor the compiler; the numbers in them are those of the agreement, written down again. The
steps are named by the functions of the query: each of them is made blind to what the plan says, one row at a time.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from connector.dataplane.consent.ledger import Ledger
from connector.dataplane.query import cells, population, rows, run, shape
from policies.model import CARNET, Action, Duty, Permission, Policy
from policies.terms.actions import USE
from policies.terms.consent import USER_REQUEST
from policies.terms.duties import OBTAIN_CONSENT
from policies.terms.place import SPATIAL
from policies.terms.time import DELAY_PERIOD
from tests.acceptance import depot
from tests.acceptance.weighed import Row
from tests.governed import checks, kept
from tests.governed.cars import CARS, CONSENTED, EXPLICITLY, HOME, RPM
from tests.governed.opened import LAT, LON

AGREEMENT: Final = "urn:agreement:shaped"


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
    check: kept.Check
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


BARE: Final = {"form": "rows", "level": "L1", "step_s": None, "cell_level": None, "columns": (LAT, LON)}
"""A plan of rows as they are."""


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
        kept.within(before_s=kept.DELAYED_S),
        (Step(shape, "in_period", {"before_s": None}),),
    ),
    Shaped(
        SPATIAL,
        (Row("spatial", "eq", "http://publications.europa.eu/resource/authority/place/FRA_MPL"),),
        kept.within(areas=(kept.MONTPELLIER,)),
        (Step(shape, "shaped", {"areas": ()}),),
    ),
    Shaped(
        _vdx("boundingBox"),
        (Row("vdx:boundingBox", "isPartOf", "3.8,43.58,3.8603,43.62"),),
        kept.within(areas=(((3.8, 43.58, 3.8603, 43.62),),)),
        (Step(shape, "shaped", {"areas": ()}),),
    ),
    Shaped(
        _vdx("releaseLevel"),
        (Row("vdx:releaseLevel", "eq", "vdx:L2"),),
        kept.only("trip", "time", LAT, LON, RPM, least=kept.MANY),
        (Step(rows, "projected", {"level": "L1"}),),
    ),
    Shaped(_vdx("releaseLevel"), (LEVEL_3, BY_CONSENT), kept.cells_of(), (Step(run, "_run", BARE),)),
    Shaped(
        _vdx("minGroupSize"),
        (LEVEL_3, BY_CONSENT, Row("vdx:minGroupSize", "gteq", "6")),
        lambda opened, key: kept.group(opened, 6),
        (Step(cells, "counted", {"least": 1}),),
    ),
    Shaped(
        _vdx("spatialResolution"),
        (Row("vdx:spatialResolution", "lteq", "8"),),
        lambda opened, key: checks.cells_are_whole(opened, 8, least=kept.MANY),
        (Step(rows, "projected", {"cell_level": None}),),
    ),
    Shaped(
        _vdx("temporalResolution"),
        (Row("vdx:temporalResolution", "gteq", "PT1M"),),
        lambda opened, key: checks.time_is_whole(opened, 60, least=kept.MANY),
        (Step(rows, "projected", {"step_s": None}),),
    ),
    Shaped(
        _vdx("samplingInterval"),
        (Row("vdx:samplingInterval", "gteq", "PT5S"),),
        kept.one_row_in_a_slot,
        (Step(shape, "shaped", {"sample_s": None}),),
    ),
    Shaped(
        _vdx("tripEndCut"), (Row("vdx:tripEndCut", "gteq", "300"),), kept.cut(cut_m=300), (Step(shape, "_cut", {"cut_m": 0}),)
    ),
    Shaped(
        _vdx("tripEndCutTime"),
        (Row("vdx:tripEndCutTime", "gteq", "PT1M"),),
        kept.cut(cut_s=60),
        (Step(shape, "_cut", {"cut_s": 0}),),
    ),
    Shaped(
        _vdx("pseudonymEpoch"),
        (Row("vdx:pseudonymEpoch", "eq", "P1D"),),
        kept.named_for_a_day,
        (Step(population, "_members_sql", {"epoch": None}),),
    ),
    Shaped(
        _vdx("enrolment"),
        (Row("vdx:enrolment", "eq", "true"),),
        kept.enrolled,
        (Step(population, "_members_sql", {"enrolled": False}), Step(population, "allowed", {"references": None})),
    ),
    Shaped(
        _vdx("columns"),
        (Row("vdx:columns", "isAnyOf", (LAT, LON)),),
        kept.only(*kept.NAMES, LAT, LON, least=kept.MANY),
        (Step(run, "paths_of", {"columns": (LAT, LON, RPM)}), Step(rows, "projected", {"columns": (LAT, LON, RPM)})),
    ),
    Shaped(
        _vdx("sensitivePlaces"),
        (LEVEL_3, BY_CONSENT, Row("vdx:sensitivePlaces", "eq", "vdx:Removed")),
        kept.group_away_from_home,
        (Step(shape, "shaped", {"sensitive": "kept"}),),
        table={"sensitive": (HOME,)},
    ),
    Shaped(
        _vdx("offenceData"),
        (LEVEL_3, Row("vdx:spatialResolution", "lteq", "8"), NO_OFFENCES),
        kept.only(*kept.CELL, RPM, *kept.SHARES, least=4),
        in_cells(bands=False),
        fast=True,
    ),
    Shaped(
        _vdx("offenceData"),
        (NO_OFFENCES,),
        lambda opened, key: checks.no_precise_speed(opened, least=kept.MANY),
        (Step(rows, "projected", {"bands": False}),),
        fast=True,
        refused=True,
    ),
    Shaped(
        _vdx("detail"),
        (ROUNDED, Row("vdx:detail", "eq", "vdx:FeaturesOnly")),
        kept.only(*kept.FEATURES, least=5),
        (Step(run, "_run", BARE),),
        fast=True,
    ),
    Shaped(
        _vdx("detail"),
        (ROUNDED, Row("vdx:detail", "eq", "vdx:ScoreAndMileageOnly")),
        kept.only(*kept.SCORE, least=5),
        (Step(run, "_run", {**BARE, "form": "features"}),),
        fast=True,
    ),
    Shaped(
        _vdx("legalBasis"),
        (Row("vdx:legalBasis", "eq", "dpv:ExplicitConsent"),),
        kept.of(*EXPLICITLY),
        (Step(Ledger, "population", {"bases": (depot.CONSENT, depot.EXPLICIT)}),),
    ),
    Shaped(
        USER_REQUEST,
        (Row("vdx:userRequest", "isAnyOf", tuple(f"urn:request:{number}" for number in range(5))),),
        kept.of(CARS[0], CARS[7]),
        (Step(population, "members", EVERYBODY),),
    ),
    Shaped(
        OBTAIN_CONSENT,
        (CONSENT_OR_CONTRACT,),
        kept.of(*CONSENTED),
        (Step(population, "members", EVERYBODY),),
        duty=OBTAIN_CONSENT,
        table={"bases": (depot.CONTRACT,)},
    ),
    Shaped(
        SPATIAL,
        (Row("spatial", "isNoneOf", ("http://publications.europa.eu/resource/authority/place/FRA_MPL",)),),
        kept.nothing_in_montpellier,
        (Step(shape, "shaped", {"areas": ()}),),
    ),
    Shaped(
        _vdx("spatialResolution"),
        (LEVEL_3, BY_CONSENT, Row("vdx:spatialResolution", "lteq", "6")),
        kept.cells_of(cell_level=6),
        in_cells(cell_level=7),
    ),
    Shaped(
        _vdx("temporalResolution"),
        (LEVEL_3, BY_CONSENT, Row("vdx:temporalResolution", "gteq", "P1D")),
        kept.cells_of(step_s=86_400),
        in_cells(step_s=3_600),
    ),
    Shaped(
        _vdx("tripEndCut"),
        (LEVEL_3, BY_CONSENT, Row("vdx:tripEndCut", "gteq", "2500")),
        kept.cells_of(cut_m=2_500),
        (Step(shape, "_cut", {"cut_m": 0}),),
    ),
    Shaped(
        _vdx("tripEndCutTime"),
        (LEVEL_3, BY_CONSENT, Row("vdx:tripEndCutTime", "gteq", "PT2M")),
        kept.cells_of(cut_s=120),
        (Step(shape, "_cut", {"cut_s": 0}),),
    ),
    *(
        Shaped(
            _vdx("pseudonymEpoch"),
            (Row("vdx:pseudonymEpoch", "lteq", span),),
            kept.named_for(epoch),
            (Step(population, "_members_sql", {"epoch": None}),),
        )
        for span, epoch in (("P1M", "month"), ("P1Y", "year"))
    ),
    Shaped(
        _vdx("columns"),
        (Row("vdx:columns", "isNoneOf", (RPM,)),),
        kept.only(*kept.NAMES, LAT, LON, least=kept.MANY),
        (Step(run, "paths_of", {"columns": (LAT, LON, RPM)}), Step(rows, "projected", {"columns": (LAT, LON, RPM)})),
    ),
    Shaped(
        _vdx("sensitivePlaces"),
        (Row("vdx:sensitivePlaces", "eq", "vdx:Coarsened"),),
        kept.coarse_at_home,
        (Step(shape, "shaped", {"sensitive": "kept"}),),
        table={"sensitive": (HOME,)},
    ),
)
"""Each term of the plan once in the order of the registry, and then once more where it works in another way."""
