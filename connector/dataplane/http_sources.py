"""HTTP APIs as sources: taken over at registration, written down sealed, and read again when a buyer asks.

Only what the egress policy lets us call can be published, and only the base address without its query is ever shown, to the
owner alone. May import this package and the guarded client.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from connector.dataplane.http_requests import HttpWish, checked
from connector.dataplane.plan.declared import declared_for_http
from connector.dataplane.problems import Refusal
from connector.dataplane.records import Records
from connector.dataplane.sealing import Sealer, Unsealable
from connector.dataplane.sources import Source
from connector.http.client import EgressRefused, GuardedClient
from connector.store.engine import Statement


@dataclass(frozen=True, slots=True)
class HttpSources:
    """Registers and reads. ``client`` is the one that calls sources: what it would refuse cannot be published."""

    records: Records
    sealer: Sealer
    client: GuardedClient

    def taken(self, dataset_id: str, wish: HttpWish) -> tuple[Source, list[Statement]]:
        """The source under a dataset, and what to write beside it. Raises Refusal 400 or 403."""
        wish = checked(wish)
        try:
            self.client.check(wish.base, {})
        except EgressRefused as refused:
            raise Refusal(403, "http-forbidden", f"the source may not be called: {refused.reason}") from None
        text = msgspec.json.encode(wish)
        # A credential that nobody is to see must not be found by trying: the identity is of what seals it, too.
        sealed = self.sealer.seal(text, dataset_id)
        identity = hashlib.sha256(sealed).hexdigest()
        source = Source(dataset_id, wish.base, 0, "", identity, "http", tuple(sorted(declared_for_http())))
        return source, [_put(dataset_id, sealed)]

    async def of(self, source: Source) -> HttpWish:
        """How a source is called. Raises Refusal 503 where it cannot be read any more."""
        sql = "SELECT sealed FROM http_source WHERE dataset_id = ?"
        rows = await self.records.engine.fetch(sql, (source.dataset_id,), limit=1)
        sealed = rows[0][0] if rows else None
        if isinstance(sealed, bytes):
            try:
                return msgspec.json.decode(self.sealer.unseal(sealed, source.dataset_id), type=HttpWish)
            except (Unsealable, msgspec.DecodeError):
                pass
        raise Refusal(503, "source-unreadable", "the publisher has to publish the dataset again")


def forget(dataset_id: str) -> Statement:
    """There is no HTTP source of a dataset any more."""
    return Statement("DELETE FROM http_source WHERE dataset_id = ?", (dataset_id,), expect=None)


def shown(wish: HttpWish) -> dict[str, Any]:
    """What the owner is answered: names of headers, never their values."""
    return {
        "base": wish.base,
        "methods": list(wish.methods),
        "headers": sorted(wish.headers),
        "credential": wish.credential.header if wish.credential is not None else None,
        "proxyPath": wish.proxy_path,
        "proxyQueryParams": wish.proxy_query_params,
        "proxyMethod": wish.proxy_method,
        "proxyBody": wish.proxy_body,
    }


def _put(dataset_id: str, sealed: bytes) -> Statement:
    return Statement(
        "INSERT INTO http_source (dataset_id, sealed) VALUES (?, ?)"
        " ON CONFLICT (dataset_id) DO UPDATE SET sealed = excluded.sealed",
        (dataset_id, sealed),
    )
