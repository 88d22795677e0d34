"""Who sees which offers: decided once for each caller and policy, and remembered until time changes the answer.

What decides is kept apart from the offers (``Visibility``), so that ten thousand datasets under one policy are one decision. A
decision holds until the next moment that the policy names; the memory holds so many decisions and no more, and the caller who has
been away the longest is forgotten first. Everything here can be decided again from the store. Where an offer has an access policy
beside its own, both have to permit it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple

import orjson

from connector.identity.interface import Principal
from connector.store.rows import Visibility, Visible
from connector.store.shelf import Shelf
from policies import dsp, odrl
from policies.decision import Decision
from policies.errors import PolicyInvalid
from policies.evaluate import evaluate
from policies.model import Policy
from policies.terms.actions import READ
from policies.terms.registry import term
from policies.terms.term import Bucket, Request, Scope, World
from policies.terms.values import instant
from policies.walk import atoms, conditions, rules

DECISIONS_MOST: Final = 200_000
"""Most decisions remembered (count), over all callers."""
HOLDS_MOST_MS: Final = 3_600_000
"""Longest time for which a decision holds (ms)."""
TIMED_MOST_MS: Final = 60_000
"""The same where a policy has a clock whose moments are not plain instants."""
AT_A_TIME: Final = 50
"""Policies that are read, or decided, in a row before others get their turn on the loop."""
_UID: Final = "urn:carnet:offer"


class Looked(NamedTuple):
    """One decision, and until when it holds (ms since the epoch, not included)."""

    shows: bool
    until_ms: int


@dataclass(frozen=True, slots=True)
class _Known:
    """The policies that have to permit it: None if one cannot be read. ``moments``: when the answer may change, in order."""

    policies: tuple[Policy, ...] | None
    open_to: Visible
    moments: tuple[int, ...]
    longest_ms: int


@dataclass(slots=True)
class _View:
    """What one caller sees, at a version of all that decides."""

    version: int
    until_ms: int
    seen: frozenset[str]
    looked: dict[str, Looked]


def visibility(document: Mapping[str, object], to: Visible, access: str = "") -> Visibility:
    """What decides who sees an offer: its normal form without id, and without a target, which is its dataset; and the text of an
    access policy (full ODRL) if there is one."""
    rest = {name: value for name, value in document.items() if name not in ("@id", "@type", "target")}
    text = orjson.dumps(rest, option=orjson.OPT_SORT_KEYS).decode()
    both = f"{text}\n{access}" if access else text
    digest = hashlib.sha256(f"{to}\n{both}".encode()).hexdigest()
    return Visibility(digest, text, to, access)


def open_to(principal: Principal, to: Visible) -> bool:
    """Whether what is open to these is open to a caller, before any policy is asked."""
    return to == "all" or (to == "admitted" and principal.admitted)


def decide(policy: Policy, principal: Principal, dataset_id: str, now_ms: int, declared: frozenset[str]) -> Decision:
    """Whether a policy lets a caller see the offer, and why."""
    request = Request(Scope.CATALOGUE, READ, dataset_id, principal.participant_id, principal.claims)
    return evaluate(policy, request, World(now_ms, enforced=declared))


def access_policy(text: str) -> Policy:
    """The access policy of an offer. Raises PolicyInvalid."""
    return odrl.read(orjson.loads(text))


@dataclass(slots=True)
class Sight:
    """The memory. One for a connector."""

    _version: int = -1
    _known: dict[str, _Known] = field(default_factory=dict)
    _views: OrderedDict[bytes, _View] = field(default_factory=OrderedDict)
    _decisions: int = 0

    async def seen(self, shelf: Shelf, principal: Principal, now_ms: int, declared: frozenset[str]) -> frozenset[str]:
        """The digests of all that shows an offer to a caller now."""
        version = await self._renewed(shelf)
        key = _caller(principal, declared)
        view = self._views.get(key)
        if view is not None and view.version == version and now_ms < view.until_ms:
            self._views.move_to_end(key)
            return view.seen
        looked = await self._look(view, principal, now_ms, declared)
        made = _View(
            version,
            min((each.until_ms for each in looked.values()), default=now_ms + HOLDS_MOST_MS),
            frozenset(digest for digest, each in looked.items() if each.shows),
            looked,
        )
        self._remember(key, made)
        return made.seen

    async def _renewed(self, shelf: Shelf) -> int:
        """The version of what is known here, which is the store's."""
        version = await shelf.version()
        if version != self._version:
            digests = await shelf.digests()
            found = await shelf.visibilities([digest for digest in digests if digest not in self._known])
            read: dict[str, _Known] = {}
            for number, each in enumerate(found):
                if number % AT_A_TIME == 0:
                    await asyncio.sleep(0)
                read[each.digest] = _read(each)
            kept = {digest: self._known[digest] for digest in digests if digest in self._known}
            self._known = kept | read
            self._version = version
        return version

    async def _look(self, before: _View | None, principal: Principal, now_ms: int, declared: frozenset[str]) -> dict[str, Looked]:
        """Decides what was not decided before, or holds no longer."""
        earlier = {} if before is None else before.looked
        looked: dict[str, Looked] = {}
        made = 0
        for digest, known in list(self._known.items()):
            found = earlier.get(digest)
            if found is None or found.until_ms <= now_ms:
                found = _decided(known, principal, now_ms, declared)
                made += 1
                if made % AT_A_TIME == 0:
                    await asyncio.sleep(0)
            looked[digest] = found
        return looked

    def _remember(self, key: bytes, view: _View) -> None:
        before = self._views.pop(key, None)
        self._decisions += len(view.looked) - (0 if before is None else len(before.looked))
        self._views[key] = view
        while self._decisions > DECISIONS_MOST and len(self._views) > 1:
            _, oldest = self._views.popitem(last=False)
            self._decisions -= len(oldest.looked)


