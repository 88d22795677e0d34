"""Connectors that a program makes and runs: what stands in the way is said; they end with their block."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from connector.client import Away, Carnet
from connector.client.starting import NotStarted, init, serving
from tests.demo.test_twins import free_places


async def test_a_folder_that_is_taken_is_named(tmp_path: Path) -> None:
    made = await init(tmp_path / "us", "did:web:us.example", settings={"management.port": "0"})
    assert made == tmp_path / "us" / "carnet.toml"
    with pytest.raises(NotStarted) as caught:
        await init(tmp_path / "us", "did:web:us.example")
    assert caught.value.code == "file-exists"
    with pytest.raises(NotStarted) as caught:
        await init(tmp_path / "other")
    assert (caught.value.code, "say who you are" in caught.value.reason) == ("usage", True)


async def test_a_connector_runs_as_long_as_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARNET_PROTOCOL__PORT", "1")  # settings from outside are of somebody else
    port, _ = free_places()
    made = await init(tmp_path / "us", loopback=port)
    async with serving(made) as carnet:
        assert (await carnet.status()).participant_id == f"did:web:localhost%3A{port}"
    monkeypatch.delenv("CARNET_PROTOCOL__PORT")
    async with Carnet.local(made) as left:
        with pytest.raises(Away):
            await left.status()
    assert os.stat(made.with_name("carnet.log")).st_mode & 0o777 == 0o600


async def test_why_it_does_not_start_stands_in_the_error(tmp_path: Path) -> None:
    port, _ = free_places()
    made = await init(tmp_path / "us", loopback=port)
    with closing(socket.create_server(("127.0.0.1", port))), pytest.raises(NotStarted) as caught:
        async with serving(made, tmp_path / "other.log"):
            pytest.fail("it runs")
    assert caught.value.code == "not-started"
    assert "[listen-failed]" in caught.value.reason
