"""The demo, run for real: both connectors, both data planes, every claim checked by its exit code."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from connector.demo.badge import badge, catalog_call
from connector.demo.houses import free_ports, make_houses
from connector.demo.servers import NotServing, serving
from connector.demo.stage import Untrue, hold
from connector.demo.trips import trips_csv, zones_csv
from connector.protocol.errors import CallerError
from connector.settings import load

ROOT = Path(__file__).parents[2]
LONGEST_S = 180


def environ(temporary: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    return {**kept, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}


@asynccontextmanager
async def demo(temporary: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector.cli", "demo", *arguments),
        cwd=ROOT,
        env=environ(temporary),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def serving_below(folder: Path) -> list[str]:
    """Command lines of processes that have a settings file below the folder."""
    lines = []
    for found in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = found.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{folder}/" in line:
            lines.append(line)
    return lines


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def until_none_serves(folder: Path) -> None:
    async with asyncio.timeout(LONGEST_S):
        while serving_below(folder):  # noqa: ASYNC110  # processes of somebody else's tell nobody of their end
            await asyncio.sleep(0.05)


async def test_the_demo_holds_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with demo(tmp_path) as process:
        output, errors = await process.communicate()
    said = output.decode()
    assert process.returncode == 0, errors.decode()
    for line in (
        r"trips\.csv: \d+ bytes, SHA-256 [0-9a-f]{16}…, for admitted participants",
        r"provider notes did:web:localhost%3A\d+: unverified; oauth-did, key [\w-]{12}…$",
        r"consumer notes did:web:localhost%3A\d+: unverified; oauth-did, key [\w-]{12}…$",
        r"a token of http://localhost:\d+, bound to that key \(DPoP\), good for 300 s$",
        r"^     Permitted: use the data\.$",
        r"^       The purpose is a kind of mobility planning\.$",
        r"nothing is published: policy-unenforceable   \d+ ms",
        r"/offers/0/permission/0/constraint/2: no data plane here declares to keep \S+#requestsPerVehicleDay$",
        r"^       let a data plane declare \S+#requestsPerVehicleDay, or leave the term out$",
        r"the catalogue shows the unverified consumer: urn:example:zones   \d+ ms",
        r"provider notes: consumer admitted; kind public-body, country FR; vouched for by A\. Person, by telephone",
        r"the catalogue shows the admitted consumer: urn:example:trips, urn:example:zones   \d+ ms",
        r'refused without a person: "Cannot be told: The purpose is .*To change that: narrow the purpose',
        r"The purpose is a kind of mobility planning\. — enforced at: negotiation, transfer$",
        r"Owed: name the source\. — evidenced by: \S",
        r"Prohibited: sell the data\. — legal only$",
        r"REQUESTED to FINALIZED without a person in between   \d+ ms",
        r"agreement urn:uuid:[0-9a-f-]{36}, the same bytes on both sides",
        r"decides nothing: pending decide-counter-offer",
        r"^     Added: Permitted: sell the data\.",
        r"answers with a counter-offer; a person at the consumer reads its redline   \d+ ms",
        r"^     Added: In return: delete the data\. The time since the contract is at most 2 years\.$",
        r"^     Removed: Permitted: sell the data\.",
        r"and approves: FINALIZED   \d+ ms",
        r"\d+ bytes, SHA-256 [0-9a-f]{16}… on both sides   \d+ ms",
        r"suspended: the consumer's token is refused with HTTP 403",
        r"the old token stays dead: HTTP 403",
        r"is refused with HTTP (403|410)",
        r"the stolen access token alone: HTTP 401 proof-missing",
        r"with a proof by the thief's own key: HTTP 401 proof-key",
        r"the whole request once more, its proof with it: HTTP 401 proof-replayed",
        r"suspends the consumer while it fetches: \d+ of \d+ bytes are through$",
        r"data: HTTP (403|410)   \d+ ms",
        r"access token and fresh proof: HTTP 401 participant-suspended   \d+ ms",
        r"the consumer's next request: \".*a key of the city was reported stolen.*\"   \d+ ms",
        r"the transfer is TERMINATED, code participant-suspended, on both sides",
        r"admitted again: it is answered as before$",
        r"correlation id urn:uuid:[0-9a-f-]{36}$",
        r"provider  received VERIFICATION +VERIFIED$",
        r"\d+ rows, one a second, of 250 vehicles on \d+ trips   \d+ ms$",
        r"\d+ decisions of drivers, owners and renters; \d+ are enrolled   \d+ ms$",
        r"Only cells of at least 10 distinct vehicles\.$",
        r"Four points single out \d+\.\d % of 250 vehicles or trips\.$",
        r"[1-9]\d* cells came, [1-9]\d* were held back for having fewer than 10 vehicles$",
        r"recounted from the raw table: the smallest of them has \d{2} vehicles$",
        r"[1-9]\d* of \d+ enrolled vehicles came",
        r"the buyer's connector erased the rows and attested it: fulfilled   \d+ ms$",
        r"and the next delivery has [1-9]\d* contracts   \d+ ms$",
        r"the provider answered 409 \(cells-held\): ",
        r"2 receipts, the same bytes on both sides, countersigned$",
        r"[1-9]\d* x 1\.50 EUR = \d+\.\d{2} EUR, by \S+#Vehicle$",
        r"^Everything held\. The whole took \d+ ms\.$",
        rf"^All files are in {re.escape(str(tmp_path))}/carnet-demo-\S+, which is removed now",
    ):
        assert re.search(line, said, re.M), f"{line}\n{said}"
    assert errors == b""
    assert left_in(tmp_path) == []
    assert serving_below(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_what_is_kept_stays_up_until_told(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "kept"
    async with demo(tmp_path, "--keep", "--folder", str(folder)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("Logs: "):
            lines.append((await process.stdout.readline()).decode())
            if not lines[-1]:
                pytest.fail("".join(lines) + (await process.stderr.read()).decode())
        assert serving_below(folder)
        browse = next(line for line in lines if " browse " in line).split()
        shown = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "connector.cli", *browse[1:]), cwd=ROOT, env=environ(tmp_path), stdout=subprocess.PIPE
        )
        assert b"Trips of a test fleet" in (await shown.communicate())[0]
        process.send_signal(number)
        await process.communicate()
    assert process.returncode == 0
    assert serving_below(folder) == []
    assert (folder / "consumer" / "received" / "trips.csv").read_bytes() == (folder / "provider" / "trips.csv").read_bytes()
    assert (folder / "consumer").stat().st_mode & 0o777 == 0o700


async def test_told_to_stop_in_the_middle_it_stops_everything(tmp_path: Path) -> None:
    async with demo(tmp_path) as process:
        assert process.stdout is not None
        await process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert (process.returncode, b"Told to stop" in errors) == (1, True)
    assert serving_below(tmp_path) == []
    assert left_in(tmp_path) == []


async def test_killed_it_leaves_no_connector_running(tmp_path: Path) -> None:
    async with demo(tmp_path, "--keep") as process:
        assert process.stdout is not None
        await process.stdout.readline()
        process.kill()
        await process.communicate()
        await until_none_serves(tmp_path)


async def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    async with demo(tmp_path, "--folder", str(tmp_path)) as process:
        _, errors = await process.communicate()
    assert (process.returncode, b"cannot make the new folder" in errors) == (1, True)


async def test_a_connector_that_does_not_start_is_shown_with_its_log(tmp_path: Path) -> None:
    house, _ = make_houses(tmp_path / "houses")
    house.config.write_text("participant_id = 1\n")
    with pytest.raises(NotServing, match="has ended with code 1") as caught:
        async with serving(house):
            pass
    assert "participant_id" in str(caught.value)


def test_no_house_is_told_of_the_other_anything_but_its_ports(tmp_path: Path) -> None:
    provider, consumer = make_houses(tmp_path / "houses")
    for house, other in ((provider, consumer), (consumer, provider)):
        settings = load(house.config, {})
        assert settings.participant_id == house.participant_id
        assert settings.peers == ()
        assert list(settings.client.allow) == other.reached_at
        assert other.participant_id not in house.config.read_text()
    for name in ("local.token", "data.token"):
        assert (provider.folder / name).read_text() != (consumer.folder / name).read_text()


async def test_a_badge_is_shown_to_one_house_alone(tmp_path: Path) -> None:
    provider, consumer = make_houses(tmp_path / "houses")
    async with badge(consumer, provider) as shown:
        with pytest.raises(CallerError, match="address-foreign"):
            await shown.headers(catalog_call(consumer))


def test_trips_are_the_same_for_the_same_seed() -> None:
    assert trips_csv(1, 50) == trips_csv(1, 50) != trips_csv(2, 50)
    assert len(trips_csv(1, 50).splitlines()) == 51


def test_trips_are_between_zones_that_there_are() -> None:
    zones = {line.partition(",")[0] for line in zones_csv().splitlines()[1:]}
    ends = {zone for line in trips_csv(1, 500).splitlines()[1:] for zone in line.split(",")[-2:]}
    assert len(zones) == 64
    assert ends <= zones


def test_free_ports_differ() -> None:
    assert len(set(free_ports(4))) == 4


def test_what_does_not_hold_is_said() -> None:
    hold(True, "nothing")
    with pytest.raises(Untrue, match="the sky is green"):
        hold(False, "the sky is green")
