"""A buyer that asks in hostile ways: injection through every name, ranges, tokens that are not its own; and what stays behind."""

from __future__ import annotations

import asyncio
import json
import stat
from datetime import timedelta
from typing import Any

import pytest

from connector.dataplane.ask import parse
from connector.dataplane.problems import Refusal
from tests.dataplane.conftest import BUYER, Control, MakePlane, Plane, first_message, token_of, when
from tests.dataplane.drives import COARSE, RESEARCH_ONLY, START, Shop, drives

ROWS = [RESEARCH_ONLY, *COARSE]
INJECTED = ("'; DROP TABLE flow; --", '" OR 1=1 --', "../../etc/passwd", "%2e%2e%2fdata.db", "a\x00b", "read_csv('/etc/passwd')")
HOSTILE_ASKS = [
    [("from", "2025-02-03T00:00:00")],
    [("from", "2026-07-01T00:00:00Z'; SELECT 1")],
    [("from", "0000-00-00T00:00:00Z")],
    [("from", "\u0662\u0660\u0662\u0666-07-01T00:00:00Z")],
    [("to", "9999-12-31T23:59:59-23:59")],
    [("from", "2026-07-02T00:00:00Z"), ("to", "2026-07-01T00:00:00Z")],
    [("box", "nan,0,1,1")],
    [("box", "inf,-inf,1,1")],
    [("box", "0,0,1e3,1")],
    [("box", "0,0,0,1")],
    [("box", "0,0,1,1,1")],
    [("box", "179,0,-179,1")],
    *(
        [("columns", value)]
        for value in (*INJECTED, "Vehicle.Speed,Vehicle.Speed", "", ",", "*", "a" * 9000, ",".join("abc" * 99))
    ),
    *([("format", value)] for value in (*INJECTED, "PARQUET", "parquet;header", "")),
    *(
        [("purpose", value)]
        for value in (*INJECTED, "", "vdx:", "dpv:Scientific\u0420esearch", "javascript", "dpv:a b", "dpv:" + "x" * 3000)
    ),
    [("format", "csv"), ("format", "csv")],
    [("Format", "csv")],
    [("sink", "elsewhere.csv")],
    [("permissions", "0")],
]


@pytest.mark.parametrize("query", HOSTILE_ASKS, ids=lambda query: ascii(query)[:60])
def test_what_is_no_request_is_refused_and_not_repeated(query: list[tuple[str, str]]) -> None:
    with pytest.raises(Refusal) as refused:
        parse(query)
    assert refused.value.status == 400
    assert refused.value.code.startswith("ask-")
    said = str(refused.value)
    assert not any(value in said for _, value in query if len(value) > 9)


@pytest.fixture
async def shop(make_plane: MakePlane, control: Control) -> Shop:
    shop = Shop(await make_plane(artifact_wait_s=60), control)
    shop.agree(ROWS)
    await shop.publish(drives(3))
    await shop.consent(0, 1, 2)
    return shop


async def test_ranges_give_slices_of_one_file_and_nothing_else(shop: Shop) -> None:
    whole = await shop.fetch("f1")
    size, etag = len(whole.body), whole.headers["etag"]
    url, token = shop.addresses["f1"]["endpoint"], token_of(shop.addresses["f1"])
    answers = {
        "bytes=0-0": (206, whole.body[:1]),
        "bytes=-1": (206, whole.body[-1:]),
        f"bytes=0-{10**17}": (206, whole.body),
        f"bytes={size}-": (416, None),
        f"bytes={10**17}-{10**18 - 1}": (416, None),
        "bytes=-0": (416, None),
        "bytes=5-4": (200, whole.body),
        "bytes=0-0,2-2": (200, whole.body),
        "bytes=" + ",".join("0-" for _ in range(1000)): (200, whole.body),
        "bytes=0-0x10": (200, whole.body),
        "bytes=-\u0661": (200, whole.body),
        "lines=0-1": (200, whole.body),
    }
    for value, (status, body) in answers.items():
        async with shop.plane.http.get(url, headers={"Authorization": token, "Range": value}) as answer:
            read = await answer.read()
            assert answer.status == status, value[:40]
            assert body is None or read == body, value[:40]
    for condition, status in ((etag, 206), ('"another"', 200), (f"W/{etag}", 200), ("Wed, 21 Oct 2026 07:28:00 GMT", 200)):
        headers = {"Authorization": token, "Range": "bytes=1-", "If-Range": condition}
        async with shop.plane.http.get(url, headers=headers) as answer:
            assert (answer.status, len(await answer.read())) == (status, size - (status == 206))
    async with shop.plane.http.head(url, headers={"Authorization": token}) as answer:
        assert (answer.status, await answer.read()) == (200, b"")
    async with shop.plane.http.get(url, headers={"Authorization": token, "If-None-Match": etag}) as answer:
        assert answer.status in (200, 304)
    async with shop.plane.http.get(url, headers={"Authorization": token, "Range": "bytes=0-" + "1" * 100_000}) as answer:
        assert answer.status == 400
    # All of that was one call.
    assert (await shop.meters())["all"]["calls"] == 1


async def test_a_token_opens_its_own_transfer_only_and_nothing_after_the_end(shop: Shop) -> None:
    for flow in ("f1", "f2"):
        assert (await shop.fetch(flow)).status == 200
    mine, other = shop.addresses["f1"], shop.addresses["f2"]
    for value in (
        token_of(other),
        token_of(mine)[:-1],
        token_of(mine).upper(),
        "",
        "Bearer",
        f"{token_of(mine)} x",
        "a" * 60_000,
    ):
        async with shop.plane.http.get(mine["endpoint"], headers={"Authorization": value}) as answer:
            assert answer.status in (400, 401, 403, 404), value[:20]
    await shop.plane.change("f1", "terminate", "end")
    assert (await shop.get("f1")).status == 410
    assert (await shop.get("f1", None, Range="bytes=0-0")).status == 410
    assert (await shop.get("f2")).status == 200


