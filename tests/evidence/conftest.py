"""One contract for all tests that only read its bundles."""

from __future__ import annotations

import asyncio

import pytest

from tests.evidence.forging import Forge
from tests.evidence.recorded import concluded


@pytest.fixture(scope="session")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    """The bundles of both sides, and the keys to change them as their owners could."""

    async def made() -> Forge:
        contract = await concluded(tmp_path_factory.mktemp("contract"))
        try:
            bundles = {kept.house.role.value: await contract.bundle_of(kept) for kept in (contract.provider, contract.consumer)}
            return Forge(contract, bundles, contract.provider.house.context)
        finally:
            await contract.street.close()

    return asyncio.run(made())
