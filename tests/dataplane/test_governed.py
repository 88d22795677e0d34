"""Governed tables end to end: what leaves under which terms, who decides, what a second request gets."""

from __future__ import annotations

import hashlib

import pytest

from .conftest import VDX, Control, MakePlane, when
from .drives import COARSE, LAT, LON, RESEARCH, RESEARCH_ONLY, SPEED, Shop, drives

ROWS = [RESEARCH_ONLY, *COARSE]
CELLS = [
    RESEARCH_ONLY,
    when(f"{VDX}releaseLevel", "eq", f"{VDX}L3"),
    when(f"{VDX}minGroupSize", "gteq", "10"),
    when(f"{VDX}spatialResolution", "lteq", 7),
]


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    plane = await make_plane()
    shop = Shop(plane, control)
    shop.agree(ROWS)
    return shop


async def test_a_table_is_looked_at_and_says_what_it_enforces(shop: Shop) -> None:
    found = await shop.publish(drives(3))
    assert (found["kind"], found["rows"], found["vehicles"], found["samplingIntervalMs"]) == ("table", 180, 3, 1000)
    assert {SPEED, LAT, LON} <= set(found["columns"])
    assert f"{VDX}minGroupSize" in found["declares"]
    assert found["mapping"]["origin"] == "vss"
    plain = shop.plane.sources / "plain.bin"
    plain.write_bytes(b"x")
    answer = await shop.plane.done("PUT", "/carnet/sources/plain", {"path": str(plain)})
    assert (answer["kind"], answer["bytes"]) == ("file", 1)
    assert "http://www.w3.org/ns/odrl/2/count" in answer["declares"]
    assert f"{VDX}minGroupSize" not in answer["declares"]


async def test_what_cannot_be_read_is_refused_with_its_code(shop: Shop) -> None:
    path = shop.plane.sources / "bad.csv"
    path.write_text("a,b\n1,2\n")
    status, answer = await shop.plane.call("PUT", "/carnet/sources/bad", {"path": str(path), "table": {}})
    assert (status, answer["code"]) == (400, "column-missing")
    status, answer = await shop.plane.call("PUT", "/carnet/sources/bad", {"path": "/etc", "table": {}})
    assert status in (403, 404)


async def test_rows_of_those_who_agreed_and_a_record_that_says_so(shop: Shop) -> None:
    await shop.publish(drives(4))
    number = await shop.consent(0, 2)
    got = await shop.fetch("f1")
    assert got.status == 200, got.body
    assert len({row["pseudonym"] for row in got.rows}) == 2
    assert b"CAR0" not in got.body
    record = await shop.record("f1")
    assert (record["bytes"], record["sha256"]) == (len(got.body), hashlib.sha256(got.body).hexdigest())
    assert got.headers["carnet-rows"] == str(record["rows"]) == str(len(got.rows))
    assert got.headers["carnet-rows-digest"] == record["rowsDigest"]
    assert got.headers["carnet-plan"] == record["planDigest"]
    assert got.headers["carnet-ledger"] == str(record["ledger"]) == str(number)
    assert got.headers["content-type"].startswith("text/csv")
    assert record["vehicles"] == 2
    assert record["meters"] == {"calls": 1, "rows": len(got.rows), "bytes": len(got.body), "vehicles": 2}
    assert record["agreementId"] == "urn:agreement:1"


async def test_a_transfer_delivers_one_file_and_a_resume_is_free(shop: Shop) -> None:
    await shop.publish(drives(4))
    await shop.consent(0, 1, 2, 3)
    whole = await shop.fetch("f1")
    etag = whole.headers["etag"]
    rest = await shop.get("f1", Range="bytes=100-", If_Range=etag)
    assert (rest.status, rest.body) == (206, whole.body[100:])
    assert (await shop.get("f1")).body == whole.body
    other = await shop.get("f1", {"format": "ndjson"})
    assert (other.status, other.code) == (409, "ask-fixed")
    assert (await shop.meters())["all"]["calls"] == 1
    assert [purpose for _, purpose in shop.control.asked] == [None, RESEARCH, RESEARCH]


