"""`carnet publish`: offer a file, with a record and terms of your own or those of a template."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from catalog.templates import TEMPLATES
from connector.cli.asking import asking, asking_options
from connector.cli.channel import call, channel_options, show
from connector.cli.documents import read_json
from connector.cli.measured import measure_options, measured
from connector.cli.progress import progress
from connector.cli.reaching import elsewhere
from connector.cli.tabled import problem_lines, table_lines, table_options, table_wish

MAX_TERMS_BYTES: Final = 1_048_576
MAX_RECORD_BYTES: Final = 1_048_576
NUTS: Final = "http://data.europa.eu/nuts/code/"
COUNTRY: Final = "http://publications.europa.eu/resource/authority/country/"
_CONTACT: Final = re.compile(r"\s*(?P<name>[^<>]*[^<>\s])\s*<(?P<email>[^<>@\s]+@[^<>@\s]+)>\s*")
_file = click.Path(path_type=Path, exists=True, dir_okay=False)
_ANSWERS: Final = ("price", "place", "columns", "publisher", "contact", "description", "text_language", "measure")
_NEEDED: Final = ("title", "price", "place", "columns", "publisher", "contact")


def read_terms(file: Path) -> dict[str, Any]:
    """An ODRL offer from a JSON file; ends the command if it is none."""
    found: dict[str, Any] = read_json(file, MAX_TERMS_BYTES, dict, "one ODRL offer, a JSON object with permission or prohibition")
    return found


def _template_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--template` and the questions that only the publisher can answer."""
    for option in (
        click.option("--text-language", metavar="TAG", help="Template: language of title and description; en if left out."),
        click.option("--description", help="Template: what is in it, in place of the template's words."),
        click.option("--contact", metavar="'NAME <MAIL>'", help="Template: whom to ask."),
        click.option("--publisher", metavar="NAME", help="Template: who publishes, as people call it."),
        click.option(
            "--place", metavar="CODE|IRI", help="Template: where, as a country FR or FRA, a NUTS region FR10, or an IRI."
        ),
        click.option("--price", metavar="EURO", help="Template: such as 3.00; what for stands in the template."),
        click.option(
            "--column",
            "columns",
            multiple=True,
            metavar="NAME=MEANING",
            help="Template: a column and its VSS path (Vehicle.Speed) or privacy class (identifying); for each column.",
        ),
        click.option("--template", type=click.Choice(TEMPLATES), help="Record and terms that are ready but for your answers."),
    ):
        command = option(command)
    return command


class _Source(click.Path):
    """A file or folder that is there; of a connector elsewhere nobody here can say that."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click.Path."""
        if elsewhere():
            return Path(value)
        self.exists = True
        return super().convert(value, param, ctx)


