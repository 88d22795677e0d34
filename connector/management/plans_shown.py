"""How the management interface shows what policies come to: findings of a validation, and evaluation plans. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from connector.flow.offers import Finding
from connector.management.planning import AnyStep, ChoiceStep, EvaluationPlan, RuleStep
from connector.protocol.messages import Document

_CHOICES: Final = {
    "and": "AndConstraintStep",
    "andSequence": "AndConstraintStep",
    "or": "OrConstraintStep",
    "xone": "XoneConstraintStep",
}


def validation_shown(findings: Sequence[Finding]) -> Document:
    """Whether a policy can be offered, and each reason why not."""
    return {"@type": "PolicyValidationResult", "isValid": not findings, "errors": [str(each) for each in findings]}


def plan_shown(plan: EvaluationPlan) -> Document:
    """A plan, rule by rule."""
    return {
        "@type": "PolicyEvaluationPlan",
        "preValidators": list(plan.before),
        "permissionSteps": [_rule("PermissionStep", each) for each in plan.permissions],
        "prohibitionSteps": [_rule("ProhibitionStep", each) for each in plan.prohibitions],
        "obligationSteps": [_rule("DutyStep", each) for each in plan.obligations],
        "postValidators": list(plan.after),
    }


def _rule(kind: str, step: RuleStep) -> Document:
    duties = {"dutySteps": [_rule("DutyStep", each) for each in step.duties]} if kind == "PermissionStep" else {}
    return {
        "@type": kind,
        "isFiltered": step.filtered,
        "filteringReasons": list(step.reasons),
        "ruleFunctions": list(step.functions),
        "constraintSteps": [_constraint(each) for each in step.constraints],
        **duties,
    }


def _constraint(step: AnyStep) -> Document:
    if isinstance(step, ChoiceStep):
        return {"@type": _CHOICES[step.logic], "constraintSteps": [_constraint(each) for each in step.parts]}
    return {
        "@type": "AtomicConstraintStep",
        "isFiltered": step.filtered,
        "filteringReasons": list(step.reasons),
        **({} if step.function is None else {"functionName": step.function}),
        "functionParams": list(step.params),
    }
