"""The parts of a policy, each with its path: what the compiler, the comparison and the sentences walk over.

A path is a JSON pointer into the policy as ODRL writes it (``/permission/0/duty/1/action/refinement/0``), with every list
written as a list; it names the same part in the report of a decision, in a problem and in a redline. Imports the model, and from
errors how a path is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from policies.errors import below
from policies.model import (
    ODRL,
    AnyConstraint,
    Asset,
    Compound,
    Constraint,
    Duty,
    Operator,
    Party,
    Permission,
    Policy,
    Prohibition,
)

OPERATORS: Final = {ODRL + operator: operator for operator in Operator}
"""The operators that ODRL has, by IRI."""

Member = Literal["permission", "prohibition", "obligation"]
Rule = Permission | Prohibition | Duty


@dataclass(frozen=True, slots=True)
class Placed:
    """A rule of a policy and where it stands."""

    path: str
    member: Member
    index: int
    rule: Rule


def rules(policy: Policy) -> Iterator[Placed]:
    """The rules of a policy in its order: permissions, prohibitions, obligations."""
    for index, permission in enumerate(policy.permissions):
        yield Placed(f"/permission/{index}", "permission", index, permission)
    for index, prohibition in enumerate(policy.prohibitions):
        yield Placed(f"/prohibition/{index}", "prohibition", index, prohibition)
    for index, obligation in enumerate(policy.obligations):
        yield Placed(f"/obligation/{index}", "obligation", index, obligation)


def conditions(path: str, rule: Rule) -> Iterator[tuple[str, AnyConstraint]]:
    """What must hold for a rule to be active: its constraints, and the refinements of its action, its target and its parties.

    Those of its duties, consequences and remedies are not among them.
    """
    yield from numbered(f"{path}/constraint", rule.constraints)
    yield from numbered(f"{path}/action/refinement", rule.action.refinements)
    yield from _refinements(f"{path}/target", rule.target)
    yield from _refinements(f"{path}/assigner", rule.assigner)
    yield from _refinements(f"{path}/assignee", rule.assignee)
    for role, party in rule.parties:
        yield from _refinements(below(path, role.removeprefix(ODRL)), party)


def shared(policy: Policy) -> Iterator[tuple[str, AnyConstraint]]:
    """The refinements of the policy's own target and parties, which hold for every rule that names none."""
    yield from _refinements("/target", policy.target)
    yield from _refinements("/assigner", policy.assigner)
    yield from _refinements("/assignee", policy.assignee)


def duties(path: str, rule: Rule) -> Iterator[tuple[str, Duty]]:
    """The duties that hang on a rule: those of a permission, the remedies of a prohibition, the consequences of a duty."""
    if isinstance(rule, Permission):
        member, found = "duty", rule.duties
    elif isinstance(rule, Prohibition):
        member, found = "remedy", rule.remedies
    else:
        member, found = "consequence", rule.consequences
    for index, duty in enumerate(found):
        yield f"{path}/{member}/{index}", duty


def parts(path: str, compound: Compound) -> Iterator[tuple[str, AnyConstraint]]:
    """The operands of a logical constraint in their order."""
    yield from numbered(f"{path}/{compound.logic}", compound.parts)


def atoms(path: str, constraint: AnyConstraint) -> Iterator[tuple[str, Constraint]]:
    """Every plain constraint in ``constraint``, however deep."""
    if isinstance(constraint, Constraint):
        yield path, constraint
        return
    for inner_path, inner in parts(path, constraint):
        yield from atoms(inner_path, inner)


def numbered(path: str, constraints: tuple[AnyConstraint, ...]) -> Iterator[tuple[str, AnyConstraint]]:
    """``constraints`` as the members of the list at ``path``."""
    for index, constraint in enumerate(constraints):
        yield f"{path}/{index}", constraint


def _refinements(path: str, named: Asset | Party | None) -> Iterator[tuple[str, AnyConstraint]]:
    if named is not None:
        yield from numbered(f"{path}/refinement", named.refinements)
