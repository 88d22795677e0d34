"""Our own interface, data of a transfer to us: how far they are, where they are, and what renews the token for them.

One thin handler for each use case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import quote

import msgspec
from aiohttp import web

from connector.api.answers.processes import AssertionAnswer, ProgressAnswer
from connector.api.operation import Operation
from connector.flow import acts, renewals
from connector.flow.context import Context
from connector.flow.plane import Plane
from connector.flow.references import References
from connector.http.bodies import json_answer, read_body
from connector.protocol.errors import CallerError, NotFound, Unavailable
from connector.protocol.messages import Document
from connector.protocol.record import Process
from connector.protocol.states import Kind

BASE: Final = "/carnet/v1/transfers/{id}"


class AssertionRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Renew the token of a data address: ``token`` is its ``authorization``."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class RenewalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another data address is wanted: ``refused`` is the ``authorization`` that the provider takes no more."""

    refused: Annotated[str, msgspec.Meta(min_length=1, max_length=4103)]


@dataclass(frozen=True, slots=True)
class LocalTransfers:
    """The handlers. Without ``references`` there is no key to renew a token with."""

    context: Context
    plane: Plane
    references: References | None

    def operations(self) -> list[Operation]:
        """All of them."""
        return [
            Operation(
                "GET", f"{BASE}/progress", "transferProgress", "transfers", "read", "How far the data of a transfer to us are.",
                self._progress, answer=ProgressAnswer, errors=(404,),
            ),
            Operation(
                "GET", f"{BASE}/data-address", "transferDataAddress", "edrs", "read",
                "Where, and with which token, the data of a started transfer can be fetched.",
                self._data_address, answer=Document, errors=(404,),
            ),
            Operation(
                "POST", f"{BASE}/assertion", "transferAssertion", "edrs", "write",
                "For who fetches and renews by itself: what renews a token at the `refreshEndpoint` of the data address. The new "
                "token is then yours alone to renew; the data address here keeps the old one.",
                self._assertion, body=AssertionRequest, answer=AssertionAnswer, errors=(404, 409),
            ),
            Operation(
                "POST", f"{BASE}/renewal", "transferRenewal", "edrs", "write",
                "For who was refused with the token of a data address: the address with one that is good, once for all who ask.",
                self._renewal, body=RenewalRequest, answer=Document, errors=(404, 409), told=True,
            ),
        ]  # fmt: skip

    async def _progress(self, request: web.Request) -> web.Response:
        process = await self._load(request)
        try:
            found = await self.plane.ask("GET", f"/carnet/flows/{quote(process.id, safe='')}")
        except CallerError:
            found = {}  # the data plane has not begun, or is not the one that gets the data
        return json_answer(ProgressAnswer(found.get("bytes"), found.get("total"), found.get("making")))

    async def _data_address(self, request: web.Request) -> web.Response:
        process = await self._load(request)
        if process.state.on_wire != "STARTED" or process.detail.data_address is None:
            raise NotFound("data-address-none", f"the transfer is {process.state.on_wire}; a started one has a data address")
        return json_answer(process.detail.data_address)

    async def _assertion(self, request: web.Request) -> web.Response:
        references = self._signing()
        wanted = await read_body(request, AssertionRequest)
        made = await renewals.assertion(self.context, references.assertions, request.match_info["id"], wanted.token)
        return json_answer(AssertionAnswer(made))

    async def _renewal(self, request: web.Request) -> web.Response:
        references = self._signing()
        wanted = await read_body(request, RenewalRequest)
        return json_answer(await references.instead(request.match_info["id"], wanted.refused))

    def _signing(self) -> References:
        if self.references is None:
            raise Unavailable("signing-key-missing", "there is no key to sign with")
        return self.references

    async def _load(self, request: web.Request) -> Process:
        """The transfer. Raises NotFound."""
        process = await acts.load(self.context, request.match_info["id"])
        if process.kind is not Kind.TRANSFER:
            raise NotFound("process-unknown", f"there is no transfer {process.id:.80} here")
        return process
