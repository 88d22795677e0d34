"""`carnet duties`: what has to be erased, by whom, until when, and what came of it."""

from collections.abc import Iterator
from pathlib import Path

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.cli.columns import columns
from connector.client.local import Document, LocalClient

OWED = {"consumer": "we owe", "provider": "owed to us by"}


@click.group(name="duties", invoke_without_command=True)
@channel_options
@click.option("--overdue", is_flag=True, help="Only those whose deadline is over.")
@click.pass_context
def command(context: click.Context, config: Path, as_json: bool, overdue: bool) -> None:
    """Every duty to erase or delete, one a line, with what happened and what was out of reach below it."""
    if context.invoked_subcommand is not None:
        return
    found = call(config, lambda client: client.duties(overdue=overdue))
    show(found, list(_lines(found)) or ["no overdue duty" if overdue else "no duty yet"], as_json=as_json)


@command.command(name="happened")
@click.argument("duty")
@click.option("--counterparty", required=True, metavar="ID", help="The other side of the agreement.")
@channel_options
def happened(duty: str, counterparty: str, config: Path, as_json: bool) -> None:
    """Say that the event has happened that a duty to delete waits for: from now on its deadline runs.

    Where we owe it, our data plane deletes now and we attest it; where it is owed to us, it is overdue after the deadline.
    """

    async def say(client: LocalClient) -> Document:
        found = [row for row in await client.duties() if (row["id"], row["counterparty"]) == (duty, counterparty)]
        role = next((row["role"] for row in found if row["stage"] == "waiting"), found[0]["role"] if found else "consumer")
        return await client.happened(duty, counterparty, role)

    row = call(config, say)
    show(row, list(_lines([row])), as_json=as_json)


def _lines(found: list[Document]) -> Iterator[str]:
    for row, line in zip(found, columns([_cells(row) for row in found], shrink=(3,)), strict=True):
        yield line
        if row["happenedAt"] is not None:
            yield f"    its event happened: {moment(row['happenedAt'])}"
        if row["fulfilledAt"] is not None:
            yield f"    {'attested by us' if row['role'] == 'consumer' else 'attested to us'}: {moment(row['fulfilledAt'])}"
        outcome = row["outcome"] or {"erased": [], "outside": []}
        if outcome["erased"]:
            yield f"    erased in {len(outcome['erased'])} files, {sum(each.get('rows') or 0 for each in outcome['erased'])} rows"
        for each in outcome["outside"]:
            yield f"    out of reach: {each['transfer']}: {each['why']}"


def _cells(row: Document) -> tuple[str, ...]:
    due = "on its event" if row["dueAt"] is None else f"by {moment(row['dueAt'])}"
    late = ", late" if row["late"] else ""
    return row["id"], f"{row['state']}{late}", row["kind"], f"{OWED[row['role']]} {row['counterparty']}", due