async def test_what_was_asked_first_stays_and_an_impatient_buyer_gets_one_file(shop: Shop) -> None:
    await shop.begin("f1")
    asks: list[dict[str, str]] = [{"format": "csv"}, {"format": "csv", "columns": "Vehicle.Speed"}, {"format": "ndjson"}]
    got = await asyncio.gather(*(shop.get("f1", ask) for ask in (*asks, *asks)))
    good = [reply for reply in got if reply.status == 200]
    assert len({reply.headers["etag"] for reply in good}) == 1
    assert len({reply.body for reply in good}) == 1
    assert {reply.code for reply in got if reply.status != 200} == {"ask-fixed"}
    assert (await shop.record("f1"))["generation"] == 1


async def test_names_are_names(shop: Shop) -> None:
    """Of datasets, transfers, agreements, columns and files: nothing is opened, written or run by them."""
    plane = shop.plane
    for number, name in enumerate(("../../x", "'; DROP TABLE flow; --", "a/../../../data.db", "ds%00", "„ds“")):
        flow = f"{name}-{number}"
        await plane.call("POST", "/dataflows/start", first_message(flow, f"m{number}", name))
        status, _ = await plane.call("GET", "/carnet/deliveries/..%2f..%2fdata.db")
        assert status == 404
    for sink in ("../out.csv", "/tmp/out.csv", "a/../../out.csv", ".hidden/../../x", "a\x00b", "x\ny", "", "~/x"):  # noqa: S108 - refused
        status, answer = await plane.call("POST", "/dataflows/prepare", first_message(f"s{sink}", f"p{sink}", sink=sink))
        assert status == 400 or sink == "", (sink, answer)
    for into in (
        "../x.duckdb:t",
        "x.duckdb:t; DROP",
        'x.duckdb:"t"',
        "x.db:t",
        "a/b.duckdb:t",
        "x.duckdb:",
        f"x.duckdb:{'t' * 200}",
    ):
        status, _ = await plane.call(
            "POST", "/dataflows/prepare", first_message(f"i{into}", f"q{into}", sink="ok.csv", into=into)
        )
        assert status == 400, into
    wish: dict[str, Any] = {"mapping": {"origin": "given", "columns": [], "time": {"header": "' OR 1=1", "clock": "instant"}}}
    for table in (wish, {"mapping": "x"}, {"bases": ["b"] * 17}, {"personal": "no"}, {"unknown": 1}):
        status, answer = await plane.call("PUT", "/carnet/sources/x", {"path": str(plane.sources / "drives.csv"), "table": table})
        assert status == 400, answer
    quoted = plane.sources / "it's; --\".csv"
    quoted.write_text(drives(3))
    await plane.done("PUT", "/carnet/sources/quoted", {"path": str(quoted), "table": {}})
    assert (await shop.fetch("still")).status == 200
    assert sorted(path.name for path in plane.folder.iterdir() if path.suffix == ".csv") == []


def _texts(plane: Plane, *names: str) -> dict[str, bytes]:
    """Every file of a data plane but its sources, by its path in the folder."""
    found = {str(path.relative_to(plane.folder)): path for path in plane.folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(("sources", *names))}


async def test_vehicles_places_and_references_stand_where_they_must_only(shop: Shop) -> None:
    """After deliveries, refusals, a withdrawal and a kill: not in the log, not in the control plane's mail, and in no file that
    others can read."""
    plane, control = shop.plane, shop.control
    planted = [f"PLANTED-{number}" for number in range(3)]
    enrolled = [
        {"vehicle": f"CAR{number:04}", "recipient": BUYER, "reference": planted[number], "text_sha256": "0" * 64}
        for number in range(3)
    ]
    await plane.done("POST", "/carnet/enrolments", {"enrolments": enrolled})
    shop.agree([*ROWS, when("https://w3id.org/carnet/terms#enrolment", "eq", "true")])
    assert planted[0] in (await shop.fetch("f1")).body.decode()
    assert (await shop.fetch("f2", {"columns": "Vehicle.CAR0001"})).status == 403
    hostile = {
        "vehicle": "CAR0001",
        "category": "nothing",
        "purpose": "x",
        "recipient": BUYER,
        "given": True,
        "decided_by": "owner",
    }
    status, answer = await plane.call("POST", "/carnet/consents", {"entries": [hostile]})
    assert (status, "CAR0001" in json.dumps(answer)) == (400, False)
    await shop.publish(drives(3, start=START + timedelta(days=1)), name="more.csv", dataset="more")
    await shop.consent(1, given=False)
    async with asyncio.timeout(30):
        mail = json.dumps(await control.erasures.get())
    assert "CAR0" not in mail
    assert [name for name in planted if name in mail] == ["PLANTED-1"]
    await plane.kill()
    for word in (b"CAR0", b"PLANTED", b"48.5", b"9.05"):
        assert word not in plane.log, word
        keeping = {name.partition("/")[0].split("-")[0] for name, text in _texts(plane).items() if word in text and word[0] > 64}
        assert keeping <= {"data.db", "spool", "consents"}, keeping
    open_to_others = [
        str(path.relative_to(plane.folder))
        for path in plane.folder.rglob("*")
        if path.relative_to(plane.folder).parts[0] in ("spool", "consents", "data.db", "data.db-wal", "sinks")
        and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert open_to_others == []
    await plane.start()
