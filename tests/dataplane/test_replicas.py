"""Two data planes on one PostgreSQL database: what one revokes, the other has cut when the call returns."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connector.dataplane.leases import SCHEMA, Shared
from connector.dataplane.process import MIGRATIONS
from connector.store.migrate import migrate
from connector.store.postgres import PostgresEngine
from tests.dataplane.conftest import Control, MakePlane, Plane, content, first_message, token_of
from tests.dataplane.upstreams import Stall, api

pytestmark = pytest.mark.postgres
FLOW = "urn:flow:1"
PACE = 256 * 1024


async def both(make_plane: MakePlane, dsn: str, tmp_path: Path, *allow: str, **bounds: float) -> tuple[Plane, Plane]:
    """Two replicas with one database and one spool, each with listeners of its own; sources are published from anywhere here."""
    url = tmp_path / "database.url"
    url.write_text(dsn)
    url.chmod(0o600)
    more = (f'database_url_file = "{url}"', f'spool_dir = "{tmp_path / "shared" / "spool"}"')
    return await make_plane(*allow, more=more, **bounds), await make_plane(*allow, more=more, **bounds)


async def begun(plane: Plane, data: bytes) -> dict[str, Any]:
    await plane.publish("ds", data)
    return dict((await plane.done("POST", "/dataflows/start", first_message(FLOW, "s")))["dataAddress"])


def at(plane: Plane, address: dict[str, Any]) -> str:
    """The same data at another replica."""
    return plane.public_url + "/public/" + str(address["endpoint"]).rpartition("/public/")[2]


async def status(plane: Plane, address: dict[str, Any]) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token_of(address)}"}
    async with plane.http.get(at(plane, address), headers=headers) as answer:
        return answer.status, "" if answer.status == 200 else str((await answer.json(content_type=None))["code"])


async def reading(plane: Plane, address: dict[str, Any]) -> aiohttp.ClientResponse:
    """A delivery of which the first bytes are here."""
    headers = {"Authorization": f"Bearer {token_of(address)}"}
    answer = await plane.http.get(at(plane, address), headers=headers)
    assert answer.status == 200
    assert await answer.content.read(1)
    return answer


async def ends(answer: aiohttp.ClientResponse) -> bool:
    """Whether the delivery breaks off."""
    try:
        async with asyncio.timeout(30):
            await answer.read()
    except aiohttp.ClientError:
        return True
    return False


async def test_a_transfer_begun_at_one_is_known_at_the_other(
    postgres_dsn: str, make_plane: MakePlane, tmp_path: Path, control: Control
) -> None:
    one, two = await both(make_plane, postgres_dsn, tmp_path)
    address = await begun(one, content(1000))
    assert await status(one, address) == await status(two, address) == (200, "")
    has = {entry["name"]: entry["value"] for entry in address["endpointProperties"]}
    form = {"grant_type": "refresh_token", "refresh_token": has["refreshToken"]}
    headers = {"Authorization": f"Bearer {control.assertion(has['authorization'])}"}
    async with two.http.post(f"{at(two, address)}/token", data=form, headers=headers) as answer:
        fresh = (await answer.json())["access_token"]
    async with one.http.get(address["endpoint"], headers={"Authorization": f"Bearer {fresh}"}) as answer:
        assert answer.status == 200
    assert await status(two, address) == (403, "token_revoked")
    assert not (one.folder / "data.db").read_bytes()


@pytest.mark.parametrize(
    ("change", "expected"),
    [("suspend", (403, "flow_suspended")), ("terminate", (410, "flow_ended")), ("completed", (410, "flow_ended"))],
)
async def test_what_is_stopped_at_one_is_cut_at_the_other(
    postgres_dsn: str, make_plane: MakePlane, tmp_path: Path, change: str, expected: tuple[int, str]
) -> None:
    one, two = await both(make_plane, postgres_dsn, tmp_path, stream_bytes_per_s=PACE)
    data = content(32 * 1024 * 1024)
    address = await begun(one, data)
    answers = [await reading(two, address) for _ in range(5)]
    await one.change(FLOW, change, "c")
    assert await status(two, address) == expected
    # The call has returned: what comes now was on its way before, and is less than a pace of the rest.
    assert await asyncio.gather(*(ends(answer) for answer in answers)) == [True] * 5
    if change == "suspend":
        again = (await two.change(FLOW, "resume", "r"))["dataAddress"]
        answer = await reading(one, again)
        answer.close()
        assert await status(one, address) == (403, "token_revoked")


async def test_a_replica_that_hangs_serves_nothing_when_it_wakes(
    postgres_dsn: str, make_plane: MakePlane, tmp_path: Path
) -> None:
    """Stopped, it cannot confirm: the call returns when its lease is over, and what it had begun it does not go on with."""
    one, two = await both(make_plane, postgres_dsn, tmp_path, stream_bytes_per_s=PACE)
    address = await begun(one, content(32 * 1024 * 1024))
    answer = await reading(two, address)
    assert two.process is not None
    two.process.send_signal(signal.SIGSTOP)
    await one.change(FLOW, "suspend", "c")
    two.process.send_signal(signal.SIGCONT)
    assert await ends(answer)
    async with asyncio.timeout(30):
        while await status(two, address) != (403, "flow_suspended"):
            continue


async def test_a_killed_replica_is_waited_for_no_longer_than_its_lease(
    postgres_dsn: str, make_plane: MakePlane, tmp_path: Path
) -> None:
    one, two = await both(make_plane, postgres_dsn, tmp_path)
    address = await begun(one, content(1000))
    await two.kill()
    await one.change(FLOW, "suspend", "c")
    await two.start()
    assert await status(two, address) == (403, "flow_suspended")


async def test_a_download_is_taken_over_from_a_dead_replica(
    postgres_dsn: str, make_plane: MakePlane, tmp_path: Path, control: Control
) -> None:
    provider = await make_plane(stream_bytes_per_s=1024 * 1024)
    one, two = await both(make_plane, postgres_dsn, tmp_path, provider.public_url.removeprefix("http://"))
    data = content(4 * 1024 * 1024)
    await one.done("POST", "/dataflows/prepare", first_message(FLOW, "p", sink="file.bin"))
    address = await begun(provider, data)
    await one.change(FLOW, "started", "c", dataAddress=address)
    await one.until_bytes(FLOW, 1024 * 1024)
    assert not (two.sinks / "file.bin.part").exists()
    await one.kill()
    _, event, body = await control.next()
    assert (event, body["sha256"]) == ("completed", hashlib.sha256(data).hexdigest())
    assert (two.sinks / "file.bin").read_bytes() == data


async def test_a_stop_at_the_other_replica_stops_a_download(postgres_dsn: str, make_plane: MakePlane, tmp_path: Path) -> None:
    provider = await make_plane(stream_bytes_per_s=PACE)
    one, two = await both(make_plane, postgres_dsn, tmp_path, provider.public_url.removeprefix("http://"))
    await one.done("POST", "/dataflows/prepare", first_message(FLOW, "p", sink="file.bin"))
    address = await begun(provider, content(32 * 1024 * 1024))
    await one.change(FLOW, "started", "c", dataAddress=address)
    await one.until_bytes(FLOW, 1)
    await two.change(FLOW, "terminate", "t")
    assert list(one.sinks.iterdir()) == []


class Stopwatch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


async def test_a_lease_that_is_not_renewed_ends_and_others_see_revocations_in_order(postgres_dsn: str) -> None:
    engine = await PostgresEngine.open(postgres_dsn, pool_size=4, schema=SCHEMA)
    await migrate(engine, MIGRATIONS, 1)
    clock, cut = Stopwatch(), list[str]()
    one, two = Shared(engine), Shared(engine, clock)

    async def cutting(flow_id: str) -> None:
        cut.append(flow_id)

    two.cut = cutting
    assert not two.live()
    await one.join()
    await two.join()
    assert two.live()
    assert (await one.others(), await two.others()) == ({two.id}, {one.id})
    running = asyncio.create_task(two.run())
    await one.revoke("a")
    await one.revoke("b")
    assert cut == ["a", "b"]
    running.cancel()
    await asyncio.wait([running])
    clock.s += 2.0
    assert not two.live()
    # Nobody renews it: the database's own clock ends the wait.
    await one.leave()
    three = Shared(engine)
    await three.join()
    await three.revoke("c")
    assert cut == ["a", "b"]
    await two.leave()
    await engine.close()


async def test_a_source_registered_at_one_is_called_by_the_other_and_cut_there(
    postgres_dsn: str, make_plane: MakePlane, tmp_path: Path, control: Control
) -> None:
    async with api() as upstream:
        one, two = await both(make_plane, postgres_dsn, tmp_path, upstream.url.removeprefix("http://"))
        stall = Stall(one, control, upstream)
        await stall.publish(proxyPath=True)
        await stall.begin(FLOW)
        address = stall.addresses[FLOW]
        assert await status(two, address) == (200, "")
        below = address | {"endpoint": address["endpoint"] + "/endless"}
        answer = await reading(two, below)
        await one.change(FLOW, "suspend", "c")
        assert await ends(answer)
        assert await status(two, below) == (403, "flow_suspended")
        assert (await stall.record(FLOW))["meters"]["calls"] == 2
