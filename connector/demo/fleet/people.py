"""Who decides for a vehicle, and what they decided: ownership, rentals, consents, enrolments. As tables, without any driving.

Everything is drawn vehicle by vehicle without a state, so that it can be made for millions of vehicles, and fits the fleet that
``simulate`` drives with the same profile and seed. People are numbers: nobody has a name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import pyarrow as pa

from connector.demo.fleet.chance import Array, mixed, shares
from connector.demo.fleet.profiles import Profile
from connector.demo.fleet.trips import DAY_S
from connector.demo.fleet.vehicles import vins

Category = Literal["location", "driving-behaviour", "mileage", "diagnostics", "energy", "environment", "identity"]
CATEGORIES: Final = get_args(Category)
CONSENT: Final = "https://w3id.org/dpv#Consent"
KINDS: Final = ("private", "company", "rental")
DECIDES: Final = ("owner", "driver", "renter")
"""Who decides, by kind: the owner of a private vehicle, the driver of a company's, whoever has rented a rental."""
_OWN, _COMPANY, _RENTAL = 0, 1, 2
_COMPANY_CARS: Final = 40
_MS: Final = 1_000
_SAID_NO: Final = 0.1


@dataclass(frozen=True, slots=True)
class Request:
    """What people are asked: may ``recipient`` (a participant id) have data of these categories for ``purpose`` (an IRI)?

    ``texts``: the versions of the text shown, the latest last; each is shown to about as many. ``agree``: share of the vehicles
    for which the answer is yes; the others have no record, or one that says no (one in ten). ``withdrawn``: share of the yeses
    that are taken back later. ``basis``: IRI of the legal basis. ``enrol``: share of the yeses that the recipient knows by a
    reference of its own. ``drawn``: by which name chance knows the recipient, where its id is another in each run; empty: the id.
    """

    recipient: str
    purpose: str
    categories: tuple[Category, ...]
    texts: tuple[str, ...] = (
        "I agree that the recipient gets these data of my vehicle for this purpose, until I say otherwise.",
    )
    agree: float = 0.8
    withdrawn: float = 0.05
    basis: str = CONSENT
    enrol: float = 0.5
    reference: str = "C"
    drawn: str = ""


def ownership(profile: Profile, vehicles: int, seed: int) -> Any:
    """Arrow table ``vehicle, kind, owner, driver, decides``: who owns a vehicle, who drives it as a rule, who decides."""
    numbers = np.arange(vehicles)
    kind = _kinds(profile, numbers, seed)
    companies = max(vehicles // _COMPANY_CARS, 1)
    owner = np.where(kind == _OWN, numbers, (mixed(numbers, seed, "company") % np.uint64(companies)).astype(np.int64))
    letters = np.array(["p", "c", "r"])[kind]
    return pa.table(
        {
            "vehicle": vins(profile, vehicles, seed),
            "kind": _chosen(kind, KINDS),
            "owner": pa.array([f"{letter}{number}" for letter, number in zip(letters.tolist(), owner.tolist(), strict=True)]),
            "driver": pa.array([f"p{number}" for number in numbers.tolist()]),
            "decides": _chosen(kind, DECIDES),
        }
    )


def rentals(profile: Profile, vehicles: int, days: int, seed: int) -> Any:
    """Arrow table ``vehicle, renter, from_ms, until_ms``: half open, one after the other, up to the last day."""
    numbers = np.flatnonzero(_kinds(profile, np.arange(vehicles), seed) == _RENTAL)
    turns = np.arange(days)[None, :] // _rental_days(numbers, seed)[:, None]
    last = turns[:, -1] if days else np.zeros(len(numbers), dtype=np.int64)
    row = np.repeat(np.arange(len(numbers)), last + 1)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(last + 1) - (last + 1), last + 1)
    length_ms = _rental_days(numbers, seed)[row] * DAY_S * _MS
    from_ms = profile.start_s * _MS + turn * length_ms
    until_ms = np.minimum(from_ms + length_ms, (profile.start_s + days * DAY_S) * _MS)
    renters = mixed(numbers[row] * 4_096 + turn, seed, "renter") % np.uint64(10_000_000)
    return pa.table(
        {
            "vehicle": vins(profile, vehicles, seed).take(pa.array(numbers[row])),
            "renter": pa.array([f"q{renter}" for renter in renters.tolist()], pa.string()),
            "from_ms": from_ms,
            "until_ms": until_ms,
        }
    )


