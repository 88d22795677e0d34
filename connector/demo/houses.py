"""Folders and settings of the demo's connectors, made by the same code as `carnet init`.

None names another as a participant: all that each gets is leave to call the two ports of the others on this machine.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count as counted
from itertools import islice
from pathlib import Path
from typing import Final

from connector.access.caller import Role
from connector.access.keys import new_key
from connector.cli.init import KEY_FILE, did_on_loopback, make_house, on_loopback, write_private
from connector.client.local import LocalClient
from connector.demo.trips import trips_csv, zones_csv

TRIPS_FILE: Final = "trips.csv"
ZONES_FILE: Final = "zones.csv"
BASE_PATH: Final = "/dsp/2025-1"
# Below the ports that the system gives to outgoing connections, which come at any time (32768 and up on Linux).
_LOWEST_PORT: Final = 12_000
_PORTS: Final = 18_000
# Each process begins elsewhere and goes on by one, so that processes beside each other do not choose the same.
_turns = counted(os.getpid() * 557)


@dataclass(frozen=True, slots=True)
class House:
    """One connector of the demo: where its files are, the two ports that the other side sees, and that of its own people."""

    name: str
    folder: Path
    protocol_port: int
    public_port: int
    management_port: int = 0

    @property
    def participant_id(self) -> str:
        """Its DID: who resolves it comes to its own protocol listener (did:web writes the colon of a port as %3A)."""
        return did_on_loopback(self.protocol_port)

    @property
    def config(self) -> Path:
        """Its settings file."""
        return self.folder / "carnet.toml"

    @property
    def log(self) -> Path:
        """Where its process writes what happens."""
        return self.folder / "carnet.log"

    @property
    def origin(self) -> str:
        """What others see of its protocol listener; also the name of its authorization server."""
        return f"http://localhost:{self.protocol_port}"

    @property
    def address(self) -> str:
        """Its DSP base address."""
        return f"{self.origin}{BASE_PATH}"

    @property
    def management(self) -> str:
        """Its management listener, for its own people and programs; there is one where it has a port."""
        return f"http://127.0.0.1:{self.management_port}"

    @property
    def reached_at(self) -> list[str]:
        """What another house on this machine has to be allowed to call: protocol and data."""
        return [f"localhost:{self.protocol_port}", f"127.0.0.1:{self.public_port}"]

    def client(self) -> LocalClient:
        """A client of its owner's channel."""
        return LocalClient(socket=str(self.folder / "carnet.sock"))


def make_houses(folder: Path) -> tuple[House, House]:
    """Provider and consumer, which do not know each other; the provider has a file of trips and one of zones.

    Raises click's ClickException when something stands in the way.
    """
    provider, consumer = build_houses(folder, ("provider", "consumer"))
    write_private(provider.folder / TRIPS_FILE, trips_csv())
    write_private(provider.folder / ZONES_FILE, zones_csv())
    return provider, consumer


def build_houses(
    folder: Path,
    names: Sequence[str],
    sources: Mapping[str, Sequence[Path]] | None = None,
    calls: Mapping[str, Sequence[str]] | None = None,
) -> list[House]:
    """A connector for each name, in a folder of its own below ``folder``, with its own keys and databases.

    ``sources``: by name, folders from which it may publish beside its own; ``calls``: what it may call (host:port) beside the
    others. Raises click's ClickException when something stands in the way.
    """
    ports = iter(free_ports(3 * len(names)))
    houses = [House(name, folder / name, next(ports), next(ports), next(ports)) for name in names]
    for house in houses:
        reached = [place for other in houses if other is not house for place in other.reached_at]
        _make(house, [*reached, *(calls or {}).get(house.name, ())], (sources or {}).get(house.name, ()))
    return houses


def _make(house: House, allowed: Iterable[str], sources: Sequence[Path]) -> None:
    settings, more = on_loopback(house.protocol_port, house.public_port, allowed)
    settings |= {"management.host": '"127.0.0.1"', "management.port": str(house.management_port)}
    if sources:
        settings["data.source_roots"] = json.dumps([".", *(str(root) for root in sources)])
    key = new_key("first operator", [Role.OPERATOR], now_ms=time.time_ns() // 1_000_000, by="owner").text
    make_house(house.folder, house.participant_id, settings, more, {KEY_FILE: key + "\n"})


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses now, nor soon by chance; raises OSError when there are too few."""
    found: list[int] = []
    with ExitStack() as held:
        for turn in islice(_turns, _PORTS):
            if len(found) == count:
                break
            port = _LOWEST_PORT + turn % _PORTS
            with suppress(OSError):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                found.append(port)
    if len(found) < count:
        raise OSError(f"{count} free ports were looked for from {_LOWEST_PORT} up, {len(found)} found")
    return found
