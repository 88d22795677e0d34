"""Clients of EDC's Management API that others wrote do business over two connectors, unchanged: each flow is one of theirs.

Versions are pinned in ``package-lock.json`` and ``requirements.txt``. Each flow publishes an API as an asset, with policy and
contract definition, finds it in the catalogue from the other side, negotiates, transfers, and fetches through the contract.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interop import installed
from tests.interop.installed import HERE, NotInstallable
from tests.interop.parties import Market, market, steps
from tests.requirement import missing

# The first time, clients are installed.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]


@pytest.fixture
async def sellers(tmp_path: Path) -> AsyncIterator[Market]:
    """Two connectors and an API of this test."""
    async with market(tmp_path) as both:
        yield both


@pytest.mark.node
async def test_the_typescript_client_on_version_3(sellers: Market) -> None:
    """`@think-it-labs/edc-connector-client`: assets, secrets, policies, contract definitions, catalogue, negotiation, agreement,
    transfer, data reference, the download itself, and the end of it all."""
    try:
        home = installed.node_home()
        runtime = installed.node_runtime(home)
    except NotInstallable as error:
        missing(str(error))
    script = home / "flow.mjs"
    script.write_bytes((HERE / "flow.mjs").read_bytes())
    found = await steps([runtime, script], sellers.told(), {})
    assert found == {
        "health": True,
        "secret": {"id": "ts-source-key", "value": None},
        "asset": {"id": "ts-trips", "created": True},
        "asset twice": "Duplicate",
        "asset read": {"id": "ts-trips", "name": "Trips of a city", "type": "HttpData"},
        "asset unknown": "NotFound",
        "assets": ["ts-trips"],
        "assets by name": ["ts-trips"],
        "assets by no such field": "BadRequest",
        "policy": "ts-use",
        "policy read": {"id": "ts-use", "permissions": 1},
        "policies": ["ts-use"],
        "definition": "ts-offers",
        "definition read": "ts-use",
        "definitions": ["ts-offers"],
        "policy in use": "Duplicate",
        "catalog": {"participant": sellers.provider.house.participant_id, "datasets": ["ts-trips"]},
        "dataset": {"id": "ts-trips", "offers": 1},
        "catalog of nobody": "BadGateway",
        "negotiation": "FINALIZED",
        "agreement": {"same": True, "asset": "ts-trips", "provider": sellers.provider.house.participant_id},
        "agreements": [True],
        "agreement's negotiation": True,
        "negotiations": True,
        "asset in use": "Duplicate",
        "transfer": "STARTED",
        "transfers": [{"same": True, "asset": "ts-trips", "type": "CONSUMER"}],
        "edrs": [{"same": True, "asset": "ts-trips"}],
        "download": {"status": 200, "body": {"path": "/api/zones/7", "query": {"hours": "2"}, "opened": True}},
        "download of nothing": 404,
        "transfer ended": "TERMINATED",
        "edr ended": "NotFound",
        "download ended": True,
        "catalog without": [],
        "data planes": True,
    }


async def test_the_python_client_on_versions_3_and_4(sellers: Market) -> None:
    """`edc-client`: its composites over version 3 (one call from catalogue to data), its generated calls of version 4."""
    try:
        home = installed.python_home()
    except NotInstallable as error:
        missing(str(error))
    found = await steps([sys.executable, HERE / "flow.py"], sellers.told(), {"PYTHONPATH": str(home)})
    assert found == {
        "asset": "py-trips",
        "policy": "py-open",
        "definition": "py-offers",
        "assets": ["py-trips"],
        "download": {"status": 200, "body": {"path": "/api/all", "query": {}, "opened": False}},
        "asset in use": 409,
        "push": 400,
        "v4 asset": "py4-trips",
        "v4 asset read": "py4-trips",
        "v4 assets": ["py4-trips"],
        "v4 policy": "py4-use",
        "v4 policy valid": True,
        "v4 definition": "py4-offers",
        "v4 definition twice": 409,
        "v4 catalog": True,
        "v4 dataset": "py4-trips",
        "v4 negotiation": "FINALIZED",
        "v4 agreement": True,
        "v4 transfer": "STARTED",
        "v4 transfer read": True,
        "v4 download": {"status": 200, "body": {"path": "/api/four/zones", "query": {}, "opened": False}},
        "v4 suspended": "SUSPENDED",
        "v4 resumed": "STARTED",
        "v4 ended": "TERMINATED",
    }
