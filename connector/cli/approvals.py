"""`carnet approvals`, `approve`, `reject` and `counter`: what waits for people, what they see, and their word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from connector.cli.channel import about, call, channel_options, moment, show
from connector.cli.columns import columns
from connector.cli.errors import problem_lines
from connector.cli.explain import language_option, nested
from connector.cli.publish import read_terms
from connector.client.local import Document
from policies.terms.term import Language

NOTHING = "nothing waits for a person"
_comment = click.option("--comment", help="Kept in our timeline; the counterparty does not read it.")
_version = click.option("--version", type=click.IntRange(0), help="Only if the process still is as you saw it (see show --json).")


@click.group(name="approvals")
def command() -> None:
    """List what waits for people, and show what they decide about."""


@command.command(name="list")
@channel_options
def listed(config: Path, as_json: bool) -> None:
    """What waits, one a line, the newest first."""
    rows = call(config, lambda client: client.approvals())
    show(rows, columns([_cells(row) for row in rows], shrink=(3, 2)) or [NOTHING], as_json=as_json)


@command.command(name="show")
@channel_options
@click.argument("process")
@language_option
def shown(config: Path, as_json: bool, process: str, language: Language) -> None:
    """What somebody sees who decides: the redline, what would leave, what the linter finds, and what the terms say."""
    found = call(config, lambda client: client.review(process, language))
    show(found, _lines(found), as_json=as_json)


@click.command(name="approve")
@channel_options
@click.argument("process")
@_comment
@_version
def approve(config: Path, as_json: bool, process: str, comment: str | None, version: int | None) -> None:
    """Yes to what waits for a person: agree, accept, verify, finalize or start, whatever waits.

    The terms decide what is possible, you decide whether it is wanted: what they do not allow is refused with the reasons. Where
    four eyes are asked for, it waits on for the other two. Nobody approves what he has proposed himself.
    """
    done = call(config, lambda client: client.decide(process, "approve", comment=comment, version=version))
    show(done, about(done), as_json=as_json)


@click.command(name="reject")
@channel_options
@click.argument("process")
@click.option("--reason", required=True, help="For the counterparty, in words.")
@_version
def reject(config: Path, as_json: bool, process: str, reason: str, version: int | None) -> None:
    """No to what waits for a person: the process ends, and the counterparty reads the reason."""
    done = call(config, lambda client: client.decide(process, "reject", reason=reason, version=version))
    show(done, about(done), as_json=as_json)


@click.command(name="counter")
@channel_options
@click.argument("process")
@click.argument("terms", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_comment
@_version
def counter(config: Path, as_json: bool, process: str, terms: Path, comment: str | None, version: int | None) -> None:
    """Answer with other terms: TERMS is a JSON file with an ODRL offer. Whoever does approves nothing that comes of it."""
    offer = read_terms(terms)
    done = call(config, lambda client: client.decide(process, "counter", offer=offer, comment=comment, version=version))
    show(done, about(done), as_json=as_json)


def _cells(row: Document) -> tuple[str, ...]:
    until = f"until {moment(row['decideBy'])}" if row.get("decideBy") else "without limit"
    changes = f"{row['changes']} changes" if row.get("changes") else "as offered"
    return row["id"], str(row["step"]), row["counterparty"], row["subject"], changes, _people(row), until


def _people(row: Document) -> str:
    """How many have said yes, of how many who are asked, and who is asked."""
    rule = row["rule"]
    return f"{len(row['approvals'])} of {rule['eyes']} by {' or '.join(rule['roles'])}"


def _lines(found: Document) -> Iterator[str]:
    waiting = found["waiting"]
    yield f"{waiting['kind']} {waiting['id']}: {waiting['step'] or 'waits for nobody'}"
    yield f"  {waiting['role']} with {waiting['counterparty']} about {waiting['subject']}"
    until = f", until {moment(waiting['decideBy'])}" if waiting.get("decideBy") else ""
    yield f"  approved {_people(waiting)}{until}"
    yield from (f"    {each['verdict']} by {each['caller']}: {each['comment']}".rstrip(": ") for each in found["said"])
    if not waiting["may"]["approve"] and waiting["may"].get("reason"):
        yield f"  you may not approve it: {waiting['may']['reason']}"
    if found["redline"]:
        yield "  what the terms say otherwise than what was offered:"
        yield from (f"    {change['sentence']}" for change in found["redline"])
    yield from _risk(found["risk"])
    if found.get("explanation"):
        yield "  what would bind:"
        yield from nested(found["explanation"]["sentences"], 2)


def _risk(risk: Document) -> Iterator[str]:
    if risk["problems"]:
        yield "  what the linter finds:"
        yield from (f"  {line}" for line in problem_lines(risk["problems"]))
    for release in risk["releases"] or []:
        yield f"  would leave under permission {release['permission']}: {release['level'] or 'nothing'}"
        yield from (f"    {sentence}" for sentence in release.get("sentences", []))
    if risk.get("unmeasured"):
        yield f"  what would leave is not known: {risk['unmeasured']}"
