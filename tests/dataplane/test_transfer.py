"""A provider's and a consumer's data plane, two processes, joined end to end."""

from __future__ import annotations

import hashlib
import sqlite3
from urllib.parse import quote

from .conftest import Control, MakePlane, Plane, content, first_message, owner_only, token_of

FLOW = "urn:uuid:5f0c2f4e-0000-4000-8000-000000000001"
SIZE = 2 * 1024 * 1024 + 17


async def begin(provider: Plane, consumer: Plane, body: bytes, **metadata: str) -> None:
    """Publish, prepare, start, hand the address over."""
    await provider.publish("ds", body)
    prepared = await consumer.done("POST", "/dataflows/prepare", first_message(FLOW, "c1", **metadata))
    assert (prepared["state"], prepared["dataFlowId"]) == ("PREPARED", FLOW)
    started = await provider.done("POST", "/dataflows/start", first_message(FLOW, "p1"))
    assert started["state"] == "STARTED"
    await consumer.change(FLOW, "started", "c2", dataAddress=started["dataAddress"])


async def expect_complete(control: Control, consumer: Plane, body: bytes, name: str = "trips.bin") -> None:
    process, event, told = await control.next()
    digest = hashlib.sha256(body).hexdigest()
    assert (process, event) == (FLOW, "completed"), told
    assert (told["state"], told["bytes"], told["sha256"]) == ("COMPLETED", len(body), digest)
    assert hashlib.sha256((consumer.sinks / name).read_bytes()).hexdigest() == digest
    assert [path.name for path in consumer.sinks.iterdir()] == [name]
    seen = await consumer.seen(FLOW)
    assert (seen["state"], seen["bytes"], seen["sha256"], seen["verified"]) == ("COMPLETED", len(body), digest, True)


async def test_a_file_travels_whole(make_plane: MakePlane, control: Control) -> None:
    provider = await make_plane()
    consumer = await make_plane(provider.public_url.removeprefix("http://"))
    body = content(20 * 1024 * 1024 + 3)
    await begin(provider, consumer, body, sink="trips.bin")
    await expect_complete(control, consumer, body)
    assert (await consumer.change(FLOW, "completed", "c3"))["state"] == "COMPLETED"
    assert (await provider.change(FLOW, "completed", "p2"))["state"] == "COMPLETED"
    assert owner_only(provider.folder / "data.db")
    assert owner_only(consumer.sinks / "trips.bin")
    assert await provider.close() == 0


async def test_an_empty_file_travels_too_under_the_name_of_the_process(make_plane: MakePlane, control: Control) -> None:
    provider = await make_plane()
    consumer = await make_plane(provider.public_url.removeprefix("http://"))
    await begin(provider, consumer, b"", sink="")
    name = (await consumer.seen(FLOW))["sink"]
    assert name.startswith("_urn_uuid_5f0c2f4e")
    await expect_complete(control, consumer, b"", name)


async def test_suspension_cuts_a_running_download_and_resumption_finishes_it(pair: tuple[Plane, Plane], control: Control) -> None:
    provider, consumer = pair
    body = content(SIZE)
    await begin(provider, consumer, body, sink="trips.bin")
    await consumer.until_bytes(FLOW, 1)
    await provider.change(FLOW, "suspend", "p2")
    await consumer.change(FLOW, "suspend", "c3")
    cut = await consumer.seen(FLOW)
    cut_at = cut["bytes"]
    assert 0 < cut_at < cut["total"] == SIZE
    assert not cut["making"]
    assert not (consumer.sinks / "trips.bin").exists()
    resumed = await provider.change(FLOW, "resume", "p3")
    assert resumed["state"] == "STARTED"
    await consumer.change(FLOW, "started", "c4", dataAddress=resumed["dataAddress"])
    await expect_complete(control, consumer, body)


async def test_the_consumer_may_resume_first_and_get_the_address_later(pair: tuple[Plane, Plane], control: Control) -> None:
    provider, consumer = pair
    body = content(SIZE)
    await begin(provider, consumer, body, sink="trips.bin")
    await consumer.until_bytes(FLOW, 1)
    await provider.change(FLOW, "suspend", "p2")
    await consumer.change(FLOW, "suspend", "c3")
    assert (await consumer.change(FLOW, "resume", "c4"))["state"] == "STARTING"
    resumed = await provider.change(FLOW, "resume", "p3")
    await consumer.change(FLOW, "started", "c5", dataAddress=resumed["dataAddress"])
    await expect_complete(control, consumer, body)