def consents(profile: Profile, vehicles: int, requests: Sequence[Request], seed: int) -> Any:
    """What was decided, in the order of time.

    Arrow table ``vehicle, category, purpose, recipient, basis, decided_by, text_sha256, at_ms, given``: a record is a yes or,
    with ``given`` false, a no or a withdrawal; the latest of a vehicle, category, purpose and recipient counts. Yeses are from
    the ninety days before the fleet's first day, withdrawals from the thirty days that begin with it.
    """
    kind = _kinds(profile, np.arange(vehicles), seed)
    answers = [_answers(profile, vehicles, request, seed) for request in requests]
    asked = np.repeat(np.arange(len(answers)), [len(each.at_ms) for each in answers])
    vehicle, category, text, at_ms, given = (
        np.concatenate([np.zeros(0, dtype=kept), *(getattr(each, name) for each in answers)])
        for name, kept in (
            ("vehicle", np.int64),
            ("category", np.int64),
            ("text", np.int64),
            ("at_ms", np.int64),
            ("given", bool),
        )
    )
    order = np.lexsort((category, asked, vehicle, at_ms))
    asked, vehicle = asked[order], vehicle[order]
    versions = [request.texts for request in requests]
    first_text = np.cumsum([0, *(len(texts) for texts in versions)])
    digests = [hashlib.sha256(shown.encode()).hexdigest() for texts in versions for shown in texts]
    return pa.table(
        {
            "vehicle": vins(profile, vehicles, seed).take(pa.array(vehicle)),
            "category": _chosen(category[order], CATEGORIES),
            "purpose": _chosen(asked, [request.purpose for request in requests]),
            "recipient": _chosen(asked, [request.recipient for request in requests]),
            "basis": _chosen(asked, [request.basis for request in requests]),
            "decided_by": _chosen(kind[vehicle], DECIDES),
            "text_sha256": _chosen(first_text[asked] + text[order], digests),
            "at_ms": at_ms[order],
            "given": given[order],
        }
    )


def enrolments(profile: Profile, vehicles: int, requests: Sequence[Request], seed: int) -> Any:
    """Arrow table ``vehicle, recipient, reference``: by which reference of its own a recipient knows a vehicle that agreed."""
    tables = [_enrolled(profile, vehicles, request, seed) for request in requests]
    schema = pa.schema([("vehicle", pa.string()), ("recipient", pa.string()), ("reference", pa.string())])
    return pa.concat_tables(tables) if tables else schema.empty_table()


@dataclass(frozen=True, slots=True)
class _Answers:
    """Records that answer one request: ``category`` is an index of ``CATEGORIES``, ``text`` one of the request's texts."""

    vehicle: Array
    category: Array
    text: Array
    at_ms: Array
    given: Array


def _subject(request: Request, what: str) -> str:
    return f"{what} {request.drawn or request.recipient} {request.purpose}"


def _kinds(profile: Profile, numbers: Array, seed: int) -> Array:
    """Index of ``KINDS`` for each vehicle."""
    draw = shares(numbers, seed, "ownership")
    return np.where(draw < profile.rented, _RENTAL, np.where(draw < profile.rented + profile.company, _COMPANY, _OWN))


def _rental_days(numbers: Array, seed: int) -> Array:
    """How many days each rental of a vehicle takes."""
    days: Array = 1 + (mixed(numbers, seed, "rental") % np.uint64(6)).astype(np.int64)
    return days


def _answers(profile: Profile, vehicles: int, request: Request, seed: int) -> _Answers:
    """The yeses, noes and withdrawals, each once for every category."""
    numbers = np.arange(vehicles)
    yes = shares(numbers, seed, _subject(request, "agree")) < request.agree
    no = ~yes & (shares(numbers, seed, _subject(request, "refuse")) < _SAID_NO)
    back = yes & (shares(numbers, seed, _subject(request, "withdraw")) < request.withdrawn)
    start_ms = profile.start_s * _MS
    before_ms = start_ms - (shares(numbers, seed, _subject(request, "when")) * 90 * DAY_S * _MS).astype(np.int64) - 1
    after_ms = start_ms + (shares(numbers, seed, _subject(request, "until")) * 30 * DAY_S * _MS).astype(np.int64)
    vehicle = np.concatenate([numbers[yes], numbers[no], numbers[back]])
    at_ms = np.concatenate([before_ms[yes], before_ms[no], after_ms[back]])
    given = np.arange(len(vehicle)) < int(yes.sum())
    text = (mixed(vehicle, seed, _subject(request, "text")) % np.uint64(len(request.texts))).astype(np.int64)
    categories = np.array([CATEGORIES.index(category) for category in request.categories])
    many = len(categories)
    return _Answers(
        np.repeat(vehicle, many),
        np.tile(categories, len(vehicle)),
        np.repeat(text, many),
        np.repeat(at_ms, many),
        np.repeat(given, many),
    )


def _enrolled(profile: Profile, vehicles: int, request: Request, seed: int) -> Any:
    """The vehicles that one recipient enrolled."""
    numbers = np.arange(vehicles)
    yes = shares(numbers, seed, _subject(request, "agree")) < request.agree
    chosen = numbers[yes & (shares(numbers, seed, _subject(request, "enrol")) < request.enrol)]
    # An odd factor permutes the numbers below a power of two: references all differ, and do not follow the vehicles' order.
    codes = (
        chosen.astype(np.uint64) * np.uint64(0x2545F491) + mixed(np.zeros(1), seed, request.drawn or request.recipient)
    ) % np.uint64(1 << 36)
    return pa.table(
        {
            "vehicle": vins(profile, vehicles, seed).take(pa.array(chosen)),
            "recipient": pa.repeat(request.recipient, len(chosen)),
            "reference": pa.array([f"{request.reference}-{code:011d}" for code in codes.tolist()], pa.string()),
        }
    )


def _chosen(index: Array, names: Sequence[str]) -> Any:
    """Strings by their index, as an Arrow dictionary array: a column of few different values is small at any length."""
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), pa.array(names, pa.string()))
