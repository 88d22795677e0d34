"""Health and data planes."""

from __future__ import annotations

import pytest

from connector.management import checks
from connector.management.service import Management
from connector.store.engine import StoreUnavailable
from tests.management.stand import Stand


async def test_health_names_what_does_not_answer(m: Management, plane: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await checks.health(m)).healthy
    assert [each.state for each in await checks.planes(m)] == ["AVAILABLE"]
    plane.came(None)
    assert [each.failure is None for each in (await checks.health(m)).components] == [True, False]
    assert [each.state for each in await checks.planes(m)] == ["UNAVAILABLE"]

    async def down(*_: object) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(type(m.store.engine), "fetch", down)
    assert [each.failure is None for each in (await checks.health(m)).components] == [False, False]
    assert (await checks.liveness(m)).healthy
