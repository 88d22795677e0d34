"""A guarded client of paper: what it answers at each URL is laid out by the test, and so is the time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from multidict import CIMultiDict

from connector.http.client import Answer, GuardedClient
from connector.identity.fetcher import Fetcher
from connector.settings.identity import OAuthSettings


def page(document: Any, status: int = 200, media_type: str = "application/json") -> Answer:
    """An answer as a well-behaved server gives it; bytes are sent as they are."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Answer(status, CIMultiDict({"Content-Type": media_type}), body)


@dataclass
class Shelf:
    """``pages`` holds answers, or errors to raise, by URL; an event in ``gates`` holds an answer back until it is set."""

    pages: dict[str, Answer | Exception] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    bounds: list[tuple[float, int]] = field(default_factory=list)
    now: float = 1000.0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], timeout_s: float, max_bytes: int) -> Answer:
        """See GuardedClient."""
        assert method == "GET"
        assert set(headers) == {"Accept"}
        self.asked.append(url)
        self.bounds.append((timeout_s, max_bytes))
        self.news.set()
        if url in self.gates:
            await self.gates[url].wait()
        found = self.pages.get(url, page({"error": "nothing here"}, 404))
        if isinstance(found, Exception):
            raise found
        return found

    async def until_asked(self, times: int) -> None:
        """Wait until so many requests have come."""
        while len(self.asked) < times:
            self.news.clear()
            await self.news.wait()

    def fetcher(self, settings: OAuthSettings | None = None) -> Fetcher:
        """A fetcher that reads from here."""
        return Fetcher(cast("GuardedClient", self), settings or OAuthSettings(), lambda: self.now)
