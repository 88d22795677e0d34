"""What the audit commands share: where a log is, what it is trusted by, and what opens its payloads; how an end is said.

A log is named on the command line, or it is that of the settings. With settings, the subjects' keys beside our own log open its
payloads; a view brings its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from connector.audit.asking import Log, Scope
from connector.audit.ceremony import Flaw, NotProven, Step
from connector.audit.methods import log_keys
from connector.audit.opening import SubjectsKeys
from connector.audit.verifying import Surroundings, Trust
from connector.audit.view import is_view, opened_folder, verify_view
from connector.cli.config import DEFAULT, read_settings
from connector.cli.documents import read_json
from connector.cli.errors import Failed, failed, written
from connector.cli.plain import plain, say
from connector.identity import keyfiles
from connector.identity.keys import KeyRing, Use
from connector.log import subjects as subject_file
from connector.log.folder import CHECKPOINT
from connector.log.subjects import SubjectKeys
from connector.protocol.errors import CarnetError
from connector.settings import Settings

MAX_DID_BYTES: Final = 1_048_576
PASSED: Final = {"passed": "ok", "failed": "FAILED", "not-done": "not done"}
_path = click.Path(path_type=Path)


def now_ms() -> int:
    """The time of now; tests put another in its place."""
    return time.time_ns() // 1_000_000


def audit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--config`, `--json`, `--key`, `--did`, `--witness` and `--seen`."""
    for option in (
        click.option("--seen", multiple=True, type=_path, metavar="FILE", help="A checkpoint, or a folder, another party kept."),
        click.option("--witness", multiple=True, metavar="VKEY", help="The log's key of a party that may have cosigned."),
        click.option("--did", type=_path, metavar="FILE", help="A DID document with the log's key, from a source you trust."),
        click.option("--key", "keys", multiple=True, metavar="VKEY", help="The log's key, from a source you trust."),
        click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output."),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            envvar="CARNET_CONFIG",
            help=f"The settings file of the connector whose log it is. Without LOG: {DEFAULT}.",
        ),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Asked:
    """What was given on the command line."""

    config: Path | None
    keys: tuple[str, ...]
    did: Path | None
    witness: tuple[str, ...]
    seen: tuple[Path, ...]

    def settings(self, log: Path | None) -> Settings | None:
        """The settings, where they are named or needed. Ends the command when they cannot be used."""
        if self.config is not None:
            return read_settings(self.config)
        return None if log is not None else read_settings(Path(DEFAULT))

    def trust(self) -> Trust:
        """What the verification starts from."""
        keys, source = list(self.keys), "given"
        if self.did is not None:
            keys += did_keys(self.did)
        return Trust(tuple(keys), source, self.witness, self.seen)


def asked(given: dict[str, Any]) -> Asked:
    """Take the shared options out of what a command was given."""
    return Asked(given.pop("config"), given.pop("keys"), given.pop("did"), given.pop("witness"), given.pop("seen"))


def read_did(file: Path) -> dict[str, Any]:
    """A DID document out of a file. Ends the command where it is none."""
    found: dict[str, Any] = read_json(file, MAX_DID_BYTES, dict, "a DID document")
    return found


def did_keys(file: Path) -> list[str]:
    """The verifier keys of a log in a DID document: of its Ed25519 methods, under the name that the log of this DID has. Ends
    the command where there is none."""
    found = log_keys(read_did(file))
    if not found:
        raise Failed("log-key-missing", f"{file} has no key that signs a log")
    return found


@contextmanager
def opened_log(asked: Asked, path: Path | None, told: Callable[[Step], None] = lambda _: None) -> Iterator[Log]:
    """The log at a path (a folder, or a view, which is verified first), or that of the settings. Ends the command, and
    raises what `proven` is for."""
    settings = asked.settings(path)
    if path is None:
        if settings is None:
            raise Failed("log-missing", "no log was named")
        path = settings.log.folder
    if not path.exists():
        raise Failed("log-missing", f"{path} is not there")
    with opened_folder(path) as folder:
        if is_view(folder):
            view = verify_view(folder, asked.trust(), now_ms(), told=told)
            yield replace(view.log, told=lambda _: None)
            return
        if not (folder / CHECKPOINT).is_file():
            raise Failed("log-missing", f"{path} holds no log: there is no checkpoint in it")
        with own_keys(settings, folder) as subjects:
            keys = SubjectsKeys([found.key for found in subjects.every() if found.key is not None] if subjects else [])
            around = Surroundings(keys=keys, database=database_of(settings, folder), now_ms=now_ms())
            yield Log(folder, asked.trust(), around, told)


