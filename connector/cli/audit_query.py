"""`carnet audit query`: what the verified log says, by party, asset, agreement, time and event; and two answers with proofs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, get_args

import click

from connector.audit.answering import AfterEnd, OfVehicle, agreements_of_vehicle, delivered_after_termination
from connector.audit.asking import Answer, Log, Opener, Scope, lines_in, proof_of, write_proofs
from connector.audit.lines import Line
from connector.cli.audit_source import Asked, asked, audit_options, opened_log, own_keys, proven, scope_of, scope_options
from connector.cli.channel import show
from connector.cli.columns import columns
from connector.cli.errors import Failed, written
from connector.log.leaf import LeafType

AFTER: Final = "delivered-after-termination"
VEHICLE: Final = "vehicle"
_SHOWN: Final = ("id", "v", "type", "time", "payload", "party", "contract", "process", "asset")
MAX_PROOFS_SHOWN: Final = 1000
"""With more lines, proofs are written only with --proofs."""
Document = dict[str, Any]


@click.command(name="query")
@audit_options
@scope_options
@click.option("--event", "events", multiple=True, type=click.Choice(get_args(LeafType)), help="Only lines of this type.")
@click.option("--pseudonym", metavar="NAME", help="vehicle: its pseudonym in this log; `carnet subject name` says it.")
@click.option("--proofs", type=click.Path(path_type=Path, file_okay=False), help="Write each line and its .tlog-proof there.")
@click.argument("words", nargs=-1, metavar="[delivered-after-termination|vehicle] [LOG]")
def command(
    words: tuple[str, ...], events: tuple[str, ...], pseudonym: str | None, proofs: Path | None, as_json: bool, **given: Any
) -> None:
    """What the log says, after it was verified; without LOG that of the settings.

    Lines are listed by party, asset, agreement, time and event. Two questions have an answer of their own, which names the lines
    that it is computed from: was anything delivered after it had been terminated (delivered-after-termination), and which
    agreements exchanged data of a vehicle (vehicle, with --pseudonym and the settings of the connector).
    """
    question, path = _question(words)
    if (pseudonym is not None) != (question == VEHICLE):
        raise click.UsageError("--pseudonym goes with `vehicle`, and `vehicle` needs it")
    wanted, scope = asked(given), scope_of(given, events)
    with proven(), opened_log(wanted, path) as log:
        answer, lines, document, said = _answered(question, wanted, log, scope, pseudonym or "")
        if proofs is not None:
            try:
                write_proofs(answer, lines, proofs)
            except OSError as error:
                raise written(error, f"{proofs} cannot be written") from error
        document |= {"log": _log(answer), "lines": [_line(answer, line, proofs is None) for line in lines]}
        document["lines"] = _with_payloads(log, lines, document["lines"])
    show(document, [*said, *([f"proofs of {len(lines)} lines in {proofs}"] if proofs else [])], as_json=as_json)


def _question(words: tuple[str, ...]) -> tuple[str, Path | None]:
    rest = list(words)
    question = rest.pop(0) if rest and rest[0] in (AFTER, VEHICLE) else ""
    if len(rest) > 1:
        raise click.UsageError(f"one log at a time, not {len(rest)}")
    return question, Path(rest[0]) if rest else None


def _answered(
    question: str, wanted: Asked, log: Log, scope: Scope, pseudonym: str
) -> tuple[Answer, tuple[Line, ...], Document, list[str]]:
    if question == AFTER:
        found = delivered_after_termination(log, scope)
        return found.answer, found.lines, _after_document(found), list(_after_lines(found))
    if question == VEHICLE:
        with own_keys(wanted.settings(log.folder), log.folder) as subjects:
            if subjects is None:
                raise Failed("vehicle-keys-missing", "the keys of vehicles are with the connector alone")
            of = agreements_of_vehicle(log, subjects, pseudonym)
        return of.answer, of.lines, _vehicle_document(of), list(_vehicle_lines(of))
    answer = lines_in(log, scope)
    listed = columns([_cells(line) for line in answer.lines], shrink=(3,))
    return answer, answer.lines, {"scope": scope.document()}, listed or ["no line of the log is about that"]


def _cells(line: Line) -> tuple[str, ...]:
    said = line.said
    rest = ", ".join(f"{name} {value}" for name, value in said.items() if name not in _SHOWN)
    return str(line.number), said["time"], said["type"], rest, said.get("contract", "-")


def _log(answer: Answer) -> Document:
    checkpoint = answer.verified.checkpoint
    head = {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}
    return {**head, "checkpoint": answer.verified.note, "queued": answer.verified.queued}


def _line(answer: Answer, line: Line, with_proof: bool) -> Document:
    found: Document = {"index": line.number, "leaf": dict(line.said)}
    if with_proof and len(answer.lines) <= MAX_PROOFS_SHOWN:
        found["proof"] = proof_of(answer, line)
    return found


def _with_payloads(log: Log, lines: Iterable[Line], shown: list[Document]) -> list[Document]:
    with Opener(log) as opener:
        for line, each in zip(lines, shown, strict=True):
            if (said := opener.payload(line)) is not None:
                each["payload"] = said
    return shown


def _after_document(found: AfterEnd) -> Document:
    after = [{"delivery": each.delivery.number, "end": each.end.number, "afterMs": each.after_ms} for each in found.after]
    counts: Document = {"ends": len(found.ends), "deliveries": len(found.deliveries)}
    counts |= {"across": [line.number for line in found.across], "undated": [line.number for line in found.undated]}
    return {"question": AFTER, "answer": found.result, **counts, "after": after}


def _after_lines(found: AfterEnd) -> Iterator[str]:
    looked = f"{len(found.ends)} ends, {len(found.deliveries)} lines of deliveries under them"
    match found.result:
        case "nothing-ended":
            yield "Nothing has ended, so that nothing can have been delivered after an end"
        case "no":
            yield f"No: nothing was delivered after it had ended ({looked})"
        case "yes":
            yield f"Yes: {len(found.after)} deliveries began after the end ({looked})"
    for line in found.across:
        yield f"  line {line.number} tells later of a delivery that began before the end; no line says when its last byte left"
    for line in found.undated:
        yield f"  line {line.number} tells after the end of a delivery; no line says when it began"
    for each in found.after:
        yield f"  line {each.delivery.number} began {each.after_ms / 1000:g} s after the end in line {each.end.number}"


def _vehicle_document(found: OfVehicle) -> Document:
    return {"question": VEHICLE, "answer": found.result, "contracts": list(found.contracts), "searched": found.searched}


def _vehicle_lines(found: OfVehicle) -> Iterator[str]:
    match found.result:
        case "erased":
            at = ", ".join(f"line {line.number} of {line.said['time']}" for line in found.lines)
            yield f"Erased: the key of this vehicle was destroyed ({at}), and nobody can tell any more"
        case "unattested":
            yield "Its key is gone, and no line of the log says yet that it was erased"
        case "no":
            yield f"No agreement exchanged data of this vehicle ({found.searched} indexes searched)"
        case "yes":
            yield f"{len(found.contracts)} agreements exchanged data of this vehicle ({found.searched} indexes searched)"
            yield from (f"  {line}" for line in columns([_cells(line) for line in found.lines], shrink=(3,)))
