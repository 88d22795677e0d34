"""The demo for somebody who has just come: a copy of the checkout that is not theirs, no root, no network, twice in a row."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.requirement import missing

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("connector", "policies", "catalog")
NOBODY: Final = 65_534
LONGEST_S: Final = 180
# Give the new, empty network its loopback, and go on as the command that follows.
LOOPBACK_UP: Final = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
os.execvp(sys.argv[1], sys.argv[1:])
"""
# Our Python can start itself: setpriv reaches it with rights that are gone a step later.
STARTS: Final = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import aiohttp'], check=True)"
# Who one is, what comes of calling a machine elsewhere, and of writing into the checkout.
WHO: Final = """
import json, os, socket, sys
def number(what):
    try:
        what()
    except OSError as error:
        return error.errno
    return 0
call = lambda: socket.create_connection(("192.0.2.1", 80), 5)
print(json.dumps([os.getuid(), os.getgroups(), number(call), number(lambda: open("connector/written", "w"))]))
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * LONGEST_S)]


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody with a home of their own, in a copy of the checkout. ``prefix`` is the command that makes one of us them."""

    prefix: Sequence[str]
    checkout: Path
    home: Path

    def run(self, *arguments: str) -> str:
        """What Python says of the arguments; asserts that it ends with 0."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.home), "TMPDIR": str(self.home), "PYTHONPATH": str(self.checkout)}
        done = subprocess.run(
            [*self.prefix, sys.executable, *arguments],
            cwd=self.checkout,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST_S,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


def works(command: Sequence[str]) -> bool:
    """Whether this machine lets us run it."""
    try:
        return subprocess.run(command, check=False, capture_output=True, timeout=LONGEST_S).returncode == 0
    except FileNotFoundError:
        return False


def without_root() -> list[str]:
    """As the user nobody, who has no right but, where our Python stands in somebody's closed folder, to read it there."""
    if os.getuid() != 0:
        return []
    nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
    if not works([*nobody, sys.executable, "-c", STARTS]):
        reading = "+dac_read_search"
        nobody[-1:] = [f"--inh-caps={reading}", f"--ambient-caps={reading}", f"--bounding-set=-all,{reading}"]
    if not works([*nobody, sys.executable, "-c", STARTS]):
        missing("this machine does not let root become nobody with setpriv (util-linux)")
    return nobody


def offline() -> list[str]:
    """In a network of its own, with a loopback and nothing else."""
    apart = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--user", "--map-current-user", "--keep-caps", "--net"]
    command = [*apart, sys.executable, "-c", LOOPBACK_UP]
    if not works([*command, "true"]):
        missing("this machine does not let us have a network of our own with unshare (util-linux)")
    return command


@pytest.fixture
def newcomer() -> Iterator[Newcomer]:
    """Not in pytest's folder, which is closed to others."""
    with tempfile.TemporaryDirectory(prefix="carnet-fresh-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        checkout, home = folder / "checkout", folder / "home"
        for package in PACKAGES:
            shutil.copytree(ROOT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (checkout, *checkout.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        home.mkdir()
        if os.getuid() == 0:
            os.chown(home, NOBODY, NOBODY)
        yield Newcomer([*offline(), *without_root()], checkout, home)
        for path in (checkout, *checkout.rglob("*")):
            path.chmod(0o755)


def account(said: str) -> list[list[str]]:
    """To whom what went, without the bytes: a file is not the same to the byte under other pseudonyms."""
    table = re.search(r"^ +to whom .* bytes\n((?:.*[^ ] +\d+\n)+)", said, re.MULTILINE)
    assert table is not None, said
    return [re.split(r"\s{2,}", line.strip())[:-1] for line in table[1].splitlines()]


def headings(said: str) -> list[str]:
    return re.findall(r"^\d+\. .*$", said, re.MULTILINE)


def test_the_demo_twice_without_root_and_network(newcomer: Newcomer) -> None:
    user, groups, called, wrote = json.loads(newcomer.run("-c", WHO))
    assert 0 not in (user, *groups)
    assert (called, wrote) == (errno.ENETUNREACH, errno.EACCES)
    first, second = (newcomer.run("-m", "connector.cli", "demo") for _ in range(2))
    assert len(headings(first)) >= 5
    assert headings(first) == headings(second)
    assert [line[0] for line in account(first)] == ["city", "insurer", "repairer", "insurer"]
    # The fleet is the same each time. What its people decide is drawn for the connectors' names, which hold their ports.
    assert account(first)[0] == account(second)[0]
    assert [line[:2] for line in account(first)] == [line[:2] for line in account(second)]
    assert all(int(figure) > 0 for said in (first, second) for line in account(said) for figure in line[2:])
    places = [re.findall(r"^All files are in (.*); to remove them: ", said, re.MULTILINE) for said in (first, second)]
    assert all(len(found) == 1 and Path(found[0]).parent == newcomer.home for found in places)
    assert places[0] != places[1]
    assert sorted(map(str, newcomer.home.glob("carnet-demo-*"))) == sorted(found for (found,) in places)
