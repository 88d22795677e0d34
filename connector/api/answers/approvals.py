"""Answers about what waits for people: who is asked, who has said what, and what they decide about."""

from __future__ import annotations

import msgspec

from connector.access.caller import Caller
from connector.api.answers.terms import ExplanationAnswer, ProblemAnswer
from connector.flow.approvals import asked, step_of, why_not
from connector.flow.context import Context
from connector.flow.reviewing import Against, Review
from connector.protocol.messages import Document
from connector.protocol.record import Given, Process, Rule
from connector.store.approvals import Said


class MayAnswer(msgspec.Struct, frozen=True):
    """Whether whoever asks may approve, and why not."""

    approve: bool
    code: str | None = None
    reason: str | None = None


class WaitingAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A negotiation or transfer that waits for people. ``id`` is that of the process, ``step`` what is to be decided, ``since``
    when and ``decideBy`` until when (ms since the epoch; null: without limit).

    ``rule``: who is asked; ``approvals``: who of them has approved it; ``proposedBy``: the caller of ours who made our last
    proposal; ``changes``: how many terms the offer on the table changes.
    """

    id: str
    kind: str
    role: str
    state: str
    counterparty: str
    subject: str
    step: str | None
    since: int | None
    decide_by: int | None
    rule: Rule
    approvals: list[Given]
    proposed_by: str | None
    changes: int
    version: int
    may: MayAnswer


class ChangeAnswer(msgspec.Struct, frozen=True):
    """One change of terms: added, removed, narrowed, widened or changed; by which term, where, in a sentence."""

    kind: str
    term: str
    path: str
    sentence: str


class SaidAnswer(msgspec.Struct, frozen=True):
    """What somebody of ours has said about a step: approved, rejected or countered; ``version`` of the process when he did."""

    step: str
    version: int
    caller: str
    role: str
    verdict: str
    comment: str
    at: int


class RiskAnswer(msgspec.Struct, frozen=True):
    """What the terms come to. ``problems``: what the linter finds in them, and what could not be kept. ``releases``: what each
    permission would let out, as the data plane has measured it; null where that is not known, and ``unmeasured`` says why."""

    problems: list[ProblemAnswer]
    releases: list[Document] | None
    unmeasured: str | None


class ReviewAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody sees who decides. ``terms`` is what would bind, ``published`` the offer of that id in our catalogue;
    ``redline`` is what the terms say otherwise ``against`` it, or against the offer before."""

    waiting: WaitingAnswer
    terms: Document
    published: Document | None
    redline: list[ChangeAnswer]
    against: Against
    risk: RiskAnswer
    explanation: ExplanationAnswer | None
    said: list[SaidAnswer]


def waiting_answer(context: Context, process: Process, by: Caller) -> WaitingAnswer:
    """What waits, as a caller sees it."""
    rule, detail, step = asked(context, process), process.detail, step_of(process)
    refused = None if step is None else why_not(rule, process, by)
    may = MayAnswer(step is not None) if refused is None else MayAnswer(False, refused.code, refused.reason)
    return WaitingAnswer(
        id=process.id,
        kind=process.kind.value,
        role=process.role.value,
        state=process.state.on_wire,
        counterparty=process.counterparty,
        subject=process.subject,
        step=step,
        since=process.waits_since,
        decide_by=detail.decide_by,
        rule=rule,
        approvals=detail.approvals,
        proposed_by=detail.proposed_by or None,
        changes=len(detail.redline),
        version=process.version,
        may=may,
    )


def review_answer(context: Context, found: Review, by: Caller) -> ReviewAnswer:
    """A review, as a caller sees it."""
    risk = {"problems": found.problems, "releases": found.releases, "unmeasured": found.unmeasured}
    told = found.explanation
    return ReviewAnswer(
        waiting=waiting_answer(context, found.process, by),
        terms=found.terms,
        published=found.published,
        redline=msgspec.convert(found.redline, list[ChangeAnswer]),
        against=found.against,
        risk=msgspec.convert(risk, RiskAnswer),
        explanation=None if told is None else msgspec.convert(told, ExplanationAnswer),
        said=[_said(each) for each in found.said],
    )


def _said(each: Said) -> SaidAnswer:
    return SaidAnswer(
        step=each.step,
        version=each.version,
        caller=each.caller,
        role=each.role,
        verdict=each.verdict,
        comment=each.comment,
        at=each.at,
    )
