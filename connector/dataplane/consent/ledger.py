"""The ledger of consents: what is decided about vehicles, one by one and in files, and who may be in a delivery.

Every commit has a number, and the ledger can be read at each of them. A set of vehicles is a file of bits as of a number and a
bounded tail of later decisions; files are written and flushed before the commit that names them, so that a death at any point
leaves what was or what is. Withdrawals are told to ``on_withdrawn`` after their commit, and whoever missed that asks
``withdrawn_since``. No error and no line of the log names a vehicle.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from connector.dataplane.consent import lookup
from connector.dataplane.consent import records as rec
from connector.dataplane.consent.bits import MAX_ORDINAL, Ordinals, holds, load, settle_folder, store
from connector.dataplane.consent.folder import drop
from connector.dataplane.consent.model import (
    MAX_KEYS,
    Enrolment,
    Entry,
    Imported,
    Key,
    Withdrawn,
    checked,
    checked_enrolment,
    iri,
    key_of,
    once,
)
from connector.dataplane.consent.placing import Longs, Placed, Placing, commit_of, place
from connector.dataplane.consent.readings import Readings
from connector.dataplane.consent.records import Bitmap, Decision, Enrolled, Head
from connector.dataplane.consent.staging import Staged, stage
from connector.dataplane.problems import Refusal
from connector.dataplane.query.job import Bits
from connector.dataplane.seams import Telling
from connector.dataplane.threads import settle
from connector.store.engine import Engine, LostRace, Statement, StoreMisuse, StoreUnavailable
from policies.purposes import is_a

log = logging.getLogger("carnet.dataplane")

TAIL: Final = 8192
"""So many decisions may follow a set's file before a new one is written."""
RECENT: Final = 8192
"""So many vehicles may stand in no file."""
VEHICLE_FILES: Final = 32
"""So many files of vehicles may stand side by side."""
TRIES: Final = 8
KEYS_AT_ONCE: Final = 1000
T = TypeVar("T")
OnWithdrawn = Callable[[Withdrawn], Awaitable[None]]


