"""Read a peer's catalogue: all pages, or one dataset. What comes back passed the JSON-LD door; sizes and pages are bounded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin

import orjson

from catalog.errors import DocumentError
from catalog.jsonld import normalise_message
from connector.flow.context import Context
from connector.http.client import Answer, EgressRefused, GuardedClient, PeerUnreachable
from connector.identity.interface import Identity
from connector.protocol.errors import CarnetError, PeerError, Unavailable
from connector.protocol.messages import DSP_CONTEXT, Document

MAX_PAGES: Final = 1000
_NEXT: Final = re.compile(r"<([^>]{1,4096})>\s*;[^,]*\brel=\"?next\"?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Browser:
    """Reads catalogues over the guarded client, as the participant that we are."""

    context: Context
    client: GuardedClient
    identity: Identity
    max_bytes: int

    async def catalog(self, counterparty: str, address: str | None = None) -> list[Document]:
        """Every dataset that the peer shows us. Raises Unavailable or PeerError."""
        base = self.context.directory.known(counterparty, address)
        url: str | None = f"{base}/catalog/request"
        body = orjson.dumps({"@context": [DSP_CONTEXT], "@type": "CatalogRequestMessage"})
        datasets: list[Document] = []
        for _ in range(MAX_PAGES):
            if url is None:
                break
            answer = await self._ask("POST", counterparty, url, body)
            document = await self._read(answer, "Catalog")
            datasets += document.get("dataset", [])
            following = _NEXT.search(answer.headers.get("Link", ""))
            found = None if following is None else urljoin(url, following[1])
            url = found if found != url and document.get("dataset") else None
        return datasets

    async def dataset(self, counterparty: str, dataset_id: str, address: str | None = None) -> Document:
        """One dataset with its offers."""
        base = self.context.directory.known(counterparty, address)
        answer = await self._ask("GET", counterparty, f"{base}/catalog/datasets/{quote(dataset_id, safe='')}", None)
        return await self._read(answer, "Dataset")

    async def _ask(self, method: str, counterparty: str, url: str, body: bytes | None) -> Answer:
        try:
            headers = {**await self.identity.outbound(counterparty, url), "Content-Type": "application/json"}
            answer = await self.client.request(method, url, headers=headers, body=body)
        except EgressRefused as error:
            raise Unavailable(error.code, error.reason) from error
        except PeerUnreachable as error:
            raise Unavailable("peer-unreachable", f"the peer cannot be reached now: {error.reason}") from error
        if answer.status != 200:
            raise PeerError("peer-refused", f"the peer answered {answer.status}: {answer.body[:300].decode('utf-8', 'replace')}")
        return answer

    async def _read(self, answer: Answer, name: str) -> Document:
        try:
            return await normalise_message(answer.body, frozenset({name}), max_bytes=self.max_bytes)
        except DocumentError as error:
            problem: CarnetError = PeerError("peer-invalid", f"the peer's {name} cannot be read: {error.code} {error.reason}")
            raise problem from error
