"""`carnet browse`: what a peer offers, or what we offer ourselves, and what the offers say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from connector.cli.channel import call, channel_options, show
from connector.cli.explain import language_option, nested
from connector.client.local import Document, LocalClient
from connector.flow.told import sentences
from policies import dsp
from policies.errors import PolicyInvalid
from policies.explain import Reader, explain_policy
from policies.terms.term import Language

TITLES = ("http://purl.org/dc/terms/title", "dct:title")


@click.command(name="browse")
@channel_options
@click.argument("counterparty", required=False)
@click.option("--dataset", help="Only the dataset of this id.")
@click.option("--address", help="One of its addresses in [[peers]]; the first one if left out.")
@language_option
def command(
    config: Path, as_json: bool, counterparty: str | None, dataset: str | None, address: str | None, language: Language
) -> None:
    """List the datasets and offers of COUNTERPARTY; without it, our own."""

    async def read(client: LocalClient) -> list[Document]:
        if counterparty is None:
            return [found for found in await client.datasets() if dataset in (None, found["@id"])]
        if dataset is not None:
            return [await client.dataset(counterparty, dataset, address)]
        return await client.catalog(counterparty, address)

    datasets = call(config, read)
    lines = [line for found in datasets for line in shown(found, language)] or ["nothing is on offer"]
    show(datasets, lines, as_json=as_json)
    if not datasets and counterparty is not None and not as_json:
        click.echo("What a peer has not admitted us for, it does not show: ask its people to admit us.", err=True)


def shown(dataset: Document, language: Language = "en") -> Iterator[str]:
    """A dataset and its offers in a few lines."""
    title = next((dataset[name] for name in TITLES if name in dataset), None)
    said = _text(title, language)
    yield str(dataset["@id"]) + (f": {said}" if said else "")
    for offer in dataset.get("hasPolicy", []):
        yield f"  offer {offer['@id']}"
        try:
            policy = dsp.read(offer)
        except PolicyInvalid as invalid:
            yield f"    it cannot be read here: {invalid}"
        else:
            yield from nested(sentences(explain_policy(policy, Reader(language))), 2)


def _text(found: Any, language: Language) -> str | None:
    """A text in this language where there is one, else in any."""
    several = found if isinstance(found, list) else [found]
    texts: dict[str | None, Any] = {}
    for each in several:
        tag, text = (each.get("@language"), each.get("@value")) if isinstance(each, dict) else (None, each)
        texts.setdefault(tag, text)
    said = texts.get(language, next(iter(texts.values()), None))
    return said if isinstance(said, str) else None
