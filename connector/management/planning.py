"""The evaluation plan of a policy: which of its terms is evaluated where, and which is not and why.

Filtered is what nobody evaluates in a scope: a term that is legal only, one that is decided in another scope, and one that nobody
here knows, which is never satisfied. Pure. May import the policies and the errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from connector.protocol.errors import Invalid, Violation
from policies.model import AnyConstraint, Compound, Constraint, Duty, Lit, Permission, Policy, Prohibition, Value
from policies.terms.examine import Fault, understand
from policies.terms.registry import kept, profile_known, term
from policies.terms.term import Bucket, Scope, Term

SCOPES: Final[Mapping[str, Scope]] = MappingProxyType(
    {
        "catalog": Scope.CATALOGUE,
        "contract.negotiation": Scope.NEGOTIATION,
        "request.catalog": Scope.CATALOGUE,
        "request.contract.negotiation": Scope.NEGOTIATION,
        "transfer.process": Scope.TRANSFER,
        "request.transfer.process": Scope.TRANSFER,
        "policy.monitor": Scope.ONGOING,
    }
)
"""The scopes of clients, and what they are here."""
_ALIASES: Final[Mapping[str, str]] = MappingProxyType({"catalogue": "catalog", "negotiation": "contract.negotiation"})


@dataclass(frozen=True, slots=True)
class ConstraintStep:
    """A plain constraint: ``filtered`` is not evaluated in this scope, and ``reasons`` say why. ``function`` is the term that
    evaluates it, ``params`` are left operand, operator and right operand as text."""

    filtered: bool
    reasons: tuple[str, ...]
    function: str | None
    params: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChoiceStep:
    """A logical constraint with its parts."""

    logic: Literal["and", "andSequence", "or", "xone"]
    parts: tuple[AnyStep, ...]


AnyStep = ConstraintStep | ChoiceStep


@dataclass(frozen=True, slots=True)
class RuleStep:
    """A permission, prohibition or duty. ``functions``: the terms that evaluate the rule as a whole, such as its action."""

    filtered: bool
    reasons: tuple[str, ...]
    functions: tuple[str, ...]
    constraints: tuple[AnyStep, ...]
    duties: tuple[RuleStep, ...] = ()


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """The plan of a policy in one scope. ``before`` and ``after`` name what is checked before and after the rules."""

    before: tuple[str, ...]
    permissions: tuple[RuleStep, ...]
    prohibitions: tuple[RuleStep, ...]
    obligations: tuple[RuleStep, ...]
    after: tuple[str, ...]


def plan(policy: Policy, policy_scope: str) -> EvaluationPlan:
    """The plan of a policy in a scope of ``SCOPES``. Raises Invalid for another."""
    scope = SCOPES.get(_ALIASES.get(policy_scope, policy_scope))
    if scope is None:
        said = f"policyScope is one of {', '.join(SCOPES)}"
        raise Invalid("scope-unknown", [Violation(said, "policyScope", policy_scope[:200])])
    return EvaluationPlan(
        before=tuple(f"profile {iri}" for iri in policy.profiles if profile_known(iri)),
        permissions=tuple(_rule(each, scope) for each in policy.permissions),
        prohibitions=tuple(_rule(each, scope) for each in policy.prohibitions),
        obligations=tuple(_rule(each, scope) for each in policy.obligations),
        after=(),
    )


def _rule(rule: Permission | Prohibition | Duty, scope: Scope) -> RuleStep:
    known = term(rule.action.iri)
    reasons = _reasons_of_rule(rule, known)
    conditions = (*rule.constraints, *rule.action.refinements)
    return RuleStep(
        filtered=bool(reasons),
        reasons=reasons,
        functions=() if known is None or known.legal_only else (known.iri,),
        constraints=tuple(_step(each, scope) for each in conditions),
        duties=tuple(_rule(each, scope) for each in rule.duties) if isinstance(rule, Permission) else (),
    )


def _reasons_of_rule(rule: Permission | Prohibition | Duty, known: Term | None) -> tuple[str, ...]:
    if known is None or known.kind == "operand":
        return (f"the action {rule.action.iri:.120} is not known here: it is never permitted",)
    if known.legal_only:
        return (f"{known.iri} binds in law alone: nobody here evaluates it",)
    if isinstance(rule, Duty) and not known.points:
        return (f"{known.iri} is owed, {kept(known)}",)
    return ()


def _step(constraint: AnyConstraint, scope: Scope) -> AnyStep:
    if isinstance(constraint, Compound):
        return ChoiceStep(constraint.logic.value, tuple(_step(each, scope) for each in constraint.parts))
    reasons = tuple(_reasons(constraint, scope))
    params = (constraint.left, constraint.operator.rpartition("/")[2], ", ".join(map(_text, constraint.right)))
    return ConstraintStep(bool(reasons), reasons, None if reasons else constraint.left, params)


def _reasons(constraint: Constraint, scope: Scope) -> Iterator[str]:
    found = understand(constraint)
    if isinstance(found, Fault):
        yield f"{found.sentence}: it is never satisfied"
        return
    known = found.term
    if known.legal_only:
        yield f"{known.iri} binds in law alone: nobody here evaluates it"
    elif known.bucket in (Bucket.SHAPE, Bucket.METER):
        yield f"{known.iri} is {kept(known)}, where data leave"
    elif scope not in known.scopes:
        where = ", ".join(sorted(known.scopes))
        yield f"{known.iri} is not decided in this scope" + (f" but in {where}" if where else f"; it is {kept(known)}")


def _text(value: Value) -> str:
    return value.text if isinstance(value, Lit) else value.iri
