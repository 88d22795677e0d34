"""A data plane and requests of users: whose rows leave at whose request, and what a withdrawal does."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from .conftest import BUYER, VDX, Control, MakePlane, token_of, when
from .drives import COARSE, RESEARCH, RESEARCH_ONLY, Shop, drives

ONE, TWO, OTHER, NEVER = (f"urn:request:{name}" for name in ("one", "two", "other", "never"))
NAMED = when(f"{VDX}userRequest", "isAnyOf", [{"@id": each} for each in (ONE, TWO, OTHER, NEVER)])
TERMS = [RESEARCH_ONLY, *COARSE, NAMED]
MANY = 4_000


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    shop = Shop(await make_plane(artifact_wait_s=30, stream_bytes_per_s=64 * 1024), control)
    shop.agree(TERMS)
    return shop


async def ask(shop: Shop, request: str, vehicle: int, recipient: str = BUYER, **more: Any) -> None:
    asked = {"id": request, "vehicle": f"CAR{vehicle:04}", "recipient": recipient, "purpose": RESEARCH, **more}
    await shop.plane.done("POST", "/carnet/requests", asked)


async def withdraw(shop: Shop, request: str) -> int:
    return int((await shop.plane.done("POST", "/carnet/requests/withdraw", {"id": request}))["number"])


async def erasure(control: Control) -> dict[str, Any]:
    async with asyncio.timeout(30):
        return await control.erasures.get()


async def test_rows_leave_of_whom_this_buyer_was_named_for_whoever_else_consented(shop: Shop) -> None:
    await shop.publish(drives(5))
    await shop.consent(0, 3)
    await ask(shop, ONE, 0)
    await ask(shop, TWO, 1)
    await ask(shop, OTHER, 2, "did:web:somebody.example")
    await ask(shop, "urn:request:unnamed", 4)
    got = await shop.fetch("f1")
    assert got.status == 200, got.body
    assert len({row["pseudonym"] for row in got.rows}) == 2
    assert {float(row["Vehicle.Speed"]) for row in got.rows} == {40.0, 41.0}


async def test_nothing_leaves_of_data_that_nobody_asked_for(shop: Shop) -> None:
    """Speeds and places are in the file, and the requests are about the one or the other."""
    await shop.publish(drives(2))
    await ask(shop, ONE, 0, categories=["driving-behaviour"])
    await ask(shop, TWO, 1, categories=["location"])
    assert (await shop.fetch("f1")).rows == []
    await ask(shop, OTHER, 1, categories=["driving-behaviour"])
    assert len({row["pseudonym"] for row in (await shop.fetch("f2")).rows}) == 1


async def test_where_the_terms_ask_for_consent_too_a_request_is_not_enough(shop: Shop) -> None:
    shop.agree([*TERMS, when(f"{VDX}legalBasis", "eq", {"@id": "https://w3id.org/dpv#Consent"})])
    await shop.publish(drives(3))
    await ask(shop, ONE, 0)
    await ask(shop, TWO, 1)
    await shop.consent(1, 2)
    assert {float(row["Vehicle.Speed"]) for row in (await shop.fetch("f1")).rows} == {41.0}


async def test_a_withdrawal_cuts_what_runs_and_names_what_has_left(shop: Shop) -> None:
    await shop.publish(drives(3, rows=MANY))
    await ask(shop, ONE, 0)
    await ask(shop, TWO, 1)
    # What is on record is there after a death.
    await shop.plane.kill()
    await shop.plane.start()
    await shop.begin("f1")
    address = shop.addresses["f1"]
    headers = {"Authorization": token_of(address)}
    async with shop.plane.http.get(address["endpoint"], params={"format": "csv"}, headers=headers) as answer:
        assert (answer.status, answer.headers["Carnet-Rows"]) == (200, str(2 * MANY))
        await answer.content.readexactly(20_000)
        number = await withdraw(shop, TWO)
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await answer.content.read()
    told = await erasure(shop.control)
    (delivery,) = told["deliveries"]
    assert (told["counterparty"], told["ledger"], delivery["transfer"], len(delivery["pseudonyms"])) == (BUYER, number, "f1", 1)
    async with shop.plane.http.get(address["endpoint"], params={"format": "csv"}, headers=headers) as answer:
        assert (answer.status, answer.headers["Carnet-Rows"]) == (200, str(MANY))
    assert await withdraw(shop, TWO) == number
    assert shop.control.erasures.empty()


async def test_of_two_requests_for_a_vehicle_the_last_one_keeps_it_in(shop: Shop) -> None:
    """Its owner and its renter asked the same of the same buyer, and take it back one after the other."""
    await shop.publish(drives(2))
    await ask(shop, ONE, 0)
    await ask(shop, TWO, 0, decided_by="renter")
    await ask(shop, OTHER, 1, "did:web:somebody.example")
    await ask(shop, "urn:request:no-car", 77)
    got = await shop.fetch("f1")
    assert {float(row["Vehicle.Speed"]) for row in got.rows} == {40.0}
    await withdraw(shop, ONE)
    await withdraw(shop, "urn:request:no-car")
    await withdraw(shop, OTHER)
    assert len((await shop.get("f1", {})).rows) == len(got.rows)
    assert shop.control.erasures.empty()
    number = await withdraw(shop, TWO)
    told = await erasure(shop.control)
    assert (told["ledger"], len(told["deliveries"][0]["pseudonyms"])) == (number, 1)
    assert (await shop.get("f1", {})).rows == []


async def test_a_plain_file_is_not_given_at_a_user_s_request(shop: Shop) -> None:
    """Nobody could tell in it whose rows are whose."""
    shop.agree([RESEARCH_ONLY, NAMED])
    path = shop.plane.sources / "plain.csv"
    await asyncio.to_thread(path.write_text, drives(2))
    source = await shop.plane.done("PUT", "/carnet/sources/plain", {"path": str(path)})
    assert f"{VDX}userRequest" not in source["declares"]
    await ask(shop, ONE, 0)
    await shop.begin("f1", dataset="plain")
    got = await shop.get("f1", {})
    assert "userRequest" in got.problem["detail"]
    assert (got.status, got.code) == (409, "not-enforceable")
