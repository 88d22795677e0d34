"""`carnet publish`: offer a file to everybody whom its policy permits."""

import json
from pathlib import Path
from typing import Any

import click

from connector.cli.channel import call, channel_options, show

MAX_TERMS_BYTES = 1_048_576


def read_terms(file: Path) -> dict[str, Any]:
    """An ODRL offer from a JSON file; ends the command if it is none."""
    try:
        with file.open("rb") as opened:
            terms = json.loads(opened.read(MAX_TERMS_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise click.ClickException(f"{file} holds no JSON document") from error
    if not isinstance(terms, dict):
        raise click.ClickException(f"{file} must hold one ODRL offer, a JSON object with permission or prohibition")
    return terms


@click.command(name="publish")
@channel_options
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--id", "dataset", required=True, metavar="ID", help="The dataset's id, as peers see it.")
@click.option("--title", default="", help="What it is, for people.")
@click.option("--media-type", default="", help="Such as text/csv.")
@click.option(
    "--terms",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON file with an ODRL offer; may be repeated. Without: free use.",
)
@click.option(
    "--open-to",
    type=click.Choice(["admitted", "all"]),
    default="admitted",
    show_default=True,
    help="Who sees it: participants that somebody has vouched for (see `carnet peers`), or all that have shown who they are.",
)
def command(
    config: Path, as_json: bool, file: Path, dataset: str, title: str, media_type: str, terms: tuple[Path, ...], open_to: str
) -> None:
    """Offer FILE as a dataset. It is read where it stands, which must be below a folder of data.source_roots."""
    offers = [read_terms(each) for each in terms]
    published = call(
        config,
        lambda client: client.publish(
            dataset, str(file.absolute()), title=title, media_type=media_type, offers=offers, open_to=open_to
        ),
    )
    source = published["source"]
    lines = [f"{dataset}: {source['bytes']} bytes, SHA-256 {source['sha256']}"]
    lines += [f"  offer {offer['@id']}" for offer in published["dataset"]["hasPolicy"]]
    show(published, lines, as_json=as_json)
