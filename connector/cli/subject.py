"""`carnet subject`: what is known of a person's vehicle, and to erase what can be erased of it, or of a participant.

A vehicle may be typed, or read from standard input (`-`) so that it stands in no shell's history.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.cli.consents import short, vehicle_named
from connector.cli.errors import Failed
from connector.cli.plain import plain

Document = dict[str, Any]
FILES: Final = ("subject.json", "subject.txt")


@click.group(name="subject")
def command() -> None:
    """Name, export and erase what the log says of a subject.

    A VEHICLE is written as in the table of data; `-` reads it from standard input.
    """


@command.command(name="name")
@channel_options
@click.argument("vehicle")
def named(config: Path, as_json: bool, vehicle: str) -> None:
    """The pseudonym by which an auditor asks for VEHICLE.

    It says nothing to who has not this connector's keys.
    """
    name = vehicle_named(vehicle)
    document = call(config, lambda client: client.subject_name(name))
    show(document, [document["pseudonym"]], as_json=as_json)


@command.command(name="export")
@channel_options
@click.argument("vehicle")
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path))
def exported(config: Path, as_json: bool, vehicle: str, folder: Path) -> None:
    """Write all that is known of VEHICLE into the new folder OUT.

    Consents, requests, references of buyers, deliveries with their agreements, recipients and times, erasures, and the lines of
    the contract log: for programs in subject.json, for people in subject.txt. Only you may read the folder.
    """
    name = vehicle_named(vehicle)
    document = call(config, lambda client: client.export_subject(name))
    texts = (json.dumps(document, indent=2, ensure_ascii=False), "\n".join(plain(line) for line in _told(document)))
    try:
        folder.mkdir(mode=0o700)
        for file, text in zip(FILES, texts, strict=True):
            with open(
                os.open(folder / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8"
            ) as out:
                out.write(text + "\n")
    except FileExistsError as error:
        raise Failed("file-exists", f"there is something called {folder} already") from error
    except OSError as error:
        raise Failed("file-failed", f"{folder} cannot be written: {error.strerror}") from error
    counts = {name: len(document.get(name, [])) for name in ("entries", "requests", "enrolments", "deliveries", "log")}
    said = ", ".join(f"{count} {what}" for what, count in zip(_WORDS, counts.values(), strict=True))
    show({"folder": str(folder), **counts}, [f"{folder}: {said}"], as_json=as_json)


@command.command(name="erase")
@channel_options
@click.argument("subject", metavar="VEHICLE|DID")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it stands beside the log, encrypted with our own key.")
@click.option("--participant", is_flag=True, help="SUBJECT is a participant whose id is no DID.")
@click.option("--force", is_flag=True, help="Of a participant: although agreements with it are in force.")
def erased(config: Path, as_json: bool, subject: str, reason: str, *, participant: bool, force: bool) -> None:
    """Take back what is in force for a subject, and erase its key.

    Of a vehicle all consents, requests and references end, and its buyers are told to erase what they hold. With its key goes all
    by which anybody could find it in the contract log; of a participant, all that was written with it. The proofs stay. It cannot
    be taken back. The answer says what was done, and what stays and why.
    """
    name = vehicle_named(subject)
    kind = "participant" if participant or name.startswith("did:") else "vehicle"
    document = call(config, lambda client: client.erase_subject(reason, force=force, **{kind: name}))
    done = document["done"] or ["nothing is known of it"]
    kept = [f"  {each['what']}: {each['why']}" for each in document["kept"]]
    show(document, [*done, "what stays:", *kept], as_json=as_json)


_WORDS: Final = ("decisions", "requests", "references", "deliveries", "lines of the log")


def _told(document: Document) -> Iterator[str]:
    """An export for people."""
    yield f"What {document['participant']} knows of the vehicle {document['vehicle']}, at {moment(document['madeAt'])}"
    yield f"Its name in the contract log: {document['pseudonym']}"
    if document["erasedAt"] is not None:
        yield f"Its key was erased at {moment(document['erasedAt'])}: what the log says of it is found by nobody any more."
    if not document["known"]:
        yield "Nothing else is known of it."
        return
    yield from _section("Agrees now to", [_about(row) for row in document["held"]])
    yield from _section("Decisions", [_decision(row) for row in document["entries"]])
    yield from _section("Requests of its user", [_request(row) for row in document["requests"]])
    yield from _section("Buyers know it as", [f"{row['reference']} ({row['recipient']})" for row in document["enrolments"]])
    yield from _section("Was delivered", [_delivery(row) for row in document["deliveries"]])
    yield from _section("Lines of the contract log", [_line(row) for row in document["log"]])


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield ""
    yield title
    yield from (f"  {line}" for line in lines or ["nothing"])


def _about(row: Document) -> str:
    return f"{row['category']} for {short(row['purpose'])} to {row['recipient']} on {short(row['basis'])}"


def _decision(row: Document) -> str:
    return f"{moment(row['at'])}  {'given' if row['given'] else 'withdrawn'} by the {row['decidedBy']}: {_about(row)}"


def _request(row: Document) -> str:
    state = "on record" if row["endedAt"] is None else f"withdrawn {moment(row['endedAt'])}"
    return f"{moment(row['at'])}  {row['id']}, {state}: to {row['recipient']} for {short(row['purpose'])}"


def _delivery(row: Document) -> str:
    to = f"to {row['counterparty']} under {row['agreementId']}" if "counterparty" in row else "to nobody known"
    gone = f"; told to erase {moment(row['erased'][-1])}" if row["erased"] else ""
    return f"{moment(row['firstByteAt'])}  {to}, as {', '.join(row.get('pseudonyms', [])) or 'trips'}{gone}"


def _line(row: Document) -> str:
    leaf = row["leaf"]
    return (
        f"line {row['index']}  {leaf['time']}  {leaf['type']} {leaf.get('state') or leaf.get('change') or leaf.get('stage', '')}"
    )
