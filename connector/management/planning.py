"""The evaluation plan of a policy: which of its terms is evaluated where, and which is not and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
