"""Tables that are only looked at: the releases of what nobody has published, and nothing that stays."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from connector.dataplane.publishing import MAX_FORMER, MAX_PREVIEWS

from .conftest import Control, MakePlane, agreement
from .drives import COARSE, RESEARCH_ONLY, Shop, drives, files_in


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    return Shop(await make_plane(), control)


async def looked(shop: Shop) -> Any:
    path = shop.plane.sources / "drives.csv"
    path.write_text(drives(4))
    return await shop.plane.done("POST", "/carnet/previews", {"datasetId": "ds", "path": str(path), "table": {}})


def releases(preview: str) -> dict[str, Any]:
    return {"datasetId": "ds", "policies": [agreement([RESEARCH_ONLY, *COARSE])], "preview": preview}


async def test_a_preview_says_what_publication_would_and_leaves_nothing(shop: Shop) -> None:
    seen = await looked(shop)
    previewed = await shop.plane.done("POST", "/carnet/releases", releases(seen["preview"]))
    (release,) = previewed["releases"]
    assert (release["level"], release["problems"], release["plan"]["dataset"]) == ("L1", [], "ds")
    with closing(sqlite3.connect(shop.plane.folder / "data.db")) as database:
        assert database.execute("SELECT COUNT(*) FROM source").fetchone() == (0,)
    assert [name for name in files_in(shop.plane.folder / "spool") if "measure" in name] == []
    assert (await shop.plane.call("DELETE", f"/carnet/previews/{seen['preview']}"))[0] == 204
    status, refused = await shop.plane.call("POST", "/carnet/releases", releases(seen["preview"]))
    assert (status, refused["code"]) == (404, "dataset_unknown")
    published = await shop.publish(drives(4))
    assert {key: seen[key] for key in published} == published
    asked = {"datasetId": "ds", "policies": releases("")["policies"]}
    assert (await shop.plane.done("POST", "/carnet/releases", asked))["releases"][0]["planDigest"] == release["planDigest"]


async def test_only_so_many_previews_are_held(shop: Shop) -> None:
    names = [(await looked(shop))["preview"] for _ in range(MAX_PREVIEWS + 1)]
    asked = [(await shop.plane.call("POST", "/carnet/releases", releases(name)))[0] for name in (names[0], names[-1])]
    assert asked == [404, 200]


async def test_what_was_published_before_is_put_back_as_it_was(shop: Shop) -> None:
    """With what was measured of it, and stopped where it was stopped: a change that is not made opens nothing again."""
    first = await shop.publish(drives(4))
    database = shop.plane.folder / "data.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE source SET changed = 'gone', changed_column = 'speed', measured_vehicles = 3, measured_unique = 0.5"
        )
        before = connection.execute("SELECT * FROM source").fetchall()
    other = shop.plane.sources / "other.csv"
    other.write_text("a\n1\n")
    replaced = await shop.plane.done("PUT", "/carnet/sources/ds", {"path": str(other)})
    assert "former" not in first
    former = {"former": replaced["former"]}
    assert (await shop.plane.call("PUT", "/carnet/sources/another", former))[0] == 404
    assert (await shop.plane.done("PUT", "/carnet/sources/ds", former))["kind"] == "table"
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT * FROM source").fetchall() == before
    status, refused = await shop.plane.call("PUT", "/carnet/sources/ds", former)
    assert (status, refused["code"]) == (404, "former_unknown")


async def test_only_so_many_sources_can_be_put_back(shop: Shop) -> None:
    path = shop.plane.sources / "small.csv"
    path.write_text("a\n1\n")
    answers = [await shop.plane.done("PUT", "/carnet/sources/ds", {"path": str(path)}) for _ in range(MAX_FORMER + 2)]
    asked = [await shop.plane.call("PUT", "/carnet/sources/ds", {"former": each["former"]}) for each in (answers[1], answers[-1])]
    assert [status for status, _ in asked] == [404, 200]
