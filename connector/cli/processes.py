"""`carnet processes`: negotiations and transfers as they stand, what happened in them, and the acts of a person."""

from pathlib import Path
from typing import Any

import click

from connector.cli.channel import about, call, channel_options, moment, show
from connector.cli.columns import columns
from connector.cli.publish import read_terms
from connector.client.local import Document, LocalClient

PLAIN_ACTS = {
    "accept": "Consumer: accept the provider's offer.",
    "agree": "Provider: agree to the last offer on the table.",
    "verify": "Consumer: confirm the agreement.",
    "finalize": "Provider: finalize the negotiation.",
    "resume": "Resume a suspended transfer; as provider also start a requested one.",
    "complete": "Say that a transfer is complete.",
}
REASONED_ACTS = {
    "suspend": "Pause a transfer: data stop at once, the counterparty is told.",
    "terminate": "End a negotiation or transfer; the counterparty sees the reason.",
}


@click.group(name="processes")
def command() -> None:
    """List, show and move negotiations and transfers."""


@command.command(name="list")
@channel_options
@click.option("--kind", type=click.Choice(["negotiation", "transfer"]), help="Only these.")
@click.option("--state", metavar="STATE", help="Only those in this state, such as REQUESTED.")
def listed(config: Path, as_json: bool, kind: str | None, state: str | None) -> None:
    """Processes, one a line, the oldest first."""

    async def read(client: LocalClient) -> list[Document]:
        return [row for each in ([kind] if kind else ["negotiation", "transfer"]) for row in await client.processes(each, state)]

    rows = call(config, read)
    names = ("id", "kind", "role", "state", "counterparty", "subject")
    waiting = [f"waits for a person: {row['pending']}" if row.get("pending") else "" for row in rows]
    cells = [(*(str(row[name]) for name in names), waits) for row, waits in zip(rows, waiting, strict=True)]
    lines = columns(cells, shrink=(5, 4))
    show(rows, lines or ["none"], as_json=as_json)


@command.command(name="show")
@channel_options
@click.argument("process")
def shown(config: Path, as_json: bool, process: str) -> None:
    """One process."""
    found = call(config, lambda client: client.process(process))
    show(found, about(found), as_json=as_json)


@command.command(name="timeline")
@channel_options
@click.argument("process")
def timeline(config: Path, as_json: bool, process: str) -> None:
    """What happened in a process, in order."""
    happenings = call(config, lambda client: client.timeline(process))
    show(happenings, [happened(line) for line in happenings], as_json=as_json)


def happened(line: Document) -> str:
    """One line of a timeline."""
    awaiting = f", awaiting the answer to {line['awaiting']}" if line["awaiting"] else ""
    what = f"{line['what']} {line['message'] or ''}".strip()
    note = f"  ({line['note']})" if line["note"] else ""
    return f"{moment(line['at'])}  {what:40} {line['state']}{awaiting}{note}"


def _act(config: Path, process: str, name: str, *, as_json: bool, **content: Any) -> None:
    done = call(config, lambda client: client.act(process, name, **content))
    show(done, about(done), as_json=as_json)


def _plain(name: str, meaning: str) -> None:
    @command.command(name=name, help=meaning)
    @channel_options
    @click.argument("process")
    def act(config: Path, as_json: bool, process: str) -> None:
        _act(config, process, name, as_json=as_json)


def _reasoned(name: str, meaning: str) -> None:
    @command.command(name=name, help=meaning)
    @channel_options
    @click.argument("process")
    @click.option("--reason", multiple=True, required=True, help="For the counterparty, in words; may be repeated.")
    @click.option("--code", help="For programs.")
    def act(config: Path, as_json: bool, process: str, reason: tuple[str, ...], code: str | None) -> None:
        _act(config, process, name, as_json=as_json, reason=list(reason), code=code)


@command.command(name="approve")
@channel_options
@click.argument("process")
@click.option("--comment", help="Kept in our timeline; the counterparty does not read it.")
@click.option("--version", type=click.IntRange(0), help="Only if the process still is as you saw it (see show --json).")
def approve(config: Path, as_json: bool, process: str, comment: str | None, version: int | None) -> None:
    """Yes to what waits for a person: agree, accept, verify, finalize or start, whatever `show` says is waiting.

    The terms decide what is possible, you decide whether it is wanted: what they do not allow is refused with the reasons.
    """
    _act(config, process, "approve", as_json=as_json, comment=comment, version=version)


@command.command(name="reject")
@channel_options
@click.argument("process")
@click.option("--reason", "comment", required=True, help="For the counterparty, in words.")
@click.option("--version", type=click.IntRange(0), help="Only if the process still is as you saw it (see show --json).")
def reject(config: Path, as_json: bool, process: str, comment: str, version: int | None) -> None:
    """No to what waits for a person: the process ends, and the counterparty reads the reason."""
    _act(config, process, "reject", as_json=as_json, comment=comment, version=version)


for _name, _meaning in PLAIN_ACTS.items():
    _plain(_name, _meaning)
for _name, _meaning in REASONED_ACTS.items():
    _reasoned(_name, _meaning)


@command.command(name="offer")
@channel_options
@click.argument("process")
@click.argument("terms", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def offer(config: Path, as_json: bool, process: str, terms: Path) -> None:
    """Answer with other terms: TERMS is a JSON file with an ODRL offer."""
    _act(config, process, "offer", as_json=as_json, offer=read_terms(terms))