@click.command(name="publish")
@channel_options
@click.argument("file", type=_Source())
@click.option("--id", "dataset", required=True, metavar="ID", help="The dataset's id, as peers see it.")
@click.option("--title", default="", help="What it is, for people.")
@click.option("--media-type", default="", help="Such as text/csv.")
@click.option(
    "--offer",
    "--terms",
    "offers",
    multiple=True,
    type=_file,
    help="JSON file with an ODRL offer; may be repeated. Without, and without --template: free use.",
)
@click.option("--record", type=_file, help="JSON-LD file with the catalogue record (dcat:Dataset).")
@_template_options
@measure_options
@table_options
@asking_options
@click.option(
    "--open-to",
    type=click.Choice(["admitted", "all"]),
    default="admitted",
    show_default=True,
    help="Who sees it: participants that somebody has vouched for (see `carnet peers`), or all that have shown who they are.",
)
def command(config: Path, as_json: bool, file: Path, dataset: str, **given: Any) -> None:
    """Offer FILE as a dataset. It is read where it stands, which must be below a folder of data.source_roots: with --url on
    the machine of that connector.

    Nothing is published that could not be kept: a term that nobody here enforces, evidences or may leave to the law is refused
    with its place and what to do. Look before: `carnet explain OFFER`, and --table --dry-run for what would leave.
    """
    more: dict[str, Any] = {name: given[name] for name in ("title", "media_type", "open_to")}
    more["offers"] = [read_terms(each) for each in given["offers"]]
    if given["record"] is not None:
        more["record"] = read_json(given["record"], MAX_RECORD_BYTES, dict, "one record, a JSON object of type dcat:Dataset")
    if given["template"] is not None:
        more |= {"template": given["template"], "answers": answers(given)}
        if (figures := measured(file, given)) is not None:
            more["answers"]["quality"] = figures
    elif any(given[name] for name in _ANSWERS):
        raise click.UsageError(f"these go with --template only: {', '.join(_option(name) for name in _ANSWERS if given[name])}")
    if (wish := table_wish(given)) is not None:
        more["table"] = wish
    elif file.is_dir():
        raise click.UsageError(f"{file} is a folder; its rows can be delivered with --table")
    if (rule := asking(given)) is not None:
        more["approval"] = rule
    if given["dry_run"]:
        more["dry_run"] = True
    bar = None if wish is None else progress("Looking at the table")
    published = call(
        config, lambda client: client.publish(dataset, str(file if elsewhere() else file.absolute()), **more), bar=bar
    )
    if given["dry_run"]:
        looked(published, as_json=as_json)
        return
    source = published["source"]
    digest = f", SHA-256 {source['sha256']}" if source.get("sha256") else ""
    lines = [f"{dataset}: {source['bytes']} bytes{digest}"]
    if wish is not None:
        lines += table_lines(published)
    lines += [f"  offer {offer['@id']}" for offer in published["dataset"]["hasPolicy"]]
    show(published, lines, as_json=as_json)


def looked(found: dict[str, Any], *, as_json: bool) -> None:
    """What would be published, and what each offer would release; ends with 1 where it would be refused."""
    wrong = found.get("problems", [])
    refused = bool(wrong) or any(release.get("problems") for release in found["releases"])
    verdict = "would be refused" if refused else "can be published"
    lines = [f"{found['source']['datasetId']}: {verdict}; nothing was", *table_lines(found, plans=True), *problem_lines(wrong)]
    show(found, lines, as_json=as_json)
    if refused:
        sys.exit(1)


def answers(given: dict[str, Any]) -> dict[str, Any]:
    """What a template asks for, from the options; ends the command if something is missing."""
    if given["record"] is not None:
        raise click.UsageError("--template brings a record; leave --record out")
    if missing := [_option(name) for name in _NEEDED if not given[name]]:
        raise click.UsageError(f"--template {given['template']} needs {', '.join(missing)}")
    contact = _CONTACT.fullmatch(given["contact"])
    if contact is None:
        raise click.UsageError("--contact is written 'Data desk <desk@oem.example>'")
    pairs = [column.partition("=") for column in given["columns"]]
    if wrong := [name for name, equals, meaning in pairs if not (name and equals and meaning)]:
        raise click.UsageError(f"--column {wrong[0]} says no meaning; write {wrong[0] or 'name'}=Vehicle.Speed, say")
    return {
        "price": given["price"],
        "place": place(given["place"]),
        "columns": {name: meaning for name, _, meaning in pairs},
        "publisher": given["publisher"],
        "contact": contact["name"],
        "email": contact["email"],
        "description": given["description"] or "",
        "language": given["text_language"] or "en",
    }


def place(code: str) -> str:
    """The IRI of a place: a country by three letters, by two, or a region by its NUTS code; an IRI is one already."""
    if ":" in code:
        return code
    if not re.fullmatch(r"[A-Z]{2}[A-Z0-9]{0,3}", code):
        raise click.UsageError(f"--place {code:.40} is no code of a country or NUTS region; give FR, FRA, FR10 or an IRI")
    return f"{COUNTRY}{code}" if re.fullmatch(r"[A-Z]{3}", code) else f"{NUTS}{code}"


def _option(name: str) -> str:
    return "--column" if name == "columns" else f"--{name.replace('_', '-')}"
