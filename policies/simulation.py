"""What would come of a policy if somebody asked: the decisions along the life of a contract, and the terms of delivery.

Nothing is asked and nothing is kept: ``simulate`` is the decision point and the compiler put to a supposed case. Imports
``policies`` siblings only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from policies.compile import compile_agreement
from policies.decision import Activation, Decision
from policies.delivery import Capabilities, Delivery
from policies.evaluate import evaluate
from policies.model import CARNET, DPV, Policy
from policies.purposes import PURPOSES
from policies.terms.actions import READ
from policies.terms.term import Request, Scope, World
from policies.terms.time import AGREED_AT

STEPS: Final = (Scope.CATALOGUE, Scope.NEGOTIATION, Scope.TRANSFER)
"""When a buyer meets a policy, in order: it sees the offer, gets the contract, gets the data."""

_GOOD: Final = frozenset({Activation.ACTIVE, Activation.WAITS})


@dataclass(frozen=True, slots=True)
class Case:
    """A supposed buyer and world. ``claims`` are supposed to be verified, ``purpose`` is an IRI, ``now_ms`` since the epoch.

    ``facts`` are as in ``World``; the contract is supposed to be made now unless they say when. Without a ``target``, what the
    policy itself is about is asked for.
    """

    participant: str
    now_ms: int
    claims: Mapping[str, Any] = field(default_factory=dict)
    purpose: str | None = None
    target: str = ""
    recipients: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    action: str = READ


@dataclass(frozen=True, slots=True)
class Simulation:
    """A decision for each of ``STEPS``, and the terms of delivery of the permissions that would apply; None where none would."""

    decisions: Mapping[Scope, Decision]
    delivery: Delivery | None

    @property
    def permitted(self) -> bool:
        """Whether the buyer would see the offer, get a contract and get the data, now and on these terms."""
        return all(decision.permitted for decision in self.decisions.values()) and self.keepable

    @property
    def keepable(self) -> bool:
        """Whether every term of what the buyer would get can be kept here."""
        return self.delivery is None or self.delivery.deliverable


def simulate(policy: Policy, case: Case, capabilities: Capabilities) -> Simulation:
    """What would come of ``policy`` for ``case`` where ``capabilities`` are what the deployment can do. Never raises."""
    target = case.target or _about(policy)
    world = World(case.now_ms, {AGREED_AT: case.now_ms, **case.facts}, capabilities.terms)
    decisions: dict[Scope, Decision] = {}
    for scope in STEPS:
        asked = Request(scope, case.action, target, case.participant, case.claims, case.purpose, case.recipients)
        decisions[scope] = evaluate(policy, asked, world)
    agreed = decisions[Scope.NEGOTIATION]
    applying = {index for index, rule in enumerate(agreed.report.permissions) if rule.activation in _GOOD}
    delivery = compile_agreement(policy, capabilities).under(applying) if agreed.permitted else None
    return Simulation(decisions, delivery)


def _about(policy: Policy) -> str:
    """What a policy is about: its target, else that of the first permission that has one."""
    named = (policy.target, *(rule.target for rule in policy.permissions))
    return next((target.iri for target in named if target is not None), "")


def purpose_called(name: str) -> str | None:
    """The purpose of this IRI, prefixed name (``vdx:Insurance``) or last part (``Insurance``); None for one that is not known."""
    prefix, _, rest = name.partition(":")
    spelled = {name, {"vdx": CARNET, "dpv": DPV}.get(prefix, name) + rest, CARNET + name, DPV + name}
    return next((iri for iri in sorted(spelled) if iri in PURPOSES), None)
