"""`carnet keys`, without a connector and beside one that runs."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from connector.cli.main import cli
from connector.http.local import LocalServer
from connector.http.local_keys import LocalKeys
from connector.identity.did import read_document
from connector.identity.keyfiles import load_keys
from connector.identity.keys import HOUR_MS, Use
from connector.identity.signing import new_signing_key, private_jwk
from connector.metrics import Metrics
from connector.protocol.errors import CallerError

US = "did:web:us.example"
ANY: Any = None


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CARNET_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def house(tmp_path: Path) -> Path:
    folder = tmp_path / "house"
    result = CliRunner().invoke(cli, ["init", str(folder), "--participant-id", US])
    assert result.exit_code == 0, result.output
    return folder


def keys(house: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["keys", *arguments, "--config", str(house / "carnet.toml")])


def listed(house: Path, use: str = "oauth") -> list[dict[str, Any]]:
    result = keys(house, "list", "--json")
    assert result.exit_code == 0, result.output
    return [row for row in json.loads(result.stdout) if row["use"] == use]


def test_every_key_is_listed_and_nothing_private(house: Path) -> None:
    result = keys(house, "list")
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(Use)
    assert all("current" in line and "until -" in line for line in lines)
    ring = load_keys(house / "keys", {}, 48)
    assert ring.signing(Use.LOG).thumbprint in result.stdout
    rows = [row for use in Use for row in listed(house, use)]
    assert {row["state"] for row in rows} == {"current"}
    for path in (house / "keys").glob("*.jwk"):
        jwk = json.loads(path.read_text())
        assert (jwk.get("d") or jwk["k"]) not in result.stdout + json.dumps(rows)


def test_rotation_keeps_the_old_key_for_the_overlap(house: Path) -> None:
    (old,) = listed(house)
    result = keys(house, "rotate", "oauth", "oauth")
    assert (result.exit_code, "the next start uses them" in result.stdout) == (0, True), result.output
    new, before = listed(house)
    assert (new["state"], before["kid"], before["state"]) == ("current", old["kid"], "rotated")
    assert before["until"] == before["rotatedAt"] + 48 * HOUR_MS
    assert "until 2" in keys(house, "list").stdout


def test_rotation_says_what_was_made_to_programs(house: Path) -> None:
    result = keys(house, "rotate", "log", "subjects", "--json")
    answer = json.loads(result.stdout)
    assert [row["use"] for row in answer["keys"]] == ["log", "subjects"]
    assert (answer["running"], answer["reloaded"]) == (False, False)


def test_rotation_makes_what_an_older_version_did_not_have(house: Path) -> None:
    for path in (house / "keys").iterdir():
        path.unlink()
    (house / "keys").rmdir()
    assert "carnet keys rotate" in keys(house, "list").stderr
    result = keys(house, "rotate")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 2 + len(Use)), result.output
    assert len(listed(house)) == 1
    again = keys(house, "rotate")
    assert (again.exit_code, "name what to rotate" in again.stderr) == (2, True)


def test_a_key_that_was_just_made_is_not_rotated_at_once(house: Path) -> None:
    for path in (house / "keys").iterdir():
        path.unlink()
    assert keys(house, "rotate", "oauth").exit_code == 0
    assert [row["state"] for row in listed(house)] == ["current"]


def test_an_unknown_use_is_refused(house: Path) -> None:
    result = keys(house, "rotate", "everything")
    assert (result.exit_code, "pseudonyms" in result.stderr) == (2, True)


def test_a_key_of_the_environment_is_changed_there(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARNET_KEY_OAUTH", json.dumps(private_jwk(new_signing_key("ES256", "mine"))))
    assert listed(house)[0]["kid"] == "mine"
    result = keys(house, "rotate", "oauth")
    assert (result.exit_code, "CARNET_KEY_OAUTH" in result.stderr) == (1, True)
    assert keys(house, "rotate", "log").exit_code == 0
    assert "made" in keys(house, "rotate", "log").stdout


def test_revocation_has_a_reason_and_a_successor(house: Path) -> None:
    (old,) = listed(house)
    assert keys(house, "revoke", old["kid"]).exit_code == 2
    result = keys(house, "revoke", old["kid"], "--reason", "it was in a log")
    assert (result.exit_code, "it was in a log" in result.stdout) == (0, True), result.output
    new, revoked = listed(house)
    assert (new["state"], revoked["kid"], revoked["state"], revoked["reason"]) == (
        "current",
        old["kid"],
        "revoked",
        "it was in a log",
    )
    for kid, said in ((old["kid"], "revoked already"), ("oauth-none", "no key of this id")):
        result = keys(house, "revoke", kid, "--reason", "again")
        assert (result.exit_code, said in result.stderr) == (1, True)
    keys(house, "rotate", "oauth")
    assert json.loads(keys(house, "revoke", new["kid"], "--reason", "old", "--json").stdout)["keys"][0]["kid"] == new["kid"]
    assert len(listed(house)) == 3


def test_exposed_keys_end_a_command_with_a_remedy(house: Path) -> None:
    (house / "keys").chmod(0o755)
    for arguments in (("list",), ("rotate", "log"), ("did",), ("revoke", "x", "--reason", "y")):
        result = keys(house, *arguments)
        assert (result.exit_code, f"chmod 700 {house / 'keys'}" in result.stderr) == (1, True)


# -- the document ------------------------------------------------------------------------------------------------------


def test_the_document_is_printed_as_others_read_it(house: Path) -> None:
    keys(house, "rotate", "oauth")
    result = keys(house, "did")
    read = read_document(US, json.loads(result.stdout))
    ring = load_keys(house / "keys", {}, 48)
    rows = {row["kid"] for row in ring.listing() if row["thumbprint"]}
    assert set(read.methods) == {f"{US}#{kid}" for kid in rows}
    assert len(rows) == 4
    assert read.version_documents == ("http://127.0.0.1:8282/.well-known/dspace-version",)
    assert "https://us.example/.well-known/did.json" in result.stderr


@pytest.mark.parametrize(
    ("environ", "origin"),
    [
        ({"PUBLIC_URL": "https://us.example"}, "https://us.example"),
        ({"HOST": "::1", "PORT": "1"}, "http://[::1]:1"),
        ({"TLS_CERTIFICATE": "c.pem", "TLS_KEY": "k.pem"}, "https://127.0.0.1:8282"),
    ],
)
def test_the_document_says_where_the_connector_is(
    house: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], origin: str
) -> None:
    for key, value in environ.items():
        monkeypatch.setenv(f"CARNET_PROTOCOL__{key}", value)
    document = json.loads(keys(house, "did").stdout)
    assert document["service"][0]["serviceEndpoint"] == f"{origin}/.well-known/dspace-version"


@pytest.mark.parametrize(
    ("participant", "port", "code", "said"),
    [
        ("urn:us", "1", 1, "is no DID"),
        ("did:web:us/else", "1", 1, "did-host"),
        (US, "0", 1, "protocol.public_url"),
        ("did:example:us", "1", 0, ""),
    ],
)
def test_a_document_needs_a_did_and_an_address(
    house: Path, monkeypatch: pytest.MonkeyPatch, participant: str, port: str, code: int, said: str
) -> None:
    monkeypatch.setenv("CARNET_PARTICIPANT_ID", participant)
    monkeypatch.setenv("CARNET_PROTOCOL__PORT", port)
    result = keys(house, "did")
    assert (result.exit_code, said in result.stderr) == (code, True), result.output


# -- beside a connector that runs --------------------------------------------------------------------------------------


class Running:
    """The owner's channel of a connector whose keys can be read again, or not."""

    def __init__(self, house: Path) -> None:
        self.house = house
        self.ring = load_keys(house / "keys", {}, 48)
        self.broken = False

    async def reload(self) -> None:
        if self.broken:
            raise CallerError("keys-exposed", "others have access")
        self.ring.become(await asyncio.to_thread(load_keys, self.house / "keys", {}, 48))

    async def call(self, *arguments: str) -> Result:
        return await asyncio.to_thread(keys, self.house, *arguments)


