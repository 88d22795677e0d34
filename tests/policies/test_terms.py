"""Every term: what satisfies it, what does not, and what would have to be known. The table of terms names these tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

import pytest

from policies.decision import Satisfaction
from policies.model import CARNET, DPV, ODRL, Constraint, Lit, Ref, Value
from policies.satisfaction import Side, judge
from policies.terms.actions import READ, USE
from policies.terms.catenax import CX
from policies.terms.duties import OBTAIN_CONSENT
from policies.terms.examine import included
from policies.terms.foreign import EDC, IDSC
from policies.terms.party import RECIPIENT
from policies.terms.registry import FAMILIES, REGISTRY, defect, table
from policies.terms.term import Bucket, Point, Request, Scope, Term, World
from policies.terms.time import AGREED_AT, EVENT, TIME_INTERVAL

BUYER: Final = "did:web:buyer.example"
OTHER: Final = "did:web:other.example"
NOW_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
DAY_MS: Final = 86_400_000
CLAIMS: Final[dict[str, Any]] = {
    "kind": "sme", "sector": "insurance", "membership": ["Catena-X", "DataExchangeGovernance:1.0"], "country": "DE",
}  # fmt: skip
REQUEST: Final = Request(Scope.TRANSFER, READ, "urn:asset:x", BUYER, CLAIMS, f"{CARNET}PayAsYouDrive")
SATISFIED, FAILED, WAITS, UNKNOWN = Satisfaction.SATISFIED, Satisfaction.NOT_SATISFIED, Satisfaction.WAITS, Satisfaction.UNKNOWN


class Case(NamedTuple):
    """A constraint, in which request and state of the world, and what becomes of it. ``facts`` and ``enforced`` by IRI."""

    left: str
    operator: str
    right: str | tuple[str, ...]
    becomes: Satisfaction
    facts: Mapping[str, Any] = {}
    enforced: bool = False
    request: Mapping[str, Any] = {}

    def constraint(self) -> Constraint:
        values = self.right if isinstance(self.right, tuple) else (self.right,)
        return Constraint(full(self.left), f"{ODRL}{self.operator}", tuple(value(one) for one in values))


def full(name: str) -> str:
    """``vdx:``, ``dpv:``, ``cx:`` and ``edc:`` written out; a plain name is ODRL's; ``=`` keeps what follows as it is."""
    prefix, colon, local = name.partition(":")
    if name.startswith("="):
        return name[1:]
    known = {"vdx": CARNET, "dpv": DPV, "cx": CX, "edc": EDC, "idsc": IDSC}
    return known[prefix] + local if prefix in known else name if colon else ODRL + name


def value(written: str) -> Value:
    """A concept where it has a prefix, else a typed string as DSP has it."""
    return Ref(full(written)) if written.startswith(("vdx:", "dpv:", "http", "urn:", "did:")) else Lit(written)


def check(case: Case) -> None:
    """The case, and that whatever is not satisfied says why."""
    request = replace(REQUEST, **case.request)
    world = World(NOW_MS, case.facts, frozenset({full(case.left)} if case.enforced else ()))
    report = judge(case.constraint(), "/constraint/0", Side.PERMITS, request, world)
    assert report.satisfaction is case.becomes, report
    assert bool(report.code) is (report.satisfaction in (FAILED, UNKNOWN))
    assert bool(report.sentence) is bool(report.code)


NO_CLAIMS: Final[dict[str, Any]] = {"claims": {}}
CATALOGUE: Final = {"scope": Scope.CATALOGUE}
NEGOTIATION: Final = {"scope": Scope.NEGOTIATION}
ONGOING: Final = {"scope": Scope.ONGOING}
GATEKEEPER: Final = {"claims": {"kind": "company", "gatekeeper": True}}
OTHERS: Final = {"recipients": (OTHER,)}
BOTH: Final = {"recipients": (BUYER, OTHER)}
PUBLIC: Final = {RECIPIENT: {OTHER: {"kind": "public-body"}}}

