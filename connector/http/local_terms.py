"""Our own interface, terms: ``/carnet/v1/explain`` and ``/carnet/v1/simulate``, a thin handler for each use case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from connector.api.answers.terms import ExplanationAnswer, SimulationAnswer
from connector.api.operation import Operation
from connector.flow import asking
from connector.flow.context import Context
from connector.http.bodies import json_answer, read_body
from connector.identity.participants import Claims
from policies.explain import Reader
from policies.terms.term import Language

BASE: Final = "/carnet/v1"
NOBODY: Final = "urn:carnet:somebody"
Name = Annotated[str, Meta(min_length=1, max_length=2048)]
Moment = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
"""In ms since the epoch, before the year 10000."""


class ExplainRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``what`` is the id of an offer or agreement; ``redacted``: as the counterparty may read it."""

    what: Name
    language: Language = "en"
    redacted: bool = False


class SimulateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``what`` is the id of an offer or dataset, ``purpose`` an IRI; ``claims`` in place of those of the registry."""

    what: Name
    participant: Name = NOBODY
    claims: Claims | None = None
    purpose: Name | None = None
    at: Moment | None = None
    agreed: Moment | None = None
    language: Language = "en"


@dataclass(frozen=True, slots=True)
class LocalTerms:
    """Handlers for who wants to understand terms."""

    context: Context

    def operations(self) -> list[Operation]:
        """All of them."""
        return [
            Operation(
                "POST", f"{BASE}/explain", "explainTerms", "terms", "read",
                "What an offer of ours or an agreement says in sentences, and how each term is kept here.",
                self._explain, body=ExplainRequest, answer=ExplanationAnswer, errors=(404,),
            ),
            Operation(
                "POST", f"{BASE}/simulate", "simulateTerms", "terms", "read",
                "What a participant would get of an offer, or of each offer of a dataset, that we published, and why.",
                self._simulate, body=SimulateRequest, answer=list[SimulationAnswer], errors=(404,),
            ),
        ]  # fmt: skip

    async def _explain(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, ExplainRequest)
        reader = Reader(wanted.language, "redacted" if wanted.redacted else "full")
        return json_answer(await asking.explain(self.context, wanted.what, reader))

    async def _simulate(self, request: web.Request) -> web.Response:
        wanted = await read_body(request, SimulateRequest)
        supposed = asking.Supposed(wanted.participant, wanted.claims, wanted.purpose, wanted.at, wanted.agreed)
        return json_answer(await asking.suppose(self.context, wanted.what, supposed, Reader(wanted.language)))
