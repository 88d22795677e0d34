"""What somebody sees who has to decide: what is asked for, against what was published or said before, and what it would release.

Nothing here changes anything. What the data plane would release is measured by the data plane; where that is away, or has not the
data, the review says so and shows the rest. May import flow and the store.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, Literal

import orjson

from connector.flow import acts
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.flow.reactions import about, published
from connector.flow.told import policy_told
from connector.protocol.errors import CallerError, Unavailable
from connector.protocol.messages import PULL, Document
from connector.protocol.record import Process
from connector.protocol.redline import changes
from connector.protocol.states import Kind, Role
from connector.store.approvals import Said, said_of
from policies import dsp
from policies.delivery import Capabilities
from policies.errors import PolicyInvalid
from policies.explain import Reader
from policies.terms.term import Language

NOT_OURS: Final = "what is released is decided where the data are, by the provider"
Against = Literal["published", "before", "nothing"]


@dataclass(frozen=True, slots=True)
class Review:
    """A process as those see it who decide about it.

    ``terms`` is what would bind; ``published`` the offer of that id as it stands in our catalogue, None where there is none.
    ``redline`` is what the terms say otherwise ``against`` the published offer, or else against the offer before. ``problems`` is
    what the linter and the compiler find in them, ``releases`` what each permission would let out, None with ``unmeasured``
    saying why that is not known. ``explanation`` is what the terms say and how each is kept; None where nobody can read them.
    """

    process: Process
    terms: Document
    published: Document | None
    redline: list[Document]
    against: Against
    problems: list[Document]
    releases: list[Document] | None
    unmeasured: str | None
    explanation: Document | None
    said: list[Said]


async def review(context: Context, plane: Plane, process_id: str, language: Language = "en") -> Review:
    """Everything about one process. Raises NotFound."""
    process = await acts.load(context, process_id)
    terms = await _terms(context, process)
    offered = await published(context, process) if _ours(process) else None
    redline, against = _redline(process, terms, offered)
    explanation, problems = await _read(context, process, terms, language)
    releases, unmeasured = await _releases(plane, process, terms)
    return Review(
        process=process,
        terms=terms,
        published=offered,
        redline=redline,
        against=against,
        problems=problems,
        releases=releases,
        unmeasured=unmeasured,
        explanation=explanation,
        said=await said_of(context.store.engine, process.id),
    )


def _ours(process: Process) -> bool:
    """Whether we are the provider of a negotiation: the published offer and the data are ours."""
    return process.kind is Kind.NEGOTIATION and process.role is Role.PROVIDER


async def _terms(context: Context, process: Process) -> Document:
    """The offer on the table; of a transfer the agreement that it is under."""
    if process.kind is Kind.NEGOTIATION:
        return about(process, process.detail.offer or {})
    agreement = await context.store.agreement(process.subject, process.counterparty, process.role)
    found: Document = {} if agreement is None else orjson.loads(agreement.document)
    return found


def _redline(process: Process, terms: Document, offered: Document | None) -> tuple[list[Document], Against]:
    if offered is not None:
        return changes(about(process, offered), terms), "published"
    return process.detail.redline, "before" if process.detail.redline else "nothing"


async def _read(
    context: Context, process: Process, terms: Document, language: Language
) -> tuple[Document | None, list[Document]]:
    """What the terms say, and what is wrong with them."""
    dataset = process.subject if process.kind is Kind.NEGOTIATION else process.detail.dataset or ""
    ours = process.role is Role.PROVIDER
    able = await context.able(dataset) if ours else Capabilities(context.declared, formats=frozenset({PULL}))
    try:
        policy = dsp.read(terms)
    except PolicyInvalid as invalid:
        return None, [{"code": invalid.code, "path": invalid.path, "sentence": invalid.reason, "remedy": None}]
    lost = [asdict(problem) for problem in dsp.without_form(policy)]
    told = policy_told(policy, able, Reader(language))
    return told, [*lost, *told["problems"]]


async def _releases(plane: Plane, process: Process, terms: Document) -> tuple[list[Document] | None, str | None]:
    """What each permission would let out, or why that is not known."""
    if not _ours(process):
        return None, NOT_OURS
    try:
        return await plane.releases(process.subject, [{"@type": "Offer", **terms}]), None
    except (CallerError, Unavailable) as error:
        return None, error.reason