PARTY: Final = [
    Case("vdx:consumerKind", "eq", "vdx:SmallOrMediumEnterprise", SATISFIED),
    Case("vdx:consumerKind", "isA", "vdx:Company", SATISFIED),
    Case("vdx:consumerKind", "neq", "vdx:Company", FAILED),
    Case("vdx:consumerKind", "neq", "vdx:PublicBody", SATISFIED),
    Case("vdx:consumerKind", "isAnyOf", ("vdx:PublicBody", "vdx:ResearchOrganisation"), FAILED),
    Case("vdx:consumerKind", "isNoneOf", "vdx:DmaGatekeeper", SATISFIED),
    Case("vdx:consumerKind", "isNoneOf", "vdx:DmaGatekeeper", FAILED, request=GATEKEEPER),
    Case("vdx:consumerKind", "isNoneOf", "vdx:DmaGatekeeper", UNKNOWN, request=NO_CLAIMS),
    Case("vdx:consumerKind", "eq", "vdx:Company", UNKNOWN, request={"claims": {"kind": "club"}}),
    Case("vdx:consumerKind", "eq", "vdx:Club", UNKNOWN),
    Case("vdx:membership", "isAnyOf", ("Catena-X", "MDS"), SATISFIED),
    Case("vdx:membership", "hasPart", "Catena-X", SATISFIED),
    Case("vdx:membership", "isAllOf", ("Catena-X", "MDS"), FAILED),
    Case("vdx:membership", "isNoneOf", ("MDS",), UNKNOWN, request=NO_CLAIMS),
    Case("vdx:participant", "eq", BUYER, SATISFIED),
    Case("vdx:participant", "isNoneOf", (BUYER, OTHER), FAILED),
    Case("assignee", "isAnyOf", (OTHER,), FAILED),
    Case("assignee", "eq", BUYER, SATISFIED, request=CATALOGUE),
    Case("vdx:recipientCountry", "isAnyOf", ("DE", "FR"), SATISFIED),
    Case("vdx:recipientCountry", "isPartOf", "vdx:EuropeanUnion", SATISFIED),
    Case("vdx:recipientCountry", "isPartOf", "vdx:EuropeanEconomicArea", FAILED, request={"claims": {"country": "US"}}),
    Case("vdx:recipientCountry", "eq", "DE", UNKNOWN, request=NO_CLAIMS),
    Case("vdx:recipientCountry", "eq", "Germany", UNKNOWN),
    Case("industry", "eq", "insurance", SATISFIED),
    Case("industry", "eq", "insurance", UNKNOWN, request=NO_CLAIMS),
    Case("recipient", "eq", BUYER, SATISFIED),
    Case("recipient", "isA", "vdx:DmaGatekeeper", FAILED),
    Case("recipient", "isA", "vdx:DmaGatekeeper", SATISFIED, request=GATEKEEPER),
    Case("recipient", "isA", "vdx:DmaGatekeeper", UNKNOWN, request=NO_CLAIMS),
    Case("recipient", "isA", "vdx:DmaGatekeeper", UNKNOWN, request=OTHERS),
    Case("recipient", "isA", "vdx:DmaGatekeeper", UNKNOWN, facts={RECIPIENT: {OTHER: "?"}}, request=OTHERS),
    Case("recipient", "isA", "vdx:PublicBody", SATISFIED, facts=PUBLIC, request=OTHERS),
    Case("recipient", "isA", "vdx:PublicBody", UNKNOWN, facts=PUBLIC, request=BOTH),
    Case("recipient", "isAnyOf", (BUYER, OTHER), SATISFIED, request=BOTH),
    Case("recipient", "eq", OTHER, UNKNOWN, request=BOTH),
    Case("recipient", "eq", OTHER, WAITS, request=CATALOGUE),
]

