"""Who is in the data is in no log, no error and no file but those that are made to name them.

A provider and a buyer as they are play all that there is to play with vehicles, positions and persons that are easily recognised.
Then every byte of both folders is searched, and all that both wrote to their standard streams; while they run, and when they
have ended.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from connector.client.local import Document, Refused
from connector.log.folder import LogFolder
from tests.acceptance.test_withdrawal import erasures
from tests.dataplane.conftest import VDX, when
from tests.dataplane.drives import CATEGORIES, LAT, LON, RESEARCH, SPEED, START, VIN
from tests.faults.couple import Couple, Party, open_couple, until
from tests.faults.drivers import known, research
from tests.privacy.looking import EXCLUDED, SAID, marks_in, places
from tests.privacy.marks import Search

pytestmark = [pytest.mark.timeout(300)]
VEHICLES, ROWS = 10, 20
VINS: Final = tuple(f"WVWZZZ1JZXW{number:06}" for number in range(428_100, 428_100 + VEHICLES))
PERSON: Final = "Friedemann Zwiebelkötter-Ahlström"
"""The driver of a vehicle: a buyer's reference has the name, as contracts do."""
SPEAKER: Final = "Hildegard Überschär-Xanthopoulos"
"""Somebody of whom people write to each other."""
PLACES: Final = [(f"48.5{number}71931", f"9.05{number}38277") for number in range(VEHICLES)]
MARKS: Final = (*VINS, PERSON, *(one for place in PLACES for one in place))
DRIVES, KNOWN, SHARED = "urn:asset:drives", "urn:asset:known", "urn:asset:shared"
TO: Final = (START + timedelta(seconds=ROWS)).isoformat()
ASK: Final = {"format": "csv", "to": TO}