def database_of(settings: Settings | None, folder: Path) -> Path | None:
    """The control database with the queue of a log."""
    if settings is not None:
        return settings.control_database
    beside = folder.absolute().parent / "control.db"
    return beside if beside.is_file() else None


@contextmanager
def own_keys(settings: Settings | None, folder: Path) -> Iterator[SubjectKeys | None]:
    """The subjects' keys beside a log of ours, with the secret of the settings; None where either is not there."""
    path = folder / subject_file.FILE
    if settings is None or not path.is_file():
        yield None
        return
    ring = key_ring(settings)
    with SubjectKeys(path, lambda: ring.secret(Use.SUBJECTS), lambda: ring.older(Use.SUBJECTS)) as subjects:
        yield subjects


def key_ring(settings: Settings) -> KeyRing:
    """Our keys. Ends the command."""
    try:
        return keyfiles.load_keys(settings.keys.dir, os.environ, settings.keys.overlap_h)
    except CarnetError as error:
        raise failed(error) from error


@contextmanager
def proven(*, steps: bool = True) -> Iterator[None]:
    """What stops a verification as the end of the command; with ``steps`` also a step that fails."""
    try:
        yield
    except NotProven as error:
        if not steps:
            raise
        raise not_proven(error.steps) from error
    except Flaw as error:
        raise Failed("not-proven", f"{error.place}: {error.reason} ({error.code})") from error
    except CarnetError as error:
        raise failed(error) from error
    except OSError as error:
        raise written(error) from error


def not_proven(steps: tuple[Step, ...] | list[Step]) -> Failed:
    """The step that failed, as the end of a command: code of the step, place and what is wrong there."""
    step = next(step for step in steps if step.result == "failed")
    where = "" if step.place is None else f" at {step.place}"
    sentence = f"step {step.number}, {step.name}, failed{where}: {step.said} ({step.code})"
    finding = {"path": str(step.place or ""), "sentence": step.said, "code": step.code, "step": step.document()}
    return Failed("view-ended" if step.code == "view-ended" else "not-proven", sentence, findings=[finding])


def step_lines(step: Step) -> Iterator[str]:
    """A step for people."""
    where = f" at {step.place} [{step.code}]" if step.place is not None else ""
    # Names of files, of auditors and of parties are somebody else's: none of them begins a line of ours.
    yield plain(f"{step.number:2}. {step.title}: {PASSED[step.result]}{where}")
    yield plain(f"      {step.said}")
    yield from (plain(f"      {note}") for note in step.notes)


def say_step(step: Step) -> None:
    """Print a step when it is done."""
    for line in step_lines(step):
        say(line)


def moment_ms(text: str | None, name: str) -> int | None:
    """A time on the command line (ISO 8601 with its zone, or a day in UTC), in ms. Ends the command."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Failed("time-invalid", f"{name} is no moment that can be read") from None
    if found.tzinfo is None:
        if len(text) > len("2027-01-31"):
            raise Failed("time-invalid", f"{name} lacks its time zone")
        found = found.replace(tzinfo=UTC)
    return round(found.timestamp() * 1000)


def scope_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--party`, `--asset`, `--agreement`, `--from` and `--until`."""
    for option in (
        click.option("--until", "until", metavar="TIME", help="Only before: a day, or a moment such as 2027-01-31T12:00:00Z."),
        click.option("--from", "since", metavar="TIME", help="Only from then on."),
        click.option("--agreement", default="", metavar="ID", help="Only about this agreement."),
        click.option("--asset", default="", metavar="ID", help="Only about this dataset."),
        click.option("--party", default="", metavar="DID", help="Only with this participant."),
    ):
        command = option(command)
    return command


def scope_of(given: dict[str, Any], events: tuple[str, ...] = ()) -> Scope:
    """Take the scope out of what a command was given."""
    since, until = moment_ms(given.pop("since"), "--from"), moment_ms(given.pop("until"), "--until")
    return Scope(given.pop("party"), given.pop("asset"), given.pop("agreement"), since, until, frozenset(events))
