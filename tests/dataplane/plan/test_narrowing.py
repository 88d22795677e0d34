"""For any terms: more terms never let more out, and no request gets beyond what was agreed."""

from __future__ import annotations

from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.dataplane.plan.make import PlanRefused, make
from connector.dataplane.plan.model import Ask, Box, Plan
from connector.dataplane.plan.places import covered
from connector.dataplane.tables.model import LATITUDE, LONGITUDE, SPEED
from policies.model import Constraint
from tests.dataplane.plan.plans import AMBIENT, MONTPELLIER, NOW_MS, PLACES, TABLE, WHO, delivery, permission, term

PATHS: Final = (SPEED, LATITUDE, LONGITUDE, AMBIENT)
EPOCHS: Final = {"day": 0, "month": 1, "year": 2, None: 3}
FINEST: Final = 15
UNHURRIED: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Each example compiles two agreements: on a busy machine that takes longer than hypothesis likes."""
ALL: Final = Ask()


def drawn(left: str, operators: tuple[str, ...], *values: str | int) -> st.SearchStrategy[Constraint]:
    return st.builds(lambda operator, value: term(left, operator, value), st.sampled_from(operators), st.sampled_from(values))


LEAST: Final = ("gteq", "gt", "eq")
MOST: Final = ("lteq", "lt", "eq")
paths = st.lists(st.sampled_from(PATHS), min_size=1, max_size=3, unique=True)
constraints = st.one_of(
    drawn("spatialResolution", MOST, 5, 7, 9),
    drawn("temporalResolution", LEAST, "PT15M", "PT1H", "P1D"),
    drawn("samplingInterval", ("gteq", "lteq"), "PT1S", "PT5S"),
    drawn("tripEndCut", LEAST, 300, 500),
    drawn("tripEndCutTime", LEAST, "PT2M", "PT3M"),
    drawn("minGroupSize", LEAST, 3, 10),
    drawn("releaseLevel", ("eq", "isA"), "vdx:L1", "vdx:L2", "vdx:L3"),
    drawn("pseudonymEpoch", ("eq", "lteq"), "P1D", "P1M", "P1Y"),
    drawn("odrl:delayPeriod", LEAST, "P7D", "P1M"),
    drawn("boundingBox", ("eq", "isPartOf"), "3,43,5,45", "0,40,10,50"),
    drawn("odrl:spatial", ("eq", "neq"), MONTPELLIER),
    drawn("sensitivePlaces", ("eq",), "vdx:Removed", "vdx:Coarsened"),
    drawn("offenceData", ("eq",), "false"),
    drawn("enrolment", ("eq",), "true"),
    drawn("legalBasis", ("eq",), "dpv:Consent", "dpv:Contract"),
    st.builds(lambda operator, found: term("columns", operator, *found), st.sampled_from(("isAnyOf", "isNoneOf")), paths),
)
moments = st.none() | st.integers(0, NOW_MS // 1000 + 10 * 86_400)
asks = st.builds(
    lambda columns, after_s, before_s, box: Ask(columns=tuple(columns), after_s=after_s, before_s=before_s, box=box),
    st.just([]) | paths,
    moments,
    moments,
    st.none() | st.sampled_from([Box(3.5, 43.5, 4, 44), Box(0, 40, 10, 50)]),
)


def tried(found: tuple[Constraint, ...], ask: Ask = ALL) -> Plan | None:
    try:
        return make(delivery(permission(*found)), TABLE, ask, WHO, NOW_MS, PLACES)
    except PlanRefused:
        return None


def narrower(plan: Plan, than: Plan) -> bool:
    """Whether no value in what one plan lets out is finer, and no row more, than in what the other does. Of the same form."""
    forever = 2**62
    finer = than.cell_level if than.cell_level is not None else FINEST + 1
    return (
        set(plan.columns) <= set(than.columns)
        and (plan.after_s or -1) >= (than.after_s or -1)
        and (forever if plan.before_s is None else plan.before_s) <= (forever if than.before_s is None else than.before_s)
        and set(than.areas) <= set(plan.areas)
        and plan.cut_m >= than.cut_m
        and plan.cut_s >= than.cut_s
        and (plan.sample_s or 0) >= (than.sample_s or 0)
        and (plan.step_s or 0) >= (than.step_s or 0)
        and (plan.cell_level if plan.cell_level is not None else FINEST + 1) <= finer
        and plan.least >= than.least
        and plan.enrolled >= than.enrolled
        and (plan.level != "L1" or EPOCHS[plan.epoch] <= EPOCHS[than.epoch])
    )


def resolutions(found: list[Constraint]) -> set[str]:
    """Of the two resolutions those that are spoken of: of aggregates there is a resolution where nobody speaks of one, and who
    does may agree on a finer one."""
    return {one.left for one in found if one.left.endswith("Resolution")}


@UNHURRIED
@given(st.lists(constraints, max_size=4), st.lists(constraints, max_size=3))
def test_more_terms_never_let_more_out(some: list[Constraint], more: list[Constraint]) -> None:
    wide = tried(tuple(some))
    narrow = tried((*some, *more))
    if wide is None or narrow is None:
        return
    assert narrow.level >= wide.level
    if narrow.form == wide.form and (narrow.form != "cells" or resolutions(more) <= resolutions(some)):
        assert narrower(narrow, wide)
        coarse = narrow.cell_level is not None and narrow.cell_level <= 7
        placeless = narrow.form == "rows" and not {LATITUDE, LONGITUDE} & set(narrow.columns)
        assert wide.bands <= narrow.bands or placeless or coarse or SPEED not in narrow.columns
        assert wide.sensitive != "removed" or narrow.sensitive != "kept"
        assert wide.consent is None or narrow.consent is not None or "Contract" in str(more)


@UNHURRIED
@given(st.lists(constraints, max_size=3), asks)
def test_no_request_gets_beyond_what_was_agreed(found: list[Constraint], ask: Ask) -> None:
    whole, asked = tried(tuple(found)), tried(tuple(found), ask)
    if asked is None:
        return
    assert whole is not None
    assert asked.form == whole.form
    assert narrower(asked, whole)
    assert asked.grid == whole.grid
    assert asked.bands == whole.bands
    assert asked.sensitive == whole.sensitive
    for box in asked.areas[len(whole.areas) :]:
        assert all(covered(box[0], area) for area in whole.areas)
    step_s = asked.step_s or 1
    assert (asked.after_s or 0) % step_s == (asked.before_s or 0) % step_s == 0
    assert ask.after_s is None or asked.after_s is None or asked.after_s >= ask.after_s
    assert ask.before_s is None or (asked.before_s is not None and asked.before_s <= ask.before_s)


@UNHURRIED
@given(st.lists(constraints, max_size=5))
def test_speed_never_leaves_exactly_with_a_precise_position(found: list[Constraint]) -> None:
    plan = tried(tuple(found))
    if plan is None or plan.form != "rows" or plan.bands or SPEED not in plan.columns:
        return
    assert plan.cell_level is not None or not {LATITUDE, LONGITUDE} & set(plan.columns)
    assert (plan.cell_level or 0) <= 7 or not {LATITUDE, LONGITUDE} & set(plan.columns)


@UNHURRIED
@given(st.lists(constraints, max_size=5))
def test_rows_of_people_leave_by_consent(found: list[Constraint]) -> None:
    plan = tried(tuple(found))
    assert plan is None or not plan.personal or plan.consent is not None


@UNHURRIED
@given(st.permutations([0, 1, 2, 3]), st.lists(constraints, min_size=4, max_size=4))
def test_the_order_of_terms_does_not_matter(order: list[int], found: list[Constraint]) -> None:
    one, other = tried(tuple(found)), tried(tuple(found[index] for index in order))
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        areas = {"areas": tuple(sorted(one.areas, key=str))}, {"areas": tuple(sorted(other.areas, key=str))}
        assert {**fields(one), **areas[0]} == {**fields(other), **areas[1]}


def fields(plan: Plan) -> dict[str, object]:
    return {name: getattr(plan, name) for name in plan.__struct_fields__}