def table() -> str:
    """Rows of each vehicle where it is standing."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([VIN, "trip", "time", SPEED, LAT, LON])
    for number, (vehicle, place) in enumerate(zip(VINS, PLACES, strict=True)):
        for second in range(ROWS):
            writer.writerow([vehicle, f"t{number}", (START + timedelta(seconds=second)).isoformat(), 40 + number, *place])
    return text.getvalue()


def entries(recipient: str, *vehicles: str, given: bool = True) -> list[Document]:
    text = hashlib.sha256(b"text").hexdigest()
    about = {"purpose": RESEARCH, "recipient": recipient, "given": given, "decided_by": "owner", "text_sha256": text}
    return [{"vehicle": vehicle, "category": category, **about} for vehicle in vehicles for category in CATEGORIES]


async def prepared(couple: Couple) -> str:
    """Data, consents, a reference and a request; gives the id of the request."""
    provider, buyer = couple.provider, couple.consumer.id
    file = provider.folder / "drives.csv"
    file.write_text(table(), encoding="utf-8")
    async with provider.owner() as owner:
        await owner.decide_consents(entries(buyer, *VINS))
        await owner.enrol([{"vehicle": VINS[0], "recipient": buyer, "reference": PERSON, "text_sha256": "0" * 64}])
        request = await owner.request_share(VINS[1], buyer, RESEARCH)
    await couple.offer(DRIVES, file, research(), table={})
    await couple.offer(KNOWN, file, research(known()), table={})
    shared = when(f"{VDX}userRequest", "eq", {"@id": request["id"]})
    await couple.offer(SHARED, file, research(shared), table={})
    return str(request["id"])


async def errors(couple: Couple) -> list[str]:
    """Everything that people get wrong about vehicles; what they are told."""
    provider, told = couple.provider, list[str]()
    wrong = provider.folder / "wrong.csv"
    head = "vehicle,category,purpose,recipient,basis,decided_by,text_sha256,at_ms,given"
    row = f"{VINS[2]},location,vdx:Nothing,{PERSON.replace(' ', '-')},,owner,{'0' * 64},1,true"
    wrong.write_text(f"{head}\n{row}\n", encoding="utf-8")
    async with provider.owner() as owner:
        tries: list[Callable[[], Awaitable[object]]] = [
            lambda: owner.vehicle_consents(f"{VINS[3]}x"),
            lambda: owner.withdraw_consents({"vehicle": f"{VINS[3]}x"}),
            lambda: owner.decide_consents([{**entries("did:web:b", VINS[3])[0], "category": VINS[3]}]),
            lambda: owner.decide_consents([{**entries("did:web:b", VINS[3])[0], "position": PLACES[3][0]}]),
            lambda: owner.enrol([{"vehicle": VINS[3], "recipient": "x y", "reference": PERSON, "text_sha256": "0" * 64}]),
            lambda: owner.request_share(VINS[3], "did:web:b", RESEARCH, id=f"urn:request:{VINS[3]}"),
            lambda: owner.import_consents(str(wrong)),
            lambda: owner.erase_subject("", vehicle=VINS[3]),
        ]
        for each in tries:
            with pytest.raises(Refused) as refused:
                await each()
            told.append(f"{refused.value.code} {refused.value}")
    return told


async def spoken(couple: Couple) -> None:
    """People write to each other about a person, and note why they do what they do."""
    async with couple.consumer.owner() as buyer, couple.provider.owner() as owner:
        shown = {found["@id"]: found["hasPolicy"] for found in await buyer.catalog(couple.provider.id)}
        begun = await buyer.negotiate(couple.provider.id, DRIVES, shown[DRIVES][0])
        with suppress(Refused):
            # It may have come to an agreement before.
            await buyer.act(begun["id"], "terminate", code="rejected", reason=[f"{SPEAKER} says no to {VINS[4]}"])
        transfer = await couple.begun(await couple.agreed(DRIVES))
        await couple.consumer.reaches(transfer, "STARTED")
        await buyer.act(transfer, "suspend", code="asked", reason=[f"{SPEAKER} is on holiday"])
        await couple.provider.reaches(await couple.theirs(transfer), "SUSPENDED")
        await buyer.act(transfer, "terminate", code="asked", reason=[f"{SPEAKER} does not need it"])
        await couple.provider.reaches(await couple.theirs(transfer), "TERMINATED")
        await owner.suspend_peer(couple.consumer.id, f"{SPEAKER} left the company")


async def strange(couple: Couple) -> None:
    """What strangers and a buyer send to the listeners that others reach."""
    provider = couple.provider
    public, dsp = f"http://127.0.0.1:{provider.public_port}", f"{provider.origin}/dsp/2025-1"
    transfer = await couple.begun(await couple.agreed(DRIVES))
    await couple.consumer.reaches(transfer, "STARTED")
    address = await couple.consumer.asked(lambda owner: owner.data_address(transfer))
    token = next(each["value"] for each in address["endpointProperties"] if each["name"] == "authorization")
    bearer, made_up = {"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {VINS[6]}"}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", address["endpoint"], {"params": {"purpose": f"https://x.example/{VINS[6]}"}, "headers": bearer}),
        ("GET", address["endpoint"], {"params": {"columns": PERSON, "near": ",".join(PLACES[6])}, "headers": bearer}),
        ("GET", f"{public}/public/{VINS[6]}", {"headers": made_up}),
        ("GET", f"{dsp}/catalog/datasets/{VINS[6]}", {"headers": made_up}),
        ("POST", f"{dsp}/negotiations/request", {"json": {"@type": VINS[6], "reason": [SPEAKER, *PLACES[6]]}}),
        ("POST", f"{dsp}/transfers/{VINS[6]}/termination", {"data": f'{{"{PERSON}": '.encode()}),
    ]
    async with aiohttp.ClientSession() as http:
        for method, url, more in calls:
            async with http.request(method, url, **more) as answer:
                assert 400 <= answer.status < 500, await answer.text()
    async with couple.consumer.owner() as buyer:
        await buyer.act(transfer, "terminate", code="done", reason=["done"])


async def fulfilled(couple: Couple, agreement: str) -> None:
    async def attested() -> bool:
        both = [await erasures(party, agreement) for party in (couple.provider, couple.consumer)]
        return all(duties and {duty["stage"] for duty in duties} == {"fulfilled"} for duties in both)

    await until(attested)


async def played(couple: Couple) -> list[str]:
    """All of it; gives what people were told."""
    request = await prepared(couple)
    agreements = [await couple.agreed(dataset) for dataset in (DRIVES, KNOWN, SHARED)]
    await asyncio.gather(*(couple.fetched(agreement, sink=f"{place}.csv", ask=ASK) for place, agreement in enumerate(agreements)))
    for agreement in agreements:
        await couple.receipts(agreement)
    told = await errors(couple)
    async with couple.provider.owner() as owner:
        await owner.withdraw_request(request)
        await owner.withdraw_consents({"vehicle": VINS[0], "recipient": couple.consumer.id})
        known_of = await owner.export_subject(VINS[0])
        assert PERSON in str(known_of["enrolments"])
        assert len(known_of["deliveries"]) == 2
        told.append(str(await owner.erase_subject(f"{SPEAKER} asked for it", vehicle=VINS[5])))
    for agreement in agreements[:2]:
        await fulfilled(couple, agreement)
    await strange(couple)
    await spoken(couple)
    return told


async def settled(party: Party) -> None:
    """Until nothing waits to be told and SQLite's logs are empty."""

    async def quiet() -> bool:
        waiting = await asyncio.to_thread(party.rows, "data.db", "SELECT 1 FROM callback WHERE due_at IS NOT NULL")
        logs = [path for path in party.folder.glob("*.db-wal") if path.stat().st_size]
        return not waiting and not logs

    await until(quiet)


