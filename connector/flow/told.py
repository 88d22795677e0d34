"""Policies, decisions and terms of delivery as JSON with their sentences: what the owner's channel and the command line show.

A sentence has the path of what it is about and how deeply it is nested. Pure; imports `policies` only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

from policies.compile import compile_agreement
from policies.delivery import Capabilities, Delivery, Item
from policies.explain import OWNER, Reader, Statement, explain_decision, explain_delivery, explain_policy
from policies.model import Policy
from policies.simulation import Case, Simulation

Document = dict[str, Any]


def policy_told(policy: Policy, capabilities: Capabilities, reader: Reader = OWNER) -> Document:
    """What a policy says; and for its owner how each term is kept where ``capabilities`` hold, and what cannot be."""
    told: Document = {
        "id": policy.uid,
        "kind": policy.kind,
        "language": reader.language,
        "sentences": sentences(explain_policy(policy, reader)),
    }
    delivery = compile_agreement(policy, capabilities)
    return told | (delivery_told(delivery, capabilities, reader) if reader.view == "full" else {})


def delivery_told(delivery: Delivery, capabilities: Capabilities, reader: Reader = OWNER) -> Document:
    """Each term and how it is kept here, and each problem with its remedy (code, path, sentence, remedy: in English)."""
    kept = explain_delivery(replace(_here(delivery, capabilities), problems=()), reader)
    return {"delivery": sentences(kept), "problems": [asdict(problem) for problem in delivery.problems]}


def _here(delivery: Delivery, capabilities: Capabilities) -> Delivery:
    """The delivery without the points where a term could be enforced by a data plane that declares it, but is not."""

    def here(items: tuple[Item, ...]) -> tuple[Item, ...]:
        return tuple(_item(each, capabilities) for each in items)

    return replace(
        delivery,
        gates=here(delivery.gates),
        shape=here(delivery.shape),
        meters=here(delivery.meters),
        clocks=here(delivery.clocks),
        duties=here(delivery.duties),
        legal=here(delivery.legal),
        unkept=here(delivery.unkept),
    )


def _item(item: Item, capabilities: Capabilities) -> Item:
    points = item.points
    if item.term not in capabilities.terms:
        points = tuple(point for point in points if not point.of_data_plane) or points
    return replace(item, points=points, parts=tuple(_item(part, capabilities) for part in item.parts))


def simulation_told(
    policy: Policy, case: Case, found: Simulation, capabilities: Capabilities, reader: Reader = OWNER
) -> Document:
    """What would come of a policy for a supposed buyer: each decision with its reasons, and the terms of delivery."""
    told: Document = {
        "id": policy.uid,
        "participant": case.participant,
        "claims": dict(case.claims),
        "purpose": case.purpose,
        "at": case.now_ms,
        "language": reader.language,
        "permitted": found.permitted,
        "decisions": [
            {
                "scope": scope.value,
                "outcome": decision.outcome,
                "reasons": [reason._asdict() for reason in decision.reasons],
                "sentences": sentences(explain_decision(decision, reader)),
            }
            for scope, decision in found.decisions.items()
        ],
    }
    return told | ({} if found.delivery is None else delivery_told(found.delivery, capabilities, reader))


def sentences(statements: Iterable[Statement]) -> list[Document]:
    """Statements as JSON."""
    return [asdict(statement) for statement in statements]
