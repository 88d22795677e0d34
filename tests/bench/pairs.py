"""Two processes to measure, with what a measurement needs of them: their sockets, databases and process ids.

A `Pair` is two connectors (`carnet serve` with SQLite and a data plane each) or two halves of the floor. Both are begun by a
POST to the consumer's Unix socket and are watched through their databases, so that the observer costs them the same. The
connectors meet by `did:web` and speak over tokens that are bound to keys (DPoP), as in production; pinned tokens are there to
see what that costs.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import aiohttp
import msgspec

from connector.demo.houses import free_ports
from connector.settings.model import DEVELOPMENT_KEY
from tests.bench.floor import FloorConfig

ROOT: Final = Path(__file__).resolve().parents[2]
DATASET: Final = "trips"
_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 30.0
_TICKS_S: Final = 1 / os.sysconf("SC_CLK_TCK")
Auth = Literal["oauth", "pinned-token"]
_SERVE: Final = "from connector.cli.main import main; main()"


@dataclass(slots=True)
class Side:
    """One process: its folder and socket, its database (read-only here), and how often its rows were looked at."""

    folder: Path
    process: subprocess.Popen[bytes]
    database: sqlite3.Connection
    session: aiohttp.ClientSession
    seen: int = 0
    finished: set[int] = field(default_factory=set)

    def cpu_s(self) -> float:
        """CPU seconds of the process so far, its data plane not counted."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICKS_S

    def memory_mib(self) -> float:
        """Resident memory of the process."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def done(self, kind: str, state: str) -> int:
        """How many processes of `kind` have reached `state` since `forget`. Looks only at those that had not yet."""
        rows = self.database.execute(
            "SELECT rowid, state FROM process WHERE rowid > ? AND kind = ? ORDER BY rowid LIMIT 2000", (self.seen, kind)
        ).fetchall()
        self.finished.update(rowid for rowid, found in rows if found == state)
        for rowid, found in rows:
            if found != state:
                break
            self.seen = rowid
        return len(self.finished)

    def forget(self) -> None:
        """Count from here."""
        self.seen = self.database.execute("SELECT coalesce(max(rowid), 0) FROM process").fetchone()[0]
        self.finished.clear()


@dataclass(frozen=True, slots=True)
class Pair:
    """Consumer and provider. `offer` is what a negotiation asks `provider_id` for; the floor wants a fresh name each time."""

    consumer: Side
    provider: Side
    offer: dict[str, Any] | None = None
    provider_id: str = ""

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both."""
        return self.consumer, self.provider

    async def begin(self) -> None:
        """Ask the consumer to begin a negotiation, or the floor to begin an exchange."""
        if self.offer is None:
            await post(self.consumer, "/negotiations", os.urandom(16).hex().encode())
        else:
            await call(self.consumer, "/negotiations", counterparty=self.provider_id, dataset=DATASET, offer=self.offer)


async def post(side: Side, path: str, body: bytes) -> bytes:
    """POST to a side's socket. Raises RuntimeError with the answer if it is not 2xx."""
    async with side.session.post(path, data=body) as response:
        answer = await response.read()
        if response.status >= 300:
            raise RuntimeError(f"{path} answered {response.status}: {answer[:300]!r}")
        return answer


async def call(side: Side, path: str, **members: Any) -> Any:
    """POST to a connector's owner channel."""
    answer = await post(side, f"/carnet/v1{path}", msgspec.json.encode(members))
    return msgspec.json.decode(answer) if answer else None