def _caller(principal: Principal, declared: frozenset[str]) -> bytes:
    """Everything about a caller, and about us, that a decision depends on but time."""
    parts = [principal.participant_id, principal.admitted, dict(principal.claims), sorted(declared)]
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()


def _decided(known: _Known, principal: Principal, now_ms: int, declared: frozenset[str]) -> Looked:
    if known.policies is None or not open_to(principal, known.open_to):
        return Looked(False, now_ms + HOLDS_MOST_MS)
    until = min((moment for moment in known.moments if moment > now_ms), default=now_ms + known.longest_ms)
    shows = all(decide(each, principal, "", now_ms, declared).permitted for each in known.policies)
    return Looked(shows, min(until, now_ms + known.longest_ms))


def _read(found: Visibility) -> _Known:
    try:
        own = dsp.read({"@id": _UID, "@type": "Offer", **orjson.loads(found.policy)})
        policies = (access_policy(found.access), own) if found.access else (own,)
    except PolicyInvalid:
        return _Known(None, found.open_to, (), HOLDS_MOST_MS)
    moments, plain = set[int](), True
    for moment in chain.from_iterable(map(_timed, policies)):
        if moment is None:
            plain = False
        else:
            # What holds up to a moment ends after it, what holds from a moment begins with it.
            moments |= {moment, moment + 1}
    return _Known(policies, found.open_to, tuple(sorted(moments)), HOLDS_MOST_MS if plain else TIMED_MOST_MS)


def _timed(policy: Policy) -> Iterator[int | None]:
    """The values of all conditions that clocks keep, as moments; None for one that is none."""
    for placed in rules(policy):
        for path, condition in conditions(placed.path, placed.rule):
            for _, atom in atoms(path, condition):
                known = term(atom.left)
                if known is not None and known.bucket is Bucket.CLOCK:
                    yield from map(instant, atom.right)
