"""The signaling listener: its token, messages repeated and reused, refusals, and life of the process."""

from __future__ import annotations

import sqlite3
from typing import Any

import aiohttp
import pytest

from .conftest import CONTROL_TOKEN, TOKEN, Control, MakePlane, content, first_message, owner_only, token_of


async def test_everything_but_health_needs_the_token(make_plane: MakePlane) -> None:
    plane = await make_plane()
    for authorization in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": f"Bearer {TOKEN}x"}):
        async with plane.http.get(plane.signaling_url + "/dataflows/x/status", headers=authorization) as answer:
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert (await answer.json(content_type=None))["code"] == "unauthorized"
        async with plane.http.get(plane.signaling_url + "/health", headers=authorization) as answer:
            assert answer.status == 200
    async with plane.http.get(plane.signaling_url + "/no/such", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        assert (answer.status, answer.content_type) == (404, "application/problem+json")
    async with plane.http.get(plane.public_url + "/dataflows/x/status") as answer:
        assert answer.status == 404


async def test_a_repeated_message_gets_the_stored_answer_also_after_a_kill(make_plane: MakePlane) -> None:
    plane = await make_plane()
    await plane.publish("ds", b"bytes")
    start = first_message("flow", "m1")
    first = await plane.done("POST", "/dataflows/start", start)
    assert await plane.done("POST", "/dataflows/start", start) == first
    await plane.change("flow", "suspend", "m2")
    resumed = await plane.change("flow", "resume", "m3")
    assert token_of(resumed["dataAddress"]) != token_of(first["dataAddress"])
    await plane.kill()
    assert owner_only(plane.folder / "data.db")
    await plane.start()
    assert await plane.done("POST", "/dataflows/start", start) == first
    assert await plane.change("flow", "resume", "m3") == resumed
    await plane.change("flow", "suspend", "m2")
    assert (await plane.done("GET", "/dataflows/flow/status")) == {"dataFlowId": "flow", "state": "STARTED"}
    authorization = {"Authorization": f"Bearer {token_of(resumed['dataAddress'])}"}
    async with plane.http.get(resumed["dataAddress"]["endpoint"], headers=authorization) as answer:
        assert await answer.read() == b"bytes"


async def test_conflicts(make_plane: MakePlane) -> None:
    plane = await make_plane()
    await plane.publish("ds", b"bytes")
    started = await plane.done("POST", "/dataflows/start", first_message("flow", "m1"))

    async def refused(path: str, body: dict[str, Any], expected: int = 409) -> str:
        status, problem = await plane.call("POST", path, body)
        assert status == expected, problem
        return str(problem["code"])

    assert await refused("/dataflows/start", first_message("flow", "m2")) == "flow_exists"
    assert await refused("/dataflows/prepare", first_message("flow", "m3")) == "flow_exists"
    assert await refused("/dataflows/start", first_message("other", "m1")) == "message_reused"
    again = await plane.change("flow", "resume", "m4")
    assert again["dataAddress"] == started["dataAddress"], "what runs is resumed already, and keeps its token"
    assert await refused("/dataflows/flow/started", {"messageId": "m5"}) == "state"
    assert await refused("/dataflows/none/suspend", {"messageId": "m6"}, 404) == "flow_unknown"
    await plane.change("flow", "terminate", "m7")
    await plane.change("flow", "terminate", "m8")
    assert await refused("/dataflows/flow/resume", {"messageId": "m9"}) == "state"
    await plane.done("POST", "/dataflows/prepare", first_message("c1", "m10", sink="a.bin"))
    assert await refused("/dataflows/prepare", first_message("c2", "m11", sink="a.bin")) == "sink_taken"
    (plane.sinks / "b.bin").write_bytes(b"somebody's")
    assert await refused("/dataflows/prepare", first_message("c2", "m12", sink="b.bin")) == "sink_taken"
    assert await refused("/dataflows/c1/started", {"messageId": "m13"}, 400) == "data_address"


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"dataAddress": {"endpointType": "x"}}, "data_address", 400),
        ({"profile": "https://w3id.org/dspace-sig/profile/http-push"}, "profile", 400),
        ({"datasetId": "unpublished"}, "dataset_unknown", 404),
        ({"messageId": ""}, "message_invalid", 400),
        ({"processId": 7}, "message_invalid", 400),
        ({"processId": "x" * 600}, "message_invalid", 400),
        ({"metadata": {"pad": "x" * 300_000}}, "http", 413),
    ],
)
async def test_bad_start_messages(make_plane: MakePlane, change: dict[str, Any], code: str, status: int) -> None:
    plane = await make_plane()
    await plane.publish("ds", b"bytes")
    answered, problem = await plane.call("POST", "/dataflows/start", first_message("flow", "m1") | change)
    assert (answered, problem["code"]) == (status, code)
    assert (await plane.call("GET", "/dataflows/flow/status"))[0] == 404