async def test_every_request_is_decided_and_without_a_decision_nothing_leaves(shop: Shop) -> None:
    await shop.publish(drives(2))
    await shop.consent(0, 1)
    shop.control.away = True
    got = await shop.fetch("f1")
    assert (got.status, got.code) == (503, "decision_unavailable")
    shop.control.away = False
    assert (await shop.fetch("f1")).status == 200
    shop.control.decisions["f1"] = {"permitted": False, "reasons": ["the purpose is another"]}
    got = await shop.get("f1")
    assert (got.status, got.code) == (403, "policy-denied")
    assert "the purpose is another" in got.problem["detail"]
    assert (await shop.meters())["all"]["calls"] == 1


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        ({"from": "yesterday"}, "ask-from"),
        ({"to": "2026-07-01T00:00:00"}, "ask-to"),
        ({"from": "2026-07-02T00:00:00Z", "to": "2026-07-01T00:00:00Z"}, "ask-to"),
        ({"box": "1,2,3"}, "ask-box"),
        ({"columns": "Vehicle.Speed;DROP TABLE flow"}, "ask-columns"),
        ({"format": "xlsx"}, "ask-format"),
        ({"purpose": "no iri"}, "ask-purpose"),
        ({"sql": "SELECT 1"}, "ask-parameter"),
    ],
)
async def test_what_cannot_be_asked(ask: dict[str, str], code: str) -> None:
    from connector.dataplane.ask import parse
    from connector.dataplane.problems import Refusal

    with pytest.raises(Refusal) as refused:
        parse(ask.items())
    assert (refused.value.status, refused.value.code) == (400, code)


async def test_an_empty_result_is_a_visible_result(shop: Shop) -> None:
    shop.agree(CELLS)
    await shop.publish(drives(4))
    await shop.consent(0, 1, 2, 3)
    got = await shop.fetch("f1")
    assert got.status == 200, got.body
    assert got.rows == []
    assert got.headers["carnet-result"] == "0 cells, 1 suppressed, k = 10"
    assert (await shop.record("f1"))["result"] == "0 cells, 1 suppressed, k = 10"


async def test_a_changed_schema_stops_deliveries_and_names_the_column(shop: Shop) -> None:
    await shop.publish(drives(2))
    await shop.consent(0, 1)
    text = drives(2).replace(SPEED, "Vehicle.OtherSpeed")
    (shop.plane.sources / "drives.csv").write_text(text)
    got = await shop.fetch("f1")
    assert (got.status, got.code) == (409, "source_changed")
    assert "Speed" in got.problem["column"]
    flow, event, body = await shop.control.next()
    assert (flow, event) == ("f1", "errored")
    assert "Speed" in body["error"]
    assert (await shop.get("f1")).status == 409
    await shop.publish(drives(2))
    assert (await shop.fetch("f2")).status == 200


async def test_releases_say_what_each_permission_would_let_out(shop: Shop) -> None:
    from .conftest import agreement

    await shop.publish(drives(12))
    precise = [RESEARCH_ONLY, when(f"{VDX}columns", "isAnyOf", [SPEED, LAT, LON])]
    body = {"datasetId": "ds", "policies": [agreement(ROWS), agreement(CELLS), agreement(precise)]}
    answer = await shop.plane.done("POST", "/carnet/releases", body)
    rows, cells, _ = answer["releases"]
    assert (rows["level"], rows["form"], rows["problems"]) == ("L1", "rows", [])
    assert rows["unicity"]["vehicles"] >= 0
    assert rows["sentences"]
    assert (cells["level"], cells["form"], cells["unicity"]) == ("L3", "cells", None)
    assert {release["policy"] for release in answer["releases"]} == {0, 1, 2}
