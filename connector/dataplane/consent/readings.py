"""The ledger of consents as it is read: at any number, without a lock, while others write.

What a commit wrote never changes, so everything that is read at one number belongs together. May import this package and the
form of a population.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from connector.dataplane.consent import lookup
from connector.dataplane.consent import records as rec
from connector.dataplane.consent.bits import Ordinals, Whole, holds, load
from connector.dataplane.consent.folder import LedgerFolder, drop
from connector.dataplane.consent.model import NAME, Counted, Key, Noted, Withdrawn, written
from connector.dataplane.consent.records import ConsentRecords, Head
from connector.dataplane.consent.requests import RequestRecords, covering
from connector.dataplane.plan.model import Consent
from connector.dataplane.problems import Refusal
from connector.dataplane.query.job import Bits, Population
from connector.dataplane.threads import settle
from connector.store.engine import Engine

KEY_BYTES: Final = 32
T = TypeVar("T")


class Readings:
    """What can be asked of a ledger over a database and a folder."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._records = ConsentRecords(engine)
        self.requests = RequestRecords(engine)
        self._folder = LedgerFolder(folder)

    async def head(self) -> Head:
        """The last commit."""
        return await self._records.head()

    async def number(self) -> int:
        """The number of the last commit; 0 for an empty ledger."""
        return (await self.head()).number

    async def ordinal(self, vehicle: str) -> int:
        """Of a vehicle. Raises Refusal 404 for one that the ledger does not know."""
        return await self._known(vehicle)

    async def population(self, consent: Consent | None, number: int | None = None) -> Population:
        """The vehicles that the ledger knows and, for each category, the sets of which a vehicle must be in one, as of a number.

        A category for which nobody ever agreed has no sets: nobody is in it. Where requests of users are named, a vehicle must
        also be in the set of those whose request covers the category. Key, references and who is left out are the
        caller's. Raises Refusal 404 for a number that is still to come.
        """
        at = await self._at(number)
        files, recent = await self._records.vehicles_known()
        granted = None
        if consent is not None:
            granted = (*await self._agreed(consent, at), *await self._requested(consent, at))
        paths = tuple(map(str, self._folder.files(files)))
        return Population(ordinals=paths, recent=tuple(recent), granted=granted)

    async def counts(self, number: int | None = None) -> list[Counted]:
        """How many vehicles agree to each key, as of a number; keys without any are left out."""
        at = await self._at(number)
        bitmaps = await self._records.newest_bitmaps(at)
        counted = []
        for key, key_id in sorted((await self._records.keys()).items()):
            bits = await self._bits(key_id, at)
            base = Bits(bits.file)
            vehicles = (bitmaps[key_id].vehicles if key_id in bitmaps else 0) + len(bits.added)
            vehicles -= len(await settle(holds, base, bits.added)) + len(await settle(holds, base, bits.taken))
            if vehicles:
                counted.append(Counted(key.category, key.purpose, key.recipient, key.basis, vehicles))
        return counted

    async def vehicle(self, vehicle: str, limit: int = 1000) -> list[Noted]:
        """What was decided about a vehicle, newest first, at most ``limit`` entries. Raises Refusal 404."""
        ordinal = await self._known(vehicle)
        noted = await self._records.decisions_of(ordinal, limit)
        if files := await self._records.files("import"):
            keys = {key_id: key for key, key_id in (await self._records.keys()).items()}
            noted += await self._in_scratch(lookup.imported, self._folder.files(files), ordinal, keys, limit)
        return sorted(noted, key=lambda each: -each.number)[:limit]

    async def held(self, vehicle: str) -> list[Key]:
        """What a vehicle agrees to now. Raises Refusal 404."""
        keys = await self._held(await self._known(vehicle), await self.number())
        return sorted(keys)

    async def references(self, recipient: str, number: int | None = None) -> tuple[tuple[int, str], ...]:
        """Ordinal and the buyer's own reference of each vehicle that is enrolled for it, as of a number."""
        return tuple(await self._records.references(recipient, await self._at(number)))

    async def vehicles(self, ordinals: Collection[int]) -> dict[int, str]:
        """The names of vehicles; never for a log. Ordinals that were never given out are left out."""
        files, recent = await self._records.vehicles_known()
        asked = set(ordinals)
        found = {ordinal: vehicle for vehicle, ordinal in recent if ordinal in asked}
        if files and (rest := asked - found.keys()):
            found |= await self._in_scratch(lookup.names, self._folder.files(files), rest)
        return found

    async def withdrawn_since(self, number: int) -> list[tuple[int, int]]:
        """Number and vehicle (ordinal) of the withdrawals with a higher number, oldest first; an enrolment or a
        request that ended is one."""
        found: list[tuple[int, int]] = []
        for at, _ in await self._records.withdrawing(number):
            ordinals = {ordinal for told in await self._withdrawn_in(at) for ordinal in told.ordinals}
            ordinals.update(await self._records.ended_in(at))
            ordinals.update(await self.requests.ended_in(at))
            found += [(at, ordinal) for ordinal in sorted(ordinals)]
        return found

    async def enrolments(self, ordinal: int) -> list[dict[str, object]]:
        """By which references buyers know or knew a vehicle."""
        names = ("recipient", "reference", "decidedBy", "at", "number", "ended")
        return [dict(zip(names, row, strict=True)) for row in await self._records.enrolled_as(ordinal)]

    async def concerned(self, number: int) -> Whole:
        """The vehicles (ordinals, ascending) that a commit is about."""
        found = np.array(await self._records.concerned(number), np.uint32)
        if files := await self._records.imported(number):
            found = np.union1d(found, await self._in_scratch(lookup.concerned, self._folder.files(files)))
        return found

    # -- keys of pseudonyms -------------------------------------------------------------------------------------------

    async def pseudonym_key(self, recipient: str, agreement: str) -> str:
        """Of a buyer and an agreement: 32 random bytes in hex, made at the first time. Raises Refusal 410 once it is gone."""
        found = await self._records.pseudonym_key(recipient, agreement)
        if found is None:
            await self._records.commit([rec.insert_pseudonym_key(recipient, agreement, secrets.token_bytes(KEY_BYTES))])
            found = await self._records.pseudonym_key(recipient, agreement)
        if found is None or found[0] is None:
            raise Refusal(410, "key-forgotten", "the key of this agreement's pseudonyms was destroyed; it needs a new agreement")
        return found[0].hex()

    async def forget_key(self, recipient: str, agreement: str) -> None:
        """Destroy a key for good: nobody can make these pseudonyms again."""
        await self._records.commit([rec.forget_pseudonym_key(recipient, agreement)])

    # -- parts --------------------------------------------------------------------------------------------------------

    async def _at(self, number: int | None) -> int:
        last = await self.number()
        if number is None:
            return last
        if not 0 <= number <= last:
            raise Refusal(404, "ledger-number", f"the ledger has the numbers 0 to {last}")
        return number

    async def _agreed(self, consent: Consent, number: int) -> list[tuple[Bits, ...]]:
        """The sets of each category; none where a request of the user is the ground."""
        if not consent.bases:
            return []
        ids = await self._records.keys()
        return [await self._sets(category, consent, ids, number) for category in consent.categories]

    async def _requested(self, consent: Consent, number: int) -> list[tuple[Bits, ...]]:
        if not consent.requests:
            return []
        standing = await self.requests.standing(consent.requests, consent.recipient, consent.purposes, number)
        return [(Bits(added=covering(standing, category)),) for category in consent.categories]

    async def _sets(self, category: str, consent: Consent, ids: dict[Key, int], number: int) -> tuple[Bits, ...]:
        keys = [Key(category, purpose, consent.recipient, basis) for purpose in consent.purposes for basis in consent.bases]
        sets = [await self._bits(ids[key], number) for key in keys if key in ids]
        return tuple(bits for bits in sets if bits.file is not None or bits.added)

    async def _bits(self, key_id: int, number: int) -> Bits:
        """The set of a key as of a number."""
        base = await self._records.bitmap(key_id, number)
        tail = await self._records.tail(key_id, base.number if base else 0, number)
        return Bits(
            file=str(self._folder.file(base.name)) if base else None,
            added=tuple(ordinal for ordinal, given in tail.items() if given),
            taken=tuple(ordinal for ordinal, given in tail.items() if not given),
        )

    async def _held(self, ordinal: int, number: int) -> dict[Key, int]:
        """What a vehicle agrees to as of a number, with the ids of the keys."""
        bitmaps = await self._records.newest_bitmaps(number)
        latest = await self._records.latest(ordinal, number)
        names = {key_id: str(self._folder.file(found.name)) for key_id, found in bitmaps.items()}

        def standing(key_id: int) -> bool:
            base = bitmaps.get(key_id)
            since, given = latest.get(key_id, (0, False))
            if base is None or since > base.number:
                return given
            return bool(holds(Bits(names[key_id]), [ordinal]))

        ids = await self._records.keys()
        return await settle(lambda: {key: key_id for key, key_id in ids.items() if standing(key_id)})

    async def _known(self, vehicle: str) -> int:
        found = (await self._ordinals([vehicle])).get(vehicle) if written(NAME, vehicle) else None
        if found is None:
            raise Refusal(404, "vehicle-unknown", "the ledger does not know this vehicle; look at how it is written")
        return found

    async def _ordinals(self, vehicles: Iterable[str]) -> dict[str, int]:
        """Of those that the ledger knows."""
        asked = sorted(set(vehicles))
        # What is folded into a file between the two reads is found in the second one.
        found = await self._records.ordinals(asked)
        rest = [vehicle for vehicle in asked if vehicle not in found]
        if rest and (files := await self._records.files("vehicles")):
            found |= await self._in_scratch(lookup.find, self._folder.files(files), rest)
        return found

    async def _withdrawn_in(self, number: int) -> list[Withdrawn]:
        """What a commit withdrew, keys together that were withdrawn for the same vehicles."""
        keys = {key_id: key for key, key_id in (await self._records.keys()).items()}
        alike: dict[tuple[int, ...], list[Key]] = {}
        for key_id, rows in groupby(await self._records.decisions_in(number), key=itemgetter(0)):
            alike.setdefault(tuple(ordinal for _, ordinal in rows), []).append(keys[key_id])
        told = [Withdrawn(number, tuple(affected), Ordinals.of(ordinals)) for ordinals, affected in alike.items()]
        for bitmap in await self._records.bitmaps_of(number):
            before = await self._bits(bitmap.key_id, number - 1)
            gone = await settle(_gone, before, self._folder.file(bitmap.name))
            if len(gone):
                told.append(Withdrawn(number, (keys[bitmap.key_id],), gone))
        return told

    async def _in_scratch(self, work: Callable[..., T], *args: object) -> T:
        """Blocking work of the engine, with an own folder to spill to as its last argument."""
        scratch = await settle(self._folder.new_scratch)
        try:
            return await settle(work, *args, scratch)
        finally:
            await settle(drop, scratch)


def _gone(before: Bits, after: Path) -> Ordinals:
    old, new = load(before), load(Bits(str(after)))
    shared = min(len(old), len(new))
    return Ordinals(np.concatenate((old[:shared] & ~new[:shared], old[shared:])))
