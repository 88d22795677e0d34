"""Whether the offer on the table may become an agreement, and with which words it may not: the provider's decision point.

What is judged is the agreement itself, as it would bind: its policy is compiled to terms of delivery, held against the ground
that other agreements cover, and evaluated for the counterparty with what is verified about it. Called before every agreement of
ours, of our own accord or by a person, who decides what is in the provider's interest and not what the terms mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import orjson

from connector.flow.context import Context
from connector.flow.halted import CODE, halted
from connector.flow.shelf import keeps_from
from connector.flow.user_requests import on_record
from connector.identity.interface import Principal
from connector.identity.participants import Admission
from connector.protocol.messages import Document
from connector.protocol.record import Effect, KeepGround, Process, Remark
from connector.protocol.redline import changes, comparable
from connector.store.grounds import read_grounds
from connector.store.rows import Grounds
from policies import dsp
from policies.compare import contains
from policies.compile import compile_agreement
from policies.decision import Decision
from policies.errors import PolicyInvalid
from policies.evaluate import evaluate
from policies.exclusivity import claims_exclusivity, overlap
from policies.explain import Reader, explain_decision
from policies.lint import claims_request
from policies.model import Policy
from policies.purposes import narrowed
from policies.terms.actions import READ
from policies.terms.consent import USER_REQUEST
from policies.terms.exclusivity import EXCLUSIVE
from policies.terms.term import Request, Scope, World
from policies.terms.time import AGREED_AT
from policies.walk import atoms, conditions

TERMS: Final = ("profile", "permission", "prohibition", "obligation")
REASONS_MOST: Final = 20
"""Reasons that a refusal names."""
_PERMITTED: Final = Remark("decided", "permitted", "permitted")
_TAKEN: Final = "another contract overlaps in territory, use, period and data, and one of the two is exclusive"
_ELSEWHERE: Final = "ask for another territory, use or period"
_NOT_MADE: Final = "this offer is not made to you; read the catalogue again"
_LOST: Final = "an agreement has no place for what the offer says here"
_WITHIN: Final = "say it within the permissions, prohibitions and obligations"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``code`` is None if the agreement may be made, with ``effects`` that go into its transaction; else ``reasons`` say why not
    and what would help, fit for the counterparty."""

    agreement: Document
    code: str | None = None
    reasons: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()


def agreement_for(context: Context, process: Process) -> Document:
    """The agreement on the last offer, with an id and time of now. It is stored before it is sent."""
    offer = process.detail.offer or {}
    moment = datetime.fromtimestamp(process.updated_at / 1000, UTC)
    return {
        "@id": context.new_id(),
        "@type": "Agreement",
        "target": process.subject,
        "assigner": context.participant_id,
        "assignee": process.counterparty,
        "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        **{term: offer[term] for term in TERMS if offer.get(term)},
    }


async def judge_agreement(context: Context, process: Process, claims: Mapping[str, Any]) -> Verdict:
    """Judge what would be agreed to on the offer on the table, with its last change (``process.updated_at``) as now."""
    agreement = agreement_for(context, process)
    why = await halted(context, process.counterparty)
    if why is not None:
        return Verdict(agreement, CODE, (why,))
    if await _kept_from(context, process, claims):
        return Verdict(agreement, "policy-denied", (_NOT_MADE,))
    try:
        offered, policy = dsp.read(process.detail.offer or {}), dsp.read(agreement)
    except PolicyInvalid as invalid:
        return Verdict(agreement, "policy-unreadable", (f"{invalid.path or '/'}: {invalid.reason}",))
    lost = _lost(process, agreement)
    if lost:
        said = tuple(f"{change['path'] or '/'}: {_LOST} ({_WITHIN})" for change in lost[:REASONS_MOST])
        return Verdict(agreement, "policy-unreadable", said)
    able = await context.able(process.subject)
    problems = (*dsp.without_form(offered), *compile_agreement(policy, able).problems)
    if problems:
        said = tuple(f"{found.path or '/'}: {found.sentence} ({found.remedy})" for found in problems[:REASONS_MOST])
        return Verdict(agreement, "policy-unenforceable", said)
    exclusive = claims_exclusivity(policy)
    grounds = await read_grounds(context.store.engine, process.subject, exclusive=exclusive)
    free = not await _met(policy, grounds)
    request = Request(Scope.NEGOTIATION, READ, process.subject, process.counterparty, claims, narrowed(policy))
    requests = await on_record(context, policy, process.counterparty)
    facts = {EXCLUSIVE: free, AGREED_AT: process.updated_at, **requests}
    decision = evaluate(policy, request, World(process.updated_at, facts, able.terms))
    if not free:
        return Verdict(agreement, "exclusivity-conflict", (f"{_TAKEN} ({_ELSEWHERE})",))
    if not decision.permitted:
        return Verdict(agreement, "policy-denied", reasons_of(decision, process.counterparty, claims))
    return Verdict(agreement, effects=(_entered(grounds, exclusive=exclusive), _PERMITTED))


