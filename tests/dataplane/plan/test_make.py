"""A plan is the strictest reading of the terms, of this table, for this request; what cannot be kept is refused with a reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import msgspec
import pytest

from connector.dataplane.plan.agreed import READ
from connector.dataplane.plan.make import FEATURES_MOST_MS, make
from connector.dataplane.plan.model import Ask, Box, Plan
from connector.dataplane.plan.refused import CODES, PlanRefused
from connector.dataplane.query import features
from connector.dataplane.tables.model import ACCELERATION, LATITUDE, LONGITUDE, SPEED, Mapping, Table
from policies.model import CARNET, DPV, ODRL, Constraint, Lit, Operator, Ref
from policies.purposes import line
from policies.terms.duties import OBTAIN_CONSENT
from policies.terms.registry import REGISTRY
from policies.terms.term import Bucket, Point
from tests.dataplane.plan.plans import (
    AMBIENT,
    BLIND,
    COLUMNS,
    CONSENT,
    INSURANCE,
    MONTPELLIER,
    NOW_MS,
    PLACES,
    ROUND,
    SLOW,
    TABLE,
    VIN,
    WHO,
    delivery,
    offer,
    permission,
    planned,
    term,
)

NOW_S: Final = NOW_MS // 1000
L3: Final = term("releaseLevel", "eq", "vdx:L3")
FEATURES: Final = term("detail", "eq", "vdx:FeaturesOnly")
HERE: Final = term("boundingBox", "eq", "3,43,5,45")
UNTIMED: Final = msgspec.structs.replace(TABLE, sampling_ms=None)
CONSENTED: Final = (f"{DPV}Consent", f"{DPV}ExplicitConsent")


def mapped(table: Table, **changed: Any) -> Table:
    mapping: Mapping = msgspec.structs.replace(table.mapping, **changed)
    return msgspec.structs.replace(table, mapping=mapping)


def refused(*constraints: Constraint, **more: Any) -> tuple[str, str]:
    with pytest.raises(PlanRefused) as why:
        planned(*constraints, **more)
    assert why.value.code in CODES
    assert why.value.reason
    assert why.value.remedy
    return why.value.code, why.value.path


# --- what nobody spoke of --------------------------------------------------------------------------------------------


def test_rows_leave_by_consent_and_without_identity_where_nothing_is_said() -> None:
    plan = planned(ROUND)
    assert (plan.level, plan.form, plan.epoch, plan.anonymous) == ("L1", "rows", None, False)
    assert plan.columns == tuple(column.path for column in COLUMNS if column.path != VIN)
    assert plan.sensitive == "removed"
    assert plan.consent is not None
    assert plan.consent.purposes == line(INSURANCE)
    assert plan.consent.recipient == WHO.recipient
    assert plan.consent.bases == CONSENTED
    assert plan.consent.categories == ("diagnostics", "driving-behaviour", "environment", "location")
    assert (plan.table, plan.schema, plan.dataset, plan.agreement) == (TABLE.id, TABLE.schema, WHO.dataset, WHO.agreement)


def test_sensitive_places_are_removed_only_where_the_table_names_some() -> None:
    assert planned(ROUND, table=msgspec.structs.replace(TABLE, sensitive=())).sensitive == "kept"


def test_aggregates_are_coarse_where_nothing_is_said() -> None:
    plan = planned(L3)
    assert (plan.form, plan.cell_level, plan.step_s, plan.least, plan.bands) == ("cells", 7, 3_600, 5, False)
    assert plan.columns == (SPEED, ACCELERATION, AMBIENT)
    assert plan.consent is None
    assert not plan.personal


def test_a_group_size_makes_aggregates_of_five_at_least() -> None:
    assert planned(term("minGroupSize", "gteq", 3)).least == 5
    assert planned(term("minGroupSize", "gt", 10)).least == 11
    assert planned(term("minGroupSize", "eq", 10), term("minGroupSize", "gteq", 8)).least == 10


def test_things_need_no_consent() -> None:
    assert planned(ROUND, table=msgspec.structs.replace(TABLE, personal=False)).consent is None


# --- the strictest of several ----------------------------------------------------------------------------------------

STRICTEST: Final[list[tuple[tuple[Constraint, ...], dict[str, Any]]]] = [
    ((term("spatialResolution", "lteq", 7), term("spatialResolution", "lt", 7)), {"cell_level": 6}),
    ((term("temporalResolution", "gteq", "PT15M"), term("temporalResolution", "gteq", "PT1H"), ROUND), {"step_s": 3_600}),
    ((term("temporalResolution", "gt", "PT1H"), ROUND), {"step_s": 3_601}),
    ((term("temporalResolution", "gteq", "P1M"), ROUND), {"step_s": 31 * 86_400}),
    ((term("tripEndCut", "gteq", 300), term("tripEndCut", "eq", 500), ROUND), {"cut_m": 500}),
    ((term("tripEndCutTime", "gteq", "PT3M"), ROUND), {"cut_s": 180}),
    ((term("pseudonymEpoch", "lteq", "P1Y"), term("pseudonymEpoch", "lteq", "P1M"), ROUND), {"epoch": "month"}),
    ((term("releaseLevel", "isAnyOf", "vdx:L1", "vdx:L2"), ROUND), {"level": "L2", "form": "rows"}),
    ((term("releaseLevel", "isAnyOf", "vdx:L1", "vdx:L3"),), {"level": "L3", "form": "cells"}),
    ((term("releaseLevel", "eq", "vdx:Anonymous"), L3, term("minGroupSize", "gteq", 5)), {"level": "L3", "anonymous": True}),
    ((term("releaseLevel", "eq", "vdx:Anonymous"), term("releaseLevel", "eq", "vdx:L2"), ROUND), {"level": "L2"}),
    ((term("sensitivePlaces", "isAnyOf", "vdx:Removed", "vdx:Coarsened"), ROUND), {"sensitive": "removed"}),
    ((term("sensitivePlaces", "eq", "vdx:Coarsened"), ROUND), {"sensitive": "coarsened"}),
    ((term("detail", "isAnyOf", "vdx:FeaturesOnly", "vdx:FullDetail"),), {"form": "features"}),
    ((term("detail", "isAnyOf", "vdx:FeaturesOnly", "vdx:ScoreAndMileageOnly"),), {"form": "score"}),
    ((term("samplingInterval", "gteq", "PT5S"), term("samplingInterval", "lteq", "PT10S"), ROUND), {"sample_s": 5}),
    ((term("columns", "isAnyOf", SPEED, AMBIENT), term("columns", "isNoneOf", AMBIENT)), {"columns": (SPEED,)}),
    ((term("columns", "isAnyOf", SPEED, AMBIENT), term("columns", "eq", AMBIENT)), {"columns": (AMBIENT,)}),
    ((term("odrl:delayPeriod", "gteq", "P7D"), term("odrl:delayPeriod", "gteq", "P9D"), ROUND), {"before_s": NOW_S - 9 * 86_400}),
    ((term("odrl:delayPeriod", "gteq", "P1M"), ROUND), {"before_s": NOW_S - 31 * 86_400}),
    ((term("odrl:delayPeriod", "gteq", "P90Y"), ROUND), {"before_s": 0}),
    ((term("enrolment", "eq", "true"), term("enrolment", "neq", "false"), ROUND), {"enrolled": True}),
    ((term("enrolment", "eq", "false"), ROUND), {"enrolled": False}),
    ((term("offenceData", "eq", "false"),), {"bands": True}),
    ((term("offenceData", "eq", "false"), ROUND), {"bands": False}),
    ((term("offenceData", "eq", "false"), L3, term("spatialResolution", "lteq", 8)), {"bands": True, "cell_level": 8}),
]


@pytest.mark.parametrize(("constraints", "expected"), STRICTEST)
def test_several_terms_combine_to_the_strictest(constraints: tuple[Constraint, ...], expected: dict[str, Any]) -> None:
    plan = planned(*constraints)
    assert {field: getattr(plan, field) for field in expected} == expected
    assert planned(*reversed(constraints)) == plan


CONTRADICTING: Final[list[tuple[Constraint, ...]]] = [
    (term("releaseLevel", "eq", "vdx:L1"), term("releaseLevel", "eq", "vdx:L3")),
    (term("releaseLevel", "eq", "vdx:L1"), term("minGroupSize", "gteq", 10)),
    (term("detail", "eq", "vdx:FeaturesOnly"), term("detail", "eq", "vdx:FullDetail")),
    (FEATURES, term("minGroupSize", "gteq", 10)),
    (FEATURES, L3),
    (FEATURES, term("pseudonymEpoch", "eq", "P1D")),
    (FEATURES, term("temporalResolution", "gteq", "P1Y")),
    (term("minGroupSize", "eq", 10), term("minGroupSize", "gteq", 11)),
    (term("spatialResolution", "eq", 7), term("spatialResolution", "lteq", 6)),
    (term("spatialResolution", "lt", 0),),
    (term("samplingInterval", "gteq", "PT9S"), term("samplingInterval", "lteq", "PT5S")),
    (term("pseudonymEpoch", "eq", "P1Y"), term("pseudonymEpoch", "lteq", "P1M")),
    (term("enrolment", "eq", "true"), term("enrolment", "eq", "false")),
    (term("enrolment", "eq", "true"), L3),
    (term("enrolment", "eq", "true"), term("releaseLevel", "eq", "vdx:L2")),
    (term("legalBasis", "eq", "dpv:Consent"), term("legalBasis", "eq", "dpv:Contract")),
    (term("columns", "isNoneOf", LATITUDE), L3),
    (HERE, term("odrl:spatial", "eq", "http://data.europa.eu/nuts/code/DE")),
]


@pytest.mark.parametrize("constraints", CONTRADICTING)
def test_terms_that_nothing_can_keep_together_are_refused(constraints: tuple[Constraint, ...]) -> None:
    assert refused(*constraints)[0] == "terms-contradict"


NOT_KEPT: Final[list[tuple[str, tuple[Constraint, ...], dict[str, Any]]]] = [
    ("speed-with-place", (), {}),
    ("speed-with-place", (), {"ask": Ask(columns=(SPEED,))}),
    ("speed-with-place", (term("spatialResolution", "lteq", 8),), {}),
    ("not-enforceable", (term("offenceData", "eq", "true"),), {}),
    ("not-enforceable", (ROUND,), {"table": BLIND}),
    ("not-enforceable", (ROUND, term("tripEndCut", "gteq", 500)), {"table": mapped(TABLE, trip=None)}),
    ("not-enforceable", (L3, term("requestsPerVehicleDay", "lteq", 1)), {}),
    (
        "not-enforceable",
        (ROUND, term("legalBasis", "eq", "dpv:Contract"), term("requestsPerVehicleDay", "lteq", 1)),
        {"table": msgspec.structs.replace(TABLE, bases=(f"{DPV}Contract",))},
    ),
    ("trips-missing", (ROUND, term("releaseLevel", "eq", "vdx:L2")), {"table": mapped(TABLE, trip=None)}),
    ("positions-missing", (L3,), {"table": BLIND}),
    ("column-unknown", (term("columns", "eq", "Vehicle.Mood"),), {}),
    ("column-never-leaves", (term("columns", "eq", VIN),), {}),
    ("columns-none", (term("columns", "eq", SPEED), term("columns", "isNoneOf", SPEED)), {}),
    ("sampling-too-coarse", (term("samplingInterval", "lteq", "PT1S"), ROUND), {"table": SLOW}),
    ("sampling-too-coarse", (term("samplingInterval", "lteq", "PT1S"), ROUND), {"table": UNTIMED}),
    ("sampling-too-coarse", (FEATURES,), {"table": SLOW}),
    ("sampling-too-coarse", (FEATURES,), {"table": UNTIMED}),
    ("sampling-too-coarse", (FEATURES, term("samplingInterval", "gteq", "PT2S")), {}),
    ("speed-missing", (FEATURES, term("columns", "isNoneOf", SPEED)), {}),
    ("place-unknown", (term("odrl:spatial", "eq", "http://data.europa.eu/nuts/code/XX999"), ROUND), {}),
    ("purpose-missing", (ROUND,), {"purpose": None}),
    ("purpose-missing", (ROUND,), {"purpose": "urn:some:purpose"}),
    ("terms-contradict", (ROUND, term("legalBasis", "eq", "dpv:Contract")), {"duties": (CONSENT,)}),
    (
        "not-enforceable",
        (FEATURES,),
        {"table": mapped(TABLE, time=msgspec.structs.replace(TABLE.mapping.time, zone="Nowhere/X"))},
    ),
]


@pytest.mark.parametrize(("code", "constraints", "more"), NOT_KEPT)
def test_what_cannot_be_kept_is_refused(code: str, constraints: tuple[Constraint, ...], more: dict[str, Any]) -> None:
    assert refused(*constraints, **more)[0] == code


def test_a_promised_interval_is_named_beside_the_measured_one() -> None:
    with pytest.raises(PlanRefused, match=r"1000 ms apart .* is 5000 ms"):
        planned(term("samplingInterval", "lteq", "PT1S"), ROUND, table=SLOW)
    with pytest.raises(PlanRefused, match=r"every 1 s, .* is 5 s"):
        planned(FEATURES, table=SLOW)


def test_features_need_what_the_query_needs() -> None:
    assert FEATURES_MOST_MS == features.COARSEST_MS


def test_no_other_speed_leaves_beside_a_precise_position() -> None:
    gps = msgspec.structs.replace(COLUMNS[0], header="gps", path="Gps.Speed")
    table = mapped(TABLE, columns=(*COLUMNS, gps))
    assert "Gps.Speed" not in planned(term("offenceData", "eq", "false"), table=table).columns
    assert "Gps.Speed" in planned(ROUND, table=table).columns
    only = term("columns", "isAnyOf", "Gps.Speed", LATITUDE)
    assert refused(only, table=table)[0] == "speed-with-place"


# --- permissions -----------------------------------------------------------------------------------------------------


def test_the_first_permission_that_can_carry_the_request_makes_the_plan() -> None:
    warm, fast = permission(term("columns", "eq", AMBIENT)), permission(term("columns", "eq", SPEED))
    both = delivery(warm, fast)
    assert make(both, TABLE, Ask(), WHO, NOW_MS, PLACES).columns == (AMBIENT,)
    assert make(both, TABLE, Ask(columns=(SPEED,)), WHO, NOW_MS, PLACES).columns == (SPEED,)
    assert make(both.under((1,)), TABLE, Ask(), WHO, NOW_MS, PLACES).columns == (SPEED,)
    with pytest.raises(PlanRefused) as why:
        make(both, TABLE, Ask(columns=(LATITUDE,)), WHO, NOW_MS, PLACES)
    assert why.value.code == "ask-outside"
    assert AMBIENT in why.value.reason
    assert SPEED in why.value.reason
    with pytest.raises(PlanRefused, match="no permission applies"):
        make(both.under(()), TABLE, Ask(), WHO, NOW_MS, PLACES)


def test_speed_of_one_permission_is_not_joined_with_the_position_of_another() -> None:
    where = permission(term("columns", "isAnyOf", LATITUDE, LONGITUDE))
    fast, banded = permission(term("columns", "eq", SPEED)), permission(ROUND, term("offenceData", "eq", "false"))
    assert make(delivery(where, banded), TABLE, Ask(columns=(SPEED,)), WHO, NOW_MS, PLACES).bands
    assert not make(delivery(banded), TABLE, Ask(columns=(SPEED,)), WHO, NOW_MS, PLACES).bands
    with pytest.raises(PlanRefused, match="precise position"):
        make(delivery(where, fast), TABLE, Ask(columns=(SPEED,)), WHO, NOW_MS, PLACES)
    unknown = permission(term("columns", "eq", "Vehicle.Mood"))
    assert make(delivery(unknown, fast), TABLE, Ask(), WHO, NOW_MS, PLACES).columns == (SPEED,)


def test_an_agreement_with_problems_has_no_plan() -> None:
    with pytest.raises(PlanRefused, match="is not known here"):
        planned(term("odrl:nobodyKnows", "eq", 1))


def test_a_term_that_shapes_and_that_no_reader_knows_is_refused() -> None:
    found = delivery(permission(ROUND))
    (known,) = found.shape
    nowhere = replace(known, term=f"{ODRL}spatial", operator=Operator.HAS_PART, values=(Ref(MONTPELLIER),))
    strange = [
        replace(known, term=f"{CARNET}strange"),
        replace(known, kind="logic"),
        nowhere,
        replace(known, term=f"{CARNET}boundingBox", values=(Lit("everywhere"),)),
        replace(known, term=f"{CARNET}pseudonymEpoch", operator=Operator.EQ, values=(Lit("P1W"),)),
    ]
    for item in strange:
        with pytest.raises(PlanRefused, match="not-enforceable"):
            make(replace(found, shape=(*found.shape, item)), TABLE, Ask(), WHO, NOW_MS, PLACES)


# --- the request -----------------------------------------------------------------------------------------------------


def test_a_request_narrows_and_is_refused_beyond() -> None:
    plan = planned(ROUND, ask=Ask(columns=(AMBIENT,), after_s=100, before_s=200, format="csv"))
    assert (plan.columns, plan.after_s, plan.before_s, plan.format) == ((AMBIENT,), 100, 200, "csv")
    assert plan.consent is not None
    assert plan.consent.categories == ("environment",)
    late = term("odrl:delayPeriod", "gteq", "P7D")
    assert refused(ROUND, late, ask=Ask(before_s=NOW_S)) == ("ask-outside", "to")
    assert refused(ROUND, late, ask=Ask(after_s=NOW_S)) == ("ask-outside", "from")
    assert refused(ROUND, ask=Ask(after_s=200, before_s=200)) == ("ask-outside", "from")
    assert refused(ROUND, ask=Ask(columns=(VIN,))) == ("ask-outside", "columns")
    assert refused(FEATURES, ask=Ask(columns=(SPEED,))) == ("ask-outside", "columns")
    assert refused(L3, ask=Ask(columns=("Vehicle.Diagnostics.DTCList",))) == ("ask-outside", "columns")


def test_aggregates_and_rounded_times_are_of_whole_steps() -> None:
    for constraints in ((L3,), (ROUND, term("temporalResolution", "gteq", "PT1H"))):
        plan = planned(*constraints, ask=Ask(after_s=3_601, before_s=14_399))
        assert (plan.after_s, plan.before_s) == (7_200, 10_800)
    assert refused(L3, ask=Ask(after_s=3_601, before_s=7_100)) == ("ask-outside", "from")


def test_features_are_of_whole_months_of_the_clock_in_the_car() -> None:
    plan = planned(FEATURES)
    assert (plan.after_s, plan.before_s, plan.columns, plan.step_s, plan.cell_level) == (None, NOW_S, (), None, None)
    berlin = mapped(TABLE, time=msgspec.structs.replace(TABLE.mapping.time, zone="Europe/Berlin"))
    assert planned(FEATURES, table=berlin).before_s == NOW_S - 3_600
    assert planned(FEATURES, now_ms=NOW_MS + 86_400_000).before_s == NOW_S
    whole = planned(FEATURES, ask=Ask(after_s=NOW_S - 40 * 86_400, before_s=NOW_S))
    assert whole.after_s == NOW_S - 31 * 86_400
    assert planned(FEATURES, ask=Ask(after_s=NOW_S - 31 * 86_400)).after_s == NOW_S - 31 * 86_400
    assert refused(FEATURES, ask=Ask(after_s=NOW_S - 20 * 86_400, before_s=NOW_S)) == ("ask-outside", "from")
    assert plan.consent is not None
    assert plan.consent.categories == ("driving-behaviour", "mileage")


def test_an_area_is_asked_for_only_where_places_leave_precisely_or_in_cells() -> None:
    box = Box(3.5, 43.5, 4, 44)
    bands = term("offenceData", "eq", "false")
    plan = planned(HERE, bands, ask=Ask(box=box))
    assert plan.areas == ((Box(3, 43, 5, 45),), (box,))
    assert planned(L3, ask=Ask(box=box)).areas == ((box,),)
    for constraints in ((ROUND,), (FEATURES,), (term("columns", "eq", SPEED),), (term("columns", "isAnyOf", LATITUDE, AMBIENT),)):
        assert refused(*constraints, ask=Ask(box=box)) == ("ask-outside", "box")
    assert refused(HERE, bands, ask=Ask(box=Box(2, 43, 4, 44))) == ("ask-outside", "box")
    assert refused(bands, ask=Ask(box=Box(4, 43, 4, 44))) == ("ask-outside", "box")


def test_which_area_a_row_lies_in_is_a_location() -> None:
    plan = planned(HERE, term("columns", "eq", AMBIENT))
    assert plan.consent is not None
    assert plan.consent.categories == ("environment", "location")
    assert planned(HERE, FEATURES).areas


# --- places ----------------------------------------------------------------------------------------------------------


def test_places_let_in_what_lies_within_and_keep_out_what_lies_around() -> None:
    city = PLACES.find(MONTPELLIER)
    assert city is not None
    assert planned(term("odrl:spatial", "eq", MONTPELLIER), ROUND).areas == (city.within,)
    assert planned(term("odrl:spatial", "isNoneOf", MONTPELLIER), ROUND).areas == (city.outside,)
    france = "http://publications.europa.eu/resource/authority/country/FRA"
    assert len(planned(term("odrl:spatial", "isAllOf", MONTPELLIER, france), ROUND).areas) == 2
    (either,) = planned(term("odrl:spatial", "isAnyOf", MONTPELLIER, france), ROUND).areas
    assert set(city.within) < set(either)


# --- consent ---------------------------------------------------------------------------------------------------------


def test_another_basis_on_record_takes_the_place_of_consent_where_it_is_allowed() -> None:
    under_contract = msgspec.structs.replace(TABLE, bases=(f"{DPV}Contract",))
    both = term("legalBasis", "isAnyOf", "dpv:Consent", "dpv:Contract")
    assert planned(ROUND, both, table=under_contract).consent is None
    assert planned(ROUND, table=under_contract).consent is not None
    granted = planned(ROUND, both).consent
    assert granted is not None
    assert granted.bases == tuple(sorted((*CONSENTED, f"{DPV}Contract")))
    owed = planned(ROUND, both, table=under_contract, duties=(CONSENT,)).consent
    assert owed is not None
    assert owed.bases == CONSENTED
    aggregated = planned(L3, duties=(CONSENT,)).consent
    assert aggregated is not None
    assert "location" in aggregated.categories


def test_the_purpose_of_the_request_counts_where_none_was_decided() -> None:
    plan = planned(ROUND, purpose=None, ask=Ask(purpose=f"{CARNET}RoadSafety"))
    assert plan.consent is not None
    assert plan.consent.purposes == line(f"{CARNET}RoadSafety")


# --- every term ------------------------------------------------------------------------------------------------------

EFFECTS: Final[dict[str, tuple[Constraint, tuple[Constraint, ...]]]] = {
    "releaseLevel": (L3, (ROUND,)),
    "minGroupSize": (term("minGroupSize", "gteq", 10), (ROUND,)),
    "spatialResolution": (ROUND, (term("columns", "eq", LATITUDE),)),
    "temporalResolution": (term("temporalResolution", "gteq", "PT1H"), (ROUND,)),
    "samplingInterval": (term("samplingInterval", "gteq", "PT5S"), (ROUND,)),
    "tripEndCut": (term("tripEndCut", "gteq", 500), (ROUND,)),
    "tripEndCutTime": (term("tripEndCutTime", "gteq", "PT3M"), (ROUND,)),
    "pseudonymEpoch": (term("pseudonymEpoch", "eq", "P1D"), (ROUND,)),
    "enrolment": (term("enrolment", "eq", "true"), (ROUND,)),
    "columns": (term("columns", "isNoneOf", SPEED), (ROUND,)),
    "sensitivePlaces": (term("sensitivePlaces", "eq", "vdx:Coarsened"), (ROUND,)),
    "offenceData": (term("offenceData", "eq", "false"), (L3, term("spatialResolution", "lteq", 8))),
    "detail": (FEATURES, (ROUND,)),
    "legalBasis": (term("legalBasis", "eq", "dpv:Contract"), (ROUND,)),
    "userRequest": (term("userRequest", "eq", "urn:request:42"), (ROUND,)),
    "delayPeriod": (term("odrl:delayPeriod", "gteq", "P7D"), (ROUND,)),
    "spatial": (term("odrl:spatial", "eq", MONTPELLIER), (ROUND,)),
    "boundingBox": (HERE, (ROUND,)),
}


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_a_plan_without_a_term_is_another_plan(name: str) -> None:
    constraint, others = EFFECTS[name]
    kept, dropped = planned(constraint, *others), planned(*others)
    assert kept != dropped
    assert kept.digest != dropped.digest


def test_every_term_that_shapes_is_read_and_has_an_effect() -> None:
    shaping = {iri for iri, found in REGISTRY.items() if found.bucket is Bucket.SHAPE or Point.QUERY in found.points}
    assert shaping - {OBTAIN_CONSENT} == READ == {constraint.left for constraint, _ in EFFECTS.values()}


def test_the_duty_to_obtain_consent_has_an_effect() -> None:
    assert planned(L3, duties=(CONSENT,)).consent != planned(L3).consent


# --- the seven offers ------------------------------------------------------------------------------------------------


def of_columns(*paths: str) -> Table:
    return mapped(TABLE, columns=tuple(column for column in COLUMNS if column.path in paths))


OFFERS: Final[list[tuple[int, Table, dict[str, Any]]]] = [
    (1, of_columns(AMBIENT), {"form": "rows", "level": "L1", "columns": (AMBIENT,)}),
    (2, of_columns("Vehicle.Diagnostics.DTCList"), {"form": "rows", "columns": ("Vehicle.Diagnostics.DTCList",)}),
    (3, of_columns(LATITUDE, LONGITUDE, AMBIENT), {"form": "rows", "areas": ((Box(3.83, 43.58, 3.93, 43.64),),)}),
    (4, of_columns(LATITUDE, LONGITUDE), {"form": "rows", "columns": (LATITUDE, LONGITUDE)}),
    (5, TABLE, {"form": "score", "level": "L1", "columns": ()}),
    (6, TABLE, {"form": "cells", "least": 10, "cell_level": 8, "step_s": 3_600, "before_s": NOW_S - 7 * 86_400}),
    (7, BLIND, {"form": "rows", "columns": (SPEED, ACCELERATION, AMBIENT, "Vehicle.Diagnostics.DTCList")}),
]


@pytest.mark.parametrize(("number", "table", "expected"), OFFERS)
def test_the_seven_offers_come_to_plans_of_fitting_tables(number: int, table: Table, expected: dict[str, Any]) -> None:
    plan: Plan = make(offer(number), table, Ask(), WHO, NOW_MS, PLACES)
    assert {field: getattr(plan, field) for field in expected} == expected
    assert (plan.consent is None) == (plan.form == "cells")


def test_offers_are_refused_of_tables_that_do_not_fit() -> None:
    for number, table, code in ((1, TABLE, "speed-with-place"), (3, BLIND, "not-enforceable"), (5, SLOW, "sampling-too-coarse")):
        with pytest.raises(PlanRefused) as why:
            make(offer(number), table, Ask(), WHO, NOW_MS, PLACES)
        assert why.value.code == code
