"""One side's own credentials in the hands of the test: what the other side tells it, over the same wire."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connector.http.caller import Caller
from connector.http.client import EgressPolicy, GuardedClient
from connector.identity.fetcher import Fetcher
from connector.identity.keyfiles import load_keys
from connector.identity.keys import Use
from connector.identity.participants import Admission, Participant, Profile
from connector.identity.tokens import OAuthClient
from connector.settings.identity import OAuthSettings
from tests.faults.world import Side


class _Known:
    """A registry of one participant."""

    def __init__(self, entry: Participant) -> None:
        self._entry = entry

    async def find(self, participant_id: str) -> Participant | None:
        return self._entry if participant_id == self._entry.id else None


@asynccontextmanager
async def visiting(caller: Side, called: Side) -> AsyncIterator[Caller]:
    """What calls ``called`` as ``caller`` does, until the block is left."""
    settings = OAuthSettings()
    keys = await asyncio.to_thread(load_keys, caller.keys, {}, 48)
    key = keys.signing(Use.OAUTH)
    registry = _Known(Participant(id=called.id, state=Admission.ADMITTED, profile=Profile(addresses=(called.dsp,))))
    allow = frozenset({called.origin.removeprefix("http://")})
    async with GuardedClient(EgressPolicy(allow=allow, https_only=False)) as client:
        fetcher = Fetcher(client, settings, time.monotonic)
        oauth = OAuthClient(
            caller.id,
            lambda: (key, f"{caller.id}#{key.kid}"),
            registry,
            fetcher,
            client,
            (),
            now_ms=lambda: time.time_ns() // 1_000_000,
            new_id=lambda: str(uuid.uuid4()),
        )
        try:
            yield Caller(client, oauth)
        finally:
            await oauth.close()
            await fetcher.close()
