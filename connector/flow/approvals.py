"""Who may decide what waits for people: the rule that holds, and whether somebody's word is enough by it.

A rule comes with the offer, with the settings, or is the plain one. It says which roles decide, and how many people (`eyes`).
People are counted, and not their keys: whoever makes himself another one is the same as before (`Caller.behind`).
Nobody approves what he has proposed himself, with one exception: where nobody has asked for a rule, the owner of the connector
may do alone what he would be free to do anyway. May import the context, callers and the records; acts and reactions import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from connector.access.caller import OWNER, Caller, scope
from connector.flow.context import Context
from connector.protocol.errors import Conflict, PolicyDenied
from connector.protocol.record import PLAIN, Effect, Process, Remark, Rule, Voice
from connector.protocol.states import Kind, Message, Role, State
from connector.settings.negotiation import NegotiationSettings

COMMENT_CHARS: Final = 1000
"""Longest comment that is kept or sent (characters)."""
NO_REASON: Final = "a person has decided against it"
DEADLINE_MOST_S: Final = 31_536_000
DECIDE: Final = scope("approvals", "write")
Decides = Literal["operator", "commercial", "data-protection-officer"]
"""The roles that may be asked: those that may write approvals (`connector.access.caller.SCOPES`)."""
MESSAGES: Final[Mapping[str, Message]] = MappingProxyType(
    {
        "decide-request": Message.AGREEMENT,
        "decide-counter-offer": Message.AGREEMENT,
        "decide-agreement": Message.AGREEMENT,
        "decide-finalization": Message.FINALIZED,
        "decide-offer": Message.ACCEPTED,
        "decide-verification": Message.VERIFICATION,
        "decide-start": Message.START,
    }
)
"""What is sent when that which waits is approved."""


class ApprovalRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask people before an offer binds us: ``eyes`` of them, each with one of the ``roles``, within ``deadline_s`` seconds."""

    roles: Annotated[tuple[Decides, ...], Meta(min_length=1, max_length=3)] = ("operator", "commercial")
    eyes: Annotated[int, Meta(ge=1, le=2)] = 1
    deadline_s: Annotated[int, Meta(ge=1, le=DEADLINE_MOST_S)] | None = None

    @property
    def rule(self) -> Rule:
        """The rule of an offer."""
        return Rule(roles=tuple(dict.fromkeys(self.roles)), eyes=self.eyes, deadline_s=self.deadline_s, origin="offer")


def rule_of(settings: NegotiationSettings) -> Rule:
    """Who decides where an offer does not say it."""
    if not settings.approval_roles and settings.approval_eyes == 1:
        return PLAIN
    roles = tuple(dict.fromkeys(settings.approval_roles)) or PLAIN.roles
    return Rule(roles=roles, eyes=settings.approval_eyes, origin="settings")


async def rule_for(context: Context, process: Process) -> Rule:
    """The rule by which people are asked about what is on the table.

    As provider that of the published offer. What we have offered ourselves in a negotiation, and what is not published any more,
    stays under the rule that the negotiation came under before: a counter-offer is no way round it. Nor is an offer a way round
    the settings: whoever publishes it may ask more people than they do, and not fewer.
    """
    if process.kind is not Kind.NEGOTIATION or process.role is not Role.PROVIDER:
        return context.asks
    detail = process.detail
    kept = detail.asks if detail.asks is not None and detail.asks.origin == "offer" else None
    found = await context.store.shelf.approval((detail.offer or {}).get("@id", ""), process.subject)
    if kept is not None and (found is None or detail.offer_from is Role.PROVIDER):
        return kept
    rule = read_rule(found) or context.asks
    return msgspec.structs.replace(rule, eyes=max(rule.eyes, context.asks.eyes))


def read_rule(text: str | None) -> Rule | None:
    """The rule of an offer as it is stored; None: it has none."""
    return msgspec.json.decode(text, type=Rule) if text else None


def asked(context: Context, process: Process) -> Rule:
    """The rule by which people are asked now; of what an earlier release has kept, that of the settings."""
    return process.detail.asks or context.asks


def step_of(process: Process) -> str | None:
    """What waits for people, or None.

    Where a rule was asked for, a request that was answered by a counter-offer which the other side refused waits again.
    """
    detail = process.detail
    if detail.pending is not None:
        return detail.pending
    idle = process.kind is Kind.NEGOTIATION and process.role is Role.PROVIDER and process.awaiting is None
    ruled = detail.asks is not None and detail.asks.origin != "default"
    return "decide-request" if idle and ruled and process.state in (State.REQUESTED, State.ACCEPTED) else None


