"""`carnet duties`: what has to be erased, by whom, until when, and what came of it."""

from collections.abc import Iterator
from pathlib import Path

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.client.local import Document

OWED = {"consumer": "we owe", "provider": "owed to us by"}


@click.command(name="duties")
@channel_options
@click.option("--overdue", is_flag=True, help="Only those whose deadline is over.")
def command(config: Path, as_json: bool, overdue: bool) -> None:
    """Every duty to erase or delete, one a line, with what was out of reach below it."""
    found = call(config, lambda client: client.duties(overdue=overdue))
    show(found, list(_lines(found)) or ["no overdue duty" if overdue else "no duty yet"], as_json=as_json)


def _lines(found: list[Document]) -> Iterator[str]:
    for row in found:
        due = "on its event" if row["dueAt"] is None else f"by {moment(row['dueAt'])}"
        late = ", late" if row["late"] else ""
        yield f"{row['state'] + late:15}  {row['kind']:6}  {OWED[row['role']]} {row['counterparty']}  {due}  {row['id']}"
        outcome = row["outcome"] or {"erased": [], "outside": []}
        if outcome["erased"]:
            yield f"    erased in {len(outcome['erased'])} files, {sum(each.get('rows') or 0 for each in outcome['erased'])} rows"
        for each in outcome["outside"]:
            yield f"    out of reach: {each['transfer']}: {each['why']}"
