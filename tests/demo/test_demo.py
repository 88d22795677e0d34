"""The demo, run for real: four connectors, every claim checked by its exit code, its account against the raw table."""

import asyncio
import csv
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import duckdb
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


TOOK = r" +\d+ ms$"
SAID = (
    r"oem +did:web:localhost%3A\d+ +http://localhost:\d+/dsp/2025-1$",
    rf"all four made from nothing, started and ready{TOOK}",
    rf"(insurer|city|repairer) +and oem greet: both unverified, by oauth-did, keys [\w-]{{8}}… and [\w-]{{8}}…{TOOK}",
    r"a token bound to the other's key \(DPoP\), good for 300 s$",
    r"\d+ rows of \d+ vehicles on \d+ trips, \d+ km$",
    rf"\d+ decisions of drivers, owners and renters; [1-9]\d* enrolled with the insurer{TOOK}",
    r"by template `city`, not by hand-written ODRL",
    r"Only cells of$",
    r"Only of vehicles that agreed to:$",
    r"Four points single out \d+\.\d % of \d+ vehicles or trips\.$",
    r"raw trips called anonymous \(anonymous-rows\): only aggregates may be called",
    r"speed with precise places \(speed-with-place\): instant speed leaves together",
    r"instead: add spatialResolution lteq 7 or coarser",
    rf"all +unverified, each sees: zones\.csv{TOOK}",
    r"insurer +admitted: company, DE, licensed insurers; sees features, flow, trips, zones",
    r"city +admitted: public-body, FR; sees flow, trips, zones",
    r"repairer +admitted: sme, FR, licensed repairers; sees faults, flow, trips, zones",
    r"simulates flow: free for the city, a public body; 4900\.00 EUR a year for the others$",
    rf"trips as offered: FINALIZED, no person; the same bytes on both sides{TOOK}",
    r"noted by the oem in \d+ lines and by the city in \d+, under one correlation id$",
    rf"features, but kept for a year\. That waits for a person at the oem, who reads:{TOOK}",
    r"\| Widened: The time since the contract is at most 90 days\. → ",
    rf"APPROVED by the person: FINALIZED; the same bytes on both sides{TOOK}",
    rf"features for marketing\. REFUSED without a person, policy-denied:{TOOK}",
    r'"Not satisfied: The purpose is a kind of insurance by distance\. \(To change that: ask$',
    r"\| Widened: The number of vehicles behind a figure is at least 10\. → ",
    rf"and answers with a COUNTER-OFFER\. A person at the city reads:{TOOK}",
    r"\| Narrowed: The number of vehicles behind a figure is at least 5\. → ",
    r"\| Added: In return: delete the data\. The time since the contract is at most 2 years\.$",
    rf"ACCEPTED by the person: FINALIZED; the same bytes on both sides{TOOK}",
    rf"faults as offered: FINALIZED, no person; the same bytes on both sides{TOOK}",
    rf'faults, exclusively\. REFUSED by a person: "repair is open to every repairer"{TOOK}',
    r"[1-9]\d* cells of an hour came; [1-9]\d* were held back, of fewer than 8 vehicles$",
    r"counted again in the raw table: the same vehicles in each cell; the smallest has \d+$",
    rf"drawn as a map of [1-9]\d* cell-hours in one page that needs no network{TOOK}",
    r"[1-9]\d* of [1-9]\d* enrolled vehicles came: no place, no speed, no vehicle id in it$",
    r"\d+ km, counted again in the raw table: \d+; \d+ harsh brakings, \d+\.\d in 100 km$",
    r"[1-9]\d* of [1-9]\d* contracts priced: \d+\.\d\d to \d+\.\d\d EUR a year, median ",
    r"\(the rule is 300 km in 3 months, lowered for this demo to 10 km in 1 month\)$",
    r"[1-9]\d* vehicles under pseudonyms, a row an hour; [1-9]\d* of them report a fault$",
    rf"driver +of contract C-\d+ withdraws: nothing more leaves from here on{TOOK}",
    rf"insurer +is told, erases the rows in features\.parquet and attests it: fulfilled{TOOK}",
    r"the next delivery and the next premiums have [1-9]\d* contracts, and had [1-9]\d*$",
    rf"dashboard posts an asset \(an API behind a key\), a policy, a contract definition: 200{TOOK}",
    rf"recalls, but more calls\. The offer asks the role commercial, one of it reads:{TOOK}",
    r"\| Widened: The number of requests is at most 10\. → The number of requests is at most$",
    r'auditor +would say yes\. HTTP 403: "this needs the scope approvals:write; it goes with the role$',
    rf"sales +APPROVED by the person: FINALIZED{TOOK}",
    r"auditor +saw it as it happened, [1-9]\d* events by stream: REQUESTED AGREED VERIFIED FINALIZED$",
    rf"recalls: \d+ bytes, SHA-256 [0-9a-f]{{16}}… here and at the source{TOOK}",
    rf"trips: \d+ bytes, SHA-256 [0-9a-f]{{16}}… on both sides{TOOK}",
    rf"suspends a transfer half-way: HTTP 403; resumed, a new token gives the rest{TOOK}",
    rf"terminates a transfer: its token, just now HTTP 206, is dead: HTTP (403|410){TOOK}",
    r"a recorded request of the city: token alone proof-missing, own proof$",
    rf"proof-key, sent again proof-replayed; each HTTP 401{TOOK}",
    rf"suspends the city while it fetches: data HTTP (403|410), requests HTTP 401{TOOK}",
    r'the city reads why: "a key of the city was reported stolen"; the transfer is TERMINATED$',
    r"receipts: 4, the same bytes on both sides, countersigned; owed to the oem so far:$",
    r"city +0\.00 EUR, a public body$",
    r"insurer +[1-9]\d* x 1\.50 EUR = \d+\.\d{2} EUR, by vehicle$",
    r"repairer +[1-9]\d* x 0\.40 EUR = \d+\.\d{2} EUR, by vehicle$",
    rf"gets copies: the oem's log, the insurer's, the evidence of their contract{TOOK}",
    r"from here on all four connectors are stopped: what follows is found in the copies alone$",
    r"oem +log: 12 steps passed, none waits; lines in the tree that the oem has signed: [1-9]\d*$",
    r"nothing cosigned is cut or rewritten; by: insurer [1-9]\d*, city [1-9]\d*, repairer [1-9]\d*$",
    r"insurer +log: 12 steps passed, none waits; lines in the tree that the insurer has signed: [1-9]\d*$",
    r"nothing cosigned is cut or rewritten; by: oem [1-9]\d*$",
    r"features: signed by both; 14 steps passed; 2 receipts; lines of the log with proofs: [1-9]\d*$",
    r"forger +makes \d+ delivered bytes \d+, one byte of a copy, in line \d+$",
    r"found: exit code 1, step 4, entries, at tile/0/\d{3}(\.p/\d+)?, index \d+$",
    rf"four times `carnet audit verify`, each a process of its own{TOOK}",
    r'"Was anything delivered after termination\?" Nothing; [1-9] ends, [1-9] deliveries, \d+ proofs$',
    r'"Which agreements exchanged data of vehicle [0-9a-f]{8}…\?" That with the insurer, once,$',
    r"before the driver withdrew(, and that with the repairer)?; [1-9]\d* proofs$",
    r"^Everything held\. The whole took \d+ ms\.$",
)
WIDEST = 100
LONGEST = 140


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Path]:
    """One run as a newcomer has it: what it said, what it said of its progress, and the folder that it named."""
    temporary = tmp_path_factory.mktemp("demo")
    arguments = [sys.executable, "-m", "connector.cli", "demo"]
    done = subprocess.run(
        arguments, cwd=ROOT, env=environ(temporary), capture_output=True, text=True, timeout=LONGEST_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert serving_below(temporary) == []
    (folder,) = left_in(temporary)
    return done.stdout, done.stderr, folder


def test_the_demo_holds_and_says_so(played: tuple[str, str, Path]) -> None:
    said, errors, folder = played
    for line in SAID:
        assert re.search(line, said, re.M), f"{line}\n{said}"
    assert said.endswith(f"All files are in {folder}; to remove them: rm -r {folder}\n")
    assert all(line.startswith("Making a fleet drive") for line in errors.splitlines())


def test_the_account_is_short_enough_to_read(played: tuple[str, str, Path]) -> None:
    lines = [line for line in played[0].splitlines() if "/" not in line]
    assert len(played[0].splitlines()) <= LONGEST
    assert [line for line in lines if len(line) > WIDEST] == []


def test_the_readme_shows_lines_of_it(played: tuple[str, str, Path]) -> None:
    """All but the last figure of a line, which is a time or the size of a file."""
    block = re.search(r"^```text\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert block is not None
    shown = [line for line in block[1].splitlines() if line != "…"]
    assert len(shown) > 20
    left = iter(re.sub(r" +\d+( ms)?$", "", line) for line in played[0].splitlines())
    for line in shown:
        assert re.sub(r" +\d+( ms)?$", "", line) in left, line


def places(said: str, folder: Path) -> list[Path]:
    below = said.partition(f"Files, below {folder}:\n")[2].partition("Everything held.")[0]
    return [folder / name for name in below.split()]


def test_every_file_that_is_named_is_there(played: tuple[str, str, Path]) -> None:
    said, _, folder = played
    found = places(said, folder)
    assert {path.name for path in found} == {
        *("fleet.parquet", "consents.csv", "trips.csv", "flow.parquet", "flow.html", "features.parquet", "premiums.csv"),
        *("faults.parquet", "work-list.csv", "features-later.parquet", "premiums-later.csv", "recalls.json"),
        *("evidence.zip", "checkpoint"),
    }
    assert all(path.is_file() for path in found)
    assert (folder / "city" / "received" / "trips.csv").read_bytes() == (folder / "oem" / "trips.csv").read_bytes()


def accounted(said: str) -> dict[str, list[int]]:
    """Vehicles, trips, km, rows and bytes by buyer and what came."""
    table = said.partition("to whom ")[2].splitlines()[1:5]
    return {line[:44].strip(): [int(figure) for figure in line[44:].split()] for line in table}


EDGE = 1221 / 111_320
CELLS = f"""
    WITH raw AS (
        SELECT "Vehicle.VehicleIdentification.VIN" AS vin, trip, "Vehicle.Speed" AS speed,
               date_trunc('hour', "time") AS hour, CAST(floor("Vehicle.CurrentLocation.Latitude" / {EDGE}) AS BIGINT) AS north,
               "Vehicle.CurrentLocation.Longitude" AS lon
        FROM read_parquet(?))
    SELECT count(DISTINCT vin), count(DISTINCT (vin, trip)), sum(speed) / 3600 FROM raw JOIN read_parquet(?) AS came
    ON came."time" = hour AND came.cell = '7/' || north || '/'
        || CAST(floor(lon / {EDGE} * cos(radians((north + 0.5) * {EDGE}))) AS BIGINT)"""  # noqa: S608  # constants


def test_the_account_is_what_the_raw_table_says(played: tuple[str, str, Path]) -> None:
    said, _, folder = played
    found = accounted(said)
    raw, cells = folder / "oem" / "fleet.parquet", folder / "city" / "received" / "flow.parquet"
    with duckdb.connect() as opened:
        vehicles, trips, km = opened.execute(CELLS, [str(raw), str(cells)]).fetchall()[0]
        (rows,) = opened.execute("SELECT count(*) FROM read_parquet(?)", [str(cells)]).fetchall()[0]
    city = found["city      cells of an hour, anonymous"]
    assert [city[0], city[1], *city[3:]] == [vehicles, trips, rows, cells.stat().st_size]
    assert city[2] == pytest.approx(km, rel=0.02)
    before, after = found["insurer   features by vehicle and month"], found["insurer   the same, after the withdrawal"]
    later = folder / "insurer" / "received" / "features-later.parquet"
    with duckdb.connect() as opened:
        came = opened.execute("SELECT count(DISTINCT reference), sum(trips), sum(km) FROM read_parquet(?)", [str(later)])
        references, driven, km = came.fetchall()[0]
    assert (after[0], after[1], after[4]) == (references, driven, later.stat().st_size)
    assert after[2] == pytest.approx(km, rel=0.02)
    assert before[0] == after[0] + 1


def test_the_lists_of_premiums_are_of_those_who_agreed(played: tuple[str, str, Path]) -> None:
    folder = played[2] / "insurer"
    lists = []
    for name in ("premiums.csv", "premiums-later.csv"):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            lists.append({row["contract"]: row for row in csv.DictReader(file)})
    first, later = lists
    with duckdb.connect() as opened:
        query = "SELECT reference FROM read_parquet(?)"
        came = {row[0] for row in opened.execute(query, [str(folder / "received" / "features-later.parquet")]).fetchall()}
        kept = {row[0] for row in opened.execute(query, [str(folder / "received" / "features.parquet")]).fetchall()}
    assert set(later) == came == kept
    assert set(later) < set(first)
    assert all(420 <= float(row["eur"]) <= 600 for row in first.values())
    assert all(first[contract]["eur"] == row["eur"] for contract, row in later.items())


async def audits_again(temporary: Path, commands: list[str]) -> None:
    """What is named for looking around in the evidence works, and only the forged log is refused."""
    assert len(commands) == 6
    for command in commands:
        done = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "connector.cli", *shlex.split(command)[1:]),
            cwd=ROOT,
            env=environ(temporary),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        said, errors = await done.communicate()
        assert done.returncode == ("-forged" in command), (command, said, errors)


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
        if number is signal.SIGINT:
            await audits_again(tmp_path, [line.strip() for line in lines if " audit " in line and not line.startswith("   ")])
        process.send_signal(number)
        await process.communicate()
    assert process.returncode == 0
    assert serving_below(folder) == []
    assert (folder / "city" / "received" / "trips.csv").read_bytes() == (folder / "oem" / "trips.csv").read_bytes()
    assert (folder / "city").stat().st_mode & 0o777 == 0o700


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


async def test_data_that_are_not_there_are_named_with_what_to_do(tmp_path: Path) -> None:
    async with demo(tmp_path, "--data", str(tmp_path / "nowhere")) as process:
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"nowhere cannot be opened" in errors
    assert b"[data-missing]" in errors
    assert left_in(tmp_path) == []


async def test_a_mapping_without_data_is_a_mistake(tmp_path: Path) -> None:
    async with demo(tmp_path, "--mapping", "mapping.json") as process:
        _, errors = await process.communicate()
    assert (process.returncode, b"give both" in errors) == (2, True)
    assert left_in(tmp_path) == []


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
