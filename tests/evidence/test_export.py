"""The way out of a running connector: the owner's channel sends the bundle, the command writes it as one file."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiohttp import web

from connector.cli import audit_bundle
from connector.cli.errors import Failed
from connector.client.local import Away, LocalClient, Refused
from connector.evidence.verifying import verify_bundle
from connector.evidence.zipped import read_zip
from connector.http import problems
from connector.http.local_bundles import LocalBundles
from tests.evidence.forging import Forge
from tests.evidence.recorded import Contract, concluded
from tests.routed import routed

CONFIG = """participant_id = "did:web:provider"
data_dir = "{folder}"
[local]
socket = "carnet.sock"
"""


@web.middleware
async def _told(request: web.Request, handler: object) -> web.StreamResponse:
    try:
        return await handler(request)  # type: ignore[operator, no-any-return]  # a handler of aiohttp
    except Exception as error:  # noqa: BLE001  # as the channel's own guard does
        return problems.problem_answer(error)


@contextmanager
def serving(folder: Path) -> Iterator[Contract]:
    """The channel of the provider of a contract, on the socket of its settings."""
    loop, made = asyncio.new_event_loop(), list[Contract]()

    async def begin() -> web.AppRunner:
        contract = await concluded(folder)
        made.append(contract)
        application = web.Application(middlewares=[_told])
        application.add_routes(routed(LocalBundles(contract.provider.house.context, contract.provider.log).operations()))
        runner = web.AppRunner(application)
        await runner.setup()
        await web.UnixSite(runner, str(folder / "carnet.sock")).start()
        return runner

    async def end(runner: web.AppRunner) -> None:
        await runner.cleanup()
        await made[0].street.close()

    runner = loop.run_until_complete(begin())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield made[0]
    finally:
        asyncio.run_coroutine_threadsafe(end(runner), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def contract(tmp_path: Path) -> Iterator[Contract]:
    (tmp_path / "carnet.toml").write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    with serving(tmp_path) as found:
        yield found


def test_the_command_writes_a_bundle_that_verifies(
    contract: Contract, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "evidence.zip"
    audit_bundle.exported(contract.agreement, out, tmp_path / "carnet.toml", as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said == {"agreement": contract.agreement, "file": str(out), "bytes": out.stat().st_size}
    assert {step.result for step in verify_bundle(out)} == {"passed"}
    assert out.stat().st_mode & 0o077 == 0
    assert [each.name for each in tmp_path.glob("*.part")] == []


def test_a_file_that_is_there_stays_as_it_is(contract: Contract, tmp_path: Path) -> None:
    out = tmp_path / "evidence.zip"
    out.write_bytes(b"mine")
    with pytest.raises(Failed) as caught:
        audit_bundle.exported(contract.agreement, out, tmp_path / "carnet.toml", as_json=False)
    assert caught.value.code == "file-exists"
    assert out.read_bytes() == b"mine"


def test_an_agreement_that_is_not_there_leaves_no_file(contract: Contract, tmp_path: Path) -> None:
    for agreement, whose in (("urn:nobody", None), (contract.agreement, "did:web:other")):
        with pytest.raises(Failed) as caught:
            audit_bundle.exported(agreement, tmp_path / "x.zip", tmp_path / "carnet.toml", as_json=False, counterparty=whose)
        assert caught.value.code == "agreement-unknown"
    assert [each.name for each in tmp_path.glob("x.zip*")] == []


def test_the_channel_sends_what_the_bundle_has(contract: Contract, tmp_path: Path) -> None:
    async def fetch() -> int:
        async with LocalClient(socket=str(tmp_path / "carnet.sock")) as client:
            with (tmp_path / "b.zip").open("wb") as opened:
                return await client.evidence(contract.agreement, opened, "did:web:consumer")

    size = asyncio.run(fetch())
    assert size == (tmp_path / "b.zip").stat().st_size
    assert "agreement.json" in read_zip(tmp_path / "b.zip")


async def test_where_nobody_answers_it_says_so(forge: Forge, tmp_path: Path) -> None:
    async with LocalClient(socket=str(tmp_path / "nobody.sock")) as client:
        with (tmp_path / "b.zip").open("wb") as opened, pytest.raises((Away, Refused), match="connector-away"):
            await client.evidence(forge.contract.agreement, opened)
