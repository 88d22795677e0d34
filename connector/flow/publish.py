"""Put datasets on offer, take them off, and show the catalogue a page at a time (DCAT 3 as DSP 2025-1 profiles it)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

import orjson

from catalog.errors import DocumentError
from catalog.findings import check
from connector.flow.context import Context
from connector.flow.reactions import PULL
from connector.protocol.errors import BadMessage, CallerError, Conflict, NotFound
from connector.protocol.messages import DSP_CONTEXT, Document
from connector.store import writes
from connector.store.engine import LostRace
from connector.store.rows import OpenTo, Published

USE_OFFER: Final[Document] = {"permission": [{"action": "use"}]}
MAX_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the catalogue as sent, and the token of the next one."""

    body: bytes
    next_token: str | None


async def publish(
    context: Context,
    dataset_id: str,
    *,
    title: str,
    source: str,
    offers: list[Document],
    media_type: str | None = None,
    open_to: OpenTo = "admitted",
) -> Document:
    """Put a dataset on offer, or replace its offers. ``source`` names the file that the data plane has registered for it.

    ``open_to``: shown to participants that somebody has vouched for, or also to those that have only shown who they are.

    Raises CallerError for what no peer could read in a catalogue, Conflict if an offer id belongs to another dataset.
    """
    named = [_named(context, offer) for offer in offers or [USE_OFFER]]
    distribution: Document = {"@type": "Distribution", "format": PULL, "accessService": _service(context)}
    document: Document = {"@id": dataset_id, "@type": "Dataset", "hasPolicy": named, "distribution": [distribution]}
    if title:
        document["http://purl.org/dc/terms/title"] = title
    if media_type:
        distribution["http://www.w3.org/ns/dcat#mediaType"] = media_type
    _check_readable(document)
    row = Published(dataset_id, orjson.dumps(document).decode(), source, context.now_ms(), open_to=open_to)
    try:
        await context.store.commit(writes.publish_dataset(row, tuple(offer["@id"] for offer in named)))
    except LostRace as error:
        raise Conflict("offer-id-taken", "an offer id belongs to another dataset; leave it out or choose another") from error
    return document


def _check_readable(document: Document) -> None:
    """One dataset that a strict peer cannot read would hide all the others from it."""
    if any("\0" in text for text in (document["@id"], *(str(offer["@id"]) for offer in document["hasPolicy"]))):
        raise CallerError("text-invalid", "an id has the character U+0000 in it; leave it out")
    try:
        check({"@context": [DSP_CONTEXT], **document}, "Dataset")
    except DocumentError as error:
        raise CallerError("dataset-invalid", f"{error.path}: {error.reason}") from error


def _named(context: Context, offer: Document) -> Document:
    if not offer.get("permission") and not offer.get("prohibition"):
        raise CallerError("offer-empty", "an offer needs at least one permission or prohibition")
    rest = {key: value for key, value in offer.items() if key not in ("@context", "@type", "target")}
    return {"@id": context.new_id(), **rest, "@type": "Offer"}


def _service(context: Context) -> Document:
    return {"@id": f"{context.participant_id}:connector", "@type": "DataService", "endpointURL": context.callback_address}


async def withdraw(context: Context, dataset_id: str) -> None:
    """Take a dataset off the catalogue; agreements go on. Raises NotFound."""
    try:
        await context.store.commit([writes.withdraw_dataset(dataset_id, context.now_ms())])
    except LostRace as error:
        raise NotFound("dataset-unknown", f"no dataset {dataset_id:.80} is on offer") from error


async def catalog_page(context: Context, request: Document, token: str | None, page_size: int, *, admitted: bool = True) -> Page:
    """One page for a CatalogRequestMessage: what is open to all, and the rest for who is ``admitted``.

    Raises BadMessage for a filter or token that we do not understand.
    """
    limit, offset = _window(request.get("filter"), page_size)
    after = _after(token)
    rows = await context.store.datasets(after=after, limit=offset + limit + 1, everything=admitted)
    shown = rows[offset : offset + limit]
    catalog: Document = {
        "@context": [DSP_CONTEXT],
        "@id": f"{context.participant_id}:catalog",
        "@type": "Catalog",
        "participantId": context.participant_id,
        "service": [_service(context)],
    }
    if shown:
        catalog["dataset"] = [orjson.Fragment(row.document) for row in shown]
    more = len(rows) > offset + limit
    return Page(orjson.dumps(catalog), _token(shown[-1].id) if more and shown else None)


async def dataset_document(context: Context, dataset_id: str, *, admitted: bool = True) -> bytes:
    """One dataset with its offers. Raises NotFound, also for what is not open to who asks."""
    row = await context.store.dataset(dataset_id)
    if row is None or not row.offered_to(admitted=admitted):
        raise NotFound("dataset-unknown", "no such dataset is on offer here; read the catalogue again")
    return orjson.dumps({"@context": [DSP_CONTEXT], **orjson.loads(row.document)})


def _window(filters: Any, page_size: int) -> tuple[int, int]:
    """(limit, offset). Only EDC's QuerySpec without an expression is understood; anything else is refused (DSP: 400)."""
    if not filters:
        return page_size, 0
    spec = filters[0] if isinstance(filters, list) and len(filters) == 1 else None
    if not isinstance(spec, dict):
        raise _filter_unsupported()
    plain = {key.rsplit("/", 1)[-1].rsplit(":", 1)[-1].lstrip("@"): value for key, value in spec.items()}
    kind = str(plain.pop("type", "")).rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    limit, offset = _number(plain.pop("limit", page_size)), _number(plain.pop("offset", 0))
    expression, _ = plain.pop("filterExpression", []), plain.pop("sortOrder", None)
    if kind != "QuerySpec" or expression or plain or limit is None or offset is None or limit < 1 or offset < 0:
        raise _filter_unsupported()
    return min(limit, page_size), min(offset, MAX_PAGE * 10)


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _filter_unsupported() -> BadMessage:
    return BadMessage("filter-unsupported", "no filter is understood here but a QuerySpec with limit and offset; leave it out")


def _token(last_id: str) -> str:
    return base64.urlsafe_b64encode(last_id.encode()).decode().rstrip("=")


def _after(token: str | None) -> str:
    if token is None:
        return ""
    try:
        last_id = base64.b64decode(token + "=" * (-len(token) % 4), altchars="-_", validate=True).decode()
    except (ValueError, binascii.Error) as error:
        raise _token_invalid() from error
    if "\0" in last_id:
        raise _token_invalid()
    return last_id


def _token_invalid() -> BadMessage:
    return BadMessage("token-invalid", "this continuationToken is not one of ours; begin with the first page")