def check(folder: Path) -> None:
    """Nothing of vehicles, positions and drivers anywhere; what was said where things that were said stand."""
    found = places(folder, Search(MARKS))
    assert {place: marks for place, marks in found.items() if place not in SAID} == {}
    # Whoever writes a vehicle into a text has written it there.
    assert marks_in(found.values()) <= {VINS[4]}
    assert set(places(folder, Search([SPEAKER]))) <= set(SAID)


async def test_who_is_in_the_data_is_in_nothing_else(tmp_path: Path) -> None:
    async with open_couple(tmp_path) as couple:
        told = await played(couple)
        await asyncio.gather(settled(couple.provider), settled(couple.consumer))
        for party in (couple.provider, couple.consumer):
            await asyncio.to_thread(check, party.folder)
        await asyncio.gather(*(party.plane.end(signal.SIGKILL) for party in (couple.provider, couple.consumer)))
    for name in ("provider", "consumer"):
        await asyncio.to_thread(check, tmp_path / name)
    assert Search([*MARKS, SPEAKER]).found("\n".join(told).encode()) == set()
    await asyncio.to_thread(there, tmp_path)


def there(folder: Path) -> None:
    """The marks were planted: where they may stand, they do."""
    assert marks_in([Search(MARKS).found((folder / "provider" / "drives.csv").read_bytes())]) >= {*VINS, PLACES[0][0]}
    assert SPEAKER in marks_in(places(folder / "provider", Search([SPEAKER])).values())
    assert any((folder / "provider" / name).exists() for name in EXCLUDED if "*" not in name)
    log = LogFolder(folder / "provider" / "log")
    leaves = [json.loads(entry) for entry in log.entries(0, log.size())]
    # What was done is in the log, and the vehicles are in its indexes.
    assert {leaf["type"] for leaf in leaves} >= {
        "offer",
        "message",
        "agreement",
        "receipt",
        "meter",
        "consents",
        "erasure",
        "subject",
    }
    assert {leaf["type"] for leaf in leaves if "index" in leaf} >= {"receipt", "consents"}
