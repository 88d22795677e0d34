"""Our own interface, what is on offer: ``/carnet/v1/datasets``, ``/offers`` and ``/templates``, and catalogues of peers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakValueDictionary

import msgspec
import orjson
from aiohttp import web

from connector.access.acting import only_looks
from connector.api.answers.catalogue import OfferAnswer, PublishedAnswer, TemplateAnswer, offer_answer, template_answers
from connector.api.etags import expected_version, tagged
from connector.api.operation import Operation, Query
from connector.api.page import LIMIT, PAGED_BY_ID, limit_of, page
from connector.flow import publish
from connector.flow.approvals import ApprovalRequest
from connector.flow.browse import Browser
from connector.flow.context import Context
from connector.flow.described import TemplateAnswers
from connector.flow.offers import PublicationRefused
from connector.flow.plane import Plane
from connector.http.bodies import json_answer, read_body
from connector.protocol.errors import CallerError, CarnetError, NotFound, Unavailable
from connector.protocol.messages import Document
from connector.store.rows import OpenTo, Published
from connector.telemetry import logger

log = logger("datasets")
BASE: Final = "/carnet/v1"
_OF: Final = Query("dataset", "Only offers of this dataset.")
_OFFERS_AFTER: Final = Query("after", "Where the page begins; the Link header of a full page has it.")


class DatasetChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file as a dataset, or with ``table`` (the data plane's ``Wish``) its rows under terms; ``approval``: people are asked
    before one of its offers binds us."""

    file: str
    title: str = ""
    offers: list[Document] = []
    media_type: str | None = None
    open_to: OpenTo = "admitted"
    record: Document | None = None
    template: str | None = None
    answers: TemplateAnswers | None = None
    table: Document | None = None
    approval: ApprovalRequest | None = None


