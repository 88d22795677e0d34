"""Policies as the protocol has them are read and judged; what is no policy permits nothing."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import dsp, odrl
from policies.decision import Decision
from policies.document import evaluate_document
from policies.model import CARNET
from policies.terms.actions import READ
from policies.terms.consent import LEGAL_BASIS
from policies.terms.duties import OBTAIN_CONSENT
from policies.terms.metering import COUNT, REQUESTS_PER_VEHICLE_DAY
from policies.terms.privacy import DETAIL
from policies.terms.term import Request, Scope, World
from policies.terms.time import AGREED_AT, TIME_INTERVAL
from policies.terms.values import at
from tests.policies import drawn

NOW_MS: Final = 1_767_225_600_000
REQUEST: Final = Request(Scope.TRANSFER, READ, "urn:dataset", "did:web:buyer.example")
KEPT: Final = frozenset({LEGAL_BASIS, REQUESTS_PER_VEHICLE_DAY, DETAIL, TIME_INTERVAL, OBTAIN_CONSENT})
WITHIN: Final = {"leftOperand": "elapsedTime", "operator": "lteq", "rightOperand": "P90D"}
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def judged(facts: dict[str, Any] | None = None, **members: Any) -> Decision:
    document = {"@id": "urn:agreement", "@type": "Agreement", "target": "urn:dataset", **members}
    return evaluate_document(document, REQUEST, World(NOW_MS, facts or {}))


def test_a_plain_permission_to_use_permits_to_read() -> None:
    assert judged(permission=[{"action": "use"}]).permitted


def test_what_cannot_be_read_permits_nothing_and_says_where() -> None:
    decision = judged(permission=[{"action": "use", "surprise": 1}])
    assert not decision.permitted
    assert [reason.path for reason in decision.reasons] == ["/permission/0/surprise"]


def test_when_an_agreement_was_made_is_read_from_it() -> None:
    rules: Any = [{"action": "use", "constraint": [WITHIN]}]
    day_ms = 86_400_000
    assert [reason.code for reason in judged(permission=rules).reasons] == ["not-known"]
    assert judged(permission=rules, timestamp=at(NOW_MS - 89 * day_ms).text).permitted
    assert not judged(permission=rules, timestamp=at(NOW_MS - 91 * day_ms).text).permitted
    recorded = {AGREED_AT: NOW_MS - 91 * day_ms}
    assert not judged(recorded, permission=rules, timestamp=at(NOW_MS).text).permitted


@pytest.mark.parametrize(("name", "purpose"), [("1", None), ("2", None), ("5", f"{CARNET}UsageBasedInsurance")])
def test_the_purpose_to_which_an_offer_is_narrowed_is_read_from_it(name: str, purpose: str | None) -> None:
    policy = odrl.read(drawn.offer_document(name))
    target = policy.permissions[0].target
    assert target is not None
    request = Request(Scope.TRANSFER, READ, target.iri, "did:web:buyer.example", {}, purpose)
    world = World(NOW_MS, {COUNT: 1}, KEPT)
    decision = evaluate_document(dsp.write(policy), request, world)
    assert decision.permitted, decision.reasons


@given(st.dictionaries(st.sampled_from(["@id", "@type", "permission", "prohibition", "obligation", "timestamp"]), JSON))
def test_no_document_makes_it_fail_and_every_decision_has_a_reason(document: dict[str, Any]) -> None:
    assert evaluate_document(document, REQUEST, World(NOW_MS)).reasons
