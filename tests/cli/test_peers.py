"""`carnet peers` against a connector that runs: what a person writes down, sees, and gets told when it is wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace
from structlog.testing import capture_logs

from connector.app import Running, serve
from connector.cli.init import make_house
from connector.cli.main import cli
from connector.client.local import LocalClient, Refused
from connector.identity.gate import public_key
from connector.identity.participants import Participant, Profile, Recognised
from connector.settings import load
from connector.settings.model import DEVELOPMENT_KEY
from connector.store.registry import insert_participant, note_recognised
from tests.identity.entries import CITY, INSURER, NOBODY, PUBLIC_JWKS, reached_at

OWN, ADDRESS = "did:web:own.example", "https://city.example/dsp/2025-1"
WHY = "invoice 7 is open"


@dataclass(frozen=True)
class Desk:
    """A running connector and the folder of its settings."""

    folder: Path
    running: Running

    async def carnet(self, *words: str | Path) -> Result:
        """`carnet peers ...` as a person calls it."""
        line = ["peers", *map(str, words), "--config", str(self.folder / "carnet.toml")]
        return await asyncio.to_thread(CliRunner().invoke, cli, line)

    async def done(self, *words: str | Path) -> str:
        """Its output; it must have worked."""
        result = await self.carnet(*words)
        assert result.exit_code == 0, result.output
        return result.output

    async def json(self, *words: str | Path) -> Any:
        """Its output with `--json`."""
        return json.loads(await self.done(*words, "--json"))

    async def refused(self, *words: str | Path) -> str:
        """What it says when it does not work."""
        result = await self.carnet(*words)
        assert result.exit_code == 1, result.output
        return result.output

    def file(self, name: str, content: Any) -> Path:
        """A file of JSON beside the settings."""
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    chosen = {"protocol.port": "0", "protocol.auth": '"pinned-token"', "data.managed": "false", "data.signaling_port": "1"}
    await asyncio.to_thread(make_house, tmp_path, OWN, chosen, f'\n[development]\nkey = "{DEVELOPMENT_KEY}"\n')
    logs = ExitStack()
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    done = asyncio.create_task(serve(load(tmp_path / "carnet.toml", {}), stop, started))
    try:
        # The commands run in this process, too: what the connector logs must not stand between their lines.
        logs.enter_context(capture_logs())
        await asyncio.wait({done, started}, return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            await done
        yield Desk(tmp_path, started.result())
    finally:
        stop.set()
        await done
        logs.close()


async def test_a_participant_from_first_to_last(desk: Desk) -> None:
    assert "no participant yet" in await desk.done("list")
    assert "nobody vouches" in await desk.done("add", CITY, "--address", ADDRESS)
    text = await desk.done("admit", CITY, "--vouched-by", "the board", "--kind", "public-body", "--membership", "north")
    for part in (
        f"{CITY}  admitted",
        "vouched for by the board, 20",
        f"address {ADDRESS}",
        "kind public-body",
        "membership north",
    ):
        assert part in text
    assert await desk.done("list") == f"{CITY}  admitted  {ADDRESS}  vouched for by the board\n"

    text = await desk.done("suspend", CITY, "--reason", WHY)
    assert f"{CITY}  suspended\n  since 20" in text
    assert WHY in text
    await desk.done("expel", CITY, "--reason", WHY)
    assert "again" in await desk.refused("admit", CITY, "--vouched-by", "us")
    row = await desk.json("admit", CITY, "--vouched-by", "us", "--again", "--gatekeeper", "--country", "FR", "--sector", "tolls")
    assert (row["state"], row["reason"]) == ("admitted", None)
    assert row["claims"] == {"gatekeeper": True, "country": "FR", "sector": "tolls"}
    assert "gatekeeper yes" in await desk.done("show", CITY)


async def test_everything_at_once_and_changed_later(desk: Desk) -> None:
    keys = desk.file("keys.json", {"keys": PUBLIC_JWKS})
    how = (
        "--address",
        ADDRESS,
        "--address",
        "https://b.example",
        "--keys",
        keys,
        "--bearer",
        "--issuer",
        "https://issuer.example",
    )
    what = ("--vouched-by", "the mayor", "--kind", "sme", "--membership", "a", "--membership", "b")
    row = await desk.json("add", INSURER, *how, *what)
    thumbprints = [public_key(jwk).thumbprint for jwk in PUBLIC_JWKS]
    assert [key["thumbprint"] for key in row["keys"]] == thumbprints
    assert (row["state"], row["vouchedBy"], row["tokens"], row["revision"]) == ("admitted", "the mayor", "bearer", 1)
    text = await desk.done("show", INSURER)
    for part in (f"key {thumbprints[1]} (one)", "issuer https://issuer.example", "tokens without proof", "membership a, b"):
        assert part in text

    changed = await desk.json("update", INSURER, "--dpop", "--address", ADDRESS)
    assert (changed["tokens"], changed["addresses"], changed["issuer"]) == ("dpop", [ADDRESS], "https://issuer.example")
    assert (changed["keys"], changed["claims"]) == (row["keys"], row["claims"])
    assert (await desk.json("update", INSURER, "--kind", "company"))["claims"] == {"kind": "company"}
    assert [shown["id"] for shown in await desk.json("list", "--state", "admitted")] == [INSURER]
    assert await desk.json("list", "--state", "expelled") == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", NOBODY), "participant-unknown"),
        (("admit", NOBODY, "--vouched-by", "us"), "participant-unknown"),
        (("add", OWN), "participant-self"),
        (("add", CITY, "--kind", "sme"), "entry-invalid"),
        (("add", CITY, "--address", "city.example"), "body-invalid"),
        (("add", CITY, "--vouched-by", "us", "--country", "Germany"), "body-invalid"),
        (("update", CITY), "change-empty"),
    ],
)
async def test_what_is_wrong_is_said(desk: Desk, words: tuple[str, ...], code: str) -> None:
    assert f"[{code}]" in await desk.refused(*words)
    assert await desk.json("list") == []


async def test_who_is_known_is_not_added_again(desk: Desk) -> None:
    await desk.done("add", CITY)
    assert "[participant-known]" in await desk.refused("add", CITY)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json", "holds no JSON document"),
        ("[" * 20_000, "holds no JSON document"),
        ('{"keys": 7}', "must hold a JSON Web Key Set"),
        ("[]", "must hold a JSON Web Key Set"),
        (" " * 1_000_001, "is larger than 1000000 bytes"),
    ],
)
async def test_a_file_of_keys_that_is_none(desk: Desk, content: str, words: str) -> None:
    assert words in await desk.refused("add", CITY, "--keys", desk.file("keys.json", content))


async def test_secret_keys_are_refused_and_not_repeated(desk: Desk) -> None:
    keys = desk.file("keys.json", {"keys": [{**PUBLIC_JWKS[0], "d": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"}]})
    said = await desk.refused("add", CITY, "--keys", keys)
    assert "[entry-invalid]" in said
    assert "c2VjcmV0" not in said


async def test_a_registry_is_exported_and_imported(desk: Desk) -> None:
    await desk.done("add", CITY, "--address", ADDRESS, "--keys", desk.file("keys.json", {"keys": PUBLIC_JWKS}))
    await desk.done("add", INSURER, "--vouched-by", "us", "--kind", "sme")
    file = desk.folder / "peers.json"
    assert "2 participants written" in await desk.done("export", file)
    assert json.loads(file.read_text()) == await desk.json("export") == json.loads(await desk.done("export"))
    assert "0 of 2 are new" in await desk.done("import", file)

    entries = json.loads(file.read_text())
    entries[0] |= {"state": "expelled", "reason": WHY}
    assert f"{CITY}  expelled" in await desk.done("import", desk.file("changed.json", entries))
    entries[0] |= {"state": "admitted", "vouchedBy": "us"}
    entries[1] |= {"mood": 1}
    said = await desk.refused("import", desk.file("changed.json", entries))
    for part in ("[import-invalid]", "0: state: is expelled", "1: mood: is not known here"):
        assert part in said
    del entries[1]["mood"]
    assert "1 of 2" in await desk.done("import", desk.file("changed.json", entries), "--again")
    assert "must hold a JSON array" in await desk.refused("import", desk.file("object.json", {}))
    assert "cannot be written" in await desk.refused("export", desk.folder / "nowhere" / "peers.json")


async def test_how_somebody_was_recognised_is_shown_and_what_it_announces(desk: Desk) -> None:
    key = {"kty": "of an earlier release", "kid": "old"}
    entry = replace(reached_at(CITY), vouched_by="us", profile=Profile(announced=(ADDRESS,), keys=(key,)))
    seen = Recognised(assurance="private-key-jwt", key="thumbprint", at=1_700_000_000_000)
    await desk.running.context.store.commit([insert_participant(entry), note_recognised(CITY, seen)])
    text = await desk.done("show", CITY)
    assert "last recognised 2023-11-14 22:13:20.000Z by private-key-jwt, key thumbprint" in text
    assert f"announces {ADDRESS}" in text
    assert ADDRESS in await desk.done("list")
    row = await desk.json("show", CITY)
    assert row["keys"] == [{"kid": "old", "thumbprint": None, "refused": "key-kind"}]


async def test_a_long_list_is_read_to_its_end(desk: Desk) -> None:
    many = [Participant(id=f"did:web:{number:03}.example", state=reached_at(CITY).state) for number in range(205)]
    await desk.running.context.store.commit([insert_participant(each) for each in many])
    assert [row["id"] for row in await desk.json("list")] == [each.id for each in many]


async def test_a_programme_that_asks_for_what_is_not_there_is_told(desk: Desk) -> None:
    async with LocalClient.of(desk.running.settings) as client:
        with pytest.raises(Refused) as state:
            await client.peers("friend")
        with pytest.raises(Refused) as act:
            await client._call("POST", "/peers/x/praise")
        with pytest.raises(Refused) as reason:
            await client.suspend_peer(CITY, "")
    assert [error.value.code for error in (state, act, reason)] == ["state-unknown", "path-unknown", "body-invalid"]
