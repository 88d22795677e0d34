"""`carnet consents` and `carnet enrol` as a person types them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner

from connector.cli import channel
from connector.cli.main import cli
from connector.client.local import LocalClient
from connector.dataplane.consent.routes import ConsentRoutes
from connector.dataplane.problems import Refusal
from connector.flow.plane import Plane
from connector.http import problems
from connector.http.client import EgressPolicy, GuardedClient, parse_target
from connector.http.local_consents import LocalConsents
from connector.protocol.errors import CarnetError
from connector.settings.secret import Secret
from tests.dataplane.consent.ledgers import INSURER, TEXT, VIN, ledger_in, row, write_csv
from tests.routed import routed

Type = Callable[..., Awaitable[str]]
ABOUT = ("--category", "mileage", "--purpose", "vdx:Insurance", "--recipient", INSURER)


@web.middleware
async def refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        return await handler(request)  # type: ignore[no-any-return]  # a handler
    except Refusal as refusal:
        return refusal.response()
    except CarnetError as error:
        return problems.problem_answer(error)


def served(routes: list[web.RouteDef]) -> TestServer:
    app = web.Application(middlewares=[refusals])
    app.add_routes(routes)
    return TestServer(app)


@pytest.fixture
async def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Type]:
    """What a command says; ``code`` is what it must end with, ``stdin`` what is typed into it."""
    async with ledger_in(tmp_path / "own") as ledger, served(ConsentRoutes(ledger, (tmp_path,)).routes()) as behind:
        base = str(behind.make_url("")).rstrip("/")
        async with GuardedClient(EgressPolicy(allow=frozenset({parse_target(base).authority}), https_only=False)) as http:
            plane = Plane(http, Secret("token"))
            plane.came(base)
            async with served(routed(LocalConsents(plane).operations())) as front:
                where = str(front.make_url("")).rstrip("/")

                def once(_: object, work: Callable[[LocalClient], Awaitable[Any]]) -> Any:
                    async def run() -> Any:
                        async with LocalClient(url=where) as client:
                            return await work(client)

                    return asyncio.run(run())

                monkeypatch.setattr(channel, "once", once)
                monkeypatch.setattr(channel, "client_of", lambda _: None)

                async def type_in(*words: str | Path, code: int = 0, stdin: str = "") -> str:
                    result = await asyncio.to_thread(CliRunner().invoke, cli, list(map(str, words)), input=stdin)
                    assert result.exit_code == code, result.output
                    return result.output

                yield type_in


async def test_grant_show_enrol_withdraw(typed: Type, tmp_path: Path) -> None:
    assert "nobody agreed to anything yet" in await typed("consents", "list")
    text = tmp_path / "text.txt"
    await asyncio.to_thread(text.write_text, "You agree.")
    said = await typed("consents", "grant", VIN, "other", *ABOUT, "--text", text, "--by", "owner")
    assert said == "noted for 2 vehicles, ledger number 1\n"
    assert f"2  mileage for vdx:Insurance to {INSURER} on dpv:Consent" in await typed("consents", "list")
    numbers = [await typed("consents", "number", "-", stdin=f"{name}\n") for name in (VIN, "other")]
    assert len({int(each) for each in numbers}) == 2
    shown = json.loads(await typed("consents", "show", "-", "--json", stdin=f"{VIN}\n"))
    assert shown["entries"][0]["textSha256"] == hashlib.sha256(b"You agree.").hexdigest()
    said = await typed("enrol", VIN, "--recipient", INSURER, "--reference", "contract 7", "--text", TEXT)
    assert said == "enrolled, ledger number 2\n"
    said = await typed("consents", "withdraw", VIN, "--recipient", INSURER)
    assert said == f"withdrawn: mileage for vdx:Insurance to {INSURER} on dpv:Consent\nledger number 3\n"
    assert "nothing was left to withdraw" in await typed("consents", "withdraw", VIN)
    said = await typed("consents", "show", VIN)
    assert "agrees to\n  nothing\n" in said
    assert "given by the owner: mileage for vdx:Insurance" in said


async def test_requests_add_list_show_withdraw(typed: Type, tmp_path: Path) -> None:
    assert "no user asked for anything yet" in await typed("requests", "list")
    text = tmp_path / "order.txt"
    await asyncio.to_thread(text.write_text, "Repair it.")
    about = ("--recipient", INSURER, "--category", "diagnostics", "--text", text, "--id", "urn:request:7")
    said = await typed("requests", "add", "-", *about, stdin=f"{VIN}\n")
    assert said == "on record: urn:request:7, ledger number 1\n"
    made = json.loads(await typed("requests", "add", VIN, "--recipient", INSURER, "--by", "renter", "--json"))
    listed = await typed("requests", "list")
    assert f"urn:request:7  on record: to {INSURER} for vdx:AgreedWithUser, asked 2033-05-18" in listed
    assert f"{made['id']}  on record" in listed
    assert VIN not in listed
    shown = await typed("requests", "show", "urn:request:7")
    assert f"vehicle {VIN}\n  data: diagnostics\n  text {hashlib.sha256(b'Repair it.').hexdigest()}" in shown
    assert await typed("requests", "withdraw", "urn:request:7") == "withdrawn: urn:request:7, ledger number 3\n"
    assert "urn:request:7  withdrawn 2033-05-18" in await typed("requests", "list")
    assert "[request-unknown]" in await typed("requests", "withdraw", "urn:request:8", code=1)
    said = await typed("requests", "add", VIN, "--recipient", "two words", code=1)
    assert "recipient must be the participant id of the buyer" in said
    assert VIN not in said
    requests = json.loads(await typed("consents", "show", VIN, "--json"))["requests"]
    assert [each["id"] for each in requests] == [made["id"], "urn:request:7"]


async def test_import(typed: Type, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "in.csv", [row(), row("other")])
    said = await typed("consents", "import", path)
    assert said.startswith("Importing in.csv ...\n")
    assert "s\n2 decisions, 2 vehicles are new\n0 withdrawn, 0 grants overtaken" in said
    write_csv(path, [row(), row("other", category="secret")])
    said = await typed("consents", "import", path, code=1)
    assert "\nError: row 2: category must be one of location, driving-behaviour," in said
    assert "[consents-row]" in said
    assert "secret" not in said


async def test_what_is_wrong_is_said_with_a_remedy(typed: Type, tmp_path: Path) -> None:
    said = await typed("consents", "grant", VIN, *ABOUT, "--text", tmp_path / "none", code=1)
    assert "--text names neither a file that can be read nor a SHA-256" in said
    said = await typed("consents", "grant", VIN, *ABOUT, "--purpose", "vdx:No", "--text", TEXT, code=1)
    assert "entry 1: purpose must be a purpose of the tree" in said
    said = await typed("consents", "withdraw", VIN, code=1)
    assert "the ledger does not know this vehicle [vehicle-unknown]\nDo this: look at how it is written" in said
    assert VIN not in said
