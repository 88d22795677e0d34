"""Runs the official test kit (DSP TCK) against a real `carnet serve` process: `python tests/conformance/run_kit.py --help`.

Builds the runner once, into `.tck`, which is also where everything of a run is kept. Ends with 0 only if every test of the
kit passed but those that the kit itself disables and those in `EXPECTED_FAILURES`.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.conformance import derive  # noqa: E402 - the path is set above when this is run as a script
from tests.conformance.derive import Setup  # noqa: E402
from tests.conformance.serving import serving  # noqa: E402
from tests.ports import free_port  # noqa: E402
from tests.postgres import find_programs, make_server  # noqa: E402

EXPECTED_FAILURES: Final[frozenset[str]] = frozenset()
"""Display names of tests that fail, each with its reason beside it. There are none."""
SUCCESS: Final = "65 passed, 0 failed, 2 skipped"
WORK: Final = ROOT / ".tck"
KIT: Final = WORK / "kit"
KIT_TIMEOUT_S: Final = 400
BUILD_TIMEOUT_S: Final = 900
DID: Final = "did:web:carnet.example:fleet"


@dataclass(frozen=True, slots=True)
class Result:
    """What the kit said: its last line, its failures, all its lines."""

    last: str
    failed: frozenset[str]
    lines: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Nothing failed that was not expected to."""
        return self.last == SUCCESS if not EXPECTED_FAILURES else self.failed == EXPECTED_FAILURES


def needs() -> str | None:
    """What this machine lacks to run the kit, in words; None if nothing."""
    lacking = [name for name in ("java", "mvn") if shutil.which(name) is None]
    return f"not installed here: {', '.join(lacking)} (.ci/run installs them)" if lacking else None


def build() -> None:
    """Build the runner unless it is there and its sources are the same. Raises CalledProcessError."""
    sources = [HERE / "kit" / "pom.xml", HERE / "kit/src/main/java/tck/Main.java"]
    stamp, state = KIT / "stamp", hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    if stamp.exists() and stamp.read_text() == state:
        return
    command = [_program("mvn"), "-q", "-B", "-f", str(sources[0]), f"-Dkit.directory={KIT}", "package"]
    subprocess.run(command, check=True, timeout=BUILD_TIMEOUT_S, stdin=subprocess.DEVNULL)
    stamp.write_text(state)


def as_kept() -> Setup:
    """The two files in this folder."""
    settings = tomllib.loads((HERE / "tck.toml").read_text())
    return Setup(settings, derive.read_properties((HERE / "tck.properties").read_text()))


def token() -> str:
    """What the kit presents to our connector."""
    return as_kept().properties["dataspacetck.dsp.connector.http.headers.authorization"].removeprefix("Bearer ")


def run_unchanged(only: str = "") -> Result:
    """One run with the files in this folder as they stand, on SQLite."""
    _empty(WORK / "data")
    return _run(HERE / "tck.toml", HERE / "tck.properties", as_kept(), only)


def run_derived(setup: Setup, only: str = "") -> Result:
    """One run with other settings, on free ports."""
    data_dir = WORK / "data"
    _empty(data_dir)
    placed = derive.placed(setup, data_dir, HERE / "kit", free_port(), free_port())
    config, properties = WORK / "derived.toml", WORK / "derived.properties"
    config.write_text(derive.write_toml(placed.settings))
    properties.write_text(derive.write_properties(placed.properties))
    return _run(config, properties, placed, only)


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a database on a server that lives as long as the block. Raises ClickException without PostgreSQL."""
    programs = find_programs()
    if programs is None:
        raise click.ClickException("PostgreSQL is not installed here (apt-get install postgresql)")
    with tempfile.TemporaryDirectory(prefix="carnet-kit-") as name:
        server = make_server(programs, Path(name), fsync=False)
        try:
            server.run("createdb", "-h", name, "-p", str(server.port), "-U", "carnet", "kit")
            yield server.address("kit")
        finally:
            server.stop()


def _run(config: Path, properties: Path, setup: Setup, only: str) -> Result:
    classpath = f"{KIT / 'classes'}:{KIT / 'lib'}/*"
    command = [_program("java"), "-cp", classpath, "tck.Main", str(properties), *([only] if only else [])]
    with serving(config, setup.base_url, WORK / "serve.log"):
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=KIT_TIMEOUT_S,
            text=True,
        )
    lines = tuple(done.stdout.splitlines())
    (WORK / "kit.log").write_text(done.stdout)
    failed = frozenset(re.sub(r"^FAIL +\d+ ms ", "", line) for line in lines if line.startswith("FAIL "))
    return Result(lines[-1] if lines else "the kit said nothing", failed, lines)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise click.ClickException(f"{name} is not installed here")
    return found


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)


def _report(name: str, result: Result) -> bool:
    if not result.good:
        click.echo("\n".join(line for line in result.lines if not line.startswith(("PASS", "SKIP"))))
    took = next((line for line in result.lines if line.startswith("took")), "took ?")
    click.echo(f"{name}: {took}\n{result.last}")
    return result.good


def _one(store: str, participant: str | None, seed: int | None, only: str) -> bool:
    name = ", ".join([store, *([participant] if participant else []), *([f"random ids {seed}"] if seed is not None else [])])
    setup = as_kept()
    if participant is not None:
        setup = derive.named(setup, participant)
    if seed is not None:
        setup = derive.with_random_ids(setup, seed)
    if store == "postgres":
        with postgres() as address:
            return _report(name, run_derived(derive.stored_in(setup, address), only))
    unchanged = participant is None and seed is None
    return _report(name, run_unchanged(only) if unchanged else run_derived(setup, only))


@click.command()
@click.option("--store", type=click.Choice(["sqlite", "postgres"]), default="sqlite", show_default=True)
@click.option("--participant", help="participant id of our connector")
@click.option("--random-ids", "seed", type=int, help="other ids for everything, made from this seed")
@click.option("--repeat", type=click.IntRange(1, 1000), default=1, show_default=True, help="runs, each from nothing")
@click.option("--only", default="", help="regular expression over the names of the kit's tests")
@click.option("--all", "everything", is_flag=True, help="SQLite, PostgreSQL, a DID as participant id, random ids")
def command(store: str, participant: str | None, seed: int | None, repeat: int, only: str, *, everything: bool) -> None:
    """Run the official test kit of the Dataspace Protocol against this connector."""
    lacking = needs()
    if lacking is not None:
        raise click.ClickException(lacking)
    build()
    plan = [(store, participant, seed)]
    if everything:
        plan = [
            ("sqlite", None, None),
            ("postgres", None, None),
            ("sqlite", DID, None),
            ("sqlite", None, 1 if seed is None else seed),
        ]
    results = [_one(*row, only) for row in plan for _ in range(repeat)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    command()