@asynccontextmanager
async def served(house: Path, handlers: LocalKeys | None) -> AsyncIterator[None]:
    application = LocalServer(ANY, ANY, ANY, Metrics(), ANY, token=None, keys=handlers).application()
    runner = web.AppRunner(application)
    await runner.setup()
    await web.UnixSite(runner, str(house / "carnet.sock")).start()
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.fixture
async def running(house: Path) -> AsyncIterator[Running]:
    connector = await asyncio.to_thread(Running, house)
    async with served(house, LocalKeys(connector.reload)):
        yield connector


async def test_a_running_connector_uses_the_new_keys_at_once(running: Running) -> None:
    before = running.ring.current(Use.OAUTH).kid
    result = await running.call("rotate", "oauth")
    assert (result.exit_code, "the running connector uses them" in result.stdout) == (0, True), result.output
    rotated = running.ring.current(Use.OAUTH).kid
    result = await running.call("revoke", rotated, "--reason", "a test", "--json")
    assert json.loads(result.stdout)["reloaded"] is True
    now = running.ring.current(Use.OAUTH).kid
    assert len({before, rotated, now}) == 3
    kids = [jwk["kid"] for use, jwk in running.ring.published(0) if use is Use.OAUTH]
    assert kids == [now, before]


async def test_it_is_said_when_a_running_connector_does_not_read_them(running: Running) -> None:
    running.broken = True
    result = await running.call("rotate", "log")
    assert (result.exit_code, "keys-exposed" in result.stderr, "restart the connector" in result.stderr) == (1, True, True)
    assert "log-" in result.stdout
    assert len(listed(running.house, "log")) == 2


async def test_a_connector_without_the_route_says_so(house: Path) -> None:
    async with served(house, None):
        result = await asyncio.to_thread(keys, house, "rotate", "log")
    assert (result.exit_code, "restart the connector" in result.stderr) == (1, True)


async def test_one_reading_follows_the_other() -> None:
    """What a reading began to see last is what is there at the end."""
    order: list[str] = []
    gate = asyncio.Event()

    async def read() -> None:
        order.append("begins")
        await gate.wait()
        order.append("ends")

    (operation,) = LocalKeys(read).operations()
    handler: Callable[[Any], Any] = operation.handle
    both = [asyncio.ensure_future(handler(ANY)) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == ["begins"]
    gate.set()
    await asyncio.gather(*both)
    assert order == ["begins", "ends", "begins", "ends"]
