"""A driver withdraws, between real connectors and data planes: nothing more leaves, and what has left is erased and attested."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import duckdb
import pytest
import pytest_asyncio

from connector.client.local import Document
from tests.dataplane.drives import START, drives
from tests.faults.couple import Couple, Party, open_couple, rows_of, until
from tests.faults.drivers import consented, known, name_of, research

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
VEHICLES, ROWS, PACE_BYTES = 10, 300, 24 * 1024
SHORT_S: Final = 20
DRIVES, KNOWN = "urn:asset:drives", "urn:asset:known"
TO: Final = (START + timedelta(seconds=SHORT_S)).isoformat()
SHORT: Final = {"format": "csv", "to": TO}
"""The first seconds of every drive: what is not about streams need not take long."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def couple(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Couple]:
    async with open_couple(tmp_path_factory.mktemp("withdrawal"), stream_bytes_per_s=PACE_BYTES) as opened:
        provider, buyer = opened.provider, opened.consumer.id
        table = provider.folder / "drives.csv"
        table.write_text(drives(VEHICLES, rows=ROWS), encoding="utf-8")
        contracts = [
            {"vehicle": name_of(number), "recipient": buyer, "reference": f"contract-{number}", "text_sha256": "0" * 64}
            for number in range(VEHICLES // 2)
        ]
        async with provider.owner() as owner:
            await owner.decide_consents(consented(buyer, *range(VEHICLES)))
            await owner.enrol(contracts)
        await opened.offer(DRIVES, table, research(), table={})
        await opened.offer(KNOWN, table, research(known()), table={})
        yield opened


async def withdraw(couple: Couple, vehicle: int) -> None:
    async with couple.provider.owner() as owner:
        done = await owner.withdraw_consents({"vehicle": name_of(vehicle), "recipient": couple.consumer.id})
    assert len(done["withdrawn"]) == 2


async def erasures(party: Party, agreement: str) -> list[Document]:
    """Duties to erase under an agreement."""
    found = await party.asked(lambda owner: owner.duties())
    return [duty for duty in found if (duty["kind"], duty["agreement"]) == ("erase", agreement)]


async def fulfilled(couple: Couple, agreement: str) -> Document:
    """The provider's duty to erase under an agreement, once the attestation was verified; the consumer's says the same."""

    async def attested() -> bool:
        return [duty["stage"] for duty in await erasures(couple.provider, agreement)] == ["fulfilled"]

    await until(attested)
    (ours,), (theirs,) = await erasures(couple.provider, agreement), await erasures(couple.consumer, agreement)
    assert (ours["role"], theirs["role"], theirs["stage"]) == ("provider", "consumer", "fulfilled")
    assert ours["keyThumbprint"], "the attestation was not verified"
    assert theirs["keyThumbprint"] not in (None, "unverified")
    assert (ours["id"], ours["outcome"], ours["attestation"]) == (theirs["id"], theirs["outcome"], theirs["attestation"])
    return ours


def pseudonyms(file: Path) -> dict[str, int]:
    """Rows by pseudonym."""
    found: dict[str, int] = {}
    for row in rows_of(file):
        found[row["pseudonym"]] = found.get(row["pseudonym"], 0) + 1
    return found


def landed_table(couple: Couple) -> list[tuple[str, str]]:
    with duckdb.connect(str(couple.consumer.received / "fleet.duckdb"), read_only=True) as opened:
        return opened.execute("SELECT pseudonym, carnet_transfer FROM drives").fetchall()


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


async def reading(address: Document) -> tuple[socket.socket, int]:
    """A connection on which some of the data has come, and how many bytes the whole would have."""
    given = {each["name"]: each["value"] for each in address["endpointProperties"]}
    split, loop = urlsplit(address["endpoint"]), asyncio.get_running_loop()
    connection = socket.socket()
    connection.setblocking(False)
    await loop.sock_connect(connection, ("127.0.0.1", split.port))
    target = f"{split.path}?format=csv"
    head = f"GET {target} HTTP/1.1\r\nHost: {split.netloc}\r\nAuthorization: Bearer {given['authorization']}\r\n\r\n"
    await loop.sock_sendall(connection, head.encode())
    got = b""
    while b"\r\n\r\n" not in got or got.endswith(b"\r\n\r\n"):
        got += await loop.sock_recv(connection, 4096)
    assert got.startswith(b"HTTP/1.1 200"), got[:500]
    (length,) = (int(line[15:]) for line in got.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return connection, length - len(got.partition(b"\r\n\r\n")[2])


def left_over(connection: socket.socket) -> int:
    """What had been written to a connection that has ended. Raises BlockingIOError if it has not ended."""
    count = 0
    try:
        while piece := connection.recv(1 << 20):
            count += len(piece)
    except ConnectionError:
        pass
    return count


async def test_a_withdrawal_ends_what_leaves_and_erases_what_has_left(couple: Couple) -> None:
    consumer = couple.consumer
    agreement, enrolled = await couple.agreed(DRIVES), await couple.agreed(KNOWN)
    first, second, third, address = await asyncio.gather(
        couple.fetched(agreement, sink="first.csv", ask=SHORT),
        couple.fetched(agreement, sink="second.parquet", into="fleet.duckdb:drives", ask={"to": TO}),
        couple.fetched(enrolled, sink="known.csv", ask=SHORT),
        handed_out(couple, agreement),
    )
    before, table = pseudonyms(consumer.received / "first.csv"), await asyncio.to_thread(landed_table, couple)
    assert set(before.values()) == {SHORT_S}
    assert len(before) == VEHICLES
    assert {row[0] for row in table} == set(before)
    connection, awaited = await reading(address)
    with closing(connection):
        await withdraw(couple, 0)
        assert left_over(connection) < awaited
    duty, other = await fulfilled(couple, agreement), await fulfilled(couple, enrolled)

    after, kept = pseudonyms(consumer.received / "first.csv"), await asyncio.to_thread(landed_table, couple)
    assert [len(before) - len(after), set(after) - set(before)] == [1, set()]
    (gone,) = set(before) - set(after)
    assert sorted(kept) == sorted((name, transfer) for name, transfer in table if name != gone)
    references = {row["reference"] for row in rows_of(consumer.received / "known.csv")}
    assert references == {f"contract-{number}" for number in range(1, VEHICLES // 2)}
    erased = {each["transfer"]: each for each in duty["outcome"]["erased"]}
    assert erased[first]["sha256After"] == sha256_of(consumer.received / "first.csv")
    assert [erased[each]["rows"] for each in (first, second)] == [SHORT_S, SHORT_S]
    assert [(each["transfer"], each["rows"]) for each in other["outcome"]["erased"]] == [(third, SHORT_S)]
    # The one that was handed out to a program is out of reach, and said to be.
    assert len(duty["outcome"]["outside"]) == 1
    assert (duty["pseudonyms"], other["references"]) == (1, 1)

    await couple.fetched(agreement, sink="later.csv", ask=SHORT)
    assert pseudonyms(consumer.received / "later.csv") == after


async def handed_out(couple: Couple, agreement: str) -> Document:
    """The address of a transfer that no data plane of the consumer fetches."""
    transfer = await couple.begun(agreement)
    await couple.consumer.reaches(transfer, "STARTED")
    return await couple.consumer.asked(lambda owner: owner.data_address(transfer))


async def leaves(couple: Couple, agreement: str) -> None:
    """Until bytes of a delivery under an agreement may leave."""
    query = "SELECT 1 FROM delivery WHERE agreement_id = ? AND reserved_at IS NOT NULL"

    async def reserved() -> bool:
        return bool(await asyncio.to_thread(couple.provider.rows, "data.db", query, agreement))

    await until(reserved)


async def agreeing(couple: Couple) -> int:
    """How many vehicles agree now."""
    async with couple.provider.owner() as owner:
        return sum([bool((await owner.vehicle_consents(name_of(number)))["held"]) for number in range(VEHICLES)])


async def test_a_file_on_its_way_comes_without_who_withdraws(couple: Couple) -> None:
    agreement = await couple.agreed(DRIVES)
    there = await agreeing(couple) - 1
    transfer = await couple.begun(agreement, sink="running.csv", ask={"format": "csv"})
    await leaves(couple, agreement)
    await withdraw(couple, 1)
    await couple.consumer.reaches(transfer, "COMPLETED")
    found = pseudonyms(couple.consumer.received / "running.csv")
    assert (len(found), set(found.values())) == (there, {ROWS})
    ours, theirs = await couple.receipts(agreement)
    assert ours["state"] == theirs["state"] == "countersigned", ours["differences"]
    assert ours["content"]["rows"] == there * ROWS
    assert (await couple.meters(agreement))["calls"] == 1
    # The notice waits for what is on its way, and then finds nothing in it.
    assert sum(each["rows"] for each in (await fulfilled(couple, agreement))["outcome"]["erased"]) == 0


async def test_what_had_left_and_not_landed_when_the_notice_came_does_not_land(couple: Couple) -> None:
    """All bytes are in the consumer's socket, its data plane sleeps over them, and the notice waits beside them."""
    agreement, there = await couple.agreed(DRIVES), await agreeing(couple) - 1
    transfer = await couple.begun(agreement, sink="asleep.csv", ask=SHORT)
    await leaves(couple, agreement)
    with couple.consumer.plane.asleep():
        await gone(couple, transfer)
        await withdraw(couple, 4)

        async def told() -> bool:
            return [duty["stage"] for duty in await erasures(couple.consumer, agreement)] == ["erasing"]

        await until(told)
    await fulfilled(couple, agreement)
    await couple.consumer.reaches(transfer, "COMPLETED")
    assert len(pseudonyms(couple.consumer.received / "asleep.csv")) == there


async def gone(couple: Couple, transfer: str) -> None:
    """Until the provider has written all bytes of a transfer: it has let go of the file."""
    spool = couple.provider.folder / "spool" / "made"

    async def closed() -> bool:
        return not any(str(spool) in each for each in await asyncio.to_thread(couple.provider.plane.open_files))

    await until(closed)


async def test_a_consumer_that_is_down_erases_when_it_is_back_and_is_listed_meanwhile(couple: Couple) -> None:
    provider, consumer = couple.provider, couple.consumer
    agreement = await couple.agreed(DRIVES)
    await couple.fetched(agreement, sink="down.csv", ask=SHORT)
    before = pseudonyms(consumer.received / "down.csv")
    await asyncio.gather(consumer.control.end(signal.SIGKILL), consumer.plane.end(signal.SIGKILL))
    await withdraw(couple, 2)

    async def told() -> bool:
        found = await erasures(provider, agreement)
        return len(found) == 1 and found[0]["toldAt"] is not None

    await until(told)
    async with provider.owner() as owner:
        assert await owner.duties(overdue=True) == []
    await provider.control.end(signal.SIGTERM)
    # Days later.
    provider.rows("control.db", "UPDATE duty SET due_at = created_at + 1 WHERE agreement = ? AND kind = 'erase'", agreement)
    await provider.control.start()
    (late,) = await provider.asked(lambda owner: owner.duties(overdue=True))
    assert (late["agreement"], late["state"], late["counterparty"]) == (agreement, "overdue", consumer.id)
    assert pseudonyms(consumer.received / "down.csv") == before
    await consumer.start()
    duty = await fulfilled(couple, agreement)
    assert duty["late"]
    assert len(set(before) - set(pseudonyms(consumer.received / "down.csv"))) == 1
    assert await provider.asked(lambda owner: owner.duties(overdue=True)) == []


async def test_a_file_that_was_moved_or_changed_is_said_to_be_out_of_reach(couple: Couple) -> None:
    received = couple.consumer.received
    agreement = await couple.agreed(DRIVES)
    moved, changed = await asyncio.gather(
        couple.fetched(agreement, sink="moved.csv", ask=SHORT), couple.fetched(agreement, sink="changed.csv", ask=SHORT)
    )
    (received / "moved.csv").rename(couple.consumer.folder / "elsewhere.csv")
    with (received / "changed.csv").open("a") as opened:
        opened.write(",,,,,\n")
    before = pseudonyms(received / "changed.csv")
    await withdraw(couple, 3)
    duty = await fulfilled(couple, agreement)
    why = {each["transfer"]: each["why"] for each in duty["outcome"]["outside"]}
    assert why[moved].startswith("landing-gone")
    assert "changed" in why[changed]
    assert [(each["transfer"], each["rows"]) for each in duty["outcome"]["erased"]] == [(changed, SHORT_S)]
    assert len(set(before) - set(pseudonyms(received / "changed.csv"))) == 1
    assert len(pseudonyms(couple.consumer.folder / "elsewhere.csv")) == len(before) - 1
