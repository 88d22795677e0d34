"""What is on offer, over the interface of a connector with its data plane: published, replaced as it was seen, and withdrawn."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from connector.flow import begin
from connector.protocol.states import Role
from tests.api.running import Channel, running

IDS = ("urn:own:a", "urn:own:b")


def file(folder: Path, name: str = "trips.csv") -> str:
    """A file that may be published."""
    path = folder / name
    path.write_text("vehicle,speed\n1,50\n")
    return str(path)


async def published(channel: Channel, *names: str) -> None:
    for name in names:
        body = {"id": name, "file": file(channel.folder), "title": name, "offers": [{"permission": [{"action": "use"}]}] * 2}
        answer = await channel.ask("POST", "/datasets", body)
        assert answer.status == 201, answer.body
        assert answer.json["dataset"]["@id"] == name
        assert (await channel.ask("GET", f"/datasets/{quote(name)}")).headers["ETag"] == answer.headers["ETag"]


async def test_a_dataset_is_replaced_as_it_was_seen_only(tmp_path: Path) -> None:
    async with running(tmp_path, data_plane=True) as channel:
        await published(channel, "urn:own:a")
        path = f"/datasets/{quote('urn:own:a')}"
        seen, other = (await channel.ask("GET", path)).headers["ETag"], {"file": file(tmp_path), "title": "other"}
        first = await channel.ask("PUT", path, other, If_Match=seen)
        assert (first.status, first.json["dataset"]["@id"]) == (200, "urn:own:a")
        second = await channel.ask("PUT", path, {**other, "title": "late"}, If_Match=seen)
        assert (second.status, second.json["code"]) == (412, "outdated")
        assert "other" in str(await channel.get(path))
        assert (await channel.ask("PUT", path, other, If_Match=first.headers["ETag"])).status == 200
        none = await channel.ask("PUT", "/datasets/none", other, If_Match='"5"')
        assert (none.status, none.json["code"]) == (412, "outdated")

        assert (await channel.ask("DELETE", path)).status == 204
        for method in ("GET", "DELETE"):
            gone = await channel.ask(method, path)
            assert (gone.status, gone.json["code"]) == (404, "dataset-unknown")
        assert (await channel.ask("PUT", path, other, If_Match=seen)).status == 412


async def pages(channel: Channel, path: str) -> list[Any]:
    """All entries of a list, as its links lead through it."""
    found: list[Any] = []
    while path:
        answer = await channel.ask("GET", path)
        found += answer.json
        path = answer.headers.get("Link", "").partition(">")[0].removeprefix("</carnet/v1")
    return found


async def test_offers_are_listed_one_by_one_and_found_by_their_ids(tmp_path: Path) -> None:
    async with running(tmp_path, data_plane=True) as channel:
        await published(channel, *IDS)
        found: list[Any] = []
        for limit in (1, 2, 3, 100):
            found = await pages(channel, f"/offers?limit={limit}")
            assert [each["dataset"] for each in found] == [IDS[0], IDS[0], IDS[1], IDS[1]]
        assert [each["dataset"] for each in await channel.get(f"/offers?dataset={quote(IDS[1])}")] == [IDS[1]] * 2
        assert await channel.get(f"/offers/{quote(found[0]['id'], safe='')}") == found[0]
        assert found[0]["document"]["@id"] == found[0]["id"]
        assert (await channel.ask("GET", "/offers/none")).status == 404
        assert [each["@id"] for each in await pages(channel, "/datasets?limit=1")] == list(IDS)
        await channel.ask("DELETE", f"/datasets/{quote(IDS[0])}")
        assert {each["dataset"] for each in await channel.get("/offers")} == {IDS[1]}


@pytest.mark.parametrize("after", ["x", "9:x", "-1:x", "1"])
async def test_a_place_that_is_none_is_refused(channel: Channel, after: str) -> None:
    answer = await channel.ask("GET", f"/offers?after={after}")
    assert (answer.status, answer.json["code"]) == (400, "after-invalid")


async def test_meters_are_the_providers(tmp_path: Path) -> None:
    async with running(tmp_path, data_plane=True) as channel:
        for role, name in ((Role.PROVIDER, "urn:agreement:1"), (Role.CONSUMER, "urn:agreement:2")):
            await begin.hold_agreement(
                channel.running.context, agreement_id=name, dataset="urn:own:a", counterparty="did:web:peer.example", role=role
            )
        assert await channel.get("/agreements/urn:agreement:1/meters") == {
            "agreementId": "urn:agreement:1", "counterparty": "did:web:peer.example", "periods": [], "deliveries": [],
        }  # fmt: skip
        theirs = await channel.ask("GET", "/agreements/urn:agreement:2/meters")
        assert (theirs.status, theirs.json["code"]) == (409, "meters-elsewhere")
        assert (await channel.ask("GET", "/agreements/none/meters")).status == 404


def delivers(folder: Path, dataset: str) -> str | None:
    """The path of what the data plane would deliver of a dataset."""
    (database,) = folder.rglob("data.db")
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        row = connection.execute("SELECT path FROM source WHERE dataset_id = ?", (dataset,)).fetchone()
    return None if row is None else str(row[0])


async def test_what_is_not_published_leaves_the_data_as_they_were(tmp_path: Path) -> None:
    """Neither another version than was seen, nor terms that are refused, change what is delivered under the old ones."""
    known, other = file(tmp_path), file(tmp_path, "other.csv")
    refused = [{"permission": [{"action": "teleport"}]}]
    async with running(tmp_path, data_plane=True) as channel:
        await published(channel, "urn:own:a")
        path = f"/datasets/{quote('urn:own:a')}"
        shown = await channel.get(path)
        late = await channel.ask("PUT", path, {"file": other}, If_Match='"5"')
        assert (late.status, delivers(tmp_path, "urn:own:a")) == (412, known)
        bad = await channel.ask("PUT", path, {"file": other, "offers": refused})
        assert (bad.status, delivers(tmp_path, "urn:own:a")) == (400, known)
        again = await channel.ask("POST", "/datasets", {"id": "urn:own:a", "file": other, "offers": refused})
        assert (again.status, delivers(tmp_path, "urn:own:a")) == (400, known)
        new = await channel.ask("POST", "/datasets", {"id": "urn:own:new", "file": other, "offers": refused})
        assert (new.status, delivers(tmp_path, "urn:own:new")) == (400, None)
        assert await channel.get(path) == shown
        good = await channel.ask("PUT", path, {"file": other})
        assert (good.status, delivers(tmp_path, "urn:own:a")) == (200, other)
        assert "former" not in good.json["source"]


async def test_of_two_who_have_seen_the_same_one_replaces_it(tmp_path: Path) -> None:
    files = [file(tmp_path, f"{number}.csv") for number in range(4)]
    async with running(tmp_path, data_plane=True) as channel:
        await published(channel, "urn:own:a")
        path = f"/datasets/{quote('urn:own:a')}"
        seen = (await channel.ask("GET", path)).headers["ETag"]
        answers = await asyncio.gather(
            *(channel.ask("PUT", path, {"file": each, "title": each}, If_Match=seen) for each in files)
        )
        (won,) = [each for each, answer in zip(files, answers, strict=True) if answer.status == 200]
        assert sorted(each.status for each in answers) == [200, 412, 412, 412]
        assert delivers(tmp_path, "urn:own:a") == won
        assert won in str(await channel.get(path))
