"""A connector as `carnet init` makes it: its first key, the commands about keys, and both listeners, over real sockets."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

from connector.app import Running, serve
from connector.audit.asking import Log, lines_in
from connector.audit.asking import Scope as Asked
from connector.cli.main import cli
from connector.settings import load


@dataclass(frozen=True)
class House:
    folder: Path
    running: Running
    key: str

    async def carnet(self, *words: str) -> Result:
        line = ["access", *words, "--config", str(self.folder / "carnet.toml")]
        return await asyncio.to_thread(CliRunner().invoke, cli, line)

    async def json(self, *words: str) -> Any:
        result = await self.carnet(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    async def get(self, path: str, key: str, **headers: str) -> tuple[int, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.running.management_url + path, headers={"X-Api-Key": key, **headers}) as answer,
        ):
            return answer.status, await answer.json()


@asynccontextmanager
async def lived_in(folder: Path) -> AsyncIterator[House]:
    """The house while its connector runs."""
    free = [f"{name}=0" for name in ("protocol.port", "management.port", "data.signaling_port")]
    chosen = [f"--set={each}" for each in (*free, "data.managed=false", "data.public_port=1")]
    made = await asyncio.to_thread(
        CliRunner().invoke, cli, ["init", str(folder), "--participant-id", "did:web:us.example", *chosen]
    )
    assert made.exit_code == 0, made.output
    file = folder / "operator.key"
    key = file.read_text().strip()
    assert key in made.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    done = asyncio.create_task(serve(load(folder / "carnet.toml", {}), stop, started))
    logs = ExitStack()
    try:
        logs.enter_context(capture_logs())
        await asyncio.wait({done, started}, return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            await done
        yield House(folder, started.result(), key)
    finally:
        stop.set()
        await done
        logs.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A house, while the test runs."""
    async with lived_in(tmp_path / "house") as found:
        yield found


async def test_the_first_key_opens_what_the_owner_opens(house: House) -> None:
    status, said = await house.get("/carnet/v1/status", house.key)
    assert (status, said["participantId"]) == (200, "did:web:us.example")
    status, said = await house.get("/carnet/v1/access/self", house.key)
    assert (status, said["roles"]) == (200, ["operator"])
    assert (await house.get("/carnet/v1/consents", house.key))[0] != 403
    assert (await house.get("/carnet/v1/status", house.key[:-1] + "!"))[0] == 401


async def test_what_touches_our_keys_stays_on_the_owners_channel(house: House) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"{house.running.management_url}/carnet/v1/keys/reload"
        async with session.post(url, headers={"X-Api-Key": house.key}) as answer:
            assert answer.status == 404


async def test_keys_are_made_listed_and_revoked(house: House) -> None:
    made = await house.json("add", "An auditor", "--role", "auditor", "--days", "3")
    assert (await house.get("/carnet/v1/dead-letters", made["key"]))[0] == 200
    rows = await house.json("list")
    assert [(row["name"], row["state"], row["createdBy"]) for row in rows] == [
        ("the first key", "valid", "owner"),
        ("An auditor", "valid", "owner"),
    ]
    text = (await house.carnet("list")).output
    assert made["entry"]["id"] in text
    # The first key and the owner are one.
    assert text.count("counts as owner") == 1
    assert "auditor" in text
    assert (await house.json("revoke", made["entry"]["id"]))["done"] == "revoked"
    assert (await house.get("/carnet/v1/dead-letters", made["key"]))[0] == 401
    again = await house.carnet("revoke", made["entry"]["id"])
    assert again.exit_code == 1
    assert "[key-revoked]" in again.output


async def test_who_did_what_stands_in_the_contract_log(tmp_path: Path) -> None:
    async with lived_in(tmp_path / "house") as house:
        made = await house.json("add", "A driver", "--role", "driver", "--vehicle", "7")
    assert made["entry"]["vehicle"] == 7
    log = Log(load(house.folder / "carnet.toml", {}).log.folder)
    found = await asyncio.to_thread(lines_in, log, Asked(events=frozenset({"management"})))
    assert [(line.said["change"], line.said["operation"]) for line in found.lines] == [("made", "makeApiKey")]
    assert "owner" not in str(found.lines[0].said)