async def test_sinks_cannot_leave_their_folder(make_plane: MakePlane) -> None:
    plane = await make_plane()
    for sink in ("../x", "/etc/x", "a/b/c", ".a/b", "a/.b", "a/../b", "a/", "..", ".hidden", "x.part", "a\0b", "x" * 300, 7):
        status, problem = await plane.call("POST", "/dataflows/prepare", first_message("flow", "m1", sink=sink))
        assert (status, problem["code"]) == (400, "sink_name")


async def test_bodies_that_are_not_json(make_plane: MakePlane) -> None:
    plane = await make_plane()
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for body in (b"{", b"[]", b"\xff", b"[" * 100_000):
        async with plane.http.post(plane.signaling_url + "/dataflows/start", data=body, headers=headers) as answer:
            assert answer.status == 400


async def test_a_registered_control_plane_is_told_instead(make_plane: MakePlane, control: Control) -> None:
    plane = await make_plane()
    registration = {"controlplaneId": "cp", "endpoint": control.url + "/", "authorization": {"type": "bearer"}}
    assert await plane.done("PUT", "/controlplanes", registration) == {}
    assert await plane.done("PUT", "/controlplanes", registration) == {}
    assert (await plane.call("DELETE", "/controlplanes/cp"))[0] == 204


async def test_tokens_are_looked_up_by_their_hash_only(make_plane: MakePlane) -> None:
    plane = await make_plane()
    await plane.publish("ds", b"bytes")
    started = await plane.done("POST", "/dataflows/start", first_message("flow", "m1"))
    assert await plane.close() == 0
    with sqlite3.connect(plane.folder / "data.db") as database:
        rows = database.execute("SELECT sha256, flow_id, dead FROM token").fetchall()
    database.close()
    assert [(len(digest), flow, dead) for digest, flow, dead in rows] == [(32, "flow", 0)]
    assert token_of(started["dataAddress"]).encode() not in plane.log
    assert CONTROL_TOKEN.encode() not in (plane.folder / "data.db").read_bytes()


async def test_termination_by_signal_ends_running_streams_and_exits_cleanly(make_plane: MakePlane) -> None:
    plane = await make_plane()
    await plane.publish("ds", content(64 * 1024 * 1024))
    started = await plane.done("POST", "/dataflows/start", first_message("flow", "m1"))
    address = started["dataAddress"]
    async with plane.http.get(address["endpoint"], headers={"Authorization": token_of(address)}) as reader:
        await reader.content.readexactly(1)
        assert plane.process is not None
        plane.process.terminate()
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
            await reader.read()
    assert await plane.close() == 0


async def test_two_processes_cannot_share_a_database(make_plane: MakePlane) -> None:
    plane = await make_plane()
    first = plane.process
    with pytest.raises(AssertionError, match="StoreUnavailable"):
        await plane.start()
    plane.process = first


async def test_an_exposed_token_file_stops_the_start(make_plane: MakePlane) -> None:
    plane = await make_plane()
    await plane.close()
    (plane.folder / "token").chmod(0o644)
    with pytest.raises(AssertionError, match="secret-exposed"):
        await plane.start()
    plane.process = None
