"""Two connectors as real processes on real databases, with a bad wire between them; started, killed and asked.

They meet by ``did:web``, over OAuth: each knows of the other who it is and nothing else. Where it is, with which keys it
signs, and its authorization server are asked for over the same wire, which is all that the other has as an address.

On SQLite each side is one ``carnet serve`` with its data plane. On PostgreSQL each side is two replicas behind one public
address, which share keys, a database and a data plane of its own process. A killed replica is started again at once on the
same files and ports. Only settings that an operator has are set.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp

from connector.settings.model import DEVELOPMENT_KEY
from connector.store.engine import Row
from tests.faults.ledger import Ledger
from tests.faults.proxy import CLEAN, DataWire, HttpWire, Odds
from tests.ports import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
READY_S: Final = 90.0
REQUEST_S: Final = 20.0
STOP_S: Final = 60.0
SERVE: Final = "from connector.cli.main import main; main()"
LOST: Final = (aiohttp.ClientError, OSError, TimeoutError)
# The shortest life there is: tokens end, and are asked for, while processes are killed.
TOKEN_LIFE_S: Final = 30
DISPATCH: Final = {"backoff_first_ms": 50, "backoff_max_s": 1, "attempt_timeout_s": 1, "lease_s": 3}


class Program:
    """One process and how to start it again. What it writes goes to a file."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = tuple(command)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; does not wait until it serves."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def ended(self) -> bool:
        """Whether it has ended of its own accord."""
        return self._process is not None and self._process.returncode is not None

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """Stopped, for as long as the block runs: what reaches it waits in its sockets."""
        if self._process is None:
            raise AssertionError("it does not run")
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def open_files(self) -> list[str]:
        """What it has open."""
        if self._process is None:
            raise AssertionError("it does not run")
        found = []
        for each in Path(f"/proc/{self._process.pid}/fd").iterdir():
            with suppress(OSError):
                found.append(str(each.readlink()))
        return found

    async def end(self, number: signal.Signals) -> int | None:
        """Send a signal and wait for the end; a process that does not stop when told is killed. Returns its exit code."""
        process = self._process
        if process is None:
            return None
        self._process = None
        if process.returncode is None:
            process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            return await process.wait()


@dataclass(slots=True)
class Replica:
    """One ``carnet serve``."""

    folder: Path
    port: int
    program: Program
    local: aiohttp.ClientSession
    control_port: int = 0


@dataclass(slots=True)
class Answered:
    """What the local channel said."""

    status: int
    body: Any


@dataclass(slots=True)
class Side:
    """A participant: its replicas, the wires that lead to it, where its data are."""

    name: str
    folder: Path
    wire: HttpWire
    data: DataWire
    replicas: list[Replica]
    public_port: int
    database: str
    ledger: Ledger
    planes: list[Program] = field(default_factory=list)
    control: HttpWire | None = None
    retries: int = 0
    _turn: Any = field(default_factory=count)

    @property
    def id(self) -> str:
        """The participant id."""
        return f"did:web:localhost%3A{self.wire.port}"

    @property
    def origin(self) -> str:
        """What peers see; a ``did:web`` has no address in numbers."""
        return f"http://localhost:{self.wire.port}"

    @property
    def dsp(self) -> str:
        """The base address that peers use."""
        return f"{self.origin}/dsp/2025-1"

    @property
    def keys(self) -> Path:
        """The folder of its keys, which its replicas share."""
        return self.folder / "keys"

    @property
    def received(self) -> Path:
        """Where received files stand."""
        return self.folder / "received"

    async def once(self, method: str, path: str, body: Any = None) -> Answered:
        """One request to the next replica. Raises one of ``LOST`` if nobody can know what became of it."""
        replica = self.replicas[next(self._turn) % len(self.replicas)]
        async with asyncio.timeout(REQUEST_S), replica.local.request(method, f"/carnet/v1{path}", json=body) as response:
            text = await response.text()
        return Answered(response.status, json.loads(text) if text else None)

    async def ask(self, method: str, path: str, body: Any = None) -> Answered:
        """The same until somebody answers: for what may be repeated."""
        async with asyncio.timeout(READY_S):
            while True:
                try:
                    answer = await self.once(method, path, body)
                except LOST:
                    answer = Answered(503, None)
                if answer.status < 500:
                    return answer
                self.retries += 1
                await asyncio.sleep(0.1)

    async def rows(self, sql: str) -> list[Row]:
        """Rows of the control database, read beside its owner."""
        if self.database.startswith("postgresql://"):
            from connector.store.postgres import PostgresEngine

            engine = await PostgresEngine.open(self.database, pool_size=1)
            try:
                return await engine.fetch(sql, limit=1_000_000)
            finally:
                await engine.close()
        return await asyncio.to_thread(self._rows_of_file, sql)

    def _rows_of_file(self, sql: str) -> list[Row]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30)) as opened:
            return [tuple(row) for row in opened.execute(sql)]


