"""Operations of the management interface with others: catalogues, negotiations, agreements, transfers, data references.

The same for every version (``dialect.py``); what they do is in ``business.py``. Knows aiohttp's request and response.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from connector.access.caller import scope
from connector.api.operation import Operation, Query, caller_of
from connector.api.router import check_scopes
from connector.management import business, federated, shapes
from connector.management.business import Business
from connector.management.dialect import PAGING, Dialect, done, one, page, raw_json
from connector.management.documents import Flat, text
from connector.management.prefixed import LEGACY_PROTOCOL, with_prefixes
from connector.protocol.messages import DSP_CONTEXT, Document
from connector.protocol.states import Kind
from connector.store.rows import Agreement

UNANSWERED: Final = "Carnet-Unanswered"
"""The header that says of how many participants no catalogue came."""
_FLATTEN: Final = Query("flatten", "Has no effect: what is shown is flat.", bool)
_REFRESH: Final = Query("auto_refresh", "Renew the token first if it ends soon.", bool)


@dataclass(frozen=True, slots=True)
class BusinessDesk:
    """The handlers of one version, below ``base`` (such as ``/management/v3``)."""

    b: Business
    dialect: Dialect
    base: str

    def operations(self) -> list[Operation]:
        """All of them."""
        return [*self._catalogues(), *self._negotiations(), *self._agreements(), *self._transfers(), *self._references()]

    def _catalogues(self) -> list[Operation]:
        at, name = f"{self.base}/catalog", f"{self.dialect.name}-catalog"
        return [
            Operation(
                "POST",
                f"{at}/request",
                f"{name}-request",
                "catalog",
                "read",
                "A counterparty's catalogue.",
                self._catalog,
                errors=(502,),
            ),
            Operation(
                "POST",
                f"{at}/dataset/request",
                f"{name}-dataset",
                "catalog",
                "read",
                "One dataset of it.",
                self._dataset,
                errors=(404, 502),
            ),
            Operation(
                "POST",
                f"{self.base}/catalogs/request",
                f"{self.dialect.name}-catalogs",
                "catalog",
                "read",
                "The catalogues of all whom we deal with.",
                self._catalogs,
                query=(*PAGING, _FLATTEN),
            ),
        ]

    def _negotiations(self) -> list[Operation]:
        at, name = f"{self.base}/contractnegotiations", f"{self.dialect.name}-negotiations"
        each = f"{at}/{{id}}"
        return [
            Operation(
                "POST",
                at,
                f"{name}-begin",
                "negotiations",
                "write",
                "Ask for a contract.",
                self._negotiate,
                errors=(404, 502),
                told=True,
            ),
            Operation(
                "POST", f"{at}/request", f"{name}-query", "negotiations", "read", "List.", self._query_negotiations, query=PAGING
            ),
            Operation("GET", each, f"{name}-get", "negotiations", "read", "A negotiation.", self._negotiation, errors=(404,)),
            Operation(
                "GET",
                f"{each}/state",
                f"{name}-state",
                "negotiations",
                "read",
                "Its state.",
                self._negotiation_state,
                errors=(404,),
            ),
            Operation(
                "GET",
                f"{each}/agreement",
                f"{name}-agreement",
                "agreements",
                "read",
                "What it has brought.",
                self._negotiation_agreement,
                errors=(404,),
            ),
            Operation(
                "POST",
                f"{each}/terminate",
                f"{name}-terminate",
                "negotiations",
                "write",
                "End it.",
                self._terminate_negotiation,
                status=204,
                errors=(404, 409),
                told=True,
            ),
            Operation(
                "DELETE",
                each,
                f"{name}-delete",
                "negotiations",
                "write",
                "Forget one that was terminated.",
                self._forget_negotiation,
                status=204,
                errors=(404, 409),
                told=True,
            ),
        ]

    def _agreements(self) -> list[Operation]:
        at, name = f"{self.base}/contractagreements", f"{self.dialect.name}-agreements"
        return [
            Operation(
                "POST", f"{at}/request", f"{name}-query", "agreements", "read", "List.", self._query_agreements, query=PAGING
            ),
            Operation(
                "GET", f"{at}/{{id}}", f"{name}-get", "agreements", "read", "An agreement.", self._agreement, errors=(404,)
            ),
            Operation(
                "GET",
                f"{at}/{{id}}/negotiation",
                f"{name}-negotiation",
                "negotiations",
                "read",
                "How it came about.",
                self._agreement_negotiation,
                errors=(404,),
            ),
        ]

    def _transfers(self) -> list[Operation]:
        at, name = f"{self.base}/transferprocesses", f"{self.dialect.name}-transfers"
        each = f"{at}/{{id}}"
        moves = (
            ("terminate", "End it."),
            ("suspend", "Pause it."),
            ("resume", "Go on."),
            ("deprovision", "Nothing to be done here."),
        )
        handlers = (self._terminate_transfer, self._suspend_transfer, self._resume_transfer, self._deprovision)
        return [
            Operation(
                "POST",
                at,
                f"{name}-begin",
                "transfers",
                "write",
                "Ask for data.",
                self._transfer,
                errors=(404, 409, 502),
                told=True,
            ),
            Operation(
                "POST", f"{at}/request", f"{name}-query", "transfers", "read", "List.", self._query_transfers, query=PAGING
            ),
            Operation("GET", each, f"{name}-get", "transfers", "read", "A transfer.", self._transfer_shown, errors=(404,)),
            Operation(
                "GET", f"{each}/state", f"{name}-state", "transfers", "read", "Its state.", self._transfer_state, errors=(404,)
            ),
            *(
                Operation(
                    "POST",
                    f"{each}/{act}",
                    f"{name}-{act}",
                    "transfers",
                    "write",
                    about,
                    handler,
                    status=204,
                    errors=(404, 409),
                    told=act != "deprovision",
                )
                for (act, about), handler in zip(moves, handlers, strict=True)
            ),
        ]

    def _references(self) -> list[Operation]:
        at, name = f"{self.base}/edrs", f"{self.dialect.name}-edrs"
        each = f"{at}/{{id}}"
        return [
            Operation(
                "POST",
                at,
                f"{name}-begin",
                "edrs",
                "write",
                "Negotiate, and transfer as soon as that is agreed.",
                self._negotiate_and_transfer,
                errors=(404, 502),
                told=True,
            ),
            Operation(
                "POST", f"{at}/request", f"{name}-query", "edrs", "read", "Data references.", self._query_references, query=PAGING
            ),
            Operation(
                "GET",
                f"{each}/dataaddress",
                f"{name}-address",
                "edrs",
                "read",
                "Where data are fetched, with the token.",
                self._address,
                errors=(404,),
                query=(_REFRESH,),
            ),
            Operation(
                "POST",
                f"{each}/refresh",
                f"{name}-refresh",
                "edrs",
                "write",
                "Renew the token.",
                self._refresh,
                errors=(404, 409),
                told=True,
            ),
            Operation(
                "DELETE",
                each,
                f"{name}-delete",
                "edrs",
                "write",
                "Put a data reference away.",
                self._forget_reference,
                status=204,
                errors=(404,),
                told=True,
            ),
        ]

    # -- catalogues ---------------------------------------------------------------------------------------------------

    async def _catalogs(self, request: web.Request) -> web.StreamResponse:
        """``flatten`` is taken and changes nothing: what is shown of a participant is flat."""
        spec = shapes.query_of(await self.dialect.read(await request.read(), "QuerySpec"), request.query)
        found = await federated.catalogs(self.b, spec)
        response = raw_json([_catalog(participant, list(datasets)) for participant, datasets in found.catalogs])
        response.headers[UNANSWERED] = str(found.unanswered)
        return response

    async def _catalog(self, request: web.Request) -> web.StreamResponse:
        document = await self.dialect.read(await request.read(), "CatalogRequest")
        of = shapes.counterparty_of(document)
        found = await business.catalog(self.b, of, shapes.catalog_query_of(document))
        return raw_json(self._spelled(document, _catalog(of.id, found)))

    async def _dataset(self, request: web.Request) -> web.StreamResponse:
        document = await self.dialect.read(await request.read(), "DatasetRequest")
        of, dataset_id = shapes.counterparty_of(document), shapes.dataset_id_of(document)
        found = await business.dataset(self.b, of, dataset_id)
        return raw_json(self._spelled(document, {**found, "@context": [DSP_CONTEXT]}))

    def _spelled(self, asked: Flat, answer: Document) -> Document:
        """What a counterparty said, in the spelling of the protocol that the client calls it by."""
        legacy = self.dialect.name == "v3" and text(asked, "protocol") == LEGACY_PROTOCOL
        return with_prefixes(answer) if legacy else answer

    # -- negotiations -------------------------------------------------------------------------------------------------

    async def _negotiate(self, request: web.Request) -> web.StreamResponse:
        return await self._begun(request, ensuing=False)

    async def _negotiate_and_transfer(self, request: web.Request) -> web.StreamResponse:
        # It does what two other operations do, and needs what they need.
        check_scopes(caller_of(request), scope("negotiations", "write"), scope("transfers", "write"))
        return await self._begun(request, ensuing=True)

    async def _begun(self, request: web.Request, *, ensuing: bool) -> web.StreamResponse:
        of, offer = shapes.contract_request_of(await self.dialect.read(await request.read(), "ContractRequest"))
        process = await business.negotiate(self.b, of, offer, caller_of(request), ensuing=ensuing)
        return one(self.dialect, shapes.created(process.id, process.created_at))

    async def _query_negotiations(self, request: web.Request) -> web.StreamResponse:
        lists = self.b.queries
        return await page(
            self.dialect,
            request,
            lambda spec: lists.processes("negotiation", spec),
            lambda spec: lists.count_processes("negotiation", spec),
            shapes.negotiation_shown,
        )

    async def _negotiation(self, request: web.Request) -> web.StreamResponse:
        process = await business.process(self.b, Kind.NEGOTIATION, request.match_info["id"])
        return one(self.dialect, shapes.negotiation_shown(process))

    async def _negotiation_state(self, request: web.Request) -> web.StreamResponse:
        process = await business.process(self.b, Kind.NEGOTIATION, request.match_info["id"])
        return one(self.dialect, shapes.state_shown(process, "NegotiationState"))

    async def _negotiation_agreement(self, request: web.Request) -> web.StreamResponse:
        return self._agreed(await business.agreement_of(self.b, request.match_info["id"]))

    async def _terminate_negotiation(self, request: web.Request) -> web.StreamResponse:
        reason = shapes.reason_of(await self.dialect.read(await request.read(), "TerminateNegotiation"))
        await business.terminate(self.b, Kind.NEGOTIATION, request.match_info["id"], reason, caller_of(request))
        return done()

    async def _forget_negotiation(self, request: web.Request) -> web.StreamResponse:
        await business.forget_negotiation(self.b, request.match_info["id"])
        return done()

    # -- agreements ---------------------------------------------------------------------------------------------------

    async def _query_agreements(self, request: web.Request) -> web.StreamResponse:
        lists, us = self.b.queries, self.b.m.context.participant_id
        return await page(
            self.dialect, request, lists.agreements, lists.count_agreements, lambda row: shapes.agreement_shown(row, us)
        )

    async def _agreement(self, request: web.Request) -> web.StreamResponse:
        return self._agreed(await business.agreement(self.b, request.match_info["id"]))

    def _agreed(self, row: Agreement) -> web.StreamResponse:
        return one(self.dialect, shapes.agreement_shown(row, self.b.m.context.participant_id))

    async def _agreement_negotiation(self, request: web.Request) -> web.StreamResponse:
        row = await business.agreement(self.b, request.match_info["id"])
        return one(self.dialect, shapes.negotiation_shown(await business.process(self.b, Kind.NEGOTIATION, row.negotiation_id)))

    # -- transfers ----------------------------------------------------------------------------------------------------

    async def _transfer(self, request: web.Request) -> web.StreamResponse:
        wish = shapes.transfer_request_of(await self.dialect.read(await request.read(), "TransferRequest"))
        process = await business.transfer(self.b, wish, caller_of(request))
        return one(self.dialect, shapes.created(process.id, process.created_at))

    async def _query_transfers(self, request: web.Request) -> web.StreamResponse:
        lists = self.b.queries
        return await page(
            self.dialect,
            request,
            lambda spec: lists.processes("transfer", spec),
            lambda spec: lists.count_processes("transfer", spec),
            shapes.transfer_shown,
        )

    async def _transfer_shown(self, request: web.Request) -> web.StreamResponse:
        process = await business.process(self.b, Kind.TRANSFER, request.match_info["id"])
        return one(self.dialect, shapes.transfer_shown(process))

    async def _transfer_state(self, request: web.Request) -> web.StreamResponse:
        process = await business.process(self.b, Kind.TRANSFER, request.match_info["id"])
        return one(self.dialect, shapes.state_shown(process, "TransferState"))

    async def _terminate_transfer(self, request: web.Request) -> web.StreamResponse:
        reason = shapes.reason_of(await self.dialect.read(await request.read(), "TerminateTransfer"))
        await business.terminate(self.b, Kind.TRANSFER, request.match_info["id"], reason, caller_of(request))
        return done()

    async def _suspend_transfer(self, request: web.Request) -> web.StreamResponse:
        reason = shapes.reason_of(await self.dialect.read(await request.read(), "SuspendTransfer"))
        await business.move(self.b, request.match_info["id"], "suspend", reason, caller_of(request))
        return done()

    async def _resume_transfer(self, request: web.Request) -> web.StreamResponse:
        await business.move(self.b, request.match_info["id"], "resume", None, caller_of(request))
        return done()

    async def _deprovision(self, request: web.Request) -> web.StreamResponse:
        """Nothing is provisioned for a transfer here, so that there is nothing to take back."""
        await business.process(self.b, Kind.TRANSFER, request.match_info["id"])
        return done()

    # -- data references ----------------------------------------------------------------------------------------------

    async def _query_references(self, request: web.Request) -> web.StreamResponse:
        lists = self.b.queries
        return await page(self.dialect, request, lists.references, lists.count_references, shapes.reference_entry_shown)

    async def _address(self, request: web.Request) -> web.StreamResponse:
        refresh = request.query.get("auto_refresh", "false").lower() == "true"
        found = await business.reference(self.b, request.match_info["id"], refresh=refresh)
        return _secret(one(self.dialect, shapes.reference_shown(found)))

    async def _refresh(self, request: web.Request) -> web.StreamResponse:
        found = await business.reference(self.b, request.match_info["id"], now=True)
        return _secret(one(self.dialect, shapes.reference_shown(found)))

    async def _forget_reference(self, request: web.Request) -> web.StreamResponse:
        await business.forget_reference(self.b, request.match_info["id"])
        return done()


def _secret(response: web.Response) -> web.Response:
    """An answer with a token in it is kept by nobody on the way (RFC 6749, 5.1)."""
    response.headers["Cache-Control"] = "no-store"
    return response


def _catalog(participant_id: str, datasets: list[Document]) -> Document:
    """A catalogue as DSP has it; one without datasets has no such member."""
    shown = {"dataset": [{name: value for name, value in each.items() if name != "@context"} for each in datasets]}
    return {
        "@context": [DSP_CONTEXT],
        "@id": f"urn:uuid:{uuid.uuid4()}",
        "@type": "Catalog",
        "participantId": participant_id,
        **(shown if datasets else {}),
    }
