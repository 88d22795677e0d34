"""`carnet receipts`: what was delivered, as both sides have signed it, and where they differ."""

from collections.abc import Iterator
from pathlib import Path

import click

from connector.cli.channel import call, channel_options, moment, show
from connector.client.local import Document


@click.command(name="receipts")
@channel_options
@click.option("--agreement", default="", help="Only those of this agreement.")
def command(config: Path, as_json: bool, agreement: str) -> None:
    """Every receipt, one a line; below it the members in which the two sides differ."""
    found = call(config, lambda client: client.receipts(agreement))
    show(found, list(_lines(found)) or ["no receipt yet"], as_json=as_json)


def _lines(found: list[Document]) -> Iterator[str]:
    for row in found:
        content = row["content"]
        size = f"{content.get('rows', '-')} rows, {content['bytes']} bytes"
        yield f"{moment(row['createdAt'])}  {row['state']:13}  {row['role']:8}  {row['counterparty']}  {size}  {row['id']}"
        for each in row["differences"]:
            yield f"    {each['member']}: the consumer says {each['consumer']}, the provider {each['provider']}"
