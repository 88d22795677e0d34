"""Withdrawals, revocation and restarts: what must not leave does not, and what has left is named to the buyer."""

from __future__ import annotations

import asyncio
import hashlib
import os
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from connector.dataplane import withdrawn

from .conftest import BUYER, VDX, Control, MakePlane, Plane, token_of, when
from .drives import COARSE, RESEARCH_ONLY, START, Shop, drives, files_in

ROWS = [RESEARCH_ONLY, *COARSE]
MANY = 4_000


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    shop = Shop(await make_plane(artifact_wait_s=30, stream_bytes_per_s=64 * 1024), control)
    shop.agree(ROWS)
    return shop


async def erasure(control: Control) -> dict[str, Any]:
    async with asyncio.timeout(30):
        return await control.erasures.get()


async def test_a_withdrawal_before_the_first_byte_makes_the_file_anew(shop: Shop) -> None:
    """The file was made, but the limit kept it from leaving; when it may, it is another one."""
    shop.agree([*ROWS, when("https://w3id.org/carnet/terms#rows", "lteq", "10")])
    await shop.publish(drives(3))
    await shop.consent(0, 1, 2)
    assert (await shop.fetch("f1")).status == 429
    first = await shop.record("f1")
    assert (first["state"], first["vehicles"], first["firstByteAt"]) == ("ready", 3, None)
    await shop.consent(1, given=False)
    shop.agree(ROWS)
    got = await shop.get("f1")
    assert got.status == 200, got.body
    record = await shop.record("f1")
    assert (record["generation"], record["vehicles"]) == (2, 2)
    assert len({row["pseudonym"] for row in got.rows}) == 2
    assert record["erased"] == 0
    assert shop.control.erasures.empty()


async def test_a_withdrawal_cuts_what_runs_and_a_resume_gets_the_new_file(shop: Shop) -> None:
    await shop.publish(drives(3, rows=MANY))
    await shop.consent(0, 1, 2)
    await shop.begin("f1")
    address = shop.addresses["f1"]
    headers = {"Authorization": token_of(address)}
    async with shop.plane.http.get(address["endpoint"], params={"format": "csv"}, headers=headers) as answer:
        assert answer.status == 200
        etag = answer.headers["ETag"]
        got = await answer.content.readexactly(20_000)
        await shop.consent(1, given=False)
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await answer.content.read()
    async with shop.plane.http.get(
        address["endpoint"], headers={**headers, "Range": f"bytes={len(got)}-", "If-Range": etag}
    ) as answer:
        assert (answer.status, answer.headers["ETag"] == etag) == (200, False)
        assert answer.headers["Carnet-Rows"] == str(2 * MANY)
    told = await erasure(shop.control)
    assert (told["agreementId"], told["counterparty"], told["reason"]) == ("urn:agreement:1", BUYER, "consent-withdrawn")
    assert [each["transfer"] for each in told["deliveries"]] == ["f1"]
    assert (await shop.meters())["all"]["calls"] == 1


async def test_an_earlier_delivery_is_named_with_the_pseudonym_that_it_had(shop: Shop) -> None:
    await shop.publish(drives(3))
    await shop.consent(0, 1, 2)
    got = await shop.fetch("f1")
    names = {row["pseudonym"] for row in got.rows}
    await shop.plane.change("f1", "completed", "done")
    number = await shop.consent(1, given=False)
    told = await erasure(shop.control)
    (delivery,) = told["deliveries"]
    assert (told["ledger"], delivery["transfer"], delivery["references"]) == (number, "f1", [])
    assert len(delivery["pseudonyms"]) == 1
    assert set(delivery["pseudonyms"]) < names
    left = await shop.fetch("f2")
    assert names - {row["pseudonym"] for row in left.rows} == set(delivery["pseudonyms"])
    assert (await shop.record("f1"))["erased"] == 1
    assert shop.control.erasures.empty()


async def test_rows_that_name_trips_alone_are_named_by_their_trips(shop: Shop) -> None:
    """Also after a restart, which removes what belongs to nothing."""
    shop.agree([*ROWS, when(f"{VDX}releaseLevel", "eq", f"{VDX}L2")])
    later = drives(2, start=START + timedelta(days=1)).replace(",t", ",u")
    await shop.publish(drives(3) + "".join(later.splitlines(keepends=True)[1:]))
    await shop.consent(0, 1, 2)
    got = await shop.fetch("f1")
    assert "pseudonym" not in got.rows[0]
    names = {row["trip"] for row in got.rows}
    assert len(names) == 5
    await shop.plane.change("f1", "completed", "done")
    await shop.plane.kill()
    await shop.plane.start()
    await shop.consent(1, given=False)
    (delivery,) = (await erasure(shop.control))["deliveries"]
    assert (delivery["transfer"], delivery["pseudonyms"], delivery["references"]) == ("f1", [], [])
    assert len(delivery["trips"]) == 2
    left = await shop.fetch("f2")
    assert names - {row["trip"] for row in left.rows} == set(delivery["trips"])


