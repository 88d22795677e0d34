"""Answers about what is on offer: our own datasets and offers, templates to make them of, and the state of the connector."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
from msgspec import UNSET, UnsetType

from connector.flow.offers import Finding
from connector.protocol.messages import Document
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
    """An offer of ours: as peers see it (``document``), and as it was written (``odrl``)."""

    id: str
    dataset: str
    document: Document
    odrl: Any


def offer_answer(row: Offered) -> OfferAnswer:
    """An offer as its owner sees it."""
    return OfferAnswer(row.id, row.dataset, orjson.loads(row.document or "{}"), orjson.loads(row.odrl) if row.odrl else None)


class QuestionAnswer(msgspec.Struct, frozen=True):
    """One thing that a template asks: the member of ``answers``, whether it has to be given, and what it is."""

    name: str
    required: bool
    about: str


class TemplateAnswer(msgspec.Struct, frozen=True):
    """A template: record and offer are made of it once its questions are answered. ``titles`` by language."""

    id: str
    about: str
    questions: list[QuestionAnswer]
    terms: Document
    """Its offer in full ODRL, with ``{dataset}``, ``{publisher}`` and ``{price}`` where answers go."""
