"""The plan of a policy says where each term is evaluated, and why it is not."""

from __future__ import annotations

from typing import Any

import pytest

from connector.management import policies, terms
from connector.management.model import PolicyDefinition
from connector.management.planning import SCOPES, ChoiceStep, ConstraintStep, EvaluationPlan, plan
from connector.management.service import Management
from connector.protocol.errors import CallerError, Invalid, NotFound
from policies.terms.catenax import CX
from policies.terms.metering import REQUESTS_PER_VEHICLE_DAY
from policies.terms.party import CONSUMER_KIND, PUBLIC_BODY
from tests.management.stand import when

Json = dict[str, Any]


def step(policy: Json, scope: str) -> ConstraintStep:
    found = plan(terms.read(policy), scope).permissions[0].constraints[0]
    assert isinstance(found, ConstraintStep)
    return found


def test_a_term_is_evaluated_where_it_is_decided() -> None:
    assert step(when(CONSUMER_KIND, "eq", PUBLIC_BODY), "catalog") == ConstraintStep(
        False, (), CONSUMER_KIND, (CONSUMER_KIND, "eq", PUBLIC_BODY)
    )
    counted = step(when(REQUESTS_PER_VEHICLE_DAY, "lteq", "3"), "catalog")
    assert counted.filtered
    assert "where data leave" in counted.reasons[0]
    later = step(when(f"{CX}DataUsageEndDurationDays", "lteq", "3"), "catalog")
    assert "not decided in this scope but in" in later.reasons[0]
    assert not step(when(f"{CX}DataUsageEndDurationDays", "lteq", "3"), "transfer.process").filtered


def test_what_is_legal_only_or_unknown_is_filtered_everywhere() -> None:
    for scope in SCOPES:
        assert "law alone" in step(when(f"{CX}Warranty", "eq", "none"), scope).reasons[0]
        unknown = step(when("https://example.com/moon", "eq", "full"), scope)
        assert "never satisfied" in unknown.reasons[0]
        assert unknown.function is None


def test_rules_duties_and_choices_stand_in_the_plan() -> None:
    both = [{"leftOperand": CONSUMER_KIND, "operator": "eq", "rightOperand": value} for value in ("a", "b")]
    found = plan(
        terms.read(
            {
                "permission": [{"action": "use", "constraint": [{"or": both}], "duty": [{"action": "delete"}]}],
                "prohibition": [{"action": "sell"}, {"action": "https://example.com/eat"}],
                "obligation": [{"action": "inform"}],
            }
        ),
        "negotiation",
    )
    assert isinstance(found, EvaluationPlan)
    choice = found.permissions[0].constraints[0]
    assert isinstance(choice, ChoiceStep)
    assert (choice.logic, len(choice.parts)) == ("or", 2)
    assert len(found.permissions[0].duties) == 1
    assert found.prohibitions[1].filtered
    assert len(found.obligations) == 1


async def test_policies_are_validated_and_planned_by_id(m: Management) -> None:
    assert await policies.validate(m, "open") == ()
    assert (await policies.evaluation_plan(m, "open", "catalog")).permissions[0].constraints == ()
    await policies.create(m, PolicyDefinition("moon", when("https://example.com/moon", "eq", "full")))
    found = await policies.validate(m, "moon")
    assert [(each.code, each.path) for each in found] == [("operand-unknown", "/permission/0/constraint/0/leftOperand")]
    with pytest.raises(Invalid):
        await policies.evaluation_plan(m, "open", "moon")
    with pytest.raises(NotFound):
        await policies.validate(m, "nothing")


@pytest.mark.parametrize("document", [{"@type": "Ticket", "permission": []}, {"permission": "use"}, {"frobnicate": 1}])
async def test_what_is_no_policy_is_refused_at_once(m: Management, document: Json) -> None:
    with pytest.raises(CallerError):
        await policies.create(m, PolicyDefinition("p", document))
