"""Two running connectors: one of a data space with pinned tokens, one with the settings of the test kit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from connector.settings.model import DEVELOPMENT_KEY
from tests.conformance import derive, run_kit
from tests.conformance.peer import Caller, Listener, calling, listening
from tests.conformance.serving import serving
from tests.conformance.spoiling import Json
from tests.ports import free_port

FLEET: Final = "did:web:fleet.example"
INSURER, CITY = "did:web:insurer.example", "did:web:city.example"
INSURER_TOKEN, CITY_TOKEN = "insurer-made-up-token-1", "city-made-up-token-22222"
# Nobody listens there, and nothing is sent: every decision waits for a person.
INSURER_ADDRESS, CITY_ADDRESS = "http://127.0.0.1:9/insurer", "http://127.0.0.1:9/city"
DATASETS: Final = ("d1", "d2", "d3", "d4", "d5")
MAX_BODY_BYTES: Final = 65_536
MAX_DEPTH: Final = 32


@dataclass(frozen=True, slots=True)
class Served:
    """Where a connector is: its root, its protocol base, and the port that its peer should listen on."""

    root: str
    base: str
    peer_port: int = 0


def _settings(port: int, data_dir: Path) -> Json:
    return {
        "participant_id": FLEET,
        "data_dir": str(data_dir),
        "protocol": {
            "port": port,
            "page_size": 2,
            "max_body_bytes": MAX_BODY_BYTES,
            "max_depth": MAX_DEPTH,
            "auth": "pinned-token",
        },
        "local": {"socket": ""},
        "data": {"signaling_port": 0, "public_port": 0},
        "quota": {"requests_per_s": 100_000, "burst": 100_000},
        "negotiation": {"decide": "manual", "accept": "manual", "verify": "manual"},
        "transfer": {"start": "manual"},
        "client": {"allow": ["127.0.0.1:9"]},
        "logging": {"level": "warning"},
        "peers": [
            {"id": INSURER, "addresses": [INSURER_ADDRESS], "inbound_token": INSURER_TOKEN},
            {"id": CITY, "addresses": [CITY_ADDRESS], "inbound_token": CITY_TOKEN},
        ],
        "development": {
            "key": DEVELOPMENT_KEY,
            "datasets": [{"id": name, "offer_id": f"offer-{name}"} for name in DATASETS],
            "agreements": [
                {"id": "agreement-1", "dataset": "d1", "counterparty": INSURER, "role": "provider"},
                {"id": "agreement-2", "dataset": "d1", "counterparty": CITY, "role": "provider"},
            ],
        },
    }


@pytest.fixture(scope="package")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A connector that knows two peers by their tokens, offers five datasets, two a page, and decides nothing by itself."""
    folder, port = tmp_path_factory.mktemp("fleet"), free_port()
    config = folder / "carnet.toml"
    config.write_text(derive.write_toml(_settings(port, folder / "data")))
    root = f"http://127.0.0.1:{port}"
    with serving(config, root, folder / "serve.log"):
        yield Served(root, f"{root}/dsp/2025-1")


@pytest.fixture(scope="package")
def kit_connector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The connector that the test kit is run against, on free ports."""
    folder, ours, theirs = tmp_path_factory.mktemp("kit"), free_port(), free_port()
    setup = derive.placed(run_kit.as_kept(), folder / "data", run_kit.HERE / "kit", ours, theirs)
    config = folder / "carnet.toml"
    config.write_text(derive.write_toml(setup.settings | {"local": {"socket": ""}}))
    with serving(config, setup.base_url, folder / "serve.log"):
        yield Served(setup.base_url, f"{setup.base_url}/dsp/2025-1", theirs)


@pytest.fixture
async def insurer(fleet: Served) -> AsyncIterator[Caller]:
    """A peer with its token."""
    async with calling(fleet.base, INSURER_TOKEN) as caller:
        yield caller


@pytest.fixture
async def city(fleet: Served) -> AsyncIterator[Caller]:
    """Another peer with its token."""
    async with calling(fleet.base, CITY_TOKEN) as caller:
        yield caller


@pytest.fixture
async def stranger(fleet: Served) -> AsyncIterator[Caller]:
    """Somebody without a token."""
    async with calling(fleet.base) as caller:
        yield caller


@pytest.fixture
async def kit(kit_connector: Served) -> AsyncIterator[Caller]:
    """The test kit's part as a caller."""
    async with calling(kit_connector.base, run_kit.token()) as caller:
        yield caller


@pytest.fixture
async def kit_listener(kit_connector: Served) -> AsyncIterator[Listener]:
    """The test kit's part as a listener."""
    async with listening(kit_connector.peer_port) as listener:
        yield listener
