"""Answers about vehicles and their persons: consents, requests of users, references, and what is known and erased of a vehicle.

They are the data plane's own, whose the ledger is: what it says beyond this is passed on.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class ConsentKey(msgspec.Struct, frozen=True):
    """What a consent is for: data of a category, for a purpose, to a participant, on a basis (purpose and basis as IRIs)."""

    category: str
    purpose: str
    recipient: str
    basis: str


class ConsentCount(msgspec.Struct, frozen=True):
    """How many vehicles agree to something."""

    category: str
    purpose: str
    recipient: str
    basis: str
    vehicles: int


class CountsAnswer(msgspec.Struct, frozen=True):
    """``number`` of the ledger, which grows with every change, and how many vehicles agree to what."""

    number: int
    counts: list[ConsentCount]


class DecidedAnswer(msgspec.Struct, frozen=True):
    """The ledger's number after the entries were written, and how many those were."""

    number: int
    entries: int


class WithdrawnAnswer(msgspec.Struct, frozen=True):
    """The number of the ledger from which on nothing leaves under what was withdrawn."""

    number: int
    withdrawn: list[ConsentKey]


class ImportedAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """What came of a file. ``late``: grants that a later withdrawal had already overtaken."""

    number: int
    entries: int
    new_vehicles: int
    withdrawn: int
    late: int


class ConsentEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A decision of the past. ``at``: ms since the epoch."""

    number: int
    category: str
    purpose: str
    recipient: str
    basis: str
    given: bool
    decided_by: str
    text_sha256: str | None
    at: int


class UserRequestAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request of a user, without its vehicle. ``ended``: the ledger's number at which it was withdrawn."""

    id: str
    recipient: str
    purpose: str
    categories: tuple[str, ...]
    decided_by: str
    text_sha256: str | None
    at: int
    number: int
    ended: int | None
    ended_at: int | None


class VehicleConsents(msgspec.Struct, frozen=True):
    """What a vehicle agrees to now (``held``), every decision about it, and the requests of its users."""

    number: int
    held: list[ConsentKey]
    entries: list[ConsentEntry]
    requests: list[UserRequestAnswer]


class VehicleNumber(msgspec.Struct, frozen=True, rename="camel"):
    """The ledger's own number of a vehicle; it says nothing about it."""

    vehicle_number: int


class EnrolledAnswer(msgspec.Struct, frozen=True):
    """The ledger's number, and how many references were noted."""

    number: int
    enrolments: int


class UserRequestsAnswer(msgspec.Struct, frozen=True):
    """The newest requests of users, withdrawn ones too."""

    number: int
    requests: list[UserRequestAnswer]


class UserRequestNumber(msgspec.Struct, frozen=True):
    """A request, and the number of the ledger that its change has."""

    id: str
    number: int


class UserRequestShown(msgspec.Struct, frozen=True):
    """A request and its vehicle."""

    request: UserRequestAnswer
    vehicle: str


class SubjectNamed(msgspec.Struct, frozen=True, rename="camel"):
    """The pseudonym by which the contract log has a vehicle, and when its key was erased, if it was."""

    pseudonym: str
    known: bool
    erased_at: int | None


class SubjectExport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All that ledger, deliveries and contract log say of a vehicle. A vehicle that the ledger does not know has no more than its
    pseudonym and the lines of the log."""

    participant: str
    vehicle: str
    made_at: int
    pseudonym: str
    known: bool
    erased_at: int | None
    number: int
    held: list[Any] | UnsetType = UNSET
    entries: list[Any] | UnsetType = UNSET
    requests: list[Any] | UnsetType = UNSET
    enrolments: list[Any] | UnsetType = UNSET
    deliveries: list[Any] | UnsetType = UNSET
    log: list[Any]


class KeptAnswer(msgspec.Struct, frozen=True):
    """What stays, and why."""

    what: str
    why: str


class ErasedAnswer(msgspec.Struct, frozen=True):
    """What was done, the id of the key that was erased, and what is kept."""

    done: list[str]
    key: str | None
    kept: list[KeptAnswer]
