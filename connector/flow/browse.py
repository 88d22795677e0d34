"""Read a peer's catalogue: all pages, or one dataset. What comes back passed the JSON-LD door; sizes and pages are bounded."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin

import orjson

from catalog.errors import DocumentError
from catalog.jsonld import normalise_message
from connector.flow.context import Context
from connector.http.caller import Caller
from connector.http.client import Answer, EgressRefused, PeerUnreachable
from connector.identity.interface import Scope
from connector.protocol.errors import CarnetError, PeerError, Unavailable
from connector.protocol.messages import DSP_CONTEXT, Document

MAX_PAGES: Final = 1000
MAX_CATALOG_BYTES: Final = 64 * 1024 * 1024
MAX_READING_S: Final = 50.0
MAX_ERROR_BYTES: Final = 65_536
MAX_ERROR_CHARS: Final = 300
_NEXT: Final = re.compile(r"<([^>]{1,4096})>\s*;[^,]*\brel=\"?next\"?", re.IGNORECASE)


class PeerRefused(PeerError):
    """The peer did not show what was asked for; ``answered`` is its HTTP status."""

    def __init__(self, answered: int, body: bytes) -> None:
        super().__init__("peer-refused", f"the peer answered {answered}{_reasons(body)}")
        self.answered = answered


def _reasons(body: bytes) -> str:
    """What an error of DSP says, else how the answer begins."""
    try:
        said = orjson.loads(body[:MAX_ERROR_BYTES])
    except orjson.JSONDecodeError:
        said = None
    document = said if isinstance(said, dict) else {}
    code, given = document.get("code"), document.get("reason")
    reasons = [each for each in (given if isinstance(given, list) else [given]) if isinstance(each, str)]
    if not reasons and not isinstance(code, str):
        text = body[:MAX_ERROR_CHARS].decode("utf-8", "replace").strip()
        return f": {text}" if text else ""
    named = f" ({code:.80})" if isinstance(code, str) else ""
    return named + (f": {'; '.join(reasons):.{MAX_ERROR_CHARS}}" if reasons else "")


@dataclass(frozen=True, slots=True)
class Browser:
    """Reads catalogues over the guarded client, as the participant that we are."""

    context: Context
    caller: Caller
    max_bytes: int

    async def catalog(self, counterparty: str, address: str | None = None, *, most: int | None = None) -> list[Document]:
        """Every dataset that the peer shows us, or at least the first ``most`` of them. Raises Unavailable or PeerError, also for
        a catalogue without end."""
        base = await self.context.directory.known(counterparty, address)
        try:
            async with asyncio.timeout(MAX_READING_S):
                return await self._pages(counterparty, f"{base}/catalog/request", most)
        except TimeoutError as error:
            raise Unavailable("catalog-too-slow", f"the catalogue was not read within {MAX_READING_S:g} seconds") from error

    async def _pages(self, counterparty: str, first: str, most: int | None) -> list[Document]:
        body = orjson.dumps({"@context": [DSP_CONTEXT], "@type": "CatalogRequestMessage"})
        datasets: list[Document] = []
        url, seen, size = first, {first}, 0
        while True:
            answer = await self._ask("POST", counterparty, url, body)
            size += len(answer.body)
            document = await self._read(answer, "Catalog")
            datasets += document.get("dataset", [])
            following = _NEXT.search(answer.headers.get("Link", ""))
            enough = most is not None and len(datasets) >= most
            if following is None or enough or not document.get("dataset"):
                return datasets
            url = await self._followed(counterparty, url, following[1])
            if url in seen:
                return datasets
            seen.add(url)
            if len(seen) > MAX_PAGES or size > MAX_CATALOG_BYTES:
                raise PeerError("catalog-endless", f"the catalogue has over {MAX_PAGES} pages or {MAX_CATALOG_BYTES} bytes")

    async def _followed(self, counterparty: str, url: str, link: str) -> str:
        """Where the next page is. Our token for the peer goes along, so it is on one of the peer's addresses or nowhere."""
        try:
            found = urljoin(url, link)
        except ValueError as error:
            raise PeerError("link-invalid", "the link to the next page of the peer's catalogue is no address") from error
        if not await self.context.directory.owns(counterparty, found.partition("?")[0]):
            raise PeerError("link-foreign", "the next page of the peer's catalogue is not on an address of the peer's")
        return found

    async def dataset(self, counterparty: str, dataset_id: str, address: str | None = None) -> Document:
        """One dataset with its offers."""
        base = await self.context.directory.known(counterparty, address)
        answer = await self._ask("GET", counterparty, f"{base}/catalog/datasets/{quote(dataset_id, safe='')}", None)
        return await self._read(answer, "Dataset")

    async def _ask(self, method: str, counterparty: str, url: str, body: bytes | None) -> Answer:
        try:
            headers = {"Content-Type": "application/json"}
            answer = await self.caller.request(method, counterparty, url, Scope.CATALOG, headers=headers, body=body)
        except EgressRefused as error:
            raise Unavailable(error.code, error.reason) from error
        except PeerUnreachable as error:
            raise Unavailable("peer-unreachable", f"the peer cannot be reached now: {error.reason}") from error
        if answer.status != 200:
            raise PeerRefused(answer.status, answer.body)
        return answer

    async def _read(self, answer: Answer, name: str) -> Document:
        try:
            return await normalise_message(answer.body, frozenset({name}), max_bytes=self.max_bytes)
        except DocumentError as error:
            problem: CarnetError = PeerError("peer-invalid", f"the peer's {name} cannot be read: {error.code} {error.reason}")
            raise problem from error
