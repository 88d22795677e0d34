"""Fixtures with a real PostgreSQL server of the tests' own: a private folder, a private socket, a free loopback port.

``postgres_server`` lives for the session, ``postgres_dsn`` is the address of a fresh database for one test.
The server refuses to run as root, so root runs it as the user ``postgres``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.requirement import missing

_NOT_INSTALLED = "PostgreSQL is not installed here (apt-get install postgresql); .ci/run installs it"
_START_TIMEOUT_S = 60
_OWNER = "carnet"
_numbers = count(1)


@dataclass(frozen=True)
class PostgresServer:
    """A running server: its programs, its folder (with the socket), its port."""

    programs: Path
    folder: Path
    port: int
    user: str | None

    def run(self, program: str, *options: str) -> None:
        """Run one of the server's programs as its user; raises CalledProcessError."""
        subprocess.run(
            [str(self.programs / program), *options],
            check=True,
            cwd=self.folder,
            user=self.user,
            group=self.user,
            extra_groups=None if self.user is None else [],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=_START_TIMEOUT_S,
        )

    def address(self, database: str) -> str:
        """The address of a database on this server."""
        return f"postgresql://{_OWNER}@127.0.0.1:{self.port}/{database}"

    def start(self, *, fsync: bool) -> None:
        """Start the server on its folder and wait until it takes connections."""
        durable = "on" if fsync else "off"
        settings = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync={durable} -c max_connections=60"
        log = self.folder / "server.log"
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-l", str(log), "-w", "-o", settings, "start")

    def stop(self) -> None:
        """Stop the server (by the process id in its folder) and wait for its end."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "fast", "-w", "stop")


def find_programs() -> Path | None:
    """The folder of PostgreSQL's server programs: on the PATH, or where Debian keeps them."""
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if all((folder / name).exists() for name in ("initdb", "pg_ctl", "createdb", "dropdb")):
            return folder
    return None


def make_server(programs: Path, folder: Path, *, fsync: bool) -> PostgresServer:
    """Initialise and start a server in an empty folder."""
    user = None
    if os.geteuid() == 0:
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            missing("PostgreSQL does not run as root, and there is no user postgres to run it as")
        user = account.pw_name
        os.chown(folder, account.pw_uid, account.pw_gid)
    server = PostgresServer(programs, folder, free_port(), user)
    server.run(
        "initdb",
        *("-D", str(folder / "data"), "-U", _OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"),
    )
    server.start(fsync=fsync)
    return server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for the whole session. It does not fsync: no test cuts the power."""
    programs = find_programs()
    if programs is None:
        missing(_NOT_INSTALLED)
    # Not in pytest's folder: the server's user must reach it, and a socket's path is at most 107 bytes long.
    with tempfile.TemporaryDirectory(prefix="carnet-pg-") as name:
        server = make_server(programs, Path(name), fsync=False)
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def postgres_dsn(postgres_server: PostgresServer) -> Iterator[str]:
    """The address of an empty database, which is dropped after the test."""
    pytest.importorskip("asyncpg")
    name = f"test_{next(_numbers)}"
    where = ("-h", str(postgres_server.folder), "-p", str(postgres_server.port), "-U", _OWNER)
    postgres_server.run("createdb", *where, name)
    yield postgres_server.address(name)
    postgres_server.run("dropdb", *where, "--force", name)
