"""A transfer that is waited for: its states, and a bar while its data are made and come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from connector.cli import receiving
from connector.cli.channel import States
from connector.cli.receiving import received
from connector.client.local import Away, LocalClient

Document = dict[str, Any]
MAKING = {"bytes": 0, "total": None, "making": True}
NOTHING = {"bytes": None, "total": None, "making": None}


def state(name: str, **more: Any) -> Document:
    return {"id": "urn:uuid:1", "kind": "transfer", "state": name, "version": 1, **more}


def came(count: int, total: int | None = 4_000_000) -> Document:
    return {"bytes": count, "total": total, "making": False}


class Connector:
    """Says of a transfer what stands in ``told``, one after the other; then the transfer ends."""

    def __init__(self, told: list[Document | Away], end: Document) -> None:
        self._told = told
        self._end = end
        self._all_told = asyncio.Event()

    async def progress(self, _: str) -> Document:
        now = self._told.pop(0) if self._told else NOTHING
        if not self._told:
            self._all_told.set()
        if isinstance(now, Away):
            raise now
        return now

    async def wait(self, _: str, until: Callable[[Document], bool], __: float, seen: Callable[[Document], None]) -> Document:
        seen(state("REQUESTED"))
        seen(state("STARTED"))
        await self._all_told.wait()
        seen(self._end)
        assert until(self._end)
        return self._end


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "BEAT_S", 0)


async def said(told: list[Document | Away], end: Document, capsys: pytest.CaptureFixture[str]) -> list[str]:
    states = States()
    client = cast(LocalClient, Connector(told, end))
    assert await received(client, "urn:uuid:1", lambda now: now["state"] == end["state"], 1, states) == end
    states.end()
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


async def test_bytes_are_shown_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    lines = await said([came(0), came(1_000_000), came(2_000_000)], state("COMPLETED", received={"bytes": 4_000_000}), capsys)
    assert lines == [
        "REQUESTED -> STARTED",
        "Receiving ...",
        "Receiving: 25 %, 1.0 MB of 4.0 MB, 0 s",
        "Receiving: 50 %, 2.0 MB of 4.0 MB, 0 s",
        "Receiving: 4.0 MB, 0 s",
        "COMPLETED",
    ]


async def test_making_the_file_is_a_phase_of_its_own_without_a_percentage(capsys: pytest.CaptureFixture[str]) -> None:
    lines = await said([MAKING, MAKING, came(1_000_000, None)], state("COMPLETED", received={"bytes": 4_000_000}), capsys)
    assert lines == [
        "REQUESTED -> STARTED",
        "The provider makes the file ...",
        "The provider makes the file: 0 s",
        "Receiving ...",
        "Receiving: 4.0 MB, 0 s",
        "COMPLETED",
    ]


async def test_what_is_there_at_once_has_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert await said([NOTHING], state("COMPLETED"), capsys) == ["REQUESTED -> STARTED -> COMPLETED"]


async def test_a_connector_that_cannot_say_how_far_it_is_is_waited_for_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    away = Away("connector-silent", "it did not answer in time")
    lines = await said([away, came(1_000_000)], state("TERMINATED"), capsys)
    assert lines[-2:] == ["Receiving: 1.0 MB, 0 s", "TERMINATED"]


def test_who_stops_waiting_is_told_what_goes_on() -> None:
    states = States()
    assert "what the connector has begun goes on there" in states.goes_on()[0]
    states(state("STARTED"))
    assert states.goes_on() == (
        "waiting was interrupted, and the transfer goes on in the connector",
        "look with: carnet processes show urn:uuid:1",
    )
