"""`carnet receipts`: what was delivered, as both sides have signed it, and where they differ."""

from collections.abc import Iterator
from pathlib import Path

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.cli.columns import columns
from connector.client.local import Document


@click.command(name="receipts")
@channel_options
@click.option("--agreement", default="", help="Only those of this agreement.")
def command(config: Path, as_json: bool, agreement: str) -> None:
    """Every receipt, one a line; below it the members in which the two sides differ."""
    found = call(config, lambda client: client.receipts(agreement))
    show(found, list(_lines(found)) or ["no receipt yet"], as_json=as_json)


def _lines(found: list[Document]) -> Iterator[str]:
    for row, line in zip(found, columns([_cells(row) for row in found], shrink=(4,)), strict=True):
        yield line
        for each in row["differences"]:
            yield f"    {each['member']}: the consumer says {each['consumer']}, the provider {each['provider']}"


def _cells(row: Document) -> tuple[str, ...]:
    content = row["content"]
    size = f"{content.get('rows', '-')} rows, {content['bytes']} bytes"
    return row["id"], moment(row["createdAt"]), row["state"], row["role"], row["counterparty"], size