class Ledger(Readings):
    """One ledger over a database and a folder. Open it before anything else; ``on_withdrawn`` may be set at any time."""

    def __init__(
        self, engine: Engine, folder: Path, now_ms: Callable[[], int], *, tail: int = TAIL, recent: int = RECENT
    ) -> None:
        super().__init__(engine, folder)
        self.now_ms = now_ms
        self._tail_limit = tail
        self._recent_limit = recent
        self._writing = asyncio.Lock()
        self._importing = asyncio.Lock()
        self._tails: dict[int, int] = {}
        self.on_withdrawn: OnWithdrawn | None = None
        self.leaves: Telling | None = None

    async def open(self) -> None:
        """Make the folder and clear what a death has left there. Raises StoreUnavailable, OSError or Refusal 503."""
        alone = await settle(self._folder.prepare)
        counting = await self._records.file_names()
        if alone and (cleared := await settle(self._folder.clear, counting)):
            log.info("consents: %d files of unfinished work cleared", cleared)
        if missing := await settle(self._folder.missing, counting):
            raise Refusal(503, "consents-missing", f"{missing} files of the ledger are gone; restore its folder from a backup")

    async def close(self) -> None:
        """Wait for who is writing, then let go of the folder."""
        async with self._importing, self._writing:
            await settle(self._folder.close)

    # -- writing ------------------------------------------------------------------------------------------------------

    async def decide(self, entries: Sequence[Entry]) -> int:
        """Write grants and withdrawals, all or none; gives the number. Returns when the withdrawals were told.

        Raises Refusal 400 for an entry that cannot be, 409 for a grant that says it was made before a withdrawal.
        """
        now = self.now_ms()
        whole = [checked(entry, nth, now) for nth, entry in enumerate(entries, 1)]
        once(whole, lambda entry: (entry.vehicle, key_of(entry)) if isinstance(entry, Entry) else None, "consent-entries")
        async with self._writing:
            number = await self._retried(partial(self._decide, whole, now))
        if not all(entry.given for entry in whole):
            await self._tell(number)
        return number

    async def withdraw(
        self,
        vehicle: str,
        *,
        category: str | None = None,
        purpose: str | None = None,
        recipient: str | None = None,
        decided_by: str = "driver",
    ) -> Withdrawn:
        """Withdraw all that a vehicle agreed to, or what of it is for a category, purpose or recipient, on whatever basis.

        Of a purpose everything goes that would allow it: narrower ones, and broader ones that cover it. An enrolment ends with
        the last consent to its buyer. Returns after the hook, which is called also if nothing was left to withdraw. Raises
        Refusal 404 for a vehicle that the ledger does not know, 400 for words that it does not know.
        """
        wanted = None if purpose is None else iri(purpose)
        tried = Entry(
            vehicle=vehicle,
            category=category or "location",
            purpose=wanted or "dpv:Purpose",
            recipient=recipient or "any",
            given=False,
            decided_by=decided_by,
        )
        checked(tried, 1, self.now_ms())

        def covered(key: Key) -> bool:
            return (
                category in (None, key.category)
                and recipient in (None, key.recipient)
                and (wanted is None or is_a(key.purpose, wanted) or is_a(wanted, key.purpose))
            )

        async with self._writing:
            done = await self._retried(partial(self._withdraw, vehicle, covered, recipient, category or purpose, decided_by))
        await self.tell(done)
        return done

    async def enrol(self, enrolments: Sequence[Enrolment]) -> int:
        """Note the buyer's own reference of vehicles, all or none, in place of earlier ones; gives the number."""
        whole = [checked_enrolment(each, nth) for nth, each in enumerate(enrolments, 1)]
        once(whole, lambda each: (each.vehicle, each.recipient) if isinstance(each, Enrolment) else None, "enrolment-entries")
        async with self._writing:
            return await self._retried(partial(self._enrol, whole))

    async def import_file(self, path: Path) -> Imported:
        """Write a CSV or Parquet file of entries as one commit, all or nothing. Returns when the withdrawals were told.

        Others may write while it is read and checked. Raises Refusal; a wrong row by its number and column.
        """
        async with self._importing:
            scratch = await settle(self._folder.new_scratch)
            try:
                staged = await settle(stage, path, scratch, self.now_ms())
                async with self._writing:
                    done = await self._retried(partial(self._place, staged, scratch))
            finally:
                await settle(drop, scratch)
        if done.withdrawn:
            await self._tell(done.number)
        return done

    # -- what stands beside the consents and shares their commits -----------------------------------------------------

    async def in_turn(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """An attempt to write a commit, alone, and again when another process of this ledger was faster."""
        async with self._writing:
            done = await self._retried(attempt)
            await self._tidy((), await self.number())
            return done

    async def commit(self, change: str, number: int, statements: Sequence[Statement]) -> None:
        """Write a commit of this number, and tell the contract log of it: both or neither."""
        told = [] if self.leaves is None else [self.leaves.consents(change, number)]
        await self._records.commit([*statements, *told])
        if self.leaves is not None:
            self.leaves.wake()

    async def tell(self, withdrawn: Withdrawn) -> None:
        """Something was withdrawn; returns when what follows from that was done."""
        if self.on_withdrawn is not None:
            await self.on_withdrawn(withdrawn)

    # -- one attempt each, under the lock -----------------------------------------------------------------------------

    async def _decide(self, entries: Sequence[Entry], now: int) -> int:
        head = await self._records.head()
        ordinals, new = await self.numbered([entry.vehicle for entry in entries], head)
        ids, new_keys = await self._identified([key_of(entry) for entry in entries])
        decisions = [
            Decision(
                ids[key_of(entry)],
                ordinals[entry.vehicle],
                entry.given,
                entry.decided_by,
                entry.text_sha256,
                now if entry.at_ms is None else entry.at_ms,
            )
            for entry in entries
        ]
        dated = [(nth, each) for nth, each in enumerate(decisions, 1) if each.given and entries[nth - 1].at_ms is not None]
        await self._refuse_late(dated)
        ended = await self._ended({ordinal for _, ordinal in new}, decisions, ids, head.number)
        before = [*rec.insert_keys(new_keys), *rec.insert_vehicles((ordinal, vehicle) for vehicle, ordinal in new)]
        return await self._write(head, decisions, before, ended, head.vehicles + len(new), now)

    async def _withdraw(
        self, vehicle: str, covered: Callable[[Key], bool], recipient: str | None, narrowed: str | None, decided_by: str
    ) -> Withdrawn:
        head, now = await self._records.head(), self.now_ms()
        ordinal = await self._known(vehicle)
        held = await self._held(ordinal, head.number)
        gone = {key: key_id for key, key_id in held.items() if covered(key)}
        decisions = [Decision(key_id, ordinal, False, decided_by, None, now) for key_id in gone.values()]
        left = {key.recipient for key in held if key not in gone}
        lost = {key.recipient for key in gone} | ({recipient} if recipient and not narrowed else set())
        ended = [
            each
            for each in await self._records.enrolments_of(ordinal)
            if each.recipient not in left and (each.recipient in lost or not (recipient or narrowed))
        ]
        changes = bool(decisions or ended)
        number = await self._write(head, decisions, [], ended, head.vehicles, now) if changes else head.number
        return Withdrawn(number, tuple(sorted(gone)), Ordinals.of([ordinal]))

    async def _enrol(self, enrolments: Sequence[Enrolment]) -> int:
        head, now = await self._records.head(), self.now_ms()
        ordinals, new = await self.numbered([each.vehicle for each in enrolments], head)
        number = head.number + 1
        rows = [(ordinals[each.vehicle], each) for each in enrolments]
        replaced = [
            old for ordinal, each in rows for old in await self._records.enrolments_of(ordinal) if old.recipient == each.recipient
        ]
        commit = rec.insert_commit(
            number, "enrolments", entries=len(rows), withdrawn=False, vehicles=head.vehicles + len(new), at=now
        )
        await self.commit(
            "enrolled",
            number,
            [
                commit,
                *rec.insert_vehicles((ordinal, vehicle) for vehicle, ordinal in new),
                *(rec.end_enrolment(old, number) for old in replaced),
                *rec.insert_enrolments(number, rows, now),
            ],
        )
        await self._tidy((), number)
        return number

    async def _place(self, staged: Staged, scratch: Path) -> Imported:
        head = await self._records.head()
        number, stem = head.number + 1, self._folder.new_stem(head.number + 1)
        ids, new_keys = await self._identified(staged.keys)
        files, recent = await self._records.vehicles_known()
        chosen = {key: ids[key] for key in staged.keys}
        work = Placing(
            staged=staged,
            number=number,
            first=head.vehicles,
            folder=self._folder.path,
            scratch=scratch,
            stem=stem,
            vehicle_files=self._folder.files(files),
            recent=recent,
            history=self._folder.files(await self._records.files("import")),
            keys=chosen,
            sets={key_id: await self._bits(key_id, head.number) for key_id in chosen.values()},
            withdrawals=await self._withdrawals(sorted(chosen.values())),
        )
        try:
            placed = await settle(place, work)
            await settle(settle_folder, self._folder.path)
            ended = await self._ended_by(placed, work) if placed.withdrawn else []
            await self.commit("imported", number, commit_of(work, placed, new_keys, ended, self.now_ms()))
        except (Refusal, LostRace, StoreMisuse, OSError):
            await settle(self._folder.discard, stem)
            raise
        self._tails |= dict.fromkeys(chosen.values(), 0)
        await self._tidy((), number)
        return Imported(
            number=number,
            entries=staged.entries,
            new_vehicles=placed.new_vehicles,
            withdrawn=placed.withdrawn,
            late=placed.late,
        )

    # -- parts --------------------------------------------------------------------------------------------------------

    async def _retried(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Once more when another process of this ledger was faster."""
        for _ in range(TRIES):
            with contextlib.suppress(LostRace):
                return await attempt()
        raise Refusal(503, "ledger-busy", "others write into the ledger all the time; try again")

    async def _write(
        self,
        head: Head,
        decisions: Sequence[Decision],
        before: Sequence[Statement],
        ended: Sequence[Enrolled],
        vehicles: int,
        now: int,
    ) -> int:
        number = head.number + 1
        withdrawn = bool(ended) or any(not each.given for each in decisions)
        commit = rec.insert_commit(number, "decisions", entries=len(decisions), withdrawn=withdrawn, vehicles=vehicles, at=now)
        ends = [rec.end_enrolment(each, number) for each in ended]
        answers = {each.given for each in decisions}
        change = "decided" if len(answers) > 1 else "granted" if True in answers else "withdrawn"
        await self.commit(change, number, [commit, *before, *rec.insert_decisions(number, decisions), *ends])
        for each in decisions:
            if each.key_id in self._tails:
                self._tails[each.key_id] += 1
        await self._tidy({each.key_id for each in decisions}, number)
        return number

    async def numbered(self, vehicles: Iterable[str], head: Head) -> tuple[dict[str, int], list[tuple[str, int]]]:
        """The ordinals of vehicles, and which of them are new."""
        asked = dict.fromkeys(vehicles)
        known = await self._ordinals(asked)
        new = [(vehicle, head.vehicles + nth) for nth, vehicle in enumerate(each for each in asked if each not in known)]
        if head.vehicles + len(new) - 1 > MAX_ORDINAL:
            raise Refusal(400, "vehicles-too-many", f"the ledger numbers at most {MAX_ORDINAL + 1} vehicles")
        return known | dict(new), new

    async def _identified(self, keys: Iterable[Key]) -> tuple[dict[Key, int], list[tuple[int, Key]]]:
        """The ids of all keys, and those that are new."""
        ids = await self._records.keys()
        unknown = [key for key in dict.fromkeys(keys) if key not in ids]
        if len(ids) + len(unknown) > MAX_KEYS:
            raise Refusal(400, "keys-too-many", f"more than {MAX_KEYS} combinations of category, purpose, recipient and basis")
        new = list(enumerate(unknown, max(ids.values(), default=0) + 1))
        return ids | {key: key_id for key_id, key in new}, new

    async def _refuse_late(self, grants: Sequence[tuple[int, Decision]]) -> None:
        """A grant that says when it was made comes after every withdrawal that the ledger has, or it is refused."""
        if not grants:
            return
        ordinals = sorted({each.ordinal for _, each in grants})
        taken = await self._records.withdrawals(ordinals)
        if files := await self._records.files("import"):
            for about, at in (await self._in_scratch(lookup.withdrawals, self._folder.files(files), ordinals)).items():
                taken[about] = max(at, taken.get(about, at))
        for nth, each in grants:
            if each.at <= taken.get((each.key_id, each.ordinal), -1):
                raise Refusal(409, "grant-late", f"entry {nth}: a later withdrawal stands in the ledger; nothing was written")

    async def _ended(
        self, new: Collection[int], decisions: Sequence[Decision], ids: dict[Key, int], number: int
    ) -> list[Enrolled]:
        """The enrolments whose buyers lose their last consent by these decisions."""
        buyers = {key_id: key.recipient for key, key_id in ids.items()}
        lost = {(each.ordinal, buyers[each.key_id]) for each in decisions if not each.given and each.ordinal not in new}
        ended = []
        for ordinal in sorted({ordinal for ordinal, _ in lost}):
            enrolled = [each for each in await self._records.enrolments_of(ordinal) if (ordinal, each.recipient) in lost]
            if not enrolled:
                continue
            held = set((await self._held(ordinal, number)).values())
            held |= {each.key_id for each in decisions if each.ordinal == ordinal and each.given}
            held -= {each.key_id for each in decisions if each.ordinal == ordinal and not each.given}
            left = {buyers[key_id] for key_id in held}
            ended += [each for each in enrolled if each.recipient not in left]
        return ended

    async def _ended_by(self, placed: Placed, work: Placing) -> list[Enrolled]:
        """The same of an import, whose sets are written but not committed."""
        after = {bitmap.key_id: Bits(str(self._folder.file(bitmap.name))) for bitmap in placed.bitmaps}
        ended: list[Enrolled] = []
        ids = await self._records.keys()
        for recipient in sorted({key.recipient for key in work.keys}):
            enrolled = {each.ordinal: each for each in await self._records.enrolled(recipient)}
            if not enrolled:
                continue
            touched = [work.sets[key_id] for key, key_id in work.keys.items() if key.recipient == recipient]
            before = set().union(*[await settle(holds, bits, enrolled) for bits in touched])
            mine = {key_id for key, key_id in (ids | dict(work.keys)).items() if key.recipient == recipient}
            now = [after[key_id] if key_id in after else await self._bits(key_id, work.number - 1) for key_id in sorted(mine)]
            left = set().union(*[await settle(holds, bits, enrolled) for bits in now])
            ended += [enrolled[ordinal] for ordinal in sorted(before - left)]
        return ended

    async def _withdrawals(self, key_ids: Sequence[int]) -> tuple[Longs, Longs, Longs]:
        """Key, ordinal and time of all that was withdrawn of these one by one."""
        pages = [np.zeros((0, 4), np.int64)]
        for at in range(0, len(key_ids), KEYS_AT_ONCE):
            after = (0, 0, -1)
            while page := await self._records.withdrawal_page(key_ids[at : at + KEYS_AT_ONCE], after):
                pages.append(np.array(page, np.int64))
                after = page[-1][:3]
        whole = np.concatenate(pages)
        return whole[:, 1], whole[:, 2], whole[:, 3]

    async def _tell(self, number: int) -> None:
        for withdrawn in await self._withdrawn_in(number):
            await self.tell(withdrawn)

    async def _tidy(self, key_ids: Collection[int], number: int) -> None:
        """Write sets and vehicles anew whose tails are long. What fails is done after another commit: nothing is lost."""
        try:
            for key_id in sorted(key_ids):
                await self._shorten(key_id, number)
            await self._fold(number)
        except (OSError, Refusal, LostRace, StoreUnavailable) as error:
            log.warning("consents: files could not be written anew: %s", type(error).__name__)

    async def _shorten(self, key_id: int, number: int) -> None:
        if key_id not in self._tails:
            base = await self._records.bitmap(key_id, number)
            self._tails[key_id] = await self._records.tail_length(key_id, base.number if base else 0)
        if self._tails[key_id] <= self._tail_limit:
            return
        bits = await self._bits(key_id, number)
        name = f"{self._folder.new_stem(number)}.{key_id}.bits"
        vehicles = await settle(lambda: store(load(bits), self._folder.file(name)))
        await settle(settle_folder, self._folder.path)
        await self._records.commit([rec.insert_bitmap(Bitmap(key_id, number, name, vehicles))])
        self._tails[key_id] = 0

    async def _fold(self, number: int) -> None:
        """Vehicles that stand in no file go into one; many files become one. The old ones are cleared at the next start."""
        if await self._records.recent() > self._recent_limit:
            _, recent = await self._records.vehicles_known()
            name = f"{self._folder.new_stem(number)}.vehicles.parquet"
            await self._in_scratch(lookup.write_vehicles, self._folder.file(name), recent, ())
            await settle(settle_folder, self._folder.path)
            span = (min(ordinal for _, ordinal in recent), max(ordinal for _, ordinal in recent))
            await self._records.commit(rec.fold_vehicles(name, number, span, len(recent)))
        files = await self._records.files("vehicles")
        if len(files) > VEHICLE_FILES:
            name = f"{self._folder.new_stem(number)}.vehicles.parquet"
            rows = await self._in_scratch(lookup.write_vehicles, self._folder.file(name), (), self._folder.files(files))
            await settle(settle_folder, self._folder.path)
            await self._records.commit(rec.merge_files(name, number, rows, files))
