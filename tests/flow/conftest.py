"""A street with a dataset on offer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connector.flow import publish
from tests.flow.house import DATASET, OFFER, Fuse, Street


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    """Two open houses; the provider has published."""
    street = Street(Fuse())
    await street.open(tmp_path, "street")
    await publish.publish(street.provider.context, DATASET, title="Trips", source="trips.csv", offers=[OFFER])
    yield street
    await street.close()
