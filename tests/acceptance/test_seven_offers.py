"""The seven offers: read, written and read again, permitted and refused, compiled, and said in three languages."""

from __future__ import annotations

from typing import get_args

import pytest

from policies import dsp, odrl
from policies.compile import compile_agreement
from policies.delivery import Capabilities
from policies.evaluate import evaluate
from policies.explain import Reader, explain_decision, explain_delivery, explain_policy
from policies.model import Constraint
from policies.simulation import STEPS, Simulation, simulate
from policies.terms.registry import REGISTRY
from policies.terms.term import Bucket, Language, Request, Scope, World
from policies.walk import conditions, duties, rules
from tests.acceptance import sheet
from tests.acceptance.seven import BUYER, NOW_MS, OFFERS, Buyer, Offered

each_offer = pytest.mark.parametrize("offered", OFFERS, ids=lambda offered: offered.number)
each_language = pytest.mark.parametrize("language", get_args(Language))


def tried(offered: Offered, buyer: Buyer) -> Simulation:
    return simulate(offered.policy, buyer.case(), Capabilities(offered.enforced))


def test_all_seven_are_there() -> None:
    assert [offered.number for offered in OFFERS] == list("1234567")


@each_offer
def test_an_offer_is_the_same_after_a_journey_in_either_form(offered: Offered) -> None:
    policy = offered.policy
    assert odrl.read(odrl.write(policy)) == policy
    assert dsp.without_form(policy) == ()
    assert dsp.read(dsp.write(policy)) == dsp.normal(policy)
    assert dsp.normal(policy).target == offered.asset


@each_offer
def test_every_term_of_an_offer_is_registered(offered: Offered) -> None:
    said = {rule.rule.action.iri for rule in rules(offered.policy)}
    for placed in rules(offered.policy):
        of_duties = [(path, duty.action.iri) for path, duty in duties(placed.path, placed.rule)]
        said |= {iri for _, iri in of_duties}
        said |= {one.left for _, one in conditions(placed.path, placed.rule) if isinstance(one, Constraint)}
    assert said <= set(REGISTRY)


@each_offer
def test_the_buyer_who_is_meant_gets_it_at_every_step(offered: Offered) -> None:
    found = tried(offered, offered.permitted)
    assert {scope: decision.reasons for scope, decision in found.decisions.items() if not decision.permitted} == {}
    assert found.permitted
    assert found.delivery is not None
    assert found.delivery.deliverable
    case = offered.permitted.case()
    going_on = Request(Scope.ONGOING, case.action, offered.target, BUYER, case.claims, case.purpose)
    assert evaluate(offered.policy, going_on, World(NOW_MS, case.facts, offered.enforced)).permitted


@each_offer
def test_the_buyer_who_is_not_meant_is_refused_with_reason_and_remedy(offered: Offered) -> None:
    found = tried(offered, offered.refused)
    at = STEPS.index(offered.refused_at)
    assert [found.decisions[scope].permitted for scope in STEPS[: at + 1]] == [True] * at + [False]
    decision = found.decisions[offered.refused_at]
    assert {reason.path: reason.code for reason in decision.reasons} == offered.because
    assert all(reason.sentence and reason.remedy for reason in decision.reasons)


@each_offer
def test_every_term_is_kept_in_one_way(offered: Offered) -> None:
    delivery = compile_agreement(offered.policy, Capabilities(offered.enforced))
    assert delivery.problems == ()
    assert {bucket: [item.term for item in delivery.items() if item.bucket is bucket] for bucket in Bucket} == offered.buckets()
    assert delivery.unkept == ()


@each_offer
def test_what_no_data_plane_declares_cannot_be_kept_and_the_finding_says_where(offered: Offered) -> None:
    delivery = compile_agreement(offered.policy, Capabilities())
    assert {problem.code for problem in delivery.problems} <= {"not-enforceable"}
    assert {iri for problem in delivery.problems for iri in offered.enforced if iri in problem.sentence} == offered.enforced
    assert all(iri in "".join(problem.remedy for problem in delivery.problems) for iri in offered.enforced)
    assert all(problem.path.startswith(("/permission/", "/obligation/")) for problem in delivery.problems)
    for missing in offered.enforced:
        less = compile_agreement(offered.policy, Capabilities(offered.enforced - {missing}))
        assert less.problems
        assert all(missing in problem.sentence for problem in less.problems)


@each_offer
@each_language
def test_an_offer_can_be_read_by_people(offered: Offered, language: Language) -> None:
    reader = Reader(language)
    found = tried(offered, offered.permitted)
    assert found.delivery is not None
    texts = [
        *explain_policy(offered.policy, reader),
        *explain_delivery(found.delivery, reader),
        *explain_decision(found.decisions[Scope.NEGOTIATION], reader),
        *explain_decision(tried(offered, offered.refused).decisions[offered.refused_at], reader),
    ]
    assert not [text for text in texts if "{" in text.sentence or "None" in text.sentence or not text.sentence.strip()]
    english = explain_policy(offered.policy)
    ours = explain_policy(offered.policy, reader)
    assert [(text.path, text.depth) for text in ours] == [(text.path, text.depth) for text in english]
    if language != "en":
        rest = [text for text in ours if text in english]
        assert all(text.path.endswith(("/profile", "/target", "/assigner")) for text in rest), rest


def test_the_sheet_shows_what_each_term_does_today() -> None:
    assert sheet.FILE.read_text(encoding="utf-8") == sheet.text(), "look at the changes: python -m tests.acceptance.sheet"