VAGUE: Final = {"purpose": f"{DPV}Marketing"}
PURPOSE: Final = [
    Case("purpose", "isA", "vdx:UsageBasedInsurance", SATISFIED),
    Case("purpose", "eq", "vdx:PayAsYouDrive", SATISFIED),
    Case("purpose", "isAnyOf", ("vdx:Insurance", "dpv:Marketing"), SATISFIED),
    Case("purpose", "isNoneOf", ("vdx:Insurance",), FAILED),
    Case("purpose", "isA", "dpv:Marketing", FAILED),
    Case("purpose", "isA", "vdx:Fun", UNKNOWN),
    Case("purpose", "isA", "dpv:DirectMarketing", UNKNOWN, request=VAGUE),
    Case("purpose", "neq", "dpv:DirectMarketing", UNKNOWN, request=VAGUE),
    Case("purpose", "isNoneOf", ("dpv:DirectMarketing", "vdx:Insurance"), UNKNOWN, request=VAGUE),
    Case("purpose", "isNoneOf", ("dpv:DirectMarketing", "dpv:Marketing"), FAILED, request=VAGUE),
    Case("purpose", "isAnyOf", ("dpv:DirectMarketing", "dpv:Marketing"), SATISFIED, request=VAGUE),
    Case("purpose", "isAllOf", ("dpv:DirectMarketing", "dpv:Marketing"), UNKNOWN, request=VAGUE),
    Case("purpose", "isAllOf", ("dpv:DirectMarketing", "vdx:Insurance"), FAILED, request=VAGUE),
    Case("purpose", "neq", "vdx:Insurance", SATISFIED, request=VAGUE),
    Case("purpose", "isA", "dpv:Purpose", WAITS, request=CATALOGUE),
    Case("purpose", "isA", "dpv:Purpose", UNKNOWN, request={"purpose": None}),
    Case("purpose", "isA", "dpv:Purpose", UNKNOWN, request={"purpose": f"{CARNET}Fun"}),
]

TIME: Final = [
    Case("dateTime", "lt", "2027-06-30T23:59:59Z", SATISFIED),
    Case("dateTime", "gteq", "2026-01-01T00:00:00Z", SATISFIED, request=CATALOGUE),
    Case("dateTime", "lt", "2026-01-01T00:00:00Z", FAILED),
    Case("dateTime", "lt", "soon", UNKNOWN),
    Case("elapsedTime", "lteq", "P90D", SATISFIED, facts={AGREED_AT: NOW_MS - 90 * DAY_MS}),
    Case("elapsedTime", "lteq", "P1M", FAILED, facts={AGREED_AT: NOW_MS - 32 * DAY_MS}),
    Case("elapsedTime", "lteq", "P90D", UNKNOWN),
    Case("elapsedTime", "lteq", "P90D", WAITS, request=NEGOTIATION),
    Case("timeInterval", "gteq", "P1M", SATISFIED, enforced=True),
    Case("timeInterval", "gteq", "P1M", UNKNOWN),
    Case("timeInterval", "gteq", "P1M", FAILED, facts={TIME_INTERVAL: NOW_MS - 5 * DAY_MS}),
    Case("timeInterval", "gteq", "P1M", SATISFIED, facts={TIME_INTERVAL: NOW_MS - 31 * DAY_MS}),
    Case("delayPeriod", "gteq", "P7D", SATISFIED, enforced=True),
    Case("delayPeriod", "gteq", "P7D", UNKNOWN),
    Case("delayPeriod", "lteq", "P7D", UNKNOWN, enforced=True),
    Case("event", "lt", "vdx:PurposeEnded", SATISFIED, facts={EVENT: ()}),
    Case("event", "gt", "vdx:PurposeEnded", SATISFIED, facts={EVENT: [f"{CARNET}PurposeEnded"]}),
    Case("event", "lteq", "vdx:PurposeEnded", FAILED, facts={EVENT: Ref(f"{CARNET}PurposeEnded")}),
    Case("event", "lt", "vdx:PurposeEnded", UNKNOWN),
    Case("event", "lt", "vdx:PurposeEnded", WAITS, request=NEGOTIATION),
]

METERING: Final = [
    *(
        case
        for left in ("count", "vdx:rows", "vdx:bytes")
        for case in (
            Case(left, "lteq", "10000", SATISFIED, facts={full(left): 9_999}),
            Case(left, "lteq", "10000", FAILED, facts={full(left): 10_000}),
            Case(left, "lteq", "10000", SATISFIED, facts={full(left): 10_000}, request=ONGOING),
            Case(left, "gt", "10000", SATISFIED, facts={full(left): 10_000}),
            Case(left, "lteq", "10000", SATISFIED, enforced=True),
            Case(left, "lteq", "10000", UNKNOWN),
            Case(left, "lteq", "10000", UNKNOWN, facts={full(left): True}),
            Case(left, "lteq", "10000", WAITS, request=NEGOTIATION),
            Case(left, "lteq", "1.5", UNKNOWN, enforced=True),
        )
    ),
    Case("vdx:requestsPerVehicleDay", "lteq", "2", SATISFIED, enforced=True),
    Case("vdx:requestsPerVehicleDay", "lteq", "2", UNKNOWN),
]

