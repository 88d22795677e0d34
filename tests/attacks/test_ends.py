"""How the process ends: the code and the sentence that its operator gets."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from connector.cli.init import make_house
from connector.demo.houses import free_ports

END_S = 30.0
SERVE = "from connector.cli.main import main; main()"


async def started(folder: Path, **chosen: str) -> asyncio.subprocess.Process:
    """``carnet serve`` on a new folder, or on the one that is there."""
    if not (folder / "carnet.toml").exists():
        settings = {"data.managed": "false", "protocol.port": "0", "data.signaling_port": "1"}
        settings |= {name.replace("__", "."): value for name, value in chosen.items()}
        await asyncio.to_thread(make_house, folder, "did:web:us.example", settings)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVE, "serve", "--config", str(folder / "carnet.toml")),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Exit code and what it said."""
    try:
        async with asyncio.timeout(END_S):
            _, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, said.decode()


async def ready(process: asyncio.subprocess.Process) -> None:
    """Until it serves."""
    assert process.stderr is not None
    async with asyncio.timeout(END_S):
        while b'"ready"' not in (line := await process.stderr.readline()):
            assert line, "it ended"


@pytest.mark.parametrize("setting", ["protocol__port", "data__control_port"])
async def test_a_port_that_is_taken(tmp_path: Path, setting: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        code, said = await ended(await started(tmp_path / "us", **{setting: str(taken.getsockname()[1])}))
    assert (code, said.splitlines()[-2].startswith("Error: cannot listen")) == (1, True), said
    assert "Traceback" not in said


async def test_a_port_that_the_data_plane_needs_is_taken(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        chosen = {"data__managed": "true", "data__signaling_port": "0", "data__public_port": str(taken.getsockname()[1])}
        code, said = await ended(await started(tmp_path / "us", **chosen))
    assert (code, said.splitlines()[-2].startswith("Error: ")) == (1, True), said
    assert "a port of [data] that is taken" in said.splitlines()[-2]
    assert "the data plane cannot listen or write: " in said


async def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "us").mkdir(mode=0o700)
    (tmp_path / "us" / "folder").mkdir()
    code, said = await ended(await started(tmp_path / "us", store__url='"sqlite:folder"'))
    assert (code, said.count("Error: ")) == (1, 1), said
    assert "Traceback" not in said


async def test_two_on_one_database_and_told_to_stop_twice(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    first = await started(tmp_path / "us", protocol__port=str(port))
    await ready(first)
    code, said = await ended(await started(tmp_path / "us"))
    assert (code, "another carnet process uses this database" in said) == (1, True), said
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        first.send_signal(number)
    code, said = await ended(first)
    assert (code, "Traceback" in said) == (0, False), said