class DatasetRequest(DatasetChange, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Publish a file as a dataset, with ``table`` (the data plane's ``Wish``) its rows under terms, or say what that would do."""

    id: str
    dry_run: bool = False


class CatalogRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Read a peer's catalogue, or one of its datasets."""

    counterparty: str
    address: str | None = None
    dataset: str | None = None


@dataclass(frozen=True, slots=True)
class LocalDatasets:
    """Handlers for who offers data, and who looks for some; ``locks`` keeps apart those who publish one dataset."""

    context: Context
    browser: Browser
    plane: Plane
    locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def operations(self) -> list[Operation]:
        """All of them."""
        return [*self._datasets(), *self._offers()]

    def _datasets(self) -> list[Operation]:
        one = f"{BASE}/datasets/{{id}}"
        return [
            Operation(
                "GET", f"{BASE}/datasets", "listDatasets", "offers", "read", "Our datasets on offer, in order of their ids.",
                self._listed, answer=list[Document], query=PAGED_BY_ID,
            ),
            Operation(
                "POST", f"{BASE}/datasets", "publishDataset", "offers", "write",
                "Put a file or table on offer, or say what that would do (`dry_run`, answered with 200).",
                self._publish, body=DatasetRequest, answer=PublishedAnswer, status=201, errors=(200, 409), told=True,
            ),
            Operation(
                "GET", one, "showDataset", "offers", "read", "One dataset on offer as it stands in the catalogue.",
                self._show, answer=Document, errors=(404,),
            ),
            Operation(
                "PUT", one, "replaceDataset", "offers", "write", "Put another file, description or other offers in its place.",
                self._replace, body=DatasetChange, answer=PublishedAnswer, errors=(409, 412), told=True,
            ),
            Operation(
                "DELETE", one, "withdrawDataset", "offers", "write", "Take a dataset off the catalogue; agreements go on.",
                self._withdraw, status=204, errors=(404, 409), told=True,
            ),
        ]  # fmt: skip

    def _offers(self) -> list[Operation]:
        return [
            Operation(
                "GET", f"{BASE}/offers", "listOffers", "offers", "read", "Our offers, in order of their datasets and places.",
                self._listed_offers, answer=list[OfferAnswer], query=(_OFFERS_AFTER, LIMIT, _OF),
            ),
            Operation(
                "GET", f"{BASE}/offers/{{id}}", "showOffer", "offers", "read", "An offer, as peers see it and as it was written.",
                self._offer, answer=OfferAnswer, errors=(404,),
            ),
            Operation(
                "GET", f"{BASE}/templates", "listTemplates", "terms", "read",
                "Templates that make a record and an offer of a few answers, and what each asks.",
                self._templates, answer=list[TemplateAnswer],
            ),
            Operation(
                "POST", f"{BASE}/catalog", "readCatalog", "catalog", "read",
                "What a peer offers us: all of it as a list of datasets, or with `dataset` that one alone.",
                self._catalog, body=CatalogRequest, answer=list[Document] | Document, errors=(404,),
            ),
        ]  # fmt: skip

    async def _listed(self, request: web.Request) -> web.Response:
        rows = await self.context.store.datasets(after=request.query.get("after", ""), limit=limit_of(request))
        return page(request, rows, lambda row: row.id, [orjson.loads(row.document) for row in rows])

    async def _publish(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, DatasetRequest)
        if not wanted.dry_run:
            return await self._tagged(wanted.id, json_answer(await self._registered(wanted.id, wanted), 201))
        if wanted.table is None:
            raise CallerError("dry-run-table", "only a table is looked at before; a file leaves as it is")
        only_looks()
        facts = await self.plane.preview(wanted.id, wanted.file, wanted.table)
        name = facts.pop("preview")
        try:
            return json_answer(await self._published(wanted.id, wanted, facts, preview=name, dry=True))
        except PublicationRefused as refused:
            return json_answer(PublishedAnswer(dataset=None, source=facts, releases=[], problems=list(refused.findings)))
        finally:
            with suppress(Unavailable):
                await self.plane.forget(name)

    async def _replace(self, request: web.Request) -> web.Response:
        wanted, dataset_id = await read_body(request, DatasetChange), request.match_info["id"]
        seen = expected_version(request)
        return await self._tagged(dataset_id, json_answer(await self._registered(dataset_id, wanted, seen)))

    async def _registered(self, dataset_id: str, wanted: DatasetChange, seen: int | None = None) -> PublishedAnswer:
        """Register the data, then publish; what is not published leaves the data as they were."""
        async with self.locks.setdefault(dataset_id, asyncio.Lock()):
            if seen is not None:
                await publish.check_seen(self.context, dataset_id, seen)
            await publish.check_own(self.context, dataset_id)
            facts = await self.plane.register_source(dataset_id, wanted.file, wanted.table)
            former = facts.pop("former", None)
            try:
                return await self._published(dataset_id, wanted, facts, seen=seen)
            except CarnetError:
                await self._put_back(dataset_id, former)
                raise

    async def _put_back(self, dataset_id: str, former: str | None) -> None:
        try:
            await self.plane.put_back(dataset_id, former)
        except CarnetError as error:
            said = "the data of a dataset are other ones than it offers; publish it again"
            log.warning(said, dataset=dataset_id, code=error.code)

    async def _published(
        self,
        dataset_id: str,
        wanted: DatasetChange,
        facts: Document,
        *,
        preview: str | None = None,
        dry: bool = False,
        seen: int | None = None,
    ) -> PublishedAnswer:
        releases: list[Document] = []

        async def look(policies: list[Document]) -> list[Document]:
            releases.extend(await self.plane.releases(dataset_id, policies, preview))
            return releases

        document = await publish.publish(
            self.context,
            dataset_id,
            title=wanted.title,
            source=wanted.file,
            offers=wanted.offers,
            media_type=wanted.media_type,
            open_to=wanted.open_to,
            record=wanted.record,
            template=wanted.template,
            answers=wanted.answers,
            able=self.plane.able(facts),
            look=look if wanted.table is not None else None,
            dry=dry,
            seen=seen,
            approval=None if wanted.approval is None else wanted.approval.rule,
        )
        return PublishedAnswer(dataset=document, source=facts, releases=releases)

    async def _tagged(self, dataset_id: str, response: web.Response) -> web.Response:
        row = await self.context.store.dataset(dataset_id)
        return response if row is None else tagged(response, row.published_at)

    async def _show(self, request: web.Request) -> web.Response:
        row = await self._found(request.match_info["id"])
        return tagged(json_answer(orjson.loads(row.document)), row.published_at)

    async def _found(self, dataset_id: str) -> Published:
        row = await self.context.store.dataset(dataset_id)
        if row is None or row.withdrawn_at is not None:
            raise NotFound("dataset-unknown", f"no dataset {dataset_id:.80} is on offer")
        return row

    async def _withdraw(self, request: web.Request) -> web.Response:
        await publish.withdraw(self.context, request.match_info["id"])
        return web.Response(status=204)

    async def _listed_offers(self, request: web.Request) -> web.Response:
        dataset, after = request.query.get("dataset", ""), _place(request.query.get("after", ""))
        rows = await self.context.store.shelf.on_offer(after=after, dataset=dataset, limit=limit_of(request))
        return page(request, rows, lambda row: f"{len(row.dataset)}:{row.dataset}{row.id}", [offer_answer(row) for row in rows])

    async def _offer(self, request: web.Request) -> web.Response:
        row = await self.context.store.shelf.offer(request.match_info["id"])
        if row is None:
            raise NotFound("offer-unknown", f"there is no offer {request.match_info['id']:.80} here")
        return json_answer(offer_answer(row))

    async def _templates(self, _: web.Request) -> web.Response:
        return json_answer(template_answers())

    async def _catalog(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, CatalogRequest)
        if wanted.dataset is not None:
            return json_answer(await self.browser.dataset(wanted.counterparty, wanted.dataset, wanted.address))
        return json_answer(await self.browser.catalog(wanted.counterparty, wanted.address))


def _place(after: str) -> tuple[str, str]:
    """Dataset and offer of the last entry seen: the length of the first tells them apart. Raises CallerError."""
    length, colon, rest = after.partition(":")
    if not after:
        return "", ""
    if not (colon and length.isascii() and length.isdigit() and len(length) < 6 and int(length) <= len(rest)):
        raise CallerError("after-invalid", "after is what the Link header of a page says")
    return rest[: int(length)], rest[int(length) :]
