"""Two connectors that know each other by their DID documents alone: the consumer's program renews the token of its transfer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from connector.app import serve
from connector.client.local import Document
from connector.demo.houses import TRIPS_FILE, House, make_houses
from connector.settings import load

STEP_S = 60.0


@asynccontextmanager
async def serving(house: House) -> AsyncIterator[None]:
    """The house's connector, until the block is left."""
    settings = await asyncio.to_thread(load, house.folder / "carnet.toml", {})
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    done = asyncio.create_task(serve(settings, stop, started))
    try:
        await asyncio.wait({done, started}, return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            await done
        yield
    finally:
        stop.set()
        await asyncio.gather(done, return_exceptions=True)


async def reached(house: House, process_id: str, state: str) -> Document:
    """The process in this state, with nothing of it on its way."""
    async with house.client() as owner:
        found = await owner.wait(process_id, lambda now: now["state"] == state and now["awaiting"] is None, STEP_S)
    assert found["state"] == state, found
    return found


async def started(provider: House, consumer: House) -> tuple[str, dict[str, Any]]:
    """A transfer that the consumer's program fetches by itself: its id at the consumer and its data address."""
    async with provider.client() as owner:
        await owner.publish("urn:dataset:1", str(provider.folder / TRIPS_FILE), open_to="all")
    async with consumer.client() as owner:
        await owner.hello(provider.participant_id)
        offered = await owner.catalog(provider.participant_id)
        begun = await owner.negotiate(provider.participant_id, "urn:dataset:1", offered[0]["hasPolicy"][0])
    agreed = await reached(consumer, begun["id"], "FINALIZED")
    async with consumer.client() as owner:
        begun = await owner.transfer(agreed["agreement"]["@id"])
        await reached(consumer, begun["id"], "STARTED")
        return begun["id"], await owner.data_address(begun["id"])


async def test_the_consumers_program_renews_its_token(tmp_path: Path) -> None:
    provider, consumer = await asyncio.to_thread(make_houses, tmp_path)
    async with AsyncExitStack() as stack:
        for house in (provider, consumer):
            await stack.enter_async_context(serving(house))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        transfer, address = await started(provider, consumer)
        has = {entry["name"]: entry["value"] for entry in address["endpointProperties"]}
        form = {"grant_type": "refresh_token", "refresh_token": has["refreshToken"]}
        async with consumer.client() as owner:
            assertion = await owner.assertion(transfer, has["authorization"])
        headers = {"Authorization": f"Bearer {assertion}"}
        async with session.post(has["refreshEndpoint"], data=form, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            fresh = await answer.json()
        for token, expected in ((fresh["access_token"], 200), (has["authorization"], 403)):
            async with session.get(address["endpoint"], headers={"Authorization": f"Bearer {token}"}) as answer:
                assert answer.status == expected, await answer.text()
        form["refresh_token"] = fresh["refresh_token"]
        async with session.post(has["refreshEndpoint"], data=form, headers=headers) as answer:
            refused = json.loads(await answer.read())
            assert (answer.status, refused["code"]) == (401, "token-other")
        async with consumer.client() as owner:
            assertion = await owner.assertion(transfer, fresh["access_token"])
        for outcome in ((200, None), (401, "assertion-replayed")):
            async with session.post(
                has["refreshEndpoint"], data=form, headers={"Authorization": f"Bearer {assertion}"}
            ) as answer:
                assert (answer.status, (await answer.json(content_type=None)).get("code")) == outcome


async def test_programs_that_share_a_transfer_share_its_renewals(tmp_path: Path) -> None:
    provider, consumer = await asyncio.to_thread(make_houses, tmp_path)
    async with AsyncExitStack() as stack:
        for house in (provider, consumer):
            await stack.enter_async_context(serving(house))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        transfer, address = await started(provider, consumer)
        first = _token(address)
        async with consumer.client() as owner:
            fresh = await owner.renewal(transfer, first)
            async with session.get(fresh["endpoint"], headers={"Authorization": f"Bearer {_token(fresh)}"}) as answer:
                assert answer.status == 200, await answer.text()
            # Whoever still has the old one is refused by the provider, and gets here what the other has.
            assert await owner.renewal(transfer, first) == fresh == await owner.data_address(transfer)
            again = await owner.renewal(transfer, _token(fresh))
            async with session.get(again["endpoint"], headers={"Authorization": f"Bearer {_token(again)}"}) as answer:
                assert answer.status == 200, await answer.text()
            assert len({first, _token(fresh), _token(again)}) == 3


def _token(address: dict[str, Any]) -> str:
    return str(next(each["value"] for each in address["endpointProperties"] if each["name"] == "authorization"))
