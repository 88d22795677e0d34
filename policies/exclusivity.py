"""Where two agreements or offers promise the same ground: territory, field of use, period, data items.

A permission that claims exclusivity (``vdx:exclusive eq true``) may meet no other permission on all four at once. What a
permission does not bound is everywhere, for everything, for ever; so is what cannot be read, and places that cannot be told
apart overlap: a doubt never lets two exclusive buyers in.

What leaves at the request of a user meets nothing: no contract with somebody else stands in the way of what the user may ask for
(Data Act, articles 5 and 8(4)). Imports the model, the terms, purposes and places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from policies.model import AnyConstraint, Constraint, Logic, Operator, Permission, Policy, Value
from policies.places import meet, within
from policies.plain import resolved
from policies.purposes import PURPOSE, PURPOSES, is_a
from policies.terms.consent import USER_REQUEST
from policies.terms.exclusivity import EXCLUSIVE
from policies.terms.foreign import IN_FORCE_DATE
from policies.terms.place import BOUNDING_BOX, SPATIAL
from policies.terms.privacy import COLUMNS
from policies.terms.time import DATE_TIME
from policies.terms.values import instant, name, truth
from policies.walk import OPERATORS, atoms, conditions

_WITHIN: Final = frozenset({Operator.EQ, Operator.IS_A, Operator.IS_ANY_OF, Operator.IS_PART_OF})
_OUTSIDE: Final = frozenset({Operator.NEQ, Operator.IS_NONE_OF})

Meet = Callable[[Value, Value], bool]


@dataclass(frozen=True, slots=True)
class Period:
    """Moments in ms since the epoch, both included; None: no bound on that side."""

    first_ms: int | None = None
    last_ms: int | None = None

    def __and__(self, other: Period) -> Period:
        firsts = [first for first in (self.first_ms, other.first_ms) if first is not None]
        lasts = [last for last in (self.last_ms, other.last_ms) if last is not None]
        return Period(max(firsts, default=None), min(lasts, default=None))

    @property
    def empty(self) -> bool:
        """Whether no moment lies in it."""
        return self.first_ms is not None and self.last_ms is not None and self.last_ms < self.first_ms


@dataclass(frozen=True, slots=True)
class Ground:
    """What one permission covers: on each of these, all of its bounds hold together; without a bound it covers all.

    A bound is a set of names that it lies within, or, with ``False``, outside of. ``asset`` None: any. ``requested``: only what
    a user asks for, and claimed by nobody for itself alone.
    """

    asset: str | None
    territory: tuple[Bound, ...] = ()
    purposes: tuple[Bound, ...] = ()
    columns: tuple[Bound, ...] = ()
    period: Period = Period()
    exclusive: bool = False
    requested: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """Within any of ``values``, or outside of all of them."""

    inside: bool
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two permissions that meet although one is exclusive: their paths in the two policies, what each covers, when both do."""

    path: str
    other_path: str
    ground: Ground
    other_ground: Ground
    period: Period


def overlap(one: Policy, other: Policy) -> Overlap | None:
    """The first meeting of two policies that exclusivity forbids, or None. Symmetric: the same answer whichever comes first.

    A policy never meets another of the same assignee: what somebody has for itself alone, it may have twice.
    """
    return next(overlaps(one, other), None)


def overlaps(one: Policy, other: Policy) -> Iterator[Overlap]:
    """All meetings of two policies that exclusivity forbids, in the order of their permissions."""
    if one.assignee is not None and one.assignee == other.assignee and not one.assignee.collection:
        return
    others = list(_grounds(other))
    for path, ground in _grounds(one):
        for other_path, other_ground in others:
            period = ground.period & other_ground.period
            if (ground.exclusive or other_ground.exclusive) and not period.empty and _meet(ground, other_ground):
                yield Overlap(path, other_path, ground, other_ground, period)


def claims_exclusivity(policy: Policy) -> bool:
    """Whether any permission of a policy does."""
    return any(ground.exclusive for _, ground in _grounds(policy))


