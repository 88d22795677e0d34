"""kill -9 of every process of both sides while data travel: the bytes are equal, and meters and receipts count once."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.dataplane.drives import drives
from tests.faults.couple import Couple, Party, open_couple, until
from tests.faults.drivers import consented, research

MIB = 1024 * 1024
VEHICLES, ROWS = 40, 2000
Kill = Callable[[], Awaitable[None]]


def write_source(path: Path, size: int) -> str:
    """Random bytes; gives their SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as opened:
        for _ in range(size // MIB):
            piece = os.urandom(MIB)
            digest.update(piece)
            opened.write(piece)
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write_drives(path: Path) -> Path:
    path.write_text(drives(VEHICLES, rows=ROWS), encoding="utf-8")
    return path


async def rows_agreed(couple: Couple, table: Path) -> str:
    """An agreement on the rows of all vehicles."""
    async with couple.provider.owner() as owner:
        await owner.decide_consents(consented(couple.consumer.id, *range(VEHICLES)))
    await couple.offer("urn:asset:drives", table, research(), table={})
    return await couple.agreed("urn:asset:drives")


async def has_come(consumer: Party, name: str, size: int) -> None:
    """Until so much of a file has come."""
    part = consumer.received / f"{name}.part"

    async def enough() -> bool:
        assert not (consumer.received / name).exists(), "it came before anybody was killed"
        return part.exists() and part.stat().st_size >= size

    await until(enough)


async def counted_once(couple: Couple, agreement: str, transfer: str, sha256: str, size: int) -> None:
    """Meters of the provider, and the one receipt of both sides."""
    record, meters = await couple.record(transfer), await couple.meters(agreement)
    assert (meters["calls"], meters["bytes"], meters["rows"]) == (1, size, record["meters"]["rows"])
    assert (record["meters"]["bytes"], record["sha256"]) == (size, sha256)
    ours, theirs = await couple.receipts(agreement)
    assert ours["state"] == theirs["state"] == "countersigned", (ours["differences"], theirs["differences"])
    assert ours["content"] == theirs["content"]
    assert (ours["content"]["sha256"], ours["content"]["bytes"]) == (sha256, size)


async def killed_on_the_way(folder: Path, size: int, pace: int) -> None:
    async with open_couple(folder, stream_bytes_per_s=pace) as couple:
        provider, consumer = couple.provider, couple.consumer
        source = provider.folder / "source.bin"
        sha256 = await asyncio.to_thread(write_source, source, size)
        await couple.offer("urn:asset:large", source, [])
        agreement = await couple.agreed("urn:asset:large")
        transfer = await couple.begun(agreement, sink="large.bin")
        kills: list[Kill] = [
            provider.kill_plane,
            consumer.kill_plane,
            provider.kill_control,
            consumer.kill_control,
            provider.kill_plane,
            consumer.kill_plane,
        ]
        for number, kill in enumerate(kills):
            await has_come(consumer, "large.bin", 1 + number * size // (len(kills) + 1))
            await kill()
        await consumer.reaches(transfer, "COMPLETED")
        await provider.reaches(await couple.theirs(transfer), "COMPLETED")
        landed = consumer.received / "large.bin"
        assert (landed.stat().st_size, await asyncio.to_thread(sha256_of, landed)) == (size, sha256)
        await counted_once(couple, agreement, transfer, sha256, size)


def working(spool: Path) -> bool:
    """Whether a query is being worked on."""
    return any((spool / "scratch").iterdir())


@pytest.mark.timeout(240)
async def test_governed_rows_are_counted_once_whoever_is_killed_while_they_are_made_and_sent(tmp_path: Path) -> None:
    """Each process is killed while the file is made, and while it is sent; the connectors also while receipts are signed."""
    async with open_couple(tmp_path, stream_bytes_per_s=MIB) as couple:
        provider, consumer = couple.provider, couple.consumer
        agreement = await rows_agreed(couple, await asyncio.to_thread(write_drives, provider.folder / "drives.csv"))
        transfer = await couple.begun(agreement, sink="drives.ndjson", ask={"format": "ndjson"})

        async def made() -> bool:
            return working(provider.folder / "spool")

        for kill in (provider.kill_plane, consumer.kill_plane, provider.kill_control, consumer.kill_control):
            await until(made)
            await kill()
        for number, kill in enumerate((provider.kill_plane, consumer.kill_plane, provider.kill_control, consumer.kill_control)):
            await has_come(consumer, "drives.ndjson", 1 + number * MIB)
            await kill()
        landed = consumer.received / "drives.ndjson"

        async def placed() -> bool:
            return landed.exists()

        await until(placed)
        await asyncio.gather(consumer.kill_control(), provider.kill_control())
        await consumer.reaches(transfer, "COMPLETED")
        sha256, size = await asyncio.to_thread(sha256_of, landed), landed.stat().st_size
        await counted_once(couple, agreement, transfer, sha256, size)
        with landed.open("rb") as opened:
            rows = sum(1 for _ in opened)
        assert rows == (await couple.record(transfer))["rows"] == VEHICLES * ROWS


@pytest.mark.timeout(240)
async def test_a_large_file_comes_whole_whoever_is_killed_on_the_way(tmp_path: Path) -> None:
    await killed_on_the_way(tmp_path, 128 * MIB, 16 * MIB)


@pytest.mark.slow
@pytest.mark.huge
@pytest.mark.timeout(900)
async def test_a_very_large_file_comes_whole_whoever_is_killed_on_the_way(tmp_path: Path) -> None:
    await killed_on_the_way(tmp_path, 1024 * MIB, 64 * MIB)