MONTPELLIER: Final = "http://publications.europa.eu/resource/authority/place/FRA_MPL"
PLACE: Final = [
    Case("spatial", "eq", MONTPELLIER, SATISFIED, enforced=True),
    Case("spatial", "isPartOf", "http://data.europa.eu/nuts/code/FRJ13", SATISFIED, enforced=True),
    Case("spatial", "eq", MONTPELLIER, UNKNOWN),
    Case("spatial", "eq", "urn:place", UNKNOWN, enforced=True),
    Case("vdx:boundingBox", "eq", "3.8,43.5,3.9,43.7", SATISFIED, enforced=True),
    Case("vdx:boundingBox", "eq", "3.8,43.5,3.9", UNKNOWN, enforced=True),
    Case("vdx:boundingBox", "eq", "3.8,43.5,3.9,x", UNKNOWN, enforced=True),
    Case("vdx:boundingBox", "eq", "3.9,43.5,3.8,43.7", UNKNOWN, enforced=True),
]

_SHAPES: Final = (
    ("vdx:releaseLevel", "eq", "vdx:L3", "vdx:L9"),
    ("vdx:minGroupSize", "gteq", "10", "-1"),
    ("vdx:spatialResolution", "lteq", "8", "16"),
    ("vdx:temporalResolution", "gteq", "PT1H", "1 h"),
    ("vdx:samplingInterval", "lteq", "PT1S", "1"),
    ("vdx:tripEndCut", "gteq", "500", "-5"),
    ("vdx:tripEndCutTime", "gteq", "PT3M", "3 min"),
    ("vdx:pseudonymEpoch", "lteq", "P1M", "P30D"),
    ("vdx:enrolment", "eq", "true", "yes"),
    ("vdx:columns", "isAnyOf", "Vehicle.Speed", ""),
    ("vdx:sensitivePlaces", "eq", "vdx:Removed", "vdx:Kept"),
    ("vdx:offenceData", "eq", "false", "maybe"),
    ("vdx:detail", "eq", "vdx:ScoreAndMileageOnly", "vdx:Much"),
)
PRIVACY: Final = [
    case
    for left, operator, good, bad in _SHAPES
    for case in (
        Case(left, operator, good, SATISFIED, enforced=True),
        Case(left, operator, good, UNKNOWN),
        Case(left, operator, bad, UNKNOWN, enforced=True),
        Case(left, "hasPart", good, UNKNOWN, enforced=True),
    )
]

BASIS: Final = f"{CARNET}legalBasis"
ASKED: Final = f"{CARNET}userRequest"
CONSENT: Final = [
    Case("vdx:legalBasis", "isAnyOf", ("dpv:Consent", "dpv:Contract"), SATISFIED, enforced=True),
    Case("vdx:legalBasis", "isAnyOf", ("dpv:Consent", "dpv:Contract"), SATISFIED, facts={BASIS: f"{DPV}Contract"}),
    Case("vdx:legalBasis", "eq", "dpv:Consent", FAILED, facts={BASIS: {f"{DPV}Contract"}}),
    Case("vdx:legalBasis", "eq", "dpv:Consent", UNKNOWN),
    Case("vdx:legalBasis", "eq", "dpv:Whim", UNKNOWN, enforced=True),
    Case("vdx:userRequest", "eq", "urn:request:42", SATISFIED, facts={ASKED: ("urn:request:42",)}),
    Case("vdx:userRequest", "eq", "urn:request:42", FAILED, facts={ASKED: ()}),
    Case("vdx:userRequest", "eq", "urn:request:42", UNKNOWN),
    Case("vdx:userRequest", "eq", "urn:request:42", WAITS, request=CATALOGUE),
]

