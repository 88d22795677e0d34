"""What no agreement about vehicle data may say, whatever its parties want: rules of law and of privacy, each with its source.

- Instant speed together with a precise place is data on offences (EDPB guidelines 01/2020, paragraphs 64 and 65; GDPR, article
  10): the place is coarsened, speed is given in bands, one of the two stays away, or only aggregates, scores or features leave.
- *Anonymous* may only be said of aggregates of at least five distinct vehicles, or of rows that cannot be linked beyond a trip
  (L2) where of at least 1,000 vehicles at most 5 % were measured to be unique at four points.
- Driving behaviour cannot be judged from samples that are further apart than the agreement promises.
- What a user asks to be shared, nobody gets exclusively: the user may ask the same for others at any time (Data Act, articles 5
  and 8(4)).
- The rules for French insurers, where they are asked for (CNIL, 8 April 2010): no instant speed, and an end to keeping the data.

A place is precise below a cell edge of 1 km, that is above level 7 of H3. Imports the model and the terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from policies.delivery import Capabilities
from policies.errors import Problem, excerpt
from policies.model import CARNET, AnyConstraint, Constraint, Duty, Logic, Operator, Permission, Policy
from policies.terms.catenax import EXCLUSIVE_USAGE
from policies.terms.consent import USER_REQUEST
from policies.terms.duties import DELETE
from policies.terms.examine import Fault, Understood, understand
from policies.terms.exclusivity import EXCLUSIVE
from policies.terms.privacy import (
    COLUMNS,
    DETAIL,
    MIN_GROUP_SIZE,
    OFFENCE_DATA,
    RELEASE_LEVEL,
    SAMPLING_INTERVAL,
    SPATIAL_RESOLUTION,
)
from policies.terms.time import ELAPSED_TIME, EVENT
from policies.terms.values import duration, name, number, truth
from policies.walk import atoms, conditions, numbered, shared

FRENCH_INSURANCE: Final = "fr-insurance"
"""The set of rules for French insurers; it holds where ``Capabilities.rule_sets`` has it."""
SPEED: Final = frozenset({"Vehicle.Speed"})
PLACE: Final = frozenset({"Vehicle.CurrentLocation.Latitude", "Vehicle.CurrentLocation.Longitude"})
COARSE_LEVEL: Final = 7
"""The finest level of H3 whose cells have edges of more than 1 km."""
ANONYMOUS_LEAST: Final = 5
"""Distinct vehicles behind every figure of what may be called anonymous."""
MEASURED_LEAST: Final = 1_000
"""Vehicles that unicity must have been measured of."""
UNIQUE_MOST: Final = 0.05
"""Share of vehicles that may be unique at four points of rows that are called anonymous."""

EXCLUSIVE_REQUEST: Final = "exclusive-user-request"
"""The code of a claim to have alone what a user asks to be shared."""

_LEAST: Final = frozenset({Operator.EQ, Operator.GTEQ, Operator.GT})
_MOST: Final = frozenset({Operator.EQ, Operator.LTEQ, Operator.LT})
_NAMED: Final = frozenset({Operator.EQ, Operator.IS_A, Operator.IS_ANY_OF})
_LEVEL_2: Final = f"{CARNET}L2"
_LEVEL_3: Final = f"{CARNET}L3"
_ANONYMOUS: Final = f"{CARNET}Anonymous"
_AGGREGATED: Final = frozenset({_LEVEL_3, _ANONYMOUS})
_DIGESTED: Final = frozenset({f"{CARNET}ScoreAndMileageOnly", f"{CARNET}FeaturesOnly"})
_Stated = list[tuple[str, Understood]]


def lint(policy: Policy, capabilities: Capabilities) -> Iterator[Problem]:
    """What is wrong with each permission of ``policy`` for the asset. Nothing is said about columns where they are not known."""
    french = FRENCH_INSURANCE in capabilities.rule_sets
    for index, permission in enumerate(policy.permissions):
        path = f"/permission/{index}"
        stated = [found for at, condition in conditions(path, permission) for found in _certain(at, condition)]
        yield from _columns(path, stated, capabilities)
        yield from _anonymous(stated, capabilities)
        yield from _sampling(stated, capabilities)
        yield from _exclusive_request(path, permission, policy)
        if french:
            yield from _french(path, permission, policy, stated, capabilities)


def _certain(path: str, condition: AnyConstraint) -> Iterator[tuple[str, Understood]]:
    """The plain constraints that hold in any case and are understood."""
    if isinstance(condition, Constraint):
        found = understand(condition)
        if not isinstance(found, Fault):
            yield path, found
    elif condition.logic is Logic.AND:
        for at, part in numbered(f"{path}/{Logic.AND}", condition.parts):
            yield from _certain(at, part)


def _columns(path: str, stated: _Stated, capabilities: Capabilities) -> Iterator[Problem]:
    if capabilities.columns is None:
        return
    for at, found in stated:
        missing = sorted({name(value) for value in found.right} - capabilities.columns) if found.term.iri == COLUMNS else []
        if missing:
            said = f"the asset has no column {excerpt(missing[0])}"
            yield Problem("column-unknown", f"{at}/rightOperand", said, "name columns of the asset")
    leaving = _leaving(stated, capabilities.columns)
    if leaving & SPEED and leaving & PLACE and not (_coarse(stated) or _digested(stated) or _banded(stated)):
        said = "instant speed leaves together with a precise place, which makes it data on offences"
        cure = f"add spatialResolution lteq {COARSE_LEVEL} or coarser, or offenceData eq false (speed is then given in bands)"
        remedy = f"{cure}, leave out one of the columns, or release aggregates"
        yield Problem("speed-with-place", path, said, remedy)


def _leaving(stated: _Stated, columns: frozenset[str]) -> frozenset[str]:
    """The columns of the asset that a permission lets out."""
    left = columns
    for _, found in stated:
        if found.term.iri == COLUMNS:
            names = frozenset(name(value) for value in found.right)
            left = left & names if found.operator in _NAMED else left - names
    return left


def _coarse(stated: _Stated) -> bool:
    def coarse(found: Understood) -> bool:
        level = number(found.right[0])
        return level is not None and level - (found.operator is Operator.LT) <= COARSE_LEVEL

    return _any(stated, SPATIAL_RESOLUTION, _MOST, coarse)


def _digested(stated: _Stated) -> bool:
    """Whether only aggregates, or what was computed from rows, leave."""
    level = _any(stated, RELEASE_LEVEL, _NAMED, lambda found: {name(value) for value in found.right} <= _AGGREGATED)
    groups = _any(stated, MIN_GROUP_SIZE, _LEAST, lambda found: True)
    return level or groups or _any(stated, DETAIL, _NAMED, lambda found: {name(value) for value in found.right} <= _DIGESTED)


def _banded(stated: _Stated) -> bool:
    """Whether data on offences must not leave, so that speed is given in bands where the place is precise."""

    def excluded(found: Understood) -> bool:
        return truth(found.right[0]) is (found.operator is Operator.NEQ)

    return _any(stated, OFFENCE_DATA, frozenset({Operator.EQ, Operator.NEQ}), excluded)


def _any(stated: _Stated, iri: str, operators: frozenset[Operator], holds: Callable[[Understood], bool]) -> bool:
    return any(found.term.iri == iri and found.operator in operators and holds(found) for _, found in stated)


def _anonymous(stated: _Stated, capabilities: Capabilities) -> Iterator[Problem]:
    """The level ``Anonymous`` claims more than another: it needs L3 beside it and groups that are large enough, or L2 and few
    vehicles that are unique."""
    claims = [at for at, found in stated if found.term.iri == RELEASE_LEVEL and _ANONYMOUS in {name(one) for one in found.right}]
    if not claims or (_says_level(stated, _LEVEL_2) and _hardly_unique(capabilities)):
        return
    if not _says_level(stated, _LEVEL_3):
        yield Problem("anonymous-rows", claims[0], "only aggregates may be called anonymous", "add releaseLevel eq L3")
    if not _any(stated, MIN_GROUP_SIZE, _LEAST, _large):
        said = f"fewer than {ANONYMOUS_LEAST} vehicles may stand behind a figure that is called anonymous"
        yield Problem("anonymous-small-groups", claims[0], said, f"add minGroupSize gteq {ANONYMOUS_LEAST} or more")


def _says_level(stated: _Stated, level: str) -> bool:
    return _any(stated, RELEASE_LEVEL, _NAMED, lambda found: {name(value) for value in found.right} == {level})


def _hardly_unique(capabilities: Capabilities) -> bool:
    vehicles, share = capabilities.unicity or (0, 1.0)
    return vehicles >= MEASURED_LEAST and share <= UNIQUE_MOST


def _large(found: Understood) -> bool:
    least = number(found.right[0])
    return least is not None and least + (found.operator is Operator.GT) >= ANONYMOUS_LEAST


def _sampling(stated: _Stated, capabilities: Capabilities) -> Iterator[Problem]:
    interval = capabilities.sampling_interval_ms
    for at, found in stated:
        promised = duration(found.right[0]) if found.term.iri == SAMPLING_INTERVAL and found.operator in _MOST else None
        if interval is not None and promised is not None and not promised.months and promised.ms < interval:
            said = f"the asset was measured every {interval} ms, which is less often than promised"
            yield Problem("sampling-too-coarse", f"{at}/rightOperand", said, "promise no more than was measured")


def claims_request(policy: Policy) -> bool:
    """Whether a permission claims exclusivity of what a user asks to be shared."""
    return any(_exclusive_request(f"/permission/{index}", each, policy) for index, each in enumerate(policy.permissions))


def _exclusive_request(path: str, permission: Permission, policy: Policy) -> list[Problem]:
    """Wherever the two terms stand, in words of ours or of Catena-X, and also where one of them cannot be read."""
    whole = (*shared(policy), *conditions(path, permission))
    found = [(at, atom) for place, condition in whole for at, atom in atoms(place, condition)]
    claims = [at for at, atom in found if atom.left == EXCLUSIVE_USAGE or _claims(atom)]
    if not claims or all(atom.left != USER_REQUEST for _, atom in found):
        return []
    said = (
        "a share that a user asks for cannot be exclusive: the user may ask the same for others (Data Act, articles 5 and 8(4))"
    )
    return [Problem(EXCLUSIVE_REQUEST, claims[0], said, "leave the claim to exclusive use out")]


def _claims(atom: Constraint) -> bool:
    return atom.left == EXCLUSIVE and not (atom.right and truth(atom.right[0]) is False)


def _french(path: str, permission: Permission, policy: Policy, stated: _Stated, capabilities: Capabilities) -> Iterator[Problem]:
    if capabilities.columns is not None and _leaving(stated, capabilities.columns) & SPEED and not _digested(stated):
        said = "instant speed must not reach an insurer"
        yield Problem("insurance-speed", path, said, "add detail eq FeaturesOnly, or leave the column out")
    if not any(_ends(duty) for duty in (*permission.duties, *policy.obligations)):
        said = "nothing says how long an insurer may keep the data"
        yield Problem("insurance-retention", path, said, "add a duty to delete after an elapsedTime or an event")


def _ends(duty: Duty) -> bool:
    """Whether a duty is to delete at some time."""
    found = [atom for at, one in numbered("", duty.action.refinements) for _, atom in _certain(at, one)]
    return duty.action.iri == DELETE and any(one.term.iri in (ELAPSED_TIME, EVENT) for one in found)