def why_not(rule: Rule, process: Process, by: Caller) -> PolicyDenied | Conflict | None:
    """Why a caller may not approve what waits; None: he may."""
    refused = _roleless(rule, by)
    if refused is not None:
        return refused
    if proposed(process, by) and not (rule.origin == "default" and by.id == OWNER.id):
        said = "nobody approves what he has proposed himself; let somebody else with one of the roles do it"
        return PolicyDenied("approval-own", said)
    if any(by.behind == given.behind for given in process.detail.approvals):
        return Conflict("approval-given", "you have approved this already; it waits for somebody else")
    return None


def proposed(process: Process, by: Caller) -> bool:
    """Whether what is on the table is a proposal of whoever is behind the caller, or says the same as that."""
    detail = process.detail
    behind = detail.proposed_person or detail.proposed_by
    return behind == by.behind and (detail.offer_from is process.role or detail.echo or not detail.redline)


def _roleless(rule: Rule, by: Caller) -> PolicyDenied | None:
    if by.roles.isdisjoint(rule.roles):
        return PolicyDenied("approval-role", f"this is decided by {' or '.join(rule.roles)}; you have none of these roles")
    if not by.may(DECIDE):
        # A token that was narrowed to other work decides nothing, whatever roles its holder has.
        return PolicyDenied("scope-missing", f"to decide this needs the scope {DECIDE}")
    return None


def check_role(rule: Rule, by: Caller) -> None:
    """Raises PolicyDenied for a caller with none of the roles that decide."""
    refused = _roleless(rule, by)
    if refused is not None:
        raise refused


def check_approval(rule: Rule, process: Process, by: Caller) -> None:
    """Raises PolicyDenied or Conflict for a caller who may not approve what waits."""
    refused = why_not(rule, process, by)
    if refused is not None:
        raise refused


def check_time(context: Context, process: Process) -> None:
    """Raises Conflict for who is late: that is refused already, though the other side may not have been told yet."""
    due_at = process.detail.decide_by
    if process.detail.pending is not None and due_at is not None and due_at <= context.now_ms():
        raise Conflict("decision-late", "the deadline has passed; this is refused for that reason")


def enough(rule: Rule, process: Process) -> bool:
    """Whether one more approval is all that is missing."""
    return len(process.detail.approvals) + 1 >= rule.eyes


def check_act(context: Context, process: Process, message: Message, by: Caller) -> None:
    """Raises PolicyDenied or Conflict for an act that would do what waits for people without them.

    To end or to pause something needs nobody else. Whoever would make another offer has to have one of the roles that decide.
    """
    step = step_of(process)
    if step is None:
        return
    rule = asked(context, process)
    if message in (Message.OFFER, Message.REQUEST):
        check_time(context, process)
        check_role(rule, by)
    elif message is MESSAGES.get(step):
        check_time(context, process)
        check_approval(rule, process, by)
        if not enough(rule, process):
            raise Conflict("approval-needed", f"{rule.eyes} people have to approve this, each for himself: approve it")


def acting_as(rule: Rule, by: Caller) -> str:
    """The role in which a caller decides: the first that the rule names; empty: he has none of them."""
    return next((role for role in rule.roles if role in by.roles), "")


def effects_of(
    process: Process, rule: Rule, by: Caller, verdict: Literal["approved", "rejected", "countered"], comment: str
) -> tuple[Effect, ...]:
    """What is kept of somebody's word: a line of the timeline, one of the contract log, and who has said it."""
    role, said = acting_as(rule, by), comment[:COMMENT_CHARS]
    text = said if by.id == OWNER.id else f"{by.id} ({role}): {said}".removesuffix(": ")
    voice, who = Voice(step_of(process) or "", by.id, role, verdict, said), (by.id, role)
    match verdict:
        case "approved":
            return Remark("approved", text, "approved", reasons=(said,) if said else (), by=who), voice
        case "rejected":
            return Remark("rejected", text, "refused", "rejected", (said or NO_REASON,), by=who), voice
        case _:
            # The contract log is told of it with the offer.
            return Remark("countered", text), voice
