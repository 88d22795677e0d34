"""State diagrams drawn from the tables, so that the documents cannot say anything else. Text in, text out; no I/O.

A diagram shows states only. What is awaited is folded into the labels: an edge that an answer takes is labelled with the message
of ours that was answered ("send M"), and an edge that only an unanswered message of ours opens says which one it answers.
Refusals that adopt the peer's state, and answers to a termination other than "taken", are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from connector.protocol.states import ACK, DEADLINE, INITIAL, REFUSED, TABLES, Event, Kind, Message, Next, Role, State

DIAGRAMS: Final = tuple(TABLES)

_SENT_AS: Final = {Message.REQUEST_THEN_TERMINATION: Message.REQUEST, Message.OFFER_THEN_TERMINATION: Message.OFFER}
_MARKED = re.compile(r"(<!-- diagram:([a-z]+)-([a-z]+) -->\n).*?(<!-- /diagram -->)", re.DOTALL)


def mermaid(kind: Kind, role: Role) -> str:
    """The state diagram of one table as Mermaid text, one edge for each two states."""
    edges: dict[tuple[State, State], dict[str, None]] = {}
    for source, target, label in _moves(kind, role):
        edges.setdefault((source, target), {})[label] = None
    lines = ["stateDiagram-v2", f"    [*] --> {INITIAL.value}"]
    shown = [state for state in State if any(state in edge for edge in edges)]
    lines += [
        f"    {state.value} : {state.value} (on the wire {state.on_wire})" for state in shown if state.on_wire != state.value
    ]
    lines += [f"    {source.value} --> {target.value} : {', '.join(labels)}" for (source, target), labels in edges.items()]
    lines += [f"    {state.value} --> [*]" for state in shown if state.final]
    return "\n".join(lines) + "\n"


def renewed(text: str) -> str:
    """A Markdown text with the diagram between each pair of markers drawn anew.

    Markers are ``<!-- diagram:negotiation-consumer -->`` and ``<!-- /diagram -->``. Raises ValueError for an unknown name.
    """
    return _MARKED.sub(_redrawn, text)


def _redrawn(found: re.Match[str]) -> str:
    drawn = mermaid(Kind(found[2]), Role(found[3]))
    return f"{found[1]}```mermaid\n{drawn}```\n{found[4]}"


def _moves(kind: Kind, role: Role) -> Iterator[tuple[State, State, str]]:
    """(from, to, label) of every row that changes the state; a plain edge makes the same one beside an answer superfluous."""
    rows = TABLES[kind, role]
    plain = {
        (state, outcome.state, event)
        for (state, awaiting), row in rows.items()
        for event, outcome in row.items()
        if awaiting is None and isinstance(outcome, Next)
    }
    for (state, awaiting), row in rows.items():
        for event, outcome in row.items():
            if not isinstance(outcome, Next) or outcome.state is state:
                continue
            label = _label(event, awaiting)
            if label and (awaiting is None or (state, outcome.state, event) not in plain):
                yield state, outcome.state, label


def _label(event: Event, awaiting: Message | None) -> str | None:
    """What happens on an edge, in two to four words; None for what the diagrams leave out."""
    if awaiting is None:
        return f"receive {event.message}"
    ours = _SENT_AS.get(awaiting, awaiting)
    if event == ACK:
        return f"send {ours}"
    if event == DEADLINE:
        return None if ours is Message.TERMINATION else "no answer"
    if event == REFUSED:
        return None if ours is Message.TERMINATION else f"{ours} refused"
    return f"receive {event.message} (answers {ours})"