async def _kept_from(context: Context, process: Process, claims: Mapping[str, Any]) -> bool:
    """Whether the contract definition of the offer on the table keeps it from the counterparty."""
    offer_id = str((process.detail.offer or {}).get("@id", ""))
    decides = await context.store.shelf.access(offer_id, process.subject)
    if decides is None:
        return False
    entry = await context.registry.find(process.counterparty)
    admitted = entry is not None and entry.state is Admission.ADMITTED
    return keeps_from(context, Principal(process.counterparty, claims, admitted=admitted), decides, process.subject)


def _lost(process: Process, agreement: Document) -> list[Document]:
    """What the offer says beside what an agreement takes over from it, where that makes a difference."""
    offer = {**(process.detail.offer or {}), "target": process.subject}
    return changes(offer, agreement) if offer.keys() - agreement.keys() - {*TERMS, "@context"} else []


async def _met(policy: Policy, grounds: Grounds) -> bool:
    """Whether exclusivity forbids an agreement beside one of those that there are; others have their turn while it looks."""
    for text in grounds.agreements:
        await asyncio.sleep(0)
        if _meets(policy, text):
            return True
    return False


def _entered(grounds: Grounds, *, exclusive: bool) -> KeepGround:
    return KeepGround(exclusive, grounds.version, grounds.held)


def _meets(policy: Policy, text: str) -> bool:
    """Whether exclusivity forbids an agreement beside one that there is; what cannot be read might be anything."""
    try:
        return overlap(policy, dsp.read(orjson.loads(text))) is not None
    except PolicyInvalid:
        return True


def reasons_of(decision: Decision, counterparty: str, claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Why not, and what would help, as the counterparty may read it: no list of who has access, nobody else's name."""
    found: list[str] = []
    for said in explain_decision(decision, Reader(view="redacted", holds=_held(counterparty, claims))):
        if said.depth == 1:
            found.append(said.sentence)
        elif said.depth == 2 and found:
            found[-1] = f"{found[-1]} ({said.sentence})"
    return tuple(found[:REASONS_MOST])


def _held(counterparty: str, claims: Mapping[str, Any]) -> frozenset[str]:
    values = [item for value in claims.values() for item in (value if isinstance(value, list | tuple) else [value])]
    return frozenset({counterparty, *(value for value in values if isinstance(value, str))})


async def claims_of(context: Context, participant_id: str) -> Mapping[str, Any]:
    """What is verified about a participant, where no request of it is at hand."""
    entry = await context.registry.find(participant_id)
    if entry is None or entry.state is not Admission.ADMITTED:
        return {}
    found: dict[str, Any] = msgspec.to_builtins(entry.claims)
    return found


def unlawful(asked: Document) -> bool:
    """Whether an offer claims what no person may agree to: to have alone what a user asks to be shared."""
    try:
        return claims_request(dsp.read(asked))
    except PolicyInvalid:
        return False


def narrows(published: Document, asked: Document) -> bool:
    """Whether an offer asks for no more than the published one.

    To claim exclusivity is to ask for more. So is to name a request of a user where the published offer names none: rows would
    leave on another ground, and of other vehicles.
    """
    try:
        container, contained = dsp.read(published), dsp.read(asked)
    except PolicyInvalid:
        return False
    if not (comparable(container) and comparable(contained)):
        return False
    if claims_exclusivity(contained) and not claims_exclusivity(container):
        return False
    at_request = _at_request(contained)
    return contains(container, contained) and (not at_request.permissions or contains(_at_request(container), at_request))


def _at_request(policy: Policy) -> Policy:
    """A policy with those of its permissions alone that name a request of a user."""
    named = [
        each
        for index, each in enumerate(policy.permissions)
        if any(
            atom.left == USER_REQUEST
            for path, stated in conditions(f"/permission/{index}", each)
            for _, atom in atoms(path, stated)
        )
    ]
    return replace(policy, permissions=tuple(named))
