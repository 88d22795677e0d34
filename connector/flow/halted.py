"""Whether new agreements with a counterparty are stopped: its log contradicted itself, and nobody has accepted that yet.

What was agreed before goes on. Imports the context and the store; the decision points import this.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from connector.flow.context import Context
from connector.protocol.errors import Conflict
from connector.protocol.record import Process
from connector.protocol.states import Kind, Message
from connector.store.witness import WitnessStore

CODE: Final = "log-split-view"
SAID: Final = {
    "origin-changed": "signed another log beside the one that was seen here",
    "same-size": "signed two trees of the same size with different roots",
    "smaller-later": "was smaller than it had been before",
    "rewritten": "does not begin with what was seen of it before",
}
"""How a log can contradict itself, by the code of it: what it did."""
_BINDING: Final = frozenset(
    {Message.REQUEST, Message.OFFER, Message.ACCEPTED, Message.AGREEMENT, Message.VERIFICATION, Message.FINALIZED}
)
"""Messages of a negotiation that lead to an agreement."""


async def halted(context: Context, counterparty: str) -> str | None:
    """Why nothing new is agreed with a counterparty, as it may read it, with what would help; None where nothing stands against
    it."""
    if not context.witnessing.on:
        return None
    split = await WitnessStore(context.store.engine).split(counterparty)
    if split is None:
        return None
    code, at_ms = split
    when = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return (
        f"the contract log of {counterparty:.200} {SAID.get(code, 'contradicted itself')} ({when}); nothing new is agreed with "
        "it until the other side has looked into that and accepts the log as it is"
    )


async def check_goes_on(context: Context, counterparty: str) -> None:
    """Raises Conflict where nothing new is agreed with a counterparty."""
    why = await halted(context, counterparty)
    if why is not None:
        raise Conflict(CODE, f"{why}: carnet peers accept-log {counterparty:.200} --reason WHY")


async def check_act(context: Context, process: Process, message: Message) -> None:
    """Raises Conflict for a message that would lead to a new agreement, where none is to come."""
    if process.kind is Kind.NEGOTIATION and message in _BINDING:
        await check_goes_on(context, process.counterparty)
