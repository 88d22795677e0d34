"""`carnet contracts`: the agreements that this connector holds."""

from pathlib import Path

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.cli.columns import columns
from connector.cli.plain import plain_json


@click.group(name="contracts")
def command() -> None:
    """List and show agreements."""


@command.command(name="list")
@channel_options
def listed(config: Path, as_json: bool) -> None:
    """Every agreement, one a line."""
    agreements = call(config, lambda client: client.agreements())
    names = ("id", "state", "role", "counterparty", "dataset")
    lines = columns([(*(str(row[name]) for name in names), moment(row["createdAt"])) for row in agreements], shrink=(3, 4))
    show(agreements, lines or ["no agreement yet"], as_json=as_json)


@command.command(name="show")
@channel_options
@click.argument("agreement")
def shown(config: Path, as_json: bool, agreement: str) -> None:
    """One agreement with its terms."""
    found = call(config, lambda client: client.agreement(agreement))
    lines = [f"{key} {found[key]}" for key in ("id", "state", "role", "counterparty", "dataset", "negotiation")]
    show(found, [*lines, *plain_json(found["document"], indent=2).split("\n")], as_json=as_json)
