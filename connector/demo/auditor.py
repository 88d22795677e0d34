"""What the demo's auditor is handed, and what is done with it: copies of logs, checked by commands that ask no connector.

Copies are made while the connectors are up, when nothing waits to be put into their logs. The keys to check them by are those of
the DID documents, and what each side kept of the other's log is beside the copy.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from connector.audit.asking import Answer, Log, proof_of
from connector.audit.ceremony import NotDone
from connector.audit.lines import Line
from connector.audit.methods import log_keys
from connector.audit.queue import Queue
from connector.audit.verifying import Trust
from connector.audit.witnessed import COSIGNED
from connector.demo.houses import House
from connector.demo.stage import STEP_S, Stage, Untrue, hold
from connector.demo.town import Member
from connector.identity.did import WELL_KNOWN
from connector.log.folder import CHECKPOINT, LogFolder
from connector.log.layout import HANDOVER, SALT, VKEYS, read_salt
from connector.log.leaf import salted
from connector.log.note import Verifier
from connector.log.payloads import FILE as PAYLOADS
from connector.log.proofs import check_tlog_proof
from connector.log.tiles import WIDTH, bundle_path
from connector.settings import Settings, load

LOOK_S: Final = 0.05
SEEN: Final = "seen"
_BYTES: Final = b'"bytes":'
_LEFT: Final = b'"state":"left"'
_FILES: Final = (CHECKPOINT, VKEYS, SALT)
_FOLDERS: Final = ("tile", COSIGNED, HANDOVER)


@dataclass(frozen=True, slots=True)
class Handed:
    """A log in the auditor's hands. ``did`` is the file with the DID document of whose it is, ``seen`` the folder with what the
    counterparty kept of it; ``witnesses`` are the keys of the others' logs; ``cosigned``: up to which size, by who cosigned."""

    owner: Member
    log: Path
    did: Path
    seen: Path
    witnesses: tuple[str, ...]
    cosigned: Mapping[str, int]

    @property
    def keys(self) -> list[str]:
        """The keys of the log by the DID document."""
        return log_keys(orjson.loads(self.did.read_bytes()))

    @property
    def options(self) -> list[str]:
        """What `carnet audit verify` is told beside the log."""
        named = [option for key in self.witnesses for option in ("--witness", key)]
        return ["--did", str(self.did), "--seen", str(self.seen), *named]

    def asked(self) -> Log:
        """The copy, to be asked."""
        return Log(self.log, Trust(tuple(self.keys), witnesses=self.witnesses, seen=(self.seen,)))


@dataclass(frozen=True, slots=True)
class Checked:
    """How `carnet audit verify` ended: its exit code, and its steps."""

    code: int
    steps: tuple[dict[str, Any], ...]

    def step(self, name: str) -> dict[str, Any]:
        """A step by its name. Raises Untrue where it was not made."""
        found = next((each for each in self.steps if each["name"] == name), None)
        if found is None:
            raise Untrue(f"the verification has no step {name}")
        return found

    def passed(self, *but: str) -> int:
        """How many steps passed. Raises Untrue unless all did, ``but`` for those that need what an auditor has not."""
        for each in self.steps:
            fine = each["result"] == "passed" or (each["result"] == "not-done" and each["name"] in but)
            hold(fine, f"step {each['step']}, {each['name']}, {each['result']}: {each['said']}")
        hold(self.code == 0, f"all steps passed, and the command ended with {self.code}")
        return sum(each["result"] == "passed" for each in self.steps)


def settings_of(house: House) -> Settings:
    """The settings of a connector of the demo."""
    return load(house.config, {})


async def documents(stage: Stage, into: Path) -> dict[str, Path]:
    """The DID document of each connector, as anybody gets it, in a file."""
    found = {}
    for name, member in stage.members.items():
        async with asyncio.timeout(STEP_S), stage.web.get(f"{member.house.origin}{WELL_KNOWN}") as answer:
            raw = await answer.read()
        hold(answer.status == 200 and bool(log_keys(orjson.loads(raw))), f"the {name} publishes no key of its log")
        found[name] = into / f"{name}.did.json"
        found[name].write_bytes(raw)
    return found


async def hand_over(stage: Stage, owner: Member, other: Member, dids: Mapping[str, Path], into: Path) -> Handed:
    """A copy of a log once all that happened is in it and ``other`` has cosigned it. Raises Untrue if it does not get there."""
    settings, theirs = settings_of(owner.house), settings_of(other.house).log.folder
    kept = theirs / SEEN / salted(read_salt(theirs), "party", owner.did)
    unsigned = f"the {other.name} has not cosigned the log of the {owner.name}"
    await _until(lambda: _has_cosigned(settings.log.folder, kept, other), unsigned)
    await _until(lambda: _copied(settings, into), f"lines still wait to be put into the log of the {owner.name}")
    seen = into.with_name(f"{into.name}-{SEEN}-by-{other.name}")
    await asyncio.to_thread(shutil.copytree, kept, seen)
    witnesses = [key for name, file in dids.items() if name != owner.name for key in log_keys(orjson.loads(file.read_bytes()))]
    return Handed(owner, into, dids[owner.name], seen, tuple(witnesses), _cosigners(stage, into))


