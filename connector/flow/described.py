"""What a dataset is, as the catalogue says it: from an owner's record, from a template with answers, or from a title alone.

A record is held to all that DCAT-AP and mobilityDCAT-AP make mandatory; nothing that it lacks is made up here. Its data services
become ours: the address is that of this connector. No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import orjson

from catalog.dcat.model import Agent, Contact, Dataset, Period, Quality, Text
from catalog.dcat.read import read_record
from catalog.dcat.write import dataset_document
from catalog.errors import DocumentError
from catalog.records import findings
from catalog.templates import TEMPLATES, Answers, fill
from connector.flow.offers import Finding, PublicationRefused
from connector.protocol.errors import CallerError
from connector.protocol.messages import PULL, Document
from connector.store.rows import OpenTo
from policies import odrl
from policies.delivery import Capabilities

WORDS_MOST: Final = 20_000
"""Most text of a dataset that a search looks in (characters)."""


class TemplateAnswers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a template asks: see ``catalog.templates.Answers``. ``place`` is an IRI, ``columns`` has a VSS path or privacy class
    under each name."""

    columns: dict[str, str]
    price: str
    place: str
    publisher: str
    contact: str
    email: str
    title: str = ""
    homepage: str | None = None
    language: str = "en"
    description: str = ""
    from_ms: int | None = None
    until_ms: int | None = None
    quality: Quality | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner says of a dataset: a record (JSON-LD), or a template and its answers, or neither and then a title, with
    ``properties`` (whole IRIs) that stand in the catalogue as they are."""

    title: str = ""
    media_type: str | None = None
    record: Document | None = None
    template: str | None = None
    answers: TemplateAnswers | None = None
    open_to: OpenTo = "admitted"
    properties: Document = {}


@dataclass(frozen=True, slots=True)
class Us:
    """Who offers, and where."""

    participant_id: str
    address: str

    def service(self) -> Document:
        """The data service that gives everything out."""
        return {"@id": f"{self.participant_id}:connector", "@type": "DataService", "endpointURL": self.address}


@dataclass(frozen=True, slots=True)
class Described:
    """``document`` is the dataset as it stands alone, ``brief`` as in a page of many, both without offers. ``record`` is what its
    owner said, ``words`` and ``theme`` what a search looks in."""

    document: Document
    brief: Document
    capabilities: Capabilities
    record: Document
    words: str
    theme: str = ""


def describe(us: Us, dataset_id: str, file: str, wanted: Wanted, able: Capabilities) -> tuple[Described, list[Document]]:
    """The dataset, and the offers that a template makes. Raises PublicationRefused with all that is wrong with the record.

    ``able`` is what the data plane found out about the source: where it knows the columns, a record cannot name others.
    """
    if wanted.template is not None:
        return _filled(us, dataset_id, file, wanted, able)
    if wanted.record is not None:
        return _recorded(us, dataset_id, _record(dataset_id, wanted.record), wanted.record, able), []
    return _titled(us, dataset_id, wanted, able), []


def _titled(us: Us, dataset_id: str, wanted: Wanted, able: Capabilities) -> Described:
    distribution: Document = {"@type": "Distribution", "format": PULL, "accessService": us.service()}
    document: Document = {"@id": dataset_id, "@type": "Dataset", "distribution": [distribution], **wanted.properties}
    if wanted.title:
        document.setdefault("http://purl.org/dc/terms/title", wanted.title)
    if wanted.media_type:
        distribution["http://www.w3.org/ns/dcat#mediaType"] = wanted.media_type
    spoken = (text for text in wanted.properties.values() if isinstance(text, str))
    words = _words([dataset_id, wanted.title, *spoken])
    return Described(document, document, replace(able, formats=frozenset({PULL})), {}, words)


def _record(dataset_id: str, given: Document) -> Dataset:
    try:
        record = read_record({"@id": dataset_id, **given})
    except DocumentError as error:
        raise PublicationRefused("record-invalid", [Finding(error.code, f"/record{error.path}", error.reason)]) from error
    if record.iri != dataset_id:
        said = f"the record is about {record.iri[:80]!r}, not about {dataset_id[:80]!r}"
        wrong = Finding("record-other", "/record/@id", said, "publish it under its own id, or leave the @id out")
        raise PublicationRefused("record-invalid", [wrong])
    return record


def _recorded(us: Us, dataset_id: str, given: Dataset, said: Document, able: Capabilities) -> Described:
    found = [Finding(each.code, f"/record{each.path}", each.reason) for each in findings(given)]
    found += [
        Finding("format-unsupported", f"/record/dcat:distribution/{index}/vdx:transferFormat", f"files leave as {PULL} only")
        for index, each in enumerate(given.distributions)
        if each.transfer not in (PULL, "")
    ]
    found += _beyond(given, able)
    if found:
        raise PublicationRefused("record-invalid", found)
    record = replace(given, distributions=tuple(_of_ours(us, each) for each in given.distributions))
    named = frozenset(each.path for each in record.columns if each.path) if record.columns else None
    sampled = record.quality.sampling_interval_ms if record.quality else None
    able = replace(
        able,
        columns=named if able.columns is None else able.columns,
        sampling_interval_ms=sampled if able.sampling_interval_ms is None else able.sampling_interval_ms,
        formats=frozenset(each.transfer for each in record.distributions),
    )
    bare, brief = dataset_document(record, []), dataset_document(record, [], brief=True)
    for document in (bare, brief):
        del document["hasPolicy"]
    theme = "".join(f"\n{each}" for each in record.themes) + "\n" if record.themes else ""
    return Described(bare, brief, able, said, _words(_texts(dataset_id, record)), theme)


def _beyond(record: Dataset, able: Capabilities) -> list[Finding]:
    """What a record promises and the source does not hold."""
    found: list[Finding] = []
    for index, column in enumerate(record.columns):
        if able.columns is not None and column.path and column.path not in able.columns:
            said = f"the source has no column {column.path:.80}"
            found.append(
                Finding("record-column-unknown", f"/record/columns/{index}", said, "leave it out, or map a column to it")
            )
    claimed = record.quality.sampling_interval_ms if record.quality else None
    measured = able.sampling_interval_ms
    if claimed is not None and measured is not None and claimed < measured:
        said = f"the record says that it was measured every {claimed} ms; it is every {measured} ms"
        found.append(Finding("record-sampling-untrue", "/record/quality", said, "state what was measured"))
    return found


def _of_ours(us: Us, distribution: Any) -> Any:
    service = replace(distribution.service, iri=us.service()["@id"], endpoint_url=us.address)
    return replace(distribution, service=service)


def _filled(us: Us, dataset_id: str, file: str, wanted: Wanted, able: Capabilities) -> tuple[Described, list[Document]]:
    given = wanted.answers
    if wanted.template not in TEMPLATES or given is None:
        raise CallerError("template-unknown", f"a template is one of {', '.join(TEMPLATES)}, and has answers")
    language = given.language
    period = None if given.from_ms is None and given.until_ms is None else Period(given.from_ms, given.until_ms)
    answers = Answers(
        dataset=dataset_id,
        title=given.title or wanted.title,
        file=file,
        columns=given.columns,
        price=given.price,
        place=given.place,
        publisher=Agent(us.participant_id, (Text(given.publisher, language),), given.homepage, given.email),
        contact=Contact(given.contact, given.email),
        endpoint=us.address,
        language=language,
        description=given.description,
        period=period,
        quality=given.quality,
    )
    try:
        filled = fill(wanted.template, answers)
    except DocumentError as error:
        wrong = Finding(error.code, f"/answers{error.path}", error.reason)
        raise PublicationRefused("answers-invalid", [wrong]) from error
    said: Document = {"template": wanted.template, "answers": msgspec.to_builtins(given)}
    return _recorded(us, dataset_id, filled.record, said, able), [odrl.write(filled.offer)]


def _texts(dataset_id: str, record: Dataset) -> list[str]:
    publisher = record.publisher.names if record.publisher else ()
    columns = [text for each in record.columns for text in (each.name, each.path or "")]
    spoken = (*record.titles, *record.keywords, *record.descriptions, *publisher)
    return [dataset_id, *(each.text for each in spoken), *columns]


def _words(texts: list[str]) -> str:
    return "\n".join(text for text in texts if text).lower()[:WORDS_MOST]


def rendered(document: Document) -> str:
    """A dataset without offers as text that offers can be put into."""
    return orjson.dumps(document).decode()


def with_offers(bare: str, offers: list[str] | tuple[str, ...]) -> str:
    """The text of a dataset with offers (texts), put together without reading either."""
    return f'{bare[:-1]},"hasPolicy":[{",".join(offers)}]}}'
