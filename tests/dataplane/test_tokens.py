"""Tokens on the wire: what the address carries, how a pair is renewed, and each refusal with its code."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.dataplane.conftest import Control, MakePlane, Plane, content, first_message, token_of

FLOW = "urn:flow:1"
TOKEN_URL = "refreshEndpoint"


def named(address: dict[str, Any]) -> dict[str, str]:
    """The properties of an address by their names."""
    return {entry["name"]: entry["value"] for entry in address["endpointProperties"]}


async def begun(plane: Plane, flow: str = FLOW, **metadata: Any) -> dict[str, Any]:
    """A provider's flow that has just started: its address."""
    await plane.publish("ds", content(1000))
    started = await plane.done("POST", "/dataflows/start", first_message(flow, f"m-{flow}", **metadata))
    return dict(started["dataAddress"])


async def ask(plane: Plane, address: dict[str, Any], token: str | None = None) -> tuple[int, str]:
    """Status and code of a request for data."""
    headers = {"Authorization": f"Bearer {token or token_of(address)}"}
    async with plane.http.get(address["endpoint"], headers=headers) as answer:
        body = await answer.read()
        return answer.status, "" if answer.status == 200 else str(json.loads(body)["code"])


async def renew(
    plane: Plane, control: Control, address: dict[str, Any], *, assertion: str | None = None, url: str = "", **form: str
) -> tuple[int, dict[str, Any]]:
    """Renew the address's token, as its consumer does; what is given replaces what it would send."""
    has = named(address)
    shown = assertion if assertion is not None else control.assertion(has["authorization"])
    data = {"grant_type": "refresh_token", "refresh_token": has["refreshToken"], **form}
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}
    async with plane.http.post(url or has[TOKEN_URL], data=data, headers=headers) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status, await answer.json(content_type=None)


