"""Answers about what is on offer: our own datasets and offers, templates to make them of, and the state of the connector.

What a template asks stands here beside the type that takes the answers; a test holds that they are the same.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson
from msgspec import UNSET, UnsetType

from catalog.templates import TEMPLATES, terms
from connector.flow.approvals import read_rule
from connector.flow.offers import Finding
from connector.protocol.messages import Document
from connector.protocol.record import Rule
from connector.store.rows import Offered


class StatusAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """Who the connector is, how many messages wait, and whether its data plane is there."""

    participant_id: str
    outbox_pending: int
    data_plane: bool


class ReleaseProblem(msgspec.Struct, frozen=True):
    """Why a permission cannot be kept, and what to do about it."""

    code: str
    path: str
    sentence: str
    remedy: str | None


class UnicityAnswer(msgspec.Struct, frozen=True):
    """The share (``unique``, 0 to 1) of vehicles that so many ``points`` single out."""

    vehicles: int
    unique: float
    points: int


class ReleaseAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one permission of an offer lets out: how it is shaped, its columns, what that measures, and what is wrong. ``policy``
    and ``permission`` count from 0."""

    policy: int
    permission: int
    plan: Document | None
    plan_digest: str | None
    level: str | None
    form: str
    columns: list[str]
    sentences: list[str]
    unicity: UnicityAnswer | None
    problems: list[ReleaseProblem]


class PublishedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The dataset as it stands in the catalogue, what was found in its source, and what each permission releases. Of a dry run
    that found something wrong: ``problems``, and no dataset."""

    dataset: Document | None
    source: Document
    releases: list[Document]
    problems: list[Finding] | UnsetType = UNSET


class OfferAnswer(msgspec.Struct, frozen=True):
    """An offer of ours: as peers see it (``document``), and as it was written (``odrl``). ``approval``: who is asked before it
    binds us; null: the settings decide."""

    id: str
    dataset: str
    document: Document
    odrl: Any
    approval: Rule | None


def offer_answer(row: Offered) -> OfferAnswer:
    """An offer as its owner sees it."""
    odrl = orjson.loads(row.odrl) if row.odrl else None
    return OfferAnswer(row.id, row.dataset, orjson.loads(row.document or "{}"), odrl, read_rule(row.approval))


class QuestionAnswer(msgspec.Struct, frozen=True):
    """One thing that a template asks: the member of ``answers``, whether it has to be given, and what it is."""

    name: str
    required: bool
    about: str


class TemplateAnswer(msgspec.Struct, frozen=True):
    """A template: record and offer are made of it once its questions are answered. ``terms`` is its offer in full ODRL, with
    ``{dataset}``, ``{publisher}`` and ``{price}`` where answers go."""

    id: str
    about: str
    questions: list[QuestionAnswer]
    terms: Document


ABOUT: Final = {
    "payd": "Mileage for insurance by distance. Its terms on consent and requests need a data plane that enforces them.",
    "city": "Traffic by place and hour: free for public bodies that plan mobility, paid by the year for others.",
    "research": "Trips for scientific research, deleted after three years.",
    "repairer": "Fault codes for repair, open to every repairer alike (Data Act, article 5: no gatekeepers).",
}
QUESTIONS: Final = (
    QuestionAnswer("columns", True, "For each column of the file the VSS path that it holds, or its privacy class."),
    QuestionAnswer("price", True, "An amount in euro, such as 3.00."),
    QuestionAnswer("place", True, "The IRI of an EU country, place or NUTS region."),
    QuestionAnswer("publisher", True, "Who offers it, by name."),
    QuestionAnswer("contact", True, "Whom to ask, by name."),
    QuestionAnswer("email", True, "Where to ask."),
    QuestionAnswer("title", False, "Of the dataset, if not given beside the answers."),
    QuestionAnswer("homepage", False, "Of the publisher."),
    QuestionAnswer("language", False, "Of title and description: a language tag; en if not given."),
    QuestionAnswer("description", False, "In place of the template's own."),
    QuestionAnswer("from_ms", False, "When the data begin (ms since the epoch)."),
    QuestionAnswer("until_ms", False, "When the data end (ms since the epoch)."),
    QuestionAnswer("quality", False, "What was measured of the data, as the catalogue's quality report has it."),
)


def template_answers() -> list[TemplateAnswer]:
    """Every template. An answer is given as a member of ``answers`` when a dataset is published."""
    return [TemplateAnswer(name, ABOUT[name], list(QUESTIONS), terms(name)) for name in TEMPLATES]