class World:
    """Two sides. ``start`` before use, ``stop`` after it, whatever happened."""

    def __init__(self, folder: Path, seed: int, odds: Odds, databases: dict[str, str] | None = None) -> None:
        self._folder = folder
        self._seed = seed
        self._odds = odds
        self._databases = databases
        self._sessions: list[aiohttp.ClientSession] = []
        self.sides: dict[str, Side] = {}
        self.kills = 0

    async def start(self) -> None:
        """Wires, settings, processes; returns when all of them serve."""
        for name in ("alice", "bob"):
            self.sides[name] = await self._make(name)
        for name, other in (("alice", "bob"), ("bob", "alice")):
            self._configure(self.sides[name], self.sides[other])
        for side in self.sides.values():
            for program in side.planes:
                await program.start()
            for replica in side.replicas:
                await replica.program.start()
        await asyncio.gather(*(self.serving(replica) for side in self.sides.values() for replica in side.replicas))

    async def stop(self) -> list[int | None]:
        """End every process in order, as an operator would. Returns the exit codes of the connectors."""
        replicas = [replica for side in self.sides.values() for replica in side.replicas]
        codes = await asyncio.gather(*(replica.program.end(signal.SIGTERM) for replica in replicas))
        await asyncio.gather(*(plane.end(signal.SIGTERM) for side in self.sides.values() for plane in side.planes))
        for session in self._sessions:
            await session.close()
        for side in self.sides.values():
            for wire in (side.wire, side.data, side.control):
                if wire is not None:
                    await wire.close()
        return list(codes)

    async def kill(self, replica: Replica) -> None:
        """SIGKILL, and start again on the same files; returns when it serves."""
        self.kills += 1
        await replica.program.end(signal.SIGKILL)
        await replica.program.start()
        await self.serving(replica)

    async def serving(self, replica: Replica) -> None:
        """Until a replica answers and has its data plane. Raises TimeoutError, AssertionError if it ends instead."""
        async with asyncio.timeout(READY_S):
            while True:
                try:
                    async with replica.local.get("/carnet/v1/status") as response:
                        if response.status == 200 and (await response.json())["dataPlane"]:
                            return
                except LOST:
                    pass
                if replica.program.ended:
                    raise AssertionError(f"{replica.folder.name} does not start; see the end of its log")
                await asyncio.sleep(0.05)

    def clean(self) -> None:
        """From now on both wires lose nothing."""
        for side in self.sides.values():
            side.wire.clean()
            side.data.clean()

    # -- how a side is made -----------------------------------------------------------------------------------------

    async def _make(self, name: str) -> Side:
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        doubled = self._databases is not None
        replicas = [self._replica(folder / f"replica-{n}" if doubled else folder) for n in range(2 if doubled else 1)]
        public_port = free_port()
        ledger = Ledger()
        upstreams = [("127.0.0.1", replica.port) for replica in replicas]
        wire = HttpWire(f"{self._seed}:{name}", upstreams, self._odds, ledger)
        data = DataWire(f"{self._seed}:{name}:data", ("127.0.0.1", public_port), self._odds)
        await wire.start()
        await data.start()
        database = str(folder / "control.db") if self._databases is None else self._databases[name]
        side = Side(name, folder, wire, data, replicas, public_port, database, ledger)
        if doubled:
            side.control = HttpWire("", [("127.0.0.1", replica.control_port) for replica in replicas], CLEAN)
            await side.control.start()
            command = (sys.executable, "-m", "connector.dataplane", "--config", str(folder / "plane.toml"))
            side.planes.append(Program(command, folder / "plane.log"))
        return side

    def _replica(self, folder: Path) -> Replica:
        folder.mkdir(mode=0o700, exist_ok=True)
        session = aiohttp.ClientSession("http://carnet", connector=aiohttp.UnixConnector(str(folder / "carnet.sock"), limit=0))
        self._sessions.append(session)
        command = (sys.executable, "-c", SERVE, "serve", "--config", str(folder / "carnet.toml"))
        return Replica(folder, free_port(), Program(command, folder / "program.log"), session, free_port())

    def _configure(self, side: Side, other: Side) -> None:
        signaling_port = free_port() if side.planes else 0
        allow = [f"127.0.0.1:{wire.port}" for wire in (side.data, other.data)]
        allow += [f"localhost:{wire.port}" for wire in (side.wire, other.wire)]
        token = side.folder / "data.token"
        if side.planes:
            write(token, secrets.token_hex(20))
            write(side.folder / "plane.toml", toml(self._plane(side, signaling_port, allow)))
        for replica in side.replicas:
            sections: dict[str, Any] = {
                "": {"participant_id": side.id},
                "protocol": {"port": replica.port, "public_url": side.origin},
                "keys": {"dir": str(side.keys)},
                "log": {"folder": str(side.folder / "log")},
                "oauth": {"token_lifetime_s": TOKEN_LIFE_S},
                "data": {
                    "signaling_port": signaling_port,
                    "public_port": side.public_port,
                    "public_url": side.data.url,
                    "control_port": replica.control_port,
                    "token_file": str(token),
                },
                "client": {"allow": allow},
                "dispatch": DISPATCH,
                "development": {"key": DEVELOPMENT_KEY, "http_dids": True},
            }
            if side.planes:
                sections["data"]["managed"] = False
                sections["store"] = {"url": side.database, "pool_size": 6}
            lines = [f"[{name}]\n{toml(values)}" if name else toml(values) for name, values in sections.items()]
            write(replica.folder / "carnet.toml", "\n".join([*lines, f"[[peers]]\n{toml({'id': other.id})}"]))

    @staticmethod
    def _plane(side: Side, signaling_port: int, allow: list[str]) -> dict[str, Any]:
        control = "" if side.control is None else side.control.url
        return {
            "database": "data.db",
            "token_file": "data.token",
            "control_token_file": "data.token",
            "control_url": control,
            "sink_dir": "received",
            "source_roots": ["."],
            "signaling_port": signaling_port,
            "public_port": side.public_port,
            "public_url": side.data.url,
            "egress_allow": [*allow, control.removeprefix("http://")],
            "egress_https_only": False,
        }


def toml(values: dict[str, Any]) -> str:
    """Flat values as TOML, which writes them as JSON does."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def write(path: Path, text: str) -> None:
    """A file for its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)


async def until(holds: Callable[[], Awaitable[bool]], within_s: float) -> bool:
    """Ask an async question until it is true or the time is over."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                if await holds():
                    return True
                await asyncio.sleep(0.05)
    except TimeoutError:
        return False