def test_many_trips_are_told_of_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withdrawn, "MOST_TRIPS", 3)
    told: list[dict[str, Any]] = [
        {"trips": list("abc")},
        {"trips": ["d"]},
        {"pseudonyms": ["x"]},
        {"trips": list("ef")},
        {"trips": ["g"]},
    ]
    assert list(withdrawn._portions(told)) == [told[:1], told[1:4], told[4:]]
    assert list(withdrawn._portions(told[2:3] * 9)) == [told[2:3] * 9]


async def test_an_enrolled_vehicle_is_named_by_the_reference_of_its_buyer(shop: Shop) -> None:
    shop.agree([*ROWS, when("https://w3id.org/carnet/terms#enrolment", "eq", "true")])
    await shop.publish(drives(3))
    await shop.consent(0, 1, 2)
    enrolments = [
        {"vehicle": f"CAR{number:04}", "recipient": BUYER, "reference": f"contract-{number}", "text_sha256": "0" * 64}
        for number in (0, 1)
    ]
    await shop.plane.done("POST", "/carnet/enrolments", {"enrolments": enrolments})
    got = await shop.fetch("f1")
    assert {row["reference"] for row in got.rows} == {"contract-0", "contract-1"}
    await shop.plane.change("f1", "completed", "done")
    await shop.consent(1, given=False)
    (delivery,) = (await erasure(shop.control))["deliveries"]
    assert delivery["references"] == ["contract-1"]
    assert len(delivery["pseudonyms"]) == 1


async def test_pseudonyms_of_an_epoch_are_named_each(shop: Shop) -> None:
    shop.agree([*ROWS, when("https://w3id.org/carnet/terms#pseudonymEpoch", "eq", "P1D")])
    later = START + timedelta(days=1)
    await shop.publish(drives(2) + "".join(drives(2, start=later).splitlines(keepends=True)[1:]))
    await shop.consent(0, 1)
    got = await shop.fetch("f1")
    names = {row["pseudonym"] for row in got.rows}
    assert len(names) == 4, got.body[:500]
    await shop.consent(1, given=False)
    (delivery,) = (await erasure(shop.control))["deliveries"]
    assert len(delivery["pseudonyms"]) == 2
    assert set(delivery["pseudonyms"]) < names


async def test_a_notice_outlives_the_process(shop: Shop) -> None:
    await shop.publish(drives(2))
    await shop.consent(0, 1)
    assert (await shop.fetch("f1")).status == 200
    shop.control.deaf = True
    await shop.consent(0, given=False)
    await shop.plane.kill()
    shop.control.deaf = False
    await shop.plane.start()
    told = await erasure(shop.control)
    assert [each["transfer"] for each in told["deliveries"]] == ["f1"]


async def test_a_killed_process_makes_unfinished_files_anew_and_clears_the_spool(shop: Shop) -> None:
    await shop.publish(drives(3))
    await shop.consent(0, 1, 2)
    got = await shop.fetch("f1")
    address = shop.addresses["f1"]
    spool = shop.plane.folder / "spool"
    (spool / "made" / "orphan").write_bytes(b"x")
    (spool / "scratch" / "left").mkdir()
    await shop.plane.kill()
    await shop.plane.start()
    assert "orphan" not in files_in(spool / "made")
    assert files_in(spool / "scratch") == []
    url = f"{shop.plane.public_url}/public/f1"
    headers = {"Authorization": token_of(address), "Range": "bytes=10-", "If-Range": got.headers["etag"]}
    async with shop.plane.http.get(url, headers=headers) as answer:
        assert (answer.status, await answer.read()) == (206, got.body[10:])
    assert (await shop.meters())["all"]["calls"] == 1
    record = await shop.record("f1")
    assert (record["generation"], record["sha256"]) == (1, hashlib.sha256(got.body).hexdigest())


async def test_revocation_kills_the_work_and_nothing_is_written_afterwards(make_plane: MakePlane, control: Control) -> None:
    plane = await make_plane(artifact_wait_s=30)
    shop = Shop(plane, control)
    shop.agree(ROWS)
    await shop.publish(drives(40, rows=20_000))
    await shop.consent(*range(40))
    await shop.begin("f1")
    asking = asyncio.create_task(shop.get("f1", {"format": "csv"}))
    spool = plane.folder / "spool"
    async with asyncio.timeout(30):
        while not files_in(spool / "scratch"):
            await plane.call("GET", "/health")
    await plane.change("f1", "terminate", "stop")
    before = snapshot(plane)
    reply = await asking
    assert reply.status in (403, 410)
    status, _ = await plane.call("GET", "/health")
    assert (status, snapshot(plane)) == (200, before)
    assert files_in(spool / "made") == []
    assert (await shop.record("f1"))["state"] == "stale"
    assert (await shop.get("f1")).status == 410


def snapshot(plane: Plane) -> list[tuple[str, int]]:
    """Every file of the spool with its size."""
    found = [os.path.join(folder, name) for folder, _, names in os.walk(plane.folder / "spool") for name in names]
    return sorted((path, os.path.getsize(path)) for path in found)
