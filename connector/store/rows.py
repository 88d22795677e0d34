"""Rows of the control database as frozen structs. Data only; ``Process`` itself lives in the protocol core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Channel = Literal["dsp", "peer", "flow"]
OpenTo = Literal["admitted", "all"]
Visible = Literal["admitted", "all", "nobody"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to be delivered at least once, in its lane's order.

    ``lane`` is what keeps an order: a process, the data flow of a transfer, or a peer's extension messages. ``body`` is the
    document as sent. ``due_at`` is the next attempt, ``deadline_at`` when we stop; ``conflict_since`` and ``missing_since`` are
    the first 409 and 404 of an unbroken row of them. ``seq`` is 0 until stored.
    """

    id: str
    lane: str
    channel: Channel
    counterparty: str
    process_id: str
    message: str
    url: str
    body: str
    correlation_id: str
    created_at: int
    deadline_at: int
    due_at: int
    attempts: int = 0
    conflict_since: int | None = None
    missing_since: int | None = None
    last_error: str | None = None
    dead_at: int | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """A message of ``counterparty`` that the table has judged, and what was answered."""

    counterparty: str
    message_id: str
    process_id: str
    digest: str
    status: int
    body: str | None
    judged_at: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """An agreement as its canonical bytes (RFC 8785, as text). ``state``: pending, binding or void.

    ``delivery``: the terms of delivery that it was compiled to, as JSON; empty where an earlier release made it.
    """

    id: str
    counterparty: str
    role: str
    negotiation_id: str
    dataset: str
    document: str
    state: str
    created_at: int
    updated_at: int
    delivery: str = ""


@dataclass(frozen=True, slots=True)
class Grounds:
    """The register of what agreements about one dataset cover: its version, how many are in it, and the agreements that were
    asked for, as JSON texts."""

    version: int
    held: int
    agreements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a process's timeline: what happened, about which message, and the state after it."""

    process_id: str
    at: int
    what: str
    message: str | None
    message_id: str | None
    state: str
    awaiting: str | None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Timer:
    """Something to do at ``due_at``."""

    id: str
    kind: str
    process_id: str
    due_at: int


@dataclass(frozen=True, slots=True)
class Published:
    """A dataset on offer: its DCAT document (with its offers) as JSON text, and where its bytes are.

    ``open_to``: ``admitted`` for participants that somebody has vouched for, ``all`` for every one that has shown who it is.
    ``record`` is the owner's catalogue record as JSON, ``brief`` the document for a page of many without its offers, ``words`` is
    what a search looks in, ``theme`` its themes between line feeds. ``able`` is what its data plane can do with it, as JSON
    (``policies.delivery.Capabilities``); empty where an earlier release published it.
    """

    id: str
    document: str
    source: str
    published_at: int
    withdrawn_at: int | None = None
    open_to: OpenTo = "admitted"
    record: str = "{}"
    brief: str = ""
    words: str = ""
    theme: str = ""
    able: str = ""

    def offered_to(self, *, admitted: bool) -> bool:
        """Whether it is on offer to a participant that is ``admitted``, or not."""
        return self.withdrawn_at is None and (admitted or self.open_to == "all")


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer of a dataset at its place: ``document`` as it stands in the catalogue, ``odrl`` as its owner wrote it, and the
    digest of what decides who sees it. ``approval``: who is asked before it binds us (``protocol.record.Rule`` as JSON); empty:
    the settings decide. ``definition``: id of the contract definition that it was made of; empty: of none."""

    id: str
    dataset: str
    position: int = 0
    document: str = ""
    odrl: str = ""
    visibility: str = ""
    approval: str = ""
    definition: str = ""


@dataclass(frozen=True, slots=True)
class Visibility:
    """What decides who sees an offer: its policy (DSP's form, without id and target), and to whom it is open at all.

    ``nobody``: an offer of an earlier release that says something that we cannot keep. ``access``: a policy (full ODRL) that has
    to permit it too, and that only its owner ever reads; empty: there is none.
    """

    digest: str
    policy: str
    open_to: Visible
    access: str = ""