def _grounds(policy: Policy) -> Iterator[tuple[str, Ground]]:
    for index, permission in enumerate(resolved(policy).permissions):
        yield f"/permission/{index}", _ground(f"/permission/{index}", permission)


def _ground(path: str, permission: Permission) -> Ground:
    target = permission.target
    stated = [condition for _, condition in conditions(path, permission)]
    certain = [atom for condition in stated for atom in _certain(condition)]
    exclusive = any(_exclusive(atom) for condition in stated for _, atom in atoms("", condition))
    return Ground(
        asset=None if target is None or target.collection else target.iri,
        territory=_bounds(certain, SPATIAL, BOUNDING_BOX),
        purposes=_bounds(certain, PURPOSE),
        columns=_bounds(certain, COLUMNS),
        period=_period(certain),
        exclusive=exclusive,
        requested=not exclusive and any(atom.left == USER_REQUEST for atom in certain),
    )


def _certain(condition: AnyConstraint) -> Iterator[Constraint]:
    """The plain constraints that hold in any case. Alternatives bound nothing for certain, so they count as no bound."""
    if isinstance(condition, Constraint):
        yield condition
    elif condition.logic in (Logic.AND, Logic.AND_SEQUENCE) or len(condition.parts) == 1:
        for part in condition.parts:
            yield from _certain(part)


def _bounds(certain: list[Constraint], *operands: str) -> tuple[Bound, ...]:
    return tuple(
        Bound(operator in _WITHIN, atom.right)
        for atom in certain
        if atom.left in operands and atom.right and (operator := OPERATORS.get(atom.operator)) in _WITHIN | _OUTSIDE
    )


def _period(certain: list[Constraint]) -> Period:
    period = Period()
    for atom in certain:
        moment = instant(atom.right[0]) if atom.left in (DATE_TIME, IN_FORCE_DATE) and atom.right else None
        if moment is not None:
            period &= _half(OPERATORS.get(atom.operator), moment)
    return period


def _half(operator: Operator | None, moment_ms: int) -> Period:
    match operator:
        case Operator.LT:
            return Period(None, moment_ms - 1)
        case Operator.LTEQ:
            return Period(None, moment_ms)
        case Operator.GT:
            return Period(moment_ms + 1)
        case Operator.GTEQ:
            return Period(moment_ms)
        case Operator.EQ:
            return Period(moment_ms, moment_ms)
        case _:
            return Period()


def _exclusive(atom: Constraint) -> bool:
    """Whether a constraint claims exclusivity; one that cannot be read might."""
    return atom.left == EXCLUSIVE and not (atom.right and all(truth(value) is False for value in atom.right))


def _meet(one: Ground, other: Ground) -> bool:
    return (
        not (one.requested or other.requested)
        and (one.asset is None or other.asset is None or one.asset == other.asset)
        and _bounds_meet(one.territory, other.territory, meet, within)
        and _bounds_meet(one.purposes, other.purposes, _purposes_meet, _purpose_within)
        and _bounds_meet(one.columns, other.columns, _same, _same)
    )


def _bounds_meet(one: tuple[Bound, ...], other: tuple[Bound, ...], touch: Meet, inside: Meet) -> bool:
    """Whether no bound of one rules out a bound of the other."""
    return all(_bound_meets(left, right, touch, inside) for left in one for right in other)


def _bound_meets(left: Bound, right: Bound, touch: Meet, inside: Meet) -> bool:
    if left.inside and right.inside:
        return any(touch(here, there) for here in left.values for there in right.values)
    if left.inside or right.inside:
        held, shut = (left, right) if left.inside else (right, left)
        return not all(any(inside(here, there) for there in shut.values) for here in held.values)
    return True


def _purposes_meet(one: Value, other: Value) -> bool:
    here, there = name(one), name(other)
    return here not in PURPOSES or there not in PURPOSES or is_a(here, there) or is_a(there, here)


def _purpose_within(one: Value, other: Value) -> bool:
    return name(one) == name(other) or is_a(name(one), name(other))


def _same(one: Value, other: Value) -> bool:
    return name(one) == name(other)