@asynccontextmanager
async def connectors(folder: Path, *, auth: Auth = "oauth", decide: str = "automatic") -> AsyncGenerator[Pair, None]:
    """Two connectors, with a dataset on offer at the provider. Settings are the defaults but for the quota, which by default
    admits half of what is measured."""
    ports = free_ports(4)
    configs = []
    for own, at in (("consumer", 0), ("provider", 1)):
        home = folder / own
        home.mkdir(mode=0o700, parents=True)
        for name in ("data.token", "local.token"):
            (home / name).write_text(os.urandom(20).hex())
            (home / name).chmod(0o600)
        (home / "trips.csv").write_text("time,speed\n" + "1,2\n" * 1000)
        (home / "carnet.toml").write_text(_settings(ports[at], ports[1 - at], ports[2:], at, auth, decide))
        configs.append(home / "carnet.toml")
    commands = [[sys.executable, "-c", _SERVE, "serve", "--config", str(config)] for config in configs]
    async with _pair([config.parent for config in configs], commands, "carnet.sock", "control.db") as pair:
        await call(pair.provider, "/datasets", id=DATASET, file=str(configs[1].parent / "trips.csv"), title="Trips")
        provider_id = _participant(ports[1])
        catalog = await call(pair.consumer, "/catalog", counterparty=provider_id)
        yield Pair(pair.consumer, pair.provider, catalog[0]["hasPolicy"][0], provider_id)


def _participant(port: int) -> str:
    return f"did:web:localhost%3A{port}"


def _settings(port: int, peer_port: int, public: Sequence[int], at: int, auth: Auth, decide: str) -> str:
    peer = f"""
addresses = ["http://localhost:{peer_port}/dsp/2025-1"]
inbound_token = "from-{peer_port}-to-{port}-made-up-token-1234567890"
outbound_token = "from-{port}-to-{peer_port}-made-up-token-1234567890"
"""
    return f"""
participant_id = "{_participant(port)}"
[protocol]
port = {port}
public_url = "http://localhost:{port}"
auth = "{auth}"
[data]
signaling_port = 0
public_port = {public[at]}
[client]
allow = ["localhost:{peer_port}", "127.0.0.1:{public[1 - at]}"]
[negotiation]
decide = "{decide}"
[quota]
requests_per_s = 1000000
burst = 1000000
in_flight = 4096
[[peers]]
id = "{_participant(peer_port)}"
{peer if auth == "pinned-token" else ""}
[development]
key = "{DEVELOPMENT_KEY}"
http_dids = true
"""


@asynccontextmanager
async def floors(folder: Path, request_bytes: tuple[int, ...], answer_bytes: tuple[int, ...]) -> AsyncGenerator[Pair, None]:
    """Two halves of the floor."""
    ports = free_ports(2)
    folders, commands = [], []
    for name, at in (("consumer", 0), ("provider", 1)):
        home = folder / name
        home.mkdir(mode=0o700, parents=True)
        config = FloorConfig(
            str(home / "floor.db"), str(home / "floor.sock"), ports[at], ports[1 - at], request_bytes, answer_bytes
        )
        (home / "floor.json").write_bytes(msgspec.json.encode(config))
        folders.append(home)
        commands.append([sys.executable, "-m", "tests.bench.floor", str(home / "floor.json")])
    async with _pair(folders, commands, "floor.sock", "floor.db") as pair:
        yield pair


@asynccontextmanager
async def _pair(
    folders: Sequence[Path], commands: Sequence[Sequence[str]], socket_name: str, database: str
) -> AsyncGenerator[Pair, None]:
    processes = [_start(folder, command) for folder, command in zip(folders, commands, strict=True)]
    try:
        sides = []
        for folder, process in zip(folders, processes, strict=True):
            await _wait(folder, process, folder / socket_name)
            connection = sqlite3.connect(f"file:{folder / database}?mode=ro", uri=True, isolation_level=None)
            session = aiohttp.ClientSession(
                "http://localhost", connector=aiohttp.UnixConnector(str(folder / socket_name), limit=32)
            )
            sides.append(Side(folder, process, connection, session))
        try:
            yield Pair(sides[0], sides[1])
        finally:
            for side in sides:
                await side.session.close()
                with closing(side.database):
                    side.finished.clear()
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process)


def _start(folder: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    with (folder / "out").open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stderr=log)


async def _wait(folder: Path, process: subprocess.Popen[bytes], path: Path) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _START_TIMEOUT_S
    while True:
        try:
            _, writer = await asyncio.open_unix_connection(path)
        except OSError:
            if process.poll() is not None or loop.time() > deadline:
                raise RuntimeError(f"a process did not start:\n{(folder / 'out').read_text(errors='replace')[-2000:]}") from None
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
