"""Answers in sentences: what terms say, how they are kept, and what somebody would get under them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class SentenceAnswer(msgspec.Struct, frozen=True):
    """One sentence: the path of what it is about in the policy, and how deeply it is nested."""

    path: str
    depth: int
    sentence: str


class ProblemAnswer(msgspec.Struct, frozen=True):
    """A term that cannot be kept here, and what would help."""

    code: str
    path: str
    sentence: str
    remedy: str | None


class ExplanationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What an offer or agreement says; and, where the whole was asked for, how each term is kept here, and what cannot be."""

    id: str | None
    kind: str
    language: str
    sentences: list[SentenceAnswer]
    delivery: list[SentenceAnswer] | UnsetType = UNSET
    problems: list[ProblemAnswer] | UnsetType = UNSET


class ReasonAnswer(msgspec.Struct, frozen=True):
    """One step of a decision, and what would change it; null where nothing would."""

    code: str
    path: str
    sentence: str
    remedy: str | None


class DecisionAnswer(msgspec.Struct, frozen=True):
    """What would be decided at one point: whether it is shown, contracted, delivered."""

    scope: str
    outcome: str
    reasons: list[ReasonAnswer]
    sentences: list[SentenceAnswer]


class SimulationAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a participant would get of one offer, and why; ``hidden``: why it is not even shown."""

    id: str | None
    dataset: str
    participant: str
    admitted: bool
    claims: dict[str, Any]
    purpose: str | None
    at: int
    language: str
    permitted: bool
    decisions: list[DecisionAnswer]
    hidden: ReasonAnswer | UnsetType = UNSET
    delivery: list[SentenceAnswer] | UnsetType = UNSET
    problems: list[ProblemAnswer] | UnsetType = UNSET
