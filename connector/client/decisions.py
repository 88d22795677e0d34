"""What people decide about, as types: what waits, for whom, and what they see of it. Pure, as the other results."""

from __future__ import annotations

from connector.client.processes import Given, Rule
from connector.client.refusals import Document
from connector.client.results import Change, Explanation, Finding, Part, Release, Told


class May(Part, frozen=True):
    """Whether whoever asks may approve, and why not."""

    approve: bool
    code: str | None = None
    reason: str | None = None


class Waiting(Told, frozen=True):
    """A negotiation or transfer (``id``) that waits for people: ``step`` is what is to be decided, until ``decide_by``.

    ``changes``: how many terms the offer on the table changes; ``proposed_by``: who of us made our last proposal.
    """

    id: str
    kind: str
    role: str
    state: str
    counterparty: str
    subject: str
    version: int
    step: str | None = None
    since: int | None = None
    decide_by: int | None = None
    rule: Rule = Rule()
    approvals: tuple[Given, ...] = ()
    proposed_by: str | None = None
    changes: int = 0
    may: May = May(approve=True)


class Risk(Part, frozen=True):
    """What terms come to: what the linter finds in them, and what each permission would let out, where that is known."""

    problems: tuple[Finding, ...] = ()
    releases: tuple[Release, ...] | None = None
    unmeasured: str | None = None


class Said(Part, frozen=True):
    """What somebody of us has said about a step: approved, rejected or countered."""

    step: str
    caller: str
    role: str
    verdict: str
    comment: str
    at: int
    version: int = 0


class Review(Told, frozen=True):
    """What somebody sees who decides: what would bind (``terms``), what it says otherwise, ``against`` what, what comes of it."""

    waiting: Waiting
    terms: Document
    published: Document | None = None
    redline: tuple[Change, ...] = ()
    against: str = ""
    risk: Risk = Risk()
    explanation: Explanation | None = None
    said: tuple[Said, ...] = ()
