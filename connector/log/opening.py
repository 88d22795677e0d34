"""The contract log of one connector put together: its folder, its keys of subjects, the journal and the sequencer.

Called by ``app.py``. May import `connector.log`, the store's queue, the key ring and the settings.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from connector.identity.keyfiles import retire
from connector.identity.keys import KeyRing, Use
from connector.log import layout
from connector.log import payloads as payloads_file
from connector.log import subjects as subjects_file
from connector.log.access import LogAccess
from connector.log.folder import LogFolder
from connector.log.growing import GrowingLog, LogRefused
from connector.log.journaling import LogJournal
from connector.log.note import NoteRefused, origin_of
from connector.log.payloads import Payloads
from connector.log.persons import LogPersons
from connector.log.sequencer import Sequencer
from connector.log.signers import LogSigners
from connector.log.subjects import SubjectKeys
from connector.protocol.errors import Unavailable
from connector.settings import Settings, SettingsError
from connector.store.engine import Engine
from connector.store.leaves import LeafQueue


@dataclass(frozen=True, slots=True)
class ContractLog:
    """The log of a connector. ``salt`` opens the salted names in it; ``access`` and ``persons`` are for who reads it."""

    origin: str
    salt: bytes
    queue: LeafQueue
    signers: LogSigners
    journal: LogJournal
    sequencer: Sequencer
    access: LogAccess
    persons: LogPersons

    async def begin(self) -> None:
        """Be the one that writes the log, unless another process is.

        Raises LogRefused, LogDamaged, StoreUnavailable, and Unavailable ``log-unusable`` for a folder that cannot be used.
        """
        try:
            await self.sequencer.begin()
        except OSError as error:
            raise _unusable(self.access.folder.path, error) from error

    async def close(self) -> None:
        """Put what waits into the log, and let its files go."""
        await self.sequencer.close()
        await asyncio.to_thread(self._let_go)

    def _let_go(self) -> None:
        self.access.payloads.close()
        self.access.subjects.close()


async def open_log(
    settings: Settings,
    engine: Engine,
    ring: KeyRing,
    *,
    now_ms: Callable[[], int],
    new_id: Callable[[], str],
    told: Callable[[int, int], None],
) -> ContractLog:
    """The log that the settings name; made where neither the folder nor the database knows of one.

    Raises SettingsError for a participant whose id is too long, LogRefused ``log-lost`` where the database has given leaves to a
    log that is not there, LogDamaged, Unavailable, StoreUnavailable.
    """
    folder, queue = settings.log.folder, LeafQueue(engine)
    try:
        origin = origin_of(settings.participant_id)
    except NoteRefused as error:
        raise SettingsError("participant-long", "participant_id", error.reason) from error
    known = (await queue.state()).folder
    secrets = (partial(ring.secret, Use.SUBJECTS), partial(ring.older, Use.SUBJECTS))
    salt, access = await asyncio.to_thread(_opened, folder, known, *secrets)
    signers = LogSigners(ring, origin, partial(retire, settings.keys.dir))
    sequencer = Sequencer(
        queue,
        partial(GrowingLog, folder, origin, salt, signers),
        folder,
        salt,
        now_ms=now_ms,
        batch_rows=settings.log.batch_leaves,
        told=told,
    )
    journal = LogJournal(access.subjects, salt, now_ms=now_ms, new_id=new_id, wake=sequencer.wake)
    persons = LogPersons(access.subjects, access.payloads, now_ms, folder=access.folder, forget=journal.forget)
    return ContractLog(origin, salt, queue, signers, journal, sequencer, access, persons)


def _opened(
    folder: Path, known: str, secret: Callable[[], bytes], older: Callable[[], tuple[bytes, ...]]
) -> tuple[bytes, LogAccess]:
    if known and not (folder / layout.SALT).is_file():
        remedy = "put its folder back, or set log.folder; replicas of one connector share one"
        reason = f"the database has written to a contract log that is not in {folder}: {remedy}"
        raise LogRefused("log-lost", reason)
    try:
        layout.make_folder(folder)
        salt = layout.ensure_salt(folder)
    except OSError as error:
        raise _unusable(folder, error) from error
    subjects = SubjectKeys(folder / subjects_file.FILE, secret, older)
    return salt, LogAccess(LogFolder(folder), Payloads(folder / payloads_file.FILE), subjects)


def _unusable(folder: Path, error: OSError) -> Unavailable:
    return Unavailable("log-unusable", f"cannot use the folder {folder} ({error.strerror}); see its owner, mode and disk")
