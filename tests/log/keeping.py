"""A contract log over a real folder and a real database, as a test needs it, and what its files say to a reader."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from connector.app import MIGRATIONS
from connector.identity.keyfiles import ensure_keys, load_keys, retire
from connector.identity.keys import KeyRing
from connector.log import layout
from connector.log.folder import LogFolder
from connector.log.growing import GrowingLog
from connector.log.merkle import Edge, leaf_hash
from connector.log.note import Checkpoint, Verifier, opened
from connector.log.payloads import FILE, Payloads
from connector.log.sequencer import Sequencer
from connector.log.signers import LogSigners
from connector.store.leaves import LeafQueue, QueuedLeaf, queue
from connector.store.migrate import Migratable, migrate
from tests.store.conftest import open_engine

US = "did:web:us.example"
ORIGIN = "us.example/log"
AT = 1_790_000_000_000


def ring_at(folder: Path) -> KeyRing:
    """The keys in a folder, made where there are none."""
    return ensure_keys(folder, US, {}, 48, AT)


@dataclass
class Keeping:
    """One replica: its connection to the database, and what writes the log."""

    database: str
    folder: Path
    keys: Path
    engine: Migratable
    ring: KeyRing
    waiting: LeafQueue
    sequencer: Sequencer
    told: list[tuple[int, int]]
    changed: asyncio.Event

    async def commit(self, *texts: str, payload: bytes | None = None) -> list[str]:
        """Leaves of these texts, committed; gives their ids."""
        made = [some_leaf(text, payload) for text in texts]
        await self.engine.commit(queue(made))
        self.sequencer.wake()
        return [each.id for each in made]

    async def until_told(self, size: int = 0, *, times: int = 0) -> None:
        """Until the log has so many leaves, and its size was told so many times."""
        async with asyncio.timeout(30):
            while (await self.waiting.state()).size < size or len(self.told) < times:
                self.changed.clear()
                if (await self.waiting.state()).size < size or len(self.told) < times:
                    await self.changed.wait()

    def ring_verifier(self) -> Verifier:
        """The key that is to sign the log now."""
        return LogSigners(self.ring, ORIGIN, lambda _: None).now().verifier

    def reload(self) -> None:
        """Read the keys again, as a running connector does."""
        self.ring.become(load_keys(self.keys, {}, 48))


@asynccontextmanager
async def keeping(database: str, home: Path, *, batch_rows: int = 4096) -> AsyncIterator[Keeping]:
    """A replica that does not yet write: see `Sequencer.begin`."""
    folder, keys = home / "log", home / "keys"
    ring = await asyncio.to_thread(ring_at, keys)
    engine = await open_engine(database)
    try:
        await migrate(engine, MIGRATIONS, AT)
        layout.make_folder(folder)
        salt = layout.ensure_salt(folder)
        signers = LogSigners(ring, ORIGIN, partial(retire, keys))
        waiting, told, changed = LeafQueue(engine), list[tuple[int, int]](), asyncio.Event()

        def tell(size: int, queued: int) -> None:
            told.append((size, queued))
            changed.set()

        sequencer = Sequencer(
            waiting,
            partial(GrowingLog, folder, ORIGIN, salt, signers),
            folder,
            salt,
            now_ms=lambda: AT,
            batch_rows=batch_rows,
            told=tell,
        )
        try:
            yield Keeping(database, folder, keys, engine, ring, waiting, sequencer, told, changed)
        finally:
            await sequencer.close()
    finally:
        await engine.close()


@asynccontextmanager
async def running(kept: Keeping) -> AsyncIterator[asyncio.Task[None]]:
    """The sequencer's task, ended as the connector ends it."""
    task = asyncio.create_task(kept.sequencer.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await kept.sequencer.close()


def some_leaf(text: str, payload: bytes | None = None) -> QueuedLeaf:
    """A leaf of the form of ours; ``text`` makes it what it is."""
    leaf_id = uuid.uuid5(uuid.NAMESPACE_OID, text).urn
    said = {"id": leaf_id, "time": "2026-01-01T00:00:00.000Z", "type": "message", "v": 1, "state": text}
    return QueuedLeaf(leaf_id, json.dumps(said).encode(), None if payload is None else leaf_hash(payload).hex(), payload, AT)


def checked(folder: Path) -> list[str]:
    """The ids of the leaves of a log, after its root was made anew from its entries and its checkpoint opened."""
    return checked_against(folder, ())


def checked_against(folder: Path, earlier: Sequence[str]) -> list[str]:
    """The same; and every earlier checkpoint (a note) is of the log as it is now."""
    on_disk = LogFolder(folder)
    heads = [head_of(folder, note) for note in (*earlier, on_disk.checkpoint()) if note is not None]
    if not heads:
        return []
    size = heads[-1].size
    entries = list(on_disk.entries(0, size))
    edge, roots = Edge.empty(), {}
    for entry in entries:
        edge = edge.extended([leaf_hash(entry)])
        roots[edge.size] = edge.root()
    for head in heads:
        assert roots[head.size] == head.root, f"the checkpoint of {head.size} leaves is of another log"
    assert on_disk.edge(size).root() == heads[-1].root
    ids = [json.loads(entry)["id"] for entry in entries]
    assert len(set(ids)) == len(ids), "a leaf is there twice"
    return ids


def head_of(folder: Path, note: str) -> Checkpoint:
    """What a checkpoint says, signed by the last of our keys or one before it."""
    return opened(note, layout.read_vkeys(folder)).checkpoint


def signers_of(folder: Path, note: str) -> list[Verifier]:
    """Who signed a checkpoint, out of the keys in the list."""
    return [each.verifier for each in opened(note, layout.read_vkeys(folder)).verified]


def payload_of(folder: Path, digest: str) -> bytes | None:
    """A payload beside a log."""
    with Payloads(folder / FILE, read_only=True) as payloads:
        return payloads.get(digest)