PRICE: Final = [
    Case("payAmount", "eq", "3.00", SATISFIED, facts={f"{ODRL}payAmount": 3}),
    Case("payAmount", "lteq", "3.00", FAILED, facts={f"{ODRL}payAmount": 4}),
    Case("payAmount", "eq", "3.00", UNKNOWN),
    Case("payAmount", "eq", "3.00", UNKNOWN, facts={f"{ODRL}payAmount": ()}),
    Case("payAmount", "eq", "3.00", UNKNOWN, facts={f"{ODRL}payAmount": 3.5}),
    Case("payAmount", "eq", "-3.00", UNKNOWN, facts={f"{ODRL}payAmount": 3}),
    Case("unitOfCount", "eq", "vdx:Vehicle", SATISFIED, facts={f"{ODRL}unitOfCount": f"{CARNET}Vehicle"}),
    Case("unitOfCount", "eq", "vdx:Vehicle", UNKNOWN),
    Case("unitOfCount", "eq", "vdx:Kiss", UNKNOWN, facts={f"{ODRL}unitOfCount": f"{CARNET}Vehicle"}),
    Case("vdx:priceBasis", "eq", "vdx:CostOnlyForSme", SATISFIED, facts={f"{CARNET}priceBasis": f"{CARNET}CostOnlyForSme"}),
    Case("vdx:priceBasis", "eq", "vdx:CostOnlyForSme", WAITS, request=NEGOTIATION),
]

FREE: Final = f"{CARNET}exclusive"
EXCLUSIVITY: Final = [
    Case("vdx:exclusive", "eq", "true", SATISFIED, facts={FREE: True}, request=NEGOTIATION),
    Case("vdx:exclusive", "eq", "true", FAILED, facts={FREE: False}, request=NEGOTIATION),
    Case("vdx:exclusive", "eq", "false", SATISFIED, facts={FREE: False}, request=NEGOTIATION),
    Case("vdx:exclusive", "eq", "true", UNKNOWN, request=NEGOTIATION),
    Case("vdx:exclusive", "eq", "true", UNKNOWN, facts={FREE: ()}, request=NEGOTIATION),
    Case("vdx:exclusive", "eq", "true", WAITS),
]

FOREIGN: Final = [
    Case("edc:inForceDate", "gteq", "2025-12-31T00:00:00Z", SATISFIED),
    Case("edc:inForceDate", "lteq", "2025-12-31T00:00:00Z", FAILED),
    Case("edc:inForceDate", "lteq", "contractAgreement+100d", SATISFIED, facts={AGREED_AT: NOW_MS - 100 * DAY_MS}),
    Case("edc:inForceDate", "lteq", "contractAgreement+100d", FAILED, facts={AGREED_AT: NOW_MS - 101 * DAY_MS}),
    Case("edc:inForceDate", "gteq", "contractAgreement+0s", SATISFIED, request=NEGOTIATION),
    Case("edc:inForceDate", "lteq", "contractAgreement-1h", FAILED, request=CATALOGUE),
    Case("edc:inForceDate", "lteq", "contractAgreement+100d", UNKNOWN),
    Case("edc:inForceDate", "lteq", "contractAgreement+1y", UNKNOWN, request=NEGOTIATION),
    *(
        case
        for prefix in ("=", "edc:", "idsc:")
        for case in (
            Case(f"{prefix}POLICY_EVALUATION_TIME", "gt", "2025-12-31T00:00:00.000Z", SATISFIED),
            Case(f"{prefix}POLICY_EVALUATION_TIME", "lt", "2025-12-31T00:00:00.000Z", FAILED),
            Case(f"{prefix}REFERRING_CONNECTOR", "eq", BUYER, SATISFIED),
            Case(f"{prefix}REFERRING_CONNECTOR", "isAnyOf", (OTHER,), FAILED),
        )
    ),
]

