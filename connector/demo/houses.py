"""Folders, settings and tokens of the demo's two connectors, made by the same code as `carnet init`."""

from __future__ import annotations

import json
import secrets
import socket
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connector.cli.init import TOKEN_BYTES, make_house, write_private
from connector.client.local import LocalClient
from connector.demo.trips import trips_csv
from connector.settings.model import DEVELOPMENT_KEY

PROVIDER_ID: Final = "did:web:oem.example"
CONSUMER_ID: Final = "did:web:city.example"
TRIPS_FILE: Final = "trips.csv"
BASE_PATH: Final = "/dsp/2025-1"


@dataclass(frozen=True, slots=True)
class House:
    """One connector of the demo: who it is, where its files are, and the two ports that the other side sees."""

    name: str
    participant_id: str
    folder: Path
    protocol_port: int
    public_port: int

    @property
    def config(self) -> Path:
        """Its settings file."""
        return self.folder / "carnet.toml"

    @property
    def log(self) -> Path:
        """Where its process writes what happens."""
        return self.folder / "carnet.log"

    @property
    def address(self) -> str:
        """Its DSP base address."""
        return f"http://127.0.0.1:{self.protocol_port}{BASE_PATH}"

    def client(self) -> LocalClient:
        """A client of its owner's channel."""
        return LocalClient(socket=str(self.folder / "carnet.sock"))


def make_houses(folder: Path) -> tuple[House, House]:
    """Provider and consumer, each knowing the other by a token in each direction; the provider has a file of trips.

    Raises click's ClickException when something stands in the way.
    """
    one, two, three, four = free_ports(4)
    provider = House("provider", PROVIDER_ID, folder / "provider", one, two)
    consumer = House("consumer", CONSUMER_ID, folder / "consumer", three, four)
    to_provider, to_consumer = secrets.token_hex(TOKEN_BYTES), secrets.token_hex(TOKEN_BYTES)
    _make(provider, consumer, own=to_consumer, theirs=to_provider)
    _make(consumer, provider, own=to_provider, theirs=to_consumer)
    write_private(provider.folder / TRIPS_FILE, trips_csv())
    return provider, consumer


def _make(house: House, peer: House, *, own: str, theirs: str) -> None:
    """``own`` is the token that this house presents, ``theirs`` the one that its peer presents."""
    settings = {
        "protocol.port": str(house.protocol_port),
        "protocol.auth": '"pinned-token"',
        "data.signaling_port": "0",
        "data.public_port": str(house.public_port),
        "client.allow": json.dumps([f"127.0.0.1:{port}" for port in (peer.protocol_port, peer.public_port)]),
    }
    peers = (
        f'\n[[peers]]\nid = "{peer.participant_id}"\naddresses = ["{peer.address}"]\n'
        f'inbound_token = "{theirs}"\noutbound_token = "{own}"\n'
        f'\n[development]\nkey = "{DEVELOPMENT_KEY}"\n'
    )
    make_house(house.folder, house.participant_id, settings, peers)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    with ExitStack() as held:
        sockets = [held.enter_context(closing(socket.create_server(("127.0.0.1", 0)))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in sockets]
