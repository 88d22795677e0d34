"""No room where data are to land: the transfer ends with that reason, nothing half is left, and the rest goes on."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from tests.dataplane.conftest import HTTP_PULL, Control, MakePlane, first_message
from tests.dataplane.landing.test_landing import Provider, serving
from tests.ports import free_port

ROOM_BYTES = 2 * 1024 * 1024


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file of a process that begins now becomes larger."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_file_for_which_there_is_no_room_ends_its_transfer(
    little_room: None, make_plane: MakePlane, control: Control
) -> None:
    port = free_port()
    plane = await make_plane(f"127.0.0.1:{port}", download_attempts=3)
    for flow, size in (("large", 2 * ROOM_BYTES), ("small", 1000)):
        provider = Provider(b"x" * size, {"Content-Type": "application/octet-stream"})
        await plane.done("POST", "/dataflows/prepare", first_message(flow, f"p-{flow}", sink=f"{flow}.bin"))
        properties = [{"@type": "EndpointProperty", "name": "authorization", "value": "sesame"}]
        address = {"endpointType": HTTP_PULL, "endpoint": f"http://127.0.0.1:{port}/data", "endpointProperties": properties}
        async with serving(provider, port):
            await plane.change(flow, "started", f"s-{flow}", dataAddress=address)
            about, event, told = await control.next()
        assert about == flow
        assert event == ("errored" if flow == "large" else "completed"), told
        if flow == "large":
            assert "xxxx" not in told["error"]
            assert str(plane.folder) not in told["error"]
            # The control plane ends it; until then it could be resumed.
            await plane.change(flow, "terminate", f"t-{flow}")
    assert [path.name for path in plane.sinks.rglob("*") if path.is_file()] == ["small.bin"]
