"""`carnet letters`: messages that could not be delivered before their deadline."""

from pathlib import Path

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.cli.columns import columns
from connector.client.local import Document, LocalClient


@click.group(name="letters")
def command() -> None:
    """List dead letters, send them again or give them up."""


@command.command(name="list")
@channel_options
def listed(config: Path, as_json: bool) -> None:
    """Dead letters, one a line."""
    letters = call(config, lambda client: client.dead_letters())
    lines = columns([_cells(row) for row in letters], shrink=(4, 2))
    show(letters, lines or ["no dead letter"], as_json=as_json)


@command.command(name="retry")
@channel_options
@click.argument("letter")
def retry(config: Path, as_json: bool, letter: str) -> None:
    """Send a dead letter again, with a new deadline."""

    async def send(client: LocalClient) -> None:
        await client.retry(letter)

    call(config, send)
    show({"id": letter, "done": "retry"}, [f"{letter} will be sent again"], as_json=as_json)


@command.command(name="give-up")
@channel_options
@click.argument("letter")
def give_up(config: Path, as_json: bool, letter: str) -> None:
    """Forget a dead letter for good; the timeline of its process keeps its line."""

    async def forget(client: LocalClient) -> None:
        await client.give_up(letter)

    call(config, forget)
    show({"id": letter, "done": "give-up"}, [f"{letter} is given up"], as_json=as_json)


def _cells(row: Document) -> tuple[str, ...]:
    since = f"dead since {moment(row['deadAt'])}"
    return row["id"], row["message"], f"to {row['counterparty']}", since, row["lastError"] or ""
