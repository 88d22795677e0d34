"""The journal of a connector that keeps a log: drafts become leaves with sealed payloads, to be queued with what they tell.

A leaf's payload is sealed under the key of its subject. Keys are remembered for a while, so that most leaves cost no wait.
May import `connector.log`, the store's queue and the errors; starts nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from connector.log.leaf import Draft, SealedPayload, leaf_of
from connector.log.sealing import payload_key, sealed
from connector.log.subjects import SubjectKeys
from connector.store import leaves as queue
from connector.store.engine import Statement

OWN: Final = "own"
"""The subject of what is about nobody but us."""
MAX_REMEMBERED: Final = 10_000
REMEMBERED_MS: Final = 60_000
"""After this a key is asked for again: another process may have erased it."""


def subject_of(draft: Draft) -> str:
    """The name whose key seals the payload of a draft."""
    if draft.subject:
        return draft.subject
    return f"party:{draft.party}" if draft.party else OWN


class LogJournal:
    """See `connector.log.journal.Journal`. ``wake`` is called when leaves were committed; ``new_id`` gives the leaves' ids."""

    def __init__(
        self,
        subjects: SubjectKeys,
        salt: bytes,
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
        wake: Callable[[], None],
    ) -> None:
        self._subjects = subjects
        self._salt = salt
        self._now_ms = now_ms
        self._new_id = new_id
        self._wake = wake
        self._remembered: OrderedDict[str, tuple[bytes, int]] = OrderedDict()

    async def leaves(self, drafts: Sequence[Draft]) -> list[Statement]:
        """See Journal. Raises StoreUnavailable, Unavailable where a subject's key cannot be had, InvariantBroken for a draft
        that is none."""
        return await self.leaves_of([(self._new_id(), draft) for draft in drafts])

    async def leaves_of(self, drafts: Sequence[tuple[str, Draft]]) -> list[Statement]:
        """The same for drafts that come with the ids (``urn:uuid:``) of their leaves. One that still waits is not queued
        again: the commit loses its race."""
        if not drafts:
            return []
        now = self._now_ms()
        keys = await self._keys({subject_of(draft) for _, draft in drafts if draft.payload is not None}, now)
        made: list[queue.QueuedLeaf] = []
        for leaf_id, draft in drafts:
            payload: SealedPayload | None = None
            if draft.payload is not None:
                payload = sealed(draft.payload, payload_key(keys[subject_of(draft)], leaf_id), leaf_id)
            leaf = leaf_of(draft, leaf_id, now, self._salt, payload)
            digest, content = (None, None) if payload is None else (payload.sha256, payload.ciphertext)
            made.append(queue.QueuedLeaf(leaf_id, leaf, digest, content, now))
        return queue.queue(made)

    def queued(self) -> None:
        """See Journal."""
        self._wake()

    def forget(self, name: str) -> None:
        """The key of this subject was erased: nothing more is sealed with it."""
        self._remembered.pop(name, None)

    async def _keys(self, names: set[str], now: int) -> dict[str, bytes]:
        known: dict[str, bytes] = {}
        for name in names:
            found = self._remembered.get(name)
            if found is not None and 0 <= now - found[1] < REMEMBERED_MS:
                self._remembered.move_to_end(name)
                known[name] = found[0]
        missing = sorted(names - known.keys())
        if missing:
            made = await asyncio.to_thread(self._subjects.keys, missing, now)
            for name, key in zip(missing, made, strict=True):
                known[name] = key
                self._remembered[name] = (key, now)
                self._remembered.move_to_end(name)
            while len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return known
