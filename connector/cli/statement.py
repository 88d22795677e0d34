"""`carnet statement`: what is owed under an agreement, line by line, and which deliveries are not settled. No payment."""

from collections.abc import Iterator
from pathlib import Path

import click

from connector.cli.channel import call, channel_options, show
from connector.client.local import Document


@click.command(name="statement")
@channel_options
@click.argument("agreement")
@click.option("--counterparty", help="Whose, where two have agreements of the same id.")
def command(config: Path, as_json: bool, agreement: str, counterparty: str | None) -> None:
    """What is owed under AGREEMENT, from the meters and the receipts that both sides have signed."""
    found = call(config, lambda client: client.statement(agreement, counterparty))
    show(found, list(_lines(found)), as_json=as_json)


def _lines(found: Document) -> Iterator[str]:
    yield f"{found['agreement']} with {found['counterparty']}, {found['deliveries']} deliveries, as of {found['at']}"
    for line in found["lines"]:
        unit = line["unit"].rpartition("#")[2]
        price = "" if line["price"] is None else f" at {line['price']}"
        owed = "not priced" if line["amount"] is None else f"{line['amount']} {line['currency'] or ''}".rstrip()
        bound = "" if line["bound"] == "exact" else f" ({line['bound']})"
        mark = "" if line["settled"] else "  NOT SETTLED"
        yield f"  {line['from'][:10]} to {line['to'][:10]}  {line['quantity']} {unit}{price}: {owed}{bound}{mark}"
        if line["note"]:
            yield f"    {line['note']}"
    yield from (f"  total {amount} {currency}" for currency, amount in found["totals"].items())
    yield from (f"  receipt {each['receipt']}: {each['transfer']}" for each in found["unsettled"])