_LEGAL: Final = [found.iri for found in FAMILIES["catenax"] if found.legal_only]
CATENAX: Final = [
    Case("cx:Membership", "eq", "active", SATISFIED),
    Case("cx:Membership", "eq", "active", FAILED, request={"claims": {"membership": ["MDS"]}}),
    Case("cx:Membership", "eq", "active", UNKNOWN, request=NO_CLAIMS),
    Case("cx:FrameworkAgreement", "eq", "DataExchangeGovernance:1.0", SATISFIED),
    Case("cx:FrameworkAgreement", "eq", "DataExchangeGovernance:9", FAILED),
    Case("cx:BusinessPartnerNumber", "isAnyOf", ("BPNL1", "BPNL2"), SATISFIED, request={"claims": {"bpn": "BPNL2"}}),
    Case("cx:BusinessPartnerNumber", "eq", "BPNL1", FAILED),
    Case("cx:BusinessPartnerGroup", "isAnyOf", ("gold",), FAILED),
    Case("cx:BusinessPartnerGroup", "isNoneOf", ("gold",), UNKNOWN, request=NO_CLAIMS),
    Case("cx:DataUsageEndDate", "eq", "2026-06-30T00:00:00Z", SATISFIED),
    Case("cx:DataUsageEndDate", "eq", "2025-06-30T00:00:00Z", FAILED),
    Case("cx:DataUsageEndDurationDays", "eq", "10", SATISFIED, facts={AGREED_AT: NOW_MS - 9 * DAY_MS}),
    Case("cx:DataUsageEndDurationDays", "eq", "10", FAILED, facts={AGREED_AT: NOW_MS - 10 * DAY_MS}),
    Case("cx:DataUsageEndDurationDays", "eq", "10", UNKNOWN),
    *(Case(iri, "eq", "cx.any:1", WAITS) for iri in _LEGAL),
    Case("cx:Liability", "eq", "x" * 600, UNKNOWN),
]


@pytest.mark.parametrize("case", PARTY)
def test_party(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", PURPOSE)
def test_purpose(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", TIME)
def test_time(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", METERING)
def test_metering(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", PLACE)
def test_place(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", PRIVACY)
def test_privacy(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", CONSENT)
def test_consent(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", PRICE)
def test_price(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", EXCLUSIVITY)
def test_exclusivity(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", CATENAX)
def test_catenax(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("found", FAMILIES["duties"], ids=lambda found: found.iri)
def test_duties(found: Term) -> None:
    assert found.bucket is Bucket.DUTY
    assert found.remedy is not None
    assert bool(found.evidence) is (found.iri != OBTAIN_CONSENT)


@pytest.mark.parametrize("found", FAMILIES["actions"], ids=lambda found: found.iri)
def test_actions(found: Term) -> None:
    assert included(found.iri, found.iri)
    assert found.legal_only is (found.iri not in (USE, READ))
    if found.included_in is not None:
        assert included(found.iri, found.included_in)
        assert not included(found.included_in, found.iri)


# --- the registry ----------------------------------------------------------------------------------------------------


def test_every_operand_has_cases_that_satisfy_it_and_cases_that_do_not() -> None:
    cases = [
        *PARTY, *PURPOSE, *TIME, *METERING, *PLACE, *PRIVACY, *CONSENT, *PRICE, *EXCLUSIVITY, *FOREIGN, *CATENAX
    ]  # fmt: skip
    satisfied = {full(case.left) for case in cases if case.becomes in (SATISFIED, WAITS)}
    others = {full(case.left) for case in cases if case.becomes is not SATISFIED}
    operands = {iri for iri, found in REGISTRY.items() if found.kind == "operand"}
    assert operands <= satisfied | {f"{CX}BusinessPartnerGroup"}
    assert operands <= others


def test_every_term_says_in_one_way_how_it_is_kept_and_speaks_every_language() -> None:
    assert [defect(found) for found in REGISTRY.values()] == [None] * len(REGISTRY)
    assert sum(map(len, FAMILIES.values())) == len(REGISTRY)
    for found in REGISTRY.values():
        places = [text.count("{operator}") + text.count("{value}") for text in found.sentence.values()]
        assert places == [2 if found.kind == "operand" else 0] * 3


def test_the_table_names_every_term_and_tests_that_exist() -> None:
    terms, points = table().split("\n\n")
    lines = terms.splitlines()[2:]
    assert len(points.splitlines()[2:]) == len(Point)
    assert len(lines) == len(REGISTRY)
    assert all(f"test_{family}" in globals() for family in FAMILIES)
    assert any("| enforced at data request" in line or "enforced at query plan" in line for line in lines)
    assert any("| evidenced by signed attestation |" in line for line in lines)
    assert any("| legal only | legal only |" in line for line in lines)
