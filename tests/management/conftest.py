"""A provider with management services and a data plane that stands in for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from connector.management.service import Management
from policies.terms.metering import REQUESTS_PER_VEHICLE_DAY
from tests.flow.house import Fuse, Street
from tests.management.stand import Stand, managed, policy


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    """Two open houses with nothing on offer."""
    street = Street(Fuse())
    await street.open(tmp_path, "street")
    yield street
    await street.close()


@pytest.fixture
def plane() -> Stand:
    """A data plane that keeps nothing but what every connector keeps."""
    return Stand()


@pytest.fixture
async def m(street: Street, plane: Stand) -> Management:
    """The provider's services, with a policy that permits everything."""
    street.provider.context = replace(street.provider.context, declared=frozenset({REQUESTS_PER_VEHICLE_DAY}))
    made = managed(street.provider, plane)
    await policy(made, "open")
    return made
