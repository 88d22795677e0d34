"""The interface under a fuzzer of others (schemathesis): whatever is sent, nothing breaks, and every answer is a described one.

A connector with its data plane, on its management listener, for a caller with every role but the driver's. The stream of events
is left out, since it has no end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.api.running import Channel, running

ROLES: Final = ["operator", "commercial", "data-protection-officer", "auditor"]
CHECKS: Final = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
DEADLINE_S: Final = 900
LINES: Final = 80
"""So many of the last lines are shown of a run that found something."""


async def fuzzed(channel: Channel, *options: str) -> None:
    """Run it; fails with what it says where it found something."""
    url = channel.running.management_url
    made = await channel.ask("POST", "/access/keys", {"name": "fuzzer", "roles": ROLES})
    credential = {"x-api-key": made.json["key"]}
    described = channel.folder / "openapi.json"
    async with aiohttp.ClientSession() as session, session.get(f"{url}/carnet/v1/openapi.json", headers=credential) as answer:
        await asyncio.to_thread(described.write_bytes, await answer.read())
    program = [sys.executable, "-m", "schemathesis.cli", "run", str(described), "--url", url, "--no-color"]
    program += ["--checks", CHECKS, "--exclude-path", "/carnet/v1/events", "--generation-deterministic", "--warnings", "off"]
    program += ["--generation-with-security-parameters", "false", "--header", f"x-api-key: {made.json['key']}", *options]
    environment = {"PATH": os.environ["PATH"], "HOME": str(channel.folder), "COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        *program, cwd=channel.folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, "\n".join(said.decode("utf-8", "replace").splitlines()[-LINES:])


@pytest.mark.timeout(DEADLINE_S)
async def test_whatever_is_sent_the_answer_is_a_described_one(tmp_path: Path) -> None:
    async with running(tmp_path, data_plane=True) as channel:
        await fuzzed(channel, "--phases", "coverage")


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S)
async def test_chance_finds_nothing_either(tmp_path: Path) -> None:
    async with running(tmp_path, data_plane=True) as channel:
        await fuzzed(channel, "--phases", "fuzzing", "--max-examples", "20")
