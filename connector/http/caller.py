"""Requests to peers: the guarded client, with headers that show who we are. A challenge of the peer is answered, a few times."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from connector.http.client import Answer, GuardedClient, PeerUnreachable
from connector.identity.interface import Call, Outbound, Scope

MAX_ATTEMPTS: Final = 4


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls peers. Stateless itself."""

    client: GuardedClient
    identity: Outbound

    async def request(
        self,
        method: str,
        counterparty: str,
        url: str,
        scope: Scope,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """A whole answer within ``timeout_s``, whatever it takes to show who we are (default: the client's, for each attempt).

        Raises EgressRefused and PeerUnreachable as the client does, and what the identity raises. A 401 means that the peer has
        acted on nothing, so asking again with what it wants to see repeats nothing.
        """
        call = Call(method, url, scope)
        try:
            async with asyncio.timeout(timeout_s):
                attempts = 0
                while True:
                    attempts += 1
                    shown = {**headers, **await self.identity.outbound(counterparty, call)}
                    answer = await self.client.request(method, url, headers=shown, body=body, timeout_s=timeout_s)
                    again = answer.status == 401 and attempts < MAX_ATTEMPTS
                    if not again or not self.identity.challenged(counterparty, call, answer.headers):
                        return answer
        except TimeoutError:
            raise PeerUnreachable("timeout", "no answer in time") from None
