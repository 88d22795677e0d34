"""A provider and a consumer whose four processes are started, stopped and killed one by one: two connectors, two data planes.

They meet by ``did:web`` over loopback, so that each finds the keys that the other signs with. The data planes are not managed by
their connectors, so that either dies without the other. Only settings that an operator has are set.
"""

from __future__ import annotations

import asyncio
import csv
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

import aiohttp

from connector.cli.init import make_house
from connector.client.local import Away, Document, LocalClient
from connector.settings.model import DEVELOPMENT_KEY
from tests.faults.world import SERVE, Program, toml, write
from tests.ports import free_port

STEP_S: Final = 90.0
LOOK_S: Final = 0.02
DISPATCH: Final = {"backoff_first_ms": 50, "backoff_max_s": 1, "attempt_timeout_s": 5, "lease_s": 10}
ENDS: Final = ("COMPLETED", "TERMINATED")
Found = TypeVar("Found")


@dataclass(slots=True)
class Party:
    """One side: its connector (``control``) and its data plane (``plane``)."""

    name: str
    folder: Path
    protocol_port: int
    public_port: int
    signaling_port: int
    control_port: int
    control: Program
    plane: Program

    @property
    def id(self) -> str:
        """Its DID, which is looked up at its own listener."""
        return f"did:web:localhost%3A{self.protocol_port}"

    @property
    def origin(self) -> str:
        """What the other side sees of its listener."""
        return f"http://localhost:{self.protocol_port}"

    @property
    def received(self) -> Path:
        """Where its data plane puts what came."""
        return self.folder / "received"

    def owner(self) -> LocalClient:
        """A client of its owner's channel."""
        return LocalClient(socket=str(self.folder / "carnet.sock"))

    async def start(self) -> None:
        """Both processes; returns when they serve."""
        await self.plane.start()
        await self.control.start()
        await self.serving()

    async def serving(self) -> None:
        """Until the connector answers and has its data plane."""

        async def there() -> bool:
            if self.control.ended or self.plane.ended:
                raise AssertionError(f"a process of the {self.name} has ended; see the end of its log")
            await self.plane_says("/health")
            async with self.owner() as owner:
                return bool((await owner.status())["dataPlane"])

        await until(there)

    async def kill_control(self) -> None:
        """SIGKILL to the connector, which is started again at once; does not wait until it serves."""
        await self.control.end(signal.SIGKILL)
        await self.control.start()

    async def kill_plane(self) -> None:
        """SIGKILL to the data plane, which is started again at once; does not wait until it serves."""
        await self.plane.end(signal.SIGKILL)
        await self.plane.start()

    async def asked(self, question: Callable[[LocalClient], Awaitable[Found]]) -> Found:
        """What the owner's channel answers, however often its connector is killed meanwhile: for what may be repeated."""
        async with asyncio.timeout(STEP_S):
            while True:
                try:
                    async with self.owner() as owner:
                        return await question(owner)
                except Away:
                    await asyncio.sleep(LOOK_S)

    async def reaches(self, process_id: str, *states: str) -> Document:
        """The process once it is in one of these states."""
        found: Document = {}

        async def there() -> bool:
            found.update(await self.asked(lambda owner: owner.process(process_id)))
            error = (found.get("received") or {}).get("error")
            assert error is None, error
            return found["state"] in states

        await until(there)
        return found

    async def plane_says(self, path: str) -> Any:
        """What its data plane answers to its connector's token."""
        token = (self.folder / "data.token").read_text().strip()
        url, headers = f"http://127.0.0.1:{self.signaling_port}{path}", {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    def rows(self, database: str, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of one of its databases; an UPDATE is committed (its owner must not run)."""
        with closing(sqlite3.connect(self.folder / database, timeout=30)) as opened, opened:
            return opened.execute(sql, values).fetchall()


@dataclass(frozen=True, slots=True)
class Couple:
    """Who sells and who buys."""

    provider: Party
    consumer: Party

    async def offer(self, dataset: str, path: Path, constraints: list[Document], **more: Any) -> Document:
        """Publish under one permission."""
        offered = {"permission": [{"action": "use", "constraint": constraints} if constraints else {"action": "use"}]}
        async with self.provider.owner() as owner:
            return await owner.publish(dataset, str(path), title=dataset, offers=[offered], **more)

    async def agreed(self, dataset: str) -> str:
        """A new agreement on the one offer of a dataset."""
        async with self.consumer.owner() as owner:
            shown = {found["@id"]: found["hasPolicy"] for found in await owner.catalog(self.provider.id)}
            begun = await owner.negotiate(self.provider.id, dataset, shown[dataset][0])
        done = await self.consumer.reaches(begun["id"], "FINALIZED", "TERMINATED")
        assert done["state"] == "FINALIZED", done
        return str(done["agreement"]["@id"])

    async def begun(self, agreement: str, **more: Any) -> str:
        """A transfer; gives the consumer's process id."""
        async with self.consumer.owner() as owner:
            return str((await owner.transfer(agreement, **more))["id"])

    async def fetched(self, agreement: str, **more: Any) -> str:
        """A transfer whose data have come."""
        transfer = await self.begun(agreement, **more)
        done = await self.consumer.reaches(transfer, *ENDS)
        assert done["state"] == "COMPLETED", done
        return transfer

    async def theirs(self, transfer: str) -> str:
        """The provider's id of a transfer."""
        return str((await self.consumer.asked(lambda owner: owner.process(transfer)))["providerPid"])

    async def record(self, transfer: str) -> Document:
        """What the provider's data plane has on record of a transfer."""
        return dict(await self.provider.plane_says(f"/carnet/deliveries/{quote(await self.theirs(transfer), safe='')}"))

    async def meters(self, agreement: str) -> Document:
        """What the provider's data plane has counted under an agreement so far."""
        query = f"agreement={quote(agreement, safe='')}&counterparty={quote(self.consumer.id, safe='')}"
        found = await self.provider.plane_says(f"/carnet/meters?{query}")
        return next(dict(each) for each in found["periods"] if each["period"] == "all")

    async def receipts(self, agreement: str) -> tuple[Document, Document]:
        """The one receipt under an agreement, as each side has it once both have signed."""
        found: list[list[Document]] = []

        async def both() -> bool:
            found[:] = [await side.asked(lambda owner: owner.receipts(agreement)) for side in (self.provider, self.consumer)]
            return all(side and {each["state"] for each in side} <= {"countersigned", "disputed"} for side in found)

        await until(both)
        (ours,), (theirs,) = found
        return ours, theirs


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is true; who is away is asked again. Raises TimeoutError."""
    async with asyncio.timeout(STEP_S):
        while True:
            try:
                if await holds():
                    return
            except (Away, aiohttp.ClientConnectionError):
                pass
            await asyncio.sleep(LOOK_S)


def rows_of(file: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


@asynccontextmanager
async def open_couple(folder: Path, **bounds: float) -> AsyncIterator[Couple]:
    """Both sides, serving until the block is left. ``bounds`` are those of both data planes."""
    parties = [_party(folder / name) for name in ("provider", "consumer")]
    for party, other in (parties, reversed(parties)):
        _furnish(party, other, bounds)
    try:
        await asyncio.gather(*(party.start() for party in parties))
        yield Couple(*parties)
    finally:
        for party in parties:
            await asyncio.gather(party.control.end(signal.SIGTERM), party.plane.end(signal.SIGTERM))
    for party in parties:
        for log in ("control.log", "plane.log"):
            assert b"Traceback" not in (party.folder / log).read_bytes(), f"{party.name}: {log}"


def _party(folder: Path) -> Party:
    control = Program((sys.executable, "-c", SERVE, "serve", "--config", str(folder / "carnet.toml")), folder / "control.log")
    command = (sys.executable, "-m", "connector.dataplane", "--config", str(folder / "plane.toml"))
    plane = Program(command, folder / "plane.log")
    return Party(folder.name, folder, free_port(), free_port(), free_port(), free_port(), control, plane)


def _furnish(party: Party, other: Party, bounds: dict[str, float]) -> None:
    allow = [f"localhost:{other.protocol_port}", f"localhost:{party.protocol_port}", f"127.0.0.1:{other.public_port}"]
    settings: dict[str, Any] = {
        "protocol.port": party.protocol_port,
        "protocol.public_url": party.origin,
        "data.managed": False,
        "data.signaling_port": party.signaling_port,
        "data.public_port": party.public_port,
        "data.control_port": party.control_port,
        "client.allow": allow,
        **{f"dispatch.{name}": value for name, value in DISPATCH.items()},
    }
    texts = {name: toml({"": value}).partition("= ")[2].strip() for name, value in settings.items()}
    more = f'\n[development]\nkey = "{DEVELOPMENT_KEY}"\nhttp_dids = true\n\n[[peers]]\n{toml({"id": other.id})}'
    make_house(party.folder, party.id, texts, more)
    plane = {
        "database": "data.db",
        "token_file": "data.token",
        "control_token_file": "data.token",
        "control_url": f"http://127.0.0.1:{party.control_port}",
        "sink_dir": "received",
        "source_roots": ["."],
        "signaling_port": party.signaling_port,
        "public_port": party.public_port,
        "egress_allow": [f"127.0.0.1:{other.public_port}"],
        "egress_https_only": False,
    }
    # Who was killed is away for as long as a loaded machine takes to start it.
    limits = {"download_attempts": 1000, "backoff_first_s": 0.05, "backoff_max_s": 0.5, "artifact_retry_s": 1, **bounds}
    write(party.folder / "plane.toml", f"{toml(plane)}[bounds]\n{toml(limits)}")
