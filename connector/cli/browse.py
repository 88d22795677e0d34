"""`carnet browse`: what a peer offers, or what we offer ourselves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from connector.cli.channel import call, channel_options, show
from connector.client.local import Document, LocalClient

TITLE = "http://purl.org/dc/terms/title"


@click.command(name="browse")
@channel_options
@click.argument("counterparty", required=False)
@click.option("--dataset", help="Only the dataset of this id.")
@click.option("--address", help="One of its addresses in [[peers]]; the first one if left out.")
def command(config: Path, as_json: bool, counterparty: str | None, dataset: str | None, address: str | None) -> None:
    """List the datasets and offers of COUNTERPARTY; without it, our own."""

    async def read(client: LocalClient) -> list[Document]:
        if counterparty is None:
            return [found for found in await client.datasets() if dataset in (None, found["@id"])]
        if dataset is not None:
            return [await client.dataset(counterparty, dataset, address)]
        return await client.catalog(counterparty, address)

    datasets = call(config, read)
    lines = [line for found in datasets for line in shown(found)] or ["nothing is on offer"]
    show(datasets, lines, as_json=as_json)


def shown(dataset: Document) -> Iterator[str]:
    """A dataset and its offers in a few lines."""
    title = dataset.get(TITLE)
    yield f"{dataset['@id']}" + (f": {title}" if isinstance(title, str) else "")
    for offer in dataset.get("hasPolicy", []):
        yield f"  offer {offer['@id']}"
        for word in ("permission", "prohibition", "obligation"):
            yield from (f"    {word}: {_rule(rule)}" for rule in _several(offer.get(word)))


def _rule(rule: Any) -> str:
    if not isinstance(rule, dict):
        return str(rule)
    parts = [
        f"{each.get('leftOperand')} {each.get('operator')} {each.get('rightOperand')}" if isinstance(each, dict) else str(each)
        for each in _several(rule.get("constraint"))
    ]
    return str(rule.get("action")) + (f" if {' and '.join(parts)}" if parts else "")


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
