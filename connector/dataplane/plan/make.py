"""The plan of a delivery: terms, table and request come together, and what nobody spoke of is decided on the safe side. No I/O.

- Rows about single vehicles of people leave by consent, unless another basis is allowed and on record, or the terms name requests
  of users: who asks for a share needs not agree to it once more. Consent is then needed where the terms speak of it as well.
- No level said: pseudonymised rows, or aggregates where a group size is asked. Aggregates are of cells of level 7 or coarser and
  of whole hours of at least 5 vehicles where nothing else is said.
- Where a position leaves precisely, speed leaves in bands, or there is no plan. That is judged by all that applies, not by what
  one request asks for: two requests together would give what one must not.
- A request only narrows. Where positions leave rounded or not at all, it may not choose an area, and where times leave in steps
  or months, it gets whole ones: else it could ask for what was rounded away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from connector.dataplane.plan.agreed import CONSENTS, LEVELS, Agreed, agreed, contradicting, not_enforceable
from connector.dataplane.plan.declared import declared
from connector.dataplane.plan.model import Ask, Box, Consent, Form, Level, Plan, Sensitive
from connector.dataplane.plan.periods import oldest_first, whole_months, whole_steps, within
from connector.dataplane.plan.places import Places, covered
from connector.dataplane.plan.refused import PlanRefused
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED, Column, Table
from policies.delivery import Delivery
from policies.lint import COARSE_LEVEL
from policies.model import CARNET
from policies.purposes import line
from policies.terms import privacy
from policies.terms.consent import LEGAL_BASIS
from policies.terms.duties import OBTAIN_CONSENT
from policies.terms.metering import REQUESTS_PER_VEHICLE_DAY

__all__ = ["DEFAULT_LEAST", "DEFAULT_LEVEL", "DEFAULT_STEP_S", "FEATURES_MOST_MS", "PlanRefused", "Who", "make"]

DEFAULT_LEVEL: Final = 7
DEFAULT_STEP_S: Final = 3_600
DEFAULT_LEAST: Final = 5
"""Distinct vehicles behind each cell at least, whatever else was agreed."""
FEATURES_MOST_MS: Final = 1_000
"""Harsh braking cannot be seen where the rows of a trip are further apart."""

_MONTH_S: Final = 31 * 86_400
_POSITION: Final = frozenset({LATITUDE, LONGITUDE})
_SPEED_UNITS: Final = frozenset({"km/h", "m/s", "mph"})
_NUMBERS: Final = frozenset({"number", "integer"})
_DIGESTS: Final = ("driving-behaviour", "mileage")
"""What features and scores are about."""


@dataclass(frozen=True, slots=True)
class Who:
    """For whom: the data set, the agreement (its IRI), the buyer (participant id), and the purpose that was decided (an IRI)."""

    dataset: str
    agreement: str
    recipient: str
    purpose: str | None = None


def make(delivery: Delivery, table: Table, ask: Ask, who: Who, now_ms: int, places: Places) -> Plan:
    """The plan of the first permission of ``delivery`` that can carry ``ask``. Raises PlanRefused with the reasons of all."""
    refusals: list[PlanRefused] = []
    alone = [delivery.under((index,)) for index in delivery.permissions]
    located = any(_locates(one, table, places) for one in alone)
    for one in alone:
        try:
            return _made(one, table, ask, who, now_ms, places, located)
        except PlanRefused as refused:
            refusals.append(refused)
    if not refusals:
        raise PlanRefused("permission-none", "", "no permission applies", "ask for what an agreement permits")
    first = refusals[0]
    reasons = dict.fromkeys(refused.reason for refused in refusals)
    raise PlanRefused(first.code, first.path, "; ".join(reasons), first.remedy)


def _locates(delivery: Delivery, table: Table, places: Places) -> bool:
    """Whether rows with a precise position leave under one permission."""
    try:
        terms = agreed(delivery, places)
        precise = terms.cell_level is None or terms.cell_level > COARSE_LEVEL
        return precise and _form(terms, table) == "rows" and not _POSITION.isdisjoint(_columns(terms, table))
    except PlanRefused:
        return False


def _made(delivery: Delivery, table: Table, ask: Ask, who: Who, now_ms: int, places: Places, located: bool) -> Plan:
    if delivery.problems:
        problem = delivery.problems[0]
        raise PlanRefused(problem.code, problem.path, problem.sentence, problem.remedy)
    keeps = declared(table)
    for item in (*delivery.shape, *(duty for duty in delivery.duties if duty.term == OBTAIN_CONSENT)):
        if item.term not in keeps:
            raise not_enforceable(item.path, f"{item.term} cannot be kept of this table")
    terms = agreed(delivery, places)
    form = _form(terms, table)
    plan = _Making(table, ask, who, now_ms, terms, form, _level(terms, form, table), located).plan()
    _check_counted(delivery, plan)
    return plan


def _check_counted(delivery: Delivery, plan: Plan) -> None:
    """Whether the vehicles of a delivery can be counted where the terms count them: all of them, or it would leave without a
    limit what nobody counts."""
    for item in delivery.meters:
        if item.term != REQUESTS_PER_VEHICLE_DAY:
            continue
        if plan.form == "cells":
            said = "nobody writes down who stands behind an aggregate, so that no vehicle can be counted"
            raise not_enforceable(item.path, said)
        if plan.consent is None and not plan.enrolled:
            said = "vehicles are counted by their number in the ledger of consents, and these rows leave without consents"
            raise not_enforceable(item.path, said)


def _form(terms: Agreed, table: Table) -> Form:
    """How rows leave: the least detail that the terms allow."""
    details = terms.details or frozenset({f"{CARNET}FullDetail"})
    digested = details - {f"{CARNET}FullDetail"}
    if digested:
        _check_digestible(terms, table)
        return "score" if f"{CARNET}ScoreAndMileageOnly" in digested else "features"
    aggregated = terms.levels is None and terms.least is not None
    if terms.levels is not None and "L3" not in terms.levels and terms.least is not None:
        raise contradicting(terms.path(privacy.MIN_GROUP_SIZE), "a group size is one of aggregates, and the level is of rows")
    return "cells" if aggregated or "L3" in (terms.levels or ()) else "rows"


def _check_digestible(terms: Agreed, table: Table) -> None:
    """Whether features and scores, which are of single vehicles, can be made and agree with the rest."""
    path = terms.path(privacy.DETAIL)
    if terms.least is not None or "L1" not in (terms.levels or LEVELS):
        raise contradicting(path, "features and scores are of single vehicles, and aggregates or unlinkable rows are asked")
    if terms.epoch == "day" or (terms.step_s or 0) > _MONTH_S:
        raise contradicting(path, "features and scores are of months, which the terms do not allow")
    if SPEED not in _columns(terms, table):
        said, remedy = "features and scores are made of speed, which is not among the columns", "agree on the column, or on rows"
        raise PlanRefused("speed-missing", path, said, remedy)
    slowest = max(table.sampling_ms or 0, 1000 * (terms.sample_s or 0))
    if table.sampling_ms is None or slowest > FEATURES_MOST_MS:
        found = "not known" if table.sampling_ms is None else f"{slowest / 1000:g} s"
        said = f"features and scores need a row every {FEATURES_MOST_MS / 1000:g} s, and the time between two rows is {found}"
        raise PlanRefused("sampling-too-coarse", path, said, "offer a table that was measured each second, or rows")


def _level(terms: Agreed, form: Form, table: Table) -> Level:
    if form == "cells":
        if not table.placed:
            raise PlanRefused(
                "positions-missing", terms.path(privacy.RELEASE_LEVEL), "aggregates need positions", "agree on rows"
            )
        if terms.excluded & _POSITION:
            raise contradicting(terms.path(privacy.COLUMNS), "aggregates are by place, and the place is left out")
        if terms.enrolled:
            raise contradicting(terms.path(privacy.ENROLMENT), "who enrols the vehicles of an aggregate could look into it")
        return "L3"
    if form == "rows" and "L2" in (terms.levels or ()):
        if table.mapping.trip is None:
            raise PlanRefused(
                "trips-missing", terms.path(privacy.RELEASE_LEVEL), "the table has no trips", "agree on another level"
            )
        if terms.enrolled:
            raise contradicting(terms.path(privacy.ENROLMENT), "a reference links what the level keeps apart")
        return "L2"
    return "L1"


def _columns(terms: Agreed, table: Table) -> tuple[str, ...]:
    """The columns that the terms let out, in the order of the table. Raises PlanRefused where a named one is not there."""
    path = terms.path(privacy.COLUMNS)
    kept = {column.path for column in table.mapping.columns if not (table.personal and column.category == "identity")}
    for wanted in sorted(terms.named or ()):
        if wanted not in table.paths:
            raise PlanRefused("column-unknown", path, f"the table has no column {wanted}", "name columns of the table")
        if wanted not in kept:
            raise PlanRefused("column-never-leaves", path, f"{wanted} says who somebody is and never leaves", "leave it out")
    left = (kept if terms.named is None else terms.named) - terms.excluded
    if not left:
        raise PlanRefused("columns-none", path, "no column is left", "agree on at least one column of the table")
    return tuple(column.path for column in table.mapping.columns if column.path in left)


@dataclass(frozen=True, slots=True)
class _Making:
    """One plan in the making: what was agreed, in which form, of which table, for which request. ``located``: rows with a precise
    position leave under a permission that applies; those of another have the same pseudonyms and would be joined."""

    table: Table
    ask: Ask
    who: Who
    now_ms: int
    terms: Agreed
    form: Form
    level: Level
    located: bool

    def plan(self) -> Plan:
        """The whole. Raises PlanRefused."""
        terms, cells = self.terms, self.form == "cells"
        self._check_sampling()
        bands = self._bands()
        columns = self._leaving(bands)
        after_s, before_s = self._period()
        areas = self._areas()
        return Plan(
            dataset=self.who.dataset,
            table=self.table.id,
            schema=self.table.schema,
            agreement=self.who.agreement,
            recipient=self.who.recipient,
            level=self.level,
            form=self.form,
            anonymous=terms.anonymous,
            columns=columns,
            cut_m=terms.cut_m,
            cut_s=terms.cut_s,
            after_s=after_s,
            before_s=before_s,
            areas=areas,
            sensitive=self._sensitive(),
            consent=self._consent(columns, areas),
            enrolled=terms.enrolled,
            sample_s=terms.sample_s,
            epoch=terms.epoch if self.level == "L1" else None,
            step_s=self._step_s(),
            cell_level=self._cell_level(),
            bands=bands,
            least=max(DEFAULT_LEAST, terms.least or 0) if cells else 0,
            format=self.ask.format,
        )

    def _step_s(self) -> int | None:
        if self.form in ("features", "score"):
            return None
        return self.terms.step_s or (DEFAULT_STEP_S if self.form == "cells" else None)

    def _cell_level(self) -> int | None:
        if self.form in ("features", "score"):
            return None
        return self.terms.cell_level if self.terms.cell_level is not None else DEFAULT_LEVEL if self.form == "cells" else None

    def _sensitive(self) -> Sensitive:
        if self.terms.sensitive is not None:
            return "removed" if self.terms.sensitive == "removed" else "coarsened"
        return "removed" if self.form == "rows" and self.table.sensitive else "kept"

    def _check_sampling(self) -> None:
        promised, measured = self.terms.sampled_s, self.table.sampling_ms
        if promised is not None and (measured is None or measured > promised * 1000):
            found = "is not known" if measured is None else f"is {measured} ms"
            said = f"samples at most {promised * 1000} ms apart were promised, and the time between two rows {found}"
            path = self.terms.path(privacy.SAMPLING_INTERVAL)
            raise PlanRefused("sampling-too-coarse", path, said, "promise no more than was measured")

    def _bands(self) -> bool:
        """Whether speed leaves in bands; there is no plan where it would have to, and the terms do not say so."""
        agreed_columns = set(_columns(self.terms, self.table))
        if self.form == "cells":
            level = self._cell_level() or 0
            return self.terms.no_offences and SPEED in agreed_columns and level > COARSE_LEVEL
        if not (self.form == "rows" and self.located and agreed_columns & self._speeds()):
            return False
        if not self.terms.no_offences:
            said = "instant speed would leave together with a precise position"
            remedy = "add offenceData eq false (speed is then given in bands), or round the position"
            raise PlanRefused("speed-with-place", "", said, remedy)
        return True

    def _speeds(self) -> set[str]:
        return {SPEED, *(column.path for column in self.table.mapping.columns if column.unit in _SPEED_UNITS)}

    def _leaving(self, bands: bool) -> tuple[str, ...]:
        """The columns that leave: what was agreed, narrowed by the request."""
        left = _columns(self.terms, self.table)
        if self.form in ("features", "score"):
            left = ()
        elif self.form == "cells":
            left = tuple(path for path in left if path not in _POSITION and self._column(path).type in _NUMBERS)
        elif bands:
            left = tuple(path for path in left if path == SPEED or path not in self._speeds())
        for wanted in self.ask.columns:
            if wanted not in left:
                said = f"the agreed columns are {', '.join(left) or 'those of ' + self.form}, and {wanted[:80]} is none of them"
                raise PlanRefused("ask-outside", "columns", said, "ask for agreed columns, or leave the parameter out")
        return tuple(path for path in left if not self.ask.columns or path in self.ask.columns)

    def _column(self, path: str) -> Column:
        return next(column for column in self.table.mapping.columns if column.path == path)

    def _period(self) -> tuple[int | None, int | None]:
        period = within(self.ask, oldest_first(self.now_ms, self.terms.delays))
        if self.form in ("features", "score"):
            return whole_months(period, self.table.mapping.time.zone, self.now_ms)
        step_s = self._step_s()
        return period if step_s is None else whole_steps(period, step_s)

    def _areas(self) -> tuple[tuple[Box, ...], ...]:
        """The agreed areas and the one asked for, which lies in all of them."""
        box = self.ask.box
        if box is None:
            return self.terms.areas
        precise = self.form == "rows" and self.terms.cell_level is None and set(_columns(self.terms, self.table)) >= _POSITION
        if not (self.table.placed and (precise or self.form == "cells")):
            said = "no area can be chosen of what leaves without a precise position"
            raise PlanRefused("ask-outside", "box", said, "leave the parameter out")
        if box.west >= box.east or box.south >= box.north:
            raise PlanRefused("ask-outside", "box", "the area asked for is empty", "ask for box=west,south,east,north")
        for area in self.terms.areas:
            if not covered(box, area):
                said = f"the agreed area is {_said(area)}, and the area asked for reaches beyond it"
                raise PlanRefused("ask-outside", "box", said, "ask for an area within the agreed one")
        return (*self.terms.areas, (box,))

    def _consent(self, columns: tuple[str, ...], areas: tuple[tuple[Box, ...], ...]) -> Consent | None:
        """What the ledger must have of each vehicle, or None where another basis is on record or none is needed."""
        requests = tuple(sorted(self.terms.requests or ()))
        bases = self._bases()
        if bases is None and not requests:
            return None
        purposes = line(self.who.purpose or self.ask.purpose or "")
        if not purposes:
            said = "rows leave by consent or at a user's request, which is for a purpose, and this request has none that is known"
            raise PlanRefused("purpose-missing", "purpose", said, "ask for a purpose of the published tree")
        return Consent(self._categories(columns, areas), purposes, self.who.recipient, bases or (), requests)

    def _bases(self) -> tuple[str, ...] | None:
        """The bases of which each vehicle needs one in the ledger, or None."""
        terms, table = self.terms, self.table
        stated = terms.bases is not None or terms.by_consent
        by_default = table.personal and self.form != "cells" and terms.requests is None
        if not (stated or by_default):
            return None
        others = (terms.bases or frozenset()) - CONSENTS
        if not terms.by_consent and others & set(table.bases):
            return None
        bases = (terms.bases or CONSENTS) & CONSENTS if terms.by_consent else terms.bases or CONSENTS
        if not bases:
            path = terms.path(LEGAL_BASIS)
            raise contradicting(path, "consent is to be obtained, and the legal basis is another")
        return tuple(sorted(bases))

    def _categories(self, columns: tuple[str, ...], areas: tuple[tuple[Box, ...], ...]) -> tuple[str, ...]:
        """Of what kind the data are that leave. Which area a row lies in says where it was measured."""
        digests: Iterable[str] = _DIGESTS if self.form in ("features", "score") else ()
        found = {*digests, *(self._column(path).category for path in columns)}
        return tuple(sorted(found | {"location"} if areas or self.form == "cells" else found))


def _said(area: tuple[Box, ...]) -> str:
    return " or ".join(f"{box.west:g},{box.south:g},{box.east:g},{box.north:g}" for box in area[:8])
