"""From a few answers to a whole record and an offer, so that nobody writes ODRL by hand.

Each template is a JSON-LD document beside this module: a dataset and an offer in full ODRL, with `{dataset}`, `{publisher}` and
`{price}` where answers go. It brings the texts in three languages, the themes, how often such data is updated, and the terms:

- `payd`: mileage for insurance by distance. Its terms on consent and requests need a data plane that enforces them.
- `city`: traffic by place and hour, free for public bodies that plan mobility, paid by the year for others.
- `research`: trips for scientific research, deleted after three years.
- `repairer`: fault codes for repair, open to every repairer alike (Data Act, article 5: no gatekeepers).

Reads nothing but its own templates. Imports `catalog` siblings and `policies`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Final

from catalog.dcat import vocabulary as voc
from catalog.dcat import vss
from catalog.dcat.model import Agent, Column, Contact, DataService, Dataset, Period, Place, Privacy, Quality, Text
from catalog.dcat.read import read_record
from catalog.dcat.write import vehicle_standard
from catalog.errors import DocumentError, excerpt
from policies import odrl
from policies.model import Policy

TEMPLATES: Final = ("payd", "city", "research", "repairer")

_PRICE: Final = re.compile(r"\d{1,9}(\.\d{1,4})?\Z")
_SUFFIXES: Final[Mapping[str, str]] = {
    **{"csv": "CSV", "tsv": "TSV", "parquet": "PARQUET", "json": "JSON", "jsonld": "JSON_LD", "geojson": "GEOJSON"},
    **{"xml": "XML", "zip": "ZIP", "gz": "GZIP", "txt": "TXT", "xlsx": "XLSX", "bin": "BIN"},
}
"""Suffix of a file's name -> EU file type."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What only the publisher knows.

    `dataset` is the IRI by which peers ask for it, `file` its name, `price` an amount in euro such as `3.00`, `place` the IRI of
    an EU country, place or NUTS region, `endpoint` the address of the connector. `columns`: name in the file -> the VSS path that
    it holds, or, for what VSS does not know, its privacy class. `description` replaces the template's.
    """

    dataset: str
    title: str
    file: str
    columns: Mapping[str, str]
    price: str
    place: str
    publisher: Agent
    contact: Contact
    endpoint: str
    language: str = "en"
    description: str = ""
    period: Period | None = None
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """A record and the offer for it, to be examined (`catalog.records.findings`) and published."""

    record: Dataset
    offer: Policy


def fill(template: str, answers: Answers) -> Filled:
    """Return the record and the offer that `template`, one of `TEMPLATES`, makes of `answers`.

    Raises KeyError for another template, DocumentError `member-invalid` for a price that is no amount. What else is wrong with
    the answers is found in the record: an unknown suffix leaves it without a file type, an unknown path without a privacy class.
    """
    if template not in TEMPLATES:
        raise KeyError(template)
    if not _PRICE.match(answers.price):
        reason = f"The price {excerpt(answers.price)!r} is no amount in euro: write it as 3.00."
        raise DocumentError("member-invalid", reason, "/price")
    said = {"{dataset}": answers.dataset, "{publisher}": answers.publisher.iri, "{price}": answers.price}
    dataset, offer = (_substituted(part, said) for part in _read(template)["@graph"])
    return Filled(_record(read_record(dataset), answers), odrl.read(offer))


def terms(template: str) -> dict[str, Any]:
    """Return the offer of `template`, one of `TEMPLATES`, in full ODRL, with placeholders where answers go.

    Raises KeyError for another template.
    """
    if template not in TEMPLATES:
        raise KeyError(template)
    offer: dict[str, Any] = _read(template)["@graph"][1]
    return offer


def column(name: str, meaning: str) -> Column:
    """Return the column `name` that holds `meaning`: a VSS path, with all that our table says of it, or a privacy class."""
    signal = vss.SIGNALS.get(meaning)
    if signal is not None:
        return Column(name, meaning, signal.unit, signal.datatype, signal.privacy)
    if meaning in tuple(Privacy):
        return Column(name, privacy=Privacy(meaning))
    return Column(name, meaning)


@cache
def _text(template: str) -> str:
    return resources.files(__name__).joinpath(f"{template}.jsonld").read_text(encoding="utf-8")


def _read(template: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_text(template))
    return document


def _substituted(value: Any, said: Mapping[str, str]) -> Any:
    """`value` with each placeholder in its strings replaced by what was said."""
    if isinstance(value, dict):
        return {name: _substituted(member, said) for name, member in value.items()}
    if isinstance(value, list):
        return [_substituted(item, said) for item in value]
    if isinstance(value, str) and value.startswith("{"):
        name, brace, rest = value.partition("}")
        return said[name + brace] + rest
    return value


def _record(begun: Dataset, answers: Answers) -> Dataset:
    """The record that the template began, with what the answers say."""
    (distribution,) = begun.distributions
    suffix = answers.file.rpartition(".")[2].lower()
    file_type = f"{voc.FILE_TYPE}/{_SUFFIXES[suffix]}" if suffix in _SUFFIXES else None
    titles = (Text(answers.title, answers.language),)
    names = answers.publisher.names
    service = DataService(f"{answers.publisher.iri}:connector", names, answers.endpoint)
    return replace(
        begun,
        titles=titles,
        descriptions=(Text(answers.description, answers.language),) if answers.description else begun.descriptions,
        publisher=answers.publisher,
        contact=answers.contact,
        spatial=(Place(answers.place),),
        period=answers.period or (answers.quality.period if answers.quality else None),
        columns=tuple(column(name, meaning) for name, meaning in answers.columns.items()),
        quality=answers.quality,
        distributions=(
            replace(
                distribution,
                transfer="HttpData-PULL",
                titles=titles,
                access_url=answers.endpoint,
                file_type=file_type,
                media_type=voc.FILE_TYPES[file_type] if file_type else None,
                standard=vehicle_standard(),
                service=service,
            ),
        ),
    )
