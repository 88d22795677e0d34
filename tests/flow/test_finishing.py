"""A suspension whose worker fails half-way is finished by whoever goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from connector.flow import begin, standing
from connector.identity.participants import Admission
from connector.protocol.errors import Unavailable
from connector.protocol.record import Process
from connector.protocol.states import State
from connector.store.control import ControlStore
from connector.store.engine import StoreUnavailable
from tests.flow.house import DATASET, Street
from tests.flow.test_standing import CONSUMER, WHY, processes, state_of

Failing = Callable[[int, Callable[[], Exception]], asyncio.Event]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """The look for open processes fails so many times; the event is set after the first that does not."""
    look = ControlStore.open_with

    def prepare(times: int, error: Callable[[], Exception]) -> asyncio.Event:
        left, done = times, asyncio.Event()

        async def sometimes(
            self: ControlStore, counterparty: str, *, after: tuple[int, str] = (0, ""), limit: int = 100
        ) -> list[Process]:
            nonlocal left
            left -= 1
            if left >= 0:
                raise error()
            found = await look(self, counterparty, after=after, limit=limit)
            if not found:
                done.set()
            return found

        monkeypatch.setattr(ControlStore, "open_with", sometimes)
        return done

    return prepare


@pytest.mark.parametrize("error", [lambda: StoreUnavailable("away"), lambda: Unavailable("contended", "again")])
async def test_the_change_stands_and_the_rest_follows(street: Street, failing: Failing, error: Callable[[], Exception]) -> None:
    context = street.provider.context
    await begin.offer_contract(context, counterparty=CONSUMER, dataset=DATASET)
    done = failing(2, error)

    with capture_logs() as said:
        assert (await standing.suspend(context, CONSUMER, WHY)).state is Admission.SUSPENDED
        assert [process.state for process in await processes(street.provider)] == [State.INITIAL]
        finishing = asyncio.create_task(standing.finishing(context, pause_s=0))
        await done.wait()
        finishing.cancel()
        await asyncio.gather(finishing, return_exceptions=True)

    assert [line["log_level"] for line in said].count("warning") == 2
    assert [process.state for process in await processes(street.provider)] == [State.TERMINATED]
    assert await state_of(context, CONSUMER) is Admission.SUSPENDED
