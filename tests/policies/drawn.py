"""Policies by chance, and the seven offers that are read from files.

``policies()`` draws anything that the model can hold and ODRL can say; ``offers()`` and ``agreements()`` draw what has a normal
form in DSP. Names are IRIs throughout: an operator is ``http://www.w3.org/ns/odrl/2/eq``, a role ``.../informedParty``. Some
operands, operators, actions and values are terms that nobody knows. Compounds nest at most ``DEPTH`` deep.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st

from policies.model import (
    CARNET,
    DPV,
    ODRL,
    PROFILE,
    XSD,
    Action,
    AnyConstraint,
    Asset,
    Compound,
    Conflict,
    Constraint,
    Duty,
    Lit,
    Logic,
    Operator,
    Party,
    Permission,
    Policy,
    Prohibition,
    Ref,
    Value,
)

DEPTH: Final = 2
OFFERS: Final = Path(__file__).parent / "offers"
UNKNOWN: Final = "https://nobody.example/terms#"


def offer_document(name: str) -> dict[str, Any]:
    """The offer of ``offers/`` whose file name begins with ``name`` ("1", "1-payd"...), as parsed JSON."""
    (path,) = OFFERS.glob(f"{name}*.jsonld")
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def operator(one: Operator) -> str:
    """The IRI of ``one``, as constraints hold it."""
    return ODRL + one.value


# --- values ----------------------------------------------------------------------------------------------------------

concepts = st.sampled_from(
    [
        f"{CARNET}UsageBasedInsurance",
        f"{CARNET}MobilityPlanning",
        f"{CARNET}PublicBody",
        f"{CARNET}DmaGatekeeper",
        f"{CARNET}ScoreAndMileageOnly",
        f"{DPV}Marketing",
        f"{DPV}RepairImpairments",
        f"{DPV}ScientificResearch",
        f"{DPV}Consent",
        "http://publications.europa.eu/resource/authority/place/FRA_MPL",
        f"{UNKNOWN}Concept",
        "urn:request:42",
        f"{ODRL}policyUsage",
    ]
).map(Ref)
integers = st.integers(-5, 2_000_000).map(lambda number: Lit(str(number), f"{XSD}integer"))
decimals = st.decimals(0, 20_000, places=2).map(lambda number: Lit(str(number), f"{XSD}decimal"))
booleans = st.sampled_from([Lit("true", f"{XSD}boolean"), Lit("false", f"{XSD}boolean")])
durations = st.sampled_from(["PT1H", "P1D", "P7D", "P30D", "P90D", "P1M", "P1Y", "P1Y2M10DT2H30M"]).map(
    lambda text: Lit(text, f"{XSD}duration")
)
moments = st.datetimes().map(lambda moment: Lit(f"{moment:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0"), f"{XSD}dateTime"))
strings = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["3.00", "https://w3id.org/dpv#Marketing", "urn:x", "did:web:x", "odrl:use", "cx.quality.base:1", "@id", "a\nb"]
    ),
).map(Lit)
foreign_literals = st.builds(
    Lit, st.text(max_size=6), st.sampled_from([f"{UNKNOWN}type", "http://www.opengis.net/ont/geosparql#wktLiteral"])
)
values: st.SearchStrategy[Value] = st.one_of(
    concepts, integers, decimals, booleans, durations, moments, strings, foreign_literals
)
"""Any value at all, in the lexical forms that other people write too."""

# --- constraints -----------------------------------------------------------------------------------------------------

_OPERANDS: Final[dict[str, st.SearchStrategy[Any]]] = {
    f"{ODRL}purpose": concepts,
    f"{ODRL}spatial": concepts,
    f"{ODRL}event": concepts,
    f"{ODRL}count": integers,
    f"{ODRL}dateTime": moments,
    f"{ODRL}elapsedTime": durations,
    f"{ODRL}timeInterval": durations,
    f"{ODRL}delayPeriod": durations,
    f"{CARNET}consumerKind": concepts,
    f"{CARNET}legalBasis": concepts,
    f"{CARNET}requestsPerVehicleDay": integers,
    f"{CARNET}minGroupSize": integers,
    f"{CARNET}spatialResolution": integers,
    f"{CARNET}temporalResolution": durations,
    f"{CARNET}exclusive": booleans,
    f"{UNKNOWN}operand": values,
}
_SETS: Final = (Operator.IS_ANY_OF, Operator.IS_ALL_OF, Operator.IS_NONE_OF)
_SINGLES: Final = tuple(one for one in Operator if one not in _SETS)
names = st.none() | st.sampled_from(["urn:rule:1", "urn:rule:2", "https://fleet.example/rules/3"])


@st.composite
def sensible(draw: st.DrawFn) -> Constraint:
    """A constraint whose value has the type that its operand wants; the operator may still not be one that it takes."""
    left = draw(st.sampled_from(sorted(_OPERANDS)))
    if draw(st.booleans()):
        return Constraint(left, operator(draw(st.sampled_from(_SINGLES))), (draw(_OPERANDS[left]),))
    right = draw(st.lists(_OPERANDS[left], min_size=1, max_size=3))
    return Constraint(left, operator(draw(st.sampled_from(_SETS))), tuple(right))


_lefts = st.sampled_from(sorted(_OPERANDS))
_operators = st.sampled_from([operator(one) for one in Operator])
_rights = st.lists(values, min_size=1, max_size=3).map(tuple)
_units = st.none() | st.sampled_from(["https://www.wikidata.org/entity/Q4916", f"{UNKNOWN}unit"])
_types = st.none() | st.sampled_from([f"{XSD}decimal", f"{UNKNOWN}type"])
plain_atoms = sensible() | st.builds(Constraint, _lefts, _operators, _rights, unit=_units, datatype=_types, uid=names)
"""Constraints that DSP can carry, with values of any type."""
atoms = st.one_of(
    plain_atoms,
    st.builds(Constraint, _lefts, _operators, _rights, status=values, uid=names),
    st.builds(Constraint, _lefts, _operators, reference=st.sampled_from([f"{CARNET}agreedWithUser", "urn:value"])),
    st.builds(Constraint, _lefts, st.just(f"{UNKNOWN}operator"), _rights),
)


def nested(leaves: st.SearchStrategy[Constraint], depth: int = DEPTH) -> st.SearchStrategy[AnyConstraint]:
    """Constraints over ``leaves``, logical ones at most ``depth`` deep."""
    drawn: st.SearchStrategy[AnyConstraint] = leaves
    for _ in range(depth):
        parts = st.lists(drawn, min_size=1, max_size=2).map(tuple)
        drawn = leaves | st.builds(Compound, st.sampled_from(Logic), parts, uid=names)
    return drawn


plain_constraints = nested(plain_atoms)
constraints = nested(atoms)


def several(items: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[tuple[Any, ...]]:
    """A tuple of none to ``most`` of ``items``."""
    return st.lists(items, max_size=most).map(tuple)


# --- rules -----------------------------------------------------------------------------------------------------------

action_iris = st.sampled_from(
    [
        *(ODRL + name for name in ("use", "read", "sell", "derive", "distribute", "aggregate", "anonymize")),
        f"{CARNET}reidentify",
        f"{UNKNOWN}action",
    ]
)
duty_iris = st.sampled_from(
    [
        *(ODRL + name for name in ("compensate", "delete", "inform", "attribute", "obtainConsent")),
        f"{CARNET}attest",
        f"{UNKNOWN}duty",
    ]
)
refined = several(atoms)
assets = st.one_of(
    st.sampled_from(["urn:asset:mileage", "trips-2026", "https://fleet.example/data/1"]).map(Asset),
    st.builds(Asset, st.just("urn:asset:all"), st.just(True), refined),
)
parties = st.one_of(
    st.sampled_from(["did:web:oem.example", "did:web:insurer.example", "BPNL00000003"]).map(Party),
    st.builds(Party, st.just("urn:parties:members"), st.just(True), refined),
)
roles = several(
    st.tuples(st.sampled_from([f"{ODRL}informedParty", f"{ODRL}compensatedParty", f"{ODRL}trackingParty"]), parties)
).map(lambda pairs: tuple(sorted(pairs, key=lambda pair: pair[0])))
_functions: Final = {
    "target": st.none() | assets,
    "assigner": st.none() | parties,
    "assignee": st.none() | parties,
    "parties": roles,
    "uid": names,
}
actions = st.builds(Action, action_iris, refined)
duty_actions = st.builds(Action, duty_iris, refined)
plain_duties = st.builds(Duty, st.builds(Action, duty_iris, several(plain_constraints, 3)), uid=names)
"""Duties that DSP can carry: how they are done is said by refinements, and nothing else is said."""
_leaf_duties = st.builds(Duty, duty_actions, several(constraints), **_functions)
duties = st.builds(Duty, duty_actions, several(constraints), consequences=several(_leaf_duties, 1), **_functions)
plain_permissions = st.builds(
    Permission, st.builds(Action, action_iris), several(plain_constraints, 3), several(plain_duties), uid=names
)
permissions = st.builds(Permission, actions, several(constraints, 3), several(duties), **_functions)
plain_prohibitions = st.builds(Prohibition, st.builds(Action, action_iris), several(plain_constraints), uid=names)
prohibitions = st.builds(Prohibition, actions, several(constraints), several(duties, 1), **_functions)

# --- policies --------------------------------------------------------------------------------------------------------

uids = st.sampled_from(["urn:offer:1-payd-mileage", "offer:7", "Y2Q=:dHJpcHM=:ZTg0", "https://fleet.example/policies/9"])
profiles = several(st.sampled_from([PROFILE, f"{UNKNOWN}profile", "https://w3id.org/catenax/2025/9/policy/profile"]))


def policies() -> st.SearchStrategy[Policy]:
    """Anything that ODRL can say."""
    return st.builds(
        Policy,
        st.sampled_from(["Offer", "Agreement", "Set"]),
        uids,
        several(permissions),
        several(prohibitions),
        several(duties),
        profiles,
        st.none() | assets,
        st.none() | parties,
        st.none() | parties,
        st.none() | st.sampled_from(Conflict),
        several(st.sampled_from(["urn:policy:base", "https://fleet.example/policies/0"])),
    )


def _plain(
    kind: str, targets: st.SearchStrategy[Any], assigners: st.SearchStrategy[Any], assignees: st.SearchStrategy[Any]
) -> st.SearchStrategy[Policy]:
    parts = (several(plain_permissions, 3), several(plain_prohibitions, 3), several(plain_duties), profiles)
    drawn = st.builds(Policy, st.just(kind), uids, *parts, targets, assigners, assignees)
    return drawn.filter(lambda policy: bool(policy.permissions or policy.prohibitions))


_target = st.sampled_from(["urn:asset:mileage", "trips-2026"]).map(Asset)
_assigner = st.just(Party("did:web:oem.example"))
_assignee = st.just(Party("did:web:insurer.example"))


def offers() -> st.SearchStrategy[Policy]:
    """Offers that have a normal form in DSP, in that form: one target for all rules, or none."""
    return _plain("Offer", st.none() | _target, st.none() | _assigner, st.none() | _assignee)


def agreements() -> st.SearchStrategy[Policy]:
    """Agreements that have a normal form in DSP, in that form."""
    return _plain("Agreement", _target, _assigner, _assignee)


# --- spoilt documents ------------------------------------------------------------------------------------------------

_SCRAPS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 2),
    st.sampled_from(["", "use", "odrl:use", "@id", "x:y", "urn:x", "Offer"]),
    st.sampled_from(
        ["{}", "[]", "[[]]", '{"@id": "urn:x"}', '{"@value": "a"}', '{"@list": [1]}', '{"@set": {}}', '{"type": "use"}']
    ).map(json.loads),
)


def _places(value: Any) -> list[tuple[Any, Any]]:
    steps = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    return [found for key, inner in steps for found in [(value, key), *_places(inner)]]


@st.composite
def spoilt(draw: st.DrawFn, document: dict[str, Any]) -> dict[str, Any]:
    """A copy of ``document`` with something else in one or two places."""
    spoiling = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 2))):
        holder, key = draw(st.sampled_from(_places(spoiling)))
        holder[key] = draw(_SCRAPS)
    return spoiling