async def test_a_killed_consumer_goes_on_where_it_was(pair: tuple[Plane, Plane], control: Control) -> None:
    provider, consumer = pair
    body = content(SIZE)
    await begin(provider, consumer, body, sink="trips.bin")
    await consumer.until_bytes(FLOW, 1)
    await consumer.kill()
    kept = (consumer.sinks / "trips.bin.part").stat().st_size
    assert 0 < kept < SIZE
    await consumer.start()
    await expect_complete(control, consumer, body)


async def test_a_killed_provider_keeps_its_tokens(pair: tuple[Plane, Plane], control: Control) -> None:
    provider, consumer = pair
    body = content(SIZE)
    await begin(provider, consumer, body, sink="trips.bin")
    await consumer.until_bytes(FLOW, 1)
    await provider.kill()
    await provider.start()
    await expect_complete(control, consumer, body)
    record = await provider.done("GET", f"/carnet/deliveries/{quote(FLOW, safe='')}")
    assert record["meters"] == {"calls": 1, "rows": 0, "bytes": len(body), "vehicles": 0}
    assert record["sha256"] == hashlib.sha256(body).hexdigest()


async def test_termination_discards_what_was_received_and_frees_the_name(pair: tuple[Plane, Plane]) -> None:
    provider, consumer = pair
    await begin(provider, consumer, content(SIZE), sink="trips.bin")
    await consumer.until_bytes(FLOW, 1)
    assert (await consumer.change(FLOW, "terminate", "c3", reason="enough"))["state"] == "TERMINATED"
    assert list(consumer.sinks.iterdir()) == []
    again = first_message("another", "c4", sink="trips.bin")
    assert (await consumer.done("POST", "/dataflows/prepare", again))["state"] == "PREPARED"


async def test_a_part_left_by_a_kill_during_termination_is_cleared_at_the_next_start(pair: tuple[Plane, Plane]) -> None:
    provider, consumer = pair
    await begin(provider, consumer, content(SIZE), sink="trips.bin")
    await consumer.until_bytes(FLOW, 1)
    await consumer.kill()
    with sqlite3.connect(consumer.folder / "data.db") as database:
        database.execute("UPDATE flow SET state = 'TERMINATED'")
    database.close()
    assert [path.name for path in consumer.sinks.iterdir()] == ["trips.bin.part"]
    await consumer.start()
    assert list(consumer.sinks.iterdir()) == []
    assert (await consumer.seen(FLOW))["bytes"] == 0


async def test_a_file_placed_but_not_recorded_before_a_kill_is_recorded_after_it(
    pair: tuple[Plane, Plane], control: Control
) -> None:
    provider, consumer = pair
    body = content(SIZE)
    digest = hashlib.sha256(body).hexdigest()
    await begin(provider, consumer, body, sink="trips.bin")
    await consumer.until_bytes(FLOW, 1)
    await consumer.kill()
    (consumer.sinks / "trips.bin.part").unlink()
    (consumer.sinks / "trips.bin").write_bytes(body)
    (consumer.sinks / "trips.bin").chmod(0o600)
    with sqlite3.connect(consumer.folder / "data.db") as database:
        database.execute("UPDATE download SET phase = 'placing', bytes = ?, sha256 = ?, digest = ?", (len(body), digest, digest))
    database.close()
    await consumer.start()
    await expect_complete(control, consumer, body)


async def test_without_a_sink_the_address_is_handed_out(make_plane: MakePlane) -> None:
    provider = await make_plane()
    consumer = await make_plane()
    body = content(1000)
    await begin(provider, consumer, body)
    address = await consumer.done("GET", f"/carnet/flows/{FLOW}/address")
    headers = {"Authorization": f"Bearer {token_of(address)}"}
    async with consumer.http.get(address["endpoint"], headers=headers) as answer:
        assert await answer.read() == body
    await consumer.change(FLOW, "suspend", "c3")
    status, problem = await consumer.call("GET", f"/carnet/flows/{FLOW}/address")
    assert (status, problem["code"]) == (409, "state")


async def test_the_control_plane_is_told_until_it_listens_also_after_a_restart(make_plane: MakePlane, control: Control) -> None:
    provider = await make_plane()
    consumer = await make_plane(provider.public_url.removeprefix("http://"))
    control.refuse = 1_000_000
    body = content(5000)
    await begin(provider, consumer, body, sink="trips.bin")
    while len(control.message_ids) < 3:
        await consumer.seen(FLOW)
    await consumer.kill()
    control.refuse = 0
    await consumer.start()
    await expect_complete(control, consumer, body)
    assert len(set(control.message_ids)) == 1
