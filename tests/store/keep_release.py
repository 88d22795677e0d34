"""``python -m tests.store.keep_release VERSION``: keep the databases of a release; the control database has a row in each table.

The dump is SQLite's text; tests load it into both engines and upgrade it with the migrations of today.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from connector.app import MIGRATIONS
from connector.dataplane.process import MIGRATIONS as DATA_MIGRATIONS
from connector.protocol.record import Detail, Process
from connector.protocol.states import Kind, Message, Role, State
from connector.store import shelf, writes
from connector.store.backup import dump_sqlite
from connector.store.control import ControlStore
from connector.store.migrate import migrate
from connector.store.rows import Agreement, Happening, Judged, Offered, Outgoing, Published, Timer, Visibility
from connector.store.sqlite import SqliteEngine

RELEASES = Path(__file__).parent / "releases"
_NOT_OURS = ("BEGIN TRANSACTION;", "COMMIT;", 'DELETE FROM "sqlite_sequence";', 'INSERT INTO "sqlite_sequence"')

OFFER = {"@id": "urn:offer:1", "@type": "Offer", "target": "trips", "permission": [{"action": "use"}]}
NEGOTIATION = Process(
    id="urn:uuid:negotiation",
    kind=Kind.NEGOTIATION,
    role=Role.PROVIDER,
    state=State.FINALIZED,
    counterparty="did:web:city.example",
    peer_address="https://city.example/dsp/2025-1",
    correlation_id="correlation",
    subject="trips",
    created_at=1_000,
    updated_at=2_000,
    detail=Detail(first_digest="digest", offer=OFFER, offer_from=Role.CONSUMER),
    peer_pid="urn:uuid:theirs",
)
TRANSFER = replace(
    NEGOTIATION,
    id="urn:uuid:transfer",
    kind=Kind.TRANSFER,
    state=State.REQUESTED,
    awaiting=Message.START,
    awaiting_id="urn:uuid:start",
    subject="urn:uuid:agreement",
    detail=Detail(format="HttpData-PULL", dataset="trips"),
    peer_pid="urn:uuid:their-transfer",
)
AGREEMENT = Agreement(
    "urn:uuid:agreement",
    NEGOTIATION.counterparty,
    "provider",
    NEGOTIATION.id,
    "trips",
    '{"@id":"urn:uuid:agreement"}',
    "binding",
    1,
    2,
)
START = Outgoing(
    id="urn:uuid:start",
    lane=TRANSFER.id,
    channel="dsp",
    counterparty=TRANSFER.counterparty,
    process_id=TRANSFER.id,
    message="START",
    url="https://city.example/dsp/2025-1/transfers/x/start",
    body="{}",
    correlation_id="correlation",
    created_at=1_000,
    deadline_at=9_000_000_000_000,
    due_at=1_000,
)


async def fill(store: ControlStore) -> None:
    """A row in every table, through the product's own writes."""
    await store.commit(
        [
            writes.insert_process(NEGOTIATION),
            writes.insert_process(TRANSFER),
            writes.insert_agreement(AGREEMENT),
            writes.insert_judged(Judged(NEGOTIATION.counterparty, "urn:uuid:m", NEGOTIATION.id, "digest", 201, "{}", 1_500)),
            writes.insert_outgoing(START),
            writes.insert_timer(Timer("urn:uuid:timer", "transfer-deadline", TRANSFER.id, 9_000_000_000_000)),
            writes.insert_event(Happening(TRANSFER.id, 2_000, "received", "REQUEST", "urn:uuid:m", "REQUESTED", None)),
            *shelf.publish_dataset(
                Published("trips", '{"@id":"trips"}', "trips.csv", 500, brief='{"@id":"trips"}', words="trips"),
                [Offered("urn:offer:1", "trips", document='{"@id":"urn:offer:1"}', visibility="digest")],
                [Visibility("digest", '{"permission":[{"action":"use"}]}', "admitted")],
            ),
            writes.keep_capability(NEGOTIATION.counterparty, '{"features":["hello"]}', 700),
        ]
    )


async def keep(version: str) -> None:
    """Write the dumps of ``version``; a release that is kept already is never changed."""
    for name, migrations in (("control", MIGRATIONS), ("data", DATA_MIGRATIONS)):
        target = RELEASES / f"{version}.{name}.sql"
        if target.exists():
            raise SystemExit(f"{target.name} is kept already")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "kept.db"
            engine = await SqliteEngine.open(path)
            await migrate(engine, migrations, 1_000)
            if name == "control":
                await fill(ControlStore(engine))
            await engine.close()
            lines = [line for line in dump_sqlite(path).splitlines() if not line.startswith(_NOT_OURS)]
        target.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    asyncio.run(keep(sys.argv[1]))