def after(address: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The address with the tokens of an answer."""
    has = named(address) | {"authorization": answer["access_token"], "refreshToken": answer["refresh_token"]}
    return {**address, "endpointProperties": [{"name": name, "value": value} for name, value in has.items()]}


async def test_the_address_says_how_its_token_is_renewed(make_plane: MakePlane, control: Control) -> None:
    plane = await make_plane()
    address = await begun(plane)
    has = named(address)
    assert list(has) == ["authorization", "authType", "refreshToken", "expiresIn", "refreshEndpoint"]
    assert (has["authType"], has["expiresIn"]) == ("bearer", "300")
    assert has["refreshEndpoint"] == f"{plane.public_url}/public/{quote(FLOW, safe='')}/token"
    assert await ask(plane, address) == (200, "")

    status, answer = await renew(plane, control, address)
    assert status == 200
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 300)
    fresh = after(address, answer)
    # Until the new pair is used, the old one does all that it did.
    assert await ask(plane, address) == (200, "")
    status, other = await renew(plane, control, address)
    assert status == 200
    assert await ask(plane, fresh) == (200, "")
    for dead in (address, after(address, other)):
        assert await ask(plane, dead) == (403, "token_revoked")
        status, refused = await renew(plane, control, dead)
        assert (status, refused["code"], refused["error"]) == (400, "refresh_retired", "invalid_grant")
    assert await ask(plane, fresh) == (200, "")


async def test_the_new_refresh_token_retires_the_old_one_too(make_plane: MakePlane, control: Control) -> None:
    plane = await make_plane()
    address = await begun(plane)
    _, answer = await renew(plane, control, address)
    fresh = after(address, answer)
    status, newest = await renew(plane, control, fresh)
    assert status == 200
    assert await ask(plane, address) == (403, "token_revoked")
    assert await ask(plane, fresh) == (200, "")
    assert await ask(plane, after(address, newest)) == (200, "")


async def test_an_expired_token_opens_nothing_and_is_renewed(make_plane: MakePlane, control: Control) -> None:
    plane = await make_plane(token_life_s=0)
    address = await begun(plane)
    async with plane.http.get(address["endpoint"], headers={"Authorization": f"Bearer {token_of(address)}"}) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await answer.json(content_type=None))["code"] == "token_expired"
    assert (await renew(plane, control, address))[0] == 200


async def test_who_cannot_renew_has_a_token_for_the_transfer(make_plane: MakePlane, control: Control) -> None:
    plane = await make_plane(token_life_s=0)
    address = await begun(plane, tokens="transfer")
    assert list(named(address)) == ["authorization", "authType"]
    assert await ask(plane, address) == (200, "")
    await plane.change(FLOW, "suspend", "s")
    again = (await plane.change(FLOW, "resume", "r"))["dataAddress"]
    assert list(named(again)) == ["authorization", "authType"]
    assert await ask(plane, again) == (200, "")


async def test_what_is_refused(make_plane: MakePlane, control: Control) -> None:
    plane = await make_plane()
    address, other = await begun(plane), await begun(plane, "urn:flow:2")
    token = token_of(address)
    once = control.assertion(token)
    assert (await renew(plane, control, address, assertion=once))[0] == 200
    elsewhere = named(other)[TOKEN_URL]
    for expected, changes in (
        ((401, "assertion_missing"), {"assertion": ""}),
        ((401, "assertion_missing"), {"assertion": "no-token"}),
        ((401, "assertion-replayed"), {"assertion": once}),
        ((401, "token-other"), {"assertion": control.assertion("another token")}),
        ((400, "refresh_unknown"), {"refresh_token": "x"}),
        ((400, "form"), {"refresh_token": ""}),
        ((400, "form"), {"refresh_token": "x" * 5000}),
        ((400, "grant_type"), {"grant_type": "client_credentials"}),
        ((404, "flow_unknown"), {"url": elsewhere}),
    ):
        status, answer = await renew(plane, control, address, **changes)
        assert (status, answer["code"]) == expected
        assert token not in json.dumps(answer)
    control.away = True
    status, answer = await renew(plane, control, address)
    assert (status, answer["code"]) == (503, "assertion_unavailable")
    control.away = False
    assert (await renew(plane, control, address))[0] == 200


@pytest.mark.parametrize(("change", "expected"), [("suspend", (403, "flow_suspended")), ("terminate", (410, "flow_ended"))])
async def test_what_was_stopped_is_not_renewed(
    make_plane: MakePlane, control: Control, change: str, expected: tuple[int, str]
) -> None:
    plane = await make_plane()
    address = await begun(plane)
    _, answer = await renew(plane, control, address)
    await plane.change(FLOW, change, "c")
    for pair in (address, after(address, answer)):
        status, refused = await renew(plane, control, pair)
        assert (status, refused["code"]) == expected
        assert await ask(plane, pair) == expected
    if change == "suspend":
        again = (await plane.change(FLOW, "resume", "r"))["dataAddress"]
        assert await ask(plane, again) == (200, "")
        status, refused = await renew(plane, control, after(address, answer))
        assert (status, refused["code"]) == (400, "refresh_retired")


async def test_only_digests_of_pairs_are_in_the_table(make_plane: MakePlane, control: Control) -> None:
    plane = await make_plane()
    address = await begun(plane)
    _, answer = await renew(plane, control, address)
    assert await ask(plane, after(address, answer)) == (200, "")
    await plane.kill()
    held = b"".join(path.read_bytes() for path in plane.folder.glob("data.db*"))
    for token in (answer["access_token"], answer["refresh_token"]):
        assert token.encode() not in held
        assert token.encode() not in plane.log
        assert hashlib.sha256(token.encode()).digest() in held


async def test_a_download_outlives_its_tokens_and_a_kill_of_either_side(make_plane: MakePlane, control: Control) -> None:
    """Tokens live a second; the download takes longer, and each request after a kill needs another one."""
    provider = await make_plane(stream_bytes_per_s=1024 * 1024, token_life_s=1)
    consumer = await make_plane(provider.public_url.removeprefix("http://"), download_attempts=200)
    data = content(5 * 1024 * 1024)
    await provider.publish("ds", data)
    await consumer.done("POST", "/dataflows/prepare", first_message(FLOW, "p", sink="file.bin"))
    address = (await provider.done("POST", "/dataflows/start", first_message(FLOW, "s")))["dataAddress"]
    await consumer.change(FLOW, "started", "c", dataAddress=address)
    for number, plane in enumerate((consumer, provider, consumer), 1):
        await consumer.until_bytes(FLOW, number * 1024 * 1024)
        await plane.kill()
        await plane.start()
    _, event, body = await control.next()
    assert (event, body["sha256"]) == ("completed", hashlib.sha256(data).hexdigest())
    assert (consumer.sinks / "file.bin").read_bytes() == data
    assert control.made > 0


async def test_an_address_that_is_handed_out_is_renewed_as_well(make_plane: MakePlane, control: Control) -> None:
    provider = await make_plane(token_life_s=1)
    consumer = await make_plane(provider.public_url.removeprefix("http://"))
    await consumer.done("POST", "/dataflows/prepare", first_message(FLOW, "p"))
    address = await begun(provider)
    await consumer.change(FLOW, "started", "c", dataAddress=address)
    path = f"/carnet/flows/{quote(FLOW, safe='')}/address"
    async with asyncio.timeout(30):
        while token_of(fresh := await consumer.done("GET", path)) == token_of(address):
            continue
    assert set(named(fresh)) == set(named(address))
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {base64.b64encode(b'none').decode()}"}
        async with session.get(fresh["endpoint"], headers=headers) as answer:
            assert answer.status == 403