def _has_cosigned(log: Path, kept: Path, other: Member) -> bool:
    name = salted(read_salt(log), "party", other.did)
    return any((log / COSIGNED).glob(f"*.{name}")) and any(kept.glob("[0-9]*"))


def _cosigners(stage: Stage, log: Path) -> dict[str, int]:
    """The newest size that each has cosigned."""
    names = {salted(read_salt(log), "party", member.did): name for name, member in stage.members.items()}
    found: dict[str, int] = {}
    for path in (log / COSIGNED).iterdir():
        size, _, name = path.name.partition(".")
        found[names[name]] = max(int(size), found.get(names[name], 0))
    return found


async def _until(holds: Callable[[], bool], otherwise: str) -> None:
    """Look until something holds that nobody tells of. Raises Untrue."""
    try:
        async with asyncio.timeout(STEP_S):
            while True:
                if await asyncio.to_thread(holds):
                    return
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise Untrue(otherwise) from None


def _copied(settings: Settings, into: Path) -> bool:
    """Copy a log if nothing waits to be put into it, neither before nor after; whether that was so."""
    log = settings.log.folder
    if _waits(settings):
        return False
    _copy(log, into)
    if not _waits(settings) and (log / CHECKPOINT).read_bytes() == (into / CHECKPOINT).read_bytes():
        return True
    shutil.rmtree(into)
    return False


def _waits(settings: Settings) -> bool:
    """Whether a line waits in the control database, or the data plane has one to tell."""
    try:
        with closing(_reading(settings.data.database)) as data:
            told = data.execute("SELECT 1 FROM callback LIMIT 1").fetchone() is None
        return not told or Queue(settings.control_database).waiting() > 0
    except (NotDone, sqlite3.OperationalError):
        return True


def _reading(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)


def _copy(log: Path, into: Path) -> None:
    """What proves a log, and its payloads, without the keys that open them."""
    into.mkdir(mode=0o700)
    for name in _FILES:
        shutil.copyfile(log / name, into / name)
    for name in _FOLDERS:
        if (log / name).is_dir():
            shutil.copytree(log / name, into / name)
    with closing(_reading(log / PAYLOADS)) as source, closing(sqlite3.connect(into / PAYLOADS)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, that is read without writing beside it


async def verify(path: Path, options: Sequence[str]) -> Checked:
    """`carnet audit verify` as a process of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CARNET_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector.cli", "audit", "verify", "--json", *options, str(path)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environ,
    )
    try:
        async with asyncio.timeout(STEP_S):
            said, errors = await process.communicate()
    except TimeoutError:
        raise Untrue(f"the verification of {path} did not end within {STEP_S:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    hold(said.startswith(b"{"), f"the verification of {path} ended with {process.returncode}: {errors.decode(errors='replace')}")
    return Checked(process.returncode or 0, tuple(orjson.loads(said)["steps"]))


def proven(answer: Answer, lines: Sequence[Line], keys: Sequence[str]) -> int:
    """Make a proof of each line, and check it by itself against the keys; gives how many. Raises ProofWrong, NoteRefused."""
    verifiers = [Verifier.parse(key) for key in keys]
    for line in lines:
        number, _ = check_tlog_proof(proof_of(answer, line), line.raw, verifiers)
        hold(number == line.number, f"the proof of line {line.number} is that of line {number}")
    return len(lines)


@dataclass(frozen=True, slots=True)
class Forged:
    """A copy in which one byte of one line is another: how many bytes left, by the line as it was and as it is."""

    log: Path
    line: int
    was: str
    made: str


def forge(handed: Handed, into: Path) -> Forged:
    """Another copy of the log, in which the last delivery has another last digit of its bytes."""
    shutil.copytree(handed.log, into)
    log = LogFolder(into)
    size = log.size()
    number, raw = max((at, raw) for at, raw in enumerate(log.entries(0, size)) if _LEFT in raw and _BYTES in raw)
    first = raw.index(_BYTES) + len(_BYTES)
    past = next(at for at in range(first, len(raw)) if not raw[at : at + 1].isdigit())
    was = raw[first:past].decode()
    made = was[:-1] + str((int(was[-1]) + 1) % 10)
    file = into / bundle_path(number // WIDTH, min(WIDTH, size - number // WIDTH * WIDTH))
    content = bytearray(file.read_bytes())
    content[content.index(raw) + past - 1] = ord(made[-1])
    file.write_bytes(content)
    return Forged(into, number, was, made)
