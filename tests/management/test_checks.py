"""Health and data planes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from connector.management import checks, projecting
from connector.management.opening import finishing, opened
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


async def test_what_was_left_is_tried_again_and_again(m: Management, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    async def finish(_: Management) -> None:
        tried.append(len(tried))
        if len(tried) == 1:
            raise StoreUnavailable("away")
        if len(tried) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr(projecting, "finish", finish)
    with pytest.raises(asyncio.CancelledError):
        await finishing(m, pause_s=0)
    assert tried == [0, 1, 2]


async def test_the_services_are_put_together(m: Management, tmp_path: Path) -> None:
    made = await opened(m.context, m.plane, m.browser, tmp_path)
    assert made.secrets.unseal("a", made.secrets.seal("a", "value")) == "value"
    assert (await made.rules()).version == (await m.rules()).version
