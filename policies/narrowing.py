"""What a buyer asks for who says what the data are for: an offer narrowed to one purpose.

DSP has no field for a purpose; who wants an offer for one asks for a narrower one. Imports ``policies`` siblings only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from policies.containment import implies
from policies.model import ODRL, AnyConstraint, Compound, Constraint, Logic, Permission, Policy, Ref
from policies.purposes import PURPOSE

_EQ: Final = f"{ODRL}eq"


def for_purpose(policy: Policy, purpose: str) -> Policy | None:
    """``policy`` with every permission bound to ``purpose`` (an IRI), and without those that another purpose is for.

    None where nothing is left: the policy permits nothing for this purpose.
    """
    bound = Constraint(PURPOSE, _EQ, (Ref(purpose),))
    left = tuple(found for rule in policy.permissions if (found := _bound(rule, bound)) is not None)
    return replace(policy, permissions=left) if left else None


def _bound(rule: Permission, bound: Constraint) -> Permission | None:
    """A permission bound to a purpose; None where one of its own constraints is about another."""
    plain = list(_parts(rule.constraints))
    purposes = [each for each in plain if isinstance(each, Constraint) and each.left == PURPOSE]
    if not all(implies(bound, each) for each in purposes):
        return None
    return replace(rule, constraints=(*(each for each in plain if each not in purposes), bound))


def _parts(constraints: tuple[AnyConstraint, ...]) -> Iterator[AnyConstraint]:
    """Constraints that hold together, those of a conjunction one by one."""
    for each in constraints:
        if isinstance(each, Compound) and each.logic is Logic.AND:
            yield from _parts(each.parts)
        else:
            yield each
